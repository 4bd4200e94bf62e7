//===- Softmax.cpp - Masks, row maxima and sums, the exponential on a GPU ----- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;
using namespace sfa::gpu;

static constexpr float infinity = std::numeric_limits<float>::infinity();
static constexpr float ln2 = 0.693147180559945309f;

/// How many elements and rows a lane has of a tile.
static size_t numElements(const Geometry &geometry, TileType tile) {
  return tile.isRowVector() ? 2 * geometry.repeats : geometry.repeats * tile.getColumns() / 2;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

/// By how many rows the row `number` of a lane is behind its first one.
static int64_t rowOffset(size_t number) {
  return static_cast<int64_t>(number / 2 * 16 + number % 2 * 8);
}

bool KernelLowering::sharesWarp(uint64_t heads) const {
  return ScheduleAttr::rowsOfHead(geometry.qTile, static_cast<int64_t>(heads)) <
         16 * geometry.repeats;
}

KernelLowering::RowOfHead KernelLowering::firstRowOfWarp(uint64_t heads) {
  Value first = emit.mul(warp, 16 * geometry.repeats);
  if (heads == 1)
    return {nullptr, first};
  int64_t rows = ScheduleAttr::rowsOfHead(geometry.qTile, static_cast<int64_t>(heads));
  return {emit.div(first, rows), emit.rem(first, rows)};
}

KernelLowering::RowOfHead KernelLowering::rowOfLane(size_t number, uint64_t heads) {
  RowOfHead place = firstRowOfWarp(heads);
  if (!sharesWarp(heads)) {
    place.row = emit.add(emit.add(place.row, g), rowOffset(number));
    return place;
  }
  int64_t rows = ScheduleAttr::rowsOfHead(geometry.qTile, static_cast<int64_t>(heads));
  Value row = emit.add(g, rowOffset(number));
  return {emit.add(place.head, emit.div(row, rows)), emit.rem(row, rows)};
}

void KernelLowering::lower(FillOp op) {
  auto tile = cast<TileType>(op.getTile().getType());
  Values values(numElements(geometry, tile), emit.f32(op.getValue().convertToFloat()));
  setRegisters(op.getTile(), values);
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

void KernelLowering::lower(MaskOp op) {
  Fragment scores = fragments.at(op.getScores());
  Value column = emit.toI64(scalar(op.getColumn())), numKeys = emit.toI64(scalar(op.getNumKeys()));
  Value shift = emit.sub(numKeys, emit.toI64(scalar(op.getNumQueries())));
  // The key that the first row of the warp is aligned with, or the first of each of its heads.
  Value firstRow = emit.toI64(firstRowOfWarp(op.getHeads()).row);
  Value aligned = emit.add(emit.add(emit.toI64(scalar(op.getRow())), firstRow), shift);
  std::optional<int64_t> left = op.getMask().leftBound(), right = op.getMask().rightBound();

  // Nothing to do where that row sees the last column and the last row of the warp the first: two
  // comparisons with bounds that are the same for all key tiles.
  Value end = numKeys;
  if (right)
    end = emit.minSigned(end, emit.add(aligned, *right + 1));
  Value hides = emit.less(emit.sub(end, scores.columns), column);
  if (left)
    hides =
        emit.bitOr(hides, emit.less(column, emit.add(aligned, 16 * geometry.repeats - 1 - *left)));

  Values masked = emit.choose(
      hides,
      [&] {
        // What differs between lanes is small: i32, relative to the first column of the lane. Where
        // a bound is farther away than that, all columns or none are within it.
        constexpr int64_t farAway = 1 << 20;
        auto inTile = [&](Value bound) {
          bound = emit.sub(bound, column);
          return emit.toI32(
              emit.minSigned(emit.maxSigned(bound, emit.i64(-farAway)), emit.i64(farAway)));
        };
        bool isShared = sharesWarp(op.getHeads());
        Value twoT = emit.mul(t, 2), keysLeft = emit.sub(inTile(numKeys), twoT);
        Value lane = isShared ? emit.sub(emit.i32(0), twoT) : emit.sub(g, twoT);
        Value lastVisible = right ? emit.add(inTile(emit.add(aligned, *right + 1)), lane) : Value();
        Value firstVisible = left ? emit.add(inTile(emit.sub(aligned, *left)), lane) : Value();
        // From the bound of the lane's first row, or of the first row of its head.
        auto ofRow = [&](Value bound, size_t number) {
          return isShared ? emit.add(bound, rowOfLane(number, op.getHeads()).row)
                          : emit.add(bound, rowOffset(number));
        };
        Values elements;
        Value hidden = emit.f32(-infinity);
        for (auto [i, element] : llvm::enumerate(scores.elements)) {
          size_t row = scores.rowOf(i);
          auto offset = static_cast<int64_t>(i % (scores.columns / 2) / 4 * 8 + i % 2);
          Value rowEnd = keysLeft;
          if (right)
            rowEnd = emit.minSigned(keysLeft, ofRow(lastVisible, row));
          Value isVisible = emit.less(emit.i32(offset), rowEnd);
          if (left)
            isVisible =
                emit.bitAnd(isVisible, emit.compare(arith::CmpIPredicate::sle,
                                                    ofRow(firstVisible, row), emit.i32(offset)));
          elements.push_back(emit.select(isVisible, element, hidden));
        }
        return elements;
      },
      [&] { return scores.elements; });
  fragments[op.getResult()] = {masked, scores.columns};
}

void KernelLowering::lower(ScaleOp op) {
  Value factor = emit.f32(op.getFactor().convertToFloat());
  Values scaled;
  for (Value element : registersOf(op.getTile()))
    scaled.push_back(emit.mul(element, factor));
  setRegisters(op.getResult(), scaled);
}

void KernelLowering::lower(RowMaxOp op) {
  const Fragment &tile = fragments.at(op.getTile());
  Values max = rowsOf(op.getInit());
  // Two chains for each row hide the latency of one.
  Values best(2 * max.size());
  for (auto [i, element] : llvm::enumerate(tile.elements)) {
    Value &chain = best[2 * tile.rowOf(i) + i % 2];
    chain = chain ? emit.max(chain, element) : element;
  }
  for (size_t row = 0; row < max.size(); ++row) {
    Value lanes = emit.max(best[2 * row], best[2 * row + 1]);
    lanes = emit.max(lanes, emit.shuffleXor(lanes, 1));
    lanes = emit.max(lanes, emit.shuffleXor(lanes, 2));
    max[row] = emit.max(max[row], lanes);
  }
  setRegisters(op.getResult(), max);
}

void KernelLowering::lower(Exp2Op op) {
  Value scale = emit.f32(op.getScale().convertToFloat());
  Values reference = rowsOf(op.getReference());
  auto type = cast<TileType>(op.getTile().getType());
  // What exp2 adds to a scaled score: minus the scaled reference, 0 for a row that has seen no key.
  // One rounded product for all keys of a row: its error cancels.
  Value raise = op.getRaise().isZero() ? Value() : emit.f32(op.getRaise().convertToFloat());
  auto isUnset = [&](Value row) {
    return emit.compare(arith::CmpFPredicate::OEQ, row, emit.f32(-infinity));
  };
  Values offsets;
  for (Value row : reference) {
    Value unset = isUnset(row);
    Value scaled = raise ? emit.fma(row, scale, raise) : emit.mul(row, scale);
    offsets.push_back(emit.negate(emit.select(unset, emit.f32(0.0f), scaled)));
  }
  auto power = [&](Value element, size_t row) {
    if (!op.getDifferenceFirst())
      return emit.exp2(emit.fma(element, scale, offsets[row]));
    Value base = emit.select(isUnset(reference[row]), emit.f32(0.0f), reference[row]);
    return emit.exp2(emit.mul(emit.sub(element, base), scale));
  };
  Values powers;
  if (type.isRowVector()) {
    for (auto [row, element] : llvm::enumerate(rowsOf(op.getTile()))) {
      // Factors are ratios of what the tiles subtracted.
      powers.push_back(op.getDifferenceFirst()
                           ? power(element, row)
                           : emit.exp2(emit.add(emit.mul(element, scale), offsets[row])));
    }
  } else {
    const Fragment &tile = fragments.at(op.getTile());
    for (auto [i, element] : llvm::enumerate(tile.elements))
      powers.push_back(power(element, tile.rowOf(i)));
  }
  setRegisters(op.getResult(), powers);
}

void KernelLowering::lower(RowSumOp op) {
  const Fragment &tile = fragments.at(op.getTile());
  // The part of a lane, in two chains for each row.
  Values chains(4 * geometry.repeats), sums;
  for (size_t i = 0; i < tile.elements.size(); i += 2) {
    Value &chain = chains[2 * tile.rowOf(i) + i / 4 % 2];
    Value pair = emit.add(tile.elements[i], tile.elements[i + 1]);
    chain = chain ? emit.add(chain, pair) : pair;
  }
  for (size_t row = 0; row < chains.size(); row += 2)
    sums.push_back(emit.add(chains[row], chains[row + 1]));
  setRegisters(op.getResult(), sums);
}

//===----------------------------------------------------------------------===//
// Accumulator and epilogue
//===----------------------------------------------------------------------===//

void KernelLowering::lower(ScaleRowsOp op) {
  Fragment tile = fragments.at(op.getTile());
  Values factors = rowsOf(op.getFactors());
  auto scaled = [&] {
    Values elements;
    for (auto [i, element] : llvm::enumerate(tile.elements))
      elements.push_back(emit.mul(element, factors[tile.rowOf(i)]));
    return elements;
  };
  if (!op.getMostlyOnes()) {
    fragments[op.getResult()] = {scaled(), tile.columns};
    return;
  }
  // The warp looks whether one of its rows has a factor that is not 1.
  Value differs;
  for (Value factor : factors) {
    Value row = emit.compare(arith::CmpFPredicate::UNE, factor, emit.f32(1.0f));
    differs = differs ? emit.bitOr(differs, row) : row;
  }
  fragments[op.getResult()] = {
      emit.choose(emit.any(differs), scaled, [&] { return tile.elements; }), tile.columns};
}

void KernelLowering::lower(NormalizeOp op) {
  Fragment tile = fragments.at(op.getAcc());
  Values inverses;
  for (Value row : rowsOf(op.getSum())) {
    Value empty = emit.compare(arith::CmpFPredicate::OEQ, row, emit.f32(0.0f));
    inverses.push_back(emit.select(empty, emit.f32(0.0f), emit.reciprocal(row)));
  }
  Values elements;
  for (auto [i, element] : llvm::enumerate(tile.elements))
    elements.push_back(emit.mul(element, inverses[tile.rowOf(i)]));
  fragments[op.getResult()] = {elements, tile.columns};
}

void KernelLowering::lower(LseOp op) {
  Values reference = rowsOf(op.getReference()), sum = rowsOf(op.getSum()), result;
  Value scale = emit.f32(op.getScale().convertToFloat());
  float raise = op.getRaise() ? op.getRaise()->convertToFloat() : 0.0f;
  for (auto [max, total] : llvm::zip_equal(reference, sum)) {
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
  setRegisters(op.getResult(), result);
}

//===----------------------------------------------------------------------===//
// Columns of row sums
//===----------------------------------------------------------------------===//

Value KernelLowering::halfOfOnes() {
  return emit.i32(valueType.isBF16() ? 0x3F803F80 : 0x3C003C00);
}

/// The parts of an accumulator with columns of row sums.
static std::pair<Fragment, KernelLowering::Values> splitSumColumns(const Fragment &wide) {
  Fragment acc{{}, wide.columns - sumColumns};
  KernelLowering::Values sums;
  size_t blockSize = acc.columns / 2;
  for (ArrayRef<Value> rest = wide.elements; !rest.empty();
       rest = rest.drop_front(blockSize + sumColumns / 2)) {
    llvm::append_range(acc.elements, rest.take_front(blockSize));
    // All columns are the same; of the four numbers of a lane two are of each of its rows.
    sums.append({rest[blockSize], rest[blockSize + 2]});
  }
  return {acc, sums};
}

void KernelLowering::lower(RowSumsOfOp op) {
  setRegisters(op.getSums(), splitSumColumns(fragments.at(op.getWide())).second);
}

void KernelLowering::lower(SplitSumsOp op) {
  auto [acc, sums] = splitSumColumns(fragments.at(op.getWide()));
  fragments[op.getAcc()] = acc;
  setRegisters(op.getSums(), sums);
}

void KernelLowering::lower(NotFiniteOp op) {
  // 0 x is 0 or a NaN.
  constexpr size_t numChains = 4;
  Values chains(numChains, emit.f32(0.0f));
  for (auto [i, element] : llvm::enumerate(fragments.at(op.getTile()).elements))
    chains[i % numChains] = emit.fma(element, emit.f32(0.0f), chains[i % numChains]);
  Value sum = emit.add(emit.add(chains[0], chains[1]), emit.add(chains[2], chains[3]));
  mapping.map(op.getResult(), emit.compare(arith::CmpFPredicate::UNO, sum, sum));
}
