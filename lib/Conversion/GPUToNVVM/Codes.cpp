//===- Codes.cpp - Codes of keys in shared memory, written out and cleared again -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Two lanes of a warp own a row of codes: lane l and lane l + 16 have the first and the second half
// of the pairs of row l. Rows are 16, as many as a product takes as columns at once, twice.
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

namespace {

/// The half of a row that a lane owns.
class HalfRow {
public:
  HalfRow(Emitter &emit, const FunctionContext &function, SharedType codes, Value first)
      : emit(emit), k(codes.getColumns()), each((k + 1) / 2), row(emit.bitAnd(function.lane, 15)),
        half(emit.shiftRight(function.lane, 4)) {
    Value place = emit.add(emit.mul(emit.add(emit.toI32(first), row), k), emit.mul(half, each));
    // Where k is odd the second half has one pair less.
    isWhole = k % 2 == 0 ? Value() : emit.equal(half, emit.i32(0));
    firstElement = place;
  }

  /// The elements of `type`, i8 or i16, in the tile at `base`, as i32.
  Values load(Value base, Type type) const {
    int64_t bytes = type.getIntOrFloatBitWidth() / 8, all = each * bytes;
    Value address = emit.offset(base, firstElement, type);
    Values elements;
    // Words, as many at once as alignment allows: halves of rows begin at multiples of their size.
    if (all % 4 == 0 && k % 2 == 0) {
      auto atOnce = static_cast<int64_t>(std::min<uint64_t>(16, all & -all));
      auto vector = VectorType::get(atOnce / 4, emit.getI32Type());
      for (int64_t at = 0; at < all; at += atOnce) {
        Value loaded = emit.load(vector, emit.offset(address, at), atOnce);
        for (int64_t byte = 0; byte < atOnce; byte += bytes) {
          Value word = emit.make<LLVM::ExtractElementOp>(loaded, emit.i32(byte / 4));
          Value shifted = byte % 4 == 0 ? word : emit.shiftRight(word, byte % 4 * 8);
          bool isHighest = byte % 4 + bytes == 4;
          elements.push_back(isHighest ? shifted
                                       : emit.bitAnd(shifted, (int64_t(1) << 8 * bytes) - 1));
        }
      }
      return elements;
    }
    for (int64_t i = 0; i < each; ++i) {
      Value loaded = emit.load(type, emit.offset(address, i * bytes));
      elements.push_back(emit.make<arith::ExtUIOp>(emit.getI32Type(), loaded));
    }
    return elements;
  }

  /// Whether pair `i` of the lane is one of the row's; null where all are.
  Value exists(int64_t i) const { return i + 1 == each ? isWhole : Value(); }

  Emitter &emit;
  const int64_t k, each;
  Value row, half;

private:
  Value isWhole, firstElement;
};

/// Where the elements of a row of the dense tile are.
class DenseRow {
public:
  DenseRow(Emitter &emit, Value base, SharedType type, Value place, Value row)
      : emit(emit), tile(tileAt(base, type)), features(type.getColumns()) {
    Value number = emit.add(emit.toI32(place), row);
    first = emit.offset(tile.base, emit.mul(number, SharedTile::rowBytes), emit.getI8Type());
    // `place` is a multiple of 8.
    swizzle = emit.shiftLeft(emit.bitAnd(row, 7), 4);
  }

  /// Of the element of feature `feature`, an i32 below the number of columns.
  Value address(Value feature) const {
    Value byte = emit.shiftLeft(feature, 1);
    Value inPanel = emit.bitXor(emit.bitAnd(byte, SharedTile::rowBytes - 1), swizzle);
    if (tile.numPanels() > 1)
      inPanel = emit.add(inPanel, emit.mul(emit.shiftRight(byte, 7), tile.panelBytes()));
    return emit.offset(first, inPanel, emit.getI8Type());
  }
  /// Whether the tile has the feature, an i32 that is not negative.
  Value has(Value feature) const { return emit.less(feature, emit.i32(features)); }

private:
  Emitter &emit;
  SharedTile tile;
  int64_t features;
  Value first, swizzle;
};

void meetWarp(Emitter &emit) { emit.make<NVVM::SyncWarpOp>(emit.i32(-1)); }

struct LowerExpandCodes : Lowering<ExpandCodesOp> {
  using Lowering::Lowering;

  FailureOr<Results> lower(ExpandCodesOp op, Adaptor adaptor, Emitter &emit) const override {
    HalfRow codes(emit, function, op.getValues().getType(), adaptor.getFirst().front());
    DenseRow dense(emit, adaptor.getDense().front(), op.getDense().getType(),
                   adaptor.getPlace().front(), codes.row);
    Values values = codes.load(adaptor.getValues().front(), emit.getI16Type()),
           features = codes.load(adaptor.getFeatures().front(), emit.getI8Type());
    for (int64_t i = 0; i < codes.each; ++i) {
      // A zero may pad the row: its feature means nothing.
      Value isSet = emit.compare(arith::CmpIPredicate::ne, emit.bitAnd(values[i], 0x7FFF),
                                 emit.i32(0));
      Value counts = emit.bitAnd(isSet, dense.has(features[i]));
      if (Value exists = codes.exists(i))
        counts = emit.bitAnd(counts, exists);
      emit.when(counts, [&] {
        emit.store(emit.make<arith::TruncIOp>(emit.getI16Type(), values[i]),
                   dense.address(features[i]));
      });
    }
    meetWarp(emit);
    return Results{};
  }
};

struct LowerClearCodes : Lowering<ClearCodesOp> {
  using Lowering::Lowering;

  FailureOr<Results> lower(ClearCodesOp op, Adaptor adaptor, Emitter &emit) const override {
    HalfRow codes(emit, function, op.getFeatures().getType(), adaptor.getFirst().front());
    DenseRow dense(emit, adaptor.getDense().front(), op.getDense().getType(),
                   adaptor.getPlace().front(), codes.row);
    Values features = codes.load(adaptor.getFeatures().front(), emit.getI8Type());
    Value zero = emit.make<arith::ConstantIntOp>(emit.getI16Type(), 0);
    meetWarp(emit);
    for (int64_t i = 0; i < codes.each; ++i) {
      Value counts = dense.has(features[i]);
      if (Value exists = codes.exists(i))
        counts = emit.bitAnd(counts, exists);
      emit.when(counts, [&] { emit.store(zero, dense.address(features[i])); });
    }
    // The zeros of one lane come before what another one writes to the row next.
    meetWarp(emit);
    return Results{};
  }
};

} // namespace

void sfa::simt::populateCodePatterns(RewritePatternSet &patterns, const TypeConverter &types,
                                     const FunctionContext &function) {
  patterns.add<LowerExpandCodes, LowerClearCodes>(types, patterns.getContext(), function);
}
