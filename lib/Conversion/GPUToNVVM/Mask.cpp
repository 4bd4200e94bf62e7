//===- Mask.cpp - Scores of keys that a query does not see -===//
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

static constexpr float infinity = std::numeric_limits<float>::infinity();

namespace {

struct LowerMask : Lowering<tile::MaskOp> {
  using Lowering::Lowering;

  FailureOr<Results> lower(tile::MaskOp op, Adaptor adaptor, Emitter &emit) const override {
    ScaledFragment tile(op.getScores().getType(), adaptor.getScores());
    ValueRange scores = tile.elements;
    int64_t rows = op.getScores().getType().getRows(),
            columns = op.getScores().getType().getColumns(),
            warpRows = 16 * function.repeatsOf(rows), heads = static_cast<int64_t>(op.getHeads());
    const LanePlace &lane = *function.place;
    Value column = emit.toI64(adaptor.getColumn().front()),
          numKeys = emit.toI64(adaptor.getNumKeys().front());
    Value shift = emit.sub(numKeys, emit.toI64(adaptor.getNumQueries().front()));
    // The key that the first row of the warp is aligned with, or the first of each of its heads.
    Value firstRow = emit.toI64(function.firstRowOfWarp(emit, rows, heads).row);
    Value aligned = emit.add(emit.add(emit.toI64(adaptor.getRow().front()), firstRow), shift);
    std::optional<int64_t> left = op.getMask().leftBound(), right = op.getMask().rightBound();

    // Nothing to do where that row sees the last column and the last row of the warp the first: two
    // comparisons with bounds that are the same for all key tiles.
    Value end = numKeys;
    if (right)
      end = emit.minSigned(end, emit.add(aligned, *right + 1));
    Value hides = emit.less(emit.sub(end, columns), column);
    if (left)
      hides = emit.bitOr(hides, emit.less(column, emit.add(aligned, warpRows - 1 - *left)));

    auto hide = [&] {
      // What differs between lanes is small: i32, relative to the first column of the lane. Where
      // a bound is farther away than that, all columns or none are within it.
      constexpr int64_t farAway = 1 << 20;
      auto inTile = [&](Value bound) {
        bound = emit.sub(bound, column);
        return emit.toI32(
            emit.minSigned(emit.maxSigned(bound, emit.i64(-farAway)), emit.i64(farAway)));
      };
      bool isShared = function.sharesWarp(rows, heads);
      Value first = firstColumn(Emitted(emit, lane.t)), keysLeft = emit.sub(inTile(numKeys), first);
      Value ofLane = isShared ? emit.sub(emit.i32(0), first) : emit.sub(lane.g, first);
      Value lastVisible = right ? emit.add(inTile(emit.add(aligned, *right + 1)), ofLane) : Value();
      Value firstVisible = left ? emit.add(inTile(emit.sub(aligned, *left)), ofLane) : Value();
      // From the bound of the lane's first row, or of the first row of its head.
      auto ofRow = [&](Value bound, size_t number) {
        return isShared ? emit.add(bound, function.rowOfLane(emit, lane.g, number, rows, heads).row)
                        : emit.add(bound, rowOffset(number));
      };
      // Hidden elements are -inf whatever the factor of their row is: of a factor that is a NaN the
      // elements take it over, and the others are not 0.
      Values elements, areNaN, factors;
      for (Value factor : tile.factors) {
        areNaN.push_back(emit.compare(arith::CmpFPredicate::UNO, factor, factor));
        factors.push_back(emit.max(factor, emit.f32(std::numeric_limits<float>::min())));
      }
      Value hidden = tile.elementFor(emit, -infinity),
            nan = tile.elementFor(emit, std::numeric_limits<float>::quiet_NaN());
      for (auto [i, element] : llvm::enumerate(scores)) {
        size_t row = rowOfElement(i, columns);
        int64_t offset = columnOffset(i, columns);
        Value rowEnd = keysLeft;
        if (right)
          rowEnd = emit.minSigned(keysLeft, ofRow(lastVisible, row));
        Value isVisible = emit.less(emit.i32(offset), rowEnd);
        if (left)
          isVisible =
              emit.bitAnd(isVisible, emit.compare(arith::CmpIPredicate::sle,
                                                  ofRow(firstVisible, row), emit.i32(offset)));
        Value number = element;
        if (!areNaN.empty())
          number = emit.select(areNaN[row * tile.factorsOfRow + tile.factorNumber(i)], nan, number);
        elements.push_back(emit.select(isVisible, number, hidden));
      }
      llvm::append_range(elements, factors);
      return elements;
    };
    return Results{emit.choose(hides, hide, [&] { return Values(adaptor.getScores()); })};
  }
};

} // namespace

void sfa::simt::populateMaskPatterns(RewritePatternSet &patterns, const TypeConverter &types,
                                     const FunctionContext &function) {
  patterns.add<LowerMask>(types, patterns.getContext(), function);
}
