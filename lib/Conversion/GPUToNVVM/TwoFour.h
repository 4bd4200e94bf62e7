//===- TwoFour.h - 2:4 operands in registers and shared memory -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_GPUTONVVM_TWOFOUR_H
#define SFA_CONVERSION_GPUTONVVM_TWOFOUR_H

#include "FunctionContext.h"

namespace sfa::simt {

/// The registers of a 2:4 operand: those of TwoFourLayout, elements before places.
class TwoFour {
public:
  TwoFour(TwoFourType type, mlir::ValueRange registers, const FunctionContext &function)
      : type(type), registers(registers), repeats(function.repeatsOf(type.getRows())) {}

  bool isInRegisters() const { return type.getInRegisters(); }
  int64_t numSlices() const { return type.getNumSlices(); }
  /// Four registers of elements, of those in registers.
  mlir::ValueRange elements(int64_t repeat, int64_t slice) const {
    return registers.slice((repeat * numSlices() + slice) * 4, 4);
  }
  mlir::Value places(int64_t repeat, int64_t slice) const {
    int64_t first = isInRegisters() ? repeats * numSlices() * 4 : 0;
    return registers[first + repeat * type.getNumPlaceRegisters() + slice / 2];
  }
  /// Elements in shared memory.
  mlir::Value base() const { return registers[registers.size() - 2]; }
  /// Bit s: whether there is an element that is not zero in slice s; i32.
  mlir::Value slices() const { return registers.back(); }
  /// What products read from registers until they are over.
  mlir::ValueRange kept() const { return isInRegisters() ? registers : registers.drop_back(2); }

private:
  TwoFourType type;
  mlir::ValueRange registers;
  int64_t repeats;
};

} // namespace sfa::simt

#endif // SFA_CONVERSION_GPUTONVVM_TWOFOUR_H
