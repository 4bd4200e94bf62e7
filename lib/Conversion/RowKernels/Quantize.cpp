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

#include "Rounding.h"

using namespace mlir;
using namespace sfa::simt;
using sfa::Scales, sfa::tokensOfScale;
using QuantizeOp = sfa::tile::QuantizeOp;

namespace {

class QuantizeKernel {
public:
  using Values = Emitter::Values;

  QuantizeKernel(RowFunction &kernel, QuantizeOp op)
      : kernel(kernel), emit(kernel.emit), rounding(kernel), op(op),
        values(kernel.memory(op.getValues())), k(values.type.getDimSize(3)) {}

  LogicalResult run();

private:
  /// For how many values of a token the scale is searched in registers.
  static constexpr int64_t mostInRegisters = 32;

  /// Calls `body` for the rows of the thread (i64) with what it has returned for the one before.
  Values forEachRow(ValueRange init, function_ref<Values(Value, ValueRange)> body);
  /// The same for the values of a row, f32, and their number (i32).
  Values forEachValue(Value row, ValueRange init,
                      function_ref<Values(Value, Value, ValueRange)> body);
  /// Value `number` (i32) of a row, f32.
  Value loadValue(Value row, Value number);
  /// The bits of the largest magnitude of a row and of `init`.
  Value largestOf(Value row, Value init);
  /// The scale of a row of its own.
  Value searchScale(Value row);
  void storeRow(Value row, Value scale);
  /// Writes the scale number `place` (i64) of the head.
  void storeScale(Value place, Value scale);

  Value scalar(Value value) { return kernel.scalar(value); }

  RowFunction &kernel;
  Emitter &emit;
  Rounding rounding;
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
                        return {rounding.larger(in[0], value)};
                      })
      .front();
}

Value QuantizeKernel::searchScale(Value row) {
  Value largest = largestOf(row, emit.i32(0)), zero = emit.f32(0.0f);
  Values inRegisters;
  if (k <= mostInRegisters)
    for (int64_t number = 0; number < k; ++number)
      inRegisters.push_back(loadValue(row, emit.i32(number)));
  return rounding.searchScale(largest, [&](Rounding::AddError add) {
    if (inRegisters.empty())
      return forEachValue(
                 row, zero,
                 [&](Value, Value value, ValueRange in) -> Values { return {add(value, in[0])}; })
          .front();
    Value sum = zero;
    for (Value value : inRegisters)
      sum = add(value, sum);
    return sum;
  });
}

void QuantizeKernel::storeRow(Value row, Value scale) {
  const Memory &integers = kernel.memory(op.getIntegers());
  Value start = kernel.address(integers, scalar(op.getBatch()), scalar(op.getHead()), row);
  Type i8 = emit.getI8Type();
  forEachValue(row, {}, [&](Value number, Value value, ValueRange) {
    emit.store(rounding.round(value, scale), emit.offset(start, number, i8));
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
  if (op.getSharedBy() == Scales::Token) {
    forEachRow({}, [&](Value row, ValueRange) {
      Value scale = searchScale(row);
      storeScale(row, scale);
      storeRow(row, scale);
      return Values();
    });
    return success();
  }
  Value largest = forEachRow(emit.i32(0), [&](Value row, ValueRange in) -> Values {
                    return {largestOf(row, in[0])};
                  }).front();
  Value scale = rounding.scaleFor(rounding.largestOfBlock(largest));
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
