//===- Append.cpp - The kernel of sfa.cache_append ------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The kernel copies rows of keys and values. Top-k of dense keys is a kernel of its own before.
//
//===----------------------------------------------------------------------===//

#include "KernelBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;

/// Rows that one point of the grid copies: few, since decoding has one token of each sequence.
static constexpr int64_t rowsPerTile = 16;

LogicalResult sfa::tile::checkPagesInPlace(CacheAppendOp op) {
  for (auto [name, pages] : {std::pair<StringRef, Value>{"key pages", op.getKeyPages()},
                             {"value pages", op.getValuePages()}}) {
    auto argument = dyn_cast<BlockArgument>(pages);
    if (!argument || !argument.getOwner()->isEntryBlock() ||
        !isa<func::FuncOp>(argument.getOwner()->getParentOp()))
      return op.emitOpError() << "writes " << name
                              << " that are no argument of the function; it writes pages in place, "
                                 "so pass them as an argument";
    if (!argument.hasOneUse())
      return op.emitOpError() << "writes " << name
                              << " that the function uses elsewhere, too; use them in another "
                                 "function, before or after this one";
  }
  return success();
}

void sfa::tile::selectFeatures(CacheAppendOp op) {
  auto key = cast<RankedTensorType>(op.getKey().getType()),
       pages = cast<RankedTensorType>(op.getKeyPages().getType());
  OpBuilder builder(op);
  auto codes = RankedTensorType::get(key.getShape(), key.getElementType(), pages.getEncoding());
  auto sparsify = SparsifyOp::create(builder, op.getLoc(), TypeRange(codes), ValueRange(op.getKey()));
  op.getKeyMutable().assign(sparsify.getCodes());
}

namespace {

struct CacheAppendToTile : OpConversionPattern<CacheAppendOp> {
  CacheAppendToTile(const TypeConverter &types, MLIRContext *context,
                    SymbolTableCollection &symbols)
      : OpConversionPattern(types, context), symbols(symbols) {}

  LogicalResult matchAndRewrite(CacheAppendOp op, OneToNOpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    // The pages come last.
    SmallVector<Type> types;
    SmallVector<ValueRange> operands;
    auto add = [&](Value operand, ValueRange physical) {
      if (!operand)
        return;
      types.push_back(operand.getType());
      operands.push_back(physical);
    };
    add(op.getKey(), adaptor.getKey());
    add(op.getValue(), adaptor.getValue());
    add(op.getSlots(), adaptor.getSlots());
    add(op.getTable(), adaptor.getTable());
    add(op.getLengths(), adaptor.getLengths());
    add(op.getKeyPages(), adaptor.getKeyPages());
    add(op.getValuePages(), adaptor.getValuePages());
    KernelBuilder builder(rewriter, symbols, op, types, operands, TypeRange());
    KernelOp kernel = builder.start("append", /*schedule=*/nullptr, rowsPerTile);

    Location loc = op.getLoc();
    auto memoriesOf = [&](unsigned first) {
      SmallVector<Value> memories(builder.operand(first).memories);
      llvm::append_range(memories, builder.operand(first + 1).memories);
      return memories;
    };
    auto memory = [&](unsigned number) { return builder.operand(number).memories[0]; };
    Value row = arith::MulIOp::create(rewriter, loc, kernel.getCoordinates()[2],
                                      arith::ConstantIndexOp::create(rewriter, loc, rowsPerTile));
    bool hasSlots = static_cast<bool>(op.getSlots());
    AppendOp::create(rewriter, loc, memoriesOf(0), memoriesOf(types.size() - 2),
                     kernel.getCoordinates()[0], kernel.getCoordinates()[1], row,
                     hasSlots ? memory(2) : Value(), hasSlots ? Value() : memory(2),
                     hasSlots ? Value() : memory(3), rowsPerTile);
    builder.launchInPlace(op.getValue().getType().getDimSize(1), /*updated=*/2);
    rewriter.eraseOp(op);
    return success();
  }

  SymbolTableCollection &symbols;
};

} // namespace

void sfa::tile::populateAppendPatterns(RewritePatternSet &patterns, const TypeConverter &types,
                                       SymbolTableCollection &symbols) {
  patterns.add<CacheAppendToTile>(types, patterns.getContext(), symbols);
}
