//===- Emitter.cpp - Short names for what a thread of a GPU computes ---------- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Emitter.h"

using namespace mlir;
using namespace sfa::simt;

Value Emitter::like(Value value, int64_t number) {
  return make<arith::ConstantOp>(getIntegerAttr(value.getType(), number));
}

static bool isFloat(Value value) { return isa<FloatType>(value.getType()); }

Value Emitter::add(Value a, Value b) {
  return isFloat(a) ? Value(make<arith::AddFOp>(a, b)) : Value(make<arith::AddIOp>(a, b));
}

Value Emitter::sub(Value a, Value b) {
  return isFloat(a) ? Value(make<arith::SubFOp>(a, b)) : Value(make<arith::SubIOp>(a, b));
}

Value Emitter::mul(Value a, Value b) {
  return isFloat(a) ? Value(make<arith::MulFOp>(a, b)) : Value(make<arith::MulIOp>(a, b));
}

Value Emitter::toI32(Value value) {
  if (value.getType().isIndex())
    return make<arith::IndexCastOp>(getI32Type(), value);
  return value.getType().isInteger(32) ? value : Value(make<arith::TruncIOp>(getI32Type(), value));
}

Value Emitter::toI64(Value value) {
  if (value.getType().isIndex())
    return make<arith::IndexCastOp>(getI64Type(), value);
  return value.getType().isInteger(64) ? value : Value(make<arith::ExtSIOp>(getI64Type(), value));
}

Value Emitter::toIndex(Value value) {
  return value.getType().isIndex() ? value : Value(make<arith::IndexCastOp>(getIndexType(), value));
}

Value Emitter::fma(Value a, Value b, Value c) { return make<LLVM::FMAOp>(a, b, c); }

Value Emitter::max(Value a, Value b) { return make<LLVM::MaxNumOp>(a, b); }

static Value callIntrinsic(Emitter &emit, StringRef name, Value x) {
  return emit
      .make<LLVM::CallIntrinsicOp>(emit.getF32Type(), emit.getStringAttr(name), ValueRange(x))
      .getResult(0);
}

Value Emitter::exp2(Value x) { return callIntrinsic(*this, "llvm.nvvm.ex2.approx.ftz.f32", x); }

Value Emitter::log2(Value x) { return callIntrinsic(*this, "llvm.nvvm.lg2.approx.ftz.f", x); }

Value Emitter::pack(Value low, Value high, Type element) {
  auto nearest = NVVM::FPRoundingMode::RN;
  Type pair = VectorType::get(2, element);
  Value packed = element.isBF16()
                     ? Value(make<NVVM::ConvertF32x2ToBF16x2Op>(pair, high, low, Value(), nearest))
                     : Value(make<NVVM::ConvertF32x2ToF16x2Op>(pair, high, low, Value(), nearest));
  return bitcast(getI32Type(), packed);
}

std::pair<Value, Value> Emitter::unpack(Value word, Type element) {
  Type f32 = getF32Type();
  if (element.isBF16())
    return {bitcast(f32, shiftLeft(word, 16)), bitcast(f32, bitAnd(word, int64_t(0xFFFF0000)))};
  Value halves = bitcast(VectorType::get(2, element), word);
  auto extend = [&](int64_t number) -> Value {
    Value half = make<LLVM::ExtractElementOp>(halves, i32(number));
    return make<arith::ExtFOp>(f32, half);
  };
  return {extend(0), extend(1)};
}

Value Emitter::permute(Value low, Value high, int64_t selector) {
  return make<NVVM::PermuteOp>(getI32Type(), low, high, i32(selector), NVVM::PermuteMode::DEFAULT);
}

Value Emitter::shuffleXor(Value value, int64_t distance) {
  return make<NVVM::ShflOp>(value.getType(), i32(-1), value, i32(distance), i32(31),
                            NVVM::ShflKind::bfly, UnitAttr());
}

Value Emitter::broadcast(Value value, Value lane) {
  return make<NVVM::ShflOp>(value.getType(), i32(-1), value, lane, i32(31), NVVM::ShflKind::idx,
                            UnitAttr());
}

Value Emitter::reduceWarp(Value value, function_ref<Value(Value, Value)> combine) {
  for (int64_t distance = 16; distance >= 1; distance /= 2)
    value = combine(value, shuffleXor(value, distance));
  return value;
}

Value Emitter::any(Value condition) {
  // A ballot, since the assembler knows that its result is the same in all lanes.
  Value ballot =
      make<NVVM::VoteSyncOp>(getI32Type(), i32(-1), condition, NVVM::VoteSyncKind::ballot);
  return compare(arith::CmpIPredicate::ne, ballot, i32(0));
}

Value Emitter::offset(Value pointer, Value offset, Type element) {
  return make<LLVM::GEPOp>(pointer.getType(), element, pointer, ArrayRef<LLVM::GEPArg>{offset});
}

Value Emitter::offset(Value pointer, int64_t bytes) {
  if (bytes == 0)
    return pointer;
  return make<LLVM::GEPOp>(pointer.getType(), getI8Type(), pointer,
                           ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(bytes)});
}

void Emitter::when(Value condition, function_ref<void()> body) {
  auto choice = make<scf::IfOp>(condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPoint(choice.thenYield());
  body();
}

Emitter::Values Emitter::choose(Value condition, function_ref<Values()> thenBody,
                                function_ref<Values()> elseBody) {
  // The types of the results are known when the first branch is there.
  auto branch = [&](function_ref<Values()> body, Region &region) {
    OpBuilder::InsertionGuard guard(*this);
    createBlock(&region);
    Values results = body();
    make<scf::YieldOp>(results);
    return results;
  };
  Region thenRegion;
  Values yielded = branch(thenBody, thenRegion);
  auto choice = make<scf::IfOp>(ValueRange(yielded).getTypes(), condition,
                                /*addThenBlock=*/false, /*addElseBlock=*/false);
  choice.getThenRegion().takeBody(thenRegion);
  branch(elseBody, choice.getElseRegion());
  return Values(choice.getResults());
}

Emitter::Values Emitter::loop(Value lower, Value upper, Value step, ValueRange init,
                              function_ref<Values(Value, ValueRange)> body) {
  auto loop = make<scf::ForOp>(lower, upper, step, init);
  OpBuilder::InsertionGuard guard(*this);
  if (init.empty()) {
    setInsertionPoint(loop.getBody()->getTerminator());
    body(loop.getInductionVar(), {});
    return {};
  }
  setInsertionPointToStart(loop.getBody());
  make<scf::YieldOp>(body(loop.getInductionVar(), loop.getRegionIterArgs()));
  return Values(loop.getResults());
}
