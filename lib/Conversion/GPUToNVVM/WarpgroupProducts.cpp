//===- WarpgroupProducts.cpp - Products under way: wgmma -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ldmatrix.h"
#include "Patterns.h"
#include "TwoFour.h"
#include "Wgmma.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

namespace {

struct LowerIssueDot : Lowering<IssueDotOp> {
  using Lowering::Lowering;

  FailureOr<Results> lower(IssueDotOp op, Adaptor adaptor, Emitter &emit) const override {
    SharedTile key = tileAt(adaptor.getRight().front(), op.getRight().getType());
    Type element = op.getRight().getType().getElementType();
    if (isa<TwoFourType>(op.getLeft().getType()))
      return lowerSparse(op, adaptor, key, emit);
    bool isInRegisters = isa<OperandType>(op.getLeft().getType());
    ValueRange left = adaptor.getLeft();
    Value leftDescriptor, right = describeRows(emit, key);
    SharedTile query{};
    if (!isInRegisters) {
      query = tileAt(left.front(), cast<SharedType>(op.getLeft().getType()));
      leftDescriptor = describeRows(emit, query, emit.mul(function.consumer(emit), 64));
      // One register in the loop, not one for each step.
      pin(emit, leftDescriptor);
    }
    Values scores(adaptor.getReuse());
    if (!op.getReuse())
      scores.assign(key.rows / 2, emit.f32(0.0f));
    if (element.isInteger(8))
      for (Value &score : scores)
        score = emit.bitcast(emit.getI32Type(), score);
    emitWgmmaFence(emit);
    for (int64_t step = 0; step < key.numSteps(); ++step) {
      // Four steps of 32 bytes in a panel.
      auto offset = [&](const SharedTile &tile) {
        return step / 4 * tile.panelBytes() + step % 4 * 32;
      };
      Values operands = isInRegisters ? Values(left.slice(4 * step, 4))
                                      : Values{advance(emit, leftDescriptor, offset(query))};
      emitWgmma(emit, scores, operands, advance(emit, right, offset(key)), element,
                /*accumulates=*/step > 0, /*rightIsTransposed=*/false);
    }
    emitWgmmaCommit(emit);
    return Results{scores};
  }

  /// The 2:4 operand, and the slices that have a surplus.
  FailureOr<Results> lowerSparse(IssueDotOp op, Adaptor adaptor, const SharedTile &key,
                                 Emitter &emit) const {
    Type element = op.getRight().getType().getElementType();
    auto partType = cast<TwoFourType>(op.getLeft().getType());
    TwoFour part(partType, adaptor.getLeft(), function);
    Value right = describeRows(emit, key);
    Values scores(adaptor.getReuse());
    if (!op.getReuse())
      scores.assign(key.rows / 2, emit.f32(0.0f));
    // Two slices of 64 bytes in a panel.
    auto offset = [](const SharedTile &tile, int64_t slice) {
      return slice / 2 * tile.panelBytes() + slice % 2 * TwoFourLayout::sliceBytes;
    };
    SharedTile rows{Value(), partType.getRows(), partType.getColumns()};
    auto multiply = [&](const TwoFour &left, Value stored, int64_t slice, Value condition) {
      Values operands;
      if (left.isInRegisters())
        llvm::append_range(operands, left.elements(/*repeat=*/0, slice));
      else
        operands.push_back(advance(
            emit, stored, offset(rows, slice) + (condition ? TwoFourLayout::partBytes : 0)));
      Value keys = advance(emit, right, offset(key, slice));
      bool accumulates = slice > 0 || condition;
      emitSparseWgmma(emit, scores, operands, left.places(0, slice), TwoFourLayout::selector(slice),
                      keys, element, accumulates, condition);
    };
    auto describe = [&](const TwoFour &left) -> Value {
      if (left.isInRegisters())
        return {};
      SharedTile tile{left.base(), partType.getRows(), partType.getColumns()};
      Value descriptor = describeRows(emit, tile, emit.mul(function.consumer(emit), 64));
      pin(emit, descriptor);
      return descriptor;
    };
    Value stored = describe(part);
    std::optional<TwoFour> surplus;
    Value storedSurplus;
    if (op.getSurplus()) {
      surplus.emplace(op.getSurplus().getType(), adaptor.getSurplus(), function);
      storedSurplus = describe(*surplus);
    }
    emitWgmmaFence(emit);
    for (int64_t slice = 0; slice < part.numSlices(); ++slice)
      multiply(part, stored, slice, Value());
    if (surplus) {
      for (int64_t slice = 0; slice < part.numSlices(); ++slice)
        multiply(*surplus, storedSurplus, slice,
                 emit.bitAnd(surplus->slices(), int64_t(1) << slice));
      emitWgmmaFence(emit);
    }
    emitWgmmaCommit(emit);
    return Results{scores};
  }
};

struct LowerIssueAccumulate : Lowering<IssueAccumulateOp> {
  using Lowering::Lowering;

  FailureOr<Results> lower(IssueAccumulateOp op, Adaptor adaptor, Emitter &emit) const override {
    SharedTile value = tileAt(adaptor.getRight().front(), op.getRight().getType());
    Type element = op.getRight().getType().getElementType();
    Values acc(adaptor.getAcc());
    ValueRange left = adaptor.getLeft();
    Value right = describeColumns(emit, value);
    emitWgmmaFence(emit);
    // A product has 256 columns at most: more than that are two halves, the first of full panels.
    // Columns of row sums are in a panel of their own, which follows the last column only where
    // that ends a panel.
    constexpr int64_t maxColumns = 256;
    int64_t columns = op.getAcc().getType().getColumns();
    bool isWhole = value.columns % SharedTile::panelColumns == 0;
    int64_t firstColumns = columns;
    if (!isWhole)
      firstColumns = value.columns;
    else if (columns > maxColumns)
      firstColumns = value.columns / 2;
    MutableArrayRef<Value> first = MutableArrayRef(acc).take_front(firstColumns / 2),
                           second = MutableArrayRef(acc).drop_front(firstColumns / 2);
    int64_t secondPanels =
        llvm::divideCeil(firstColumns, SharedTile::panelColumns) * value.panelBytes();
    for (int64_t step = 0; step < value.rows / 16; ++step) {
      Values operands(left.slice(4 * step, 4));
      int64_t offset = step * 16 * SharedTile::rowBytes;
      auto multiply = [&](MutableArrayRef<Value> sums, int64_t bytes) {
        emitWgmma(emit, sums, operands, advance(emit, right, bytes), element,
                  /*accumulates=*/true, /*rightIsTransposed=*/true);
      };
      multiply(first, offset);
      if (!second.empty())
        multiply(second, secondPanels + offset);
    }
    emitWgmmaCommit(emit);
    return Results{acc};
  }
};

struct LowerSettled : Lowering<SettledOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(SettledOp, Adaptor adaptor, Emitter &) const override {
    return Results{Values(adaptor.getTile())};
  }
};

struct LowerWait : Lowering<WaitOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(WaitOp op, Adaptor adaptor, Emitter &emit) const override {
    Values registers;
    for (ValueRange product : adaptor.getProducts())
      llvm::append_range(registers, product);
    emitWgmmaWait(emit, static_cast<unsigned>(op.getPending()), registers);
    Results results;
    ArrayRef<Value> rest = registers;
    for (ValueRange product : adaptor.getProducts()) {
      results.emplace_back(rest.take_front(product.size()));
      rest = rest.drop_front(product.size());
    }
    return results;
  }
};

struct LowerKeep : Lowering<KeepOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(KeepOp op, Adaptor adaptor, Emitter &emit) const override {
    Values registers;
    for (auto [operand, type] : llvm::zip_equal(adaptor.getOperands(), op.getOperandTypes())) {
      auto sparse = dyn_cast<TwoFourType>(type);
      llvm::append_range(registers, sparse ? TwoFour(sparse, operand, function).kept() : operand);
    }
    // Four at once are read.
    while (registers.size() % 4 != 0)
      registers.push_back(registers.back());
    keepUntilHere(emit, registers, function.always, function.barriers);
    return Results{};
  }
};

struct LowerPack : Lowering<PackOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(PackOp op, Adaptor adaptor, Emitter &emit) const override {
    Values packed;
    ValueRange elements = adaptor.getTile();
    for (size_t i = 0; i < elements.size(); i += 2)
      packed.push_back(
          emit.pack(elements[i], elements[i + 1], op.getResult().getType().getElementType()));
    pin(emit, packed);
    return Results{packed};
  }
};

struct LowerLoadOperand : Lowering<LoadOperandOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(LoadOperandOp op, Adaptor adaptor, Emitter &emit) const override {
    SharedTile tile = tileAt(adaptor.getTile().front(), op.getTile().getType());
    Values operand;
    for (int64_t step = 0; step < tile.numSteps(); ++step)
      llvm::append_range(operand,
                         loadLeft(emit, tile, function.lane, emit.mul(function.warpOfGroup, 16), step));
    pin(emit, operand);
    return Results{operand};
  }
};

struct LowerNoOperand : Lowering<NoOperandOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(NoOperandOp op, Adaptor, Emitter &emit) const override {
    OperandType type = op.getResult().getType();
    int64_t count = function.repeatsOf(type.getRows()) * type.getNumRegisters();
    return Results{Values(count, emit.i32(0))};
  }
};

} // namespace

void sfa::simt::populateProductPatterns(RewritePatternSet &patterns, const TypeConverter &types,
                                        const FunctionContext &function) {
  patterns.add<LowerIssueDot, LowerIssueAccumulate, LowerSettled, LowerWait, LowerKeep, LowerPack,
               LowerLoadOperand, LowerNoOperand>(types, patterns.getContext(), function);
}
