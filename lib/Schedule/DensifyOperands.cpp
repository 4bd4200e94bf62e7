//===- DensifyOperands.cpp - Operands in the forms that kernels of a GPU read ---===//
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

/// Rounds values in the pass of the sfa.sparsify that selects them, where one can and nobody else
/// needs what that gives.
static void roundWhereSelected(QuantizeOp op) {
  auto sparsify = op.getCodes().getDefiningOp<SparsifyOp>();
  RankedTensorType type = op.getQuantized().getType();
  int64_t k = std::min(getCodes(type).getK(), type.getDimSize(3));
  if (!sparsify || k > SparsifyOp::mostRounded || getScales(type) == Scales::Head ||
      !llvm::all_of(sparsify->getUsers(), llvm::IsaPred<QuantizeOp>))
    return;
  OpBuilder builder(op);
  auto rounded =
      SparsifyOp::create(builder, op.getLoc(), type, /*dense=*/Type(), sparsify.getSource());
  rounded->setDiscardableAttrs(sparsify->getDiscardableAttrDictionary());
  op.replaceAllUsesWith(rounded.getCodes());
  op.erase();
  if (sparsify->use_empty())
    sparsify.erase();
}

/// `codes` written out before `op`: by the sfa.sparsify that makes them, or by an sfa.densify.
/// 8-bit values stay 8-bit integers.
static Value densify(Operation *op, Value codes) {
  auto type = cast<RankedTensorType>(codes.getType());
  RankedTensorType dense = getWrittenOut(type);
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

/// `keys` in feature-major tiles of `tokens` tokens, formed before `op`.
static Value makeFeatureMajor(AttentionOp op, Value keys, int64_t tokens) {
  auto type = cast<RankedTensorType>(keys.getType());
  auto encoding = FeatureMajorAttr::get(op.getContext(), tokens);
  OpBuilder builder(op);
  return FeatureMajorOp::create(
      builder, op.getLoc(), RankedTensorType::get(type.getShape(), type.getElementType(), encoding),
      keys);
}

/// Diagnoses what `gather` on a GPU does not support.
static LogicalResult checkGather(AttentionOp op) {
  ScheduleAttr schedule = op.getScheduleAttr();
  auto refuse = [&] { return op.emitOpError() << "has strategy = gather, which on a GPU "; };
  if (op.hasSequences())
    return refuse() << "has no sequences; choose strategy = dense or sparse_mma";
  if (getScales(op.getKey().getType()))
    return refuse() << "has no 8-bit codes; choose strategy = dense";
  auto query = cast<RankedTensorType>(op.getQuery().getType());
  int64_t features = query.getDimSize(3), k = std::min(getCodes(query).getK(), features);
  if (query.getElementType().getIntOrFloatBitWidth() != 16)
    return refuse() << "needs f16 or bf16, given is " << query.getElementType();
  if (k > FeatureMajorAttr::mostCodes)
    return refuse() << "allows at most " << FeatureMajorAttr::mostCodes
                    << " non-zeros of a query, given are " << k
                    << "; choose strategy = dense or sparse_mma";
  if (!schedule.getKTile() || *schedule.getKTile() % FeatureMajorAttr::granule != 0)
    return refuse() << "needs k_tile to be a multiple of " << FeatureMajorAttr::granule
                    << ", given is "
                    << (schedule.getKTile() ? std::to_string(*schedule.getKTile()) : "none");
  if (*schedule.getKTile() * features > FeatureMajorAttr::mostElements)
    return refuse() << "allows tiles of at most " << FeatureMajorAttr::mostElements
                    << " elements, given are k_tile = " << *schedule.getKTile() << " and "
                    << features << " features; lower k_tile";
  return success();
}

namespace {
struct DensifyOperands : sfa::impl::SFADensifyOperandsPassBase<DensifyOperands> {
  void runOnOperation() override {
    SmallVector<QuantizeOp> quantized;
    getOperation()->walk([&](QuantizeOp op) { quantized.push_back(op); });
    for (QuantizeOp op : quantized)
      roundWhereSelected(op);
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
        if (getFeatureMajor(op.getKey().getType()))
          break;
        if (failed(checkGather(op)))
          return signalPassFailure();
        op.getKeyMutable().set(makeFeatureMajor(op, op.getKey(), *schedule.getKTile()));
        break;
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
