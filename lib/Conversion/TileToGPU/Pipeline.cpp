//===- Pipeline.cpp - Loops over tiles become loops whose products overlap -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LoopBuilder.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "sfa/Passes.h"

namespace sfa {
#define GEN_PASS_DEF_SFAGPUPIPELINEPASS
#include "sfa/Passes.h.inc"
} // namespace sfa

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

/// Diagnoses stages that no pipeline can take apart.
static LogicalResult checkStages(TileLoopOp loop) {
  if (loop.getLookahead() == 0)
    return success();
  Block &accumulate = loop.getAccumulate().front();
  auto products = accumulate.getOps<IssueAccumulateOp>();
  if (!llvm::hasSingleElement(products))
    return loop.emitOpError("has lookahead, but its stage 'accumulate' does not issue just one "
                            "product; leave lookahead out");
  auto wait = accumulate.getTerminator()->getOperand(0).getDefiningOp<WaitOp>();
  if (!wait || wait.getProducts().front() != (*products.begin()).getResult() || !wait->hasOneUse())
    return loop.emitOpError("has lookahead, but its stage 'accumulate' does more with its product "
                            "than to wait for it and yield it; leave lookahead out");
  return success();
}

namespace {
struct Pipeline : sfa::impl::SFAGPUPipelinePassBase<Pipeline> {
  using SFAGPUPipelinePassBase::SFAGPUPipelinePassBase;

  void runOnOperation() override {
    SmallVector<TileLoopOp> loops;
    getOperation()->walk([&](TileLoopOp loop) { loops.push_back(loop); });
    for (TileLoopOp loop : loops) {
      if (failed(checkStages(loop)))
        return signalPassFailure();
      LoopBuilder builder(loop);
      LoopBuilder::Values results = !loop.getPosition()   ? buildMultistage(builder)
                                    : loop.getLookahead() ? buildWithLookahead(builder)
                                                          : buildInSequence(builder);
      loop.replaceAllUsesWith(results);
      loop.erase();
    }
  }
};
} // namespace
