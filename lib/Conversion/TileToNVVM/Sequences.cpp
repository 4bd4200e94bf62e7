//===- Sequences.cpp - Tokens of several sequences, one after the other ------- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../SequenceTile/SequenceTile.h"
#include "Barriers.h"
#include "KernelLowering.h"

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::gpu;

void KernelLowering::lower(SequenceTileOp op) {
  // The same in all threads of the block.
  auto count = [&](Value offsets) { return emit.toIndex(memory(offsets).rows); };
  auto read = [&](Value offsets, Value number) {
    const Memory &source = memory(offsets);
    Type i32 = emit.getI32Type();
    Value element = emit.mul(emit.toI64(number), source.rowStride);
    return emit.toIndex(emit.load(i32, emit.offset(source.pointer, element, i32)));
  };
  mapping.map(op->getResults(),
              emitSequenceTile(emit, op, scalar(op.getTile()), scalar(op.getNumQueries()),
                               scalar(op.getNumKeys()), {count, read}));
}

void sfa::gpu::clearRows(Emitter &emit, const SharedTile &tile, Value numRows, Value thread,
                         Value barrier) {
  emit.when(emit.less(numRows, emit.i64(tile.rows)), [&] {
    constexpr int64_t threads = 128, bytesEach = 16;
    // Swizzling moves bytes within their row, so the rows are one range of each panel.
    Value first = emit.mul(emit.toI32(emit.maxSigned(numRows, emit.i64(0))), SharedTile::rowBytes);
    Value lower = emit.add(first, emit.mul(emit.rem(thread, threads), bytesEach));
    Value end = emit.i32(tile.panelBytes()), step = emit.i32(threads * bytesEach);
    auto type = VectorType::get(bytesEach / 4, emit.getI32Type());
    Value zeros = emit.make<LLVM::ConstantOp>(type, emit.getZeroAttr(type));
    emit.loop(lower, end, step, {}, [&](Value at, ValueRange) {
      for (int64_t panel = 0; panel < tile.columns / SharedTile::panelColumns; ++panel)
        emit.store(
            zeros,
            emit.offset(tile.base, emit.add(at, panel * tile.panelBytes()), emit.getI8Type()),
            bytesEach);
      return Emitter::Values();
    });
    fenceStores(emit);
    emit.make<NVVM::BarrierOp>(TypeRange(), barrier, emit.i32(threads),
                               NVVM::BarrierReductionAttr(), Value());
  });
}
