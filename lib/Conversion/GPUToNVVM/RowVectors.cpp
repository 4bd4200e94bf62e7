//===- RowVectors.cpp - Arithmetic on one number for each row -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

namespace {

Value combine(tile::FmaOp, Emitter &emit, ArrayRef<Value> in) {
  return emit.fma(in[0], in[1], in[2]);
}
Value combine(tile::AddOp, Emitter &emit, ArrayRef<Value> in) { return emit.add(in[0], in[1]); }
Value combine(tile::MulOp, Emitter &emit, ArrayRef<Value> in) { return emit.mul(in[0], in[1]); }

/// The same combination of the operands' numbers for each row, or for each part.
template <class Op>
struct LowerByRow : Lowering<Op> {
  using Lowering<Op>::Lowering;
  FailureOr<Results> lower(Op op, typename Lowering<Op>::Adaptor adaptor,
                           Emitter &emit) const override {
    Values result;
    ArrayRef<ValueRange> operands = adaptor.getOperands();
    for (size_t row = 0; row < operands.front().size(); ++row)
      result.push_back(combine(op, emit, llvm::map_to_vector(operands, [&](ValueRange operand) {
                                 return Value(operand[row]);
                               })));
    return Results{result};
  }
};

struct LowerTotal : Lowering<tile::TotalOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(tile::TotalOp, Adaptor adaptor, Emitter &emit) const override {
    Values whole;
    for (Value part : adaptor.getParts()) {
      Value pair = emit.add(part, emit.shuffleXor(part, 1));
      whole.push_back(emit.add(pair, emit.shuffleXor(pair, 2)));
    }
    return Results{whole};
  }
};

struct LowerAny : Lowering<tile::AnyOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(tile::AnyOp, Adaptor adaptor, Emitter &emit) const override {
    Value some;
    for (Value flag : adaptor.getFlags())
      some = some ? emit.bitOr(some, flag) : flag;
    // A ballot also tells the assembler that the result is the same in all lanes.
    return Results{{matchPattern(some, m_Constant()) ? some : emit.any(some)}};
  }
};

/// A selection of tiles: `arith.select` is of single registers behind this conversion.
struct LowerSelect : OpConversionPattern<arith::SelectOp> {
  LowerSelect(const TypeConverter &types, MLIRContext *context, const FunctionContext &)
      : OpConversionPattern(types, context) {}
  LogicalResult matchAndRewrite(arith::SelectOp op, OneToNOpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Emitter emit(op.getLoc(), rewriter);
    Values chosen;
    for (auto [first, second] : llvm::zip_equal(adaptor.getTrueValue(), adaptor.getFalseValue()))
      chosen.push_back(emit.select(adaptor.getCondition().front(), first, second));
    rewriter.replaceOpWithMultiple(op, SmallVector<Values, 1>{chosen});
    return success();
  }
};

/// The program of a row, once for each row of the lane.
struct LowerMapRows : Lowering<tile::MapRowsOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(tile::MapRowsOp op, Adaptor adaptor, Emitter &emit) const override {
    Block &body = op.getBody().front();
    SmallVector<ValueRange> inputs(adaptor.getInputs());
    Results results(op.getNumResults());
    size_t numRows = inputs.empty() ? 0 : inputs.front().size();
    for (size_t row = 0; row < numRows; ++row) {
      IRMapping mapping;
      for (auto [argument, input] : llvm::zip_equal(body.getArguments(), inputs))
        mapping.map(argument, input[row]);
      for (Operation &scalar : body.without_terminator())
        lowerScalar(scalar, mapping, emit);
      for (auto [result, value] : llvm::zip_equal(results, body.getTerminator()->getOperands()))
        result.push_back(mapping.lookupOrDefault(value));
    }
    return results;
  }

  static void lowerScalar(Operation &op, IRMapping &mapping, Emitter &emit) {
    auto in = [&](unsigned number) { return mapping.lookupOrDefault(op.getOperand(number)); };
    Value result =
        TypeSwitch<Operation *, Value>(&op)
            .Case([&](math::Exp2Op) { return emit.exp2(in(0)); })
            .Case([&](math::Log2Op) { return emit.log2(in(0)); })
            .Case([&](math::FmaOp) { return emit.fma(in(0), in(1), in(2)); })
            .Case([&](arith::MaxNumFOp) { return emit.max(in(0), in(1)); })
            .Default([&](Operation *other) { return emit.clone(*other, mapping)->getResult(0); });
    mapping.map(op.getResult(0), result);
  }
};

} // namespace

void sfa::simt::populateRowPatterns(RewritePatternSet &patterns, const TypeConverter &types,
                                    const FunctionContext &function) {
  patterns.add<LowerByRow<tile::FmaOp>, LowerByRow<tile::AddOp>, LowerByRow<tile::MulOp>,
               LowerTotal, LowerAny, LowerSelect, LowerMapRows>(types, patterns.getContext(),
                                                                function);
}
