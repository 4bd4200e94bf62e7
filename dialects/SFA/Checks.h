//===- Checks.h - What the verifiers of sfa operations share ----*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_SFA_CHECKS_H
#define DIALECTS_SFA_CHECKS_H

#include "dialects/SFA/SFA.h"

namespace sfa {

/// The size of dimension `dim` of `value`, an attribute where it is static.
mlir::OpFoldResult sizeOf(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value,
                          int64_t dim);

inline bool compatible(int64_t first, int64_t second) {
  return first == second || mlir::ShapedType::isDynamic(first) ||
         mlir::ShapedType::isDynamic(second);
}

/// Diagnoses a dimension of `type` that is not `expected`.
mlir::LogicalResult checkDim(mlir::Operation *op, llvm::StringRef name, mlir::RankedTensorType type,
                             int64_t dim, int64_t expected, llvm::StringRef from);

mlir::LogicalResult checkElementType(mlir::Operation *op, llvm::StringRef name,
                                     mlir::RankedTensorType type, mlir::Type expected,
                                     llvm::StringRef from);

/// Diagnoses what no operand or result [batch, heads, tokens, features] may be.
mlir::LogicalResult checkTensor(mlir::Operation *op, llvm::StringRef name,
                                mlir::RankedTensorType type);

} // namespace sfa

#endif // DIALECTS_SFA_CHECKS_H
