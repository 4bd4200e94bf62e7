//===- Scaling.h - How scores become exponents ------------------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_SFATOTILE_SCALING_H
#define SFA_CONVERSION_SFATOTILE_SCALING_H

#include "dialects/SFA/SFA.h"
#include "mlir/IR/Builders.h"

namespace sfa::tile {

/// How scores become exponents: `exp2(exponent * (s - m))` after `s *= factor`. A scale that is a
/// value is folded into the exponent by those who launch the kernel (`foldScale`).
struct Scaling {
  /// Applied to the scores where folding it into the exponent would lose the order of the scores (a
  /// scale that is not positive) or underflow.
  std::optional<float> factor;
  /// For exp2, log2(e) included.
  float exponent;
  /// For the log-sum-exp.
  float lse;

  explicit Scaling(double scale);
};

/// What a kernel takes of a scale that is a value, in this order: the exponent, for a lazy softmax
/// its inverse, with a log-sum-exp the scale of that. They are rounded as those of a constant are.
/// Nothing where `scale` is null.
llvm::SmallVector<mlir::Value> foldScale(mlir::OpBuilder &builder, mlir::Location loc,
                                         mlir::Value scale, Softmax softmax, bool hasLse);

/// The numbers that a kernel multiplies with, in the kernel: constants, or of `scalars`, in the
/// order of `foldScale`. The inverse and the scale of a log-sum-exp are null where nobody needs them.
struct ScaleNumbers {
  mlir::Value exponent, inverse, lse;

  ScaleNumbers(mlir::OpBuilder &builder, mlir::Location loc, const std::optional<Scaling> &scaling,
               llvm::ArrayRef<mlir::BlockArgument> scalars, Softmax softmax, bool hasLse);
};

} // namespace sfa::tile

#endif // SFA_CONVERSION_SFATOTILE_SCALING_H
