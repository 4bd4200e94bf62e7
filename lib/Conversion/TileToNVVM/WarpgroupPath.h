//===- WarpgroupPath.h - wgmma and bulk tensor copies: sm_90a -------*- C++ -*- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The first warpgroup produces: one of its threads copies queries, and keys into a ring in shared
// memory, one of another warp values. The others consume: each owns 64 rows of the query tile. A
// tile of the ring, and the tile of queries, has two mbarriers: "full", on which the bytes of a
// copy arrive, and "empty", on which every warp that consumes arrives when it has read the tile.
// Rings go on from one point of the grid to the next.
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
  mlir::LogicalResult lowerKernel(tile::KeyLoopOp loop) override;
  Fragment dot(const SharedTile &query, const SharedTile &key) override;
  Fragment accumulate(Fragment acc, const Fragment &probabilities,
                      const SharedTile &value) override;

private:
  using Value = mlir::Value;
  using ValueRange = mlir::ValueRange;
  using Values = KernelLowering::Values;

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
  /// Tiles in shared memory and barriers, ready for use.
  mlir::LogicalResult prepare(tile::KeyLoopOp loop);
  /// `KernelLowering::forEachPoint`; in the second pass for those only that have to be
  /// computed again. `body` gets the round, the parity of the barriers of its queries, and
  /// what is carried along.
  Values forEachPoint(ValueRange init, llvm::function_ref<Values(Value, Value, ValueRange)> body);
  /// Remembers that a point has to be computed again.
  void markPoint(Value round);
  Value markOf(Value round);
  /// Copies the queries, keys and values of all points. Takes and gives the positions of the rings.
  Values emitProducer(tile::KeyLoopOp loop, ValueRange start);
  /// The tiles of all points, and what is behind the loop. The same, of the one position that all
  /// rings have.
  mlir::FailureOr<Values> emitConsumers(tile::KeyLoopOp loop, ValueRange start);
  /// One point, whose queries are there at parity `queryParity`, from `position` of the rings on;
  /// gives the position behind it.
  mlir::FailureOr<RingPosition> consumePoint(tile::KeyLoopOp loop, Value round, Value queryParity,
                                             RingPosition position);
  /// Both roles, one pass.
  mlir::LogicalResult emitPass(tile::KeyLoopOp loop, Values &producer, Values &consumers,
                               mlir::scf::IfOp roles);
  /// The loop of a consumer from `position` on, which it moves.
  mlir::FailureOr<KernelLowering::State> emitLoop(tile::KeyLoopOp loop, RingPosition &position);
  /// Its tiles one after the other; nothing overlaps within it.
  mlir::FailureOr<KernelLowering::State>
  emitInSequence(tile::KeyLoopOp loop, KernelLowering::State state, RingPosition &position);
  /// Its tiles, of which there is one at least, with lookahead (Lookahead.cpp).
  mlir::FailureOr<KernelLowering::State>
  emitWithLookahead(tile::KeyLoopOp loop, KernelLowering::State state, RingPosition &position);
  /// Waits for the product before that of `weights`, and issues this one (Lookahead.cpp).
  mlir::LogicalResult accumulateBehind(tile::KeyLoopOp loop, KernelLowering::State &state,
                                       KernelLowering::Weights weights, mlir::Value isFirst);
  /// The value tile at hand is that of the key tile at `key`, which may reach beyond a limit.
  void limitValues(tile::KeyLoopOp loop, mlir::Value key);
  /// Scores and softmax of the key tile at `key`.
  mlir::FailureOr<KernelLowering::Weights>
  lowerTile(tile::KeyLoopOp loop, mlir::Value key, KernelLowering::State &state, bool isFirst);
  /// Waits for the key tile at `scorePosition`, and issues its scores.
  void issueScores(tile::KeyLoopOp loop);
  /// Issues the scores of a key tile that is there, into the registers `spent`.
  void multiplyScores(tile::KeyLoopOp loop);
  /// The keys of a loop, i32: bulk copies take no larger ones, and registers are few.
  struct Bounds {
    Value lower, upper, step;
  };
  Bounds boundsOf(tile::KeyLoopOp loop);
  /// Waits for the tile at `position` of a ring; gives it back.
  void acquire(const Ring &ring, RingPosition position);
  void release(const Ring &ring, mlir::Value stage);
  /// Takes the queries into registers, and gives them back.
  void loadQueries(tile::KeyLoopOp loop);
  /// Gives the queries back where `condition` holds, unless they are in registers.
  void releaseQueries(mlir::Value condition);
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
  /// Loads of queries, and the first barriers, which are theirs: "full" and "empty" of either pass.
  llvm::SmallVector<tile::LoadOp> queries;
  /// The queries of the point at hand as left operands, where they are in registers.
  Values queryOperands;
  static constexpr int64_t numQueryBarriers = 4;
  Value fullQueries() { return barriers->at(isSecondPass ? 2 : 0); }
  Value emptyQueries() { return barriers->at(isSecondPass ? 3 : 1); }
  /// Whether this is the second pass, which computes points again (`sfa_tile.retry`). A byte for
  /// each round, modulo their number, says whether it has to (more than that is no harm); one behind
  /// them whether some round has to.
  bool isSecondPass = false;
  static constexpr int64_t numMarks = 1024;
  Value marks;
  /// Named barriers of consumers that take turns, and of each consumer; 0 is that of the block.
  static constexpr int64_t firstTurnBarrier = 2, turnThreads = 256, firstWarpgroupBarrier = 6;
  bool takesTurns = false;

  //===--- Of the consumers, for the tile at hand ---------------------------===//

  /// Of the tile whose scores are next, and of the tile whose values are.
  RingPosition scorePosition, valuePosition;
  /// Whether somebody waits for the next turn.
  Value givesTurn;
  /// Whether its scores are the last ones of the point.
  Value isLastTile;
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
