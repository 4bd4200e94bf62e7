//===- SharedTile.h - A swizzled tile in shared memory -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_GPUTONVVM_INSTRUCTIONS_SHAREDTILE_H
#define SFA_CONVERSION_GPUTONVVM_INSTRUCTIONS_SHAREDTILE_H

#include "Emitter.h"
#include "sfa/Swizzle.h"

namespace sfa::simt {

/// A tile of 16-bit elements in shared memory: panels of 64 columns, each a row after the other in
/// 128 bytes, of which the 16-byte chunk c is at c ^ (row % 8). That is the 128-byte swizzle of
/// bulk tensor copies and warpgroup products, and keeps ldmatrix free of bank conflicts. Aligned to
/// 1024 bytes. Where the columns are no multiple of 64, the last panel has some that nobody reads;
/// up to a multiple of 16 they hold zeros, since products take 16 columns at once.
struct SharedTile {
  mlir::Value base;
  int64_t rows, columns;

  static constexpr int64_t panelColumns = swizzle::panelColumns, rowBytes = swizzle::rowBytes,
                           chunkElements = 8, alignment = swizzle::alignment;
  int64_t numPanels() const { return (columns + panelColumns - 1) / panelColumns; }
  int64_t panelBytes() const { return rows * rowBytes; }
  int64_t bytes() const { return numPanels() * panelBytes(); }
  /// Of products that add up over the columns, 16 at once.
  int64_t numSteps() const { return (columns + 15) / 16; }
};

} // namespace sfa::simt

#endif // SFA_CONVERSION_GPUTONVVM_INSTRUCTIONS_SHAREDTILE_H
