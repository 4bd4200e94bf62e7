//===- Grid.cpp - Which points of a kernel's grid a block works on ---------===//
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
// Points that are shares of the keys of sequences (`sfa_gpu.split_order`) are counted on the device.
// All cost the same; they come sequence by sequence, share by share, with the head fastest.
//
// A block has all of its points in its first rounds: after one that does not exist there is none.
//
//===----------------------------------------------------------------------===//

#include "../SequenceTile/SplitRange.h"
#include "Patterns.h"
#include "Wgmma.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

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

/// How many heads are worked on at once, and how many of them are the tail; i32.
static std::pair<Value, Value> chooseGroup(Emitter &emit, const Shares &shares) {
  // By how much the shares of two blocks differ after a falling and a rising group of N points is
  // about P s / N^2 of them, for P blocks, where N is s away from a multiple of P.
  constexpr int64_t most = 25;
  // In a tail shares differ by more, so there a block is to have many other points.
  constexpr int64_t manyPoints = 16;
  constexpr int64_t largest = 128;
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
  return {chosen[0], chosen[1]};
}

namespace {
/// A point: the tile of query rows and the head, of the heads of all batches; i32.
struct Point {
  Value tile, head, exists;
};
} // namespace

/// The block's point of `round`, of a persistent grid. `groupPlace` is where `LowerPointOrder` left
/// the numbers of heads, null where all points cost the same.
static Point pointOf(Emitter &emit, ValueRange extents, Value round, Value groupPlace) {
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

namespace {

struct LowerPointOrder : Lowering<PointOrderOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(PointOrderOp op, Adaptor, Emitter &emit) const override {
    if (!op.getOffset())
      return op.emitOpError("has no place in shared memory; run sfa-gpu-allocate before");
    if (!function.isPersistent)
      return op.emitOpError("is in a kernel that is not persistent, whose blocks have one point");
    auto [group, tail] = chooseGroup(emit, getShares(emit, function.extents));
    // All threads store the same.
    Value place = function.shared(emit, static_cast<int64_t>(*op.getOffset()));
    emit.store(group, place);
    emit.store(tail, emit.offset(place, 4));
    return Results{{place}};
  }
};

//===----------------------------------------------------------------------===//
// Shares of the keys of sequences
//===----------------------------------------------------------------------===//

/// The sequences of a cache, and what `sfa_gpu.split_order` has left in shared memory: how many
/// shares there are before each group of sequences. A group is one where there are few of them.
class SplitTable {
public:
  SplitTable(Emitter &emit, const FunctionContext &function, Value base)
      : emit(emit), base(base),
        lengths(function.memoryOf(function.splits->lengths,
                                  MemRefType::get({ShapedType::kDynamic}, emit.getI32Type()))) {
    Memory table = function.memoryOf(
        function.splits->table,
        MemRefType::get({ShapedType::kDynamic, ShapedType::kDynamic}, emit.getI32Type()));
    limit = emit.mul(emit.toI32(table.rows), function.splits->pageSize);
    leastBlocks = function.splits->leastBlocks;
    numSequences = emit.toI32(lengths.rows);
    perGroup = emit.div(emit.add(numSequences, SplitOrderOp::maxGroups - 1), SplitOrderOp::maxGroups);
    numGroups = emit.select(
        emit.less(emit.i32(1), perGroup),
        emit.div(emit.add(numSequences, emit.sub(perGroup, 1)), emit.maxSigned(perGroup, emit.i32(1))),
        numSequences);
  }

  /// By one warp.
  void fill(Value lane) const {
    constexpr int64_t lanes = 32;
    Value zero = emit.i32(0);
    Values total = emit.loop(zero, numGroups, emit.i32(lanes), zero, [&](Value start, ValueRange sum) {
      Value group = emit.add(start, lane);
      Value first = emit.mul(group, perGroup);
      Values own = emit.loop(zero, perGroup, emit.i32(1), zero, [&](Value number, ValueRange shares) {
        Value sequence = emit.add(first, number);
        Values count = emit.choose(emit.less(sequence, numSequences),
                                   [&] { return Values{countShares(sequence)}; },
                                   [&] { return Values{zero}; });
        return Values{emit.add(shares.front(), count.front())};
      });
      Value upTo = own.front();
      for (int64_t distance = 1; distance < lanes; distance *= 2) {
        Value isFar = emit.less(lane, emit.i32(distance));
        Value before = emit.broadcast(upTo, emit.select(isFar, zero, emit.sub(lane, distance)));
        upTo = emit.add(upTo, emit.select(isFar, zero, before));
      }
      emit.when(emit.less(group, numGroups), [&] {
        emit.store(emit.add(sum.front(), emit.sub(upTo, own.front())), entry(group));
      });
      return Values{emit.add(sum.front(), emit.broadcast(upTo, emit.i32(lanes - 1)))};
    });
    emit.store(total.front(), entry(numGroups));
  }

  Value countAll() const { return emit.load(emit.getI32Type(), entry(numGroups)); }

  /// The sequence and the share of it that share `number` of all is.
  std::pair<Value, Value> find(Value number) const {
    // The last group whose first share is at or before it.
    Type i32 = emit.getI32Type();
    auto loop = emit.make<scf::WhileOp>(TypeRange{i32, i32}, ValueRange{emit.i32(0), numGroups});
    {
      OpBuilder::InsertionGuard guard(emit);
      SmallVector<Location> locs(2, emit.getLoc());
      Block *before = emit.createBlock(&loop.getBefore(), {}, loop.getResultTypes(), locs);
      Value first = before->getArgument(0), end = before->getArgument(1);
      emit.make<scf::ConditionOp>(emit.less(emit.i32(1), emit.sub(end, first)),
                                  ValueRange{first, end});
      Block *after = emit.createBlock(&loop.getAfter(), {}, loop.getResultTypes(), locs);
      first = after->getArgument(0), end = after->getArgument(1);
      Value middle = emit.shiftRight(emit.add(first, end), 1);
      Value isLater = emit.less(number, emit.load(i32, entry(middle)));
      emit.make<scf::YieldOp>(ValueRange{emit.select(isLater, first, middle),
                                         emit.select(isLater, middle, end)});
    }
    Value group = loop.getResult(0);
    // Of the group the sequence that has it.
    Values found{emit.mul(group, perGroup), emit.sub(number, emit.load(i32, entry(group)))};
    found = emit.loop(emit.i32(1), perGroup, emit.i32(1), found, [&](Value, ValueRange at) {
      Value shares = countShares(at[0]);
      Value isNext = emit.compare(arith::CmpIPredicate::sge, at[1], shares);
      return Values{emit.add(at[0], emit.select(isNext, emit.i32(1), emit.i32(0))),
                    emit.sub(at[1], emit.select(isNext, shares, emit.i32(0)))};
    });
    return {found[0], found[1]};
  }

private:
  /// At least one: the share of a sequence without keys writes its empty results.
  Value countShares(Value sequence) const {
    Value length = loadLength(emit, lengths, sequence, limit);
    return emit.maxSigned(tile::emitSplitCount(emit, length, leastBlocks), emit.i32(1));
  }
  Value entry(Value group) const { return emit.offset(base, group, emit.getI32Type()); }

  Emitter &emit;
  Value base;
  Memory lengths;
  int64_t leastBlocks;
  Value limit, numSequences, perGroup, numGroups;
};

struct LowerSplitOrder : Lowering<SplitOrderOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(SplitOrderOp op, Adaptor, Emitter &emit) const override {
    if (!op.getOffset())
      return op.emitOpError("has no place in shared memory; run sfa-gpu-allocate before");
    if (!function.isPersistent)
      return op.emitOpError("is in a kernel that is not persistent, whose blocks have one point");
    Value base = function.shared(emit, static_cast<int64_t>(*op.getOffset()));
    emit.when(emit.equal(emit.shiftRight(function.thread, 5), emit.i32(0)),
              [&] { SplitTable(emit, function, base).fill(function.lane); });
    emit.barrier();
    return Results{{base}};
  }
};

//===----------------------------------------------------------------------===//
// Points
//===----------------------------------------------------------------------===//

/// Batch, head and row tile, of type index, of a point of a persistent grid.
Values coordinatesOf(Emitter &emit, const FunctionContext &function, const Point &point) {
  Value heads = function.extents[1];
  return {emit.toIndex(emit.div(point.head, heads)), emit.toIndex(emit.rem(point.head, heads)),
          emit.toIndex(point.tile)};
}

struct LowerPointAgain : Lowering<PointAgainOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(PointAgainOp op, Adaptor adaptor, Emitter &emit) const override {
    Values point;
    if (function.isPersistent) {
      Value round = adaptor.getRound().front();
      pin(emit, round);
      Value order = op.getOrder() ? adaptor.getOrder().front() : Value();
      point = coordinatesOf(emit, function, pointOf(emit, function.extents, round, order));
    } else {
      point = getBlockPoint(emit, /*isAgain=*/true);
    }
    return Results{{point[0]}, {point[1]}, {point[2]}};
  }
};

/// Becomes a loop over rounds, whose types other patterns convert.
struct LowerForPoints : OpConversionPattern<ForPointsOp> {
  LowerForPoints(const TypeConverter &types, MLIRContext *context, const FunctionContext &function)
      : OpConversionPattern(types, context), function(function) {}

  LogicalResult matchAndRewrite(ForPointsOp op, OneToNOpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Emitter emit(op.getLoc(), rewriter);
    Block *body = &op.getBody().front();
    auto yield = cast<YieldOp>(body->getTerminator());
    Values yielded(yield.getValues());
    if (!function.isPersistent) {
      Values arguments{emit.i32(0)};
      llvm::append_range(arguments, getBlockPoint(emit, /*isAgain=*/false));
      llvm::append_range(arguments, op.getInits());
      rewriter.eraseOp(yield);
      rewriter.inlineBlockBefore(body, op, arguments);
      rewriter.replaceOp(op, yielded);
      return success();
    }

    Shares shares = getShares(emit, function.extents);
    Value order = op.getOrder() ? adaptor.getOrder().front() : Value();
    std::optional<SplitTable> splits;
    if (order && function.splits)
      splits.emplace(emit, function, order);
    Value numPoints = splits ? emit.mul(splits->countAll(), function.extents[1])
                             : shares.numPoints(emit);
    Value rounds = emit.div(emit.add(numPoints, emit.sub(shares.blocks, 1)), shares.blocks);
    auto loop = emit.make<scf::ForOp>(emit.i32(0), rounds, emit.i32(1), op.getInits());
    if (!op.getInits().empty())
      emit.setInsertionPointToStart(loop.getBody());
    else
      emit.setInsertionPoint(loop.getBody()->getTerminator());
    Point point;
    Value number;
    if (splits) {
      number = emit.add(emit.mul(loop.getInductionVar(), shares.blocks), shares.block);
      point.exists = emit.compare(arith::CmpIPredicate::ult, number, numPoints);
    } else {
      point = pointOf(emit, function.extents, loop.getInductionVar(), order);
    }
    auto choice = emit.make<scf::IfOp>(op.getResultTypes(), point.exists,
                                       /*addThenBlock=*/true, /*addElseBlock=*/true);
    if (!op.getInits().empty())
      emit.make<scf::YieldOp>(choice.getResults());
    auto endBranch = [&](Block *branch, ValueRange values) {
      emit.setInsertionPointToEnd(branch);
      return emit.make<scf::YieldOp>(values).getOperation();
    };
    for (Block *branch : {choice.thenBlock(), choice.elseBlock()})
      if (!branch->empty())
        rewriter.eraseOp(branch->getTerminator());
    endBranch(choice.elseBlock(), loop.getRegionIterArgs());
    Operation *end = endBranch(choice.thenBlock(), yielded);
    emit.setInsertionPoint(end);
    Values arguments{loop.getInductionVar()};
    if (splits) {
      Value heads = function.extents[1];
      auto [sequence, split] = splits->find(emit.div(number, heads));
      for (Value coordinate : {sequence, emit.rem(number, heads), split})
        arguments.push_back(emit.toIndex(coordinate));
    } else {
      llvm::append_range(arguments, coordinatesOf(emit, function, point));
    }
    llvm::append_range(arguments, loop.getRegionIterArgs());
    rewriter.eraseOp(yield);
    rewriter.inlineBlockBefore(body, end, arguments);
    rewriter.replaceOp(op, loop.getResults());
    return success();
  }

  const FunctionContext &function;
};

} // namespace

void sfa::simt::populateGridPatterns(RewritePatternSet &patterns, const TypeConverter &types,
                                     const FunctionContext &function) {
  patterns.add<LowerPointOrder, LowerSplitOrder, LowerPointAgain, LowerForPoints>(
      types, patterns.getContext(), function);
}
