//===- RowVectors.cpp - Numbers and flags of rows on a GPU -------------------- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::gpu;

KernelLowering::Values KernelLowering::rowsOf(Value rows) {
  const RowVector &vector = rowVectors.at(rows);
  if (!vector.isSpread)
    return vector.elements;
  Values whole;
  for (Value part : Values(vector.elements)) {
    Value pair = emit.add(part, emit.shuffleXor(part, 1));
    whole.push_back(emit.add(pair, emit.shuffleXor(pair, 2)));
  }
  return whole;
}

void KernelLowering::combine(Value result, ArrayRef<Values> vectors,
                             function_ref<Value(ArrayRef<Value>)> body) {
  Values combined;
  for (size_t row = 0; row < vectors.front().size(); ++row) {
    Values operands;
    for (const Values &vector : vectors)
      operands.push_back(vector[row]);
    combined.push_back(body(operands));
  }
  setRegisters(result, combined);
}

void KernelLowering::lower(FmaOp op) {
  combine(op.getResult(), {registersOf(op.getA()), rowsOf(op.getB()), registersOf(op.getC())},
          [&](ArrayRef<Value> in) { return emit.fma(in[0], in[1], in[2]); });
}

void KernelLowering::lower(AddOp op) {
  combine(op.getResult(), {registersOf(op.getA()), registersOf(op.getB())},
          [&](ArrayRef<Value> in) { return emit.add(in[0], in[1]); });
}

void KernelLowering::lower(MulOp op) {
  combine(op.getResult(), {registersOf(op.getRows()), rowsOf(op.getFactors())},
          [&](ArrayRef<Value> in) { return emit.mul(in[0], in[1]); });
}

void KernelLowering::lower(TotalOp op) {
  // The parts are added up where the number is needed.
  rowVectors[op.getResult()] = RowVector(rowVectors.at(op.getParts()));
}

void KernelLowering::lowerOfRow(Operation &op) {
  auto in = [&](unsigned number) { return scalar(op.getOperand(number)); };
  Value result = TypeSwitch<Operation *, Value>(&op)
                     .Case([&](math::Exp2Op) { return emit.exp2(in(0)); })
                     .Case([&](math::Log2Op) { return emit.log2(in(0)); })
                     .Case([&](math::FmaOp) { return emit.fma(in(0), in(1), in(2)); })
                     .Case([&](arith::MaxNumFOp) { return emit.max(in(0), in(1)); })
                     .Default([&](Operation *other) {
                       return emit.clone(*other, mapping)->getResult(0);
                     });
  mapping.map(op.getResult(0), result);
}

void KernelLowering::lower(MapRowsOp op) {
  Block &body = op.getBody().front();
  SmallVector<Values> inputs, results(op.getNumResults());
  for (Value input : op.getInputs())
    inputs.push_back(rowsOf(input));
  for (size_t row = 0; row < 2 * static_cast<size_t>(geometry.repeats); ++row) {
    for (auto [argument, input] : llvm::zip_equal(body.getArguments(), inputs))
      mapping.map(argument, input[row]);
    for (Operation &scalarOp : body.without_terminator()) {
      lowerOfRow(scalarOp);
      // Flags that only `any` reads become one as they come: predicates are few.
      for (auto [result, value] :
           llvm::zip_equal(op.getResults(), body.getTerminator()->getOperands())) {
        if (value.getDefiningOp() != &scalarOp || !value.getType().isInteger(1) ||
            !llvm::all_of(result.getUsers(), llvm::IsaPred<AnyOp>))
          continue;
        Value &some = someOfRows[result];
        some = row == 0 ? scalar(value) : emit.bitOr(some, scalar(value));
      }
    }
    for (auto [result, value] : llvm::zip_equal(results, body.getTerminator()->getOperands()))
      result.push_back(scalar(value));
  }
  for (auto [result, elements] : llvm::zip_equal(op.getResults(), results))
    setRegisters(result, elements);
}

void KernelLowering::lower(AnyOp op) {
  Value some = someOfRows.lookup(op.getFlags());
  if (!some)
    for (Value flag : registersOf(op.getFlags()))
      some = some ? emit.bitOr(some, flag) : flag;
  bool isConstant = matchPattern(some, m_Constant());
  mapping.map(op.getResult(), isConstant ? some : emit.any(some));
}

void KernelLowering::lower(arith::SelectOp op) {
  Value condition = scalar(op.getCondition());
  Values chosen = registersOf(op.getTrueValue()), other = registersOf(op.getFalseValue());
  if (matchPattern(condition, m_Zero()))
    chosen = other;
  else if (!matchPattern(condition, m_One()))
    for (auto [first, second] : llvm::zip_equal(chosen, other))
      first = emit.select(condition, first, second);
  setRegisters(op.getResult(), chosen);
}
