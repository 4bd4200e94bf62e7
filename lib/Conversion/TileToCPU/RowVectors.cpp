//===- RowVectors.cpp - Numbers and flags of rows, in vectors of rows -----===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Flags are i32 in memory, 0 or 1. Numbers in parts have one part.
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::cpu;

Value KernelLowering::mapRows(int64_t rows, ArrayRef<Value> inputs,
                              function_ref<Value(ArrayRef<Value>)> element) {
  Value result = allocateRows(rows);
  emit.loop(0, rows, emit.lanes, [&](Value row) {
    SmallVector<Value> vectors;
    for (Value input : inputs)
      vectors.push_back(emit.loadVector(input, row));
    emit.storeVector(element(vectors), result, row);
  });
  return result;
}

Value KernelLowering::isSet(Value flags) {
  Value none = isa<VectorType>(flags.getType()) ? emit.splat(int32_t(0)) : emit.i32(0);
  return emit.compare(arith::CmpIPredicate::ne, flags, none);
}

Value KernelLowering::toMemory(Value flags) {
  bool isVector = isa<VectorType>(flags.getType());
  return emit.make<arith::ExtUIOp>(isVector ? Type(emit.i32Vector()) : Type(emit.getI32Type()),
                                   flags);
}

void KernelLowering::lower(FmaOp op) {
  rowVectors[op.getResult()] =
      mapRows(rowsOf(op.getResult().getType()),
              {rowVector(op.getA()), rowVector(op.getB()), rowVector(op.getC())},
              [&](ArrayRef<Value> in) { return emit.fma(in[0], in[1], in[2]); });
}

void KernelLowering::lower(AddOp op) {
  rowVectors[op.getResult()] =
      mapRows(rowsOf(op.getResult().getType()), {rowVector(op.getA()), rowVector(op.getB())},
              [&](ArrayRef<Value> in) { return emit.add(in[0], in[1]); });
}

void KernelLowering::lower(MulOp op) {
  rowVectors[op.getResult()] =
      mapRows(rowsOf(op.getResult().getType()),
              {rowVector(op.getRows()), rowVector(op.getFactors())},
              [&](ArrayRef<Value> in) { return emit.mul(in[0], in[1]); });
}

void KernelLowering::lower(TotalOp op) {
  Value parts = rowVector(op.getParts());
  rowVectors[op.getResult()] = parts;
}

void KernelLowering::lower(MapRowsOp op) {
  Block &body = op.getBody().front();
  SmallVector<Value> inputs, results;
  for (Value input : op.getInputs())
    inputs.push_back(rowVector(input));
  for (Value result : op.getResults()) {
    results.push_back(allocateRows(cast<TileType>(result.getType())));
    rowVectors[result] = results.back();
  }
  if (results.empty())
    return;
  int64_t rows = rowsOf(cast<TileType>(op.getResult(0).getType()));
  emit.loop(0, rows, emit.lanes, [&](Value row) {
    // The program on a vector of rows.
    IRMapping vectors;
    auto vectorOf = [&](Value value) {
      if (!vectors.contains(value))
        vectors.map(value, emit.broadcast(scalar(value)));
      return vectors.lookup(value);
    };
    for (auto [argument, input] : llvm::zip_equal(body.getArguments(), inputs)) {
      Value vector = emit.loadVector(input, row);
      vectors.map(argument, argument.getType().isInteger(1) ? isSet(vector) : vector);
    }
    for (Operation &scalarOp : body.without_terminator()) {
      Value result = scalarOp.getResult(0);
      if (auto constant = dyn_cast<arith::ConstantOp>(scalarOp)) {
        auto type = emit.vectorOf(constant.getType());
        vectors.map(result, emit.make<arith::ConstantOp>(
                                DenseElementsAttr::get(type, Attribute(constant.getValue()))));
        continue;
      }
      for (Value operand : scalarOp.getOperands())
        vectorOf(operand);
      if (isa<math::Exp2Op>(scalarOp)) {
        vectors.map(result, exp2(vectors.lookup(scalarOp.getOperand(0))));
        continue;
      }
      Operation *vectorOp = emit.clone(scalarOp, vectors);
      vectorOp->getResult(0).setType(emit.vectorOf(result.getType()));
    }
    for (auto [memory, value] : llvm::zip_equal(results, body.getTerminator()->getOperands())) {
      Value vector = vectorOf(value);
      emit.storeVector(value.getType().isInteger(1) ? toMemory(vector) : vector, memory, row);
    }
  });
}

void KernelLowering::lower(AnyOp op) {
  auto tile = dyn_cast<TileType>(op.getFlags().getType());
  if (!tile) {
    // There is one part of the rows.
    mapping.map(op.getResult(), scalar(op.getFlags()));
    return;
  }
  int64_t rows = rowsOf(tile);
  Value flags = rowVector(op.getFlags());
  Value lanes = emit.laneNumbers(), end = emit.splat(int32_t(rows));
  Emitter::Values any = emit.loop(
      emit.index(0), emit.index(rows), emit.lanes, emit.splat(int32_t(0)),
      [&](Value row, ValueRange carried) {
        Value vector = emit.loadVector(flags, row);
        // Nobody knows what is behind the rows.
        if (rows % emit.lanes != 0) {
          Value isRow = emit.compare(arith::CmpIPredicate::slt,
                                     emit.add(lanes, emit.broadcast(emit.toI32(row))), end);
          vector = emit.select(isRow, vector, emit.splat(int32_t(0)));
        }
        return Emitter::Values{emit.make<arith::OrIOp>(carried[0], vector)};
      });
  mapping.map(op.getResult(),
              isSet(emit.make<vector::ReductionOp>(vector::CombiningKind::OR, any[0])));
}

void KernelLowering::lower(IsDueOp op) {
  // Every second tile.
  auto loop = op->getParentOfType<KeyLoopOp>();
  Value behind = emit.sub(scalar(loop.getLoad().getArgument(0)), scalar(loop.getLower()));
  Value number = emit.make<arith::DivUIOp>(behind, emit.index(loop.getStep()));
  Value isOdd = emit.make<arith::AndIOp>(number, emit.index(1));
  mapping.map(op.getResult(), emit.compare(arith::CmpIPredicate::ne, isOdd, emit.index(0)));
}

void KernelLowering::lower(FirstKeyOp op) {
  mapping.map(op.getKey(), scalar(op->getParentOfType<KeyLoopOp>().getLoad().getArgument(0)));
}

void KernelLowering::lowerRowSelect(arith::SelectOp op) {
  Value condition = scalar(op.getCondition());
  Value first = rowVector(op.getTrueValue()), second = rowVector(op.getFalseValue());
  if (matchPattern(condition, m_Zero())) {
    rowVectors[op.getResult()] = second;
    return;
  }
  auto tile = cast<TileType>(op.getType());
  Value chosen = allocateRows(tile);
  emit.loop(0, rowsOf(tile), emit.lanes, [&](Value row) {
    emit.storeVector(
        emit.select(condition, emit.loadVector(first, row), emit.loadVector(second, row)), chosen,
        row);
  });
  rowVectors[op.getResult()] = chosen;
}
