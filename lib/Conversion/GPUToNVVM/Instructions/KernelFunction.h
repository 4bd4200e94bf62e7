//===- KernelFunction.h - What the functions of all kernels share -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_GPUTONVVM_INSTRUCTIONS_KERNELFUNCTION_H
#define SFA_CONVERSION_GPUTONVVM_INSTRUCTIONS_KERNELFUNCTION_H

#include "Emitter.h"

namespace sfa::simt {

/// A memory argument of a kernel: [batch, head, row, column], [batch, head, row], [batch, row] or
/// [row]; sizes and strides are i64, in elements.
struct Memory {
  mlir::MemRefType type;
  mlir::Value pointer, rows, batchStride, headStride, rowStride;

  /// What a function takes for a memory: an address and four numbers.
  static constexpr int64_t numRegisters = 5;
  static void appendTypes(mlir::MLIRContext *context, llvm::SmallVectorImpl<mlir::Type> &types);

  /// The memory that `registers` hold, of type `type`.
  Memory(mlir::Type type, mlir::ValueRange registers)
      : type(llvm::cast<mlir::MemRefType>(type)), pointer(registers[0]), rows(registers[1]),
        batchStride(registers[2]), headStride(registers[3]), rowStride(registers[4]) {}

  /// Where the row `row` of `[batch, head]` starts.
  mlir::Value address(Emitter &emit, mlir::Value batch, mlir::Value head, mlir::Value row) const;
  /// By how many elements the row `row` (i64) of the head `headsBehind` (i32, null for none) after
  /// another is behind the first row of that one.
  mlir::Value elementsTo(Emitter &emit, mlir::Value row, mlir::Value headsBehind) const;
  /// How many rows there are from `row` on, of those before `limit` where that is not null; i64.
  mlir::Value rowsLeft(Emitter &emit, mlir::Value row, mlir::Value limit) const;
};

/// The shared memory of all kernels of the module whose block is `module`.
mlir::LLVM::GlobalOp getSharedMemory(mlir::OpBuilder &builder, mlir::Block *module,
                                     mlir::Location loc);

/// Batch, head and row tile, of type index, of a block that has one point of the grid. With
/// `isAgain` nobody knows that they have been formed before.
Emitter::Values getBlockPoint(Emitter &emit, bool isAgain);

/// Says that `function` is a kernel of blocks of `numThreads` threads.
void setKernelAttributes(mlir::LLVM::LLVMFuncOp function, int64_t numThreads);

/// What a launch has to know of a kernel.
struct KernelResources {
  mlir::LLVM::LLVMFuncOp function;
  int64_t numThreads = 0, sharedBytes = 0;
  /// Whether a launch has as many blocks as there are multiprocessors, at most, and the kernel
  /// takes the extents of its grid.
  bool isPersistent = false;
  /// Whether the kernel may begin before the one before it has ended: it waits for that one itself.
  bool isProgrammatic = false;
  /// The memories of which the kernel takes the number of batches.
  llvm::SmallVector<int64_t> batches;
  /// For each tensor map the number of a memory, rows and heads of a box.
  llvm::SmallVector<int64_t> tensorMaps;
};

} // namespace sfa::simt

#endif // SFA_CONVERSION_GPUTONVVM_INSTRUCTIONS_KERNELFUNCTION_H
