//===- MatrixProduct.cpp - Dense products, register-tiled -----------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::cpu;

namespace {
/// Rows and vectors of C that are held in registers. Each step of the inner loop loads `vectors`
/// vectors of B and broadcasts `rows` elements of A: with 32 registers (AVX-512) 16 accumulators, 4
/// vectors of B and an element of A; with 16 registers 8, 2 and 1. The rows divide every query
/// tile.
struct RegisterTile {
  int64_t rows, vectors;
  explicit RegisterTile(int64_t lanes) : rows(4), vectors(lanes == 16 ? 4 : 2) {}
};
} // namespace

void KernelLowering::matrixProduct(MatrixBuffer a, MatrixBuffer b, MatrixBuffer c, bool accumulate,
                                   Value factors) {
  RegisterTile tile(emit.lanes);
  int64_t totalVectors = llvm::divideCeil(c.columns, emit.lanes);

  // One panel of columns of B stays in the first-level cache for all rows of A.
  auto panel = [&](Value column, int64_t vectors) {
    Emitter::Values columns;
    for (int64_t v = 0; v < vectors; ++v)
      columns.push_back(emit.add(column, emit.index(v * emit.lanes)));
    emit.loop(0, c.rows, tile.rows, [&](Value row) {
      Emitter::Values rows, sums;
      for (int64_t r = 0; r < tile.rows; ++r)
        rows.push_back(emit.add(row, emit.index(r)));
      for (Value r : rows) {
        Value factor = factors ? emit.broadcast(emit.load(factors, r)) : Value();
        for (Value v : columns) {
          Value init = accumulate ? emit.loadVector(c.memory, {r, v}) : emit.splat(0.0f);
          sums.push_back(factor ? emit.mul(init, factor) : init);
        }
      }
      sums = emit.loop(emit.index(0), emit.index(a.columns), 1, sums,
                       [&](Value k, ValueRange carried) {
                         Emitter::Values next, bs;
                         for (Value v : columns)
                           bs.push_back(emit.loadVector(b.memory, {k, v}));
                         for (int64_t r = 0; r < tile.rows; ++r) {
                           Value element = emit.broadcast(emit.load(a.memory, {rows[r], k}));
                           for (int64_t v = 0; v < vectors; ++v)
                             next.push_back(emit.fma(element, bs[v], carried[r * vectors + v]));
                         }
                         return next;
                       });
      for (int64_t r = 0; r < tile.rows; ++r)
        for (int64_t v = 0; v < vectors; ++v)
          emit.storeVector(sums[r * vectors + v], c.memory, {rows[r], columns[v]});
    });
  };

  int64_t rest = totalVectors % tile.vectors, whole = totalVectors - rest;
  if (whole != 0)
    emit.loop(0, whole * emit.lanes, tile.vectors * emit.lanes,
              [&](Value column) { panel(column, tile.vectors); });
  if (rest != 0)
    panel(emit.index(whole * emit.lanes), rest);
}

void KernelLowering::lower(DotOp op) {
  MatrixBuffer query = rowMatrix(op.getQuery());
  MatrixBuffer scores = allocateMatrix(query.rows, op.getScores().getType().getColumns());
  matrixProduct(query, matrix(op.getKey()), scores, /*accumulate=*/false);
  matrices[op.getScores()] = scores;
}

bool KernelLowering::isScaledByProduct(ScaleRowsOp op) {
  auto product = op->hasOneUse() ? dyn_cast<AccumulateOp>(*op->user_begin()) : AccumulateOp();
  return product && product.getAcc() == op.getResult() && !product.hasSumColumns();
}

void KernelLowering::lower(AccumulateOp op) {
  auto scale = op.getAcc().getDefiningOp<ScaleRowsOp>();
  bool scales = scale && isScaledByProduct(scale);
  OpOperand &operand = scales ? scale.getTileMutable() : op.getAccMutable();
  MatrixBuffer acc = takeMatrix(operand, /*copy=*/true), p = rowMatrix(op.getProbabilities()),
               value = matrix(op.getValue());
  matrices[op.getResult()] = acc;
  // Columns behind those of the values that fall into the same vector get 0: values are 0 there.
  matrixProduct(p, value, {acc.memory, acc.rows, value.columns}, /*accumulate=*/true,
                scales ? rowVector(scale.getFactors()) : Value());
  if (!op.hasSumColumns())
    return;
  auto type = VectorType::get(sumColumns, emit.getF32Type());
  Value column = emit.index(value.columns);
  emit.loop(0, acc.rows, 1, [&](Value row) {
    Value sum = sumRow(p, [&](Value at) { return emit.loadVector(p.memory, {row, at}); });
    Value sums = emit.make<vector::LoadOp>(type, acc.memory, ValueRange{row, column});
    sums = emit.add(sums, emit.make<vector::BroadcastOp>(type, sum));
    emit.storeVector(sums, acc.memory, {row, column});
  });
}
