//===- Transpose.cpp - Transposition of a tile in vector registers --------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"

using namespace mlir;
using namespace sfa::cpu;

/// The transposed block of `lanes` vectors of `lanes` elements, by log2(lanes) rounds that
/// interleave vector i with vector i + lanes / 2.
static Emitter::Values transposeBlock(Emitter &emit, Emitter::Values rows) {
  int64_t lanes = emit.lanes;
  SmallVector<int64_t> low, high;
  for (int64_t lane = 0; lane < lanes / 2; ++lane) {
    low.append({lane, lane + lanes});
    high.append({lane + lanes / 2, lane + lanes / 2 + lanes});
  }
  for (int64_t round = 1; round < lanes; round *= 2) {
    Emitter::Values next;
    for (int64_t i = 0; i < lanes / 2; ++i) {
      next.push_back(emit.make<vector::ShuffleOp>(rows[i], rows[i + lanes / 2], low));
      next.push_back(emit.make<vector::ShuffleOp>(rows[i], rows[i + lanes / 2], high));
    }
    rows = std::move(next);
  }
  return rows;
}

void KernelLowering::transpose(MatrixBuffer from, MatrixBuffer to) {
  // A key tile has a multiple of 16 rows. Padded columns become rows beyond the end and are not
  // stored.
  int64_t wholeColumns = from.columns / emit.lanes * emit.lanes;
  auto block = [&](Value row, Value column, int64_t columns) {
    Emitter::Values rows;
    for (int64_t i = 0; i < emit.lanes; ++i)
      rows.push_back(emit.loadVector(from.memory, {emit.add(row, emit.index(i)), column}));
    rows = transposeBlock(emit, std::move(rows));
    for (int64_t i = 0; i < columns; ++i)
      emit.storeVector(rows[i], to.memory, {emit.add(column, emit.index(i)), row});
  };
  emit.loop(0, from.rows, emit.lanes, [&](Value row) {
    emit.loop(0, wholeColumns, emit.lanes, [&](Value column) { block(row, column, emit.lanes); });
    if (wholeColumns != from.columns)
      block(row, emit.index(wholeColumns), from.columns - wholeColumns);
  });
}
