//===- Multistage.cpp - Tiles that come next are copied while warps compute -===//
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

LoopBuilder::Values sfa::simt::buildMultistage(LoopBuilder &b) {
  using Values = LoopBuilder::Values;
  TileLoopOp loop = b.loop;
  Value lower = loop.getLower(), upper = loop.getUpper();
  auto stepKeys = static_cast<int64_t>(loop.getStep());
  Value step = b.index(stepKeys);
  int64_t stages = b.numStages();
  // One group for each key tile, an empty one beyond the last.
  auto startTile = [&](Value key, Value place) {
    b.when(b.less(key, upper), [&] { b.load(key, place); });
    b.make<NVVM::CpAsyncCommitGroupOp>();
  };
  Value ahead = lower;
  for (int64_t stage = 0; stage + 1 < stages; ++stage) {
    startTile(ahead, b.i32(stage));
    ahead = b.add(ahead, step);
  }

  Values inits(loop.getInits());
  inits.push_back(b.i32(0));
  Values results = b.forEach(lower, upper, step, inits, [&](Value key, ValueRange in) {
    Value place = in.back();
    ValueRange state = in.drop_back();
    Value isZero = b.equal(place, b.i32(0));
    Value free = b.make<arith::SelectOp>(isZero, b.i32(stages - 1), b.sub(place, b.i32(1)));
    Value aheadKey = b.add(key, b.index((stages - 1) * stepKeys));
    if (stages == 1) {
      // Nobody reads the only stage any more when all are here.
      b.make<NVVM::BarrierOp>();
      startTile(key, place);
      b.make<NVVM::CpAsyncWaitGroupOp>(0u);
      b.make<NVVM::BarrierOp>();
    } else {
      // This tile is here for all; the one before it has been read by all.
      b.make<NVVM::CpAsyncWaitGroupOp>(static_cast<uint32_t>(stages - 2));
      b.make<NVVM::BarrierOp>();
      startTile(aheadKey, free);
    }
    Values tiles = b.scorePlaces(place);
    Value values = b.valuePlace(place);
    LoopBuilder::Stage score(b, loop.getScore(), tiles);
    score.firstKey = key;
    Value scores = score.finish().front();
    Values weights = b.softmax(key, scores, state.drop_front(), /*isFirst=*/false);
    Values arguments{state.front(), weights.front(), values};
    llvm::append_range(arguments, llvm::drop_begin(weights));
    arguments.push_back(b.make<IsFirstPlaceOp>(b.getI1Type(), place));
    LoopBuilder::Stage accumulate(b, loop.getAccumulate(), arguments);
    Values next = accumulate.finish();
    Value following = b.add(place, b.i32(1));
    next.push_back(b.make<arith::SelectOp>(b.equal(following, b.i32(stages)), b.i32(0), following));
    return next;
  });
  results.pop_back();
  return results;
}
