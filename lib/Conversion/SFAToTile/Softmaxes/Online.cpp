//===- Online.cpp - The online softmax: references follow the maxima ------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The state of a row is its maximum so far and the sum of its probabilities. Where a tile raises
// the maximum, the sum and the accumulator are scaled.
//
//===----------------------------------------------------------------------===//

#include "Softmax.h"
#include <limits>

using namespace mlir;
using namespace sfa::tile;

namespace {
class Online : public SoftmaxForm {
public:
  using SoftmaxForm::SoftmaxForm;

  Values initialize() const override {
    constexpr float unset = -std::numeric_limits<float>::infinity();
    return {context.fill(0.0f, context.outputType), context.fill(unset, context.rowType()),
            context.fill(0.0f, context.partialType())};
  }

  Values probabilities(Value scores, ValueRange state, Value) const override {
    Value max = state[0], sum = state[1];
    Value raised = context.create<RowMaxOp>(context.rowType(), scores, max);
    Value probabilities = power(scores, raised), factors = power(max, raised);
    Value partial = context.create<RowSumOp>(context.partialType(), probabilities);
    Value total = context.create<FmaOp>(context.partialType(), sum, factors, partial);
    return {probabilities, raised, total, factors};
  }

  Values accumulate(Value acc, Value probabilities, Value values, ValueRange state,
                    ValueRange extras) const override {
    Value scaled = context.create<ScaleRowsOp>(context.outputType, acc, extras[0],
                                               /*mostlyOnes=*/true);
    return {context.create<AccumulateOp>(context.outputType, scaled, probabilities, values),
            state[0], state[1]};
  }

  Value lse(ValueRange results) const override {
    return context.create<LseOp>(context.rowType(), results[1], total(results), context.lseScale,
                                 /*raise=*/FloatAttr());
  }

  Value output(ValueRange results) const override {
    return context.create<NormalizeOp>(context.outputType, results[0], total(results));
  }

private:
  Value total(ValueRange results) const {
    return context.create<TotalOp>(context.rowType(), results[2]);
  }
  Value power(Value tile, Value reference) const {
    // f16 tells 1 from the neighbour of 1 that a rounded product of thousands gives: there the
    // difference comes first, and the largest probability is 1.
    return context.create<Exp2Op>(cast<TileType>(tile.getType()).withoutFactors(), tile, reference,
                                  context.exponent, context.attribute(0.0f),
                                  context.valueType.isF16() ? context.builder.getUnitAttr()
                                                            : UnitAttr());
  }
};
} // namespace

std::unique_ptr<SoftmaxForm> sfa::tile::createOnlineSoftmax(const SoftmaxContext &context) {
  return std::make_unique<Online>(context);
}
