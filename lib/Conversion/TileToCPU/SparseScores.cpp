//===- SparseScores.cpp - Scores from codes: gather, scatter and sparse_mma -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"
#include <algorithm>

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::cpu;

//===----------------------------------------------------------------------===//
// Rows of scaled key rows: gather, and both parts of sparse_mma
//===----------------------------------------------------------------------===//

/// Columns of the key tile are taken in panels that stay in the first-level cache while all queries
/// pick rows of it.
static constexpr int64_t panelBytes = 32 << 10;

/// The scores of a panel are held in registers while the non-zeros of a query are walked.
static constexpr int64_t minPanelVectors = 2, maxPanelVectors = 8;

void KernelLowering::sparseScores(
    MatrixBuffer scores, MatrixBuffer keys, bool accumulate, function_ref<Value(Value)> countOf,
    function_ref<std::pair<Value, Value>(Value, Value)> valueAndFeature) {
  int64_t vectors = scores.columns / emit.lanes;
  int64_t vectorBytes = keys.rows * emit.lanes * static_cast<int64_t>(sizeof(float));
  int64_t panelVectors = std::clamp(panelBytes / vectorBytes, minPanelVectors, maxPanelVectors);

  auto panel = [&](Value column, int64_t width) {
    Emitter::Values columns;
    for (int64_t v = 0; v < width; ++v)
      columns.push_back(emit.add(column, emit.index(v * emit.lanes)));
    auto addPairs = [&](Value row, Value count) {
      Emitter::Values sums;
      for (Value v : columns)
        sums.push_back(accumulate ? emit.loadVector(scores.memory, {row, v}) : emit.splat(0.0f));
      sums = emit.loop(emit.index(0), count, 1, sums, [&](Value t, ValueRange carried) {
        auto [value, feature] = valueAndFeature(row, t);
        Value factor = emit.broadcast(value);
        Emitter::Values next;
        for (auto [v, sum] : llvm::zip_equal(columns, carried))
          next.push_back(emit.fma(factor, emit.loadVector(keys.memory, {feature, v}), sum));
        return next;
      });
      for (auto [v, sum] : llvm::zip_equal(columns, sums))
        emit.storeVector(sum, scores.memory, {row, v});
    };
    emit.loop(0, scores.rows, 1, [&](Value row) {
      Value count = countOf(row);
      if (!accumulate)
        return addPairs(row, count);
      Value any = emit.compare(arith::CmpIPredicate::ugt, count, emit.index(0));
      emit.when(any, [&] { addPairs(row, count); });
    });
  };
  int64_t rest = vectors % panelVectors, whole = vectors - rest;
  if (whole != 0)
    emit.loop(0, whole * emit.lanes, panelVectors * emit.lanes,
              [&](Value column) { panel(column, panelVectors); });
  if (rest != 0)
    panel(emit.index(whole * emit.lanes), rest);
}

void KernelLowering::lower(GatherDotOp op) {
  CodesView query = rowCodes(op.getQuery());
  TileType type = op.getScores().getType();
  MatrixBuffer scores = allocateMatrix(rowsOf(type), type.getColumns());
  Value k = emit.index(query.k), none = emit.index(0);
  // A row beyond the last query has no non-zeros.
  auto countOf = [&](Value row) {
    return emit.select(emit.compare(arith::CmpIPredicate::slt, row, query.valid), k, none);
  };
  sparseScores(scores, matrix(op.getKey()), /*accumulate=*/false, countOf, [&](Value row, Value t) {
    return std::pair(codeValue(query, row, t), codeFeature(query, row, t));
  });
  matrices[op.getScores()] = scores;
}

//===----------------------------------------------------------------------===//
// sparse_mma
//===----------------------------------------------------------------------===//

void KernelLowering::lower(SplitOp op) {
  CodesView view = codes.at(op.getCodes());
  int64_t features = op.getCodes().getType().getFeatures(), groups = features / 4;
  Type f32 = emit.getF32Type(), i32 = emit.getI32Type();
  PairsBuffer part{allocate({view.rows, features / 2}, f32),
                   allocate({view.rows, features / 2}, i32), Value(), features / 2};
  PairsBuffer surplus{allocate({view.rows, view.k}, f32), allocate({view.rows, view.k}, i32),
                      allocate({view.rows}, i32), view.k};
  Value taken = allocate({groups}, i32); // of each group of the row at hand
  Value zero = emit.i32(0), two = emit.index(2), four = emit.index(4);

  emit.loop(0, view.rows, 1, [&](Value row) {
    emit.store(zero, surplus.counts, row);
    emit.loop(0, groups, 1, [&](Value group) {
      emit.store(zero, taken, group);
      // An unused place holds the value 0 of the group's first or second feature.
      for (int64_t place = 0; place < 2; ++place) {
        Value slot = emit.add(emit.mul(group, two), emit.index(place));
        emit.store(emit.f32(0.0f), part.values, {row, slot});
        emit.store(emit.toI32(emit.add(emit.mul(group, four), emit.index(place))), part.features,
                   {row, slot});
      }
    });
  });
  emit.loop(emit.index(0), view.valid, 1, [&](Value row) {
    emit.loop(0, groups, 1, [&](Value group) { emit.store(zero, taken, group); });
    emit.loop(0, view.k, 1, [&](Value t) {
      Value value = codeValue(view, row, t), feature = codeFeature(view, row, t);
      Value group = emit.make<arith::DivUIOp>(feature, four);
      Value used = emit.toIndex(emit.load(taken, group));
      Value fits = emit.compare(arith::CmpIPredicate::ult, used, two);
      auto choice = emit.make<scf::IfOp>(fits, /*withElseRegion=*/true);
      OpBuilder::InsertionGuard guard(emit);
      emit.setInsertionPoint(choice.thenYield());
      Value slot = emit.add(emit.mul(group, two), used);
      emit.store(value, part.values, {row, slot});
      emit.store(emit.toI32(feature), part.features, {row, slot});
      emit.store(emit.toI32(emit.add(used, emit.index(1))), taken, group);
      emit.setInsertionPoint(choice.elseYield());
      Value place = emit.toIndex(emit.load(surplus.counts, row));
      emit.store(value, surplus.values, {row, place});
      emit.store(emit.toI32(feature), surplus.features, {row, place});
      emit.store(emit.toI32(emit.add(place, emit.index(1))), surplus.counts, row);
    });
  });
  pairs[op.getPart()] = part;
  pairs[op.getSurplus()] = surplus;
}

/// The value and the feature of pair `t` of a row.
static std::pair<Value, Value> loadPair(Emitter &emit, const PairsBuffer &pairs, Value row,
                                        Value t) {
  return {emit.load(pairs.values, {row, t}), emit.toIndex(emit.load(pairs.features, {row, t}))};
}

void KernelLowering::lower(TwoFourDotOp op) {
  PairsBuffer part = rowPairs(op.getQuery());
  TileType type = op.getScores().getType();
  MatrixBuffer scores = allocateMatrix(rowsOf(type), type.getColumns());
  Value count = emit.index(part.width);
  sparseScores(
      scores, matrix(op.getKey()), /*accumulate=*/false, [&](Value) { return count; },
      [&](Value row, Value t) { return loadPair(emit, part, row, t); });
  matrices[op.getScores()] = scores;
  if (!op.getSurplus())
    return;
  PairsBuffer surplus = rowPairs(op.getSurplus());
  sparseScores(
      scores, matrix(op.getKey()), /*accumulate=*/true,
      [&](Value row) { return emit.toIndex(emit.load(surplus.counts, row)); },
      [&](Value row, Value t) { return loadPair(emit, surplus, row, t); });
}

//===----------------------------------------------------------------------===//
// scatter
//===----------------------------------------------------------------------===//

void KernelLowering::lower(tile::PostingsOp op) {
  CodesView view = codes.at(op.getCodes());
  int64_t features = op.getCodes().getType().getFeatures();
  Type f32 = emit.getF32Type(), i32 = emit.getI32Type();
  PostingsBuffer lists{allocate({features + 1}, i32), allocate({view.rows * view.k}, i32),
                       allocate({view.rows * view.k}, f32)};
  Value cursors = allocate({features}, i32);
  Value zero = emit.i32(0), one = emit.i32(1);
  auto increment = [&](Value memory, Value place) {
    Value count = emit.load(memory, place);
    emit.store(emit.add(count, one), memory, place);
    return emit.toIndex(count);
  };

  // Count, sum up, distribute.
  emit.loop(0, features, 1, [&](Value feature) { emit.store(zero, cursors, feature); });
  emit.loop(emit.index(0), view.valid, 1, [&](Value row) {
    emit.loop(0, view.k, 1, [&](Value t) { increment(cursors, codeFeature(view, row, t)); });
  });
  Emitter::Values end =
      emit.loop(emit.index(0), emit.index(features), 1, zero, [&](Value feature, ValueRange start) {
        Value count = emit.load(cursors, feature);
        emit.store(start[0], lists.starts, feature);
        emit.store(start[0], cursors, feature);
        return Emitter::Values{emit.add(start[0], count)};
      });
  emit.store(end[0], lists.starts, emit.index(features));
  emit.loop(emit.index(0), view.valid, 1, [&](Value row) {
    emit.loop(0, view.k, 1, [&](Value t) {
      Value place = increment(cursors, codeFeature(view, row, t));
      emit.store(emit.toI32(row), lists.keys, place);
      emit.store(codeValue(view, row, t), lists.values, place);
    });
  });
  postings[op.getPostings()] = lists;
}

void KernelLowering::lower(ScatterDotOp op) {
  CodesView query = rowCodes(op.getQuery());
  PostingsBuffer lists = postings.at(op.getKey());
  MatrixBuffer scores =
      allocateMatrix(rowsOf(op.getScores().getType()), op.getScores().getType().getColumns());
  fillMatrix(scores, 0.0f);
  emit.loop(emit.index(0), query.valid, 1, [&](Value row) {
    emit.loop(0, query.k, 1, [&](Value t) {
      Value value = codeValue(query, row, t), feature = codeFeature(query, row, t);
      Value start = emit.toIndex(emit.load(lists.starts, feature));
      Value end = emit.toIndex(emit.load(lists.starts, emit.add(feature, emit.index(1))));
      emit.loop(start, end, 1, [&](Value entry) {
        Value key = emit.toIndex(emit.load(lists.keys, entry));
        Value product = emit.mul(value, emit.load(lists.values, entry));
        emit.store(emit.add(emit.load(scores.memory, {row, key}), product), scores.memory,
                   {row, key});
      });
    });
  });
  matrices[op.getScores()] = scores;
}
