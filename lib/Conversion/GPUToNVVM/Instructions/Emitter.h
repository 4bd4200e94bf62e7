//===- Emitter.h - Short names for what a thread of a GPU computes --*- C++ -*- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_GPUTONVVM_INSTRUCTIONS_EMITTER_H
#define SFA_CONVERSION_GPUTONVVM_INSTRUCTIONS_EMITTER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace sfa::simt {

/// 1.5 * 2^23: an f32 of magnitude 2^22 at most plus this is rounded to an integer, which is in the
/// low bits of the sum; and an integer plus `bitsOfIntegerBias` has the bits of such a sum.
inline constexpr float integerBias = 12582912.0f;
inline constexpr int32_t bitsOfIntegerBias = 0x4B400000;

/// NVVM::..., LLVM::... and arith operations on scalars of one thread. Offsets inside a tile are
/// i32, those in memory i64.
class Emitter : public mlir::ImplicitLocOpBuilder {
public:
  using Value = mlir::Value;
  using ValueRange = mlir::ValueRange;
  using Values = llvm::SmallVector<Value>;

  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  template <class Op, class... Args>
  auto make(Args &&...args) {
    return Op::create(*this, std::forward<Args>(args)...);
  }

  //===--- Constants and integers -----------------------------------------===//

  Value i1(bool value) { return make<mlir::arith::ConstantIntOp>(getI1Type(), value); }
  Value i32(int64_t value) { return make<mlir::arith::ConstantIntOp>(getI32Type(), value); }
  Value i64(int64_t value) { return make<mlir::arith::ConstantIntOp>(getI64Type(), value); }
  Value f32(float value) { return make<mlir::arith::ConstantOp>(getF32FloatAttr(value)); }
  /// The constant of `value`'s type.
  Value like(Value value, int64_t number);

  Value add(Value a, Value b);
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  Value add(Value a, int64_t b) { return b == 0 ? a : add(a, like(a, b)); }
  Value sub(Value a, int64_t b) { return b == 0 ? a : sub(a, like(a, b)); }
  Value mul(Value a, int64_t b) { return b == 1 ? a : mul(a, like(a, b)); }
  /// Unsigned.
  Value div(Value a, Value b) { return make<mlir::arith::DivUIOp>(a, b); }
  Value rem(Value a, Value b) { return make<mlir::arith::RemUIOp>(a, b); }
  Value div(Value a, int64_t b) { return div(a, like(a, b)); }
  Value rem(Value a, int64_t b) { return rem(a, like(a, b)); }
  Value bitAnd(Value a, Value b) { return make<mlir::arith::AndIOp>(a, b); }
  Value bitAnd(Value a, int64_t b) { return bitAnd(a, like(a, b)); }
  Value bitOr(Value a, Value b) { return make<mlir::arith::OrIOp>(a, b); }
  Value bitXor(Value a, Value b) { return make<mlir::arith::XOrIOp>(a, b); }
  Value bitXor(Value a, int64_t b) { return bitXor(a, like(a, b)); }
  Value shiftLeft(Value a, int64_t b) { return make<mlir::arith::ShLIOp>(a, like(a, b)); }
  Value shiftRight(Value a, int64_t b) { return make<mlir::arith::ShRUIOp>(a, like(a, b)); }
  Value minSigned(Value a, Value b) { return make<mlir::arith::MinSIOp>(a, b); }
  Value maxSigned(Value a, Value b) { return make<mlir::arith::MaxSIOp>(a, b); }
  /// Sign-extended or cut.
  Value toI32(Value value);
  Value toI64(Value value);
  Value toIndex(Value value);

  Value compare(mlir::arith::CmpIPredicate predicate, Value a, Value b) {
    return make<mlir::arith::CmpIOp>(predicate, a, b);
  }
  Value less(Value a, Value b) { return compare(mlir::arith::CmpIPredicate::slt, a, b); }
  Value equal(Value a, Value b) { return compare(mlir::arith::CmpIPredicate::eq, a, b); }
  Value select(Value condition, Value a, Value b) {
    return make<mlir::arith::SelectOp>(condition, a, b);
  }

  /// Bytes of two words: nibble i of `selector` names byte i, 0 to 3 of `low`, 4 to 7 of `high`;
  /// with 8 added its sign in all bits (PTX ISA, "prmt").
  Value permute(Value low, Value high, int64_t selector);

  //===--- f32 ------------------------------------------------------------===//

  Value compare(mlir::arith::CmpFPredicate predicate, Value a, Value b) {
    return make<mlir::arith::CmpFOp>(predicate, a, b);
  }
  Value fma(Value a, Value b, Value c);
  Value negate(Value a) { return make<mlir::arith::NegFOp>(a); }
  /// The larger one; of a number and a NaN the number.
  Value max(Value a, Value b);
  /// 2^x, relative error 2^-22 (PTX ISA, ex2.approx.ftz.f32).
  Value exp2(Value x);
  /// log2(x), absolute error 2^-22 near 1 (PTX ISA, lg2.approx.ftz.f32).
  Value log2(Value x);
  /// 1 / x, one ulp (PTX ISA, rcp.approx.ftz.f32).
  Value reciprocal(Value x) { return make<mlir::NVVM::RcpApproxFtzF32Op>(getF32Type(), x); }
  /// Two f32, rounded to `element` (f16 or bf16), in one register; `low` in the low half.
  Value pack(Value low, Value high, mlir::Type element);
  /// The two halves of a register, of `element`, as f32: the low one first.
  std::pair<Value, Value> unpack(Value word, mlir::Type element);

  //===--- Threads --------------------------------------------------------===//

  Value threadId() { return make<mlir::NVVM::ThreadIdXOp>(getI32Type()); }
  /// The value of lane `lane ^ distance`.
  Value shuffleXor(Value value, int64_t distance);
  /// The value of lane `lane`, in all lanes.
  Value broadcast(Value value, Value lane);
  /// `value`, the same in all lanes, so that the assembler knows that it is.
  Value uniform(Value value) { return broadcast(value, i32(0)); }
  /// All lanes' values combined, in all lanes; `combine` is commutative.
  Value reduceWarp(Value value, llvm::function_ref<Value(Value, Value)> combine);
  /// Whether `condition` holds in some lane of the warp.
  Value any(Value condition);
  /// All threads of the block.
  void barrier() { make<mlir::NVVM::BarrierOp>(); }

  //===--- Memory ---------------------------------------------------------===//

  mlir::Type sharedPointer() { return mlir::LLVM::LLVMPointerType::get(getContext(), 3); }
  mlir::Type globalPointer() { return mlir::LLVM::LLVMPointerType::get(getContext(), 1); }
  /// `pointer` and `offset` elements.
  Value offset(Value pointer, Value offset, mlir::Type element);
  Value offset(Value pointer, int64_t bytes);
  Value load(mlir::Type type, Value pointer, unsigned alignment = 0) {
    return make<mlir::LLVM::LoadOp>(type, pointer, alignment);
  }
  void store(Value value, Value pointer, unsigned alignment = 0) {
    make<mlir::LLVM::StoreOp>(value, pointer, alignment);
  }
  Value bitcast(mlir::Type type, Value value) {
    return value.getType() == type ? value : make<mlir::LLVM::BitcastOp>(type, value);
  }

  //===--- Control flow ---------------------------------------------------===//

  void when(Value condition, llvm::function_ref<void()> body);
  /// What the branch taken returns.
  Values choose(Value condition, llvm::function_ref<Values()> thenBody,
                llvm::function_ref<Values()> elseBody);
  /// for (i = lower; i < upper; i += step) with values carried along.
  Values loop(Value lower, Value upper, Value step, ValueRange init,
              llvm::function_ref<Values(Value, ValueRange)> body);
};

} // namespace sfa::simt

#endif // SFA_CONVERSION_GPUTONVVM_INSTRUCTIONS_EMITTER_H
