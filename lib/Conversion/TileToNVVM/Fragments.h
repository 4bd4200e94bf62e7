//===- Fragments.h - What tiles are on a GPU ---------------------*- C++ -*- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// A block has groups of four warps that compute (consumers). Warp w of them owns the 16 R rows of a
// query tile from 16 R w on, where R is `Geometry::repeats`. A lane's g is lane / 4 and its t is
// lane % 4 (PTX ISA, "Matrix Fragments for mma.m16n8k16"; the accumulators of wgmma are the same).
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_TILETONVVM_FRAGMENTS_H
#define SFA_CONVERSION_TILETONVVM_FRAGMENTS_H

#include "SharedTile.h"

namespace sfa::gpu {

using namespace sfa::simt;


/// How a query tile is spread over warps.
struct Geometry {
  int64_t qTile, kTile;
  /// Warpgroups that compute.
  int64_t consumers;
  /// Blocks of 16 rows that one warp owns.
  int64_t repeats;
};

/// An f32 matrix in registers, row tile by keys or row tile by features. Of its block r of 16 rows
/// and its 8 columns from 8 j on, element 4 (r columns/8 + j) + e of a lane is in row 16 r + g + 8
/// (e / 2) and in column 8 j + 2 t + e % 2.
struct Fragment {
  Emitter::Values elements;
  int64_t columns;

  /// Number of the row, among those of a lane, that holds an element.
  size_t rowOf(size_t element) const {
    return element / (columns / 2) * 2 + element % 4 / 2;
  }
};

/// An f32 or a flag for each row of a row tile: two for each block of 16 rows. The four lanes of a
/// row hold the same, or (`isSpread`) numbers of which the row's is the sum.
struct RowVector {
  Emitter::Values elements;
  bool isSpread = false;
};

/// A memory argument of a kernel: [batch, head, row, column] or [batch, head, row]; sizes and
/// strides are i64, in elements.
struct Memory {
  mlir::MemRefType type;
  unsigned number;
  mlir::Value pointer, rows, batchStride, headStride, rowStride;
};

} // namespace sfa::gpu

#endif // SFA_CONVERSION_TILETONVVM_FRAGMENTS_H
