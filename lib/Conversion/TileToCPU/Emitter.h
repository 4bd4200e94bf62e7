//===- Emitter.h - Short names for the loops and vectors that tiles become -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_TILETOCPU_EMITTER_H
#define SFA_CONVERSION_TILETOCPU_EMITTER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include <optional>

namespace sfa::cpu {

/// Builds scalar and vector code of one machine. All vectors are of `lanes` elements.
class Emitter : public mlir::ImplicitLocOpBuilder {
public:
  using Value = mlir::Value;
  using Values = llvm::SmallVector<Value>;

  Emitter(mlir::Location loc, mlir::MLIRContext *context, unsigned lanes)
      : ImplicitLocOpBuilder(loc, context), lanes(lanes) {}

  const int64_t lanes;

  template <class Op, class... Args>
  auto make(Args &&...args) {
    return Op::create(*this, std::forward<Args>(args)...);
  }

  //===--- Types ----------------------------------------------------------===//

  mlir::VectorType vectorOf(mlir::Type element) { return mlir::VectorType::get(lanes, element); }
  mlir::VectorType f32Vector() { return vectorOf(getF32Type()); }
  mlir::VectorType i32Vector() { return vectorOf(getI32Type()); }

  //===--- Constants ------------------------------------------------------===//

  Value index(int64_t value) { return make<mlir::arith::ConstantIndexOp>(value); }
  Value i32(int64_t value) { return make<mlir::arith::ConstantIntOp>(getI32Type(), value); }
  Value f32(float value) { return make<mlir::arith::ConstantOp>(getF32FloatAttr(value)); }
  /// A vector with `value` in every lane.
  Value splat(float value);
  Value splat(int32_t value);
  /// (0, 1, ..., lanes - 1) as i32.
  Value laneNumbers();

  //===--- Arithmetic -----------------------------------------------------===//

  Value add(Value a, Value b);
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  Value fma(Value a, Value b, Value c);
  /// One instruction; with a NaN in `a` the result is `b`.
  Value maxOrSecond(Value a, Value b);
  /// One instruction; with a NaN in `a` the result is `b`.
  Value minOrSecond(Value a, Value b);
  Value minIndex(Value a, Value b) { return make<mlir::arith::MinSIOp>(a, b); }
  Value maxIndex(Value a, Value b) { return make<mlir::arith::MaxSIOp>(a, b); }
  Value select(Value condition, Value a, Value b) {
    return make<mlir::arith::SelectOp>(condition, a, b);
  }
  Value compare(mlir::arith::CmpFPredicate predicate, Value a, Value b) {
    return make<mlir::arith::CmpFOp>(predicate, a, b);
  }
  Value compare(mlir::arith::CmpIPredicate predicate, Value a, Value b) {
    return make<mlir::arith::CmpIOp>(predicate, a, b);
  }
  Value toI32(Value value) { return make<mlir::arith::IndexCastOp>(getI32Type(), value); }
  /// An unsigned integer of any width as an index.
  Value toIndex(Value value) { return make<mlir::arith::IndexCastUIOp>(getIndexType(), value); }
  /// f32, f16, bf16 or i8, scalar or vector, as f32.
  Value extend(Value value);
  /// f32, scalar or vector, rounded to `element`; i8 takes only numbers that it has.
  Value round(Value value, mlir::Type element);
  Value broadcast(Value scalar) {
    return make<mlir::vector::BroadcastOp>(vectorOf(scalar.getType()), scalar);
  }
  /// All lanes of `vector` combined by `combine`, in a tree.
  Value reduce(Value vector, llvm::function_ref<Value(Value, Value)> combine);

  //===--- Memory ---------------------------------------------------------===//

  Value load(Value memory, mlir::ValueRange indices) {
    return make<mlir::memref::LoadOp>(memory, indices);
  }
  void store(Value value, Value memory, mlir::ValueRange indices) {
    make<mlir::memref::StoreOp>(value, memory, indices);
  }
  Value loadVector(Value memory, mlir::ValueRange indices);
  void storeVector(Value vector, Value memory, mlir::ValueRange indices) {
    make<mlir::vector::StoreOp>(vector, memory, indices);
  }
  Value dim(Value memory, int64_t index) { return make<mlir::memref::DimOp>(memory, index); }

  //===--- Control flow ---------------------------------------------------===//

  /// for (i = lower; i < upper; i += step) body(i)
  void loop(Value lower, Value upper, int64_t step, llvm::function_ref<void(Value)> body);
  void loop(int64_t lower, int64_t upper, int64_t step, llvm::function_ref<void(Value)> body) {
    loop(index(lower), index(upper), step, body);
  }
  /// The same with values carried from one iteration to the next; `body` gets and returns them.
  Values loop(Value lower, Value upper, int64_t step, mlir::ValueRange init,
              llvm::function_ref<Values(Value, mlir::ValueRange)> body);
  void when(Value condition, llvm::function_ref<void()> body);

private:
};

} // namespace sfa::cpu

#endif // SFA_CONVERSION_TILETOCPU_EMITTER_H
