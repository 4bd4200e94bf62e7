//===- StoredScales.h - Scales of 8-bit integers in memory ----------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_GPUTONVVM_INSTRUCTIONS_STOREDSCALES_H
#define SFA_CONVERSION_GPUTONVVM_INSTRUCTIONS_STOREDSCALES_H

#include "KernelFunction.h"
#include "dialects/SFA/SFA.h"

namespace sfa::simt {

/// The scales of the rows of `[batch, head]`.
class StoredScales {
public:
  using Value = mlir::Value;

  StoredScales(Emitter &emit, const Memory &memory, Value batch, Value head, Scales sharedBy);

  /// The scale of row `row` (i64) of the head `headsBehind` (i32) after `head`, or of that one
  /// where it is null; 1 for a row beyond the end.
  Value at(Value row, Value headsBehind = nullptr) const;

private:
  Emitter &emit;
  const Memory &memory;
  Value base;
  Scales sharedBy;
};

} // namespace sfa::simt

#endif // SFA_CONVERSION_GPUTONVVM_INSTRUCTIONS_STOREDSCALES_H
