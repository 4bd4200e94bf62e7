//===- Emitted.h - A number of a thread with the operators of C++ -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_GPUTONVVM_INSTRUCTIONS_EMITTED_H
#define SFA_CONVERSION_GPUTONVVM_INSTRUCTIONS_EMITTED_H

#include "Emitter.h"

namespace sfa::simt {

/// An integer or a condition that a thread computes. Its operators emit what those of int64_t
/// compute, so that a rule of dialects/GPU/Layouts.h serves both. Numbers are not negative.
class Emitted {
public:
  using Value = mlir::Value;

  Emitted(Emitter &emit, Value value) : emit(emit), value(value) {}
  operator Value() const { return value; }

  friend Emitted operator+(Emitted a, Emitted b) { return {a.emit, a.emit.add(a.value, b.value)}; }
  friend Emitted operator+(Emitted a, int64_t b) { return {a.emit, a.emit.add(a.value, b)}; }
  friend Emitted operator-(Emitted a, Emitted b) { return {a.emit, a.emit.sub(a.value, b.value)}; }
  friend Emitted operator*(Emitted a, int64_t b) { return {a.emit, a.emit.mul(a.value, b)}; }
  friend Emitted operator/(Emitted a, int64_t b) { return {a.emit, a.emit.div(a.value, b)}; }
  friend Emitted operator%(Emitted a, int64_t b) { return {a.emit, a.emit.rem(a.value, b)}; }
  friend Emitted operator&(Emitted a, int64_t b) { return {a.emit, a.emit.bitAnd(a.value, b)}; }
  friend Emitted operator^(Emitted a, Emitted b) {
    return {a.emit, a.emit.bitXor(a.value, b.value)};
  }
  friend Emitted operator^(Emitted a, int64_t b) { return {a.emit, a.emit.bitXor(a.value, b)}; }
  friend Emitted operator<<(Emitted a, int64_t b) { return {a.emit, a.emit.shiftLeft(a.value, b)}; }
  friend Emitted operator>>(Emitted a, int64_t b) {
    return {a.emit, a.emit.shiftRight(a.value, b)};
  }

  /// Each of `a` and `b` is an i32 or a constant.
  template <class A, class B>
  friend Emitted select(Emitted condition, A a, B b) {
    Value whenSet = condition.toValue(a), otherwise = condition.toValue(b);
    return {condition.emit, condition.emit.select(condition.value, whenSet, otherwise)};
  }

private:
  Value toValue(int64_t number) const { return emit.i32(number); }
  Value toValue(Emitted number) const { return number.value; }

  Emitter &emit;
  Value value;
};

} // namespace sfa::simt

#endif // SFA_CONVERSION_GPUTONVVM_INSTRUCTIONS_EMITTED_H
