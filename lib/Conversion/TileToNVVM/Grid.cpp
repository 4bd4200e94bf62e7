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
// tile t of T costs about t + 1: heads come in pairs of groups, each with all its tiles in the
// order of their costs, falling in one group and rising in the other, so that a block that got much
// of one gets little of the other. That works where the tiles of a group are about a whole number
// of rounds: `chooseGroup` takes the smallest group of which that is true. Heads that are left,
// with those of a pair of groups, are the tail: from the largest tile to the smallest, dealt out in
// a direction that changes with every round. Where there is no such group all heads are the tail.
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
  // In a tail shares differ by more, so there a block is to have many other points.
  constexpr int64_t manyPoints = 16;
  constexpr int64_t largest = 128;
  Shares shares = getShares(emit, extents);
  auto atLeast = [&](Value a, Value b) { return emit.compare(arith::CmpIPredicate::uge, a, b); };
  auto choose = [&] {
    Value hasMany = atLeast(shares.numPoints(emit), emit.mul(shares.blocks, manyPoints));
    Value group = emit.i32(1), tail = shares.heads, isFound = emit.i1(false);
    Value points = shares.tiles, rest = emit.rem(points, shares.blocks);
    for (int64_t size = 1; size <= largest; size *= 2) {
      Value missing = emit.sub(shares.blocks, rest);
      Value away = emit.select(emit.less(rest, missing), rest, missing);
      Value left = emit.bitAnd(shares.heads, 2 * size - 1);
      Value isEven = emit.equal(left, emit.i32(0));
      Value itsTail = emit.select(isEven, left, emit.add(left, 2 * size));
      Value square = emit.mul(emit.toI64(points), emit.toI64(points));
      Value difference = emit.toI64(emit.mul(emit.mul(away, shares.blocks), most));
      Value fits = emit.bitAnd(emit.bitOr(isEven, hasMany), emit.less(difference, square));
      fits = emit.bitAnd(fits, atLeast(emit.add(points, away), shares.blocks));
      fits = emit.bitAnd(fits, emit.less(itsTail, shares.heads));
      Value isNew = emit.bitAnd(fits, emit.bitXor(isFound, emit.i1(true)));
      group = emit.select(isNew, emit.i32(size), group);
      tail = emit.select(isNew, itsTail, tail);
      isFound = emit.bitOr(isFound, fits);
      points = emit.mul(points, 2);
      rest = emit.mul(rest, 2);
      rest = emit.select(emit.less(rest, shares.blocks), rest, emit.sub(rest, shares.blocks));
    }
    return Values{group, tail};
  };
  Value isLarge = atLeast(shares.numPoints(emit), emit.mul(shares.blocks, 2));
  Values chosen = emit.choose(isLarge, choose, [&] { return Values{emit.i32(1), shares.heads}; });
  // All threads store the same.
  groupPlace = allocateShared(8);
  emit.store(chosen[0], groupPlace);
  emit.store(chosen[1], emit.offset(groupPlace, 4));
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
  Value place = shares.block, lastTile = emit.sub(shares.tiles, 1);
  Value firstOfRound = emit.mul(round, shares.blocks);
  Value group, tail, firstHeadOfTail, firstOfTail;
  if (groupPlace) {
    group = emit.load(emit.getI32Type(), groupPlace);
    tail = emit.load(emit.getI32Type(), emit.offset(groupPlace, 4));
    firstHeadOfTail = emit.sub(shares.heads, tail);
    firstOfTail = emit.mul(firstHeadOfTail, shares.tiles);
    Value isOdd = emit.compare(arith::CmpIPredicate::ne, emit.bitAnd(round, 1), emit.i32(0));
    Value turns =
        emit.bitAnd(isOdd, emit.compare(arith::CmpIPredicate::uge, firstOfRound, firstOfTail));
    place = emit.select(turns, emit.sub(emit.sub(shares.blocks, 1), place), place);
  }
  Value number = emit.add(firstOfRound, place);
  Value exists = emit.compare(arith::CmpIPredicate::ult, number, shares.numPoints(emit));
  if (!groupPlace)
    return {emit.sub(lastTile, emit.rem(number, shares.tiles)), emit.div(number, shares.tiles),
            exists};
  Value isTail = emit.compare(arith::CmpIPredicate::uge, number, firstOfTail);
  Value groupNumber = emit.div(number, emit.mul(shares.tiles, group));
  // Behind the last point without a tail: nothing is to be divided by 0.
  Value width = emit.maxSigned(emit.select(isTail, tail, group), emit.i32(1));
  Value firstHead = emit.select(isTail, firstHeadOfTail, emit.mul(groupNumber, group));
  Value rest = emit.sub(number, emit.mul(firstHead, shares.tiles));
  Value tile = emit.div(rest, width), head = emit.sub(rest, emit.mul(tile, width));
  // The smallest tiles come at the end: of the last group, or of the tail.
  Value hasTail = emit.compare(arith::CmpIPredicate::ne, tail, emit.i32(0));
  Value isEven = emit.equal(emit.bitAnd(groupNumber, 1), emit.i32(0));
  Value falls = emit.bitOr(isTail, emit.equal(isEven, hasTail));
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
  if (!kernel.getBody().getOps<SequenceTileOp>().empty())
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
  if (loop != keyLoop && failed(lowerUntil(keyLoop)))
    return failure();
  return lowerUntil(loop);
}

LogicalResult KernelLowering::lowerUntil(KeyLoopOp loop) {
  for (Operation &op : llvm::make_range(loop->getBlock()->begin(), Block::iterator(loop)))
    if (failed(lower(&op)))
      return failure();
  return success();
}

LogicalResult KernelLowering::lowerBehind(KeyLoopOp loop) {
  for (Operation &op : llvm::make_range(std::next(Block::iterator(loop)), loop->getBlock()->end()))
    if (!op.hasTrait<OpTrait::IsTerminator>() && !isa<RetryOp>(op) && failed(lower(&op)))
      return failure();
  return success();
}
