//===- Checks.cpp - What the verifiers of sfa operations share ------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Checks.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace sfa;

/// The most features of a row; an index of codes has 16 bits.
static constexpr int64_t maxFeatures = 65536;

static constexpr StringLiteral dimNames[] = {"batch", "heads", "tokens", "features"};

OpFoldResult sfa::sizeOf(OpBuilder &builder, Location loc, Value value, int64_t dim) {
  return tensor::getMixedSize(builder, loc, value, dim);
}

LogicalResult sfa::checkDim(Operation *op, StringRef name, RankedTensorType type, int64_t dim,
                            int64_t expected, StringRef from) {
  if (compatible(type.getDimSize(dim), expected))
    return success();
  return op->emitOpError() << name << " has " << type.getDimSize(dim) << " in dimension " << dim
                           << " (" << dimNames[dim] << "), expected is " << expected << ", as "
                           << from;
}

LogicalResult sfa::checkElementType(Operation *op, StringRef name, RankedTensorType type,
                                    Type expected, StringRef from) {
  if (type.getElementType() == expected)
    return success();
  return op->emitOpError() << name << " has elements of type " << type.getElementType()
                           << ", expected is " << expected << ", as " << from
                           << "; convert one of them";
}

LogicalResult sfa::checkTensor(Operation *op, StringRef name, RankedTensorType type) {
  for (int64_t dim : {1, 3})
    if (type.isDynamicDim(dim))
      return op->emitOpError() << name << " has a dynamic dimension " << dim << " ("
                               << dimNames[dim] << "); only batch and tokens may be dynamic";
  if (type.getDimSize(1) < 1 || type.getDimSize(3) < 1)
    return op->emitOpError() << name << " has " << type.getDimSize(1) << " heads and "
                             << type.getDimSize(3) << " features; at least 1 of each is needed";
  if (type.getDimSize(3) > maxFeatures)
    return op->emitOpError() << name << " has " << type.getDimSize(3)
                             << " features, allowed are at most " << maxFeatures;
  // Offsets in bytes are 64-bit, whatever the element type becomes on the way.
  int64_t bytes = sizeof(double);
  for (int64_t size : type.getShape())
    if (!ShapedType::isDynamic(size) && llvm::MulOverflow(bytes, std::max<int64_t>(size, 1), bytes))
      return op->emitOpError() << name << " of type " << type
                               << " is too large for 64-bit offsets in bytes";
  return success();
}
