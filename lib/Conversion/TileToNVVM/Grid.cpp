//===- Grid.cpp - Which points of a kernel's grid a block works on ------------ ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block for each point, or (`grid = persistent`) a block for each multiprocessor, which goes from
// one point to the next: what it has prepared once serves all of them, and its producer copies the
// next point's tiles while its consumers finish the one at hand.
//
// Who works on what follows from the numbers of the block and the round, so no memory is shared and
// results do not depend on time. Where all tiles of queries cost the same, rounds go through the
// tiles of one head after the other: blocks share the keys of a head in the second-level cache.
// Under a causal mask tile t of T costs about t + 1, and either
//
// - tiles are dealt out in the order of their costs, all heads' longest ones first, in a direction
//   that changes with every round: few heads, whose keys many blocks read at the same time; or
// - two rounds in a row are a pair of tiles t and T - 1 - t of two neighbouring heads, T + 1
// together,
//   and pairs go through the heads in their order: many heads, whose keys would not fit into the
//   cache at once. A last head without a neighbour is one of its own.
//
// A block has all of its points in its first rounds: after one that does not exist there is none.
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"
#include "Wgmma.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;
using namespace sfa::gpu;

/// Blocks that read the keys of a head at the same time, at least, where all heads are worked on at
/// once: that many times fewer bytes come from memory than go to multiprocessors.
static constexpr int64_t leastReaders = 4;

void KernelLowering::setPoint(Value batch, Value head, Value tile) {
  mapping.map(kernel.getCoordinates(),
              Values{emit.toIndex(batch), emit.toIndex(head), emit.toIndex(tile)});
}

void KernelLowering::setPoint(Value tile, Value head) {
  setPoint(emit.div(head, extents[1]), emit.rem(head, extents[1]), tile);
}

bool KernelLowering::pointsDiffer() {
  auto masks = keyLoop.getMask().front().getOps<MaskOp>();
  return llvm::any_of(masks, [](MaskOp op) {
    return op.getMask().rightBound().has_value() != op.getMask().leftBound().has_value();
  });
}

//===----------------------------------------------------------------------===//
// Blocks that stay
//===----------------------------------------------------------------------===//

namespace {
/// The numbers that decide which points a block works on; i32.
struct Shares {
  Value tiles, heads, blocks, block;

  Value numPoints(Emitter &emit) const { return emit.mul(tiles, heads); }
  /// Of tiles.
  Value numPairs(Emitter &emit) const { return emit.div(emit.add(numPoints(emit), 1), 2); }
  /// Rounds in which as many things are dealt out to the blocks.
  Value rounds(Emitter &emit, Value things) const {
    return emit.div(emit.add(things, emit.sub(blocks, 1)), blocks);
  }
  /// Whether two rounds in a row are a pair of tiles, where tiles differ.
  Value takesPairs(Emitter &emit) const {
    Value hasManyHeads =
        emit.compare(arith::CmpIPredicate::ugt, emit.mul(heads, leastReaders), blocks);
    // Fewer pairs than blocks would leave blocks without work.
    Value fill = emit.compare(arith::CmpIPredicate::uge, numPairs(emit), blocks);
    return emit.bitAnd(hasManyHeads, fill);
  }
};
} // namespace

static Shares getShares(Emitter &emit, ValueRange extents) {
  Type i32 = emit.getI32Type();
  return {extents[0], emit.mul(extents[1], extents[2]), emit.make<NVVM::GridDimXOp>(i32),
          emit.make<NVVM::BlockIdXOp>(i32)};
}

Value KernelLowering::numRounds() {
  Shares shares = getShares(emit, extents);
  Value rounds = shares.rounds(emit, shares.numPoints(emit));
  if (!pointsDiffer())
    return rounds;
  return emit.choose(
      shares.takesPairs(emit),
      [&] { return Values{emit.mul(shares.rounds(emit, shares.numPairs(emit)), 2)}; },
      [&] { return Values{rounds}; })[0];
}

KernelLowering::Point KernelLowering::pointOf(Value round) {
  Shares shares = getShares(emit, extents);
  // Nothing of what follows is to be kept in registers from one round to the next.
  for (Value *number : {&shares.tiles, &shares.heads, &shares.blocks, &shares.block})
    pin(emit, *number);
  Value lastTile = emit.sub(shares.tiles, 1);
  auto isBelow = [&](Value a, Value b) { return emit.compare(arith::CmpIPredicate::ult, a, b); };
  if (!pointsDiffer()) {
    Value number = emit.add(emit.mul(round, shares.blocks), shares.block);
    return {emit.sub(lastTile, emit.rem(number, shares.tiles)), emit.div(number, shares.tiles),
            isBelow(number, shares.numPoints(emit))};
  }
  Value isOdd = emit.compare(arith::CmpIPredicate::ne, emit.bitAnd(round, 1), emit.i32(0));
  auto pairs = [&] {
    Value number = emit.add(emit.mul(emit.shiftRight(round, 1), shares.blocks), shares.block);
    Value place = emit.rem(number, shares.tiles), pair = emit.div(number, shares.tiles);
    Value head = emit.add(emit.mul(pair, 2), emit.bitAnd(round, 1));
    Value mirrored = emit.sub(lastTile, place);
    // In the middle of a head that is its own neighbour.
    Value isTwice = emit.bitAnd(emit.equal(head, shares.heads), emit.equal(place, mirrored));
    Value exists =
        emit.bitAnd(isBelow(number, shares.numPairs(emit)), emit.bitXor(isTwice, emit.i1(true)));
    return Values{emit.select(isOdd, place, mirrored),
                  emit.minSigned(head, emit.sub(shares.heads, 1)), exists};
  };
  auto byCost = [&] {
    Value last = emit.sub(shares.blocks, 1);
    Value place = emit.select(isOdd, emit.sub(last, shares.block), shares.block);
    Value number = emit.add(emit.mul(round, shares.blocks), place);
    return Values{emit.sub(lastTile, emit.div(number, shares.heads)),
                  emit.rem(number, shares.heads), isBelow(number, shares.numPoints(emit))};
  };
  Values found = emit.choose(shares.takesPairs(emit), pairs, byCost);
  return {found[0], found[1], found[2]};
}

//===----------------------------------------------------------------------===//
// Points
//===----------------------------------------------------------------------===//

void KernelLowering::enterOwnPoint(bool isAgain) {
  // The last row tiles first: they have the most keys under a causal mask.
  Type i32 = emit.getI32Type();
  Value last = emit.sub(emit.make<NVVM::GridDimXOp>(i32), 1);
  Value tile = emit.sub(last, emit.make<NVVM::BlockIdXOp>(i32));
  Value head = emit.make<NVVM::BlockIdYOp>(i32), batch = emit.make<NVVM::BlockIdZOp>(i32);
  if (isAgain)
    for (Value *number : {&tile, &head, &batch})
      pin(emit, *number);
  setPoint(batch, head, tile);
}

KernelLowering::Values KernelLowering::forEachPoint(ValueRange init,
                                                    function_ref<Values(Value, ValueRange)> body) {
  placeLane(lane);
  if (!isPersistent()) {
    enterOwnPoint(/*isAgain=*/false);
    return body(emit.i32(0), init);
  }
  return emit.loop(emit.i32(0), numRounds(), emit.i32(1), init, [&](Value round, ValueRange in) {
    Point point = pointOf(round);
    return emit.choose(
        point.exists,
        [&] {
          setPoint(point.tile, point.head);
          return body(round, in);
        },
        [&] { return Values(in); });
  });
}

void KernelLowering::placeLane(Value number) {
  g = emit.shiftRight(number, 2);
  t = emit.bitAnd(number, 3);
}

void KernelLowering::enterPointAgain(KeyLoopOp loop, Value round) {
  Value number = lane;
  pin(emit, number);
  placeLane(number);
  // The search for a sequence takes longer than registers are worth.
  if (!loop->getBlock()->getOps<SequenceTileOp>().empty())
    return;
  if (isPersistent()) {
    // A number of which nobody knows where it comes from.
    pin(emit, round);
    Point point = pointOf(round);
    setPoint(point.tile, point.head);
  } else {
    enterOwnPoint(/*isAgain=*/true);
  }
  // It has been lowered before.
  (void)lowerBefore(loop);
}

LogicalResult KernelLowering::lowerBefore(KeyLoopOp loop) {
  for (Operation &op : llvm::make_range(loop->getBlock()->begin(), Block::iterator(loop)))
    if (failed(lower(&op)))
      return failure();
  return success();
}

LogicalResult KernelLowering::lowerBehind(KeyLoopOp loop) {
  for (Operation &op : llvm::make_range(std::next(Block::iterator(loop)), loop->getBlock()->end()))
    if (!op.hasTrait<OpTrait::IsTerminator>() && failed(lower(&op)))
      return failure();
  return success();
}
