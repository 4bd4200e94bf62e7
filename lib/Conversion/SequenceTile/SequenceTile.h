//===- SequenceTile.h - The search for the sequence of a row tile -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What sfa_tile.sequence_tile computes, in the arith and scf dialects: the same on all targets,
// which differ in how they read memory.
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_SEQUENCETILE_SEQUENCETILE_H
#define SFA_CONVERSION_SEQUENCETILE_SEQUENCETILE_H

#include "dialects/Tile/Tile.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace sfa::tile {

/// How a target reads offsets. All are of type index; the memory is an operand of the op.
struct OffsetReader {
  llvm::function_ref<mlir::Value(mlir::Value memory)> count;
  /// Offset `number`, sign-extended.
  llvm::function_ref<mlir::Value(mlir::Value memory, mlir::Value number)> read;
};

/// Emits the values of the results of `op`. `tile`, `numQueries` and `numKeys` are its operands
/// where the builder is. Reads no offset that is not there, however few there are.
llvm::SmallVector<mlir::Value> emitSequenceTile(mlir::ImplicitLocOpBuilder &builder,
                                                SequenceTileOp op, mlir::Value tile,
                                                mlir::Value numQueries, mlir::Value numKeys,
                                                OffsetReader reader);

} // namespace sfa::tile

#endif // SFA_CONVERSION_SEQUENCETILE_SEQUENCETILE_H
