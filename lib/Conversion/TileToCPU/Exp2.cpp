//===- Exp2.cpp - 2^x of a vector -----------------------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"

using namespace mlir;
using namespace sfa::cpu;

/// 2^x = 2^n * 2^f with n = round(x) and f in [-1/2, 1/2]: n goes into the exponent bits, 2^f is a
/// polynomial of degree 6 with a relative error of 2e-9 (minimax, constant term 1). x <= -127 gives
/// 0, x >= 128 gives inf, NaN stays NaN.
Value KernelLowering::exp2(Value x) {
  // With NaN both of these return their second operand.
  x = emit.maxOrSecond(emit.splat(-127.0f), x);
  x = emit.minOrSecond(emit.splat(128.0f), x);

  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
  Value magic = emit.splat(0x1.8p23f);
  Value shifted = emit.add(x, magic);
  Value f = emit.sub(x, emit.sub(shifted, magic));

  static constexpr float coefficients[] = {1.5353426e-4f, 1.3398896e-3f, 9.6184373e-3f,
                                           5.5503324e-2f, 2.4022648e-1f, 6.9314720e-1f,
                                           1.0f};
  Value power = emit.splat(coefficients[0]);
  for (float coefficient : ArrayRef(coefficients).drop_front())
    power = emit.fma(power, f, emit.splat(coefficient));

  Value bits = emit.make<arith::BitcastOp>(emit.i32Vector(), shifted);
  Value exponent = emit.make<arith::ShLIOp>(bits, emit.splat(int32_t(23)));
  Value one = emit.splat(int32_t(0x3F800000));
  Value scale =
      emit.make<arith::BitcastOp>(emit.f32Vector(), Value(emit.make<arith::AddIOp>(exponent, one)));
  return emit.mul(power, scale);
}
