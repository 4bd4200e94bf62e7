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

/// The registers of a 2:4 operand.
///
/// A warp has blocks of 16 rows, and a slice of 32 columns has eight groups of four. Of a block and
/// a slice lane (g, t) holds the pairs of groups t and 4 + t, in rows g and g + 8: in the order
/// (g, t), (g + 8, t), (g, 4 + t), (g + 8, 4 + t). The element of lower column is in the low half.
/// The places of a pair are four bits, i + 4 j for columns i < j of the group. A register of places
/// has groups 4 h to 4 h + 3 of row g in its low half and of row g + 8 in its high half; lanes t =
/// 0 and 1 have h = 0 and 1 of an even slice, lanes 2 and 3 of the odd slice behind it (PTX ISA,
/// "Sparse matrix storage" of mma.sp.m16n8k32 and wgmma.mma_async.sp).
///
/// In shared memory the elements of a slice are 16 columns of their rows, where the tile had 32:
/// the first half of these bytes is that of the part, the second that of the surplus.
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
  /// Bytes of a slice in a row of the tile, and of a part of it.
  static constexpr int64_t sliceBytes = 2 * TwoFourType::sliceColumns, partBytes = sliceBytes / 2;
  static int64_t selector(int64_t slice) { return slice % 2; }
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
