//===- Densify.cpp - Kernels that change the form of rows -----------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// d / 8 lanes own a row, 8 elements (16 bytes) each; a block goes over the rows of its tile in
// turns. Every row is read once and written once. The lanes of a row share its codes, each takes
// some pairs, and bring them to their places in shared memory.
//
//===----------------------------------------------------------------------===//

#include "RowFunction.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::simt;

namespace {

/// The eight elements that a lane owns of a dense row: their 16 bits, zero-extended to i32.
using Piece = Emitter::Values;

/// Codes as they are in memory: where the row's values and features start.
struct StoredCodes {
  Value values, features;
  Type indexType;
  int64_t k;
};

class RowKernel {
public:
  explicit RowKernel(RowFunction &kernel) : kernel(kernel), emit(kernel.emit) {}
  LogicalResult run();

private:
  LogicalResult chooseWidth();
  LogicalResult lower(Operation *op);
  void lower(LoadOp op);
  void lower(LoadCodesOp op);
  void lower(ExpandOp op);
  void lower(StoreOp op);

  /// Row number of the lane in `memory[batch, head]`, which starts at `first`.
  Value rowNumber(Value first) { return emit.add(emit.toI64(kernel.scalar(first)), rowInTile); }
  Value exists(const Memory &memory, Value row, Value limit = {}) {
    return emit.less(emit.i64(0), kernel.rowsLeft(memory, row, limit));
  }
  /// The same, and that the lane has features of the row.
  Value isMine(const Memory &memory, Value row, Value limit) {
    Value found = exists(memory, row, limit);
    if (features == lanesInRow * pieceElements)
      return found;
    return emit.bitAnd(found, emit.less(lane, emit.i32(features / pieceElements)));
  }
  Value rowAddress(const Memory &memory, Value batch, Value head, Value row) {
    return kernel.address(memory, kernel.scalar(batch), kernel.scalar(head), row);
  }

  /// The elements of four words.
  Piece split(Value words);

  static constexpr int64_t pieceElements = 8;
  /// Lanes that share a row of `width` features; the last ones have nothing to do where the width
  /// is no power of two.
  static int64_t lanesFor(int64_t width) {
    return static_cast<int64_t>(llvm::PowerOf2Ceil(width / pieceElements));
  }

  RowFunction &kernel;
  Emitter &emit;
  int64_t features = 0, rows = 0, lanesInRow = 0;
  Value lane, rowInTile; // lane among those of the row; i64
  llvm::DenseMap<Value, Piece> pieces;
  llvm::DenseMap<Value, StoredCodes> stored;
  /// Shared memory for a piece of each thread: where codes become rows.
  Value expanded;
};

} // namespace

LogicalResult RowKernel::chooseWidth() {
  WalkResult result = kernel.kernel.walk([&](Operation *op) {
    for (Value value : op->getResults()) {
      int64_t width = 0, height = 0;
      Type element;
      if (auto tile = dyn_cast<TileType>(value.getType()); tile && !tile.isRowVector())
        width = tile.getColumns(), height = tile.getRows(), element = tile.getElementType();
      else if (auto codes = dyn_cast<CodesType>(value.getType()))
        width = codes.getFeatures(), height = codes.getRows(), element = codes.getElementType();
      else
        continue;
      if (!sfa::GpuFeatures::allow(width) || element.getIntOrFloatBitWidth() != 16) {
        op->emitOpError() << "gives " << value.getType() << "; " << sfa::GpuFeatures::description;
        return WalkResult::interrupt();
      }
      if ((features && features != width) || (rows && rows != height) ||
          height % (rowKernelThreads / lanesFor(width)) != 0) {
        op->emitOpError("has tiles of a size that a GPU does not support here");
        return WalkResult::interrupt();
      }
      features = width;
      rows = height;
    }
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  if (!features)
    return kernel.kernel.emitOpError("moves no rows, which a GPU does not support");
  lanesInRow = lanesFor(features);
  return success();
}

LogicalResult RowKernel::run() {
  if (failed(chooseWidth()))
    return failure();
  int64_t rowsAtOnce = rowKernelThreads / lanesInRow;
  lane = emit.rem(kernel.thread, lanesInRow);
  Value firstRow = emit.div(kernel.thread, lanesInRow);
  LogicalResult lowered = success();
  emit.loop(emit.i32(0), emit.i32(rows), emit.i32(rowsAtOnce), {}, [&](Value start, ValueRange) {
    rowInTile = emit.toI64(emit.add(start, firstRow));
    for (Operation &op : kernel.kernel.getBody().front().without_terminator())
      if (succeeded(lowered))
        lowered = lower(&op);
    return Emitter::Values();
  });
  return lowered;
}

LogicalResult RowKernel::lower(Operation *op) {
  emit.setLoc(op->getLoc());
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case<LoadOp, LoadCodesOp, ExpandOp, StoreOp>([&](auto rowOp) {
        lower(rowOp);
        return success();
      })
      .Default([&](Operation *other) -> LogicalResult {
        if (!isa<arith::ArithDialect>(other->getDialect()))
          return other->emitOpError("is not supported in a kernel without a key loop on a GPU");
        emit.clone(*other, kernel.mapping);
        return success();
      });
}

//===----------------------------------------------------------------------===//
// Dense rows
//===----------------------------------------------------------------------===//

void RowKernel::lower(LoadOp op) {
  const Memory &memory = kernel.memory(op.getMemory());
  Value row = rowNumber(op.getRow());
  Type words = VectorType::get(4, emit.getI32Type());
  Emitter::Values loaded = emit.choose(
      isMine(memory, row, op.getLimit()),
      [&]() -> Emitter::Values {
        Value start = rowAddress(memory, op.getBatch(), op.getHead(), row);
        Value mine = emit.offset(start, emit.mul(lane, pieceElements), emit.getI16Type());
        return {emit.load(words, mine, 16)};
      },
      [&]() -> Emitter::Values {
        return {emit.make<arith::ConstantOp>(cast<TypedAttr>(emit.getZeroAttr(words)))};
      });
  pieces[op.getTile()] = split(loaded[0]);
}

Piece RowKernel::split(Value words) {
  Piece piece;
  for (int64_t word = 0; word < 4; ++word) {
    Value both = emit.make<LLVM::ExtractElementOp>(words, emit.i32(word));
    piece.push_back(emit.bitAnd(both, 0xFFFF));
    piece.push_back(emit.shiftRight(both, 16));
  }
  return piece;
}

void RowKernel::lower(StoreOp op) {
  const Memory &memory = kernel.memory(op.getMemory());
  Value row = rowNumber(op.getRow());
  const Piece &piece = pieces.at(op.getTile());
  emit.when(isMine(memory, row, op.getLimit()), [&] {
    Type words = VectorType::get(4, emit.getI32Type());
    Value vector = emit.make<LLVM::PoisonOp>(words);
    for (int64_t word = 0; word < 4; ++word) {
      Value both = emit.bitOr(piece[2 * word], emit.shiftLeft(piece[2 * word + 1], 16));
      vector = emit.make<LLVM::InsertElementOp>(vector, both, emit.i32(word));
    }
    Value start = rowAddress(memory, op.getBatch(), op.getHead(), row);
    emit.store(vector, emit.offset(start, emit.mul(lane, pieceElements), emit.getI16Type()), 16);
  });
}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

void RowKernel::lower(LoadCodesOp op) {
  const Memory &values = kernel.memory(op.getValues()), &indices = kernel.memory(op.getIndices());
  Value row = rowNumber(op.getRow());
  // A row that does not exist reads the first one, and is not stored.
  Value source = emit.select(exists(values, row), row, emit.i64(0));
  stored[op.getCodes()] = {rowAddress(values, op.getBatch(), op.getHead(), source),
                           rowAddress(indices, op.getBatch(), op.getHead(), source),
                           indices.type.getElementType(), op.getCodes().getType().getK()};
}

void RowKernel::lower(ExpandOp op) {
  StoredCodes codes = stored.at(op.getCodes());
  Type i16 = emit.getI16Type(), i32 = emit.getI32Type();
  constexpr int64_t pieceBytes = 2 * pieceElements;
  if (!expanded)
    expanded = kernel.allocateShared(rowKernelThreads * pieceBytes);
  auto pieceOf = [&](Value thread) {
    return emit.offset(expanded, emit.mul(thread, pieceBytes), emit.getI8Type());
  };
  Value mine = pieceOf(kernel.thread), row = pieceOf(emit.sub(kernel.thread, lane));
  Type words = VectorType::get(4, i32);
  emit.store(emit.make<arith::ConstantOp>(cast<TypedAttr>(emit.getZeroAttr(words))), mine,
             pieceBytes);
  // The lanes of a row are of one warp.
  emit.make<NVVM::SyncWarpOp>(emit.i32(-1));
  for (int64_t first = 0; first < codes.k; first += lanesInRow) {
    Value place = emit.add(lane, first);
    Value counts = emit.less(place, emit.i32(codes.k));
    // Nothing is read beyond the row.
    place = emit.select(counts, place, emit.i32(0));
    auto loaded = [&](Type type, Value start) {
      return emit.load(type, emit.offset(start, place, type));
    };
    Value bits = loaded(i16, codes.values);
    Value feature = emit.make<arith::ExtUIOp>(i32, loaded(codes.indexType, codes.features));
    // A value 0 adds nothing, whatever feature it names.
    Value magnitude = emit.bitAnd(bits, 0x7FFF);
    counts = emit.bitAnd(
        counts, emit.compare(arith::CmpIPredicate::ne, magnitude, emit.like(magnitude, 0)));
    counts =
        emit.bitAnd(counts, emit.compare(arith::CmpIPredicate::ult, feature, emit.i32(features)));
    emit.when(counts, [&] { emit.store(bits, emit.offset(row, feature, i16)); });
  }
  emit.make<NVVM::SyncWarpOp>(emit.i32(-1));
  pieces[op.getTile()] = split(emit.load(words, mine, pieceBytes));
}

LogicalResult sfa::simt::lowerRowKernel(RowFunction &lowering) {
  if (!lowering.kernel.getBody().getOps<TopkOp>().empty())
    return lowerTopkKernel(lowering);
  if (!lowering.kernel.getBody().getOps<CombineOp>().empty())
    return lowerCombineKernel(lowering);
  return RowKernel(lowering).run();
}
