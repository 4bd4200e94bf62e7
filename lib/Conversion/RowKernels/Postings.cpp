//===- Postings.cpp - Kernels that write keys as posting lists -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// A block writes one tile, half after half. The codes of a half are in shared memory, where a
// thread looks through all of them for each of its features: how many are of features before it
// says where its list begins. So no two threads write the same place, and a list is in the order of
// its tokens.
//
//===----------------------------------------------------------------------===//

#include "RowFunction.h"

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::simt;
using sfa::PostingsAttr;

namespace {

class PostingsKernel {
public:
  explicit PostingsKernel(RowFunction &kernel) : kernel(kernel), emit(kernel.emit) {}

  LogicalResult run(StorePostingsOp store);

private:
  using Values = Emitter::Values;

  LogicalResult check(StorePostingsOp store);
  /// Calls `body` with where each 16 bytes of the thread begin in a half (i32).
  void forEachChunk(function_ref<void(Value)> body);
  /// Calls `body` with the number of each code of a half and its word, and carries a number.
  Value forEachCode(Value init, function_ref<Value(Value, Value, Value)> body);
  /// Brings the codes of the tokens from `first` (i64) on to shared memory.
  void loadCodes(Value first);
  /// Forms the list of `feature`.
  void formList(Value feature);
  Value featureOf(Value word) { return emit.shiftRight(word, 16); }
  void storeStart(Value start, Value feature) {
    emit.store(emit.make<arith::TruncIOp>(emit.getI16Type(), start).getResult(),
               emit.offset(half, emit.mul(feature, PostingsAttr::startBytes), emit.getI8Type()));
  }

  static constexpr int64_t chunkBytes = 16, wordBytes = 4;

  RowFunction &kernel;
  Emitter &emit;
  LoadCodesOp load;
  /// Of a half.
  int64_t tokens = 0, features = 0, k = 0, bytes = 0;
  /// Where the half and its codes are in shared memory. A code is a word: the feature in the high
  /// half, the value in the low one.
  Value half, codes;
};

} // namespace

LogicalResult PostingsKernel::check(StorePostingsOp store) {
  PostingsType type = store.getPostings().getType();
  tokens = type.getRows() / 2;
  features = type.getFeatures();
  k = type.getK();
  bytes = PostingsAttr::getHalfBytes(type.getRows(), features, k);
  if (!sfa::GpuFeatures::allow(features))
    return store.emitOpError() << "writes " << type << "; " << sfa::GpuFeatures::description;
  auto lists = store.getPostings().getDefiningOp<sfa::tile::PostingsOp>();
  if (lists)
    load = lists.getCodes().getDefiningOp<LoadCodesOp>();
  if (!load || load.getScales())
    return store.emitOpError("writes posting lists of other codes than those of 16-bit values that "
                             "have just been loaded, which a GPU does not support");
  return success();
}

void PostingsKernel::forEachChunk(function_ref<void(Value)> body) {
  emit.loop(emit.mul(kernel.thread, chunkBytes), emit.i32(bytes),
            emit.i32(rowKernelThreads * chunkBytes), {}, [&](Value at, ValueRange) {
              body(at);
              return Values();
            });
}

Value PostingsKernel::forEachCode(Value init, function_ref<Value(Value, Value, Value)> body) {
  Type i32 = emit.getI32Type();
  constexpr int64_t atOnce = chunkBytes / wordBytes;
  return emit
      .loop(emit.i32(0), emit.i32(tokens * k), emit.i32(atOnce), init,
            [&](Value first, ValueRange carried) {
              Value words = emit.load(VectorType::get(atOnce, i32), emit.offset(codes, first, i32),
                                      chunkBytes);
              Value result = carried.front();
              for (int64_t i = 0; i < atOnce; ++i)
                result = body(emit.add(first, i),
                              emit.make<LLVM::ExtractElementOp>(words, emit.i32(i)), result);
              return Values{result};
            })
      .front();
}

void PostingsKernel::loadCodes(Value first) {
  const Memory &values = kernel.memory(load.getValues()),
               &indices = kernel.memory(load.getIndices());
  auto addressOf = [&](const Memory &memory, Value row) {
    return kernel.address(memory, kernel.scalar(load.getBatch()), kernel.scalar(load.getHead()),
                          row);
  };
  Type i16 = emit.getI16Type(), i32 = emit.getI32Type(), index = indices.type.getElementType();
  Value none = emit.i32(-65536); // a feature that nobody has
  emit.loop(kernel.thread, emit.i32(tokens * k), emit.i32(rowKernelThreads), {},
            [&](Value number, ValueRange) {
              Value row = emit.add(first, emit.toI64(emit.div(number, k)));
              Value exists = emit.less(emit.i64(0), kernel.rowsLeft(values, row, Value()));
              Values word = emit.choose(
                  exists,
                  [&] {
                    Value pair = emit.toI64(emit.rem(number, k));
                    auto loadFrom = [&](const Memory &memory, Type type) -> Value {
                      Value bits = emit.load(type, emit.offset(addressOf(memory, row), pair, type));
                      return emit.make<arith::ExtUIOp>(i32, bits);
                    };
                    Value value = loadFrom(values, i16), feature = loadFrom(indices, index);
                    // A value 0 adds nothing, whatever feature it names.
                    Value counts = emit.compare(arith::CmpIPredicate::ne,
                                                emit.bitAnd(value, 0x7FFF), emit.i32(0));
                    Value both = emit.bitOr(emit.shiftLeft(feature, 16), value);
                    return Values{emit.select(counts, both, none)};
                  },
                  [&] { return Values{none}; });
              emit.store(word.front(), emit.offset(codes, number, i32));
              return Values();
            });
}

void PostingsKernel::formList(Value feature) {
  constexpr int64_t entryBytes = PostingsAttr::entryBytes;
  Value begin = forEachCode(
      emit.i32(PostingsAttr::getHeaderBytes(features)), [&](Value, Value word, Value begin) {
        return emit.select(emit.less(featureOf(word), feature), emit.add(begin, entryBytes), begin);
      });
  storeStart(begin, feature);
  Value end = forEachCode(begin, [&](Value number, Value word, Value at) {
    Value isOfList = emit.equal(featureOf(word), feature);
    emit.when(isOfList, [&] {
      Value place = emit.mul(emit.div(number, k), PostingsAttr::scoreRowBytes);
      emit.store(emit.bitOr(emit.shiftLeft(place, 16), emit.bitAnd(word, 0xFFFF)),
                 emit.offset(half, at, emit.getI8Type()));
    });
    return emit.select(isOfList, emit.add(at, entryBytes), at);
  });
  emit.when(emit.equal(feature, emit.i32(features - 1)),
            [&] { storeStart(end, emit.i32(features)); });
}

LogicalResult PostingsKernel::run(StorePostingsOp store) {
  if (failed(check(store)))
    return failure();
  half = kernel.allocateShared(bytes);
  codes = kernel.allocateShared(tokens * k * wordBytes);
  Value row = kernel.scalar(store.getRow());
  Value number = emit.div(emit.toI32(row), 2 * tokens);
  Value target = kernel.address(kernel.memory(store.getMemory()), kernel.scalar(store.getBatch()),
                                kernel.scalar(store.getHead()), number);
  auto type = VectorType::get(chunkBytes / wordBytes, emit.getI32Type());
  Value zeros = emit.make<LLVM::ConstantOp>(type, emit.getZeroAttr(type));
  emit.loop(emit.i32(0), emit.i32(2), emit.i32(1), {}, [&](Value ofTile, ValueRange) {
    loadCodes(emit.add(emit.toI64(row), emit.toI64(emit.mul(ofTile, tokens))));
    forEachChunk(
        [&](Value at) { emit.store(zeros, emit.offset(half, at, emit.getI8Type()), chunkBytes); });
    emit.barrier();
    emit.loop(kernel.thread, emit.i32(features), emit.i32(rowKernelThreads), {},
              [&](Value feature, ValueRange) {
                formList(feature);
                return Values();
              });
    emit.barrier();
    Value written = emit.offset(target, emit.toI64(emit.mul(ofTile, bytes)), emit.getI8Type());
    forEachChunk([&](Value at) {
      Value chunk = emit.load(type, emit.offset(half, at, emit.getI8Type()), chunkBytes);
      emit.store(chunk, emit.offset(written, emit.toI64(at), emit.getI8Type()), chunkBytes);
    });
    emit.barrier();
    return Values();
  });
  return success();
}

LogicalResult sfa::simt::lowerPostingsKernel(RowFunction &lowering) {
  for (Operation &op : lowering.kernel.getBody().front().without_terminator()) {
    lowering.emit.setLoc(op.getLoc());
    if (auto store = dyn_cast<StorePostingsOp>(op)) {
      if (failed(PostingsKernel(lowering).run(store)))
        return failure();
    } else if (isa<arith::ArithDialect>(op.getDialect())) {
      lowering.emit.clone(op, lowering.mapping);
    } else if (!isa<LoadCodesOp, sfa::tile::PostingsOp>(op)) {
      return op.emitOpError("is not supported in a kernel that writes posting lists on a GPU");
    }
  }
  return success();
}
