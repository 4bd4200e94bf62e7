//===- SparsifyDensify.cpp - Kernels that change the form of rows -------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;

/// Rows that one point of the grid sparsifies or densifies.
static constexpr int64_t rowsPerTile = 128;

static KernelContext atCoordinates(OpBuilder &builder, KernelOp kernel) {
  return {builder, kernel.getLoc(), kernel.getCoordinates()[0], kernel.getCoordinates()[1]};
}

/// The first row of the kernel's point of the grid.
static Value getFirstRow(const KernelContext &context, KernelOp kernel) {
  return arith::MulIOp::create(context.builder, context.loc, kernel.getCoordinates()[2],
                               context.constant(rowsPerTile));
}

namespace {

struct SparsifyToTile : OpConversionPattern<SparsifyOp> {
  SparsifyToTile(const TypeConverter &types, MLIRContext *context, SymbolTableCollection &symbols)
      : OpConversionPattern(types, context), symbols(symbols) {}

  LogicalResult matchAndRewrite(SparsifyOp op, OneToNOpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    if (getScales(op.getCodes().getType()))
      return writeIntegers(op, adaptor.getSource(), rewriter);
    // Codes that nobody uses are not written.
    bool writesCodes = !op.getDense() || !op.getCodes().use_empty();
    TypeRange results = op->getResultTypes();
    KernelBuilder builder(rewriter, symbols, op, op->getOperandTypes(), adaptor.getOperands(),
                          writesCodes ? results : results.drop_front());
    KernelOp kernel = builder.start("sparsify", /*schedule=*/nullptr, rowsPerTile);
    KernelContext context = atCoordinates(rewriter, kernel);
    Value row = getFirstRow(context, kernel);
    Value selected = select(op, context, builder.operand(0), row);
    if (op.getDense()) {
      auto type = cast<CodesType>(selected.getType());
      auto tile =
          TileType::get(op.getContext(), {rowsPerTile, type.getFeatures()}, type.getElementType());
      Value rows = ExpandOp::create(rewriter, op.getLoc(), tile, selected);
      StoreOp::create(rewriter, op.getLoc(), rows, builder.result(writesCodes ? 1 : 0).memories[0],
                      context.batch, context.head, row, /*limit=*/Value());
    }
    if (writesCodes) {
      ValueRange memories = builder.result(0).memories;
      StoreCodesOp::create(rewriter, op.getLoc(), selected, memories[0], memories[1], context.batch,
                           context.head, row);
    }
    PhysicalValues values = builder.launch();
    if (!writesCodes)
      values.insert(values.begin(), SmallVector<Value>());
    rewriter.replaceOpWithMultiple(op, std::move(values));
    return success();
  }

private:
  /// The codes of the rows from `row` on, with their values as they are.
  static Value select(SparsifyOp op, const KernelContext &context, const Operand &source,
                      Value row) {
    Value tile = context.loadDense(source, rowsPerTile, row);
    CodesAttr encoding = ::sfa::getCodes(op.getCodes().getType());
    int64_t features = source.features();
    auto type = CodesType::get(op.getContext(), rowsPerTile, features, source.type.getElementType(),
                               std::min(encoding.getK(), features));
    return TopkOp::create(context.builder, op.getLoc(), type, tile, encoding.getTwoFour());
  }

  /// Writes 8-bit integers and their scales. The codes and the rows share the latter.
  LogicalResult writeIntegers(SparsifyOp op, ValueRange source,
                              ConversionPatternRewriter &rewriter) const {
    RankedTensorType codes = op.getCodes().getType();
    bool writesCodes = !op.getDense() || !op.getCodes().use_empty();
    SmallVector<RankedTensorType> ofCodes = getPhysicalTensors(codes),
                                  ofRows = getPhysicalTensors(getWrittenOut(codes));
    SmallVector<Type> written;
    if (op.getDense())
      written.push_back(ofRows.front());
    if (writesCodes)
      written.append({ofCodes[0], ofCodes[1]});
    written.push_back(ofCodes.back());
    KernelBuilder builder(rewriter, symbols, op, op->getOperandTypes(), source, written);
    KernelOp kernel = builder.start("sparsify_integers", /*schedule=*/nullptr, rowsPerTile);
    KernelContext context = atCoordinates(rewriter, kernel);
    Value row = getFirstRow(context, kernel);
    auto memory = [&](unsigned result) { return builder.result(result).memories[0]; };

    auto selected = cast<TypedValue<CodesType>>(select(op, context, builder.operand(0), row));
    MLIRContext *mlir = op.getContext();
    Type i8 = rewriter.getI8Type();
    int64_t columns = ofRows.front().getDimSize(3);
    auto scales = ScalesAttr::get(mlir, *getScales(codes));
    auto rounded = QuantizeCodesOp::create(
        rewriter, op.getLoc(),
        CodesType::get(mlir, rowsPerTile, columns, i8, selected.getType().getK()),
        TileType::get(mlir, {rowsPerTile}, rewriter.getF32Type()), selected, scales);
    unsigned number = 0;
    if (op.getDense()) {
      auto tile =
          ExpandOp::create(rewriter, op.getLoc(), TileType::get(mlir, {rowsPerTile, columns}, i8),
                           rounded.getIntegers());
      StoreOp::create(rewriter, op.getLoc(), tile, memory(number++), context.batch, context.head,
                      row, /*limit=*/Value());
    }
    if (writesCodes) {
      StoreCodesOp::create(rewriter, op.getLoc(), rounded.getIntegers(), memory(number),
                           memory(number + 1), context.batch, context.head, row);
      number += 2;
    }
    StoreScalesOp::create(rewriter, op.getLoc(), rounded.getScales(), memory(number), context.batch,
                          context.head, row, scales);

    PhysicalValues launched = builder.launch(
        /*offsets=*/Value(), scales.getValue() == Scales::Tile ? tokensOfScale : 1);
    auto values = llvm::map_to_vector(launched, [](ValueRange each) { return each.front(); });
    PhysicalValues results(1);
    if (writesCodes)
      results[0].assign(values.end() - 3, values.end());
    if (op.getDense())
      results.push_back({values.front(), values.back()});
    rewriter.replaceOpWithMultiple(op, std::move(results));
    return success();
  }

  SymbolTableCollection &symbols;
};

struct DensifyToTile : OpConversionPattern<DensifyOp> {
  DensifyToTile(const TypeConverter &types, MLIRContext *context, SymbolTableCollection &symbols)
      : OpConversionPattern(types, context), symbols(symbols) {}

  LogicalResult matchAndRewrite(DensifyOp op, OneToNOpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    if (op.getQuantized())
      return writeIntegers(op, adaptor.getCodes(), rewriter);
    KernelBuilder builder(rewriter, symbols, op, adaptor.getOperands());
    KernelOp kernel = builder.start("densify", /*schedule=*/nullptr, rowsPerTile);
    KernelContext context = atCoordinates(rewriter, kernel);
    Value row = getFirstRow(context, kernel);
    Value tile = context.loadDense(builder.operand(0), rowsPerTile, row);
    StoreOp::create(rewriter, op.getLoc(), tile, builder.result(0).memories[0], context.batch,
                    context.head, row, /*limit=*/Value());
    rewriter.replaceOpWithMultiple(op, builder.launch());
    return success();
  }

private:
  /// The integers of 8-bit codes as rows; the scales stay as they are.
  LogicalResult writeIntegers(DensifyOp op, ValueRange codes,
                              ConversionPatternRewriter &rewriter) const {
    RankedTensorType rows = getPhysicalTensors(cast<RankedTensorType>(op.getType())).front();
    SmallVector<ValueRange> operands{codes.take_front(1), codes.slice(1, 1)};
    SmallVector<Type> types(codes.drop_back().getTypes());
    KernelBuilder builder(rewriter, symbols, op, types, operands, Type(rows));
    KernelOp kernel = builder.start("densify_integers", /*schedule=*/nullptr, rowsPerTile);
    KernelContext context = atCoordinates(rewriter, kernel);
    Value row = getFirstRow(context, kernel);
    MLIRContext *mlir = op.getContext();
    int64_t k = cast<RankedTensorType>(types.front()).getDimSize(3), columns = rows.getDimSize(3);
    auto loaded = LoadCodesOp::create(
        rewriter, op.getLoc(), CodesType::get(mlir, rowsPerTile, columns, rows.getElementType(), k),
        builder.operand(0).memories[0], builder.operand(1).memories[0], context.batch, context.head,
        row, /*scales=*/Value(), /*sharedBy=*/ScalesAttr(), /*heads=*/1);
    auto tile = ExpandOp::create(rewriter, op.getLoc(),
                                 TileType::get(mlir, {rowsPerTile, columns}, rows.getElementType()),
                                 loaded);
    StoreOp::create(rewriter, op.getLoc(), tile, builder.result(0).memories[0], context.batch,
                    context.head, row, /*limit=*/Value());
    PhysicalValues values = builder.launch();
    values.front().push_back(codes.back());
    rewriter.replaceOpWithMultiple(op, std::move(values));
    return success();
  }

  SymbolTableCollection &symbols;
};

/// Makes tiles of keys: a point of the grid writes one.
template <class Op>
struct KeyTilesToTile : OpConversionPattern<Op> {
  KeyTilesToTile(const TypeConverter &types, MLIRContext *context, SymbolTableCollection &symbols)
      : OpConversionPattern<Op>(types, context), symbols(symbols) {}

  LogicalResult matchAndRewrite(Op op, typename OpConversionPattern<Op>::OneToNOpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    constexpr bool areLists = std::is_same_v<Op, ::sfa::PostingsOp>;
    int64_t tokens = *getKeyTile(op.getResult().getType());
    KernelBuilder builder(rewriter, symbols, op, adaptor.getOperands());
    KernelOp kernel =
        builder.start(areLists ? "postings" : "feature_major", /*schedule=*/nullptr, tokens);
    KernelContext context = atCoordinates(rewriter, kernel);
    Value row = arith::MulIOp::create(rewriter, op.getLoc(), kernel.getCoordinates()[2],
                                      context.constant(tokens));
    Operand keys = builder.operand(0);
    Value memory = builder.result(0).memories[0];
    if constexpr (areLists)
      StorePostingsOp::create(rewriter, op.getLoc(), context.loadPostings(keys, tokens, row),
                              memory, context.batch, context.head, row);
    else
      StoreFeatureMajorOp::create(rewriter, op.getLoc(), context.loadDense(keys, tokens, row),
                                  memory, context.batch, context.head, row);
    rewriter.replaceOpWithMultiple(op, builder.launch(/*offsets=*/Value(), tokens));
    return success();
  }

  SymbolTableCollection &symbols;
};

} // namespace

void sfa::tile::populateSparsifyDensifyPatterns(RewritePatternSet &patterns,
                                                const TypeConverter &types,
                                                SymbolTableCollection &symbols) {
  patterns.add<SparsifyToTile, DensifyToTile, KeyTilesToTile<FeatureMajorOp>,
               KeyTilesToTile<::sfa::PostingsOp>>(types, patterns.getContext(), symbols);
}
