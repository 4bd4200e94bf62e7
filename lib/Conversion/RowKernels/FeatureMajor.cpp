//===- FeatureMajor.cpp - Kernels that write keys feature by feature -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// A block writes one tile. It is put together in shared memory: a thread, or several, bring the
// elements of a key to their places, where the threads of a warp meet no bank twice. Then the block
// writes it to memory as it is.
//
//===----------------------------------------------------------------------===//

#include "../GPUToNVVM/Instructions/Emitted.h"
#include "RowFunction.h"

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::simt;
using sfa::FeatureMajorAttr;

namespace {

class FeatureMajorKernel {
public:
  explicit FeatureMajorKernel(RowFunction &kernel) : kernel(kernel), emit(kernel.emit) {}

  LogicalResult run(StoreFeatureMajorOp store);

private:
  LogicalResult check(StoreFeatureMajorOp store);
  int64_t bytes() const { return 2 * keys * features; }
  /// Calls `body` with where each 16 bytes of the thread begin in the tile (i32).
  void forEachChunk(function_ref<void(Value)> body);
  void clear();
  /// Brings the elements of the thread's key, of the row that exists, to their places.
  void scatter(LoadOp load, Value row);
  void scatter(LoadCodesOp load, Value row);
  /// Writes `element` (i16) of feature `feature` (i32) of the thread's key.
  void place(Value element, Value feature) {
    Value offset = emit.add(emit.mul(feature, 2 * keys), emit.mul(placeOfKey, 2));
    emit.store(element, emit.offset(tile, offset, emit.getI8Type()));
  }
  Value addressOf(const Memory &memory, Value batch, Value head, Value row) {
    return kernel.address(memory, kernel.scalar(batch), kernel.scalar(head), row);
  }

  static constexpr int64_t chunkBytes = 16, elementsOfChunk = chunkBytes / 2;

  RowFunction &kernel;
  Emitter &emit;
  int64_t keys = 0, features = 0;
  /// How many threads share a key, and the number of this one among them (i32).
  int64_t parts = 1;
  Value part;
  /// Where the tile is in shared memory; the place of the thread's key among those of a feature.
  Value tile, placeOfKey;
};

} // namespace

LogicalResult FeatureMajorKernel::check(StoreFeatureMajorOp store) {
  TileType type = store.getTile().getType();
  keys = type.getRows();
  features = type.getColumns();
  if (sfa::GpuFeatures::allow(features) && type.getElementType().getIntOrFloatBitWidth() == 16 &&
      keys % FeatureMajorAttr::granule == 0)
    return success();
  return store.emitOpError() << "writes " << type << "; " << sfa::GpuFeatures::description
                             << ", and tiles of a multiple of " << FeatureMajorAttr::granule
                             << " tokens";
}

void FeatureMajorKernel::forEachChunk(function_ref<void(Value)> body) {
  emit.loop(emit.mul(kernel.thread, chunkBytes), emit.i32(bytes()),
            emit.i32(rowKernelThreads * chunkBytes), {}, [&](Value at, ValueRange) {
              body(at);
              return Emitter::Values();
            });
}

void FeatureMajorKernel::clear() {
  auto type = VectorType::get(chunkBytes / 4, emit.getI32Type());
  Value zeros = emit.make<LLVM::ConstantOp>(type, emit.getZeroAttr(type));
  forEachChunk(
      [&](Value at) { emit.store(zeros, emit.offset(tile, at, emit.getI8Type()), chunkBytes); });
}

void FeatureMajorKernel::scatter(LoadOp load, Value row) {
  const Memory &memory = kernel.memory(load.getMemory());
  Value start = addressOf(memory, load.getBatch(), load.getHead(), row);
  Type i16 = emit.getI16Type();
  auto type = VectorType::get(elementsOfChunk, i16);
  emit.loop(emit.mul(part, elementsOfChunk), emit.i32(features), emit.i32(parts * elementsOfChunk),
            {}, [&](Value feature, ValueRange) {
              Value chunk =
                  emit.load(type, emit.offset(start, emit.toI64(feature), i16), chunkBytes);
              for (int64_t i = 0; i < elementsOfChunk; ++i)
                place(emit.make<LLVM::ExtractElementOp>(chunk, emit.i32(i)).getResult(),
                      emit.add(feature, i));
              return Emitter::Values();
            });
}

void FeatureMajorKernel::scatter(LoadCodesOp load, Value row) {
  const Memory &values = kernel.memory(load.getValues()),
               &indices = kernel.memory(load.getIndices());
  Value valueRow = addressOf(values, load.getBatch(), load.getHead(), row),
        indexRow = addressOf(indices, load.getBatch(), load.getHead(), row);
  int64_t k = load.getCodes().getType().getK();
  Type i16 = emit.getI16Type(), indexType = indices.type.getElementType();
  emit.loop(part, emit.i32(k), emit.i32(parts), {}, [&](Value pair, ValueRange) {
    Value number = emit.toI64(pair);
    Value value = emit.load(i16, emit.offset(valueRow, number, i16));
    Value index = emit.load(indexType, emit.offset(indexRow, number, indexType));
    Value feature = emit.make<arith::ExtUIOp>(emit.getI32Type(), index);
    // A value 0 adds nothing, whatever feature it names.
    Value magnitude = emit.bitAnd(value, 0x7FFF);
    Value counts = emit.compare(arith::CmpIPredicate::ne, magnitude, emit.like(magnitude, 0));
    counts = emit.bitAnd(counts, emit.less(feature, emit.i32(features)));
    emit.when(counts, [&] { place(value, feature); });
    return Emitter::Values();
  });
}

LogicalResult FeatureMajorKernel::run(StoreFeatureMajorOp store) {
  if (failed(check(store)))
    return failure();
  Operation *source = store.getTile().getDefiningOp();
  if (auto expand = dyn_cast_or_null<ExpandOp>(source))
    source = expand.getCodes().getDefiningOp();
  auto load = dyn_cast_or_null<LoadOp>(source);
  auto codes = dyn_cast_or_null<LoadCodesOp>(source);
  if ((!load || load.getFeatureMajor() || load.getLimit()) && (!codes || codes.getScales()))
    return store.emitOpError("writes a tile that has not just been loaded, of rows or of codes of "
                             "16-bit values, which a GPU does not support");

  tile = kernel.allocateShared(bytes());
  clear();
  emit.barrier();
  int64_t keysAtOnce = std::min(keys, rowKernelThreads);
  parts = rowKernelThreads / keysAtOnce;
  part = emit.div(kernel.thread, keysAtOnce);
  Value firstKey = emit.rem(kernel.thread, keysAtOnce);
  Value row = kernel.scalar(store.getRow());
  const Memory &rows = kernel.memory(load ? load.getMemory() : codes.getValues());
  emit.loop(firstKey, emit.i32(keys), emit.i32(keysAtOnce), {}, [&](Value key, ValueRange) {
    placeOfKey = FeatureMajorAttr::placeOf(Emitted(emit, key));
    Value source = emit.add(emit.toI64(row), emit.toI64(key));
    emit.when(emit.less(emit.i64(0), kernel.rowsLeft(rows, source, Value())), [&] {
      if (load)
        scatter(load, source);
      else
        scatter(codes, source);
    });
    return Emitter::Values();
  });
  emit.barrier();
  const Memory &memory = kernel.memory(store.getMemory());
  Value target =
      addressOf(memory, store.getBatch(), store.getHead(), emit.div(emit.toI64(row), keys));
  auto type = VectorType::get(chunkBytes / 4, emit.getI32Type());
  forEachChunk([&](Value at) {
    Value chunk = emit.load(type, emit.offset(tile, at, emit.getI8Type()), chunkBytes);
    emit.store(chunk, emit.offset(target, emit.toI64(at), emit.getI8Type()), chunkBytes);
  });
  return success();
}

LogicalResult sfa::simt::lowerFeatureMajorKernel(RowFunction &lowering) {
  for (Operation &op : lowering.kernel.getBody().front().without_terminator()) {
    lowering.emit.setLoc(op.getLoc());
    if (auto store = dyn_cast<StoreFeatureMajorOp>(op)) {
      if (failed(FeatureMajorKernel(lowering).run(store)))
        return failure();
    } else if (isa<arith::ArithDialect>(op.getDialect())) {
      lowering.emit.clone(op, lowering.mapping);
    } else if (!isa<LoadOp, LoadCodesOp, ExpandOp>(op)) {
      return op.emitOpError(
          "is not supported in a kernel that writes feature-major tiles on a GPU");
    }
  }
  return success();
}
