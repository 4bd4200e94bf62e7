//===- Lookahead.cpp - Products of one tile beside the softmax of the next -===//
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

#include "LoopBuilder.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

namespace {

using Values = LoopBuilder::Values;
using Stage = LoopBuilder::Stage;

class Lookahead {
public:
  explicit Lookahead(LoopBuilder &builder)
      : b(builder), loop(b.loop), positionType(loop.getPosition().getType()) {}

  /// The loop of a point that has a tile.
  Values build();

private:
  /// What a tile leaves to the next: an accumulator that may be under way, and probabilities that
  /// have not been multiplied yet.
  struct Carried {
    Value acc;
    Values state;
    Value probabilities;
    /// The left operand of the product before, which may be under way.
    Value left;
    Values extras;
    /// Of the tile in the rings.
    Value position;

    Values flatten() const {
      Values values{acc};
      llvm::append_range(values, state);
      values.append({probabilities, left});
      llvm::append_range(values, extras);
      values.push_back(position);
      return values;
    }
    /// The same with other values.
    Carried with(ValueRange values) const {
      ValueRange rest = values.drop_front(1 + state.size());
      return {values[0], Values(values.slice(1, state.size())), rest[0],
              rest[1],   Values(rest.slice(2, extras.size())),  values.back()};
    }
  };
  /// Splits what the stage `softmax` yields.
  void takeWeights(Carried &carried, ValueRange weights) {
    carried.probabilities = weights.front();
    carried.state = Values(weights.slice(1, b.numStates()));
    carried.extras = Values(weights.drop_front(1 + b.numStates()));
  }
  /// Waits for the product before that of `carried`, and issues this one behind what `ahead`
  /// issues, which may take over the registers that it is given. `key` is the first key where rows
  /// of values may have to be cleared.
  void accumulateBehind(Carried &carried, Value isFirst, function_ref<void(Value)> ahead,
                        Value key);
  Value isLastConsumer() {
    auto kernel = loop->getParentOfType<KernelOp>();
    Value number = b.make<ConsumerOp>(b.getI32Type());
    return b.equal(number, b.i32(kernel.getNumConsumers() / 4 - 1));
  }

  LoopBuilder &b;
  TileLoopOp loop;
  Type positionType;
};

} // namespace

void Lookahead::accumulateBehind(Carried &carried, Value isFirst, function_ref<void(Value)> ahead,
                                 Value key) {
  // Probabilities are packed after the wait: into the registers that it frees.
  auto wait = b.make<WaitOp>(ValueRange{carried.acc, carried.probabilities}, 0);
  Values kept{carried.left};
  llvm::append_range(kept, loop.getKept());
  b.make<KeepOp>(kept);
  Value before = b.make<StepBackOp>(positionType, carried.position, b.numStages());
  b.make<ReleaseOp>(loop.getValueRing(), before, b.negate(isFirst));

  Value tile = b.valuePlace(carried.position);
  Values arguments{wait.getResult(0), wait.getResult(1), tile};
  llvm::append_range(arguments, carried.state);
  llvm::append_range(arguments, carried.extras);
  arguments.push_back(b.make<IsFirstPlaceOp>(b.getI1Type(), carried.position));
  Stage accumulate(b, loop.getAccumulate(), arguments);
  accumulate.beforeIssue();
  if (ahead)
    ahead(accumulate.packed);
  b.make<AwaitOp>(loop.getValueRing(), carried.position);
  if (key)
    b.trim(key, tile);
  accumulate.issue();
  carried.acc = accumulate.issued;
  carried.left = accumulate.left;
  // What the stage yields but the accumulator is there; the wait is the next tile's.
  carried.state = accumulate.yieldedBesidesWait();
}

Values Lookahead::build() {
  LoopBuilder::Bounds keys = b.bounds();
  Value lower = keys.lower, upper = keys.upper, step = keys.step;
  Value second = b.add(lower, step), hasSecond = b.less(second, upper);

  // The first tile.
  Value position = loop.getPosition();
  Value isLast = b.negate(hasSecond);
  b.awaitScores(position);
  Stage firstScore(b, loop.getScore(), b.scorePlaces(position));
  firstScore.firstKey = b.toIndex(lower);
  firstScore.reuse = b.make<tile::FillOp>(b.scoreType(), b.getF32FloatAttr(0.0f));
  firstScore.issue();
  firstScore.finishReading();
  b.releaseScores(position);
  b.releaseResidents(isLast);
  Values weights = b.softmax(b.toIndex(lower), firstScore.finish().front(),
                             loop.getInits().drop_front(), /*isFirst=*/true);
  if (loop.getTurns()) // The last one lets the first one begin.
    b.make<PassTurnOp>(b.both(isLastConsumer(), hasSecond));

  Carried first;
  takeWeights(first, weights);
  first.acc =
      b.make<SettledOp>(getPendingType(loop.getInits().front().getType()), loop.getInits().front());
  Region &accumulate = loop.getAccumulate();
  auto products = accumulate.front().getOps<IssueAccumulateOp>();
  first.left = b.make<NoOperandOp>((*products.begin()).getLeft().getType());
  first.position = position;

  Values results = b.forEach(second, upper, step, first.flatten(), [&](Value key, ValueRange in) {
    Carried carried = first.with(in);
    Value scorePosition = b.make<AdvanceOp>(positionType, carried.position, b.numStages());
    // Loads from memory take as long as the waits for products.
    Stage score(b, loop.getScore());
    score.firstKey = b.toIndex(key);
    score.prepare();
    auto issueScores = [&](Value spent) {
      b.awaitScores(scorePosition);
      if (loop.getTurns())
        b.make<AwaitTurnOp>();
      score.bind(b.scorePlaces(scorePosition));
      score.reuse = spent;
      score.pending = 1;
      score.issue();
    };
    accumulateBehind(carried, b.equal(key, second), issueScores, /*key=*/Value());
    Value isLastTile = b.atLeast(b.add(key, step), upper);
    // Nobody waits for a turn after the last one.
    Value givesTurn = loop.getTurns() ? b.negate(b.both(isLastTile, isLastConsumer())) : Value();
    score.finishReading();
    if (loop.getTurns())
      b.make<PassTurnOp>(givesTurn);
    b.releaseScores(scorePosition);
    b.releaseResidents(isLastTile);
    takeWeights(carried, b.softmax(b.toIndex(key), score.finish().front(), carried.state,
                                   /*isFirst=*/false));
    carried.position = scorePosition;
    return carried.flatten();
  });

  Carried last = first.with(results);
  Value lastKey;
  if (b.trims()) {
    // Only the last tile reaches beyond a limit: the one before it ends where it begins.
    Value before = b.sub(upper, b.i32(1));
    Value rest = b.make<arith::RemUIOp>(b.sub(before, lower), step);
    lastKey = b.toIndex(b.sub(before, rest));
  }
  accumulateBehind(last, b.negate(hasSecond), nullptr, lastKey);
  Values behind{b.make<WaitOp>(ValueRange(last.acc), 0).getResult(0)};
  llvm::append_range(behind, last.state);
  b.make<ReleaseOp>(loop.getValueRing(), last.position, Value());
  behind.push_back(b.make<AdvanceOp>(positionType, last.position, b.numStages()));
  return behind;
}

Values sfa::simt::buildWithLookahead(LoopBuilder &b) {
  TileLoopOp loop = b.loop;
  Value hasKeys = b.less(loop.getLower(), loop.getUpper());
  return b.choose(
      hasKeys, loop.getResultTypes(), [&] { return Lookahead(b).build(); },
      [&] {
        b.releaseResidents(Value());
        Values values(loop.getInits());
        values.push_back(loop.getPosition());
        return values;
      });
}
