//===- Quantize.cpp - Kernels that round the values of codes to 8 bits ------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A thread owns a row of its tile; where all rows of a head share a scale, every 128th row of the
// head. Values are read once to find the largest, and once more to be rounded.
//
//===----------------------------------------------------------------------===//

#include "RowFunction.h"
#include <limits>

using namespace mlir;
using namespace sfa::simt;
using sfa::Scales, sfa::tokensOfScale;
using QuantizeOp = sfa::tile::QuantizeOp;

namespace {

class QuantizeKernel {
public:
  using Values = Emitter::Values;

  QuantizeKernel(RowFunction &kernel, QuantizeOp op)
      : kernel(kernel), emit(kernel.emit), op(op), values(kernel.memory(op.getValues())),
        k(values.type.getDimSize(3)) {}

  LogicalResult run();

private:
  /// Candidates for the scale of a token, and for how many values they are tried in registers.
  static constexpr int64_t numCandidates = 32, mostInRegisters = 32;

  /// Calls `body` for the rows of the thread (i64) with what it has returned for the one before.
  Values forEachRow(ValueRange init, function_ref<Values(Value, ValueRange)> body);
  /// The same for the values of a row, f32, and their number (i32).
  Values forEachValue(Value row, ValueRange init,
                      function_ref<Values(Value, Value, ValueRange)> body);
  /// Value `number` (i32) of a row, f32.
  Value loadValue(Value row, Value number);
  /// The bits of the largest magnitude of a row and of `init`: as those of a larger number are
  /// larger, and those of an infinity and of a NaN are the largest.
  Value largestOf(Value row, Value init);
  /// The largest of what the threads of the block have.
  Value largestOfBlock(Value mine);
  /// The scale that makes the largest magnitude `steps` (f32).
  Value scaleFor(Value largest, Value steps);
  /// Of the candidates the one with the least squared error for the row.
  Value searchScale(Value row, Value largest);
  /// The integer (f32) for `value`.
  Value round(Value value, Value scale) {
    return emit.make<LLVM::RoundEvenOp>(emit.make<arith::DivFOp>(value, scale));
  }
  void storeRow(Value row, Value scale);
  /// Writes the scale number `place` (i64) of the head.
  void storeScale(Value place, Value scale);

  Value scalar(Value value) { return kernel.scalar(value); }
  Value bitsOf(Value number) { return emit.bitcast(emit.getI32Type(), number); }
  Value numberOf(Value bits) { return emit.bitcast(emit.getF32Type(), bits); }
  Value isNaN(Value number) { return emit.compare(arith::CmpFPredicate::UNO, number, number); }

  RowFunction &kernel;
  Emitter &emit;
  QuantizeOp op;
  const Memory &values;
  int64_t k;
};

} // namespace

QuantizeKernel::Values QuantizeKernel::forEachRow(ValueRange init,
                                                  function_ref<Values(Value, ValueRange)> body) {
  Value first = emit.mul(emit.toI64(scalar(op.getTile())), tokensOfScale);
  Value end = values.rows;
  if (op.getSharedBy() != Scales::Head)
    end = emit.minSigned(end, emit.add(first, tokensOfScale));
  return emit.loop(emit.add(first, emit.toI64(kernel.thread)), end, emit.i64(rowKernelThreads),
                   init, body);
}

QuantizeKernel::Values
QuantizeKernel::forEachValue(Value row, ValueRange init,
                             function_ref<Values(Value, Value, ValueRange)> body) {
  return emit.loop(emit.i32(0), emit.i32(k), emit.i32(1), init, [&](Value number, ValueRange in) {
    return body(number, loadValue(row, number), in);
  });
}

Value QuantizeKernel::loadValue(Value row, Value number) {
  Type element = values.type.getElementType();
  Value start = kernel.address(values, scalar(op.getBatch()), scalar(op.getHead()), row);
  Value value = emit.load(element, emit.offset(start, number, element));
  return emit.make<arith::ExtFOp>(emit.getF32Type(), value);
}

Value QuantizeKernel::largestOf(Value row, Value init) {
  return forEachValue(row, init,
                      [&](Value, Value value, ValueRange in) -> Values {
                        Value magnitude = emit.bitAnd(bitsOf(value), 0x7FFFFFFF);
                        return {emit.maxSigned(in[0], magnitude)};
                      })
      .front();
}

Value QuantizeKernel::largestOfBlock(Value mine) {
  constexpr int64_t numWarps = rowKernelThreads / 32;
  Value shared = kernel.allocateShared(4 * numWarps);
  Value ofWarp = emit.reduceWarp(mine, [&](Value a, Value b) { return emit.maxSigned(a, b); });
  Type i32 = emit.getI32Type();
  emit.store(ofWarp, emit.offset(shared, kernel.warp, i32));
  emit.make<NVVM::BarrierOp>();
  Value largest;
  for (int64_t warp = 0; warp < numWarps; ++warp) {
    Value other = emit.load(i32, emit.offset(shared, 4 * warp));
    largest = largest ? emit.maxSigned(largest, other) : other;
  }
  return largest;
}

Value QuantizeKernel::scaleFor(Value largest, Value steps) {
  constexpr int64_t infinity = 0x7F800000, leastNormal = 0x00800000, nan = 0x7FC00000;
  Value scale = emit.make<arith::DivFOp>(numberOf(largest), steps);
  // Bits of positive numbers are ordered as these are.
  Value bits = emit.maxSigned(bitsOf(scale), emit.i32(leastNormal));
  scale = numberOf(bits);
  scale = emit.select(emit.equal(largest, emit.i32(0)), emit.f32(1.0f), scale);
  return emit.select(emit.less(largest, emit.i32(infinity)), scale, numberOf(emit.i32(nan)));
}

Value QuantizeKernel::searchScale(Value row, Value largest) {
  // Errors are those of values in units of the largest one, so that no square is 0.
  Value zero = emit.f32(0.0f), infinity = emit.f32(std::numeric_limits<float>::infinity());
  Value unit = emit.make<arith::DivFOp>(emit.f32(1.0f), scaleFor(largest, emit.f32(1.0f)));
  Values units;
  if (k <= mostInRegisters)
    for (int64_t number = 0; number < k; ++number)
      units.push_back(emit.mul(loadValue(row, emit.i32(number)), unit));
  auto addError = [&](Value ofValue, Value steps, Value sum) {
    Value exact = emit.mul(ofValue, steps), bias = emit.f32(integerBias);
    Value difference = emit.sub(exact, emit.sub(emit.add(exact, bias), bias));
    return emit.fma(difference, difference, sum);
  };
  auto errorOf = [&](Value steps) {
    Value sum = zero;
    for (Value ofValue : units)
      sum = addError(ofValue, steps, sum);
    if (units.empty())
      sum = forEachValue(row, sum, [&](Value, Value value, ValueRange in) -> Values {
              return {addError(emit.mul(value, unit), steps, in[0])};
            }).front();
    return emit.make<arith::DivFOp>(sum, emit.mul(steps, steps));
  };
  Value best = emit.f32(127.0f);
  Values found =
      emit.loop(emit.i32(0), emit.i32(numCandidates), emit.i32(1), {best, infinity},
                [&](Value candidate, ValueRange in) -> Values {
                  Value steps = emit.make<arith::SIToFPOp>(emit.getF32Type(),
                                                           emit.sub(emit.i32(127), candidate));
                  Value error = errorOf(steps);
                  Value isLess = emit.compare(arith::CmpFPredicate::OLT, error, in[1]);
                  return {emit.select(isLess, steps, in[0]), emit.select(isLess, error, in[1])};
                });
  return scaleFor(largest, found.front());
}

void QuantizeKernel::storeRow(Value row, Value scale) {
  const Memory &integers = kernel.memory(op.getIntegers());
  Value start = kernel.address(integers, scalar(op.getBatch()), scalar(op.getHead()), row);
  Type i8 = emit.getI8Type(), i32 = emit.getI32Type();
  forEachValue(row, {}, [&](Value number, Value value, ValueRange) {
    Value integer = emit.make<arith::FPToSIOp>(i32, round(value, scale));
    integer = emit.select(isNaN(scale), emit.i32(0), integer);
    emit.store(emit.make<arith::TruncIOp>(i8, integer), emit.offset(start, number, i8));
    return Values();
  });
}

void QuantizeKernel::storeScale(Value place, Value scale) {
  const Memory &scales = kernel.memory(op.getScales());
  emit.store(scale, kernel.address(scales, scalar(op.getBatch()), scalar(op.getHead()), place));
}

LogicalResult QuantizeKernel::run() {
  if (values.type.getElementType().getIntOrFloatBitWidth() != 16)
    return op.emitOpError() << "rounds values of " << values.type.getElementType()
                            << "; a GPU needs f16 or bf16";
  Value none = emit.i32(0);
  if (op.getSharedBy() == Scales::Token) {
    forEachRow({}, [&](Value row, ValueRange) {
      Value scale = searchScale(row, largestOf(row, none));
      storeScale(row, scale);
      storeRow(row, scale);
      return Values();
    });
    return success();
  }
  Value largest = forEachRow(none, [&](Value row, ValueRange in) -> Values {
                    return {largestOf(row, in[0])};
                  }).front();
  Value scale = scaleFor(largestOfBlock(largest), emit.f32(127.0f));
  emit.when(emit.equal(kernel.thread, emit.i32(0)),
            [&] { storeScale(emit.toI64(scalar(op.getTile())), scale); });
  forEachRow({}, [&](Value row, ValueRange) {
    storeRow(row, scale);
    return Values();
  });
  return success();
}

LogicalResult sfa::simt::lowerQuantizeKernel(RowFunction &lowering) {
  Block &body = lowering.kernel.getBody().front();
  for (Operation &op : body.without_terminator()) {
    if (auto quantize = dyn_cast<sfa::tile::QuantizeOp>(op)) {
      if (failed(QuantizeKernel(lowering, quantize).run()))
        return failure();
      continue;
    }
    if (!isa<arith::ArithDialect>(op.getDialect()))
      return op.emitOpError("is not supported in a kernel that rounds values on a GPU");
    lowering.emit.clone(op, lowering.mapping);
  }
  return success();
}
