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

/// The keys of `op` in tiles, made before it: in feature-major ones, or as posting lists.
static Value makeKeyTiles(AttentionOp op, Strategy strategy) {
  OpBuilder builder(op);
  Value keys = op.getKey();
  auto type = cast<RankedTensorType>(keys.getType());
  int64_t tokens = *op.getScheduleAttr().getKTile();
  auto withEncoding = [&](Attribute encoding) {
    return RankedTensorType::get(type.getShape(), type.getElementType(), encoding);
  };
  if (strategy == Strategy::Gather)
    return FeatureMajorOp::create(
        builder, op.getLoc(), withEncoding(FeatureMajorAttr::get(op.getContext(), tokens)), keys);
  auto encoding = PostingsAttr::get(op.getContext(), getCodes(type).getK(), tokens);
  return PostingsOp::create(builder, op.getLoc(), withEncoding(encoding), keys);
}

/// Diagnoses what `strategy`, `gather` or `scatter`, does not support on a GPU.
static LogicalResult checkKeyTiles(AttentionOp op, Strategy strategy) {
  ScheduleAttr schedule = op.getScheduleAttr();
  auto refuse = [&] {
    return op.emitOpError() << "has strategy = " << stringifyEnum(strategy) << ", which on a GPU ";
  };
  if (op.hasSequences())
    return refuse() << "has no sequences; choose strategy = dense or sparse_mma";
  if (getScales(op.getKey().getType()))
    return refuse() << "has no 8-bit codes; choose strategy = dense";
  auto query = cast<RankedTensorType>(op.getQuery().getType());
  int64_t features = query.getDimSize(3), k = std::min(getCodes(query).getK(), features);
  if (query.getElementType().getIntOrFloatBitWidth() != 16)
    return refuse() << "needs f16 or bf16, given is " << query.getElementType();
  int64_t granule =
      strategy == Strategy::Gather ? FeatureMajorAttr::granule : PostingsAttr::granule;
  if (!schedule.getKTile() || *schedule.getKTile() % granule != 0)
    return refuse() << "needs k_tile to be a multiple of " << granule << ", given is "
                    << (schedule.getKTile() ? std::to_string(*schedule.getKTile()) : "none");
  int64_t kTile = *schedule.getKTile();
  if (strategy == Strategy::Scatter) {
    int64_t kOfKeys = std::min(getCodes(op.getKey().getType()).getK(), features);
    if (!PostingsAttr::allow(kTile, features, kOfKeys))
      return refuse() << "has no such lists: " << PostingsAttr::description
                      << ", given are k_tile = " << kTile << ", " << features
                      << " features and k = " << kOfKeys << "; lower k_tile";
    return success();
  }
  if (k > FeatureMajorAttr::mostCodes)
    return refuse() << "allows at most " << FeatureMajorAttr::mostCodes
                    << " non-zeros of a query, given are " << k
                    << "; choose strategy = dense or sparse_mma";
  if (kTile * features > FeatureMajorAttr::mostElements)
    return refuse() << "allows tiles of at most " << FeatureMajorAttr::mostElements
                    << " elements, given are k_tile = " << kTile << " and " << features
                    << " features; lower k_tile";
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
      case Strategy::Scatter:
        if (getKeyTile(op.getKey().getType()))
          break;
        if (failed(checkKeyTiles(op, *schedule.getStrategy())))
          return signalPassFailure();
        op.getKeyMutable().set(makeKeyTiles(op, *schedule.getStrategy()));
        break;
      case Strategy::SparseMma:
        // Integers would meet queries that are none.
        if (!getScales(op.getKey().getType()))
          operands = {&op.getKeyMutable()};
        break;
      }
      for (OpOperand *operand : operands)
        if (getCodes(operand->get().getType()))
          operand->set(densify(op, operand->get()));
    }
  }
};
} // namespace
