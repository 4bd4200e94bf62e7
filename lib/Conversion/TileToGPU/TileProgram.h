//===- TileProgram.h - What a kernel over tiles consists of -*- C++ -* -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_TILETOGPU_TILEPROGRAM_H
#define SFA_CONVERSION_TILETOGPU_TILEPROGRAM_H

#include "dialects/GPU/GPU.h"
#include "sfa/Support/Chip.h"

namespace sfa::simt {

/// A copy of a tile to shared memory, where it is used as it is.
struct TileCopy {
  mlir::Operation *load;
  mlir::Value memory, batch, head, row, limit;
  mlir::IntegerAttr heads;
  SharedType tile;

  TileCopy(tile::LoadOp load, TileForm form);
  explicit TileCopy(tile::LoadPostingsOp load);
};

/// One pass over the points of the grid: a loop over key tiles with what is before and behind it.
struct TilePass {
  tile::KeyLoopOp loop;
  /// Operations before the loop and behind it, in order.
  llvm::SmallVector<mlir::Operation *> before, behind;
  /// Forms the scores, in the loop's stage `score`.
  ScoreOpInterface score;
  /// Loads before the loop whose tiles its stages read.
  llvm::SmallVector<tile::LoadOp> residents;
  /// Codes of queries that are taken apart before the loop.
  llvm::SmallVector<tile::SplitOp> splits;
  /// Codes of queries that the loop reads as they are.
  llvm::SmallVector<tile::LoadCodesOp> codes;
  /// Loads of the stage `load`: for the scores, then of the values.
  llvm::SmallVector<TileCopy> staged;
  /// The scales of 8-bit keys, of the stage `load`, too; null where there are none. Nobody copies
  /// them to shared memory.
  tile::LoadScalesOp keyScales;

  const TileCopy &values() const { return staged.back(); }
  TileCopy copyOf(tile::LoadOp resident) const { return {resident, formOf(resident.getTile())}; }
  /// The form in which the operation that forms scores wants `tile`, one of its operands.
  TileForm formOf(mlir::Value tile) const;
  /// The form of what the stage `load` yields as number `number`.
  TileForm stagedForm(size_t number) const;
};

/// A kernel with a loop over key tiles.
struct TileProgram {
  tile::KernelOp kernel;
  /// The pass over all points, and the one over those that have to be computed again, if there is
  /// one, with its condition.
  TilePass main;
  std::optional<TilePass> again;
  mlir::Value againCondition;

  int64_t qTile() { return main.loop.getAccType().getRows(); }
  int64_t kTile() { return static_cast<int64_t>(main.loop.getStep()); }
  int64_t consumers = 2, stages = 2, lookahead = 1;
  bool takesTurns = false, hasQueriesInRegisters = false, isPersistent = false;
};

/// Finds the parts of `kernel`, and diagnoses what `chip` cannot do.
mlir::FailureOr<TileProgram> analyze(tile::KernelOp kernel, const Chip &chip);

/// Whether tiles of queries differ in the keys that they see.
bool pointsDiffer(tile::KeyLoopOp loop);

/// Emits the program of a block with roles: warpgroups that copy and warpgroups that compute
/// (Warpgroups.cpp).
mlir::LogicalResult specializeWarpgroups(TileProgram &program, mlir::OpBuilder &builder);
/// Emits the program of a block whose warps all copy and compute (Warps.cpp).
mlir::LogicalResult specializeWarps(TileProgram &program, mlir::OpBuilder &builder);

/// Whether `kernel` reads keys from the pages of a cache.
bool readsCache(tile::KernelOp kernel);
/// Emits the program of a block whose warps share the keys of a tile, not the queries (Cache.cpp).
mlir::LogicalResult specializeCache(tile::KernelOp kernel, const Chip &chip,
                                    mlir::OpBuilder &builder);

} // namespace sfa::simt

#endif // SFA_CONVERSION_TILETOGPU_TILEPROGRAM_H
