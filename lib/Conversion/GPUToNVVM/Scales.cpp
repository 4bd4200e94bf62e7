//===- Scales.cpp - Scales of 8-bit integers -----------------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"
#include "StoredScales.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

namespace {

/// Of queries: those of the rows of the lane.
struct LowerLoadRowScales : Lowering<tile::LoadScalesOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(tile::LoadScalesOp op, Adaptor adaptor, Emitter &emit) const override {
    Memory memory(op.getMemory().getType(), adaptor.getMemory());
    StoredScales stored(emit, memory, adaptor.getBatch().front(), adaptor.getHead().front(),
                        op.getSharedBy());
    int64_t rows = op.getScales().getType().getRows(), heads = static_cast<int64_t>(op.getHeads());
    Value first = emit.toI64(adaptor.getRow().front());
    Values scales;
    for (int64_t number = 0; number < 2 * function.repeatsOf(rows); ++number) {
      auto [head, row] = function.rowOfLane(emit, function.place->g, number, rows, heads);
      // Rows behind those of the last head are those of any.
      if (head && ScheduleAttr::rowsOfHead(rows, heads) * heads < rows)
        head = emit.minSigned(head, emit.i32(heads - 1));
      scales.push_back(stored.at(emit.add(first, emit.toI64(row)), head));
    }
    return Results{scales};
  }
};

/// Of keys: two; all of those that columns have together; or those of the columns of the lane.
struct LowerLoadScales : Lowering<LoadScalesOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(LoadScalesOp op, Adaptor adaptor, Emitter &emit) const override {
    Memory memory(op.getMemory().getType(), adaptor.getMemory());
    Value batch = adaptor.getBatch().front(), head = adaptor.getHead().front();
    StoredScales stored(emit, memory, batch, head, op.getSharedBy());
    Value first = emit.toI64(adaptor.getRow().front());
    ColumnsType columns = op.getScales().getType();
    int64_t size = columns.getSize();
    if (columns.getTogether() == 1)
      return Results{loadEach(op, emit, memory, stored, batch, head, first)};
    // A tile has keys of two scales at most.
    Values scales{stored.at(first)};
    if (columns.getTogether() == size)
      return Results{scales};
    Value last = stored.at(emit.add(first, size - 1));
    Value left = emit.toI32(emit.sub(emit.i64(tokensOfScale), emit.rem(first, tokensOfScale)));
    if (columns.isTwo())
      return Results{{scales.front(), last, left}};
    for (int64_t column = columns.getTogether(); column < size; column += columns.getTogether())
      scales.push_back(emit.select(emit.less(emit.i32(column), left), scales.front(), last));
    return Results{scales};
  }

private:
  Values loadEach(LoadScalesOp op, Emitter &emit, const Memory &memory, const StoredScales &stored,
                  Value batch, Value head, Value first) const {
    int64_t size = op.getScales().getType().getSize();
    Value mine = emit.add(first, emit.toI64(firstColumn(Emitted(emit, function.place->t))));
    auto forEach = [&](function_ref<Value(int64_t)> scaleOf) {
      Values scales;
      for (int64_t column = 0; column < size; column += 8)
        for (int64_t next : {0, 1})
          scales.push_back(scaleOf(column + next));
      return scales;
    };
    auto oneByOne = [&] {
      return forEach([&](int64_t column) { return stored.at(emit.add(mine, column)); });
    };
    // Rows of the memory are keys only where each key has a scale.
    if (op.getSharedBy() != Scales::Token)
      return oneByOne();
    // Addresses that differ by constants, where the rows are side by side and all there.
    Value isWhole = emit.compare(arith::CmpIPredicate::sle, emit.add(first, size), memory.rows);
    isWhole = emit.bitAnd(isWhole, emit.equal(memory.rowStride, emit.i64(1)));
    return emit.choose(
        isWhole,
        [&] {
          Value start = memory.address(emit, batch, head, mine);
          return forEach([&](int64_t column) {
            return emit.load(emit.getF32Type(), emit.offset(start, 4 * column));
          });
        },
        oneByOne);
  }
};

struct LowerPrefetchScales : Lowering<PrefetchScalesOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(PrefetchScalesOp op, Adaptor adaptor, Emitter &emit) const override {
    Memory memory(op.getMemory().getType(), adaptor.getMemory());
    // The lanes of a warp ask for every few of them; what is behind the end is not there.
    auto columns = static_cast<int64_t>(op.getColumns());
    Value mine = emit.mul(function.lane, static_cast<int64_t>(llvm::divideCeil(columns, 32)));
    Value row = emit.add(emit.toI64(adaptor.getRow().front()), emit.toI64(mine));
    row = emit.minSigned(row, emit.sub(memory.rows, 1));
    Value address =
        memory.address(emit, adaptor.getBatch().front(), adaptor.getHead().front(), row);
    // The NVPTX backend has this instruction for sm_90 and later only; there it is from sm_20 on
    // (PTX ISA, "prefetch").
    emit.make<LLVM::InlineAsmOp>(
        TypeRange(), address, "prefetch.global.L1 [$0];", "l", /*has_side_effects=*/true,
        /*is_align_stack=*/false, LLVM::TailCallKind::None,
        LLVM::AsmDialectAttr::get(emit.getContext(), LLVM::AsmDialect::AD_ATT), ArrayAttr());
    return Results{};
  }
};

struct LowerDequantize : Lowering<DequantizeOp> {
  using Lowering::Lowering;
  FailureOr<Results> lower(DequantizeOp op, Adaptor adaptor, Emitter &emit) const override {
    ValueRange keys = adaptor.getKeys();
    ColumnsType type = op.getKeys().getType();
    Values registers;
    if (!type.differ()) {
      llvm::append_range(registers, adaptor.getProduct());
      for (Value row : adaptor.getRows())
        for (Value scale : keys)
          registers.push_back(emit.mul(row, scale));
      return Results{registers};
    }
    int64_t columns = op.getProduct().getType().getColumns();
    Values scales(keys);
    if (type.isTwo()) {
      scales.clear();
      Value left = emit.sub(keys[2], firstColumn(Emitted(emit, function.place->t)));
      for (int64_t column = 0; column < columns; column += 8)
        for (int64_t next : {0, 1})
          scales.push_back(emit.select(emit.less(emit.i32(column + next), left), keys[0], keys[1]));
    }
    for (auto [i, integer] : llvm::enumerate(adaptor.getProduct())) {
      // Of 4 elements two are of each row, in the same columns.
      Value number = emit.make<arith::SIToFPOp>(emit.getF32Type(), integer);
      registers.push_back(emit.mul(number, scales[i % (columns / 2) / 4 * 2 + i % 2]));
    }
    llvm::append_range(registers, adaptor.getRows());
    return Results{registers};
  }
};

} // namespace

void sfa::simt::populateScalePatterns(RewritePatternSet &patterns, const TypeConverter &types,
                                      const FunctionContext &function) {
  patterns.add<LowerLoadRowScales, LowerLoadScales, LowerPrefetchScales, LowerDequantize>(
      types, patterns.getContext(), function);
}
