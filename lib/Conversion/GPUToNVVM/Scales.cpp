//===- Scales.cpp - Scales of 8-bit integers -----------------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"
#include "StoredScales.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

namespace {

/// Of queries: those of the rows of the lane.
struct LowerLoadRowScales : Lowering<tile::LoadScalesOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(tile::LoadScalesOp op, Adaptor adaptor, Emitter &emit) const override {
    Memory memory(op.getMemory().getType(), adaptor.getMemory());
    StoredScales stored(emit, memory, adaptor.getBatch().front(), adaptor.getHead().front(),
                        op.getSharedBy());
    int64_t rows = op.getScales().getType().getRows(), heads = static_cast<int64_t>(op.getHeads());
    Value first = emit.toI64(adaptor.getRow().front());
    Values scales;
    for (int64_t number = 0; number < 2 * function.repeatsOf(rows); ++number) {
      auto [head, row] = function.rowOfLane(emit, function.place->g, number, rows, heads);
      // Rows behind those of the last head are those of any.
      if (head && ScheduleAttr::rowsOfHead(rows, heads) * heads < rows)
        head = emit.minSigned(head, emit.i32(heads - 1));
      scales.push_back(stored.at(emit.add(first, emit.toI64(row)), head));
    }
    return Results{scales};
  }
};

/// Of keys: those of the columns of the lane, or of all columns that have one together.
struct LowerLoadScales : Lowering<LoadScalesOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(LoadScalesOp op, Adaptor adaptor, Emitter &emit) const override {
    Memory memory(op.getMemory().getType(), adaptor.getMemory());
    StoredScales stored(emit, memory, adaptor.getBatch().front(), adaptor.getHead().front(),
                        op.getSharedBy());
    Value first = emit.toI64(adaptor.getRow().front());
    ColumnsType columns = op.getScales().getType();
    Values scales;
    if (columns.getTogether() == 1) {
      Value mine = emit.add(first, emit.toI64(emit.mul(function.place->t, 2)));
      for (int64_t column = 0; column < columns.getSize(); column += 8)
        for (int64_t next : {0, 1})
          scales.push_back(stored.at(emit.add(mine, column + next)));
      return Results{scales};
    }
    scales.assign(columns.getNumRegisters(), stored.at(first));
    if (scales.size() == 1)
      return Results{scales};
    // A tile has keys of two scales at most.
    Value last = stored.at(emit.add(first, columns.getSize() - 1));
    Value left = emit.toI32(emit.sub(emit.i64(tokensOfScale), emit.rem(first, tokensOfScale)));
    for (size_t number = 1; number < scales.size(); ++number) {
      auto column = static_cast<int64_t>(number) * columns.getTogether();
      scales[number] = emit.select(emit.less(emit.i32(column), left), scales.front(), last);
    }
    return Results{scales};
  }
};

struct LowerDequantize : Lowering<DequantizeOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(DequantizeOp op, Adaptor adaptor, Emitter &emit) const override {
    int64_t columns = op.getProduct().getType().getColumns();
    ValueRange keys = adaptor.getKeys();
    bool differ = op.getKeys().getType().getTogether() == 1;
    Values numbers, factors;
    for (auto [i, integer] : llvm::enumerate(adaptor.getProduct())) {
      if (!differ) {
        numbers.push_back(integer);
        continue;
      }
      // Of 4 elements two are of each row, in the same columns.
      Value number = emit.make<arith::SIToFPOp>(emit.getF32Type(), integer);
      numbers.push_back(emit.mul(number, keys[i % (columns / 2) / 4 * 2 + i % 2]));
    }
    for (Value row : adaptor.getRows()) {
      if (differ)
        factors.push_back(row);
      else
        for (Value scale : keys)
          factors.push_back(emit.mul(row, scale));
    }
    llvm::append_range(numbers, factors);
    return Results{numbers};
  }
};

} // namespace

void sfa::simt::populateScalePatterns(RewritePatternSet &patterns, const TypeConverter &types,
                                      const FunctionContext &function) {
  patterns.add<LowerLoadRowScales, LowerLoadScales, LowerDequantize>(types, patterns.getContext(),
                                                                     function);
}
