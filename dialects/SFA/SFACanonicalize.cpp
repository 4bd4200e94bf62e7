//===- SFACanonicalize.cpp - Folders and canonicalisation of the sfa operations -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/SFA/SFA.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace sfa;

/// True when every row keeps all of its features as they are.
static bool keepsAll(RankedTensorType codes) {
  return getCodes(codes).getK() >= codes.getDimSize(3) && !getScales(codes);
}

/// The codes that `dense` is written out from, of values that are not rounded; null where it is
/// not.
static Value findCodes(Value dense) {
  Value codes;
  if (auto densify = dense.getDefiningOp<DensifyOp>())
    codes = densify.getCodes();
  else if (auto sparsify = dense.getDefiningOp<SparsifyOp>();
           sparsify && dense == sparsify.getDense())
    codes = sparsify.getCodes();
  return codes && !getScales(codes.getType()) ? codes : Value();
}

//===----------------------------------------------------------------------===//
// Sparsify and densify
//===----------------------------------------------------------------------===//

// In a graph region and in unreachable code an op may use its own result, through others: no fold
// returns the op's own result, and no pattern rewrites an operand to the value that it has or that
// another pattern rewrote.

/// sparsify(densify(codes)) is codes, and written out it is its source.
LogicalResult SparsifyOp::fold(FoldAdaptor, SmallVectorImpl<OpFoldResult> &results) {
  Value codes = findCodes(getSource());
  if (!codes || codes.getType() != getCodes().getType() || codes == getCodes())
    return failure();
  results.push_back(codes);
  if (getDense())
    results.push_back(getSource());
  return success();
}

/// densify(sparsify(x)) is x when all features are kept, or what the sparsify writes out itself.
OpFoldResult DensifyOp::fold(FoldAdaptor) {
  auto sparsify = getCodes().getDefiningOp<SparsifyOp>();
  if (!sparsify)
    return {};
  if (keepsAll(sparsify.getCodes().getType()) && sparsify.getSource().getType() == getType() &&
      sparsify.getSource() != getResult())
    return sparsify.getSource();
  // Of 8-bit codes those are 8-bit rows.
  if (sparsify.getDense() && sparsify.getDense().getType() == getType())
    return sparsify.getDense();
  return {};
}

namespace {

/// The k1 largest of the k0 >= k1 largest are the k1 largest; of 2:4 codes, where both are.
struct RepeatedSparsify : OpRewritePattern<SparsifyOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(SparsifyOp op, PatternRewriter &rewriter) const override {
    Value codes = findCodes(op.getSource());
    auto first = codes ? codes.getDefiningOp<SparsifyOp>() : nullptr;
    if (!first)
      return rewriter.notifyMatchFailure(op, "the source is not a sparsified tensor");
    CodesAttr before = ::sfa::getCodes(codes.getType()),
              after = ::sfa::getCodes(op.getCodes().getType());
    if (before.getTwoFour() != after.getTwoFour())
      return rewriter.notifyMatchFailure(op, "only one of both is 2:4");
    if (before.getK() < after.getK())
      return rewriter.notifyMatchFailure(op, "the source keeps fewer features");
    if (first.getSource() == op.getSource())
      return rewriter.notifyMatchFailure(op, "the source depends on the op itself");
    if (first.getSource().getType() != op.getSource().getType())
      return rewriter.notifyMatchFailure(op, "the static shapes differ");
    rewriter.modifyOpInPlace(op, [&] { op.getSourceMutable().assign(first.getSource()); });
    return success();
  }
};

/// Dense rows that nobody uses are not written.
struct UnusedDense : OpRewritePattern<SparsifyOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(SparsifyOp op, PatternRewriter &rewriter) const override {
    if (!op.getDense() || !op.getDense().use_empty())
      return rewriter.notifyMatchFailure(op, "there is no dense result without a use");
    auto codes = SparsifyOp::create(rewriter, op.getLoc(), op.getCodes().getType(),
                                    /*dense=*/Type(), op.getSource());
    codes->setDiscardableAttrs(op->getDiscardableAttrDictionary());
    rewriter.replaceAllUsesWith(op.getCodes(), codes.getCodes());
    rewriter.eraseOp(op);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

/// Attention reads codes as they are; there is no need to write them out before.
struct AttentionOfDensify : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AttentionOp op, PatternRewriter &rewriter) const override {
    bool changed = false;
    for (OpOperand *operand : {&op.getQueryMutable(), &op.getKeyMutable()})
      if (Value codes = findCodes(operand->get())) {
        rewriter.modifyOpInPlace(op, [&] { operand->set(codes); });
        changed = true;
      }
    if (!changed)
      return rewriter.notifyMatchFailure(op, "neither query nor key is densified");
    return success();
  }
};

/// Codes that keep all features are the dense tensor. An explicit sparse strategy still gets the
/// codes that it needs.
struct AttentionOfAllFeatures : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AttentionOp op, PatternRewriter &rewriter) const override {
    ScheduleAttr schedule = op.getScheduleAttr();
    if (schedule && schedule.getStrategy() && *schedule.getStrategy() != Strategy::Dense)
      return rewriter.notifyMatchFailure(op, "the schedule asks for codes");
    bool changed = false;
    for (OpOperand *operand : {&op.getQueryMutable(), &op.getKeyMutable()}) {
      auto sparsify = operand->get().getDefiningOp<SparsifyOp>();
      if (!sparsify)
        continue;
      RankedTensorType codes = sparsify.getCodes().getType();
      if (!keepsAll(codes) || sparsify.getSource().getType().getShape() != codes.getShape() ||
          findCodes(sparsify.getSource()))
        continue;
      rewriter.modifyOpInPlace(op, [&] { operand->set(sparsify.getSource()); });
      changed = true;
    }
    if (!changed)
      return rewriter.notifyMatchFailure(op, "no operand keeps all features");
    return success();
  }
};

/// An unbounded window is no mask, one that ends at the diagonal is causal.
struct SimplifyMask : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AttentionOp op, PatternRewriter &rewriter) const override {
    MaskAttr mask = op.getMaskAttr();
    if (!mask)
      return rewriter.notifyMatchFailure(op, "no mask");
    MaskAttr simplified = mask.simplified();
    if (simplified.getKind() == MaskKind::None)
      simplified = nullptr;
    if (simplified == mask)
      return rewriter.notifyMatchFailure(op, "the mask is as simple as it gets");
    rewriter.modifyOpInPlace(op, [&] {
      if (simplified)
        op.setMaskAttr(simplified);
      else
        op.removeMaskAttr();
    });
    return success();
  }
};

/// A scale that is a constant becomes a part of the op.
struct ConstantScale : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AttentionOp op, PatternRewriter &rewriter) const override {
    FloatAttr constant;
    if (!op.getScaleValue() || !matchPattern(op.getScaleValue(), m_Constant(&constant)))
      return rewriter.notifyMatchFailure(op, "the scale is no constant value");
    if (!constant.getValue().isFinite())
      return rewriter.notifyMatchFailure(op, "the scale is not finite");
    rewriter.modifyOpInPlace(op, [&] {
      op.getScaleValueMutable().clear();
      op.setScaleAttr(constant);
    });
    return success();
  }
};

/// Results take the static sizes of the operands.
struct RefineResultShapes : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AttentionOp op, PatternRewriter &rewriter) const override {
    auto query = cast<RankedTensorType>(op.getQuery().getType());
    auto refined = [&](RankedTensorType type) {
      SmallVector<int64_t> shape(type.getShape());
      for (int64_t dim : {0, 2})
        if (ShapedType::isDynamic(shape[dim]))
          shape[dim] = query.getDimSize(dim);
      return RankedTensorType::get(shape, type.getElementType());
    };
    bool changed = false;
    for (OpResult result : op->getResults()) {
      auto type = cast<RankedTensorType>(result.getType());
      RankedTensorType better = refined(type);
      if (better == type)
        continue;
      rewriter.setInsertionPointAfter(op);
      auto cast = tensor::CastOp::create(rewriter, op.getLoc(), type, result);
      rewriter.replaceAllUsesExcept(result, cast, cast);
      rewriter.modifyOpInPlace(op, [&] { result.setType(better); });
      changed = true;
    }
    if (!changed)
      return rewriter.notifyMatchFailure(op, "the results are as static as the query");
    return success();
  }
};

} // namespace

void SparsifyOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<RepeatedSparsify, UnusedDense>(context);
}

void AttentionOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<AttentionOfDensify, AttentionOfAllFeatures, SimplifyMask, ConstantScale,
               RefineResultShapes>(context);
}
