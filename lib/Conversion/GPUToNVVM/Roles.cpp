//===- Roles.cpp - Which warps do what, and who has its turn -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Barriers.h"
#include "Patterns.h"
#include "Wgmma.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

namespace {

/// The roles of the first warps, in branches, one in the other.
struct LowerRoles : OpConversionPattern<RolesOp> {
  LowerRoles(const TypeConverter &types, MLIRContext *context, const FunctionContext &function)
      : OpConversionPattern(types, context), function(function) {}

  LogicalResult matchAndRewrite(RolesOp op, OneToNOpAdaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Emitter emit(op.getLoc(), rewriter);
    int64_t end = 0;
    size_t count = op.getBodies().size();
    Operation *place = op;
    for (size_t role = 0; role + 1 < count; ++role) {
      emit.setInsertionPoint(place);
      end += op.getWarps()[role];
      auto choice = emit.make<scf::IfOp>(isBelow(emit, end), /*withElseRegion=*/true);
      inlineRole(op, role, choice.thenYield(), rewriter);
      place = choice.elseYield();
    }
    inlineRole(op, count - 1, place, rewriter);
    rewriter.eraseOp(op);
    return success();
  }

  /// Whether the thread is one of the first `warps` warps.
  Value isBelow(Emitter &emit, int64_t warps) const {
    if (!llvm::isPowerOf2_64(warps))
      return emit.less(function.thread, emit.i32(32 * warps));
    return emit.equal(emit.shiftRight(function.thread, llvm::Log2_64(32 * warps)), emit.i32(0));
  }

  /// Moves the body of `role` before `end`.
  static void inlineRole(RolesOp op, size_t role, Operation *end,
                         ConversionPatternRewriter &rewriter) {
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPoint(end);
    if (int64_t registers = op.getRegisters()[role]) {
      // The registers of all threads are shared: one role gives up what another gets.
      bool isFew =
          registers < *std::max_element(op.getRegisters().begin(), op.getRegisters().end());
      NVVM::SetMaxRegisterOp::create(rewriter, op.getLoc(), static_cast<uint32_t>(registers),
                                     isFew ? NVVM::SetMaxRegisterAction::decrease
                                           : NVVM::SetMaxRegisterAction::increase);
    }
    Block &body = op.getBodies()[role].front();
    rewriter.eraseOp(body.getTerminator());
    rewriter.inlineBlockBefore(&body, end);
  }

  const FunctionContext &function;
};

struct LowerIsLeader : Lowering<IsLeaderOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(IsLeaderOp op, Adaptor, Emitter &emit) const override {
    return Results{
        {emit.equal(function.thread, emit.i32(32 * static_cast<int64_t>(op.getWarp())))}};
  }
};

struct LowerConsumer : Lowering<ConsumerOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(ConsumerOp, Adaptor, Emitter &emit) const override {
    return Results{{function.consumer(emit)}};
  }
};

struct LowerLane : Lowering<LaneOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(LaneOp op, Adaptor, Emitter &emit) const override {
    Value lane = function.lane;
    if (op.getAgain())
      pin(emit, lane);
    return Results{{lane}};
  }
};

struct LowerAnyOfBlock : Lowering<AnyOfBlockOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(AnyOfBlockOp, Adaptor adaptor, Emitter &emit) const override {
    return Results{{anyOfBlock(emit, adaptor.getCondition().front())}};
  }
};

//===----------------------------------------------------------------------===//
// Turns: a named barrier for each warpgroup, at which it meets the one before it
//===----------------------------------------------------------------------===//

constexpr int64_t turnThreads = 256;

Value turnBarrier(Emitter &emit, Value consumer) {
  return emit.add(consumer, FunctionContext::firstTurnBarrier);
}

struct LowerAwaitTurn : Lowering<AwaitTurnOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(AwaitTurnOp, Adaptor, Emitter &emit) const override {
    emit.make<NVVM::BarrierOp>(Type(), turnBarrier(emit, function.consumer(emit)),
                               emit.i32(turnThreads), NVVM::BarrierReductionAttr(), Value());
    return Results{};
  }
};

struct LowerPassTurn : Lowering<PassTurnOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(PassTurnOp op, Adaptor adaptor, Emitter &emit) const override {
    auto pass = [&] {
      Value following = emit.add(function.consumer(emit), 1);
      Value wraps = emit.equal(following, emit.i32(function.numConsumers / 4));
      Value next = emit.select(wraps, emit.i32(0), following);
      emit.make<NVVM::BarrierArriveOp>(turnBarrier(emit, next), emit.i32(turnThreads));
    };
    if (op.getCondition())
      emit.when(adaptor.getCondition().front(), pass);
    else
      pass();
    return Results{};
  }
};

} // namespace

void sfa::simt::populateRolePatterns(RewritePatternSet &patterns, const TypeConverter &types,
                                     const FunctionContext &function) {
  patterns.add<LowerRoles, LowerIsLeader, LowerConsumer, LowerLane, LowerAnyOfBlock, LowerAwaitTurn,
               LowerPassTurn>(types, patterns.getContext(), function);
}
