//===- Emitter.cpp - Short names for the loops and vectors that tiles become -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Emitter.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace sfa::cpu;

Value Emitter::splat(float value) {
  return make<arith::ConstantOp>(DenseElementsAttr::get(f32Vector(), value));
}

Value Emitter::splat(int32_t value) {
  return make<arith::ConstantOp>(DenseElementsAttr::get(i32Vector(), value));
}

Value Emitter::laneNumbers() {
  SmallVector<int32_t> numbers = llvm::to_vector(llvm::seq<int32_t>(0, lanes));
  return make<arith::ConstantOp>(DenseElementsAttr::get(i32Vector(), ArrayRef(numbers)));
}

static bool isFloat(Value value) { return isa<FloatType>(getElementTypeOrSelf(value)); }

Value Emitter::add(Value a, Value b) {
  return isFloat(a) ? Value(make<arith::AddFOp>(a, b)) : Value(make<arith::AddIOp>(a, b));
}

Value Emitter::sub(Value a, Value b) {
  return isFloat(a) ? Value(make<arith::SubFOp>(a, b)) : Value(make<arith::SubIOp>(a, b));
}

Value Emitter::mul(Value a, Value b) {
  return isFloat(a) ? Value(make<arith::MulFOp>(a, b)) : Value(make<arith::MulIOp>(a, b));
}

Value Emitter::fma(Value a, Value b, Value c) {
  if (isa<VectorType>(a.getType()))
    return make<vector::FMAOp>(a, b, c);
  return add(mul(a, b), c);
}

Value Emitter::maxOrSecond(Value a, Value b) {
  return select(compare(arith::CmpFPredicate::OGT, a, b), a, b);
}

Value Emitter::minOrSecond(Value a, Value b) {
  return select(compare(arith::CmpFPredicate::OLT, a, b), a, b);
}

Value Emitter::extend(Value value) {
  Type type = value.getType();
  if (getElementTypeOrSelf(type).isF32())
    return value;
  Type wide = isa<VectorType>(type) ? Type(f32Vector()) : Type(getF32Type());
  return isFloat(value) ? Value(make<arith::ExtFOp>(wide, value))
                        : Value(make<arith::SIToFPOp>(wide, value));
}

Value Emitter::round(Value value, Type element) {
  if (element.isF32())
    return value;
  Type narrow = isa<VectorType>(value.getType()) ? Type(vectorOf(element)) : element;
  return isa<FloatType>(element) ? Value(make<arith::TruncFOp>(narrow, value))
                                 : Value(make<arith::FPToSIOp>(narrow, value));
}

Value Emitter::reduce(Value vector, function_ref<Value(Value, Value)> combine) {
  SmallVector<int64_t> order(lanes);
  for (int64_t distance = lanes / 2; distance >= 1; distance /= 2) {
    for (int64_t lane = 0; lane < lanes; ++lane)
      order[lane] = lane ^ distance;
    vector = combine(vector, make<vector::ShuffleOp>(vector, vector, order));
  }
  return make<vector::ExtractOp>(vector, int64_t(0));
}

Value Emitter::loadVector(Value memory, ValueRange indices) {
  Type element = cast<MemRefType>(memory.getType()).getElementType();
  return make<vector::LoadOp>(vectorOf(element), memory, indices);
}

void Emitter::loop(Value lower, Value upper, int64_t step, function_ref<void(Value)> body) {
  loop(lower, upper, step, ValueRange(), [&](Value i, ValueRange) {
    body(i);
    return Values();
  });
}

Emitter::Values Emitter::loop(Value lower, Value upper, int64_t step, ValueRange init,
                              function_ref<Values(Value, ValueRange)> body) {
  auto loop = make<scf::ForOp>(lower, upper, index(step), init);
  OpBuilder::InsertionGuard guard(*this);
  // Without carried values the builder has made the terminator.
  if (init.empty()) {
    setInsertionPoint(loop.getBody()->getTerminator());
    body(loop.getInductionVar(), {});
    return {};
  }
  setInsertionPointToStart(loop.getBody());
  make<scf::YieldOp>(body(loop.getInductionVar(), loop.getRegionIterArgs()));
  return Values(loop.getResults());
}

void Emitter::when(Value condition, function_ref<void()> body) {
  auto choice = make<scf::IfOp>(condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPoint(choice.thenYield());
  body();
}
