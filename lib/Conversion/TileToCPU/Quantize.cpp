//===- Quantize.cpp - Integers of 8 bits with scales, from values and back -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"
#include <limits>

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;
using namespace sfa::cpu;

//===----------------------------------------------------------------------===//
// From values
//===----------------------------------------------------------------------===//

/// The scale of a token is a / 127, a / 126, ..., one of so many.
static constexpr int64_t numCandidates = 32;
static constexpr float largestInteger = 127.0f;

static constexpr int32_t magnitudeBits = 0x7FFFFFFF, infinityBits = 0x7F800000;

namespace {
/// The rows [lower, upper) of `memory[batch, head]`, whose values share a scale.
struct SharingRows {
  Value memory, batch, head, lower, upper;
  int64_t k;

  Value load(Emitter &emit, Value row, Value t) const {
    return emit.extend(emit.load(memory, {batch, head, row, t}));
  }
};
} // namespace

/// The bits of the largest magnitude; they order like the magnitudes, with NaNs above infinity.
static Value findLargestBits(Emitter &emit, const SharingRows &rows) {
  auto ofRow = [&](Value row, ValueRange largest) {
    return emit.loop(
        emit.index(0), emit.index(rows.k), 1, largest, [&](Value t, ValueRange largest) {
          Value bits = emit.make<arith::BitcastOp>(emit.getI32Type(), rows.load(emit, row, t));
          Value magnitude = emit.make<arith::AndIOp>(bits, emit.i32(magnitudeBits));
          return Emitter::Values{emit.make<arith::MaxSIOp>(magnitude, largest[0])};
        });
  };
  return emit.loop(rows.lower, rows.upper, 1, emit.i32(0), ofRow)[0];
}

/// `value / scale`, at most 127, rounded to nearest even; scalars or vectors.
static Value divideAndRound(Emitter &emit, Value value, Value scale) {
  Value quotient = emit.make<arith::DivFOp>(value, scale);
  // Adding 1.5 * 2^23 rounds to an integer.
  bool isVector = isa<VectorType>(quotient.getType());
  Value magic = isVector ? emit.splat(0x1.8p23f) : emit.f32(0x1.8p23f);
  return emit.sub(emit.add(quotient, magic), magic);
}

/// The squared errors of the values of row `row` with a vector of scales, f64: squares of small f32
/// are f64, and so are products of scales and integers.
static Value findErrors(Emitter &emit, const SharingRows &rows, Value row, Value scales) {
  VectorType f64 = emit.vectorOf(emit.getF64Type());
  auto widen = [&](Value vector) -> Value { return emit.make<arith::ExtFOp>(f64, vector); };
  Value zero = emit.make<arith::ConstantOp>(emit.getZeroAttr(f64)), wide = widen(scales);
  return emit.loop(emit.index(0), emit.index(rows.k), 1, zero, [&](Value t, ValueRange sum) {
    Value value = emit.broadcast(rows.load(emit, row, t));
    Value integer = divideAndRound(emit, value, scales);
    Value error = emit.sub(widen(value), emit.mul(widen(integer), wide));
    return Emitter::Values{emit.add(sum[0], emit.mul(error, error))};
  })[0];
}

Value KernelLowering::searchScale(function_ref<Value(Value)> errorsOf, Value largest) {
  Type f64 = emit.getF64Type();
  Value candidates = allocate({numCandidates}, emit.getF32Type()),
        errors = allocate({numCandidates}, f64);
  emit.loop(0, numCandidates, emit.lanes, [&](Value number) {
    Value numbers = emit.add(emit.laneNumbers(), emit.broadcast(emit.toI32(number)));
    Value divisors =
        emit.sub(emit.splat(largestInteger), emit.make<arith::SIToFPOp>(emit.f32Vector(), numbers));
    Value scales = emit.make<arith::DivFOp>(emit.broadcast(largest), divisors);
    emit.storeVector(scales, candidates, number);
    emit.storeVector(errorsOf(scales), errors, number);
  });
  Value none =
      emit.make<arith::ConstantOp>(emit.getFloatAttr(f64, std::numeric_limits<double>::infinity()));
  Value init[] = {none, emit.f32(0.0f)};
  return emit.loop(emit.index(0), emit.index(numCandidates), 1, init,
                   [&](Value number, ValueRange best) {
                     Value error = emit.load(errors, number);
                     Value isLess = emit.compare(arith::CmpFPredicate::OLT, error, best[0]);
                     Value scale = emit.load(candidates, number);
                     return Emitter::Values{emit.select(isLess, error, best[0]),
                                            emit.select(isLess, scale, best[1])};
                   })[1];
}

void KernelLowering::lower(tile::QuantizeOp op) {
  Value values = scalar(op.getValues()), integers = scalar(op.getIntegers()),
        scales = scalar(op.getScales()), batch = scalar(op.getBatch()), head = scalar(op.getHead()),
        tile = scalar(op.getTile());
  int64_t k = op.getValues().getType().getDimSize(3);
  Scales sharedBy = op.getSharedBy();

  auto quantize = [&](Value lower, Value upper) {
    SharingRows rows{values, batch, head, lower, upper, k};
    Value bits = findLargestBits(emit, rows);
    Value largest = emit.make<arith::BitcastOp>(emit.getF32Type(), bits);
    Value first = emit.make<arith::DivFOp>(largest, emit.f32(largestInteger));
    auto errorsOf = [&](Value scales) { return findErrors(emit, rows, lower, scales); };
    Value scale = sharedBy == Scales::Token ? searchScale(errorsOf, largest) : first;
    Value leastNormal = emit.f32(std::numeric_limits<float>::min());
    Value isSmall = emit.compare(arith::CmpFPredicate::OLT, first, leastNormal);
    Value isZero = emit.compare(arith::CmpIPredicate::eq, bits, emit.i32(0));
    Value isFinite = emit.compare(arith::CmpIPredicate::slt, bits, emit.i32(infinityBits));
    scale = emit.select(isSmall, leastNormal, scale);
    scale = emit.select(isZero, emit.f32(1.0f), scale);
    scale = emit.select(isFinite, scale, emit.f32(std::numeric_limits<float>::quiet_NaN()));
    emit.store(scale, scales, {batch, head, placeOfScale(sharedBy, lower)});

    Value none = emit.make<arith::ConstantIntOp>(emit.getI8Type(), 0);
    emit.loop(lower, upper, 1, [&](Value row) {
      emit.loop(0, k, 1, [&](Value t) {
        Value integer = divideAndRound(emit, rows.load(emit, row, t), scale);
        integer = emit.select(isFinite, emit.round(integer, emit.getI8Type()), none);
        emit.store(integer, integers, {batch, head, row, t});
      });
    });
  };

  Value first = emit.index(0), end = emit.dim(values, 2);
  if (sharedBy == Scales::Head)
    return quantize(first, end);
  first = emit.mul(tile, emit.index(tokensOfScale));
  end = emit.minIndex(end, emit.add(first, emit.index(tokensOfScale)));
  if (sharedBy == Scales::Tile)
    return quantize(first, end);
  emit.loop(first, end, 1, [&](Value row) { quantize(row, emit.add(row, emit.index(1))); });
}

//===----------------------------------------------------------------------===//
// Back
//===----------------------------------------------------------------------===//

void KernelLowering::lower(DequantizeOp op) {
  MatrixBuffer product = rowMatrix(op.getProduct()),
               scores = takeMatrix(op.getProductMutable(), /*copy=*/false);
  // Those of the columns belong to keys: a block of rows sees all of them.
  Value rows = rowVector(op.getRows()), columns = rowVectors.at(op.getColumns());
  emit.loop(0, product.rows, 1, [&](Value row) {
    Value factor = emit.broadcast(emit.load(rows, row));
    emit.loop(0, product.columns, emit.lanes, [&](Value column) {
      Value vector = emit.loadVector(product.memory, {row, column});
      vector = emit.mul(emit.mul(vector, emit.loadVector(columns, column)), factor);
      emit.storeVector(vector, scores.memory, {row, column});
    });
  });
  matrices[op.getScores()] = scores;
}
