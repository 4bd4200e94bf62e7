//===- Wgmma.h - Instructions of the matrix unit of a warpgroup ----*- C++ -*- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// wgmma with its left operand in registers has no operation in MLIR 22, and the operations that
// there are do not tie the accumulators of a wait. Each instruction is wrapped here once (PTX ISA,
// "Asynchronous Warpgroup Level Matrix Instructions").
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_GPUTONVVM_INSTRUCTIONS_WGMMA_H
#define SFA_CONVERSION_GPUTONVVM_INSTRUCTIONS_WGMMA_H

#include "SharedTile.h"

namespace sfa::simt {

/// The shared-memory descriptor, an i32 (its other half is the same for all), of a tile whose rows
/// are contiguous along the dimension that is summed over ("K-major"): queries and keys. The tile
/// starts at row `firstRow`, a multiple of 8.
mlir::Value describeRows(Emitter &emit, const SharedTile &tile, mlir::Value firstRow = nullptr);
/// The descriptor of a tile that is summed over its rows ("MN-major"): values.
mlir::Value describeColumns(Emitter &emit, const SharedTile &tile);
/// The descriptor of the part of a tile that starts `bytes` later.
mlir::Value advance(Emitter &emit, mlir::Value descriptor, int64_t bytes);

/// One wgmma of shape m64 nN k16 with N = 2 acc.size(): acc = left right, or acc += left right; of
/// i8 elements k is 32, and `acc` i32. The left operand is a descriptor or four registers. Tied:
/// the results take the place of `acc`.
void emitWgmma(Emitter &emit, llvm::MutableArrayRef<mlir::Value> acc,
               llvm::ArrayRef<mlir::Value> left, mlir::Value right, mlir::Type element,
               bool accumulates, bool rightIsTransposed);

/// One sparse wgmma of shape m64 nN k32 (PTX ISA, "wgmma.mma_async.sp"): the left operand has 16
/// stored columns, whose places are in `places` of the lanes that `selector` names. With
/// `condition` (i32), the same in all lanes of the warpgroup, nothing is done where it is 0; a
/// fence has to follow before the next wgmma without one, or the commit.
void emitSparseWgmma(Emitter &emit, llvm::MutableArrayRef<mlir::Value> acc,
                     llvm::ArrayRef<mlir::Value> left, mlir::Value places, int64_t selector,
                     mlir::Value right, mlir::Type element, bool accumulates,
                     mlir::Value condition = nullptr);

/// Keeps the computation of `registers` (i32) before what follows: the left operands of a product
/// are not formed again, or later, among other products.
void pin(Emitter &emit, llvm::MutableArrayRef<mlir::Value> registers);

/// Registers may be read by the next wgmma.
void emitWgmmaFence(Emitter &emit);
/// Closes a group of wgmma.
void emitWgmmaCommit(Emitter &emit);
/// Waits until at most `pending` groups are under way; `acc` are the results of those that are not.
void emitWgmmaWait(Emitter &emit, unsigned pending, llvm::MutableArrayRef<mlir::Value> acc);

/// Until here nothing else is in `registers`, the left operands of products that were under way.
/// The assembler takes registers for free as soon as the last product that reads them has been
/// issued (seen with CUDA 13.0; PTX ISA, "wgmma.wait_group": registers must not be changed before
/// the wait), even where the next iteration reads them again. So something has to read them after
/// the wait: stores to the shared memory at `anywhere` behind a branch that is never taken, by a
/// condition `always` that the assembler cannot know.
void keepUntilHere(Emitter &emit, llvm::ArrayRef<mlir::Value> registers, mlir::Value always,
                   mlir::Value anywhere);

} // namespace sfa::simt

#endif // SFA_CONVERSION_GPUTONVVM_INSTRUCTIONS_WGMMA_H
