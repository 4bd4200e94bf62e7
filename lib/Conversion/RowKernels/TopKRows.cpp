//===- TopKRows.cpp - Rows and codes of the kernel that selects features --===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Rounding.h"
#include "TopK.h"

#include <numeric>

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::simt;
using sfa::Scales, sfa::SparsifyOp, sfa::tokensOfScale;

using Values = Emitter::Values;

/// Up to so many codes of a row a warp stores together: they are unrolled, and every row of
/// features has room for them. Of more features than this selecting takes longer than storing.
static constexpr int64_t maxTogether = 32, maxFeaturesTogether = 128;
/// A mask of each lane, and the bits of its number among those of a row.
static constexpr int64_t bytesOfMask = 4, bytesOfWarpsMasks = 32 * bytesOfMask, bitsOfNumber = 4;

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

TopkKernel::Turns TopkKernel::takeTurns(int64_t bytesOfRow) {
  int64_t chunksInRow = bytesOfRow / bytesOfChunk;
  return {rowsOfWarp / chunksInRow, chunksInRow, emit.rem(kernel.lane, chunksInRow),
          emit.div(kernel.lane, chunksInRow)};
}

Value TopkKernel::firstRowOfWarp(Value firstRow) {
  return emit.add(emit.toI64(kernel.scalar(firstRow)),
                  emit.toI64(emit.mul(kernel.warp, rowsOfWarp)));
}

Value TopkKernel::chunkInShared(const Turns &turns, Value row, int64_t byte) {
  Value place = emit.add(emit.mul(turns.first, stride), emit.mul(turns.chunk, bytesOfChunk));
  Value start = emit.offset(emit.offset(rowsInShared, place, emit.getI8Type()), byte);
  return emit.offset(start, emit.mul(row, stride), emit.getI8Type());
}

std::function<Value(Value)> TopkKernel::chunkAddresses(const Turns &turns, const Memory &memory,
                                                       Value batch, Value head, Value first) {
  Type i8 = emit.getI8Type();
  Value base = kernel.address(memory, kernel.scalar(batch), kernel.scalar(head), first);
  base = emit.offset(base, emit.mul(turns.chunk, bytesOfChunk), i8);
  Value bytesOfRow =
      emit.mul(memory.rowStride, memory.type.getElementType().getIntOrFloatBitWidth() / 8);
  return [=](Value row) {
    // Without a sign: fewer instructions multiply it.
    Value rows = emit.make<arith::ExtUIOp>(emit.getI64Type(), row);
    return emit.offset(base, emit.mul(rows, bytesOfRow), i8);
  };
}

Value TopkKernel::hasChunk(const Turns &turns, int64_t number) {
  return turns.chunks == number ? Value() : emit.less(turns.chunk, emit.i32(number));
}

void TopkKernel::storeChunks(const Turns &turns, int64_t count, const Memory &memory, Value batch,
                             Value head, Value firstRow, Value limit,
                             llvm::function_ref<Value(Value)> chunk) {
  auto address = chunkAddresses(turns, memory, batch, head, firstRowOfWarp(firstRow));
  Value numRows = emit.sub(kernel.rowsLeft(memory, kernel.scalar(firstRow), limit),
                           emit.toI64(emit.mul(kernel.warp, rowsOfWarp)));
  numRows = emit.toI32(emit.minSigned(numRows, emit.i64(rowsOfWarp)));
  Value isThere = hasChunk(turns, count);
  auto storeChunk = [&](Value row) {
    Value bytes = chunk(row), target = address(emit.add(turns.first, row));
    if (isThere)
      emit.when(isThere, [&] { emit.store(bytes, target, bytesOfChunk); });
    else
      emit.store(bytes, target, bytesOfChunk);
  };
  emit.choose(
      emit.equal(numRows, emit.i32(rowsOfWarp)),
      [&]() -> Values {
        for (int64_t row = 0; row < rowsOfWarp; row += turns.atOnce)
          storeChunk(emit.i32(row));
        return {};
      },
      [&]() -> Values {
        emit.loop(emit.i32(0), numRows, emit.i32(turns.atOnce), {}, [&](Value row, ValueRange) {
          emit.when(emit.less(emit.add(turns.first, row), numRows), [&] { storeChunk(row); });
          return Values();
        });
        return {};
      });
}

LogicalResult TopkKernel::lower(LoadOp op) {
  auto tile = cast<TileType>(op.getTile().getType());
  Type element = tile.getElementType();
  if (!sfa::GpuFeatures::allow(tile.getColumns()) || element.getIntOrFloatBitWidth() != 16)
    return op.emitOpError() << "gives " << tile << "; " << sfa::GpuFeatures::description;
  // Behind the last feature the row in shared memory has zeros. They are never kept: of the same
  // magnitude the first ones are, and there are k of these.
  features = std::max<int64_t>(64, llvm::PowerOf2Ceil(tile.getColumns()));
  chunks = tile.getColumns() * bytesOfElement / bytesOfChunk;
  if (tile.getRows() != rowKernelThreads)
    return op.emitOpError() << "gives " << tile.getRows() << " rows; a GPU selects features of "
                            << rowKernelThreads << " rows at once";
  nanKey = element.isBF16() ? 0x7F81 : 0x7C01;

  const Memory &memory = kernel.memory(op.getMemory());
  // 16 bytes more than a row: 8 lanes that read 16 bytes of their rows find them in all the banks.
  stride = features * bytesOfElement + bytesOfChunk;
  Value shared = kernel.allocateShared(rowKernelThreads * stride);
  rowsInShared = emit.offset(shared, emit.mul(kernel.warp, rowsOfWarp * stride), emit.getI8Type());
  rowInShared = emit.offset(rowsInShared, emit.mul(kernel.lane, stride), emit.getI8Type());

  // Each warp loads its own rows. What stands in the place of rows after the last one is the last.
  Value end = emit.sub(memory.rows, 1);
  Value first = emit.minSigned(firstRowOfWarp(op.getRow()), end);
  Value last = emit.toI32(emit.minSigned(emit.sub(end, first), emit.i64(rowsOfWarp - 1)));
  Turns turns = takeTurns(features * bytesOfElement);
  Value size;
  Turns source = turns;
  if (Value isThere = hasChunk(turns, chunks)) {
    size = emit.select(isThere, emit.i32(bytesOfChunk), emit.i32(0));
    source.chunk = emit.select(isThere, turns.chunk, emit.i32(0));
  }
  auto address = chunkAddresses(source, memory, op.getBatch(), op.getHead(), first);
  for (int64_t row = 0; row < rowsOfWarp; row += turns.atOnce)
    emit.make<NVVM::CpAsyncOp>(chunkInShared(turns, emit.i32(row), 0),
                               address(min(emit.add(turns.first, row), last)), bytesOfChunk,
                               NVVM::LoadCacheModifierKind::CG, size);
  emit.make<NVVM::CpAsyncCommitGroupOp>();
  emit.make<NVVM::CpAsyncWaitGroupOp>(0u);
  emit.make<NVVM::SyncWarpOp>(emit.i32(-1));
  loaded = op.getTile();
  return success();
}

Value TopkKernel::vectorOf(ArrayRef<Value> elements) {
  Value vector = emit.make<LLVM::PoisonOp>(
      VectorType::get(static_cast<int64_t>(elements.size()), elements[0].getType()));
  for (auto [i, element] : llvm::enumerate(elements))
    vector = emit.make<LLVM::InsertElementOp>(vector, element, emit.i32(i));
  return vector;
}

LogicalResult TopkKernel::lower(ExpandOp op) {
  expanded = op.getTile();
  return success();
}

Value TopkKernel::clearUnset(Value words, Value mask) {
  // Bits 7, 6, 5 and 4 in the highest bits of four bytes, in order; then bits 3, 2, 1 and 0.
  Value signs[] = {emit.mul(mask, 0x08040201), emit.mul(mask, 0x80402010)};
  Values cleared;
  for (int64_t i = 0; i < 4; ++i) {
    Value word = emit.make<LLVM::ExtractElementOp>(words, emit.i32(i));
    Value sign = signs[i / 2];
    cleared.push_back(emit.bitAnd(word, emit.permute(sign, sign, i % 2 == 0 ? 0x9988 : 0xBBAA)));
  }
  return vectorOf(cleared);
}

void TopkKernel::shareMasks() {
  Value mine = emit.offset(scratch, emit.mul(kernel.lane, features / 8), emit.getI8Type());
  int64_t atOnce = std::min<int64_t>(nonZero.size(), 4);
  for (size_t word = 0; word < nonZero.size(); word += atOnce)
    emit.store(vectorOf(ArrayRef(nonZero).slice(word, atOnce)), emit.offset(mine, 4 * word),
               4 * atOnce);
  emit.make<NVVM::SyncWarpOp>(emit.i32(-1));
}

LogicalResult TopkKernel::lower(StoreOp op) {
  if (integers)
    storeIntegers(op);
  else
    storeRows(op);
  // What is in shared memory has been read.
  emit.make<NVVM::SyncWarpOp>(emit.i32(-1));
  return success();
}

void TopkKernel::storeRows(StoreOp op) {
  shareMasks();
  Type i8 = emit.getI8Type(), i32 = emit.getI32Type();
  int64_t bytesOfMasks = features / 8;
  Turns turns = takeTurns(features * bytesOfElement);
  // The first features of a word are in its highest byte, which is the last one.
  Value firstMask = emit.offset(
      scratch, emit.add(emit.mul(turns.first, bytesOfMasks), emit.bitXor(turns.chunk, 3)), i8);
  storeChunks(turns, chunks, kernel.memory(op.getMemory()), op.getBatch(), op.getHead(),
              op.getRow(), op.getLimit(), [&](Value row) {
                Value mask = emit.load(i8, emit.offset(firstMask, emit.mul(row, bytesOfMasks), i8));
                Value words =
                    emit.load(VectorType::get(4, i32), chunkInShared(turns, row, 0), bytesOfChunk);
                return clearUnset(words, emit.make<arith::ExtUIOp>(i32, mask));
              });
}

void TopkKernel::storeIntegers(StoreOp op) {
  // The values of the row are in registers, and nobody but its thread has read them.
  Type words = VectorType::get(4, emit.getI32Type());
  Value none = emit.make<arith::ConstantOp>(cast<TypedAttr>(emit.getZeroAttr(words)));
  int64_t bytes = op.getTile().getType().getColumns();
  for (int64_t byte = 0; byte < bytes; byte += bytesOfChunk)
    emit.store(none, emit.offset(rowInShared, byte), bytesOfChunk);
  for (auto [integer, feature] : llvm::zip_equal(rounded.bits, rounded.numbers))
    emit.store(integer, emit.offset(rowInShared, feature, emit.getI8Type()), 1);
  emit.make<NVVM::SyncWarpOp>(emit.i32(-1));
  Turns turns = takeTurns(features);
  storeChunks(turns, bytes / bytesOfChunk, kernel.memory(op.getMemory()), op.getBatch(),
              op.getHead(), op.getRow(), op.getLimit(), [&](Value row) {
                return emit.load(words, chunkInShared(turns, row, 0), bytesOfChunk);
              });
}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

LogicalResult TopkKernel::lower(StoreCodesOp op) {
  codesAreStored = true;
  // Values and features both in whole pieces of 16 bytes.
  if (!integers && k % bytesOfChunk == 0 && k <= maxTogether && features <= maxFeaturesTogether)
    storeCodesTogether(op);
  else
    storeOwnCodes(op);
  return success();
}

Values TopkKernel::listMasks() {
  // Without those that have no bits the next one is found in one step.
  Value mine = emit.offset(scratch, emit.mul(kernel.lane, bytesOfMask), emit.getI8Type());
  Value zero = emit.i32(0), numbers = zero, shift = zero;
  for (auto [number, mask] : llvm::enumerate(masks)) {
    emit.store(mask, emit.offset(mine, number * bytesOfWarpsMasks), bytesOfMask);
    Value isEmpty = emit.equal(mask, zero),
          listed = emit.make<arith::ShLIOp>(emit.i32(number), shift);
    numbers = emit.bitOr(numbers, emit.select(isEmpty, zero, listed));
    shift = emit.select(isEmpty, shift, emit.add(shift, bitsOfNumber));
  }
  return {zero, zero, numbers};
}

TopkKernel::Codes TopkKernel::nextCodes(int64_t count, Values &state) {
  Type i8 = emit.getI8Type(), i16 = emit.getI16Type(), i32 = emit.getI32Type();
  Value mine = emit.offset(scratch, emit.mul(kernel.lane, bytesOfMask), i8), zero = emit.i32(0);
  Codes codes;
  for (int64_t i = 0; i < count; ++i) {
    state = emit.choose(
        emit.equal(state[0], zero),
        [&]() -> Values {
          Value number = emit.bitAnd(state[2], (1 << bitsOfNumber) - 1);
          Value mask = emit.load(i32, emit.offset(mine, emit.mul(number, bytesOfWarpsMasks), i8),
                                 bytesOfMask);
          return {mask, emit.mul(number, featuresOfMask), emit.shiftRight(state[2], bitsOfNumber)};
        },
        [&]() -> Values { return state; });
    Value place = emit.make<LLVM::CountLeadingZerosOp>(i32, state[0], /*is_zero_poison=*/false);
    state[0] = emit.bitAnd(state[0], shiftRight(emit.i32(0x7FFFFFFF), place));
    Value feature = emit.add(state[1], place);
    codes.bits.push_back(emit.load(i16, emit.offset(rowInShared, feature, i16)));
    codes.numbers.push_back(feature);
  }
  return codes;
}

/// Whether all of `numbers` are multiples of `unit`, a power of two.
static Value areMultiples(Emitter &emit, ArrayRef<Value> numbers, int64_t unit) {
  Value bits = emit.i64(0);
  for (Value number : numbers)
    bits = emit.bitOr(bits, emit.bitAnd(number, unit - 1));
  return emit.equal(bits, emit.i64(0));
}

Value TopkKernel::bytesOf(ArrayRef<Value> numbers) {
  return vectorOf(llvm::map_to_vector(numbers, [&](Value number) -> Value {
    return emit.make<arith::TruncIOp>(emit.getI8Type(), number);
  }));
}

void TopkKernel::storeOwnCodes(StoreCodesOp op) {
  const Memory &values = kernel.memory(op.getValues()), &indices = kernel.memory(op.getIndices());
  Type i8 = emit.getI8Type(), i64 = emit.getI64Type();
  Value row = emit.add(emit.toI64(kernel.scalar(op.getRow())), emit.toI64(kernel.thread));
  Type value = emit.getIntegerType(values.type.getElementTypeBitWidth());
  int64_t bytesOfValue = value.getIntOrFloatBitWidth() / 8;
  int64_t atOnce = std::gcd(k, bytesOfChunk / bytesOfValue);
  emit.when(emit.less(row, values.rows), [&] {
    Value batch = kernel.scalar(op.getBatch()), head = kernel.scalar(op.getHead());
    Value valueRow = kernel.address(values, batch, head, row);
    Value indexRow = kernel.address(indices, batch, head, row);
    // Rows of codes may start anywhere.
    Value isAligned = emit.make<arith::AndIOp>(
        areMultiples(emit, emit.make<LLVM::PtrToIntOp>(i64, valueRow).getResult(),
                     bytesOfValue * atOnce),
        areMultiples(emit, emit.make<LLVM::PtrToIntOp>(i64, indexRow).getResult(), atOnce));
    auto storePiece = [&](Value start, ArrayRef<Value> bits, ArrayRef<Value> numbers) {
      Value valueStart = emit.offset(valueRow, start, value);
      Value indexStart = emit.offset(indexRow, start, i8);
      emit.choose(
          isAligned,
          [&]() -> Values {
            emit.store(vectorOf(bits), valueStart, bytesOfValue * atOnce);
            emit.store(bytesOf(numbers), indexStart, atOnce);
            return {};
          },
          [&]() -> Values {
            for (int64_t i = 0; i < atOnce; ++i) {
              emit.store(bits[i], emit.offset(valueStart, bytesOfValue * i), bytesOfValue);
              emit.store(emit.make<arith::TruncIOp>(i8, numbers[i]), emit.offset(indexStart, i), 1);
            }
            return {};
          });
    };
    if (integers) {
      for (int64_t start = 0; start < k; start += atOnce)
        storePiece(emit.i32(start), ArrayRef(rounded.bits).slice(start, atOnce),
                   ArrayRef(rounded.numbers).slice(start, atOnce));
      return;
    }
    emit.loop(emit.i32(0), emit.i32(k), emit.i32(atOnce), listMasks(),
              [&](Value start, ValueRange in) {
                Values state(in);
                Codes codes = nextCodes(atOnce, state);
                storePiece(start, codes.bits, codes.numbers);
                return state;
              });
  });
}

void TopkKernel::storeCodesTogether(StoreCodesOp op) {
  const Memory &values = kernel.memory(op.getValues()), &indices = kernel.memory(op.getIndices());
  Type i8 = emit.getI8Type(), i16 = emit.getI16Type(), i64 = emit.getI64Type();
  constexpr int64_t atOnce = 8;
  int64_t bytesOfValues = k * bytesOfElement;
  // They take the place of the row: values behind the features that are read, which come in order;
  // the numbers of features after them, once all are read.
  Values state = listMasks(), numbers;
  for (int64_t start = 0; start < k; start += atOnce) {
    Codes codes = nextCodes(atOnce, state);
    emit.store(vectorOf(codes.bits), emit.offset(rowInShared, start * bytesOfElement),
               atOnce * bytesOfElement);
    numbers.push_back(bytesOf(codes.numbers));
  }
  for (auto [i, eight] : llvm::enumerate(numbers))
    emit.store(eight, emit.offset(rowInShared, bytesOfValues + atOnce * i), atOnce);
  emit.make<NVVM::SyncWarpOp>(emit.i32(-1));

  Value batch = kernel.scalar(op.getBatch()), head = kernel.scalar(op.getHead());
  auto start = [&](const Memory &memory) -> Value {
    return emit.make<LLVM::PtrToIntOp>(
        i64, kernel.address(memory, batch, head, firstRowOfWarp(op.getRow())));
  };
  // Rows of codes may start anywhere.
  Value isAligned = areMultiples(emit,
                                 {start(values), emit.mul(values.rowStride, bytesOfElement),
                                  start(indices), indices.rowStride},
                                 bytesOfChunk);
  auto storeAll = [&](const Memory &memory, int64_t bytesOfRow, int64_t byte) {
    Turns turns = takeTurns(bytesOfRow);
    storeChunks(turns, turns.chunks, memory, op.getBatch(), op.getHead(), op.getRow(),
                /*limit=*/Value(), [&](Value row) {
                  return emit.load(VectorType::get(4, emit.getI32Type()),
                                   chunkInShared(turns, row, byte), bytesOfChunk);
                });
  };
  emit.choose(
      isAligned,
      [&]() -> Values {
        storeAll(values, bytesOfValues, 0);
        storeAll(indices, k, bytesOfValues);
        return {};
      },
      [&]() -> Values {
        Value row = emit.add(emit.toI64(kernel.scalar(op.getRow())), emit.toI64(kernel.thread));
        emit.when(emit.less(row, values.rows), [&] {
          Value valueRow = kernel.address(values, batch, head, row);
          Value indexRow = kernel.address(indices, batch, head, row);
          Value numbersInShared = emit.offset(rowInShared, bytesOfValues);
          emit.loop(emit.i32(0), emit.i32(k), emit.i32(1), {}, [&](Value place, ValueRange) {
            emit.store(emit.load(i16, emit.offset(rowInShared, place, i16)),
                       emit.offset(valueRow, place, i16), 2);
            emit.store(emit.load(i8, emit.offset(numbersInShared, place, i8)),
                       emit.offset(indexRow, place, i8), 1);
            return Values();
          });
        });
        return {};
      });
}

//===----------------------------------------------------------------------===//
// Integers of 8 bits
//===----------------------------------------------------------------------===//

LogicalResult TopkKernel::lower(QuantizeCodesOp op) {
  if (k > SparsifyOp::mostRounded)
    return op.emitOpError() << "rounds " << k << " values of a row; a GPU rounds at most "
                            << SparsifyOp::mostRounded
                            << " where it selects them: use sfa.quantize after sfa.sparsify";
  Values state = listMasks();
  rounded = nextCodes(k, state);
  Rounding rounding(kernel);
  Type element = op.getCodes().getType().getElementType();
  Value largest = emit.i32(0);
  Values values;
  for (Value bits : rounded.bits) {
    values.push_back(emit.make<arith::ExtFOp>(emit.getF32Type(), emit.bitcast(element, bits)));
    largest = rounding.larger(largest, values.back());
  }
  if (op.getSharedBy() == Scales::Token)
    scale = rounding.searchScale(largest, [&](Rounding::AddError add) {
      Value sum = emit.f32(0.0f);
      for (Value value : values)
        sum = add(value, sum);
      return sum;
    });
  else
    scale = rounding.scaleFor(rounding.largestOfBlock(largest));
  for (auto [bits, value] : llvm::zip_equal(rounded.bits, values))
    bits = rounding.round(value, scale);
  integers = op.getIntegers();
  scales = op.getScales();
  return success();
}

LogicalResult TopkKernel::lower(StoreScalesOp op) {
  const Memory &memory = kernel.memory(op.getMemory());
  auto storeAt = [&](Value place) {
    emit.store(scale, kernel.address(memory, kernel.scalar(op.getBatch()),
                                     kernel.scalar(op.getHead()), place));
  };
  Value row = emit.toI64(kernel.scalar(op.getRow()));
  if (op.getSharedBy() == Scales::Tile) {
    emit.when(emit.equal(kernel.thread, emit.i32(0)),
              [&] { storeAt(emit.div(row, tokensOfScale)); });
    return success();
  }
  row = emit.add(row, emit.toI64(kernel.thread));
  emit.when(emit.less(row, memory.rows), [&] { storeAt(row); });
  return success();
}
