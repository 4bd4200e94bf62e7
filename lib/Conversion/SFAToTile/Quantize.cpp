//===- Quantize.cpp - The kernel of sfa.quantize ----------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelBuilder.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;

namespace {

/// The kernel reads the values of codes and writes their integers and scales. The indices stay as
/// they are.
struct QuantizeToTile : OpConversionPattern<sfa::QuantizeOp> {
  QuantizeToTile(const TypeConverter &types, MLIRContext *context, SymbolTableCollection &symbols)
      : OpConversionPattern(types, context), symbols(symbols) {}

  LogicalResult matchAndRewrite(sfa::QuantizeOp op, OneToNOpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    ValueRange codes = adaptor.getCodes();
    RankedTensorType result = op.getQuantized().getType();
    Scales scales = *getScales(result);
    SmallVector<RankedTensorType> physical = getPhysicalTensors(result);
    SmallVector<ValueRange> operands{codes.take_front(1)};
    Type written[] = {physical[0], physical[2]};
    KernelBuilder builder(rewriter, symbols, op, codes.front().getType(), operands, written);
    // A head that shares a scale is one tile, and has one without tokens, too.
    KernelOp kernel =
        builder.start("quantize_" + stringifyEnum(scales).str(), /*schedule=*/nullptr,
                      scales == Scales::Head ? KernelBuilder::allRows : tokensOfScale);
    Block::BlockArgListType at = kernel.getCoordinates();
    tile::QuantizeOp::create(rewriter, op.getLoc(), builder.operand(0).memories[0], at[0], at[1],
                             at[2], builder.result(0).memories[0], builder.result(1).memories[0],
                             scales);
    PhysicalValues values =
        builder.launch(/*offsets=*/Value(), scales == Scales::Tile ? tokensOfScale : 1);
    SmallVector<Value> quantized{values[0].front(), codes[1], values[1].front()};
    rewriter.replaceOpWithMultiple(op, SmallVector<SmallVector<Value>>{quantized});
    return success();
  }

  SymbolTableCollection &symbols;
};

} // namespace

void sfa::tile::populateQuantizePatterns(RewritePatternSet &patterns, const TypeConverter &types,
                                         SymbolTableCollection &symbols) {
  patterns.add<QuantizeToTile>(types, patterns.getContext(), symbols);
}
