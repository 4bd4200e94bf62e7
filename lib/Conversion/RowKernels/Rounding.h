//===- Rounding.h - Values to 8-bit integers with scales -----------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What `sfa.quantize` says, for all kernels that round: they give the same bits.
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_ROWKERNELS_ROUNDING_H
#define SFA_CONVERSION_ROWKERNELS_ROUNDING_H

#include "RowFunction.h"

namespace sfa::simt {

/// How the threads of a kernel find scales and round. Values are f32.
class Rounding {
public:
  using Value = mlir::Value;
  using Values = Emitter::Values;
  /// Adds the error of a value to a sum.
  using AddError = llvm::function_ref<Value(Value value, Value sum)>;

  explicit Rounding(RowFunction &kernel) : kernel(kernel), emit(kernel.emit) {}

  /// The largest of `largest` and the magnitude of `value`, as bits: those of a larger number are
  /// larger, and those of an infinity and of a NaN are the largest.
  Value larger(Value largest, Value value);
  /// The largest of what the threads of the block have.
  Value largestOfBlock(Value mine);
  /// The scale with which all values that share it become integers up to 127.
  Value scaleFor(Value largest) { return scaleFor(largest, emit.f32(127.0f)); }
  /// Of the candidates for a token the scale with the least squared error. `sumOf` adds up the
  /// errors of the token's values, from 0 on.
  Value searchScale(Value largest, llvm::function_ref<Value(AddError)> sumOf);
  /// The integer (i8) for `value`; 0 where the scale is a NaN.
  Value round(Value value, Value scale);

private:
  static constexpr int64_t numCandidates = 32;

  /// The scale that makes the largest magnitude `steps`.
  Value scaleFor(Value largest, Value steps);
  Value bitsOf(Value number) { return emit.bitcast(emit.getI32Type(), number); }
  Value numberOf(Value bits) { return emit.bitcast(emit.getF32Type(), bits); }

  RowFunction &kernel;
  Emitter &emit;
};

} // namespace sfa::simt

#endif // SFA_CONVERSION_ROWKERNELS_ROUNDING_H
