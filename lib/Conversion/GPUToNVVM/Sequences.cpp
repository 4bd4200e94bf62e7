//===- Sequences.cpp - Tokens of several sequences, and sizes of memories -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../SequenceTile/SequenceTile.h"
#include "../SequenceTile/SplitRange.h"
#include "Patterns.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

Value sfa::simt::loadLength(Emitter &emit, const Memory &lengths, Value sequence, Value limit) {
  Type i32 = emit.getI32Type();
  Value element = emit.mul(emit.toI64(sequence), lengths.rowStride);
  Value length = emit.load(i32, emit.offset(lengths.pointer, element, i32));
  return emit.minSigned(emit.maxSigned(length, emit.i32(0)), limit);
}

namespace {

struct LowerSequenceTile : Lowering<tile::SequenceTileOp> {
  using Lowering::Lowering;

  FailureOr<Results> lower(tile::SequenceTileOp op, Adaptor adaptor, Emitter &emit) const override {
    // The same in all threads of the block.
    auto memoryOf = [&](Value offsets) {
      return Memory(offsets.getType(), offsets == op.getQueryOffsets() ? adaptor.getQueryOffsets()
                                                                       : adaptor.getKeyOffsets());
    };
    auto count = [&](Value offsets) { return emit.toIndex(memoryOf(offsets).rows); };
    auto read = [&](Value offsets, Value number) {
      Memory source = memoryOf(offsets);
      Type i32 = emit.getI32Type();
      Value element = emit.mul(emit.toI64(number), source.rowStride);
      return emit.toIndex(emit.load(i32, emit.offset(source.pointer, element, i32)));
    };
    Results results;
    for (Value value : tile::emitSequenceTile(emit, op, adaptor.getTile().front(),
                                              adaptor.getNumQueries().front(),
                                              adaptor.getNumKeys().front(), {count, read}))
      results.push_back({value});
    return results;
  }
};

struct LowerSplitRange : Lowering<tile::SplitRangeOp> {
  using Lowering::Lowering;

  FailureOr<Results> lower(tile::SplitRangeOp op, Adaptor adaptor, Emitter &emit) const override {
    Memory lengths(op.getLengths().getType(), adaptor.getLengths());
    Value length = loadLength(emit, lengths, adaptor.getSequence().front(),
                              emit.toI32(adaptor.getLimit().front()));
    tile::SplitRange range =
        tile::emitSplitRange(emit, length, emit.toI32(adaptor.getSplit().front()),
                             static_cast<int64_t>(op.getBlocks()));
    return Results{{emit.toIndex(length)}, {emit.toIndex(range.first)}, {emit.toIndex(range.count)}};
  }
};

struct LowerDim : Lowering<memref::DimOp> {
  using Lowering::Lowering;

  FailureOr<Results> lower(memref::DimOp op, Adaptor adaptor, Emitter &emit) const override {
    Memory source(op.getSource().getType(), adaptor.getSource());
    std::optional<int64_t> index = op.getConstantIndex();
    int64_t rowsIndex = source.type.getRank() < 3 ? source.type.getRank() - 1 : 2;
    if (index == rowsIndex)
      return Results{{emit.toIndex(source.rows)}};
    if (index && !source.type.isDynamicDim(*index))
      return Results{{emit.make<arith::ConstantIndexOp>(source.type.getDimSize(*index))}};
    if (index == 0)
      for (const FunctionContext::BatchesParameter &batches : function.batches)
        if (batches.memory == FunctionContext::numberOf(source.pointer))
          return Results{{emit.toIndex(batches.parameter)}};
    return op.emitOpError("asks for a size that a kernel of a GPU does not know");
  }
};

} // namespace

void sfa::simt::populateSequencePatterns(RewritePatternSet &patterns, const TypeConverter &types,
                                         const FunctionContext &function) {
  patterns.add<LowerSequenceTile, LowerSplitRange, LowerDim>(types, patterns.getContext(), function);
}
