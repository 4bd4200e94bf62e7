//===- Sequences.cpp - Tokens of several sequences, one after the other ---===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../SequenceTile/SequenceTile.h"
#include "../SequenceTile/SplitRange.h"
#include "KernelLowering.h"

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::cpu;

void KernelLowering::lower(SequenceTileOp op) {
  auto count = [&](Value memory) { return emit.dim(scalar(memory), 0); };
  auto read = [&](Value memory, Value number) -> Value {
    return emit.make<arith::IndexCastOp>(emit.getIndexType(), emit.load(scalar(memory), number));
  };
  mapping.map(op->getResults(),
              emitSequenceTile(emit, op, scalar(op.getTile()), scalar(op.getNumQueries()),
                               scalar(op.getNumKeys()), {count, read}));
}

Value KernelLowering::lengthOf(Value lengths, Value sequence, Value limit) {
  Value length = emit.make<arith::IndexCastOp>(emit.getIndexType(), emit.load(lengths, sequence));
  return emit.minIndex(emit.maxIndex(length, emit.index(0)), limit);
}

void KernelLowering::lower(SplitRangeOp op) {
  Value length =
      lengthOf(scalar(op.getLengths()), scalar(op.getSequence()), scalar(op.getLimit()));
  SplitRange range =
      emitSplitRange(emit, length, scalar(op.getSplit()), static_cast<int64_t>(op.getBlocks()));
  mapping.map(op->getResults(), ValueRange{length, range.first, range.count});
}
