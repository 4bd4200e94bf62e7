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

/// `codes` written out before `op`: by the sfa.sparsify that makes them, or by an sfa.densify.
/// 8-bit values stay 8-bit integers.
static Value densify(Operation *op, Value codes) {
  auto type = cast<RankedTensorType>(codes.getType());
  auto dense = RankedTensorType::get(type.getShape(), type.getElementType());
  auto sparsify = codes.getDefiningOp<SparsifyOp>();
  if (!sparsify) {
    OpBuilder builder(op);
    return DensifyOp::create(builder, op->getLoc(), codes, getScales(type).has_value());
  }
  if (sparsify.getDense())
    return sparsify.getDense();
  OpBuilder builder(sparsify);
  auto both = SparsifyOp::create(builder, sparsify.getLoc(), type, dense, sparsify.getSource());
  both->setDiscardableAttrs(sparsify->getDiscardableAttrDictionary());
  codes.replaceAllUsesWith(both.getCodes());
  sparsify.erase();
  return both.getDense();
}

namespace {
struct DensifyOperands : sfa::impl::SFADensifyOperandsPassBase<DensifyOperands> {
  void runOnOperation() override {
    // In a graph region the sfa.sparsify that is replaced may be next.
    SmallVector<AttentionOp> attentions;
    getOperation()->walk([&](AttentionOp op) { attentions.push_back(op); });
    for (AttentionOp op : attentions) {
      ScheduleAttr schedule = op.getScheduleAttr();
      if (!schedule || !schedule.getStrategy())
        continue;
      // What the strategy reads as codes stays as it is.
      SmallVector<OpOperand *> operands;
      switch (*schedule.getStrategy()) {
      case Strategy::Dense:
        operands = {&op.getQueryMutable(), &op.getKeyMutable()};
        break;
      case Strategy::Gather:
      case Strategy::SparseMma:
        // Integers would meet queries that are none.
        if (!getScales(op.getKey().getType()))
          operands = {&op.getKeyMutable()};
        break;
      case Strategy::Scatter:
        break;
      }
      for (OpOperand *operand : operands)
        if (getCodes(operand->get().getType()))
          operand->set(densify(op, operand->get()));
    }
  }
};
} // namespace
