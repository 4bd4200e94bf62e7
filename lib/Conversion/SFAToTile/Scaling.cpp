//===- Scaling.cpp - How scores become exponents --------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Scaling.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;

Scaling::Scaling(double scale) {
  auto folded = static_cast<float>(scale * llvm::numbers::log2e);
  if (std::isnormal(folded) && folded > 0) {
    exponent = folded;
    lse = static_cast<float>(scale);
    return;
  }
  factor = static_cast<float>(scale);
  exponent = static_cast<float>(llvm::numbers::log2e);
  lse = 1.0f;
}

SmallVector<Value> sfa::tile::foldScale(OpBuilder &builder, Location loc, Value scale,
                                        Softmax softmax, bool hasLse) {
  if (!scale)
    return {};
  auto rounded = [&](Value value) -> Value {
    return arith::TruncFOp::create(builder, loc, builder.getF32Type(), value);
  };
  Value log2E =
      arith::ConstantOp::create(builder, loc, builder.getF64FloatAttr(llvm::numbers::log2e));
  SmallVector<Value> scalars{rounded(arith::MulFOp::create(builder, loc, scale, log2E))};
  if (softmax == Softmax::Lazy) {
    Value one = arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(1.0f));
    scalars.push_back(arith::DivFOp::create(builder, loc, one, scalars.front()));
  }
  if (hasLse)
    scalars.push_back(rounded(scale));
  return scalars;
}

ScaleNumbers::ScaleNumbers(OpBuilder &builder, Location loc, const std::optional<Scaling> &scaling,
                           ArrayRef<BlockArgument> scalars, Softmax softmax, bool hasLse) {
  auto number = [&](auto constant) -> Value {
    if (scaling)
      return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(constant(*scaling)));
    Value scalar = scalars.front();
    scalars = scalars.drop_front();
    return scalar;
  };
  exponent = number([](const Scaling &scaling) { return scaling.exponent; });
  if (softmax == Softmax::Lazy)
    inverse = number([](const Scaling &scaling) { return 1 / scaling.exponent; });
  if (hasLse)
    lse = number([](const Scaling &scaling) { return scaling.lse; });
}
