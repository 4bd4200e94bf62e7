//===- Ldmatrix.h - Operands of matrix units from shared memory -*- C++ -*- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_GPUTONVVM_INSTRUCTIONS_LDMATRIX_H
#define SFA_CONVERSION_GPUTONVVM_INSTRUCTIONS_LDMATRIX_H

#include "SharedTile.h"

#include <array>

namespace sfa::simt {

/// 16 bytes of row `laneRow` + `firstRow`, from chunk `laneChunk` + `firstChunk` on, where the last
/// are multiples of 8 and 2, `laneChunk` 0 or 1: what differs between steps is a constant, so that
/// one register serves all of them.
mlir::Value matrixAddress(Emitter &emit, const SharedTile &tile, mlir::Value laneRow,
                          mlir::Value laneChunk, int64_t firstRow, int64_t firstChunk);

/// Four 8 x 8 matrices: lane l gives the address of row l % 8 of matrix l / 8. PTX ISA, "ldmatrix".
std::array<mlir::Value, 4> loadMatrices(Emitter &emit, mlir::Value address, bool transpose);

/// Chunks 2 `step` and 2 `step` + 1 of 16 rows from `firstRow` on as the left operand of a product.
std::array<mlir::Value, 4> loadLeft(Emitter &emit, const SharedTile &tile, mlir::Value lane,
                                    mlir::Value firstRow, int64_t step);

} // namespace sfa::simt

#endif // SFA_CONVERSION_GPUTONVVM_INSTRUCTIONS_LDMATRIX_H
