//===- Softmax.cpp - Exponentials, maxima and sums of fragments -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

static constexpr float infinity = std::numeric_limits<float>::infinity();
static constexpr float ln2 = 0.693147180559945309f;

static Value isUnset(Emitter &emit, Value reference) {
  return emit.compare(arith::CmpFPredicate::OEQ, reference, emit.f32(-infinity));
}

namespace {

struct LowerFill : Lowering<tile::FillOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(tile::FillOp op, Adaptor, Emitter &emit) const override {
    SmallVector<Type> types;
    if (failed(getTypeConverter()->convertType(op.getTile().getType(), types)))
      return failure();
    return Results{Values(types.size(), emit.f32(op.getValue().convertToFloat()))};
  }
};

struct LowerScale : Lowering<tile::ScaleOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(tile::ScaleOp op, Adaptor adaptor, Emitter &emit) const override {
    Value factor = emit.f32(op.getFactor().convertToFloat());
    ScaledFragment tile(op.getTile().getType(), adaptor.getTile());
    Values scaled;
    for (Value element : tile.elements) {
      if (tile.areIntegers)
        element = emit.make<arith::SIToFPOp>(emit.getF32Type(), element);
      scaled.push_back(emit.mul(element, factor));
    }
    llvm::append_range(scaled, tile.factors);
    return Results{scaled};
  }
};

struct LowerRowMax : Lowering<tile::RowMaxOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(tile::RowMaxOp op, Adaptor adaptor, Emitter &emit) const override {
    int64_t columns = op.getTile().getType().getColumns();
    ScaledFragment tile(op.getTile().getType(), adaptor.getTile());
    Values max(adaptor.getInit());
    auto larger = [&](Value a, Value b) {
      return tile.areIntegers ? emit.maxSigned(a, b) : emit.max(a, b);
    };
    // Two chains for each row, or for each part with a factor, hide the latency of one.
    int64_t parts = std::max<int64_t>(tile.factorsOfRow, 1);
    Values best(2 * parts * max.size());
    for (auto [i, element] : llvm::enumerate(tile.elements)) {
      size_t part = rowOfElement(i, columns) * parts + tile.factorNumber(i);
      Value &chain = best[2 * part + i % 2];
      chain = chain ? larger(chain, element) : element;
    }
    // Factors are positive, so the largest product is that of the largest element.
    auto largestOf = [&](size_t part) {
      Value largest = tile.toBiased(emit, larger(best[2 * part], best[2 * part + 1]));
      if (tile.areIntegers)
        largest = emit.sub(largest, emit.f32(integerBias));
      return tile.factors.empty() ? largest : emit.mul(largest, tile.factors[part]);
    };
    for (size_t row = 0; row < max.size(); ++row) {
      Value lanes = largestOf(row * parts);
      for (int64_t part = 1; part < parts; ++part)
        lanes = emit.max(lanes, largestOf(row * parts + part));
      lanes = emit.max(lanes, emit.shuffleXor(lanes, 1));
      lanes = emit.max(lanes, emit.shuffleXor(lanes, 2));
      max[row] = emit.max(max[row], lanes);
    }
    return Results{max};
  }
};

struct LowerRowSum : Lowering<tile::RowSumOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(tile::RowSumOp op, Adaptor adaptor, Emitter &emit) const override {
    tile::TileType type = op.getTile().getType();
    ValueRange elements = adaptor.getTile();
    // The part of a lane, in two chains for each row.
    Values chains(4 * function.repeatsOf(type.getRows())), sums;
    for (size_t i = 0; i < elements.size(); i += 2) {
      Value &chain = chains[2 * rowOfElement(i, type.getColumns()) + i / 4 % 2];
      Value pair = emit.add(elements[i], elements[i + 1]);
      chain = chain ? emit.add(chain, pair) : pair;
    }
    for (size_t row = 0; row < chains.size(); row += 2)
      sums.push_back(emit.add(chains[row], chains[row + 1]));
    return Results{sums};
  }
};

struct LowerExp2 : Lowering<tile::Exp2Op> {
  using Lowering::Lowering;
  FailureOr<Results> lower(tile::Exp2Op op, Adaptor adaptor, Emitter &emit) const override {
    Value scale = adaptor.getScale().front();
    ValueRange reference = adaptor.getReference();
    auto type = cast<tile::TileType>(op.getTile().getType());
    ScaledFragment tile(type, adaptor.getTile());
    // What exp2 adds to a scaled score: minus the scaled reference, 0 for a row that has seen no
    // key. One rounded product for all keys of a row: its error cancels.
    Value raise = op.getRaise().isZero() ? Value() : emit.f32(op.getRaise().convertToFloat());
    Values offsets;
    for (Value row : reference) {
      Value unset = isUnset(emit, row);
      Value scaled = raise ? emit.fma(row, scale, raise) : emit.mul(row, scale);
      offsets.push_back(emit.negate(emit.select(unset, emit.f32(0.0f), scaled)));
    }
    // The scale of each part of a row that has a factor; not 0, so that -inf stays what it is. A
    // NaN stays one.
    Values scales;
    Value least = emit.f32(std::numeric_limits<float>::min());
    for (Value factor : tile.factors)
      scales.push_back(emit.make<arith::MaximumFOp>(emit.mul(factor, scale), least));
    // Of integers what the bias adds is subtracted with the reference.
    Values biased;
    if (tile.areIntegers && !op.getDifferenceFirst())
      for (auto [number, ofPart] : llvm::enumerate(scales))
        biased.push_back(
            emit.fma(ofPart, emit.f32(-integerBias), offsets[number / tile.factorsOfRow]));
    auto power = [&](Value element, size_t row, int64_t part) {
      size_t number = row * tile.factorsOfRow + part;
      element = tile.toBiased(emit, element);
      if (!op.getDifferenceFirst())
        return emit.exp2(emit.fma(element, scales.empty() ? scale : scales[number],
                                  biased.empty() ? offsets[row] : biased[number]));
      if (tile.areIntegers)
        element = emit.sub(element, emit.f32(integerBias));
      Value unset = isUnset(emit, reference[row]);
      Value base = emit.select(unset, emit.f32(0.0f), reference[row]);
      Value difference = scales.empty()
                             ? emit.sub(element, base)
                             : emit.fma(element, tile.factors[number], emit.negate(base));
      return emit.exp2(emit.mul(difference, scale));
    };
    Values powers;
    for (auto [i, element] : llvm::enumerate(tile.elements)) {
      if (!type.isRowVector())
        powers.push_back(power(element, rowOfElement(i, type.getColumns()), tile.factorNumber(i)));
      else if (op.getDifferenceFirst())
        powers.push_back(power(element, i, 0));
      else // Factors are ratios of what the tiles subtracted.
        powers.push_back(emit.exp2(emit.add(emit.mul(element, scale), offsets[i])));
    }
    return Results{powers};
  }
};

struct LowerScaleRows : Lowering<tile::ScaleRowsOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(tile::ScaleRowsOp op, Adaptor adaptor, Emitter &emit) const override {
    ValueRange tile = adaptor.getTile(), factors = adaptor.getFactors();
    int64_t columns = op.getTile().getType().getColumns();
    auto scaled = [&] {
      Values elements;
      for (auto [i, element] : llvm::enumerate(tile))
        elements.push_back(emit.mul(element, factors[rowOfElement(i, columns)]));
      return elements;
    };
    if (!op.getMostlyOnes())
      return Results{scaled()};
    // The warp looks whether one of its rows has a factor that is not 1.
    Value differs;
    for (Value factor : factors) {
      Value row = emit.compare(arith::CmpFPredicate::UNE, factor, emit.f32(1.0f));
      differs = differs ? emit.bitOr(differs, row) : row;
    }
    return Results{emit.choose(emit.any(differs), scaled, [&] { return Values(tile); })};
  }
};

struct LowerNormalize : Lowering<tile::NormalizeOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(tile::NormalizeOp op, Adaptor adaptor, Emitter &emit) const override {
    Values inverses, elements;
    for (Value row : adaptor.getSum()) {
      Value empty = emit.compare(arith::CmpFPredicate::OEQ, row, emit.f32(0.0f));
      inverses.push_back(emit.select(empty, emit.f32(0.0f), emit.reciprocal(row)));
    }
    int64_t columns = op.getAcc().getType().getColumns();
    for (auto [i, element] : llvm::enumerate(adaptor.getAcc()))
      elements.push_back(emit.mul(element, inverses[rowOfElement(i, columns)]));
    return Results{elements};
  }
};

struct LowerLse : Lowering<tile::LseOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(tile::LseOp op, Adaptor adaptor, Emitter &emit) const override {
    Values result;
    Value scale = adaptor.getScale().front();
    float raise = op.getRaise() ? op.getRaise()->convertToFloat() : 0.0f;
    for (auto [max, total] : llvm::zip_equal(adaptor.getReference(), adaptor.getSum())) {
      Value empty = emit.compare(arith::CmpFPredicate::OEQ, total, emit.f32(0.0f));
      Value log;
      if (raise == 0.0f) {
        log = emit.log2(total);
      } else {
        // Small sums are made large first, rather than their logarithm: that would cancel.
        Value isLarge = emit.compare(arith::CmpFPredicate::OGT, total, emit.f32(1.0f));
        Value large = emit.mul(total, emit.f32(std::exp2(raise)));
        log = emit.add(emit.log2(emit.select(isLarge, total, large)),
                       emit.select(isLarge, emit.f32(raise), emit.f32(0.0f)));
      }
      log = emit.mul(log, emit.f32(ln2));
      Value finite;
      if (op.getRaise()) {
        // The rounded number that exponents subtract: its error has to cancel here, too.
        Value subtracted = emit.sub(emit.fma(max, scale, emit.f32(raise)), emit.f32(raise));
        finite = emit.fma(subtracted, emit.f32(ln2), log);
      } else {
        finite = emit.fma(max, scale, log);
      }
      result.push_back(emit.select(empty, emit.f32(-infinity), finite));
    }
    return Results{result};
  }
};

//===----------------------------------------------------------------------===//
// Columns of row sums
//===----------------------------------------------------------------------===//

/// The parts of an accumulator of `columns` columns, of which the last are row sums.
std::pair<Values, Values> splitSumColumns(ValueRange wide, int64_t columns) {
  Values acc, sums;
  int64_t blockSize = (columns - tile::sumColumns) / 2;
  for (ValueRange rest = wide; !rest.empty();
       rest = rest.drop_front(blockSize + tile::sumColumns / 2)) {
    llvm::append_range(acc, rest.take_front(blockSize));
    // All columns are the same; of the four numbers of a lane two are of each of its rows.
    sums.append({rest[blockSize], rest[blockSize + 2]});
  }
  return {acc, sums};
}

struct LowerRowSumsOf : Lowering<tile::RowSumsOfOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(tile::RowSumsOfOp op, Adaptor adaptor, Emitter &) const override {
    return Results{splitSumColumns(adaptor.getWide(), op.getWide().getType().getColumns()).second};
  }
};

struct LowerSplitSums : Lowering<tile::SplitSumsOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(tile::SplitSumsOp op, Adaptor adaptor, Emitter &) const override {
    auto [acc, sums] = splitSumColumns(adaptor.getWide(), op.getWide().getType().getColumns());
    return Results{acc, sums};
  }
};

struct LowerNotFinite : Lowering<tile::NotFiniteOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(tile::NotFiniteOp, Adaptor adaptor, Emitter &emit) const override {
    // 0 x is 0 or a NaN.
    constexpr size_t numChains = 4;
    Values chains(numChains, emit.f32(0.0f));
    for (auto [i, element] : llvm::enumerate(adaptor.getTile()))
      chains[i % numChains] = emit.fma(element, emit.f32(0.0f), chains[i % numChains]);
    Value sum = emit.add(emit.add(chains[0], chains[1]), emit.add(chains[2], chains[3]));
    return Results{{emit.compare(arith::CmpFPredicate::UNO, sum, sum)}};
  }
};

} // namespace

void sfa::simt::populateSoftmaxPatterns(RewritePatternSet &patterns, const TypeConverter &types,
                                        const FunctionContext &function) {
  patterns.add<LowerFill, LowerScale, LowerRowMax, LowerRowSum, LowerExp2, LowerScaleRows,
               LowerNormalize, LowerLse, LowerRowSumsOf, LowerSplitSums, LowerNotFinite>(
      types, patterns.getContext(), function);
}
