//===- Combine.cpp - What the splits of the keys gave, combined row by row -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <limits>

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::cpu;

void KernelLowering::lower(CombineOp op) {
  constexpr float none = -std::numeric_limits<float>::infinity(), log2E = 1.44269504f;
  TileType tile = op.getOutput().getType();
  Value outputs = scalar(op.getOutputs()), sums = scalar(op.getSums()),
        batch = scalar(op.getBatch()), first = scalar(op.getRow());
  auto splits = static_cast<int64_t>(op.getSplits());
  Value firstHead = emit.mul(scalar(op.getHead()), emit.index(splits)), end = emit.index(splits);
  auto heads = static_cast<int64_t>(op.getHeads());
  if (heads > 1) {
    Value number = emit.make<arith::RemUIOp>(scalar(op.getHead()), emit.index(heads));
    Value group = emit.sub(scalar(op.getHead()), number);
    firstHead = emit.add(emit.mul(group, emit.index(splits)), number);
  }
  auto headOf = [&](Value split) {
    return emit.add(firstHead, heads == 1 ? split : emit.mul(split, emit.index(heads)));
  };
  MatrixBuffer output = allocateMatrix(tile.getRows(), tile.getColumns());
  Value lse = allocateRows(tile.getRows());
  // Of the row at hand: the log-sum-exps of the splits, then their weights.
  MatrixBuffer weights = allocateMatrix(1, splits);
  Value zero = emit.index(0), empty = emit.f32(0.0f);
  auto max = [&](Value a, Value b) { return emit.maxOrSecond(a, b); };

  emit.loop(zero, validRows(outputs, first, tile.getRows()), 1, [&](Value row) {
    Value source = emit.add(first, row);
    fillMatrix(weights, none);
    emit.loop(zero, end, 1, [&](Value split) {
      Value sum = emit.load(sums, {batch, headOf(split), source});
      emit.store(sum, weights.memory, {zero, split});
    });
    Emitter::Values best =
        emit.loop(zero, end, emit.lanes, emit.splat(none), [&](Value split, ValueRange carried) {
          Value vector = emit.loadVector(weights.memory, {zero, split});
          return Emitter::Values{max(vector, carried[0])};
        });
    Value reference = finiteReference(emit.reduce(best[0], max));
    Value references = emit.broadcast(reference);
    Value total = sumRow(weights, [&](Value split) {
      Value distance = emit.sub(emit.loadVector(weights.memory, {zero, split}), references);
      Value weight = exp2(emit.mul(distance, emit.splat(log2E)));
      emit.storeVector(weight, weights.memory, {zero, split});
      return weight;
    });
    Value sawNone = emit.compare(arith::CmpFPredicate::OEQ, total, empty);
    Value logarithm = emit.add(reference, emit.make<math::LogOp>(total));
    emit.store(emit.select(sawNone, emit.f32(none), logarithm), lse, row);

    Value divisor = emit.select(sawNone, emit.f32(1.0f), total);
    auto average = [&](Value start, function_ref<Value(Value head)> load) {
      Emitter::Values weighted =
          emit.loop(zero, end, 1, start, [&](Value split, ValueRange carried) {
            Value value = load(headOf(split));
            Value weight = emit.load(weights.memory, {zero, split});
            if (isa<VectorType>(value.getType()))
              weight = emit.broadcast(weight);
            return Emitter::Values{emit.fma(weight, value, carried[0])};
          });
      Value by = isa<VectorType>(start.getType()) ? emit.broadcast(divisor) : divisor;
      return emit.make<arith::DivFOp>(weighted[0], by);
    };
    int64_t whole = tile.getColumns() / emit.lanes * emit.lanes;
    emit.loop(0, whole, emit.lanes, [&](Value column) {
      Value vector = average(emit.splat(0.0f), [&](Value head) {
        return emit.loadVector(outputs, {batch, head, source, column});
      });
      emit.storeVector(vector, output.memory, {row, column});
    });
    emit.loop(whole, tile.getColumns(), 1, [&](Value column) {
      Value value = average(empty, [&](Value head) {
        return emit.load(outputs, {batch, head, source, column});
      });
      emit.store(value, output.memory, {row, column});
    });
  });
  matrices[op.getOutput()] = output;
  rowVectors[op.getLse()] = lse;
}
