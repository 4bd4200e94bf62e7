//===- Copies.cpp - Tiles between memory and shared memory -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Barriers.h"
#include "Patterns.h"
#include "Wgmma.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

/// A column of a SharedTile has 16 bits.
static int64_t elementsOfColumn(Type element) { return 16 / element.getIntOrFloatBitWidth(); }

/// Where the tile of keys with first key `row` is in memory, in one piece, which becomes `tile`.
static Value addressOfTile(Emitter &emit, const Memory &memory, Value batch, Value head, Value row,
                           SharedType tile) {
  // Those who copy have few registers: keys have 32 bits on a GPU, and the stride of rows is known.
  Value number = emit.div(emit.toI32(row), tile.getRows());
  Value bytes = emit.mul(emit.toI64(number), tile.getBytes());
  return emit.offset(memory.address(emit, batch, head, emit.i32(0)), bytes, emit.getI8Type());
}

namespace {

struct LowerCopy : Lowering<CopyOp> {
  using Lowering::Lowering;

  FailureOr<Results> lower(CopyOp op, Adaptor adaptor, Emitter &emit) const override {
    Ring ring = adaptor.getRing();
    Value stage = adaptor.getPosition().front();
    SharedType type = op.getRing().getType().getTile();
    SharedTile tile =
        tileAt(emit.offset(ring.base, emit.mul(stage, ring.stageBytes), emit.getI8Type()), type);
    auto tileRows = static_cast<int64_t>(op.getCount().value_or(tile.rows));
    Value firstRow = op.getFirst() ? emit.toI32(adaptor.getFirst().front()) : emit.i32(0);
    Value barrier = BarrierArray(emit, function.barriers).at(emit.add(stage, ring.firstFull));
    // One register from one point to the next, not one for each panel.
    auto pinBase = [&]() -> Value {
      Value base = emit.make<LLVM::PtrToIntOp>(emit.getI32Type(), tile.base);
      pin(emit, base);
      return emit.make<LLVM::IntToPtrOp>(tile.base.getType(), base);
    };
    Type clusterPointer = LLVM::LLVMPointerType::get(emit.getContext(), 7);
    // What createpolicy.fractional.L2::evict_first gives for all of an access.
    constexpr int64_t evictFirst = 0x12F0000000000000;
    Value policy = op.getEvictFirst() ? emit.i64(evictFirst) : Value();
    if (type.getForm() == TileForm::Linear) {
      Memory memory(op.getMemory().getType(), adaptor.getMemory());
      int64_t rowBytes = type.getBytes() / type.getRows();
      Value source = memory.address(emit, adaptor.getBatch().front(), adaptor.getHead().front(),
                                    adaptor.getRow().front());
      arriveExpecting(emit, barrier, tileRows * rowBytes);
      Value target = emit.offset(tile.base, emit.mul(firstRow, rowBytes), emit.getI8Type());
      emit.make<NVVM::CpAsyncBulkGlobalToSharedClusterOp>(
          emit.make<LLVM::AddrSpaceCastOp>(clusterPointer, target).getResult(), source, barrier,
          emit.i32(tileRows * rowBytes), /*multicastMask=*/Value(), policy);
      return Results{};
    }
    if (type.isOnePiece()) {
      Memory memory(op.getMemory().getType(), adaptor.getMemory());
      Value source = addressOfTile(emit, memory, adaptor.getBatch().front(),
                                   adaptor.getHead().front(), adaptor.getRow().front(), type);
      Value base = pinBase();
      arriveExpecting(emit, barrier, type.getBytes());
      emit.make<NVVM::CpAsyncBulkGlobalToSharedClusterOp>(
          emit.make<LLVM::AddrSpaceCastOp>(clusterPointer, base).getResult(), source, barrier,
          emit.i32(type.getBytes()), /*multicastMask=*/Value(), /*l2CacheHint=*/Value());
      return Results{};
    }
    // A box has the rows of one head after those of another. Rows that are left over are those of
    // the next heads, or 0.
    int64_t rows = ScheduleAttr::rowsOfHead(tileRows, static_cast<int64_t>(op.getHeads()));
    Value map = findMap(adaptor.getMemory().front(), rows, tileRows / rows);
    if (!map)
      return op.emitOpError("has no tensor map; run sfa-gpu-allocate before");
    Value row = emit.toI32(adaptor.getRow().front()), head = emit.toI32(adaptor.getHead().front()),
          batch = emit.toI32(adaptor.getBatch().front());
    Value base = pinBase();
    if (op.getFirst())
      base = emit.offset(base, emit.mul(firstRow, SharedTile::rowBytes), emit.getI8Type());
    arriveExpecting(emit, barrier, tile.numPanels() * tileRows * SharedTile::rowBytes);
    int64_t elements = elementsOfColumn(type.getElementType());
    for (int64_t column = 0; column < tile.columns; column += SharedTile::panelColumns) {
      Value panel = emit.offset(base, column / SharedTile::panelColumns * tile.panelBytes());
      emit.make<NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp>(
          emit.make<LLVM::AddrSpaceCastOp>(clusterPointer, panel).getResult(), map,
          ValueRange{emit.i32(column * elements), row, head, batch}, barrier, ValueRange(), Value(),
          policy, NVVM::TMALoadMode::TILE, /*isCTAOnly=*/false, NVVM::CTAGroupKindAttr(), Value());
    }
    return Results{};
  }

  Value findMap(Value pointer, int64_t rows, int64_t heads) const {
    int64_t number = FunctionContext::numberOf(pointer);
    for (const FunctionContext::TensorMapParameter &map : function.tensorMaps)
      if (map.memory == number && map.rows == rows && map.heads == heads)
        return map.parameter;
    return {};
  }
};

struct LowerCopyByThreads : Lowering<CopyByThreadsOp> {
  using Lowering::Lowering;

  FailureOr<Results> lower(CopyByThreadsOp op, Adaptor adaptor, Emitter &emit) const override {
    if (op.getTile().getType().isOnePiece())
      return copyPiece(op, adaptor, emit);
    if (op.getCount())
      return copyRowsOfWarp(op, adaptor, emit);
    SharedTile tile = tileAt(adaptor.getTile().front(), op.getTile().getType());
    Memory memory(op.getMemory().getType(), adaptor.getMemory());
    Value first = emit.toI64(adaptor.getRow().front());
    Value base = memory.address(emit, adaptor.getBatch().front(), adaptor.getHead().front(), first);
    Value limit = op.getLimit() ? adaptor.getLimit().front() : Value();
    Value rowsLeft = memory.rowsLeft(emit, first, limit);
    // Those that are not there become zeros as far as products read them: sparse ones take 32
    // columns at once. Threads beyond the last one of a row have nothing to do.
    int64_t chunks = tile.columns / SharedTile::chunkElements,
            chunksRead = static_cast<int64_t>(llvm::alignTo(chunks, 4));
    auto chunksInRow = static_cast<int64_t>(llvm::PowerOf2Ceil(chunksRead));
    int64_t rowsAtOnce = function.numThreads / chunksInRow;
    Value chunk = emit.rem(function.thread, chunksInRow),
          start = emit.div(function.thread, chunksInRow);
    Type type = memory.type.getElementType();
    Value isThere, isRead;
    if (chunks < chunksInRow)
      isThere = emit.less(chunk, emit.i32(chunks));
    if (chunksRead < chunksInRow)
      isRead = emit.less(chunk, emit.i32(chunksRead));
    Value column = emit.mul(isThere ? emit.select(isThere, chunk, emit.i32(0)) : chunk,
                            SharedTile::chunkElements * elementsOfColumn(type));
    auto heads = static_cast<int64_t>(op.getHeads());
    int64_t rowsOfHead = ScheduleAttr::rowsOfHead(tile.rows, heads);
    for (int64_t turn = 0; turn * rowsAtOnce < tile.rows; ++turn) {
      Value row = emit.add(start, turn * rowsAtOnce);
      Value rowOfHead = emit.toI64(heads == 1 ? row : emit.rem(row, rowsOfHead));
      Value exists = emit.less(rowOfHead, rowsLeft);
      Value head = heads == 1 ? emit.i32(0) : emit.div(row, rowsOfHead);
      if (rowsOfHead * heads < tile.rows) {
        exists = emit.bitAnd(exists, emit.less(head, emit.i32(heads)));
        head = emit.select(exists, head, emit.i32(0));
      }
      if (isThere)
        exists = emit.bitAnd(exists, isThere);
      // The address of a row that does not exist is not formed, and nothing is read.
      Value element =
          emit.add(emit.mul(emit.select(exists, rowOfHead, emit.i64(0)), memory.rowStride),
                   emit.toI64(column));
      if (heads > 1)
        element = emit.add(element, emit.mul(emit.toI64(head), memory.headStride));
      Value source = emit.offset(base, element, type);
      Value size = emit.select(exists, emit.i32(16), emit.i32(0));
      auto copy = [&] {
        emit.make<NVVM::CpAsyncOp>(chunkAddress(emit, tile, row, chunk), source, 16,
                                   NVVM::LoadCacheModifierKind::CG, size);
      };
      Value takesPart = isRead;
      // The last turn of a tile with few rows.
      if ((turn + 1) * rowsAtOnce > tile.rows) {
        Value isInTile = emit.less(row, emit.i32(tile.rows));
        takesPart = takesPart ? emit.bitAnd(takesPart, isInTile) : isInTile;
      }
      if (takesPart)
        emit.when(takesPart, copy);
      else
        copy();
    }
    return Results{};
  }

  /// Chunks of a tile in one piece follow each other as threads do.
  FailureOr<Results> copyPiece(CopyByThreadsOp op, Adaptor adaptor, Emitter &emit) const {
    SharedType type = op.getTile().getType();
    Memory memory(op.getMemory().getType(), adaptor.getMemory());
    constexpr int64_t bytesEach = 16;
    Value mine = emit.mul(function.thread, bytesEach);
    Value source = addressOfTile(emit, memory, adaptor.getBatch().front(),
                                 adaptor.getHead().front(), adaptor.getRow().front(), type);
    source = emit.offset(source, mine, emit.getI8Type());
    Value target = emit.offset(adaptor.getTile().front(), mine, emit.getI8Type());
    int64_t bytesAtOnce = bytesEach * function.numThreads;
    for (int64_t at = 0; at < type.getBytes(); at += bytesAtOnce) {
      auto copy = [&] {
        emit.make<NVVM::CpAsyncOp>(emit.offset(target, at), emit.offset(source, at), 16,
                                   NVVM::LoadCacheModifierKind::CG, Value());
      };
      if (at + bytesAtOnce <= type.getBytes())
        copy();
      else
        emit.when(emit.less(mine, emit.i32(type.getBytes() - at)), copy);
    }
    return Results{};
  }

  /// Rows of one head that all exist, by one warp.
  FailureOr<Results> copyRowsOfWarp(CopyByThreadsOp op, Adaptor adaptor, Emitter &emit) const {
    constexpr int64_t lanes = 32, bytesEach = 16;
    SharedType type = op.getTile().getType();
    Memory memory(op.getMemory().getType(), adaptor.getMemory());
    Value source = memory.address(emit, adaptor.getBatch().front(), adaptor.getHead().front(),
                                  adaptor.getRow().front());
    auto rows = static_cast<int64_t>(*op.getCount());
    Value first = emit.toI32(adaptor.getFirst().front());
    auto copy = [&](Value target, Value from) {
      emit.make<NVVM::CpAsyncOp>(target, from, 16, NVVM::LoadCacheModifierKind::CG, Value());
    };
    if (type.getForm() == TileForm::Linear) {
      int64_t rowBytes = type.getBytes() / type.getRows(), bytes = rows * rowBytes;
      Value mine = emit.mul(function.lane, bytesEach);
      Value target = emit.offset(adaptor.getTile().front(), emit.mul(first, rowBytes),
                                 emit.getI8Type());
      for (int64_t at = 0; at < bytes; at += lanes * bytesEach) {
        Value byte = emit.add(mine, at);
        auto piece = [&] {
          copy(emit.offset(target, byte, emit.getI8Type()),
               emit.offset(source, emit.toI64(byte), emit.getI8Type()));
        };
        if (at + lanes * bytesEach <= bytes)
          piece();
        else
          emit.when(emit.less(byte, emit.i32(bytes)), piece);
      }
      return Results{};
    }
    SharedTile tile = tileAt(adaptor.getTile().front(), type);
    int64_t chunks = tile.columns / SharedTile::chunkElements, all = rows * chunks;
    for (int64_t at = 0; at < all; at += lanes) {
      Value number = emit.add(function.lane, at);
      auto piece = [&] {
        Value row = emit.div(number, chunks), chunk = emit.rem(number, chunks);
        Value element =
            emit.add(emit.mul(emit.toI64(row), memory.rowStride),
                     emit.toI64(emit.mul(chunk, SharedTile::chunkElements *
                                                    elementsOfColumn(type.getElementType()))));
        copy(chunkAddress(emit, tile, emit.add(first, row), chunk),
             emit.offset(source, element, type.getElementType()));
      };
      if (at + lanes <= all)
        piece();
      else
        emit.when(emit.less(number, emit.i32(all)), piece);
    }
    return Results{};
  }

  /// 16 bytes from chunk `chunk` of row `row`.
  static Value chunkAddress(Emitter &emit, const SharedTile &tile, Value row, Value chunk) {
    // A panel has 8 chunks in a row.
    Value panel = emit.shiftRight(chunk, 3);
    Value swizzled =
        swizzle::placeOfChunk(Emitted(emit, emit.bitAnd(chunk, 7)), Emitted(emit, row));
    Value offset = emit.add(emit.mul(panel, tile.panelBytes()),
                            emit.add(emit.mul(row, SharedTile::rowBytes), emit.mul(swizzled, 16)));
    return emit.offset(tile.base, offset, emit.getI8Type());
  }
};

struct LowerClearRows : Lowering<ClearRowsOp> {
  using Lowering::Lowering;

  FailureOr<Results> lower(ClearRowsOp op, Adaptor adaptor, Emitter &emit) const override {
    SharedTile tile = tileAt(adaptor.getTile().front(), op.getTile().getType());
    Value numRows = emit.toI64(adaptor.getFirst().front());
    if (op.getBegin())
      return clearRowsOfWarp(op, tile, numRows, emit.toI64(adaptor.getBegin().front()), emit);
    Value barrier = emit.add(function.consumer(emit), FunctionContext::firstWarpgroupBarrier);
    emit.when(emit.less(numRows, emit.i64(tile.rows)), [&] {
      constexpr int64_t threads = 128;
      Value first =
          emit.mul(emit.toI32(emit.maxSigned(numRows, emit.i64(0))), SharedTile::rowBytes);
      Value lower = emit.add(first, emit.mul(emit.rem(function.thread, threads), bytesEach));
      clear(tile, lower, emit.i32(tile.panelBytes()), threads, emit);
      fenceStores(emit);
      emit.make<NVVM::BarrierOp>(TypeRange(), barrier, emit.i32(threads),
                                 NVVM::BarrierReductionAttr(), Value());
    });
    return Results{};
  }

private:
  static constexpr int64_t bytesEach = 16;

  /// Clears the bytes from `lower`, where this thread begins, to `end` in each panel; `threads` take
  /// turns. Swizzling moves bytes within their row, so rows are one range of each panel.
  static void clear(const SharedTile &tile, Value lower, Value end, int64_t threads,
                    Emitter &emit) {
    auto type = VectorType::get(bytesEach / 4, emit.getI32Type());
    Value zeros = emit.make<LLVM::ConstantOp>(type, emit.getZeroAttr(type));
    emit.loop(lower, end, emit.i32(threads * bytesEach), {}, [&](Value at, ValueRange) {
      for (int64_t panel = 0; panel < tile.numPanels(); ++panel)
        emit.store(
            zeros,
            emit.offset(tile.base, emit.add(at, panel * tile.panelBytes()), emit.getI8Type()),
            bytesEach);
      return Values();
    });
  }

  FailureOr<Results> clearRowsOfWarp(ClearRowsOp op, const SharedTile &tile, Value numRows,
                                     Value begin, Emitter &emit) const {
    auto count = static_cast<int64_t>(*op.getCount());
    Value end = emit.add(begin, count);
    emit.when(emit.less(numRows, end), [&] {
      constexpr int64_t lanes = 32;
      Value first = emit.mul(emit.toI32(emit.maxSigned(numRows, begin)), SharedTile::rowBytes);
      Value lower = emit.add(first, emit.mul(function.lane, bytesEach));
      Value upper = emit.mul(emit.toI32(end), SharedTile::rowBytes);
      clear(tile, lower, upper, lanes, emit);
      // The zeros come before the bytes of the next copy, and before what lanes of the warp read.
      if (function.chip.hasWarpgroups)
        fenceStores(emit);
      emit.make<NVVM::SyncWarpOp>(emit.i32(-1));
    });
    return Results{};
  }
};

} // namespace

void sfa::simt::populateCopyPatterns(RewritePatternSet &patterns, const TypeConverter &types,
                                     const FunctionContext &function) {
  patterns.add<LowerCopy, LowerCopyByThreads, LowerClearRows>(types, patterns.getContext(),
                                                              function);
}
