//===- Swizzle.h - The 128-byte swizzle of shared memory --------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The sizes that tensor maps, which the runtime makes, and kernels, which the compiler makes, have
// to agree on. Of no use to those who launch programs, so it is not installed.
//
//===----------------------------------------------------------------------===//

#ifndef SFA_SWIZZLE_H
#define SFA_SWIZZLE_H

#include <cstdint>

namespace sfa::swizzle {

/// The span of the swizzle, which a row of a panel in shared memory has.
inline constexpr int64_t rowBytes = 128;
/// What moves as one, and where rows of memory have to begin.
inline constexpr int64_t chunkBytes = 16;
/// Columns of a panel of 16-bit elements, which is what one box of a tensor map fills.
inline constexpr int64_t panelColumns = rowBytes / 2;
/// In bytes: the pattern repeats after eight rows, and panels begin where it does.
inline constexpr int64_t alignment = 8 * rowBytes;

// Where things are in a swizzled tile. dialects/GPU/Layouts.h says what `Int` may be.

/// What the numbers of the chunks of row `row` are XORed with.
template <class Int>
Int patternOf(Int row) {
  return row & 7;
}
/// The place of chunk `chunk` among the eight of row `row` of a panel.
template <class Int>
Int placeOfChunk(Int chunk, Int row) {
  return chunk ^ patternOf(row);
}
/// Where byte `byte` of row `row` is in a tile whose panels have `panelBytes`. Those behind it in
/// the same chunk follow it.
template <class Int>
Int offsetOf(Int row, Int byte, int64_t panelBytes) {
  Int panel = byte >> 7, inPanel = byte & (rowBytes - 1);
  Int swizzled = inPanel ^ (patternOf(row) << 4);
  return panel * panelBytes + row * rowBytes + swizzled;
}

} // namespace sfa::swizzle

#endif // SFA_SWIZZLE_H
