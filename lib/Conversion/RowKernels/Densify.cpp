//===- Densify.cpp - Kernels that change the form of rows -----------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Each lane owns 16 bytes of a row; a block goes over the rows of its tile in turns. Every row is
// read once and written once. The lanes of a row share its codes, each takes some pairs, and bring
// them to their places in shared memory.
//
//===----------------------------------------------------------------------===//

#include "../GPUToNVVM/Instructions/StoredScales.h"
#include "RowFunction.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::simt;

namespace {

/// Codes as they are in memory: where the row's values and features start.
struct StoredCodes {
  Value values, features;
  Type valueType, indexType;
  int64_t k;
  /// Of 8-bit values that are multiplied by it; null for others.
  Value scale;
};

class RowKernel {
public:
  explicit RowKernel(RowFunction &kernel) : kernel(kernel), emit(kernel.emit) {}
  LogicalResult run();

private:
  LogicalResult chooseWidth();
  bool hasScales() {
    return llvm::any_of(kernel.kernel.getBody().getOps<LoadCodesOp>(),
                        [](LoadCodesOp op) { return op.getScales() != nullptr; });
  }
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
    if (features == lanesInRow * pieceElements())
      return found;
    return emit.bitAnd(found, emit.less(lane, emit.i32(features / pieceElements())));
  }
  Value rowAddress(const Memory &memory, Value batch, Value head, Value row) {
    return kernel.address(memory, kernel.scalar(batch), kernel.scalar(head), row);
  }

  /// A value of codes as the bits of an element, and whether it is one that adds something.
  std::pair<Value, Value> elementOf(const StoredCodes &codes, Value value);

  static constexpr int64_t pieceBytes = 16;
  int64_t pieceElements() const { return pieceBytes * 8 / element.getIntOrFloatBitWidth(); }
  /// Lanes that share a row of `width` features; the last ones have nothing to do where the width
  /// is no power of two.
  int64_t lanesFor(int64_t width) const {
    return static_cast<int64_t>(llvm::PowerOf2Ceil(width / pieceElements()));
  }
  /// Where the lane's piece of the row at `start` is in memory.
  Value pieceInMemory(Value start) {
    return emit.offset(start, emit.mul(lane, pieceBytes), emit.getI8Type());
  }
  Type wordsType() { return VectorType::get(pieceBytes / 4, emit.getI32Type()); }
  Value noWords() {
    return emit.make<arith::ConstantOp>(cast<TypedAttr>(emit.getZeroAttr(wordsType())));
  }

  RowFunction &kernel;
  Emitter &emit;
  int64_t features = 0, rows = 0, lanesInRow = 0;
  Type element;          // of the rows in memory
  Value lane, rowInTile; // lane among those of the row; i64
  /// The 16 bytes of the lane of each dense tile.
  llvm::DenseMap<Value, Value> pieces;
  llvm::DenseMap<Value, StoredCodes> stored;
  /// Shared memory for a piece of each thread: where codes become rows.
  Value expanded;
};

} // namespace

LogicalResult RowKernel::chooseWidth() {
  for (auto store : kernel.kernel.getBody().getOps<StoreOp>())
    element = store.getMemory().getType().getElementType();
  if (!element)
    return kernel.kernel.emitOpError("moves no rows, which a GPU does not support");
  WalkResult result = kernel.kernel.walk([&](Operation *op) {
    for (Value value : op->getResults()) {
      int64_t width = 0, height = 0;
      Type held;
      if (auto tile = dyn_cast<TileType>(value.getType()); tile && !tile.isRowVector())
        width = tile.getColumns(), height = tile.getRows(), held = tile.getElementType();
      else if (auto codes = dyn_cast<CodesType>(value.getType()))
        width = codes.getFeatures(), height = codes.getRows(), held = codes.getElementType();
      else
        continue;
      // Codes that are multiplied by scales are f32 until they are stored.
      bool isKnown = held == element || (held.isF32() && hasScales());
      if (!sfa::GpuFeatures::allow(width) || !isKnown || element.getIntOrFloatBitWidth() > 16) {
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
  Emitter::Values loaded = emit.choose(
      isMine(memory, row, op.getLimit()),
      [&]() -> Emitter::Values {
        Value start = rowAddress(memory, op.getBatch(), op.getHead(), row);
        return {emit.load(wordsType(), pieceInMemory(start), pieceBytes)};
      },
      [&]() -> Emitter::Values { return {noWords()}; });
  pieces[op.getTile()] = loaded[0];
}

void RowKernel::lower(StoreOp op) {
  const Memory &memory = kernel.memory(op.getMemory());
  Value row = rowNumber(op.getRow());
  emit.when(isMine(memory, row, op.getLimit()), [&] {
    Value start = rowAddress(memory, op.getBatch(), op.getHead(), row);
    emit.store(pieces.at(op.getTile()), pieceInMemory(start), pieceBytes);
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
  StoredCodes codes{rowAddress(values, op.getBatch(), op.getHead(), source),
                    rowAddress(indices, op.getBatch(), op.getHead(), source),
                    values.type.getElementType(),
                    indices.type.getElementType(),
                    op.getCodes().getType().getK(),
                    Value()};
  if (op.getScales()) {
    const Memory &scales = kernel.memory(op.getScales());
    StoredScales of(emit, scales, kernel.scalar(op.getBatch()), kernel.scalar(op.getHead()),
                    *op.getSharedBy());
    codes.scale = of.at(source);
  }
  stored[op.getCodes()] = codes;
}

std::pair<Value, Value> RowKernel::elementOf(const StoredCodes &codes, Value value) {
  auto isNotZero = [&](Value bits) {
    return emit.compare(arith::CmpIPredicate::ne, bits, emit.like(bits, 0));
  };
  // A value 0 adds nothing, whatever feature it names.
  if (!codes.scale)
    return {value, isNotZero(codes.valueType.isInteger(8) ? value : emit.bitAnd(value, 0x7FFF))};
  Value number = emit.mul(emit.make<arith::SIToFPOp>(emit.getF32Type(), value), codes.scale);
  Value bits =
      emit.make<arith::TruncIOp>(emit.getI16Type(), emit.pack(number, emit.f32(0.0f), element));
  // The scale of codes that no integers stand for is a NaN.
  Value isNaN = emit.compare(arith::CmpFPredicate::UNO, codes.scale, codes.scale);
  return {bits, emit.bitOr(isNotZero(value), isNaN)};
}

void RowKernel::lower(ExpandOp op) {
  StoredCodes codes = stored.at(op.getCodes());
  Type i32 = emit.getI32Type();
  Type stored = emit.getIntegerType(element.getIntOrFloatBitWidth());
  Type valueType = emit.getIntegerType(codes.valueType.getIntOrFloatBitWidth());
  if (!expanded)
    expanded = kernel.allocateShared(rowKernelThreads * pieceBytes);
  auto pieceOf = [&](Value thread) {
    return emit.offset(expanded, emit.mul(thread, pieceBytes), emit.getI8Type());
  };
  Value mine = pieceOf(kernel.thread), row = pieceOf(emit.sub(kernel.thread, lane));
  emit.store(noWords(), mine, pieceBytes);
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
    auto [bits, addsSomething] = elementOf(codes, loaded(valueType, codes.values));
    Value feature = emit.make<arith::ExtUIOp>(i32, loaded(codes.indexType, codes.features));
    counts = emit.bitAnd(counts, addsSomething);
    counts =
        emit.bitAnd(counts, emit.compare(arith::CmpIPredicate::ult, feature, emit.i32(features)));
    Value value = bits;
    emit.when(counts, [&] { emit.store(value, emit.offset(row, feature, stored)); });
  }
  emit.make<NVVM::SyncWarpOp>(emit.i32(-1));
  pieces[op.getTile()] = emit.load(wordsType(), mine, pieceBytes);
}

LogicalResult sfa::simt::lowerRowKernel(RowFunction &lowering) {
  if (!lowering.kernel.getBody().getOps<TopkOp>().empty())
    return lowerTopkKernel(lowering);
  if (!lowering.kernel.getBody().getOps<AppendOp>().empty())
    return lowerAppendKernel(lowering);
  if (!lowering.kernel.getBody().getOps<CombineOp>().empty())
    return lowerCombineKernel(lowering);
  if (!lowering.kernel.getBody().getOps<sfa::tile::QuantizeOp>().empty())
    return lowerQuantizeKernel(lowering);
  if (!lowering.kernel.getBody().getOps<StoreFeatureMajorOp>().empty())
    return lowerFeatureMajorKernel(lowering);
  if (!lowering.kernel.getBody().getOps<StorePostingsOp>().empty())
    return lowerPostingsKernel(lowering);
  return RowKernel(lowering).run();
}
