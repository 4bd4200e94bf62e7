//===- Rings.cpp - Rings of tiles, their barriers, and marks of points ----===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Barriers of all rings are an array in shared memory. A ring has "full" barriers, one for each
// place, and then "empty" ones.
//
//===----------------------------------------------------------------------===//

#include "Barriers.h"
#include "Patterns.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

/// Barrier `number` (i32) behind the one of number `first` (i32).
static Value barrierAt(Emitter &emit, const FunctionContext &function, Value number, Value first) {
  return BarrierArray(emit, function.barriers).at(emit.add(number, first));
}

//===----------------------------------------------------------------------===//
// Rings
//===----------------------------------------------------------------------===//

namespace {

struct LowerRing : Lowering<RingOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(RingOp op, Adaptor, Emitter &emit) const override {
    if (!op.getOffset() || (op.getWriters() && !op.getBarriers()))
      return op.emitOpError("has no place in shared memory; run sfa-gpu-allocate before");
    int64_t first = 0;
    if (op.getBarriers())
      first = (static_cast<int64_t>(*op.getBarriers()) - function.barriersOffset) /
              BarrierArray::bytesEach;
    return Results{{function.shared(emit, static_cast<int64_t>(*op.getOffset())),
                    emit.i32(op.getStageBytes()), emit.i32(first),
                    emit.i32(first + op.getRing().getType().getStages())}};
  }
};

/// Fills the panel of ones behind `tile`, by all threads.
void fillOnes(Emitter &emit, const SharedTile &tile, Type element, Value thread,
              int64_t numThreads) {
  constexpr int64_t bytesEach = 16;
  Value half = emit.i32(element.isBF16() ? 0x3F803F80 : 0x3C003C00);
  auto type = VectorType::get(bytesEach / 4, emit.getI32Type());
  Value ones = emit.make<LLVM::UndefOp>(type);
  for (int64_t word = 0; word < bytesEach / 4; ++word)
    ones = emit.make<LLVM::InsertElementOp>(ones, half, emit.i32(word));
  Value step = emit.i32(numThreads * bytesEach);
  emit.loop(emit.mul(thread, bytesEach), emit.i32(tile.panelBytes()), step, {},
            [&](Value at, ValueRange) {
              emit.store(ones, emit.offset(tile.base, emit.add(at, tile.bytes()), emit.getI8Type()),
                         bytesEach);
              return Values();
            });
}

struct LowerPrepare : Lowering<PrepareOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(PrepareOp op, Adaptor, Emitter &emit) const override {
    bool hasOnes = false;
    for (const FunctionContext::RingInfo &ring : function.rings) {
      if (!ring.hasOnes)
        continue;
      hasOnes = true;
      for (int64_t stage = 0; stage < ring.stages; ++stage) {
        Value base = emit.offset(function.shared(emit, ring.offset), stage * ring.stageBytes);
        fillOnes(emit, {base, ring.tile.getRows(), ring.tile.getColumns()},
                 ring.tile.getElementType(), function.thread, function.numThreads);
      }
    }
    if (hasOnes)
      fenceStores(emit);
    for (int64_t offset : function.marksOffsets) {
      Value base = function.shared(emit, offset);
      emit.loop(emit.mul(function.thread, 4), emit.i32(MarksOp::bytes),
                emit.i32(4 * function.numThreads), {}, [&](Value at, ValueRange) {
                  emit.store(emit.i32(0), emit.offset(base, at, emit.getI8Type()));
                  return Values();
                });
    }
    // Short kernels wait for their maps otherwise (PTX ISA, "prefetch.tensormap").
    if (function.splits)
      emit.when(emit.equal(function.thread, emit.i32(32)), [&] {
        for (const FunctionContext::TensorMapParameter &map : function.tensorMaps)
          emit.make<LLVM::InlineAsmOp>(
              TypeRange(), map.parameter, "prefetch.tensormap [$0];", "l",
              /*has_side_effects=*/true, /*is_align_stack=*/false, LLVM::TailCallKind::None,
              LLVM::AsmDialectAttr::get(emit.getContext(), LLVM::AsmDialect::AD_ATT), ArrayAttr());
      });
    if (function.barriers)
      emit.when(emit.equal(function.thread, emit.i32(0)), [&] {
        BarrierArray barriers(emit, function.barriers);
        for (const FunctionContext::RingInfo &ring : function.rings)
          for (int64_t stage = 0; ring.writers != 0 && stage < ring.stages; ++stage) {
            barriers.init(ring.firstBarrier + stage, ring.writers);
            barriers.init(ring.firstBarrier + ring.stages + stage, ring.readers);
          }
        fenceInits(emit);
      });
    emit.barrier();
    return Results{};
  }
};

//===----------------------------------------------------------------------===//
// Positions
//===----------------------------------------------------------------------===//

struct LowerStart : Lowering<StartOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(StartOp, Adaptor, Emitter &emit) const override {
    return Results{{emit.i32(0), emit.i32(0)}};
  }
};

struct LowerPositionAfter : Lowering<PositionAfterOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(PositionAfterOp, Adaptor adaptor, Emitter &emit) const override {
    return Results{{emit.i32(0), emit.bitAnd(adaptor.getUses().front(), 1)}};
  }
};

struct LowerAdvance : Lowering<AdvanceOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(AdvanceOp op, Adaptor adaptor, Emitter &emit) const override {
    ValueRange position = adaptor.getPosition();
    if (op.getStages() == 1)
      return Results{{position[0], emit.bitXor(position[1], 1)}};
    RingPosition next =
        RingPosition{position[0], position[1]}.next(emit, static_cast<int64_t>(op.getStages()));
    return Results{{next.stage, next.parity}};
  }
};

struct LowerStepBack : Lowering<StepBackOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(StepBackOp op, Adaptor adaptor, Emitter &emit) const override {
    ValueRange position = adaptor.getPosition();
    Value before = emit.sub(position[0], 1);
    before = emit.select(emit.less(before, emit.i32(0)),
                         emit.i32(static_cast<int64_t>(op.getStages()) - 1), before);
    return Results{{before, position[1]}};
  }
};

struct LowerIsFirstPlace : Lowering<IsFirstPlaceOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(IsFirstPlaceOp, Adaptor adaptor, Emitter &emit) const override {
    return Results{{emit.equal(adaptor.getPosition().front(), emit.i32(0))}};
  }
};

struct LowerPlace : Lowering<PlaceOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(PlaceOp, Adaptor adaptor, Emitter &emit) const override {
    Ring ring = adaptor.getRing();
    return Results{{emit.offset(ring.base, emit.mul(adaptor.getPosition().front(), ring.stageBytes),
                                emit.getI8Type())}};
  }
};

//===----------------------------------------------------------------------===//
// Guards
//===----------------------------------------------------------------------===//

struct LowerAcquire : Lowering<AcquireOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(AcquireOp, Adaptor adaptor, Emitter &emit) const override {
    Ring ring = adaptor.getRing();
    ValueRange position = adaptor.getPosition();
    // Empty places are as if they had been given back once before.
    Value barrier = barrierAt(emit, function, position[0], ring.firstEmpty);
    waitFor(emit, barrier, emit.bitXor(position[1], 1));
    return Results{};
  }
};

struct LowerAwait : Lowering<AwaitOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(AwaitOp, Adaptor adaptor, Emitter &emit) const override {
    Ring ring = adaptor.getRing();
    ValueRange position = adaptor.getPosition();
    waitFor(emit, barrierAt(emit, function, position[0], ring.firstFull), position[1]);
    return Results{};
  }
};

struct LowerArrive : Lowering<ArriveOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(ArriveOp, Adaptor adaptor, Emitter &emit) const override {
    Ring ring = adaptor.getRing();
    arriveWhere(emit, emit.i1(true),
                barrierAt(emit, function, adaptor.getPosition()[0], ring.firstFull));
    return Results{};
  }
};

struct LowerRelease : Lowering<ReleaseOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(ReleaseOp op, Adaptor adaptor, Emitter &emit) const override {
    Ring ring = adaptor.getRing();
    Value arrives = emit.equal(function.lane, emit.i32(0));
    if (op.getCondition())
      arrives = emit.bitAnd(arrives, adaptor.getCondition().front());
    arriveWhere(emit, arrives,
                barrierAt(emit, function, adaptor.getPosition()[0], ring.firstEmpty));
    return Results{};
  }
};

//===----------------------------------------------------------------------===//
// Marks
//===----------------------------------------------------------------------===//

struct LowerMarks : Lowering<MarksOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(MarksOp op, Adaptor, Emitter &emit) const override {
    if (!op.getOffset())
      return op.emitOpError("have no place in shared memory; run sfa-gpu-allocate before");
    return Results{{function.shared(emit, static_cast<int64_t>(*op.getOffset()))}};
  }
};

Value markOf(Emitter &emit, Value marks, Value round) {
  return emit.offset(marks, emit.bitAnd(round, MarksOp::numRounds - 1), emit.getI8Type());
}

struct LowerMark : Lowering<MarkOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(MarkOp, Adaptor adaptor, Emitter &emit) const override {
    Value one = emit.make<arith::ConstantIntOp>(emit.getI8Type(), 1);
    Value marks = adaptor.getMarks().front();
    emit.store(one, markOf(emit, marks, adaptor.getRound().front()));
    emit.store(one, emit.offset(marks, MarksOp::numRounds));
    return Results{};
  }
};

struct LowerIsMarked : Lowering<IsMarkedOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(IsMarkedOp op, Adaptor adaptor, Emitter &emit) const override {
    Value marks = adaptor.getMarks().front();
    Value address = op.getRound() ? markOf(emit, marks, adaptor.getRound().front())
                                  : emit.offset(marks, MarksOp::numRounds);
    Value mark = emit.load(emit.getI8Type(), address);
    Value isMarked = emit.compare(arith::CmpIPredicate::ne, mark, emit.like(mark, 0));
    // Whether there are any is the same for the warp, and the assembler is to know.
    return Results{{op.getRound() ? isMarked : emit.any(isMarked)}};
  }
};

} // namespace

void sfa::simt::populateRingPatterns(RewritePatternSet &patterns, const TypeConverter &types,
                                     const FunctionContext &function) {
  patterns.add<LowerRing, LowerPrepare, LowerStart, LowerPositionAfter, LowerAdvance, LowerStepBack,
               LowerIsFirstPlace, LowerPlace, LowerAcquire, LowerAwait, LowerArrive, LowerRelease,
               LowerMarks,
               LowerMark, LowerIsMarked>(types, patterns.getContext(), function);
}
