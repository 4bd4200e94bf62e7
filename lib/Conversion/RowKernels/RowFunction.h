//===- RowFunction.h - Kernels without a loop over keys ------------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Kernels whose rows come from memory, change their form and go to memory. They have nothing to
// pipeline, so they go from tiles to threads at once.
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_ROWKERNELS_ROWFUNCTION_H
#define SFA_CONVERSION_ROWKERNELS_ROWFUNCTION_H

#include "../GPUToNVVM/Instructions/KernelFunction.h"
#include "dialects/Tile/Tile.h"
#include "mlir/IR/IRMapping.h"
#include "sfa/Support/Chip.h"
#include "llvm/ADT/DenseMap.h"

namespace sfa::simt {

/// Threads of a block.
inline constexpr int64_t rowKernelThreads = 128;

/// The function of one kernel while it is emitted.
class RowFunction {
public:
  using Value = mlir::Value;

  explicit RowFunction(tile::KernelOp kernel)
      : kernel(kernel), emit(kernel.getLoc(), kernel.getContext()) {}

  /// Emits the function at the end of `module`; the kernel stays. Fails with a diagnostic.
  mlir::FailureOr<KernelResources> run(mlir::Block *module, const Chip &chip);

  tile::KernelOp kernel;
  Emitter emit;
  /// Says that the kernel may begin before the one before it has ended, and waits for that one, where the
  /// chip can: a kernel begins with it (PTX ISA, "griddepcontrol").
  void waitForKernelBefore();
  /// Of the block; among those of its warp; the number of the warp.
  Value thread, lane, warp;
  mlir::IRMapping mapping; // values that are no tiles

  Value scalar(Value value) { return mapping.lookup(value); }
  const Memory &memory(Value value) { return memories.find(value)->second; }
  Value address(const Memory &memory, Value batch, Value head, Value row) {
    return memory.address(emit, batch, head, row);
  }
  /// How many batches, such as pages, a target of `sfa_tile.append` has; i64.
  Value batches(Value value) { return numBatches.find(value)->second; }
  /// `limit` is a value of the kernel, or null.
  Value rowsLeft(const Memory &memory, Value row, Value limit) {
    return memory.rowsLeft(emit, row, limit ? scalar(limit) : Value());
  }
  /// A piece of the block's shared memory, aligned to 1024 bytes.
  Value allocateShared(int64_t bytes);

private:
  void createFunction(mlir::Block *module);

  mlir::LLVM::LLVMFuncOp function;
  llvm::DenseMap<Value, Memory> memories;
  llvm::DenseMap<Value, Value> numBatches;
  llvm::SmallVector<int64_t> memoriesWithBatches;
  int64_t sharedBytes = 0;
  bool waitsForKernels = false, isProgrammatic = false;
};

/// Lowers the body of a kernel that densifies (Densify.cpp), or one of those below.
mlir::LogicalResult lowerRowKernel(RowFunction &function);
/// The same of one that selects the k features of largest magnitude (TopK.cpp).
mlir::LogicalResult lowerTopkKernel(RowFunction &function);
/// The same of one that combines what the splits of the keys gave (Combine.cpp).
mlir::LogicalResult lowerCombineKernel(RowFunction &function);
/// The same of one that copies rows into pages (Append.cpp).
mlir::LogicalResult lowerAppendKernel(RowFunction &function);
/// The same of one that writes keys feature by feature (FeatureMajor.cpp).
mlir::LogicalResult lowerFeatureMajorKernel(RowFunction &function);
/// The same of one that writes keys as posting lists (Postings.cpp).
mlir::LogicalResult lowerPostingsKernel(RowFunction &function);
/// The same of one that rounds the values of codes to 8 bits (Quantize.cpp).
mlir::LogicalResult lowerQuantizeKernel(RowFunction &function);

} // namespace sfa::simt

#endif // SFA_CONVERSION_ROWKERNELS_ROWFUNCTION_H
