//===- Softmax.cpp - Masks, row maxima and sums, the exponential on a GPU ----- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"
#include "mlir/IR/Matchers.h"
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

RowVector KernelLowering::combine(ArrayRef<RowVector> vectors,
                                  function_ref<Value(ArrayRef<Value>)> body) {
  RowVector result{{}, vectors.front().isSpread};
  for (size_t row = 0; row < vectors.front().elements.size(); ++row) {
    Values operands;
    for (const RowVector &vector : vectors)
      operands.push_back(vector.elements[row]);
    result.elements.push_back(body(operands));
  }
  return result;
}

RowVector KernelLowering::gather(const RowVector &rows) {
  if (!rows.isSpread)
    return rows;
  RowVector whole = combine(rows, [&](ArrayRef<Value> part) {
    Value pair = emit.add(part[0], emit.shuffleXor(part[0], 1));
    return emit.add(pair, emit.shuffleXor(pair, 2));
  });
  whole.isSpread = false;
  return whole;
}

RowVector KernelLowering::spread(const RowVector &rows) {
  if (rows.isSpread)
    return rows;
  // The first lane of a row keeps the number.
  Value keeps = emit.equal(t, emit.i32(0));
  RowVector parts = combine(rows, [&](ArrayRef<Value> whole) {
    return matchPattern(whole[0], m_PosZeroFloat()) ? whole[0]
                                                    : emit.select(keeps, whole[0], emit.f32(0.0f));
  });
  parts.isSpread = true;
  return parts;
}

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
  setRegisters(op.getTile(), values, /*isSpread=*/false);
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
  bool spread = isSpread(op.getTile());
  Values scaled;
  for (Value element : registersOf(op.getTile(), spread))
    scaled.push_back(emit.mul(element, factor));
  setRegisters(op.getResult(), scaled, spread);
}

void KernelLowering::lower(RowMaxOp op) {
  const Fragment &tile = fragments.at(op.getTile());
  RowVector max = gather(rowVectors.at(op.getInit()));
  // Two chains for each row hide the latency of one.
  Values best(2 * max.elements.size());
  for (auto [i, element] : llvm::enumerate(tile.elements)) {
    Value &chain = best[2 * tile.rowOf(i) + i % 2];
    chain = chain ? emit.max(chain, element) : element;
  }
  for (size_t row = 0; row < max.elements.size(); ++row) {
    Value lanes = emit.max(best[2 * row], best[2 * row + 1]);
    lanes = emit.max(lanes, emit.shuffleXor(lanes, 1));
    lanes = emit.max(lanes, emit.shuffleXor(lanes, 2));
    max.elements[row] = emit.max(max.elements[row], lanes);
  }
  rowVectors[op.getResult()] = max;
}

void KernelLowering::lower(Exp2Op op) {
  Value scale = emit.f32(op.getScale().convertToFloat());
  RowVector reference = gather(rowVectors.at(op.getReference()));
  auto type = cast<TileType>(op.getTile().getType());
  // What exp2 adds to a scaled score: minus the scaled reference, 0 for a row that has seen no key.
  // One rounded product for all keys of a row: its error cancels.
  Value raise = isOptimistic && lazy->raise ? emit.f32(lazy->raise) : Value();
  Values offsets;
  for (Value row : reference.elements) {
    Value unset = emit.compare(arith::CmpFPredicate::OEQ, row, emit.f32(-infinity));
    Value scaled = raise ? emit.fma(row, scale, raise) : emit.mul(row, scale);
    offsets.push_back(emit.negate(emit.select(unset, emit.f32(0.0f), scaled)));
  }
  // f16 tells 1 from the neighbour of 1 that a rounded product of thousands gives: there the
  // difference comes first, as on the CPU, and the largest probability is 1.
  bool subtractsFirst = valueType.isF16() && !isOptimistic;
  auto power = [&](Value element, size_t row) {
    if (!subtractsFirst)
      return emit.exp2(emit.fma(element, scale, offsets[row]));
    Value base = reference.elements[row];
    Value unset = emit.compare(arith::CmpFPredicate::OEQ, base, emit.f32(-infinity));
    base = emit.select(unset, emit.f32(0.0f), base);
    return emit.exp2(emit.mul(emit.sub(element, base), scale));
  };
  Values powers;
  if (type.isRowVector()) {
    RowVector rows = gather(rowVectors.at(op.getTile()));
    for (auto [row, element] : llvm::enumerate(rows.elements)) {
      // Factors are ratios of what the tiles subtracted.
      powers.push_back(subtractsFirst
                           ? power(element, row)
                           : emit.exp2(emit.add(emit.mul(element, scale), offsets[row])));
    }
  } else {
    const Fragment &tile = fragments.at(op.getTile());
    for (auto [i, element] : llvm::enumerate(tile.elements))
      powers.push_back(power(element, tile.rowOf(i)));
  }
  setRegisters(op.getResult(), powers, /*isSpread=*/false);
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
  rowVectors[op.getResult()] = {sums, /*isSpread=*/true};
}

//===----------------------------------------------------------------------===//
// Row vectors
//===----------------------------------------------------------------------===//

void KernelLowering::lower(FmaOp op) {
  // a b + c: the factor is of the whole row, the other two may be parts.
  RowVector a = rowVectors.at(op.getA()), b = gather(rowVectors.at(op.getB())),
            c = rowVectors.at(op.getC());
  if (a.isSpread || c.isSpread)
    a = spread(a), c = spread(c);
  rowVectors[op.getResult()] =
      combine({a, b, c}, [&](ArrayRef<Value> in) { return emit.fma(in[0], in[1], in[2]); });
}

void KernelLowering::lower(AddOp op) {
  RowVector a = rowVectors.at(op.getA()), b = rowVectors.at(op.getB());
  if (a.isSpread || b.isSpread)
    a = spread(a), b = spread(b);
  rowVectors[op.getResult()] =
      combine({a, b}, [&](ArrayRef<Value> in) { return emit.add(in[0], in[1]); });
}

//===----------------------------------------------------------------------===//
// Accumulator and epilogue
//===----------------------------------------------------------------------===//

void KernelLowering::lower(ScaleRowsOp op) {
  Fragment tile = fragments.at(op.getTile());
  if (matchPattern(scalar(op.getCondition()), m_Zero())) {
    fragments[op.getResult()] = tile;
    return;
  }
  RowVector factors = gather(rowVectors.at(op.getFactors()));
  auto scaled = [&] {
    Values elements;
    for (auto [i, element] : llvm::enumerate(tile.elements))
      elements.push_back(emit.mul(element, factors.elements[tile.rowOf(i)]));
    return elements;
  };
  // Where rows may always be raised, the warp looks whether one of its rows has been.
  Value condition = scalar(op.getCondition());
  if (matchPattern(condition, m_One())) {
    Value differs;
    for (Value factor : factors.elements) {
      Value row = emit.compare(arith::CmpFPredicate::UNE, factor, emit.f32(1.0f));
      differs = differs ? emit.bitOr(differs, row) : row;
    }
    condition = emit.any(differs);
  }
  fragments[op.getResult()] = {emit.choose(condition, scaled, [&] { return tile.elements; }),
                               tile.columns};
}

void KernelLowering::lower(NormalizeOp op) {
  Fragment tile = fragments.at(op.getAcc());
  RowVector sum = gather(rowVectors.at(op.getSum()));
  Values inverses;
  for (Value row : sum.elements) {
    Value empty = emit.compare(arith::CmpFPredicate::OEQ, row, emit.f32(0.0f));
    inverses.push_back(emit.select(empty, emit.f32(0.0f), emit.reciprocal(row)));
  }
  Values elements;
  for (auto [i, element] : llvm::enumerate(tile.elements))
    elements.push_back(emit.mul(element, inverses[tile.rowOf(i)]));
  fragments[op.getResult()] = {elements, tile.columns};
}

void KernelLowering::lower(LseOp op) {
  RowVector reference = gather(rowVectors.at(op.getReference())), result;
  // Probabilities, and with them the sums, are smaller where references were raised.
  RowVector sum = gather(isOptimistic ? laneSum : rowVectors.at(op.getSum()));
  float raise = isOptimistic ? lazy->raise : 0.0f;
  for (auto [max, total] : llvm::zip_equal(reference.elements, sum.elements)) {
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
    if (isOptimistic) {
      // The rounded number that exponents subtract: its error has to cancel here, too.
      Value scale = emit.f32(lazy->powers.getScale().convertToFloat());
      Value subtracted = emit.sub(emit.fma(max, scale, emit.f32(raise)), emit.f32(raise));
      finite = emit.fma(subtracted, emit.f32(ln2), log);
    } else {
      finite = emit.fma(max, emit.f32(op.getScale().convertToFloat()), log);
    }
    result.elements.push_back(emit.select(empty, emit.f32(-infinity), finite));
  }
  rowVectors[op.getResult()] = result;
}
