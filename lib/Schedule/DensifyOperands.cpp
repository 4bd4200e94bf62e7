//===- DensifyOperands.cpp - Densify codes before attention that is dense ----- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/SFA/SFA.h"
#include "sfa/Passes.h"

namespace sfa {
#define GEN_PASS_DEF_SFADENSIFYOPERANDSPASS
#include "sfa/Passes.h.inc"
} // namespace sfa

using namespace mlir;
using namespace sfa;

namespace {
struct DensifyOperands : sfa::impl::SFADensifyOperandsPassBase<DensifyOperands> {
  void runOnOperation() override {
    getOperation()->walk([](AttentionOp op) {
      ScheduleAttr schedule = op.getScheduleAttr();
      if (!schedule || schedule.getStrategy() != Strategy::Dense)
        return;
      OpBuilder builder(op);
      for (OpOperand *operand : {&op.getQueryMutable(), &op.getKeyMutable()}) {
        auto type = cast<RankedTensorType>(operand->get().getType());
        if (!getCodes(type))
          continue;
        auto dense = RankedTensorType::get(type.getShape(), type.getElementType());
        operand->set(DensifyOp::create(builder, op.getLoc(), dense, operand->get()));
      }
    });
  }
};
} // namespace
