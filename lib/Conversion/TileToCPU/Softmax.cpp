//===- Softmax.cpp - Masking, softmax and the epilogue, row by row --------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;
using namespace sfa::cpu;

static constexpr float infinity = std::numeric_limits<float>::infinity();
static constexpr float ln2 = 0.693147180559945309f;

/// Calls `body` for every row and every vector of its columns.
static void forEachVector(Emitter &emit, MatrixBuffer matrix,
                          function_ref<void(Value, Value)> body) {
  emit.loop(0, matrix.rows, 1, [&](Value row) {
    emit.loop(0, matrix.columns, emit.lanes, [&](Value column) { body(row, column); });
  });
}

Value KernelLowering::finiteReference(Value reference) {
  bool isVector = isa<VectorType>(reference.getType());
  Value none = isVector ? emit.splat(-infinity) : emit.f32(-infinity);
  Value zero = isVector ? emit.splat(0.0f) : emit.f32(0.0f);
  return emit.select(emit.compare(arith::CmpFPredicate::OEQ, reference, none), zero, reference);
}

//===----------------------------------------------------------------------===//
// Mask
//===----------------------------------------------------------------------===//

Value KernelLowering::positionOf(MaskOp op, Value i) {
  Value row = block ? emit.add(block->start, i) : i;
  auto heads = static_cast<int64_t>(op.getHeads());
  if (heads == 1)
    return row;
  Value positions = emit.index(ScheduleAttr::rowsOfHead(op.getScores().getType().getRows(), heads));
  return emit.make<arith::RemUIOp>(row, positions);
}

std::pair<Value, Value> KernelLowering::positionRange(MaskOp op) {
  TileType type = op.getScores().getType();
  int64_t rows = rowsOf(type);
  int64_t positions = ScheduleAttr::rowsOfHead(type.getRows(), static_cast<int64_t>(op.getHeads()));
  // Rows that are not all of one head may be of any query.
  if (positions % rows != 0)
    return {emit.index(0), emit.index(positions - 1)};
  return {positionOf(op, emit.index(0)), positionOf(op, emit.index(rows - 1))};
}

std::pair<Value, Value> KernelLowering::visibleColumns(MaskOp op, Value column, Value position) {
  Value numKeys = scalar(op.getNumKeys());
  Value shift = emit.sub(numKeys, scalar(op.getNumQueries()));
  Value aligned = emit.add(emit.add(scalar(op.getRow()), position), shift);
  Value lower = emit.index(0), upper = emit.sub(numKeys, column);
  if (std::optional<int64_t> left = op.getMask().leftBound())
    lower = emit.sub(emit.sub(aligned, emit.index(*left)), column);
  if (std::optional<int64_t> right = op.getMask().rightBound())
    upper = emit.minIndex(upper, emit.sub(emit.add(aligned, emit.index(*right + 1)), column));
  return {lower, upper};
}

void KernelLowering::lower(MaskOp op) {
  MatrixBuffer scores = takeMatrix(op.getScoresMutable(), /*copy=*/true);
  matrices[op.getResult()] = scores;
  Value column = scalar(op.getColumn()), zero = emit.index(0), columns = emit.index(scores.columns);

  // Nothing to do where the first query sees the last column and the last query sees the first one.
  auto [firstQuery, lastQuery] = positionRange(op);
  Value end = visibleColumns(op, column, firstQuery).second;
  Value start = visibleColumns(op, column, lastQuery).first;
  Value hidesLast = emit.compare(arith::CmpIPredicate::slt, end, columns);
  Value hidesFirst = emit.compare(arith::CmpIPredicate::sgt, start, zero);
  emit.when(emit.make<arith::OrIOp>(hidesLast, hidesFirst), [&] {
    Value hidden = emit.splat(-infinity), lanes = emit.laneNumbers();
    emit.loop(0, scores.rows, 1, [&](Value i) {
      auto clamp = [&](Value bound) {
        return emit.broadcast(emit.toI32(emit.minIndex(emit.maxIndex(bound, zero), columns)));
      };
      auto [lower, upper] = visibleColumns(op, column, positionOf(op, i));
      Value first = clamp(lower), end = clamp(upper);
      emit.loop(0, scores.columns, emit.lanes, [&](Value c) {
        Value number = emit.add(lanes, emit.broadcast(emit.toI32(c)));
        Value visible =
            emit.make<arith::AndIOp>(emit.compare(arith::CmpIPredicate::sge, number, first),
                                     emit.compare(arith::CmpIPredicate::slt, number, end));
        Value vector = emit.loadVector(scores.memory, {i, c});
        emit.storeVector(emit.select(visible, vector, hidden), scores.memory, {i, c});
      });
    });
  });
}

//===----------------------------------------------------------------------===//
// Rows of a tile
//===----------------------------------------------------------------------===//

void KernelLowering::lower(ScaleOp op) {
  auto tile = cast<TileType>(op.getTile().getType());
  Value factor = emit.splat(op.getFactor().convertToFloat());
  if (tile.isRowVector()) {
    rowVectors[op.getResult()] =
        mapRows(rowsOf(tile), rowVector(op.getTile()),
                [&](ArrayRef<Value> in) { return emit.mul(in[0], factor); });
    return;
  }
  MatrixBuffer from = rowMatrix(op.getTile()), to = takeMatrix(op.getTileMutable(), /*copy=*/false);
  forEachVector(emit, from, [&](Value row, Value column) {
    Value vector = emit.loadVector(from.memory, {row, column});
    emit.storeVector(emit.mul(vector, factor), to.memory, {row, column});
  });
  matrices[op.getResult()] = to;
}

void KernelLowering::lower(RowMaxOp op) {
  MatrixBuffer tile = rowMatrix(op.getTile());
  Value init = rowVector(op.getInit()), result = allocateRows(tile.rows);
  auto max = [&](Value a, Value b) { return emit.maxOrSecond(a, b); };
  emit.loop(0, tile.rows, 1, [&](Value row) {
    Emitter::Values best = emit.loop(emit.index(0), emit.index(tile.columns), emit.lanes,
                                     emit.splat(-infinity), [&](Value column, ValueRange carried) {
                                       Value vector = emit.loadVector(tile.memory, {row, column});
                                       return Emitter::Values{max(vector, carried[0])};
                                     });
    emit.store(max(emit.reduce(best[0], max), emit.load(init, row)), result, row);
  });
  rowVectors[op.getResult()] = result;
}

Value KernelLowering::sumRow(MatrixBuffer tile, function_ref<Value(Value)> vectorAt) {
  Emitter::Values sum = emit.loop(emit.index(0), emit.index(tile.columns), emit.lanes,
                                  emit.splat(0.0f), [&](Value column, ValueRange carried) {
                                    return Emitter::Values{emit.add(carried[0], vectorAt(column))};
                                  });
  return emit.reduce(sum[0], [&](Value a, Value b) { return emit.add(a, b); });
}

void KernelLowering::lower(RowSumOp op) {
  if (rowVectors.contains(op.getResult()))
    return; // formed together with the tile
  MatrixBuffer tile = rowMatrix(op.getTile());
  Value result = allocateRows(tile.rows);
  emit.loop(0, tile.rows, 1, [&](Value row) {
    Value sum =
        sumRow(tile, [&](Value column) { return emit.loadVector(tile.memory, {row, column}); });
    emit.store(sum, result, row);
  });
  rowVectors[op.getResult()] = result;
}

void KernelLowering::lower(Exp2Op op) {
  auto tile = cast<TileType>(op.getTile().getType());
  Value reference = rowVector(op.getReference());
  Value scale = emit.broadcast(scalar(op.getScale()));
  // The difference first: it is exact where it matters, near the maximum, and finite where scores
  // are so large that a scaled reference is far from the scaled score that it is rounded from.
  float raise = op.getRaise().convertToFloat();
  Value sunk = raise == 0.0f ? Value() : emit.splat(-raise);
  auto unlessUnset = [&](Value reference, Value sunk) {
    Value isUnset = emit.compare(arith::CmpFPredicate::OEQ, reference, emit.splat(-infinity));
    return emit.select(isUnset, emit.splat(0.0f), sunk);
  };
  auto element = [&](Value value, Value reference, Value lowered) {
    Value difference = emit.sub(value, reference);
    return exp2(lowered ? emit.fma(difference, scale, lowered) : emit.mul(difference, scale));
  };
  if (tile.isRowVector()) {
    rowVectors[op.getResult()] =
        mapRows(rowsOf(tile), {rowVector(op.getTile()), reference},
                [&](ArrayRef<Value> in) {
                  Value lowered = sunk ? unlessUnset(in[1], sunk) : Value();
                  return element(in[0], finiteReference(in[1]), lowered);
                });
    return;
  }

  // The rows' sums are formed in the same pass over the tile.
  MatrixBuffer from = rowMatrix(op.getTile()), to = takeMatrix(op.getTileMutable(), /*copy=*/false);
  RowSumOp sumOp;
  for (Operation *user : op.getResult().getUsers())
    if (auto candidate = dyn_cast<RowSumOp>(user); candidate && user->getBlock() == op->getBlock())
      sumOp = candidate;
  Value sums = sumOp ? allocateRows(from.rows) : Value();
  emit.loop(0, from.rows, 1, [&](Value row) {
    Value rowReference = emit.load(reference, row);
    Value lowered = sunk ? unlessUnset(emit.broadcast(rowReference), sunk) : Value();
    rowReference = emit.broadcast(finiteReference(rowReference));
    auto power = [&](Value column) {
      Value result = element(emit.loadVector(from.memory, {row, column}), rowReference, lowered);
      emit.storeVector(result, to.memory, {row, column});
      return result;
    };
    if (sumOp)
      emit.store(sumRow(from, power), sums, row);
    else
      emit.loop(0, from.columns, emit.lanes, [&](Value column) { power(column); });
  });
  if (sumOp)
    rowVectors[sumOp.getResult()] = sums;
  matrices[op.getResult()] = to;
}

//===----------------------------------------------------------------------===//
// Accumulator and epilogue
//===----------------------------------------------------------------------===//

void KernelLowering::lower(ScaleRowsOp op) {
  // A product into the tile scales it on the way.
  if (isScaledByProduct(op))
    return;
  MatrixBuffer tile = takeMatrix(op.getTileMutable(), /*copy=*/true);
  Value factors = rowVector(op.getFactors());
  emit.loop(0, tile.rows, 1, [&](Value row) {
    Value factor = emit.broadcast(emit.load(factors, row));
    emit.loop(0, tile.columns, emit.lanes, [&](Value column) {
      Value vector = emit.loadVector(tile.memory, {row, column});
      emit.storeVector(emit.mul(vector, factor), tile.memory, {row, column});
    });
  });
  matrices[op.getResult()] = tile;
}

void KernelLowering::lower(RowSumsOfOp op) {
  MatrixBuffer wide = rowMatrix(op.getWide());
  Value sums = allocateRows(wide.rows), column = emit.index(wide.columns - sumColumns);
  emit.loop(0, wide.rows, 1, [&](Value row) {
    emit.store(emit.load(wide.memory, {row, column}), sums, row);
  });
  rowVectors[op.getSums()] = sums;
}

void KernelLowering::lower(SplitSumsOp op) {
  MatrixBuffer wide = rowMatrix(op.getWide());
  MatrixBuffer acc = allocateMatrix(wide.rows, wide.columns - sumColumns);
  copyMatrix({wide.memory, wide.rows, acc.columns}, acc);
  matrices[op.getAcc()] = acc;
  Value sums = allocateRows(wide.rows), column = emit.index(acc.columns);
  emit.loop(0, wide.rows, 1, [&](Value row) {
    emit.store(emit.load(wide.memory, {row, column}), sums, row);
  });
  rowVectors[op.getSums()] = sums;
}

void KernelLowering::lower(NotFiniteOp op) {
  // 0 x is 0 or a NaN.
  MatrixBuffer tile = rowMatrix(op.getTile());
  Value zero = emit.splat(0.0f);
  Emitter::Values sum = emit.loop(
      emit.index(0), emit.index(tile.rows), 1, zero, [&](Value row, ValueRange carried) {
        return emit.loop(emit.index(0), emit.index(tile.columns), emit.lanes, carried,
                         [&](Value column, ValueRange carried) {
                           Value vector = emit.loadVector(tile.memory, {row, column});
                           return Emitter::Values{emit.fma(vector, zero, carried[0])};
                         });
      });
  Value total = emit.reduce(sum[0], [&](Value a, Value b) { return emit.add(a, b); });
  mapping.map(op.getResult(), emit.compare(arith::CmpFPredicate::UNO, total, total));
}

void KernelLowering::lower(NormalizeOp op) {
  MatrixBuffer from = rowMatrix(op.getAcc()), to = takeMatrix(op.getAccMutable(), /*copy=*/false);
  Value sums = rowVector(op.getSum()), zero = emit.splat(0.0f);
  emit.loop(0, from.rows, 1, [&](Value row) {
    Value sum = emit.broadcast(emit.load(sums, row));
    Value empty = emit.compare(arith::CmpFPredicate::OEQ, sum, zero);
    emit.loop(0, from.columns, emit.lanes, [&](Value column) {
      Value quotient = emit.make<arith::DivFOp>(emit.loadVector(from.memory, {row, column}), sum);
      emit.storeVector(emit.select(empty, zero, quotient), to.memory, {row, column});
    });
  });
  matrices[op.getResult()] = to;
}

void KernelLowering::lower(LseOp op) {
  Value references = rowVector(op.getReference()), sums = rowVector(op.getSum());
  int64_t rows = rowsOf(op.getResult().getType());
  Value scale = scalar(op.getScale()), none = emit.f32(-infinity);
  Value result = allocateRows(rows);
  // Small sums are made large first, rather than their logarithm: that would cancel.
  auto raisedLog = [&](Value sum, float raise) {
    Value isLarge = emit.compare(arith::CmpFPredicate::OGT, sum, emit.f32(1.0f));
    Value large = emit.mul(sum, emit.f32(std::exp2(raise)));
    Value log = emit.make<math::LogOp>(emit.select(isLarge, sum, large));
    return emit.add(log, emit.select(isLarge, emit.f32(raise * ln2), emit.f32(0.0f)));
  };
  emit.loop(0, rows, 1, [&](Value row) {
    Value sum = emit.load(sums, row), reference = emit.load(references, row);
    Value empty = emit.compare(arith::CmpFPredicate::OEQ, sum, emit.f32(0.0f));
    Value lse;
    if (op.getRaise()) {
      // The rounded number that exponents subtract: its error has to cancel here, too.
      Value raise = emit.f32(op.getRaise()->convertToFloat());
      Value subtracted = emit.sub(emit.make<math::FmaOp>(reference, scale, raise), raise);
      lse = emit.add(emit.mul(subtracted, emit.f32(ln2)),
                     raisedLog(sum, op.getRaise()->convertToFloat()));
    } else {
      Value log = emit.make<math::LogOp>(sum);
      lse = emit.add(emit.mul(reference, scale), log);
    }
    emit.store(emit.select(empty, none, lse), result, row);
  });
  rowVectors[op.getResult()] = result;
}
