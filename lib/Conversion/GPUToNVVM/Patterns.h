//===- Patterns.h - The patterns that turn a program of a block into instructions -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_GPUTONVVM_PATTERNS_H
#define SFA_CONVERSION_GPUTONVVM_PATTERNS_H

#include "FunctionContext.h"

namespace sfa::simt {

/// The registers of each result of an op.
using Results = llvm::SmallVector<Values, 1>;

/// Replaces an op without regions by what `lower` emits.
template <class SourceOp>
class Lowering : public mlir::OpConversionPattern<SourceOp> {
public:
  using Op = SourceOp;
  /// The registers of each operand.
  using Adaptor = typename mlir::OpConversionPattern<SourceOp>::OneToNOpAdaptor;

  Lowering(const mlir::TypeConverter &types, mlir::MLIRContext *context,
           const FunctionContext &function)
      : mlir::OpConversionPattern<SourceOp>(types, context), function(function) {}

  mlir::LogicalResult matchAndRewrite(SourceOp op, Adaptor adaptor,
                                      mlir::ConversionPatternRewriter &rewriter) const final {
    Emitter emit(op.getLoc(), rewriter);
    mlir::FailureOr<Results> results = lower(op, adaptor, emit);
    if (failed(results))
      return mlir::failure();
    rewriter.replaceOpWithMultiple(op, std::move(*results));
    return mlir::success();
  }

protected:
  virtual mlir::FailureOr<Results> lower(SourceOp op, Adaptor adaptor, Emitter &emit) const = 0;

  const FunctionContext &function;
};

/// A ring in registers.
struct Ring {
  mlir::Value base, stageBytes, firstFull, firstEmpty;

  Ring(mlir::ValueRange registers)
      : base(registers[0]), stageBytes(registers[1]), firstFull(registers[2]),
        firstEmpty(registers[3]) {}
};

/// The swizzled tile of type `type` at `base`. Two elements of 8 bits count as one column.
inline SharedTile tileAt(mlir::Value base, SharedType type) {
  int64_t width = type.getElementType().getIntOrFloatBitWidth();
  return {base, type.getRows(), type.getColumns() * width / 16};
}

/// The registers of a tile: its elements, and the factors of rows where it has them, those of each
/// row together.
///
/// Integers become f32 where they are used: biased, an addition to their bits makes them the number
/// `integerBias` more. That is exact up to 2^22. The bias is subtracted with the reference of a
/// row, as one rounded number for all elements of a tile: an error of less than the step of an
/// integer, of which rounding to 8 bits has cost many.
struct ScaledFragment {
  mlir::ValueRange elements, factors;
  bool areIntegers;
  int64_t columns, factorsOfRow, columnsOfFactor;

  ScaledFragment(tile::TileType type, mlir::ValueRange registers)
      : elements(registers), areIntegers(type.isScaled() && type.getElementType().isInteger(32)),
        columns(type.isRowVector() ? 0 : type.getColumns()),
        factorsOfRow(type.getNumFactorsOfRow()), columnsOfFactor(type.getColumnsOfFactor()) {
    if (!type.isScaled())
      return;
    // A block of 16 rows has columns / 2 elements and the factors of two rows.
    size_t numFactors = 2 * factorsOfRow * registers.size() / (columns / 2 + 2 * factorsOfRow);
    elements = registers.drop_back(numFactors);
    factors = registers.take_back(numFactors);
  }
  /// `element` as f32, which is `integerBias` more for integers.
  mlir::Value toBiased(Emitter &emit, mlir::Value element) const {
    if (!areIntegers)
      return element;
    return emit.bitcast(emit.getF32Type(), emit.add(element, bitsOfIntegerBias));
  }
  /// The element that becomes `number`, an infinity or a NaN.
  mlir::Value elementFor(Emitter &emit, float number) const {
    if (!areIntegers)
      return emit.f32(number);
    return emit.i32(llvm::bit_cast<int32_t>(llvm::bit_cast<uint32_t>(number) - bitsOfIntegerBias));
  }
  /// Which factor, of those of its row, element number `element` has; 0 where there are none.
  int64_t factorNumber(size_t element) const {
    if (factorsOfRow <= 1)
      return 0;
    return static_cast<int64_t>(element) % (columns / 2) / 4 * 8 / columnsOfFactor;
  }
};

/// The keys of sequence `sequence` of a cache, at least 0 and at most `limit`; i32.
mlir::Value loadLength(Emitter &emit, const Memory &lengths, mlir::Value sequence,
                       mlir::Value limit);

// Each file of this folder adds the patterns of one family of operations.

void populateGridPatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &types,
                          const FunctionContext &function);
void populateRolePatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &types,
                          const FunctionContext &function);
void populateRingPatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &types,
                          const FunctionContext &function);
void populateCopyPatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &types,
                          const FunctionContext &function);
void populateProductPatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &types,
                             const FunctionContext &function);
void populateWarpProductPatterns(mlir::RewritePatternSet &patterns,
                                 const mlir::TypeConverter &types, const FunctionContext &function);
void populateTwoFourPatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &types,
                             const FunctionContext &function);
void populateGatherPatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &types,
                            const FunctionContext &function);
void populateScatterPatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &types,
                             const FunctionContext &function);
void populateGroupPatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &types,
                           const FunctionContext &function);
void populateCodePatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &types,
                          const FunctionContext &function);
void populateMaskPatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &types,
                          const FunctionContext &function);
void populateSoftmaxPatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &types,
                             const FunctionContext &function);
void populateRowPatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &types,
                         const FunctionContext &function);
void populateStorePatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &types,
                           const FunctionContext &function);
void populateScalePatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &types,
                           const FunctionContext &function);
void populateSequencePatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &types,
                              const FunctionContext &function);

} // namespace sfa::simt

#endif // SFA_CONVERSION_GPUTONVVM_PATTERNS_H
