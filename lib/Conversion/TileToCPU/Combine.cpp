//===- Combine.cpp - What the splits of the keys gave, combined row by row -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../SequenceTile/SplitRange.h"
#include "KernelLowering.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <limits>

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::cpu;

void KernelLowering::combineClasses(CombineOp op) {
  constexpr float none = -std::numeric_limits<float>::infinity(), log2E = 1.44269504f;
  constexpr int64_t numClasses = 8;
  TileType tile = op.getOutput().getType();
  Value outputs = scalar(op.getOutputs()), sums = scalar(op.getSums()),
        batch = scalar(op.getBatch()), first = scalar(op.getRow()), zero = emit.f32(0.0f);
  auto most = static_cast<int64_t>(op.getSplits()), heads = static_cast<int64_t>(op.getHeads());
  Value head = scalar(op.getHead()), number = emit.make<arith::RemUIOp>(head, emit.index(heads));
  Value firstHead =
      emit.add(emit.mul(emit.sub(head, number), emit.index(most)), number);
  auto headOf = [&](Value split) {
    return emit.add(firstHead, emit.mul(split, emit.index(heads)));
  };
  Value length = lengthOf(scalar(op.getLengths()), batch, scalar(op.getLimit()));
  Value splits = emit.minIndex(
      emitSplitCount(emit, length, static_cast<int64_t>(op.getBlocks())), emit.index(most));
  auto power = [&](Value difference) {
    return emit.reduce(exp2(emit.broadcast(emit.mul(difference, emit.f32(log2E)))),
                       [&](Value a, Value) { return a; });
  };
  auto larger = [&](Value a, Value b) { return emit.maxOrSecond(a, b); };

  MatrixBuffer output = allocateMatrix(tile.getRows(), tile.getColumns());
  MatrixBuffer ofClass = allocateMatrix(1, tile.getColumns());
  Value lse = allocateRows(tile.getRows());
  // Of each class its maximum, and what it has of the sum of the row relative to that.
  Value maxima = allocate({numClasses}, emit.getF32Type()),
        shares = allocate({numClasses}, emit.getF32Type());
  emit.loop(emit.index(0), validRows(outputs, first, tile.getRows()), 1, [&](Value row) {
    Value source = emit.add(first, row);
    auto sumOf = [&](Value split) { return emit.load(sums, {batch, headOf(split), source}); };
    auto overClass = [&](Value number, Value start, function_ref<Value(Value, Value)> next) {
      return emit.loop(number, splits, numClasses, start, [&](Value split, ValueRange carried) {
        return Emitter::Values{next(split, carried[0])};
      })[0];
    };
    Value top = emit.loop(emit.index(0), emit.index(numClasses), 1, emit.f32(none),
                          [&](Value number, ValueRange carried) {
                            Value max = overClass(number, emit.f32(none), [&](Value split, Value so) {
                              return larger(sumOf(split), so);
                            });
                            emit.store(max, maxima, number);
                            return Emitter::Values{larger(max, carried[0])};
                          })[0];
    Value reference = finiteReference(top);
    auto factorOf = [&](Value number) {
      return power(emit.sub(emit.load(maxima, number), reference));
    };
    Value total = emit.loop(
        emit.index(0), emit.index(numClasses), 1, zero, [&](Value number, ValueRange carried) {
          Value max = finiteReference(emit.load(maxima, number));
          Value share = overClass(number, zero, [&](Value split, Value so) {
            return emit.add(so, power(emit.sub(sumOf(split), max)));
          });
          return Emitter::Values{emit.add(carried[0], emit.mul(share, factorOf(number)))};
        })[0];
    Value sawNone = emit.compare(arith::CmpFPredicate::OEQ, total, zero);
    emit.store(emit.select(sawNone, emit.f32(none), emit.add(reference, emit.make<math::LogOp>(total))),
               lse, row);
    Value divisor = emit.select(sawNone, emit.f32(1.0f), total);
    auto clear = [&](MatrixBuffer matrix, Value row) {
      emit.loop(0, tile.getColumns(), 1,
                [&](Value column) { emit.store(zero, matrix.memory, {row, column}); });
    };
    clear(output, row);
    emit.loop(0, numClasses, 1, [&](Value number) {
      clear(ofClass, emit.index(0));
      Value max = finiteReference(emit.load(maxima, number));
      emit.loop(number, splits, numClasses, [&](Value split) {
        Value weight = power(emit.sub(sumOf(split), max));
        emit.loop(0, tile.getColumns(), 1, [&](Value column) {
          Value value = emit.load(outputs, {batch, headOf(split), source, column});
          Value so = emit.load(ofClass.memory, {emit.index(0), column});
          emit.store(emit.fma(weight, value, so), ofClass.memory, {emit.index(0), column});
        });
      });
      Value factor = emit.make<arith::DivFOp>(factorOf(number), divisor);
      emit.loop(0, tile.getColumns(), 1, [&](Value column) {
        Value value = emit.load(ofClass.memory, {emit.index(0), column});
        Value so = emit.load(output.memory, {row, column});
        emit.store(emit.fma(factor, value, so), output.memory, {row, column});
      });
    });
  });
  matrices[op.getOutput()] = output;
  rowVectors[op.getLse()] = lse;
}

void KernelLowering::lower(CombineOp op) {
  if (op.getLengths())
    return combineClasses(op);
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
