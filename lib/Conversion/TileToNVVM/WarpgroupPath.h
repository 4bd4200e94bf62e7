//===- WarpgroupPath.h - wgmma and bulk tensor copies: sm_90a -------*- C++ -*- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The first warpgroup produces: one of its threads copies keys into a ring in shared memory, one of
// another warp values. The others consume: each owns 64 rows of the query tile. A tile of the ring
// has two mbarriers: "full", on which the bytes of a copy arrive, and "empty", on which every warp
// that consumes arrives when it has read the tile.
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_TILETONVVM_WARPGROUPPATH_H
#define SFA_CONVERSION_TILETONVVM_WARPGROUPPATH_H

#include "Barriers.h"
#include "KernelLowering.h"
#include "Wgmma.h"

#include <functional>

namespace sfa::gpu {

class WarpgroupPath : public CodePath {
public:
  explicit WarpgroupPath(KernelLowering &kernel) : CodePath(kernel), emit(kernel.emit) {}

  int64_t numThreads(const Geometry &geometry) const override {
    return 128 * (geometry.consumers + 1);
  }
  int64_t firstConsumer() const override { return 128; }
  mlir::LogicalResult check(const Geometry &geometry) const override;
  mlir::LogicalResult lowerKeyLoop(tile::KeyLoopOp loop) override;
  Fragment dot(const SharedTile &query, const SharedTile &key) override;
  Fragment accumulate(Fragment acc, const Fragment &probabilities,
                      const SharedTile &value) override;
  mlir::LogicalResult repeatKeyLoop(tile::KeyLoopOp loop, mlir::Value condition,
                                    llvm::function_ref<mlir::LogicalResult()> rest) override;

private:
  /// One ring for each load of the stage `load`: keys, then the value.
  struct Ring {
    tile::LoadOp load;
    SharedTile tiles; // the first stage
    int64_t stageBytes;
    int64_t firstFull, firstEmpty;
  };
  SharedTile tileAt(const Ring &ring, mlir::Value stage) {
    SharedTile tile = ring.tiles;
    tile.base = emit.offset(tile.base, emit.mul(stage, ring.stageBytes), emit.getI8Type());
    return tile;
  }
  mlir::Value full(const Ring &ring, mlir::Value stage) {
    return barriers->at(emit.add(stage, ring.firstFull));
  }
  mlir::Value empty(const Ring &ring, mlir::Value stage) {
    return barriers->at(emit.add(stage, ring.firstEmpty));
  }
  /// Starts the copy of a load's tile, whose bytes arrive on `barrier`.
  void startCopy(tile::LoadOp load, const SharedTile &tile, mlir::Value barrier);
  /// The panel behind a value tile, by all threads.
  void fillOnes(const SharedTile &value);
  /// Copies the key and value tiles of the loop from `start` of the rings on, and before them
  /// queries.
  void emitProducer(tile::KeyLoopOp loop, llvm::ArrayRef<tile::LoadOp> queries,
                    const RingPosition &start);
  mlir::LogicalResult emitConsumers(tile::KeyLoopOp loop);
  /// The tiles of a consumer one after the other, from `start` of the rings on; nothing overlaps
  /// within it.
  mlir::FailureOr<KernelLowering::State>
  emitInSequence(tile::KeyLoopOp loop, KernelLowering::State state, const RingPosition &start);
  /// The tiles of a consumer, of which there is one at least, with lookahead (Lookahead.cpp).
  mlir::FailureOr<KernelLowering::State> emitWithLookahead(tile::KeyLoopOp loop,
                                                           KernelLowering::State state);
  /// Waits for the product before that of `weights`, and issues this one (Lookahead.cpp).
  mlir::LogicalResult accumulateBehind(tile::KeyLoopOp loop, KernelLowering::State &state,
                                       KernelLowering::Weights weights, mlir::Value isFirst);
  /// The value tile at hand is that of the key tile at `key`, which may reach beyond a limit.
  void limitValues(tile::KeyLoopOp loop, mlir::Value key);
  /// Scores and softmax of the key tile at `key`.
  mlir::FailureOr<KernelLowering::Weights> lowerTile(tile::KeyLoopOp loop, mlir::Value key,
                                                     KernelLowering::State &state);
  /// Waits for the key tile at `scorePosition`, and issues its scores.
  void issueScores(tile::KeyLoopOp loop);
  /// Issues the scores of a key tile that is there, into the registers `spent`.
  void multiplyScores(tile::KeyLoopOp loop);
  /// Waits for the tile at `position` of a ring; gives it back.
  void acquire(const Ring &ring, RingPosition position);
  void release(const Ring &ring, mlir::Value stage);
  /// Waits for the turn of this consumer; passes it on.
  void awaitTurn();
  void passTurn();
  mlir::Value consumer() { return emit.shiftRight(kernel.warp, 2); }
  mlir::Value turnBarrier(mlir::Value consumer) { return emit.add(consumer, firstTurnBarrier); }

  Emitter &emit;
  mlir::Type element;
  int64_t stages = 2;
  std::optional<BarrierArray> barriers;
  llvm::SmallVector<Ring> rings;
  /// First the producer, then the consumers.
  mlir::scf::IfOp roles;
  /// The first barrier is that of the queries.
  static constexpr int64_t queryBarrier = 0;
  /// Named barriers of consumers that take turns, and of each consumer; 0 is that of the block.
  static constexpr int64_t firstTurnBarrier = 2, turnThreads = 256, firstWarpgroupBarrier = 6;
  bool takesTurns = false;

  //===--- Of the consumers, for the tile at hand ---------------------------===//

  /// Of the tile whose scores are next, and of the tile whose values are.
  RingPosition scorePosition, valuePosition;
  /// The scores under way, and how many groups of products may be when they are there.
  Fragment scores;
  unsigned pendingProducts = 0;
  /// What is issued between the left operands of the product with the values and that product.
  std::function<void()> issueAhead;
  /// The left operands of the product with the values that may be under way.
  KernelLowering::Values leftOperands;
  /// Of the value tile at hand, where rows of it may be beyond a limit: those before it, i64.
  mlir::Value numValueRows;
  /// A condition that holds; see keepUntilHere.
  mlir::Value always;
  /// Registers of scores that are not needed any more: the next scores take their place.
  KernelLowering::Values spent;
};

} // namespace sfa::gpu

#endif // SFA_CONVERSION_TILETONVVM_WARPGROUPPATH_H
