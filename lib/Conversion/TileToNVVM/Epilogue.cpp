//===- Epilogue.cpp - Results from registers to memory ------------------------ ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::gpu;

void KernelLowering::lower(StoreOp op) {
  const Memory &target = memory(op.getMemory());
  Value first = emit.toI64(scalar(op.getRow()));
  Value head = scalar(op.getHead());
  if (Value number = warpRows(op.getHeads()).head)
    head = emit.add(head, emit.toIndex(number));
  Value base = address(target, scalar(op.getBatch()), head, first);
  Value left = rowsLeft(target, first, op.getLimit());
  Type element = target.type.getElementType();
  auto tile = cast<TileType>(op.getTile().getType());

  auto forEachRow = [&](function_ref<void(size_t, Value)> body) {
    for (size_t number = 0; number < 2 * static_cast<size_t>(geometry.repeats); ++number) {
      Value row = emit.toI64(rowInTile(number, op.getHeads()));
      emit.when(emit.less(row, left),
                [&] { body(number, emit.offset(base, emit.mul(row, target.rowStride), element)); });
    }
  };
  if (tile.isRowVector()) {
    RowVector rows = gather(rowVectors.at(op.getTile()));
    emit.when(emit.equal(t, emit.i32(0)), [&] {
      forEachRow([&](size_t number, Value row) { emit.store(rows.elements[number], row); });
    });
    return;
  }
  const Fragment &fragment = fragments.at(op.getTile());
  forEachRow([&](size_t number, Value row) {
    Value pairs = emit.offset(row, emit.mul(t, 2), element);
    auto store = [&](Value low, Value high, Value address) {
      if (!element.isF32())
        return emit.store(emit.pack(low, high, element), address);
      Value pair = emit.make<LLVM::PoisonOp>(VectorType::get(2, element));
      pair = emit.make<LLVM::InsertElementOp>(pair, low, emit.i32(0));
      emit.store(emit.make<LLVM::InsertElementOp>(pair, high, emit.i32(1)), address);
    };
    int64_t bytes = element.getIntOrFloatBitWidth() / 8;
    for (size_t i = 0; i < fragment.elements.size(); i += 2) {
      if (fragment.rowOf(i) != number)
        continue;
      auto column = static_cast<int64_t>(i % (fragment.columns / 2) / 4 * 8);
      store(fragment.elements[i], fragment.elements[i + 1], emit.offset(pairs, bytes * column));
    }
  });
}
