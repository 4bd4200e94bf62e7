//===- Softmax.cpp - Masks, row maxima and sums, the exponential on a GPU ----- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"
#include "mlir/IR/Matchers.h"
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
  auto each = [&](bool isUnrounded, Values &results) {
    for (size_t row = 0; row < vectors.front().elements.size(); ++row) {
      Values operands;
      for (const RowVector &vector : vectors)
        operands.push_back((isUnrounded ? vector.getUnrounded() : vector).elements[row]);
      results.push_back(body(operands));
    }
  };
  each(/*isUnrounded=*/false, result.elements);
  if (llvm::any_of(vectors, [](const RowVector &vector) { return !vector.unrounded.empty(); }))
    each(/*isUnrounded=*/true, result.unrounded);
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

Value KernelLowering::rowInTile(size_t number) {
  Value first = emit.add(emit.mul(warp, 16 * geometry.repeats), g);
  return emit.add(first, static_cast<int64_t>(number / 2 * 16 + number % 2 * 8));
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
  // The key that the first row of the warp is aligned with.
  Value firstRow = emit.toI64(emit.mul(warp, 16 * geometry.repeats));
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
        Value twoT = emit.mul(t, 2), lane = emit.sub(g, twoT),
              keysLeft = emit.sub(inTile(numKeys), twoT);
        Value lastVisible = right ? emit.add(inTile(emit.add(aligned, *right + 1)), lane) : Value();
        Value firstVisible = left ? emit.add(inTile(emit.sub(aligned, *left)), lane) : Value();
        Values elements;
        Value hidden = emit.f32(-infinity);
        for (auto [i, element] : llvm::enumerate(scores.elements)) {
          auto row = static_cast<int64_t>(scores.rowOf(i));
          int64_t rowOffset = row / 2 * 16 + row % 2 * 8;
          auto offset = static_cast<int64_t>(i % (scores.columns / 2) / 4 * 8 + i % 2);
          Value rowEnd = keysLeft;
          if (right)
            rowEnd = emit.minSigned(keysLeft, emit.add(lastVisible, rowOffset));
          Value isVisible = emit.less(emit.i32(offset), rowEnd);
          if (left)
            isVisible = emit.bitAnd(isVisible, emit.compare(arith::CmpIPredicate::sle,
                                                            emit.add(firstVisible, rowOffset),
                                                            emit.i32(offset)));
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

/// The scaled reference that exp2 subtracts; 0 for a row that has seen no key. One rounded product
/// for all keys of a row: its error cancels.
static Value scaledReference(Emitter &emit, Value reference, Value scale) {
  Value unset = emit.compare(arith::CmpFPredicate::OEQ, reference, emit.f32(-infinity));
  return emit.select(unset, emit.f32(0.0f), emit.mul(reference, scale));
}

void KernelLowering::lower(Exp2Op op) {
  Value scale = emit.f32(op.getScale().convertToFloat());
  RowVector reference = gather(rowVectors.at(op.getReference()));
  Values negated;
  for (Value row : reference.elements)
    negated.push_back(emit.negate(scaledReference(emit, row, scale)));
  auto type = cast<TileType>(op.getTile().getType());
  if (roundsSums && !type.isRowVector())
    for (Operation *user : op.getResult().getUsers())
      if (auto sum = dyn_cast<RowSumOp>(user); sum && user->getBlock() == op->getBlock())
        return lowerWithRoundedSums(op, sum, negated, scale);
  // f16 tells 1 from the neighbour of 1 that a rounded product of thousands gives: there the
  // difference comes first, as on the CPU, and the largest probability is 1.
  bool subtractsFirst = valueType.isF16() && !roundsSums;
  auto power = [&](Value element, size_t row) {
    if (!subtractsFirst)
      return emit.exp2(emit.fma(element, scale, negated[row]));
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
      if (subtractsFirst)
        powers.push_back(power(element, row));
      else
        powers.push_back(emit.exp2(emit.add(emit.mul(element, scale), negated[row])));
    }
  } else {
    const Fragment &tile = fragments.at(op.getTile());
    for (auto [i, element] : llvm::enumerate(tile.elements))
      powers.push_back(power(element, tile.rowOf(i)));
  }
  setRegisters(op.getResult(), powers, /*isSpread=*/false);
}

namespace {
/// The part of a lane of the sums of rows, in two chains for each row.
class LaneSums {
public:
  LaneSums(Emitter &emit, const Fragment &tile, int64_t repeats)
      : emit(emit), tile(tile), chains(4 * repeats) {}

  /// Elements i and i + 1 are neighbours in a row.
  void addPair(size_t i, Value low, Value high) {
    Value &chain = chains[2 * tile.rowOf(i) + i / 4 % 2], pair = emit.add(low, high);
    chain = chain ? emit.add(chain, pair) : pair;
  }
  Emitter::Values join() {
    Emitter::Values sums;
    for (size_t row = 0; row < chains.size(); row += 2)
      sums.push_back(emit.add(chains[row], chains[row + 1]));
    return sums;
  }

private:
  Emitter &emit;
  Fragment tile;
  Emitter::Values chains;
};
} // namespace

void KernelLowering::lower(RowSumOp op) {
  if (roundsSums)
    if (auto powers = op.getTile().getDefiningOp<Exp2Op>();
        powers && powers->getBlock() == op->getBlock())
      return; // formed together with the tile
  const Fragment &tile = fragments.at(op.getTile());
  LaneSums sums(emit, tile, geometry.repeats);
  for (size_t i = 0; i < tile.elements.size(); i += 2)
    sums.addPair(i, tile.elements[i], tile.elements[i + 1]);
  rowVectors[op.getResult()] = {sums.join(), /*isSpread=*/true};
}

void KernelLowering::lowerWithRoundedSums(Exp2Op op, RowSumOp sum, ValueRange negated,
                                          Value scale) {
  // The largest probability of a row is not 1 with a lazy softmax, so rounding changes it, too:
  // sums of what the product adds up keep rows exact that a few keys dominate. Pair by pair, so
  // that the unrounded numbers need no registers for long.
  Fragment scores = fragments.at(op.getTile());
  Fragment powers{{}, scores.columns};
  LaneSums rounded(emit, scores, geometry.repeats), unrounded(emit, scores, geometry.repeats);
  for (size_t i = 0; i < scores.elements.size(); i += 2) {
    Value pair[2];
    for (size_t half : {0, 1}) {
      pair[half] = emit.exp2(emit.fma(scores.elements[i + half], scale, negated[scores.rowOf(i)]));
    }
    if (keepsUnroundedSums)
      unrounded.addPair(i, pair[0], pair[1]);
    if (truncatesProbabilities()) {
      pair[0] = emit.truncateToBF16(pair[0]);
      pair[1] = emit.truncateToBF16(pair[1]);
      rounded.addPair(i, pair[0], pair[1]);
      powers.elements.append({pair[0], pair[1]});
      continue;
    }
    Value packed = emit.pack(pair[0], pair[1], valueType);
    auto [low, high] = emit.unpack(packed, valueType);
    rounded.addPair(i, low, high);
    powers.elements.append({low, high});
    if (!path->overwritesScores())
      powers.pairs.push_back(packed);
  }
  fragments[op.getResult()] = powers;
  rowVectors[sum.getResult()] = {rounded.join(), /*isSpread=*/true,
                                 keepsUnroundedSums ? unrounded.join() : Values()};
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

void KernelLowering::lower(TripsOp op) {
  // Parts are compared, not their sum: no shuffles. Those of the unrounded numbers, so that these
  // are not added up behind the branch, where all of them would need registers.
  RowVector sum = rowVectors.at(op.getSum()).getUnrounded(),
            reference = gather(rowVectors.at(op.getReference()));
  // Rows that have no reference yet trip for sure.
  if (llvm::all_of(reference.elements,
                   [](Value row) { return matchPattern(row, m_NegInfFloat()); })) {
    mapping.map(op.getResult(), emit.i1(true));
    return;
  }
  Value threshold = emit.f32(op.getThreshold().convertToFloat()), trips;
  for (auto [part, max] : llvm::zip_equal(sum.elements, reference.elements)) {
    Value above = emit.compare(arith::CmpFPredicate::UGT, part, threshold);
    Value unset = emit.compare(arith::CmpFPredicate::OEQ, max, emit.f32(-infinity));
    Value row = emit.bitOr(above, unset);
    trips = trips ? emit.bitOr(trips, row) : row;
  }
  mapping.map(op.getResult(), path->any(trips));
}

//===----------------------------------------------------------------------===//
// Accumulator and epilogue
//===----------------------------------------------------------------------===//

void KernelLowering::lower(ScaleRowsOp op) {
  Fragment tile = fragments.at(op.getTile());
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
  Value scale = emit.f32(op.getScale().convertToFloat());
  RowVector reference = gather(rowVectors.at(op.getReference())),
            sum = gather(rowVectors.at(op.getSum()).getUnrounded()), result;
  for (auto [max, total] : llvm::zip_equal(reference.elements, sum.elements)) {
    Value empty = emit.compare(arith::CmpFPredicate::OEQ, total, emit.f32(0.0f));
    Value log = emit.mul(emit.log2(total), emit.f32(ln2));
    result.elements.push_back(
        emit.select(empty, emit.f32(-infinity), emit.fma(max, scale, log)));
  }
  rowVectors[op.getResult()] = result;
}
