//===- Append.cpp - New tokens go into the pages of a cache ---------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::cpu;

void KernelLowering::copyRow(Value source, ArrayRef<Value> from, Value target, ArrayRef<Value> to) {
  int64_t columns = cast<MemRefType>(source.getType()).getDimSize(3);
  int64_t whole = columns / emit.lanes * emit.lanes;
  auto at = [](ArrayRef<Value> row, Value column) {
    SmallVector<Value> place(row);
    place.push_back(column);
    return place;
  };
  emit.loop(0, whole, emit.lanes, [&](Value column) {
    emit.storeVector(emit.loadVector(source, at(from, column)), target, at(to, column));
  });
  emit.loop(whole, columns, 1, [&](Value column) {
    emit.store(emit.load(source, at(from, column)), target, at(to, column));
  });
}

void KernelLowering::lower(AppendOp op) {
  Value batch = scalar(op.getBatch()), head = scalar(op.getHead()), first = scalar(op.getRow());
  Value source = scalar(op.getSources().front());
  int64_t pageSize = cast<MemRefType>(op.getTargets().front().getType()).getDimSize(2);
  Value zero = emit.index(0), size = emit.index(pageSize);
  Value numPages = emit.dim(scalar(op.getTargets().front()), 0);
  for (Value target : op.getTargets().drop_front())
    numPages = emit.minIndex(numPages, emit.dim(scalar(target), 0));
  // A number below 0 is a large one without a sign.
  auto isBelow = [&](Value number, Value end) {
    return emit.compare(arith::CmpIPredicate::ult, number, end);
  };
  auto read = [&](Value memory, ValueRange place) -> Value {
    return emit.make<arith::IndexCastOp>(emit.getIndexType(), emit.load(memory, place));
  };

  auto copy = [&](Value row, Value page, Value token) {
    emit.when(isBelow(page, numPages), [&] {
      Value place = emit.make<arith::RemUIOp>(token, size);
      for (auto [from, to] : llvm::zip_equal(op.getSources(), op.getTargets()))
        copyRow(scalar(from), {batch, head, row}, scalar(to), {page, head, place});
    });
  };
  Value rows = validRows(source, first, static_cast<int64_t>(op.getRows()));
  emit.loop(zero, rows, 1, [&](Value number) {
    Value row = emit.add(first, number);
    if (op.getSlots()) {
      Value slot = read(scalar(op.getSlots()), row);
      copy(row, emit.make<arith::DivUIOp>(slot, size), slot);
      return;
    }
    Value table = scalar(op.getPages());
    Value length = read(scalar(op.getLengths()), batch);
    Value token = emit.add(emit.sub(length, emit.dim(source, 2)), row);
    emit.when(isBelow(token, emit.mul(emit.dim(table, 1), size)), [&] {
      Value entry = emit.make<arith::DivUIOp>(token, size);
      copy(row, read(table, {batch, entry}), token);
    });
  });
}
