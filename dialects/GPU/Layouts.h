//===- Layouts.h - Which lane holds what, and where it is -------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each rule of a layout stands here once: for those who emit code by it, and for those who compute
// with it, as sfa-layout does. Where it is a template, `Int` is int64_t, or a number that a thread
// of a GPU computes (Emitted.h of GPUToNVVM). Numbers are not negative. The rules of tiles in
// shared memory are in sfa/Swizzle.h, that of feature-major tiles is FeatureMajorAttr::placeOf.
//
// A warp has 32 lanes. Lane (g, t) is lane 4 g + t of the warp.
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_GPU_LAYOUTS_H
#define DIALECTS_GPU_LAYOUTS_H

#include "dialects/GPU/GPU.h"

namespace sfa::simt {

inline int64_t select(bool condition, int64_t a, int64_t b) { return condition ? a : b; }

/// The g and the t of a lane.
template <class Int>
Int quadOfLane(Int lane) {
  return lane >> 2;
}
template <class Int>
Int placeInQuad(Int lane) {
  return lane & 3;
}

//===----------------------------------------------------------------------===//
// Accumulators: fragments of mma.sync and of wgmma
//===----------------------------------------------------------------------===//

// A warp has blocks of 16 rows. Of each a lane has columns / 2 elements, in two rows: g and g + 8.

/// Which row, among those of a lane, holds an element of a fragment of `columns` columns.
inline size_t rowOfElement(size_t element, int64_t columns) {
  return element / (columns / 2) * 2 + element % 4 / 2;
}
/// By how many rows the row `number` of a lane is behind its first one, row g.
inline int64_t rowOffset(size_t number) {
  return static_cast<int64_t>(number / 2 * 16 + number % 2 * 8);
}
/// The first column of lane t of a quad.
template <class Int>
Int firstColumn(Int t) {
  return t * 2;
}
/// By how many columns an element is behind the first one of its lane.
inline int64_t columnOffset(size_t element, int64_t columns) {
  return static_cast<int64_t>(element % (columns / 2) / 4 * 8 + element % 2);
}

//===----------------------------------------------------------------------===//
// Left operands of products
//===----------------------------------------------------------------------===//

// They have 16 rows and two chunks of 16 bytes, and are loaded as four matrices of 8 rows and a
// chunk. Lane l names the row and the chunk of row l % 8 of matrix l / 8. Of row g of each matrix
// lane (g, t) gets bytes 4 t to 4 t + 3 (PTX ISA, "ldmatrix").

template <class Int>
Int rowOfLeft(Int lane) {
  return lane & 15;
}
template <class Int>
Int chunkOfLeft(Int lane) {
  return lane >> 4;
}

//===----------------------------------------------------------------------===//
// 2:4 operands
//===----------------------------------------------------------------------===//

/// A warp has blocks of 16 rows, and a slice of 32 columns has eight groups of four, in two halves.
/// Of a block and a slice lane (g, t) holds the pairs of groups t and 4 + t, in rows g and g + 8:
/// in the order (g, t), (g + 8, t), (g, 4 + t), (g + 8, 4 + t). The element of lower column is in
/// the low half. The places of a pair are four bits, i + 4 j for columns i < j of the group. A
/// register of places has groups 4 h to 4 h + 3 of row g in its low half and of row g + 8 in its
/// high half; lanes t = 0 and 1 have h = 0 and 1 of an even slice, lanes 2 and 3 of the odd slice
/// behind it (PTX ISA, "Sparse matrix storage" of mma.sp.m16n8k32 and wgmma.mma_async.sp).
///
/// In shared memory the elements of a slice are 16 columns of their rows, where the tile had 32:
/// the first half of these bytes is that of the part, the second that of the surplus.
struct TwoFourLayout {
  /// Bytes of a slice in a row of the tile, and of a part of it.
  static constexpr int64_t sliceBytes = 2 * TwoFourType::sliceColumns, partBytes = sliceBytes / 2;

  /// The pairs of a lane in a slice, in the order of their registers: which half of the groups, and
  /// how many rows behind row g.
  static constexpr int64_t numPairs = 4;
  static int64_t halfOfPair(int64_t number) { return number / 2; }
  static int64_t rowOfPair(int64_t number) { return number % 2 * 8; }

  /// Where the group of half `half` of a slice that lane t takes apart is in a row of the tile, and
  /// where its pair goes.
  template <class Int>
  static Int byteOfGroup(Int t, int64_t slice, int64_t half) {
    return t * 8 + (slice * sliceBytes + half * (sliceBytes / 2));
  }
  template <class Int>
  static Int byteOfPair(Int t, int64_t slice, int64_t half, bool isSurplus) {
    return t * 4 + (slice * sliceBytes + (isSurplus ? partBytes : 0) + half * (partBytes / 2));
  }

  /// The columns i < j of a group that a part takes: the first two that are set, as `set0` to
  /// `set2` say of all but the last one. Where there are fewer than two, columns that hold zeros
  /// fill up, in ascending order.
  template <class Bool>
  static auto firstTwo(Bool set0, Bool set1, Bool set2) {
    auto behind0 = select(set1, 1, select(set2, 2, 3));
    auto behind1 = select(set2, 2, 3);
    auto without0 = select(set1, 1, select(set2, 2, 0));
    auto i = select(set0, 0, without0);
    auto j = select(set0, behind0, select(set1, behind1, 3));
    return std::pair(i, j);
  }
  template <class Int>
  static Int placesOf(Int i, Int j) {
    return i + j * 4;
  }

  /// Where the places of the group of lane t are in their half of a register, and where the half of
  /// row g + 8 is.
  template <class Int>
  static Int shiftOfGroup(Int t) {
    return t * 4;
  }
  static constexpr int64_t shiftOfSecondRow = 16;
  /// Of which half, and of which of two slices, lane t has the places.
  template <class Int>
  static Int halfOfPlaces(Int t) {
    return t & 1;
  }
  template <class Int>
  static Int sliceOfPlaces(Int t) {
    return t >> 1;
  }
  /// Which lanes of a quad a product takes the places of a slice from.
  static int64_t selector(int64_t slice) { return slice % 2; }
};

//===----------------------------------------------------------------------===//
// Feature-major tiles as `gather` reads them
//===----------------------------------------------------------------------===//

struct GatherLayout {
  /// Bytes of a pattern of tokens, and those that a lane reads of it.
  static constexpr int64_t patternBytes = 2 * FeatureMajorAttr::tokensOfPattern, bytesOfLane = 16;

  /// Where lane (g, t) reads first, of each two patterns of a feature. Lanes of odd g take the
  /// second pattern first, so that the lanes that read at a time meet no bank twice.
  template <class Int>
  static Int firstByte(Int g, Int t) {
    return t * bytesOfLane + (g & 1) * patternBytes;
  }
  /// Where it reads behind that.
  template <class Int>
  static Int secondByte(Int g, Int t) {
    return firstByte(g, t) ^ patternBytes;
  }
};

} // namespace sfa::simt

#endif // DIALECTS_GPU_LAYOUTS_H
