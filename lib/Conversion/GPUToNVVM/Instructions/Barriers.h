//===- Barriers.h - Rings of tiles between a producer and consumers *- C++ -*- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_GPUTONVVM_INSTRUCTIONS_BARRIERS_H
#define SFA_CONVERSION_GPUTONVVM_INSTRUCTIONS_BARRIERS_H

#include "Emitter.h"

namespace sfa::simt {

/// mbarriers in shared memory, 8 bytes each.
class BarrierArray {
public:
  BarrierArray(Emitter &emit, mlir::Value base) : emit(&emit), base(base) {}

  static constexpr int64_t bytesEach = 8;

  /// By one thread, before a barrier of the block; then `fenceInits`.
  void init(int64_t index, int64_t arrivals) const;
  /// Of barrier `index`, an i32.
  mlir::Value at(mlir::Value index) const;
  mlir::Value at(int64_t index) const { return at(emit->i32(index)); }

private:
  Emitter *emit;
  mlir::Value base;
};

/// Makes initialised barriers visible to the asynchronous proxy.
void fenceInits(Emitter &emit);
/// Makes stores of the thread to shared memory visible to it: to warpgroup products and copies.
void fenceStores(Emitter &emit);
/// Waits for the phase of parity `parity` (i32) to complete.
void waitFor(Emitter &emit, mlir::Value barrier, mlir::Value parity);
/// Arrives in the threads in which `condition` (i1) holds. A predicate, no branch: behind a branch
/// that lanes of a warp may take or not the assembler keeps nothing in uniform registers.
void arriveWhere(Emitter &emit, mlir::Value condition, mlir::Value barrier);
/// Arrives, and makes the phase wait for `bytes` bytes of copies.
void arriveExpecting(Emitter &emit, mlir::Value barrier, int64_t bytes);

/// Whether `condition` (i1) holds in some thread of the block; all of them have to come here.
mlir::Value anyOfBlock(Emitter &emit, mlir::Value condition);

/// Where a thread is in a ring: the stage (i32) and the parity of its current phase (i32).
struct RingPosition {
  mlir::Value stage, parity;

  RingPosition next(Emitter &emit, int64_t stages) const;
};

} // namespace sfa::simt

#endif // SFA_CONVERSION_GPUTONVVM_INSTRUCTIONS_BARRIERS_H
