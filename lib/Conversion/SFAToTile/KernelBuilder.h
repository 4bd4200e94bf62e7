//===- KernelBuilder.h - What the kernels of all sfa operations share -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_SFATOTILE_KERNELBUILDER_H
#define SFA_CONVERSION_SFATOTILE_KERNELBUILDER_H

#include "dialects/SFA/SFA.h"
#include "dialects/Tile/Tile.h"
#include "mlir/IR/Builders.h"
#include "mlir/Transforms/DialectConversion.h"

namespace sfa::tile {

/// An operand inside a kernel, and its memories (`getPhysicalTensors`).
struct Operand {
  mlir::RankedTensorType type;
  mlir::ValueRange memories;

  bool isCodes() const { return static_cast<bool>(getCodes(type)); }
  bool hasScales() const { return getScales(type).has_value(); }
  bool isFeatureMajor() const { return static_cast<bool>(getFeatureMajor(type)); }
  bool arePostings() const { return static_cast<bool>(getPostings(type)); }
  int64_t features() const { return type.getDimSize(3); }
};

/// Where a kernel is in its grid and how to build there.
struct KernelContext {
  mlir::OpBuilder &builder;
  mlir::Location loc;
  mlir::Value batch, head;
  /// Of these, from `head` on, the rows of a tile are.
  int64_t heads = 1;
  /// Whether tiles begin at multiples of their length.
  bool areTilesAligned = false;

  mlir::Value constant(int64_t value) const;
  /// The `rows` rows of `operand` from `row` on, as a dense tile: codes are expanded, 8-bit rows
  /// stay integers. Of a dense operand those from `limit` on are 0 where that is given. Of a
  /// feature-major one `rows` and `row` are those of one of its tiles.
  mlir::Value loadDense(const Operand &operand, int64_t rows, mlir::Value row,
                        mlir::Value limit = {}) const;
  /// The same of rows of a sequence, `batch`, of a cache, up to `limit`.
  mlir::Value loadPages(const Operand &operand, int64_t rows, mlir::Value row, mlir::Value table,
                        mlir::Value limit) const;
  /// The same rows as codes; the operand has to hold codes. 8-bit values are multiplied by their
  /// scales.
  mlir::Value loadCodes(const Operand &operand, int64_t rows, mlir::Value row) const;
  /// The posting lists of the same rows, of codes or of a tile of lists.
  mlir::Value loadPostings(const Operand &operand, int64_t rows, mlir::Value row) const;
  /// The scales of the same rows, of 8-bit integers.
  mlir::Value loadScales(const Operand &operand, int64_t rows, mlir::Value row) const;
};

/// The memory through which a kernel sees `tensor`: any strides, but the elements of a row side by
/// side.
mlir::MemRefType getMemory(mlir::RankedTensorType tensor);

/// Tensors, each of which one value holds, or several (`getPhysicalTensors`).
using PhysicalValues = llvm::SmallVector<llvm::SmallVector<mlir::Value>>;

/// Builds a kernel that is part of an op, and its launch before the op. The kernel's memories are
/// those of its operands and then those of its results.
class KernelBuilder {
public:
  /// A kernel with the operands and the results of `op`; `operands` are what holds the former.
  KernelBuilder(mlir::ConversionPatternRewriter &rewriter, mlir::SymbolTableCollection &symbols,
                mlir::Operation *op, llvm::ArrayRef<mlir::ValueRange> operands)
      : KernelBuilder(rewriter, symbols, op, op->getOperandTypes(), operands,
                      op->getResultTypes()) {}
  /// A kernel with operands and results of its own. Batches and tokens of the results are those of
  /// the first operand, heads those of the grid.
  KernelBuilder(mlir::ConversionPatternRewriter &rewriter, mlir::SymbolTableCollection &symbols,
                mlir::Operation *op, mlir::TypeRange operandTypes,
                llvm::ArrayRef<mlir::ValueRange> operands, mlir::TypeRange resultTypes);

  /// As `rowTile`: all rows, however many, are one point of the grid.
  static constexpr int64_t allRows = 0;
  /// Starts the kernel `name`, made unique, with `rowTile` rows of the first operand and `heads`
  /// heads of the first result for one point of the grid; the builder is left inside. The kernel
  /// also takes the numbers `scalars`, f32, of the launch.
  KernelOp start(llvm::StringRef name, ScheduleAttr schedule, int64_t rowTile, int64_t heads = 1,
                 mlir::ValueRange scalars = {});

  /// Operand or result number `index` inside the kernel.
  Operand operand(unsigned index) { return inside(operandTypes, index, 0); }
  Operand result(unsigned index);

  /// Ends the kernel: launches it and returns its results. With the offsets of sequences, which
  /// begin row tiles of their own, the grid has as many tiles as `sfa_tile.sequence_tile` needs.
  /// The last result has one token for `tokensOfLast` of the first operand.
  PhysicalValues launch(mlir::Value offsets = {}, int64_t tokensOfLast = 1);
  /// The same with as many heads and tiles in the grid.
  PhysicalValues launchGrid(int64_t heads, int64_t tiles);
  /// Ends a kernel without results that writes the memories of its last `updated` operands in place.
  void launchInPlace(int64_t heads, unsigned updated);

private:
  PhysicalValues launch(mlir::Value heads, mlir::Value tiles, int64_t tokensOfLast);
  /// The points of the grid for the rows of `tensor`.
  mlir::Value countTiles(mlir::Value tensor);
  Operand inside(llvm::ArrayRef<mlir::RankedTensorType> types, unsigned index,
                 unsigned firstMemory);

  mlir::ConversionPatternRewriter &rewriter;
  mlir::SymbolTableCollection &symbols;
  mlir::Operation *op;
  llvm::SmallVector<mlir::RankedTensorType> operandTypes, resultTypes;
  llvm::SmallVector<mlir::ValueRange> operands;
  llvm::SmallVector<mlir::Value> scalars;
  KernelOp kernel;
  int64_t rowTile = allRows, headsOfPoint = 1;
};

/// What says how many splits the sequences of a cache have; null where all have as many.
struct CacheOperands {
  mlir::Value lengths, table;
  int64_t pageSize = 0, leastBlocks = 1;
};
/// The most tokens that a sequence of a cache has, inside a kernel.
mlir::Value mostTokens(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value table,
                       int64_t pageSize);
/// Builds the kernel that combines what the splits of the keys gave, `partial` outputs and sums,
/// into the results of `op`, an output and perhaps a log-sum-exp, and returns those (Combine.cpp).
PhysicalValues combineSplits(mlir::ConversionPatternRewriter &rewriter,
                             mlir::SymbolTableCollection &symbols, mlir::Operation *op,
                             ResolvedSchedule schedule, const PhysicalValues &partial,
                             const CacheOperands &cache = {});
/// The types of what the splits of the keys give for an output of type `result`: outputs and sums,
/// in f32, of `splits` times as many heads: split by split those of the heads that share a query
/// tile.
llvm::SmallVector<mlir::Type> getPartialTypes(mlir::Type result, int64_t splits);

void populateQuantizePatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &types,
                              mlir::SymbolTableCollection &symbols);
void populateSparsifyDensifyPatterns(mlir::RewritePatternSet &patterns,
                                     const mlir::TypeConverter &types,
                                     mlir::SymbolTableCollection &symbols);
void populateAttentionPatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &types,
                               mlir::SymbolTableCollection &symbols);
void populateDecodePatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &types,
                            mlir::SymbolTableCollection &symbols);
void populateAppendPatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &types,
                            mlir::SymbolTableCollection &symbols);
/// Diagnoses pages that `op` cannot write in place (Append.cpp).
mlir::LogicalResult checkPagesInPlace(CacheAppendOp op);
/// Selects the features of dense keys for pages of codes before `op` (Append.cpp).
void selectFeatures(CacheAppendOp op);

} // namespace sfa::tile

#endif // SFA_CONVERSION_SFATOTILE_KERNELBUILDER_H
