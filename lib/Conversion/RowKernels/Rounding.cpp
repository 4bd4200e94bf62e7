//===- Rounding.cpp - Values to 8-bit integers with scales ------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Rounding.h"
#include <limits>

using namespace mlir;
using namespace sfa::simt;

Value Rounding::larger(Value largest, Value value) {
  return emit.maxSigned(largest, emit.bitAnd(bitsOf(value), 0x7FFFFFFF));
}

Value Rounding::largestOfBlock(Value mine) {
  constexpr int64_t numWarps = rowKernelThreads / 32;
  Value shared = kernel.allocateShared(4 * numWarps);
  Value ofWarp = emit.reduceWarp(mine, [&](Value a, Value b) { return emit.maxSigned(a, b); });
  Type i32 = emit.getI32Type();
  emit.store(ofWarp, emit.offset(shared, kernel.warp, i32));
  emit.barrier();
  Value largest;
  for (int64_t warp = 0; warp < numWarps; ++warp) {
    Value other = emit.load(i32, emit.offset(shared, 4 * warp));
    largest = largest ? emit.maxSigned(largest, other) : other;
  }
  return largest;
}

Value Rounding::scaleFor(Value largest, Value steps) {
  constexpr int64_t infinity = 0x7F800000, leastNormal = 0x00800000, nan = 0x7FC00000;
  Value scale = emit.make<arith::DivFOp>(numberOf(largest), steps);
  // Bits of positive numbers are ordered as these are.
  scale = numberOf(emit.maxSigned(bitsOf(scale), emit.i32(leastNormal)));
  scale = emit.select(emit.equal(largest, emit.i32(0)), emit.f32(1.0f), scale);
  return emit.select(emit.less(largest, emit.i32(infinity)), scale, numberOf(emit.i32(nan)));
}

Value Rounding::searchScale(Value largest, function_ref<Value(AddError)> sumOf) {
  // Errors are those of values in units of the largest one, so that no square is 0.
  Value one = emit.f32(1.0f), bias = emit.f32(integerBias), minusOne = emit.f32(-1.0f);
  Value unit = emit.make<arith::DivFOp>(one, scaleFor(largest, one));
  Value most = emit.f32(127.0f), infinity = emit.f32(std::numeric_limits<float>::infinity());
  // The number of steps; that of the best candidate, its square, and the sum of errors in steps.
  Values init{most, most, one, infinity};
  Values found = emit.loop(
      emit.i32(0), emit.i32(numCandidates), emit.i32(1), init, [&](Value, ValueRange in) -> Values {
        Value steps = in[0];
        Value sum = sumOf([&](Value value, Value sum) {
          Value inUnits = emit.mul(value, unit);
          Value rounded = emit.sub(emit.fma(inUnits, steps, bias), bias);
          Value difference = emit.fma(inUnits, steps, emit.negate(rounded));
          return emit.fma(difference, difference, sum);
        });
        // In units the errors are these divided by the squares of steps.
        Value square = emit.mul(steps, steps);
        Value isLess =
            emit.compare(arith::CmpFPredicate::OLT, emit.mul(sum, in[2]), emit.mul(in[3], square));
        return {emit.add(steps, minusOne), emit.select(isLess, steps, in[1]),
                emit.select(isLess, square, in[2]), emit.select(isLess, sum, in[3])};
      });
  return scaleFor(largest, found[1]);
}

Value Rounding::round(Value value, Value scale) {
  // The sum is rounded to an integer, to nearest even, which is in its low bits.
  Value sum = emit.add(emit.make<arith::DivFOp>(value, scale), emit.f32(integerBias));
  Value integer = emit.make<arith::TruncIOp>(emit.getI8Type(), bitsOf(sum));
  Value isNaN = emit.compare(arith::CmpFPredicate::UNO, scale, scale);
  return emit.select(isNaN, emit.like(integer, 0), integer);
}
