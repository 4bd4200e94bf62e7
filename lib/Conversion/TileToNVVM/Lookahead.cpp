//===- Lookahead.cpp - Products of one key tile beside the softmax of the next - ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// With lookahead a consumer works on two key tiles at once:
//
//   tensor cores | Q K[i+1], P[i] V[i]           | Q K[i+2], P[i+1] V[i+1]
//   other units  |         softmax of tile i+1   |         softmax of tile i+2
//
// The product with V[i] is waited for before the accumulator is scaled for tile i+1. With turns
// (ping-pong) a consumer issues its products when the scores of the one before it are there, so
// that one is in its softmax while the products of others fill the tensor cores.
//
//===----------------------------------------------------------------------===//

#include "WarpgroupPath.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;
using namespace sfa::gpu;

namespace {
/// What a tile leaves to the next: probabilities, in the registers of their scores, that have not
/// been multiplied yet.
struct Carried {
  KernelLowering::State state;
  KernelLowering::Weights weights;
  /// Of the product before, which may be under way.
  KernelLowering::Values leftOperands;
  /// Of the tile in the rings.
  RingPosition position;

  KernelLowering::Values flatten() const {
    KernelLowering::Values values = KernelLowering::flatten(state);
    llvm::append_range(values, weights.probabilities.elements);
    llvm::append_range(values, leftOperands);
    for (const KernelLowering::Values &extra : weights.extras)
      llvm::append_range(values, extra);
    values.append({position.stage, position.parity});
    return values;
  }
  /// The same with other values.
  Carried with(ValueRange values) const {
    auto take = [&](size_t count) {
      KernelLowering::Values taken(values.take_front(count));
      values = values.drop_front(count);
      return taken;
    };
    Carried other = *this;
    other.state = KernelLowering::unflatten(state, take(KernelLowering::flatten(state).size()));
    for (KernelLowering::Values *list : {&other.weights.probabilities.elements, &other.leftOperands})
      *list = take(list->size());
    for (KernelLowering::Values &extra : other.weights.extras)
      extra = take(extra.size());
    other.position = {values[0], values[1]};
    return other;
  }
};
} // namespace

LogicalResult WarpgroupPath::accumulateBehind(KeyLoopOp loop, KernelLowering::State &state,
                                              KernelLowering::Weights weights, Value isFirst) {
  // Probabilities are packed after the wait: into the registers that it frees.
  KernelLowering::Values registers = state.acc.elements;
  llvm::append_range(registers, weights.probabilities.elements);
  emitWgmmaWait(emit, 0, registers);
  KernelLowering::Values kept = leftOperands;
  llvm::append_range(kept, queryOperands);
  keepUntilHere(emit, kept, always, fullQueries());
  ArrayRef<Value> waited = registers;
  size_t numAcc = state.acc.elements.size();
  llvm::copy(waited.take_front(numAcc), state.acc.elements.begin());
  llvm::copy(waited.drop_front(numAcc), weights.probabilities.elements.begin());
  Value before = emit.sub(valuePosition.stage, 1);
  before = emit.select(emit.less(before, emit.i32(0)), emit.i32(stages - 1), before);
  Value gives =
      emit.bitAnd(emit.equal(kernel.lane, emit.i32(0)), emit.bitXor(isFirst, emit.i1(true)));
  arriveWhere(emit, gives, empty(rings.back(), before));
  return kernel.lowerAccumulate(loop, weights, tileAt(rings.back(), valuePosition.stage), state,
                                emit.equal(valuePosition.stage, emit.i32(0)));
}

FailureOr<KernelLowering::State> WarpgroupPath::emitWithLookahead(KeyLoopOp loop,
                                                                  KernelLowering::State state,
                                                                  RingPosition &position) {
  Bounds keys = boundsOf(loop);
  Value lower = keys.lower, upper = keys.upper, step = keys.step;
  Value second = emit.add(lower, step), hasSecond = emit.less(second, upper);
  int64_t consumers = kernel.geometry.consumers;

  // The first tile.
  bool turns = std::exchange(takesTurns, false);
  scorePosition = position;
  pendingProducts = 0;
  isLastTile = emit.bitXor(hasSecond, emit.i1(true));
  issueScores(loop);
  auto weights = lowerTile(loop, emit.toIndex(lower), state, /*isFirst=*/true);
  if (failed(weights))
    return failure();
  takesTurns = turns;
  if (takesTurns) {
    // The last one lets the first one begin.
    Value isLast = emit.equal(consumer(), emit.i32(consumers - 1));
    emit.when(emit.bitAnd(isLast, hasSecond), [&] { passTurn(); });
  }

  leftOperands.assign(kernel.geometry.kTile / 4, emit.i32(0));
  Carried first{state, *weights, leftOperands, scorePosition};
  auto enter = [&](ValueRange values) {
    Carried carried = first.with(values);
    leftOperands = carried.leftOperands;
    valuePosition = carried.position;
    return carried;
  };

  LogicalResult result = success();
  pendingProducts = 1;
  KernelLowering::Values results =
      emit.loop(second, upper, step, first.flatten(), [&](Value key, ValueRange values) {
        Carried carried = enter(values);
        scorePosition = valuePosition.next(emit, stages);
        issueAhead = [&] { issueScores(loop); };
        result = accumulateBehind(loop, carried.state, carried.weights, emit.equal(key, second));
        issueAhead = nullptr;
        if (failed(result))
          return KernelLowering::Values(values);
        isLastTile = emit.compare(arith::CmpIPredicate::sge, emit.add(key, step), upper);
        // Nobody waits for a turn after the last one.
        Value isOver = emit.bitAnd(isLastTile, emit.equal(consumer(), emit.i32(consumers - 1)));
        givesTurn = emit.bitXor(isOver, emit.i1(true));
        auto next = lowerTile(loop, emit.toIndex(key), carried.state, /*isFirst=*/false);
        if (failed(next)) {
          result = failure();
          return KernelLowering::Values(values);
        }
        return Carried{carried.state, *next, leftOperands, scorePosition}.flatten();
      });
  if (failed(result))
    return failure();
  Carried last = enter(results);
  // Only the last tile reaches beyond a limit: the one before it ends where it begins.
  Value before = emit.sub(upper, 1);
  limitValues(loop, emit.toIndex(emit.sub(before, emit.rem(emit.sub(before, lower), step))));
  if (failed(
          accumulateBehind(loop, last.state, last.weights, emit.bitXor(hasSecond, emit.i1(true)))))
    return failure();
  emitWgmmaWait(emit, 0, last.state.acc.elements);
  release(rings.back(), valuePosition.stage);
  position = valuePosition.next(emit, stages);
  return last.state;
}
