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

Value KernelLowering::findLargestBits(const SharingRows &rows) {
  auto ofRow = [&](Value row, ValueRange largest) {
    return emit.loop(
        emit.index(0), emit.index(rows.k), 1, largest, [&](Value t, ValueRange largest) {
          Value bits = emit.make<arith::BitcastOp>(emit.getI32Type(), rows.load(row, t));
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

Value KernelLowering::findErrors(const SharingRows &rows, Value row, Value scales) {
  VectorType f64 = emit.vectorOf(emit.getF64Type());
  auto widen = [&](Value vector) -> Value { return emit.make<arith::ExtFOp>(f64, vector); };
  Value zero = emit.make<arith::ConstantOp>(emit.getZeroAttr(f64)), wide = widen(scales);
  return emit.loop(emit.index(0), emit.index(rows.k), 1, zero, [&](Value t, ValueRange sum) {
    Value value = emit.broadcast(rows.load(row, t));
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

KernelLowering::Scale KernelLowering::findScale(const SharingRows &rows, Scales sharedBy) {
  Value bits = findLargestBits(rows);
  Value largest = emit.make<arith::BitcastOp>(emit.getF32Type(), bits);
  Value first = emit.make<arith::DivFOp>(largest, emit.f32(largestInteger));
  auto errorsOf = [&](Value scales) { return findErrors(rows, rows.lower, scales); };
  Value scale = sharedBy == Scales::Token ? searchScale(errorsOf, largest) : first;
  Value leastNormal = emit.f32(std::numeric_limits<float>::min());
  Value isSmall = emit.compare(arith::CmpFPredicate::OLT, first, leastNormal);
  Value isZero = emit.compare(arith::CmpIPredicate::eq, bits, emit.i32(0));
  Value isFinite = emit.compare(arith::CmpIPredicate::slt, bits, emit.i32(infinityBits));
  scale = emit.select(isSmall, leastNormal, scale);
  scale = emit.select(isZero, emit.f32(1.0f), scale);
  return {emit.select(isFinite, scale, emit.f32(std::numeric_limits<float>::quiet_NaN())),
          isFinite};
}

Value KernelLowering::toInteger(Value value, const Scale &scale) {
  return emit.select(scale.isFinite, divideAndRound(emit, value, scale.scale), emit.f32(0.0f));
}

void KernelLowering::lower(tile::QuantizeOp op) {
  Value values = scalar(op.getValues()), integers = scalar(op.getIntegers()),
        scales = scalar(op.getScales()), batch = scalar(op.getBatch()), head = scalar(op.getHead()),
        tile = scalar(op.getTile());
  int64_t k = op.getValues().getType().getDimSize(3);
  Scales sharedBy = op.getSharedBy();
  auto load = [&](Value row, Value t) {
    return emit.extend(emit.load(values, {batch, head, row, t}));
  };
  auto quantize = [&](Value lower, Value upper) {
    Scale scale = findScale({lower, upper, k, load}, sharedBy);
    emit.store(scale.scale, scales, {batch, head, placeOfScale(sharedBy, lower)});
    emit.loop(lower, upper, 1, [&](Value row) {
      emit.loop(0, k, 1, [&](Value t) {
        Value integer = emit.round(toInteger(load(row, t), scale), emit.getI8Type());
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

void KernelLowering::lower(QuantizeCodesOp op) {
  CodesView given = codes.at(op.getCodes());
  // Those in memory are copied: rows that do not exist are 0 there.
  if (!given.leading.empty())
    given = copyHeads(given, /*heads=*/1, given.rows);
  int64_t numRows = given.rows, k = given.k;
  Value values = allocate({numRows, k}, emit.getF32Type()),
        scales = allocateRows(op.getScales().getType());
  auto load = [&](Value row, Value t) { return codeValue(given, row, t); };
  auto quantize = [&](Value lower, Value upper) {
    Scale scale = findScale({lower, upper, k, load}, op.getSharedBy());
    emit.loop(lower, upper, 1, [&](Value row) {
      emit.store(scale.scale, scales, row);
      emit.loop(0, k, 1,
                [&](Value t) { emit.store(toInteger(load(row, t), scale), values, {row, t}); });
    });
  };
  if (op.getSharedBy() == Scales::Tile)
    quantize(emit.index(0), emit.index(numRows));
  else
    emit.loop(0, numRows, 1, [&](Value row) { quantize(row, emit.add(row, emit.index(1))); });
  given.values = values;
  codes[op.getIntegers()] = given;
  rowVectors[op.getScales()] = scales;
}

void KernelLowering::lower(StoreScalesOp op) {
  Value memory = scalar(op.getMemory()), batch = scalar(op.getBatch()), head = scalar(op.getHead()),
        first = scalar(op.getRow()), scales = rowVector(op.getScales());
  int64_t rows = op.getSharedBy() == Scales::Tile ? 1 : op.getScales().getType().getRows();
  Value place = placeOfScale(op.getSharedBy(), first);
  emit.loop(emit.index(0), validRows(memory, place, rows), 1, [&](Value row) {
    emit.store(emit.load(scales, row), memory, {batch, head, emit.add(place, row)});
  });
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
