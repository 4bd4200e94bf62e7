//===- InSequence.cpp - Tiles one after the other -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LoopBuilder.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

LoopBuilder::Values sfa::simt::buildInSequence(LoopBuilder &b) {
  using Values = LoopBuilder::Values;
  TileLoopOp loop = b.loop;
  Type positionType = loop.getPosition().getType();
  // The registers of the last tile's probabilities become those of the next scores.
  Value spent = b.make<tile::FillOp>(b.scoreType(), b.getF32FloatAttr(0.0f));
  LoopBuilder::Bounds keys = b.bounds();
  Value lower = keys.lower, upper = keys.upper, step = keys.step;
  if (!loop.getResidents().empty())
    b.releaseResidents(b.atLeast(lower, upper));
  size_t numInits = loop.getInits().size();
  Values inits(loop.getInits());
  inits.append({spent, loop.getPosition()});
  Values results = b.forEach(lower, upper, step, inits, [&](Value first, ValueRange in) {
    ValueRange state = in.take_front(numInits);
    Value position = in.back();
    Value isLast = b.atLeast(b.add(first, step), upper), key = b.toIndex(first);
    b.awaitScores(position);
    LoopBuilder::Stage score(b, loop.getScore(), b.scorePlaces(position));
    score.firstKey = key;
    score.reuse = in[numInits];
    score.issue();
    score.finishReading();
    b.releaseScores(position);
    b.releaseResidents(isLast);
    Values weights = b.softmax(key, score.finish().front(), state.drop_front(), /*isFirst=*/false);

    Value tile = b.valuePlace(position);
    Values arguments{state.front(), weights.front(), tile};
    llvm::append_range(arguments, llvm::drop_begin(weights));
    arguments.push_back(b.make<IsFirstPlaceOp>(b.getI1Type(), position));
    LoopBuilder::Stage accumulate(b, loop.getAccumulate(), arguments);
    accumulate.beforeIssue();
    b.make<AwaitOp>(loop.getValueRing(), position);
    b.trim(key, tile);
    accumulate.issue();
    accumulate.finishReading();
    if (!loop.getKept().empty())
      b.make<KeepOp>(loop.getKept());
    b.make<ReleaseOp>(loop.getValueRing(), position, Value());
    Values next = accumulate.finish();
    next.push_back(accumulate.packed ? accumulate.packed : in[numInits]);
    next.push_back(b.make<AdvanceOp>(positionType, position, b.numStages()));
    return next;
  });
  results.erase(results.begin() + static_cast<ptrdiff_t>(numInits));
  return results;
}
