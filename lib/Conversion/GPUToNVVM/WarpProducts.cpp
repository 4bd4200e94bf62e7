//===- WarpProducts.cpp - Products that are finished at once: mma.sync -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ldmatrix.h"
#include "Patterns.h"
#include "TwoFour.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

/// Chunks 2 `step` and 2 `step` + 1 of 16 rows from `firstRow` on as right operands of two products
/// of 8 columns; rows are columns of the operand.
static std::array<Value, 4> loadRight(Emitter &emit, const SharedTile &tile, Value lane,
                                      int64_t firstRow, int64_t step) {
  // Matrices: both chunks of rows 0 to 7, then of rows 8 to 15.
  Value half = emit.shiftLeft(emit.shiftRight(lane, 4), 3);
  Value row = emit.add(emit.bitAnd(lane, 7), half);
  Value chunk = emit.bitAnd(emit.shiftRight(lane, 3), 1);
  return loadMatrices(emit, matrixAddress(emit, tile, row, chunk, firstRow, 2 * step),
                      /*transpose=*/false);
}

/// Rows [16 step, 16 step + 16), chunks 2 pair and 2 pair + 1, as right operands of two products of
/// 8 columns.
static std::array<Value, 4> loadRightTransposed(Emitter &emit, const SharedTile &tile, Value lane,
                                                int64_t step, int64_t pair) {
  // Matrices: rows 0 to 7 and 8 to 15 of the first chunk, then of the second.
  Value row = emit.bitAnd(lane, 15), chunk = emit.shiftRight(lane, 4);
  return loadMatrices(emit, matrixAddress(emit, tile, row, chunk, 16 * step, 2 * pair),
                      /*transpose=*/true);
}

/// `tile` as if it began at row `first`, a multiple of 8; the tile itself where that is null.
static SharedTile rowsFrom(SharedTile tile, Value first, Emitter &emit) {
  if (first)
    tile.base = emit.offset(tile.base, emit.mul(emit.toI32(first), SharedTile::rowBytes),
                            emit.getI8Type());
  return tile;
}

/// Elements in i32 as products take them.
static Values operandsOf(Emitter &emit, ArrayRef<Value> registers, Type element) {
  Values operands;
  for (Value value : registers)
    operands.push_back(element.isF16() ? emit.bitcast(VectorType::get(2, element), value) : value);
  return operands;
}

/// The type of four numbers, which products give.
static Type getFourNumbers(Emitter &emit, Type number) {
  return LLVM::LLVMStructType::getLiteral(emit.getContext(), SmallVector<Type>(4, number));
}

static NVVM::MMATypes getKind(Type element) {
  if (element.isInteger(8))
    return NVVM::MMATypes::s8;
  return element.isBF16() ? NVVM::MMATypes::bf16 : NVVM::MMATypes::f16;
}

static void extract(Emitter &emit, Value product, MutableArrayRef<Value> acc) {
  for (int64_t i = 0; i < 4; ++i)
    acc[i] = emit.make<LLVM::ExtractValueOp>(product, i);
}

/// acc[0..4) += left right.
static void multiply(Emitter &emit, MutableArrayRef<Value> acc, ArrayRef<Value> left,
                     ArrayRef<Value> right, Type element) {
  NVVM::MMATypes kind = getKind(element);
  Values lefts = operandsOf(emit, left, element), rights = operandsOf(emit, right, element),
         sums(acc);
  bool areIntegers = element.isInteger(8);
  std::optional<NVVM::MMAIntOverflow> overflow;
  if (areIntegers)
    overflow = NVVM::MMAIntOverflow::wrapped;
  Value product = emit.make<NVVM::MmaOp>(
      getFourNumbers(emit, acc[0].getType()), ValueRange(lefts), ValueRange(rights),
      ValueRange(sums), ArrayRef<int64_t>{16, 8, areIntegers ? 32 : 16}, std::nullopt, overflow,
      std::array{kind, kind}, std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
  extract(emit, product, acc);
}

/// acc[0..4) += left right, where `left` has the 16 stored columns of a slice, and `right` the 32
/// rows.
static void multiplySparse(Emitter &emit, MutableArrayRef<Value> acc, ArrayRef<Value> left,
                           Value places, int64_t selector, ArrayRef<Value> right, Type element) {
  NVVM::MMATypes kind = getKind(element);
  Values lefts = operandsOf(emit, left, element), rights = operandsOf(emit, right, element),
         sums(acc);
  auto product = emit.make<NVVM::MmaSpOp>(
      getFourNumbers(emit, emit.getF32Type()), lefts, rights, sums, places, emit.i32(selector),
      ArrayRef<int64_t>{16, 8, 32}, std::nullopt, std::array{kind, kind});
  product.setOrderedMetadata(true);
  extract(emit, product.getRes(), acc);
}

namespace {

struct LowerDot : Lowering<DotOp> {
  using Lowering::Lowering;

  FailureOr<Results> lower(DotOp op, Adaptor adaptor, Emitter &emit) const override {
    if (isa<TwoFourType>(op.getLeft().getType()))
      return lowerSparse(op, adaptor, emit);
    SharedTile key = rowsFrom(tileAt(adaptor.getRight().front(), op.getRight().getType()),
                              op.getFirst() ? adaptor.getFirst().front() : Value(), emit);
    Type element = op.getRight().getType().getElementType();
    tile::TileType result = op.getResult().getType();
    int64_t repeats = function.repeatsOf(result.getRows()), columns = result.getColumns();
    Value zero = element.isInteger(8) ? emit.i32(0) : emit.f32(0.0f);
    Values scores(repeats * columns / 2, zero);
    MutableArrayRef<Value> elements(scores);
    for (int64_t step = 0; step < key.numSteps(); ++step) {
      SmallVector<std::array<Value, 4>> left;
      for (int64_t repeat = 0; repeat < repeats; ++repeat)
        left.push_back(leftOperand(op, adaptor.getLeft(), repeat, step, emit));
      for (int64_t row = 0; row < columns; row += 16) {
        std::array<Value, 4> right = loadRight(emit, key, function.lane, row, step);
        for (int64_t repeat = 0; repeat < repeats; ++repeat)
          for (int64_t half : {0, 1})
            multiply(emit, elements.slice(repeat * columns / 2 + (row / 8 + half) * 4, 4),
                     left[repeat], ArrayRef(right).slice(2 * half, 2), element);
      }
    }
    return Results{scores};
  }

private:
  /// Step `step` of the left operand, of block `repeat` of the rows of the warp.
  std::array<Value, 4> leftOperand(DotOp op, ValueRange left, int64_t repeat, int64_t step,
                                   Emitter &emit) const {
    if (auto operand = dyn_cast<OperandType>(op.getLeft().getType())) {
      std::array<Value, 4> registers;
      size_t first = repeat * operand.getNumRegisters() + 4 * step;
      llvm::copy(left.slice(first, 4), registers.begin());
      return registers;
    }
    SharedTile query = tileAt(left.front(), cast<SharedType>(op.getLeft().getType()));
    int64_t repeats = function.repeatsOf(query.rows);
    Value firstRow = emit.mul(function.warpOfGroup, 16 * repeats);
    return loadLeft(emit, query, function.lane, emit.add(firstRow, 16 * repeat), step);
  }

  /// The 2:4 operand, and the slices that have a surplus.
  FailureOr<Results> lowerSparse(DotOp op, Adaptor adaptor, Emitter &emit) const {
    auto type = cast<TwoFourType>(op.getLeft().getType());
    if (type.getInRegisters())
      return op.emitOpError(
          "has its 2:4 operand in registers, which mma.sync does not support yet; "
          "leave it in shared memory");
    SharedTile key = tileAt(adaptor.getRight().front(), op.getRight().getType());
    int64_t repeats = function.repeatsOf(type.getRows());
    Values scores(repeats * key.rows / 2, emit.f32(0.0f));
    TwoFour part(type, adaptor.getLeft(), function);
    for (int64_t slice = 0; slice < part.numSlices(); ++slice)
      addSlice(part, /*isSurplus=*/false, type, slice, key, scores, emit);
    if (!op.getSurplus())
      return Results{scores};
    TwoFour surplus(type, adaptor.getSurplus(), function);
    for (int64_t slice = 0; slice < part.numSlices(); ++slice) {
      Value isThere = emit.compare(arith::CmpIPredicate::ne,
                                   emit.bitAnd(surplus.slices(), int64_t(1) << slice), emit.i32(0));
      scores = emit.choose(
          isThere,
          [&] {
            Values sums = scores;
            addSlice(surplus, /*isSurplus=*/true, type, slice, key, sums, emit);
            return sums;
          },
          [&] { return scores; });
    }
    return Results{scores};
  }

  void addSlice(const TwoFour &left, bool isSurplus, TwoFourType type, int64_t slice,
                const SharedTile &key, Values &scores, Emitter &emit) const {
    int64_t repeats = function.repeatsOf(type.getRows());
    Type element = type.getElementType();
    SharedTile stored{left.base(), type.getRows(), type.getColumns()};
    Value firstRow = emit.mul(function.warpOfGroup, 16 * repeats);
    SmallVector<std::array<Value, 4>> operands;
    for (int64_t repeat = 0; repeat < repeats; ++repeat)
      operands.push_back(loadLeft(emit, stored, function.lane, emit.add(firstRow, 16 * repeat),
                                  2 * slice + isSurplus));
    MutableArrayRef<Value> elements(scores);
    for (int64_t row = 0; row < key.rows; row += 16) {
      std::array<Value, 4> low = loadRight(emit, key, function.lane, row, 2 * slice),
                           high = loadRight(emit, key, function.lane, row, 2 * slice + 1);
      for (int64_t repeat = 0; repeat < repeats; ++repeat)
        for (int64_t half : {0, 1}) {
          std::array<Value, 4> right = {low[2 * half], low[2 * half + 1], high[2 * half],
                                        high[2 * half + 1]};
          multiplySparse(emit, elements.slice(repeat * key.rows / 2 + (row / 8 + half) * 4, 4),
                         operands[repeat], left.places(repeat, slice),
                         TwoFourLayout::selector(slice), right, element);
        }
    }
  }
};

struct LowerAccumulate : Lowering<AccumulateOp> {
  using Lowering::Lowering;

  FailureOr<Results> lower(AccumulateOp op, Adaptor adaptor, Emitter &emit) const override {
    SharedTile value = rowsFrom(tileAt(adaptor.getRight().front(), op.getRight().getType()),
                                op.getFirst() ? adaptor.getFirst().front() : Value(), emit);
    Type element = op.getRight().getType().getElementType();
    int64_t columns = op.getAcc().getType().getColumns();
    int64_t rows = value.rows;
    if (auto left = dyn_cast<tile::TileType>(op.getLeft().getType()))
      rows = left.getColumns();
    int64_t repeats = function.repeatsOf(op.getAcc().getType().getRows());
    bool hasSums = columns > value.columns;
    Values acc(adaptor.getAcc());
    MutableArrayRef<Value> elements(acc);
    Value ones = hasSums ? emit.i32(element.isBF16() ? 0x3F803F80 : 0x3C003C00) : Value();
    for (int64_t step = 0; step < rows / 16; ++step) {
      SmallVector<std::array<Value, 4>> left;
      for (int64_t repeat = 0; repeat < repeats; ++repeat)
        left.push_back(leftOperand(op, adaptor.getLeft(), repeat, step, element, emit));
      for (int64_t pair = 0; pair < value.numSteps(); ++pair) {
        std::array<Value, 4> right = loadRightTransposed(emit, value, function.lane, step, pair);
        for (int64_t repeat = 0; repeat < repeats; ++repeat)
          for (int64_t half = 0; half < 2 && 8 * (2 * pair + half) < value.columns; ++half)
            multiply(emit, elements.slice(repeat * columns / 2 + (2 * pair + half) * 4, 4),
                     left[repeat], ArrayRef(right).slice(2 * half, 2), element);
      }
      if (hasSums)
        for (int64_t repeat = 0; repeat < repeats; ++repeat)
          multiply(emit, elements.slice((repeat + 1) * columns / 2 - 4, 4), left[repeat],
                   {ones, ones}, element);
    }
    return Results{acc};
  }

  /// 16 columns of the left operand from 16 `step` on, of block `repeat` of rows.
  std::array<Value, 4> leftOperand(AccumulateOp op, ValueRange registers, int64_t repeat,
                                   int64_t step, Type element, Emitter &emit) const {
    std::array<Value, 4> packed;
    if (auto operand = dyn_cast<OperandType>(op.getLeft().getType())) {
      size_t first = repeat * operand.getColumns() / 4 + 4 * step;
      for (size_t i = 0; i < 4; ++i)
        packed[i] = registers[first + i];
      return packed;
    }
    int64_t columns = cast<tile::TileType>(op.getLeft().getType()).getColumns();
    size_t first = repeat * columns / 4 + 4 * step;
    for (size_t pair = 0; pair < 4; ++pair) {
      size_t number = 2 * (first + pair);
      packed[pair] = emit.pack(registers[number], registers[number + 1], element);
    }
    return packed;
  }
};

} // namespace

void sfa::simt::populateWarpProductPatterns(RewritePatternSet &patterns, const TypeConverter &types,
                                            const FunctionContext &function) {
  patterns.add<LowerDot, LowerAccumulate>(types, patterns.getContext(), function);
}
