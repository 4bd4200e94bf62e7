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
// results do not depend on time. Points are numbered, and dealt out to the blocks in that order.
// Two things count: blocks are to end at the same time, and those that work at the same time are to
// read the keys of few heads, which then stay in the second-level cache (reading them from memory
// again and again costs power, and with it clock: up to a tenth of the speed).
//
// Where all tiles of queries cost the same, heads come one after the other. Under a causal mask
// tile t of T costs about t + 1: heads come in groups, each with all its tiles in the order of
// their costs, falling in one group and rising in the next, so that a block that got much of one
// gets little of the other. That works where the tiles of a group are about a whole number of
// rounds: `chooseGroup` takes the smallest group of which that is true. Where none is, all heads
// are one group, dealt out in a direction that changes with every round.
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
};
} // namespace

static Shares getShares(Emitter &emit, ValueRange extents) {
  Type i32 = emit.getI32Type();
  return {extents[0], emit.mul(extents[1], extents[2]), emit.make<NVVM::GridDimXOp>(i32),
          emit.make<NVVM::BlockIdXOp>(i32)};
}

void KernelLowering::chooseGroup() {
  // By how much the shares of two blocks differ after a falling and a rising group of N points is
  // about P s / N^2 of them, for P blocks, where N is s away from a multiple of P.
  constexpr int64_t most = 25;
  // An odd number of groups leaves one alone: as much of a share as a block has points.
  constexpr int64_t manyPoints = 16;
  constexpr int64_t largest = 128;
  Shares shares = getShares(emit, extents);
  auto atLeast = [&](Value a, Value b) { return emit.compare(arith::CmpIPredicate::uge, a, b); };
  auto choose = [&] {
    Value hasMany = atLeast(shares.numPoints(emit), emit.mul(shares.blocks, manyPoints));
    Value group = shares.heads, isFound = emit.i1(false);
    Value points = shares.tiles, rest = emit.rem(points, shares.blocks);
    for (int64_t size = 1; size <= largest; size *= 2) {
      Value missing = emit.sub(shares.blocks, rest);
      Value away = emit.select(emit.less(rest, missing), rest, missing);
      Value isEven = emit.equal(emit.bitAnd(shares.heads, 2 * size - 1), emit.i32(0));
      Value square = emit.mul(emit.toI64(points), emit.toI64(points));
      Value difference = emit.toI64(emit.mul(emit.mul(away, shares.blocks), most));
      Value fits = emit.bitAnd(emit.bitOr(isEven, hasMany), emit.less(difference, square));
      fits = emit.bitAnd(fits, atLeast(emit.add(points, away), shares.blocks));
      fits = emit.bitAnd(fits, atLeast(shares.heads, emit.i32(2 * size)));
      group =
          emit.select(emit.bitOr(isFound, emit.bitXor(fits, emit.i1(true))), group, emit.i32(size));
      isFound = emit.bitOr(isFound, fits);
      points = emit.mul(points, 2);
      rest = emit.mul(rest, 2);
      rest = emit.select(emit.less(rest, shares.blocks), rest, emit.sub(rest, shares.blocks));
    }
    return Values{group};
  };
  Value isLarge = atLeast(shares.numPoints(emit), emit.mul(shares.blocks, 2));
  Values group = emit.choose(isLarge, choose, [&] { return Values{shares.heads}; });
  // All threads store the same.
  groupPlace = allocateShared(8);
  emit.store(group[0], groupPlace);
  emit.store(emit.div(emit.sub(shares.heads, 1), group[0]), emit.offset(groupPlace, 4));
}

Value KernelLowering::numRounds() {
  Shares shares = getShares(emit, extents);
  return emit.div(emit.add(shares.numPoints(emit), emit.sub(shares.blocks, 1)), shares.blocks);
}

KernelLowering::Point KernelLowering::pointOf(Value round) {
  Shares shares = getShares(emit, extents);
  // Nothing of what follows is to be kept in registers from one round to the next.
  for (Value *number : {&shares.tiles, &shares.heads, &shares.blocks, &shares.block})
    pin(emit, *number);
  Value place = shares.block, lastTile = emit.sub(shares.tiles, 1), headsOfGroup;
  if (groupPlace) {
    headsOfGroup = emit.load(emit.getI32Type(), groupPlace);
    Value isOdd = emit.compare(arith::CmpIPredicate::ne, emit.bitAnd(round, 1), emit.i32(0));
    Value turns = emit.bitAnd(isOdd, emit.equal(headsOfGroup, shares.heads));
    place = emit.select(turns, emit.sub(emit.sub(shares.blocks, 1), place), place);
  }
  Value number = emit.add(emit.mul(round, shares.blocks), place);
  Value exists = emit.compare(arith::CmpIPredicate::ult, number, shares.numPoints(emit));
  if (!groupPlace)
    return {emit.sub(lastTile, emit.rem(number, shares.tiles)), emit.div(number, shares.tiles),
            exists};
  Value groupPoints = emit.mul(shares.tiles, headsOfGroup);
  Value group = emit.div(number, groupPoints), firstHead = emit.mul(group, headsOfGroup);
  Value rest = emit.sub(number, emit.mul(group, groupPoints));
  // Behind the last point nothing is left, and nothing is to be divided by 0.
  Value left = emit.maxSigned(emit.sub(shares.heads, firstHead), emit.i32(1));
  Value width = emit.select(emit.less(left, headsOfGroup), left, headsOfGroup);
  Value tile = emit.div(rest, width), head = emit.sub(rest, emit.mul(tile, width));
  // The last group falls: the smallest tiles come at the end.
  Value lastGroup = emit.load(emit.getI32Type(), emit.offset(groupPlace, 4));
  Value falls = emit.equal(emit.bitAnd(emit.bitXor(group, lastGroup), 1), emit.i32(0));
  return {emit.select(falls, emit.sub(lastTile, tile), tile), emit.add(firstHead, head), exists};
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
