//===- Sequences.cpp - Tokens of several sequences, and sizes of memories -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../SequenceTile/SequenceTile.h"
#include "Patterns.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

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

struct LowerDim : Lowering<memref::DimOp> {
  using Lowering::Lowering;

  FailureOr<Results> lower(memref::DimOp op, Adaptor adaptor, Emitter &emit) const override {
    Memory source(op.getSource().getType(), adaptor.getSource());
    std::optional<int64_t> index = op.getConstantIndex();
    int64_t rowsIndex = source.type.getRank() == 1 ? 0 : 2;
    if (index == rowsIndex)
      return Results{{emit.toIndex(source.rows)}};
    if (index && !source.type.isDynamicDim(*index))
      return Results{{emit.make<arith::ConstantIndexOp>(source.type.getDimSize(*index))}};
    return op.emitOpError("asks for a size that a kernel of a GPU does not know");
  }
};

} // namespace

void sfa::simt::populateSequencePatterns(RewritePatternSet &patterns, const TypeConverter &types,
                                         const FunctionContext &function) {
  patterns.add<LowerSequenceTile, LowerDim>(types, patterns.getContext(), function);
}
