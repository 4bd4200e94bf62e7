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
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Patterns.h"
#include "sfa/Passes.h"

namespace sfa {
#define GEN_PASS_DEF_CONVERTSFATOTILEPASS
#include "sfa/Passes.h.inc"
} // namespace sfa

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;

namespace {

/// A tensor of codes becomes its values and its indices.
struct PhysicalTypeConverter : TypeConverter {
  PhysicalTypeConverter() {
    addConversion([](Type type) { return type; });
    addConversion(
        [](RankedTensorType type, SmallVectorImpl<Type> &results) -> std::optional<LogicalResult> {
          if (!getCodes(type))
            return std::nullopt;
          llvm::append_range(results, getPhysicalTensors(type));
          return success();
        });
  }
};

/// The size of a dimension of codes is that of their values; the features are static.
struct DimOfCodes : OpConversionPattern<tensor::DimOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(tensor::DimOp op, OneToNOpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    std::optional<int64_t> dim = op.getConstantIndex();
    if (!dim || *dim > 2)
      return rewriter.notifyMatchFailure(op, "not one of the dimensions batch, heads and tokens");
    rewriter.replaceOpWithNewOp<tensor::DimOp>(op, adaptor.getSource()[0], *dim);
    return success();
  }
};

struct ConvertSFAToTile : sfa::impl::ConvertSFAToTilePassBase<ConvertSFAToTile> {
  void runOnOperation() override {
    MLIRContext *context = &getContext();
    SymbolTable symbols(getOperation());
    PhysicalTypeConverter types;
    RewritePatternSet patterns(context);
    ConversionTarget target(*context);

    populateSparsifyDensifyPatterns(patterns, types, symbols);
    populateAttentionPatterns(patterns, types, symbols);
    patterns.add<DimOfCodes>(types, context);
    populateFunctionOpInterfaceTypeConversionPattern<func::FuncOp>(patterns, types);
    populateCallOpTypeConversionPattern(patterns, types);
    populateReturnOpTypeConversionPattern(patterns, types);
    scf::populateSCFStructuralTypeConversionsAndLegality(types, patterns, target);

    target.addIllegalDialect<SFADialect>();
    target.markUnknownOpDynamicallyLegal([&](Operation *op) {
      if (auto function = dyn_cast<func::FuncOp>(op))
        return types.isSignatureLegal(function.getFunctionType()) &&
               types.isLegal(&function.getBody());
      return isa<ModuleOp>(op) || isa<TileDialect>(op->getDialect()) || types.isLegal(op);
    });
    if (failed(applyFullConversion(getOperation(), target, std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
