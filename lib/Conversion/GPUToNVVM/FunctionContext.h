//===- FunctionContext.h - What all patterns know of the function at hand -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A kernel becomes a function of one thread. A fragment becomes the registers of a lane, and so on:
// see `addTypeConversions`. Warp w of the consumers, or of its group of them, owns the 16 R rows of a
// tile from 16 R w on, where R is `repeatsOf(rows)`.
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_GPUTONVVM_FUNCTIONCONTEXT_H
#define SFA_CONVERSION_GPUTONVVM_FUNCTIONCONTEXT_H

#include "Emitted.h"
#include "KernelFunction.h"
#include "SharedTile.h"
#include "dialects/GPU/Layouts.h"
#include "mlir/Transforms/DialectConversion.h"
#include "sfa/Support/Chip.h"

namespace sfa::simt {

using Values = Emitter::Values;

/// The lane's quad and its place there, of which Layouts.h speaks.
struct LanePlace {
  mlir::Value g, t;

  LanePlace(Emitter &emit, mlir::Value lane)
      : g(quadOfLane(Emitted(emit, lane))), t(placeInQuad(Emitted(emit, lane))) {}
};

/// What the operations of a kernel have in common.
class FunctionContext {
public:
  /// Shared memory of `kernel` has to be allocated.
  FunctionContext(KernelOp kernel, const Chip &chip);

  const Chip &chip;
  const int64_t numThreads, firstConsumer, numConsumers;
  /// Warps that share the rows of a tile: those of a group of consumers, or all of them.
  const int64_t groupWarps;
  const bool isPersistent;

  /// Set when the kernel has become a function: that, the thread of the block, its lane, the number
  /// of its warp among the consumers, the place of the lane; the extents of a persistent grid
  /// (i32).
  mlir::LLVM::LLVMFuncOp function;
  mlir::Value thread, lane, warp;
  /// The number of its warp among those that share the rows of a tile.
  mlir::Value warpOfGroup;
  std::optional<LanePlace> place;
  Values extents;
  /// A condition that holds, which the assembler does not know.
  mlir::Value always;
  /// Where the barriers of all rings are in shared memory; null where there are none.
  mlir::Value barriers;
  /// The parameters that hold tensor maps.
  struct TensorMapParameter {
    int64_t memory, rows, heads;
    mlir::Value parameter;
  };
  llvm::SmallVector<TensorMapParameter> tensorMaps;
  /// The parameters that hold how many batches a memory has: those of which a kernel asks.
  struct BatchesParameter {
    int64_t memory;
    mlir::Value parameter;
  };
  llvm::SmallVector<BatchesParameter> batches;
  /// What `sfa_gpu.split_order` reads: the numbers of the memories of lengths and of the table, and the
  /// tokens of a page.
  struct SplitSource {
    int64_t lengths, table, pageSize, leastBlocks;
  };
  std::optional<SplitSource> splits;
  /// The rings and marks of the kernel, with their places in shared memory.
  struct RingInfo {
    SharedType tile;
    int64_t stages, stageBytes, offset;
    /// Number of its first barrier; writers and readers are 0 where there are none.
    int64_t firstBarrier, writers, readers;
    bool hasOnes;
  };
  llvm::SmallVector<RingInfo> rings;
  llvm::SmallVector<int64_t> marksOffsets;
  /// In bytes.
  int64_t barriersOffset = 0;
  /// The shared memory of the module.
  mlir::LLVM::GlobalOp sharedMemory;

  /// Address `offset` of shared memory.
  mlir::Value shared(Emitter &emit, int64_t offset) const {
    return emit.offset(emit.make<mlir::LLVM::AddressOfOp>(sharedMemory), offset);
  }

  /// The memory number `number` of the kernel, of type `type`.
  Memory memoryOf(int64_t number, mlir::Type type) const;
  /// The number of a memory among the arguments of the kernel, whose first register is `pointer`.
  static int64_t numberOf(mlir::Value pointer) {
    return llvm::cast<mlir::BlockArgument>(pointer).getArgNumber() / Memory::numRegisters;
  }

  /// The number of the warpgroup among those of the consumers; i32.
  mlir::Value consumer(Emitter &emit) const { return emit.shiftRight(warp, 2); }
  /// Named barriers of all consumers, of warpgroups that take turns, and of each warpgroup; 0 is that
  /// of the block.
  static constexpr int64_t consumersBarrier = 1, firstTurnBarrier = 2, firstWarpgroupBarrier = 6;
  /// All consumers meet.
  void meetConsumers(Emitter &emit) const;

  //===--- Rows of a tile ---------------------------------------------------===//

  /// How many blocks of 16 rows a warp owns of a tile.
  int64_t repeatsOf(int64_t rows) const { return rows / (16 * groupWarps); }
  /// Of a tile whose rows are those of `heads` heads, P of each (ScheduleAttr::rowsOfHead): the
  /// number of a head and one of its P rows; i32. The head is null where there is one only.
  struct RowOfHead {
    mlir::Value head, row;
  };
  /// The place of the first row of the warp, which has rows of one head or of several whole heads.
  RowOfHead firstRowOfWarp(Emitter &emit, int64_t rows, int64_t heads) const;
  /// The place of row `number` of a lane whose g is `g`.
  RowOfHead rowOfLane(Emitter &emit, mlir::Value g, size_t number, int64_t rows,
                      int64_t heads) const;
  /// Whether a warp has rows of several of `heads` heads.
  bool sharesWarp(int64_t rows, int64_t heads) const {
    return ScheduleAttr::rowsOfHead(rows, heads) < 16 * repeatsOf(rows);
  }
};

/// What types become:
///
/// | type | registers |
/// |---|---|
/// | memref | address, rows, strides of batch, head and row |
/// | tile of f32 or i32, pending tile | elements of a lane (Layouts.h) |
/// | tile with factors | elements, then the factors as those of a row vector |
/// | row vector | two for each block of 16 rows |
/// | columns | two for each block of 8 columns, or all numbers there are (Scales.cpp) |
/// | operand | pairs of elements |
/// | 2:4 operand | `TwoFour` (TwoFour.h) |
/// | codes | words of the first row, then those of the next; or address |
/// | position | stage, parity |
/// | ring | address, bytes of a stage, numbers of the first "full" and "empty" barriers |
/// | shared tile, marks, point order | address |
void addTypeConversions(mlir::TypeConverter &types, const FunctionContext &function);

} // namespace sfa::simt

#endif // SFA_CONVERSION_GPUTONVVM_FUNCTIONCONTEXT_H
