//===- Groups.cpp - Groups of consumers that have tiles of their own ------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"
#include <limits>

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

namespace {

/// The region runs as it is: what a group is, `FunctionContext` says.
struct LowerEachGroup : OpConversionPattern<EachGroupOp> {
  LowerEachGroup(const TypeConverter &types, MLIRContext *context, const FunctionContext &function)
      : OpConversionPattern(types, context), function(function) {}

  LogicalResult matchAndRewrite(EachGroupOp op, OneToNOpAdaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Emitter emit(op.getLoc(), rewriter);
    Value number = function.groupWarps == 1 ? function.warp
                                            : emit.div(function.warp, function.groupWarps);
    Block &body = op.getBody().front();
    rewriter.eraseOp(body.getTerminator());
    rewriter.inlineBlockBefore(&body, op, number);
    rewriter.eraseOp(op);
    return success();
  }

  const FunctionContext &function;
};

struct LowerJoinColumns : Lowering<JoinColumnsOp> {
  using Lowering::Lowering;

  FailureOr<Results> lower(JoinColumnsOp op, Adaptor adaptor, Emitter &) const override {
    int64_t repeats = function.repeatsOf(op.getResult().getType().getRows());
    Values joined;
    for (int64_t repeat = 0; repeat < repeats; ++repeat)
      for (ValueRange part : adaptor.getParts()) {
        size_t each = part.size() / repeats;
        llvm::append_range(joined, part.slice(repeat * each, each));
      }
    return Results{joined};
  }
};

/// What the lanes of a warp have of 16 rows, in shared memory: four numbers of each lane next to
/// each other, then the next four.
class LaneNumbers {
public:
  LaneNumbers(Emitter &emit, Value base, Value lane)
      : emit(emit), mine(emit.offset(base, emit.mul(lane, bytesEach), emit.getI8Type())) {}

  void store(ArrayRef<Value> numbers) const {
    auto vector = VectorType::get(atOnce, emit.getF32Type());
    for (size_t i = 0; i < numbers.size(); i += atOnce) {
      Value packed = emit.make<LLVM::PoisonOp>(vector);
      for (int64_t j = 0; j < atOnce; ++j)
        packed = emit.make<LLVM::InsertElementOp>(packed, numbers[i + j], emit.i32(j));
      emit.store(packed, at(i), bytesEach);
    }
  }
  Values load(size_t count) const {
    auto vector = VectorType::get(atOnce, emit.getF32Type());
    Values numbers;
    for (size_t i = 0; i < count; i += atOnce) {
      Value loaded = emit.load(vector, at(i), bytesEach);
      for (int64_t j = 0; j < atOnce; ++j)
        numbers.push_back(emit.make<LLVM::ExtractElementOp>(loaded, emit.i32(j)));
    }
    return numbers;
  }

private:
  Value at(size_t number) const {
    return emit.offset(mine, static_cast<int64_t>(number) / atOnce * lanes * bytesEach);
  }

  static constexpr int64_t atOnce = 4, bytesEach = 16, lanes = 32;
  Emitter &emit;
  Value mine;
};

struct LowerMergeRows : Lowering<MergeRowsOp> {
  using Lowering::Lowering;

  FailureOr<Results> lower(MergeRowsOp op, Adaptor adaptor, Emitter &emit) const override {
    State state{Values(adaptor.getAcc()), Values(adaptor.getMax()), Values(adaptor.getSum())};
    Value scale = adaptor.getScale().front(), room = adaptor.getRoom().front();
    int64_t columns = op.getAcc().getType().getColumns();
    auto place = [&](Value group) {
      int64_t bytes = op.getRoom().getType().getColumns() * 4;
      return LaneNumbers(emit, emit.offset(room, emit.mul(group, bytes), emit.getI8Type()),
                         function.lane);
    };
    for (int64_t lower = function.numConsumers / 2; lower >= 1; lower /= 2) {
      Value isUpper = emit.bitAnd(emit.less(emit.i32(lower - 1), function.warp),
                                  emit.less(function.warp, emit.i32(2 * lower)));
      emit.when(isUpper, [&] { place(emit.sub(function.warp, lower)).store(state.all()); });
      function.meetConsumers(emit);
      Values merged =
          emit.choose(emit.less(function.warp, emit.i32(lower)),
                      [&] {
                        Values other = place(function.warp).load(state.all().size());
                        return merge(state, state.like(other), scale, columns, emit).all();
                      },
                      [&] { return state.all(); });
      state = state.like(merged);
      // The room is free again.
      function.meetConsumers(emit);
    }
    return Results{state.acc, state.max, state.sum};
  }

private:
  struct State {
    Values acc, max, sum;

    /// In one list, whose length is a multiple of 4.
    Values all() const {
      Values numbers(acc);
      llvm::append_range(numbers, max);
      llvm::append_range(numbers, sum);
      return numbers;
    }
    State like(ArrayRef<Value> numbers) const {
      return {Values(numbers.take_front(acc.size())),
              Values(numbers.slice(acc.size(), max.size())), Values(numbers.take_back(sum.size()))};
    }
  };

  static State merge(const State &one, const State &other, Value scale, int64_t columns,
                     Emitter &emit) {
    constexpr float none = -std::numeric_limits<float>::infinity();
    State merged = one;
    Values ofOne, ofOther;
    for (size_t row = 0; row < one.max.size(); ++row) {
      Value max = emit.max(one.max[row], other.max[row]);
      // Rows that have seen no key have nothing to be rescaled.
      Value isUnset = emit.compare(arith::CmpFPredicate::OEQ, max, emit.f32(none));
      Value reference = emit.select(isUnset, emit.f32(0.0f), max);
      auto factor = [&](Value own) {
        return emit.exp2(emit.mul(emit.sub(own, reference), scale));
      };
      ofOne.push_back(factor(one.max[row]));
      ofOther.push_back(factor(other.max[row]));
      merged.max[row] = max;
      merged.sum[row] = emit.fma(other.sum[row], ofOther[row], emit.mul(one.sum[row], ofOne[row]));
    }
    for (auto [i, element] : llvm::enumerate(merged.acc)) {
      size_t row = rowOfElement(i, columns);
      element = emit.fma(other.acc[i], ofOther[row], emit.mul(one.acc[i], ofOne[row]));
    }
    return merged;
  }
};

/// A number of a table, or of a list.
struct LowerMemoryLoad : Lowering<memref::LoadOp> {
  using Lowering::Lowering;

  FailureOr<Results> lower(memref::LoadOp op, Adaptor adaptor, Emitter &emit) const override {
    if (!op.getType().isInteger(32) || op.getMemRefType().getRank() > 2)
      return op.emitOpError("reads anything but a number of a table of i32");
    Memory memory(op.getMemRefType(), adaptor.getMemref());
    SmallVector<ValueRange> indices(adaptor.getIndices());
    Value element = emit.mul(emit.toI64(indices.back().front()), memory.rowStride);
    if (indices.size() == 2)
      element =
          emit.add(element, emit.mul(emit.toI64(indices.front().front()), memory.batchStride));
    return Results{{emit.load(op.getType(), emit.offset(memory.pointer, element, op.getType()))}};
  }
};

} // namespace

void sfa::simt::populateGroupPatterns(RewritePatternSet &patterns, const TypeConverter &types,
                                      const FunctionContext &function) {
  patterns.add<LowerEachGroup, LowerJoinColumns, LowerMergeRows, LowerMemoryLoad>(
      types, patterns.getContext(), function);
}
