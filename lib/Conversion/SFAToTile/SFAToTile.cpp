//===- SFAToTile.cpp - Lower sfa operations to kernels over tiles and their launches -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Func/Transforms/FuncConversions.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Patterns.h"
#include "mlir/IR/RegionKindInterface.h"
#include "mlir/Transforms/RegionUtils.h"
#include "sfa/Passes.h"

namespace sfa {
#define GEN_PASS_DEF_CONVERTSFATOTILEPASS
#include "sfa/Passes.h.inc"
} // namespace sfa

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;

/// Whether what holds a tensor of type `type` is another one, or several.
static bool hasOtherForm(Type type) { return isPhysicallySeveral(type) || getKeyTile(type); }

namespace {

/// A tensor of codes becomes its values and its indices; 8-bit integers have scales besides.
struct PhysicalTypeConverter : TypeConverter {
  PhysicalTypeConverter() {
    addConversion([](Type type) { return type; });
    addConversion(
        [](RankedTensorType type, SmallVectorImpl<Type> &results) -> std::optional<LogicalResult> {
          if (!hasOtherForm(type))
            return std::nullopt;
          llvm::append_range(results, getPhysicalTensors(type));
          return success();
        });
  }
};

/// The size of a dimension of codes is that of their values, but for the features.
struct DimOfCodes : OpConversionPattern<tensor::DimOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(tensor::DimOp op, OneToNOpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto codes = cast<RankedTensorType>(op.getSource().getType());
    Value dim = adaptor.getIndex()[0];
    Value last = arith::ConstantIndexOp::create(rewriter, loc, 3);
    Value features = arith::ConstantIndexOp::create(rewriter, loc, codes.getDimSize(3));
    Value isLast = arith::CmpIOp::create(rewriter, loc, arith::CmpIPredicate::eq, dim, last);
    Value size = tensor::DimOp::create(rewriter, loc, adaptor.getSource()[0], dim);
    rewriter.replaceOpWithNewOp<arith::SelectOp>(op, isLast, features, size);
    return success();
  }
};

/// A cast of codes, between static and dynamic sizes, is one of each physical tensor.
struct CastOfCodes : OpConversionPattern<tensor::CastOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(tensor::CastOp op, OneToNOpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    SmallVector<Value> results;
    auto physical = getPhysicalTensors(cast<RankedTensorType>(op.getType()));
    for (auto [type, value] : llvm::zip_equal(physical, adaptor.getSource()))
      results.push_back(tensor::CastOp::create(rewriter, op.getLoc(), type, value));
    rewriter.replaceOpWithMultiple(op, {results});
    return success();
  }
};

/// A choice between codes is one between each of their physical tensors.
struct SelectOfCodes : OpConversionPattern<arith::SelectOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(arith::SelectOp op, OneToNOpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    SmallVector<Value> results;
    for (auto [first, second] : llvm::zip_equal(adaptor.getTrueValue(), adaptor.getFalseValue()))
      results.push_back(
          arith::SelectOp::create(rewriter, op.getLoc(), adaptor.getCondition()[0], first, second));
    rewriter.replaceOpWithMultiple(op, {results});
    return success();
  }
};

/// The attributes of arguments or results `types`, when each of codes becomes several.
SmallVector<Attribute> repeatForCodes(TypeRange types, ArrayAttr attributes) {
  SmallVector<Attribute> repeated;
  for (auto [type, attribute] : llvm::zip_equal(types, attributes))
    repeated.append(getNumPhysical(type), attribute);
  return repeated;
}

/// True when codes are part of `type`.
bool containsCodes(Type type) {
  return type
      .walk([](RankedTensorType tensor) {
        return hasOtherForm(tensor) ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}

/// Diagnoses an op of the sfa dialect where a value may depend on itself.
LogicalResult checkPlace(Operation *op) {
  if (!isa_and_nonnull<SFADialect>(op->getDialect()) || mayHaveSSADominance(*op->getParentRegion()))
    return success();
  return op->emitOpError("is in a region whose order does not count, where a value may depend on "
                         "itself; put it into a func.func");
}

/// Diagnoses a use of codes that has no meaning for their physical form.
LogicalResult checkUseOfCodes(Operation *op) {
  if (isa_and_nonnull<SFADialect>(op->getDialect()))
    return success();
  SmallVector<Type> types(op->getOperandTypes());
  llvm::append_range(types, op->getResultTypes());
  for (Region &region : op->getRegions())
    for (Block &block : region)
      llvm::append_range(types, block.getArgumentTypes());
  auto codes = llvm::find_if(types, containsCodes);
  if (codes == types.end())
    return success();
  if (auto found = llvm::find_if(types, getKeyTile); found != types.end())
    return op->emitOpError() << "cannot use " << *found
                             << ", which only sfa.attention in the same function reads";

  if (auto cast = dyn_cast<tensor::CastOp>(op)) {
    auto encodingOf = [](Type type) {
      auto tensor = dyn_cast<RankedTensorType>(type);
      return tensor ? tensor.getEncoding() : Attribute();
    };
    Attribute from = encodingOf(cast.getSource().getType());
    if (from && from == encodingOf(cast.getType()))
      return success();
    return cast.emitOpError() << "turns " << cast.getSource().getType() << " into "
                              << cast.getType() << "; use sfa.sparsify and sfa.densify for that";
  }
  auto select = dyn_cast<arith::SelectOp>(op);
  bool choosesWhole = select && select.getCondition().getType().isInteger(1);
  bool passesOn = isa<func::FuncOp, func::CallOp, func::ReturnOp, scf::ForOp, scf::IfOp,
                      scf::WhileOp, scf::YieldOp, scf::ConditionOp, tensor::DimOp>(op);
  if ((choosesWhole || passesOn) && llvm::all_of(types, [](Type type) {
        return isPhysicallySeveral(type) || !containsCodes(type);
      }))
    return success();
  return op->emitOpError() << "cannot use codes, given is " << *codes
                           << "; write them out with sfa.densify before";
}

struct ConvertSFAToTile : sfa::impl::ConvertSFAToTilePassBase<ConvertSFAToTile> {
  void runOnOperation() override {
    MLIRContext *context = &getContext();
    // Code that is never reached may have values that depend on themselves.
    IRRewriter rewriter(context);
    (void)eraseUnreachableBlocks(rewriter, getOperation()->getRegions());
    WalkResult checked = getOperation()->walk([](Operation *op) {
      return failed(checkPlace(op)) || failed(checkUseOfCodes(op)) ? WalkResult::interrupt()
                                                                   : WalkResult::advance();
    });
    if (checked.wasInterrupted())
      return signalPassFailure();
    checked = getOperation()->walk([](CacheAppendOp op) {
      if (failed(checkPagesInPlace(op)))
        return WalkResult::interrupt();
      if (op.selectsFeatures())
        selectFeatures(op);
      return WalkResult::advance();
    });
    if (checked.wasInterrupted())
      return signalPassFailure();

    // The conversion of signatures leaves the attributes of arguments and results where they were.
    getOperation()->walk([](func::FuncOp function) {
      FunctionType type = function.getFunctionType();
      Builder builder(function);
      if (ArrayAttr attributes = function.getArgAttrsAttr())
        function.setArgAttrsAttr(
            builder.getArrayAttr(repeatForCodes(type.getInputs(), attributes)));
      if (ArrayAttr attributes = function.getResAttrsAttr())
        function.setResAttrsAttr(
            builder.getArrayAttr(repeatForCodes(type.getResults(), attributes)));
    });

    SymbolTableCollection symbols;
    PhysicalTypeConverter types;
    RewritePatternSet patterns(context);
    ConversionTarget target(*context);

    populateSparsifyDensifyPatterns(patterns, types, symbols);
    populateQuantizePatterns(patterns, types, symbols);
    populateAttentionPatterns(patterns, types, symbols);
    populateDecodePatterns(patterns, types, symbols);
    populateAppendPatterns(patterns, types, symbols);
    patterns.add<DimOfCodes, CastOfCodes, SelectOfCodes>(types, context);
    populateFunctionOpInterfaceTypeConversionPattern<func::FuncOp>(patterns, types);
    populateCallOpTypeConversionPattern(patterns, types);
    populateReturnOpTypeConversionPattern(patterns, types);
    scf::populateSCFStructuralTypeConversionsAndLegality(types, patterns, target);

    target.addIllegalDialect<SFADialect>();
    target.markUnknownOpDynamicallyLegal([&](Operation *op) {
      if (auto function = dyn_cast<func::FuncOp>(op))
        return types.isSignatureLegal(function.getFunctionType()) &&
               types.isLegal(&function.getBody());
      return isa<ModuleOp>(op) || isa_and_nonnull<TileDialect>(op->getDialect()) ||
             types.isLegal(op);
    });
    if (failed(applyFullConversion(getOperation(), target, std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
