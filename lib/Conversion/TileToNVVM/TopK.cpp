//===- TopK.cpp - The kernel that selects the k features of largest magnitude - ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// A thread owns a row, so that no step of the selection crosses lanes; the rows come through shared
// memory, so that accesses to global memory are coalesced. What counts is the number of
// instructions. In order:
//
//  1. Keys: magnitudes, two to a register, as unsigned 16-bit integers with the highest bit set.
//  2. The threshold, which is the k-th largest key: sorting networks over pairs (max.u16x2,
//     min.u16x2) keep the k largest of the even and of the odd features, or, for large k, a search
//     bit by bit. NaN has many bit patterns, which count as one.
//  3. Masks of the keys that reach the threshold and of those above it, a bit a feature. Where too
//     many keys equal the threshold the lower features stay.
//  4. Dense rows go the way the rows came: a lane takes 16 bytes of a row, here of those in shared
//     memory, and clears what the row's mask, which its owner has left there, does not keep.
//  5. The set bits in order are the features; their values are read from shared memory. A row of 16
//     codes or more is put together there and goes to memory as dense rows do: stores of a thread
//     for itself would write parts of sectors, which takes longer than the selection.
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"
#include <numeric>

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::gpu;

using Values = Emitter::Values;

namespace {

class TopkKernel {
public:
  explicit TopkKernel(KernelLowering &kernel) : kernel(kernel), emit(kernel.emit) {}
  LogicalResult run();

private:
  LogicalResult lower(Operation *op);
  LogicalResult lower(LoadOp op);
  LogicalResult lower(TopkOp op);
  LogicalResult lower(StoreCodesOp op);
  LogicalResult lower(ExpandOp op);
  LogicalResult lower(StoreOp op);

  //===--- Rows between memory and shared memory ----------------------------===//

  /// How the lanes of a warp share its 32 rows: each moves 16 bytes, number `chunk`, of row `first`
  /// and of every `atOnce`-th one after it.
  struct Turns {
    int64_t atOnce;
    Value chunk, first;
  };
  Turns takeTurns(int64_t bytesOfRow);
  /// Number of the first row of the warp, i64, where those of the block start at `firstRow`.
  Value firstRowOfWarp(Value firstRow);
  /// Where the lane's 16 bytes of row `row` (i32) of the warp are in shared memory, `byte` bytes
  /// from the start of rows.
  Value chunkInShared(const Turns &turns, Value row, int64_t byte);
  /// Addresses of the lane's 16 bytes of rows of `memory[batch, head]`, by their number (i32) from
  /// `first` (i64) on.
  std::function<Value(Value)> chunkAddresses(const Turns &turns, const Memory &memory, Value batch,
                                             Value head, Value first);
  /// Stores what `chunk` gives of the warp's rows, by their number (i32) among those of the lane's
  /// first turn, as far as `memory[batch, head]` has them before `limit`.
  void storeChunks(const Turns &turns, const Memory &memory, Value batch, Value head,
                   Value firstRow, Value limit, llvm::function_ref<Value(Value)> chunk);
  /// Leaves the masks of each row in shared memory, row after row of the warp, for all of its
  /// lanes.
  void shareMasks();

  //===--- Codes ------------------------------------------------------------===//

  /// Codes of the thread's row that follow one another: values and features.
  struct Codes {
    Values bits, numbers;
  };
  /// The list of the masks that have bits, in `scratch`.
  void listMasks();
  /// The next `count` codes of the list; `state` is what is left of a mask, its first feature and
  /// where in the list the next one is, at first three times 0.
  Codes nextCodes(int64_t count, Values &state);
  /// Each thread the codes of its row.
  void storeOwnCodes(StoreCodesOp op);
  /// The warp those of its rows, in shared memory first.
  void storeCodesTogether(StoreCodesOp op);

  //===--- Keys -----------------------------------------------------------===//

  /// Of the thread's row: features 2 i and 2 i + 1 in word i.
  Values loadKeys();
  /// The two largest keys of every four, in one word.
  Values twoLargestOfFour(ArrayRef<Value> keys);
  /// Flags of the features that are those two. Makes all NaN one key.
  Values ranksInFour(Values &keys);
  /// `sum` less the weights, four signed bytes, of the flags of two words that are set.
  Value weigh(Value first, Value second, int64_t weights, Value sum);
  /// Flags, bits 15 and 31, of the halves of `a` that are at least those of `b`, both keys.
  Value reaches(Value a, Value b) { return emit.sub(a, emit.bitAnd(b, 0x7FFF7FFF)); }

  //===--- Threshold ------------------------------------------------------===//

  /// The k-th largest of all keys, without the highest bit.
  Value thresholdBySorting(ArrayRef<Value> keys);
  Value thresholdBySearch(ArrayRef<Value> keys);
  Value max(Value a, Value b) { return emit.make<arith::MaxUIOp>(a, b); }
  Value min(Value a, Value b) { return emit.make<arith::MinUIOp>(a, b); }
  /// Compares and exchanges.
  void order(Value &larger, Value &smaller);
  /// Descending, by odd-even merging (Batcher).
  void sort(MutableArrayRef<Value> keys);
  /// The `count` largest, a power of two, descending; all of them where there are fewer.
  Values sortLargest(ArrayRef<Value> keys, size_t count);

  //===--- Masks ----------------------------------------------------------===//

  /// The first feature of a word is its highest bit.
  static constexpr int64_t featuresOfMask = 32;
  /// Bits of the flags that the words of 32 features have.
  Value collect(ArrayRef<Value> flags);
  /// Cuts `reach` down to k bits, of which those in `above` stay.
  Values dropTies(ArrayRef<Value> reach, ArrayRef<Value> above);
  /// As many of the highest bits of `word` as `count` says, which are fewer than it has.
  Value highestBits(Value word, Value count);
  /// Four words of eight features, 0 where a bit of `mask`, the low byte of a word, is not set.
  Value clearUnset(Value words, Value mask);

  //===--- Small things ---------------------------------------------------===//

  Value swapHalves(Value word) { return emit.permute(word, word, 0x1032); }
  Value invert(Value word) { return emit.bitXor(word, int64_t(-1)); }
  Value vectorOf(ArrayRef<Value> elements);
  Value countBits(Value word) { return emit.make<LLVM::CtPopOp>(emit.getI32Type(), word); }
  Value shiftRight(Value a, Value b) { return emit.make<arith::ShRUIOp>(a, b); }
  /// The same 16 bits in both halves.
  Value inBothHalves(Value half) { return emit.mul(half, 0x10001); }
  Value asPair(Value word) { return emit.bitcast(VectorType::get(2, emit.getI16Type()), word); }
  Value asWord(Value pair) { return emit.bitcast(emit.getI32Type(), pair); }

  KernelLowering &kernel;
  Emitter &emit;
  int64_t features = 0, k = 0, nanKey = 0;
  int64_t stride = 0;             // of rows in shared memory, in bytes
  Value rowsInShared;             // those of the warp
  Value rowInShared;              // that of the thread
  Values masks, nonZero;          // of the features that are kept, and of those of them not 0
  Value scratch;                  // shared memory of the warp for masks
  Value loaded, chosen, expanded; // the tile in shared memory, the codes of `masks`, their rows
  bool storesCodes = false;       // or has: the tile is overwritten
};

/// Up to this k the networks are cheaper than the search.
constexpr int64_t maxSortedK = 32;
constexpr int64_t bytesOfElement = 2, bytesOfChunk = 16;
constexpr int64_t keyFlags = 0x80008000;
constexpr int64_t rowsOfWarp = 32, bytesOfEntry = 8, bytesOfEntries = rowsOfWarp * bytesOfEntry;
/// As many codes are unrolled where a warp stores them together.
constexpr int64_t maxTogether = 32;

} // namespace

//===----------------------------------------------------------------------===//
// Kernel
//===----------------------------------------------------------------------===//

LogicalResult TopkKernel::run() {
  for (Operation &op : kernel.kernel.getBody().front().without_terminator())
    if (failed(lower(&op)))
      return failure();
  return success();
}

LogicalResult TopkKernel::lower(Operation *op) {
  emit.setLoc(op->getLoc());
  auto lowerIf = [&](bool isInOrder, auto tileOp) -> LogicalResult {
    if (!isInOrder)
      return op->emitOpError("is not supported here on a GPU: a kernel that selects features loads "
                             "rows once, selects from them and stores the codes written out, the "
                             "codes, or both in this order");
    return lower(tileOp);
  };
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](LoadOp load) { return lowerIf(!loaded, load); })
      .Case([&](TopkOp topk) { return lowerIf(topk.getTile() == loaded, topk); })
      .Case([&](StoreCodesOp store) {
        return lowerIf(store.getCodes() == chosen && !storesCodes, store);
      })
      .Case([&](ExpandOp expand) { return lowerIf(expand.getCodes() == chosen, expand); })
      .Case([&](StoreOp store) {
        return lowerIf(store.getTile() == expanded && !storesCodes, store);
      })
      .Default([&](Operation *other) -> LogicalResult {
        if (!isa<arith::ArithDialect>(other->getDialect()))
          return other->emitOpError("is not supported in a kernel that selects features on a GPU");
        emit.clone(*other, kernel.mapping);
        return success();
      });
}

LogicalResult sfa::gpu::lowerTopkKernel(KernelLowering &lowering) {
  return TopkKernel(lowering).run();
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

TopkKernel::Turns TopkKernel::takeTurns(int64_t bytesOfRow) {
  int64_t chunksInRow = bytesOfRow / bytesOfChunk;
  return {rowsOfWarp / chunksInRow, emit.rem(kernel.lane, chunksInRow),
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

void TopkKernel::storeChunks(const Turns &turns, const Memory &memory, Value batch, Value head,
                             Value firstRow, Value limit, llvm::function_ref<Value(Value)> chunk) {
  auto address = chunkAddresses(turns, memory, batch, head, firstRowOfWarp(firstRow));
  Value numRows = emit.sub(kernel.rowsLeft(memory, kernel.scalar(firstRow), limit),
                           emit.toI64(emit.mul(kernel.warp, rowsOfWarp)));
  numRows = emit.toI32(emit.minSigned(numRows, emit.i64(rowsOfWarp)));
  auto storeChunk = [&](Value row) {
    emit.store(chunk(row), address(emit.add(turns.first, row)), bytesOfChunk);
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
  features = tile.getColumns();
  if ((features != 64 && features != 128 && features != 256) ||
      element.getIntOrFloatBitWidth() != 16)
    return op.emitOpError() << "gives " << tile
                            << "; a GPU needs f16 or bf16 and 64, 128 or 256 features";
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
  auto address = chunkAddresses(turns, memory, op.getBatch(), op.getHead(), first);
  for (int64_t row = 0; row < rowsOfWarp; row += turns.atOnce)
    emit.make<NVVM::CpAsyncOp>(chunkInShared(turns, emit.i32(row), 0),
                               address(min(emit.add(turns.first, row), last)), bytesOfChunk,
                               NVVM::LoadCacheModifierKind::CG, Value());
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

void TopkKernel::shareMasks() {
  Value mine = emit.offset(scratch, emit.mul(kernel.lane, features / 8), emit.getI8Type());
  int64_t atOnce = std::min<int64_t>(nonZero.size(), 4);
  for (size_t word = 0; word < nonZero.size(); word += atOnce)
    emit.store(vectorOf(ArrayRef(nonZero).slice(word, atOnce)), emit.offset(mine, 4 * word),
               4 * atOnce);
  emit.make<NVVM::SyncWarpOp>(emit.i32(-1));
}

LogicalResult TopkKernel::lower(StoreOp op) {
  shareMasks();
  Type i8 = emit.getI8Type(), i32 = emit.getI32Type();
  int64_t bytesOfMasks = features / 8;
  Turns turns = takeTurns(features * bytesOfElement);
  // The first features of a word are in its highest byte, which is the last one.
  Value firstMask = emit.offset(
      scratch, emit.add(emit.mul(turns.first, bytesOfMasks), emit.bitXor(turns.chunk, 3)), i8);
  storeChunks(turns, kernel.memory(op.getMemory()), op.getBatch(), op.getHead(), op.getRow(),
              op.getLimit(), [&](Value row) {
                Value mask = emit.load(i8, emit.offset(firstMask, emit.mul(row, bytesOfMasks), i8));
                Value words =
                    emit.load(VectorType::get(4, i32), chunkInShared(turns, row, 0), bytesOfChunk);
                return clearUnset(words, emit.make<arith::ExtUIOp>(i32, mask));
              });
  // What is in shared memory has been read.
  emit.make<NVVM::SyncWarpOp>(emit.i32(-1));
  return success();
}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

LogicalResult TopkKernel::lower(StoreCodesOp op) {
  storesCodes = true;
  listMasks();
  // Values in front of features, in the place of the row.
  bool fits = k * (bytesOfElement + 1) <= stride;
  if (fits && k % bytesOfChunk == 0 && k <= maxTogether)
    storeCodesTogether(op);
  else
    storeOwnCodes(op);
  return success();
}

void TopkKernel::listMasks() {
  // Each with its first feature: the next one is found in one step, however many have no bits.
  Value list = emit.offset(scratch, emit.mul(kernel.lane, bytesOfEntry), emit.getI8Type());
  Value end = emit.i32(0), zero = emit.i32(0);
  for (auto [word, mask] : llvm::enumerate(masks)) {
    emit.store(vectorOf({mask, emit.i32(word * featuresOfMask)}),
               emit.offset(list, end, emit.getI8Type()), bytesOfEntry);
    Value isEmpty = emit.equal(mask, zero);
    end = emit.select(isEmpty, end, emit.add(end, bytesOfEntries));
  }
}

TopkKernel::Codes TopkKernel::nextCodes(int64_t count, Values &state) {
  Type i8 = emit.getI8Type(), i16 = emit.getI16Type(), i32 = emit.getI32Type();
  Type entry = VectorType::get(2, i32);
  Value list = emit.offset(scratch, emit.mul(kernel.lane, bytesOfEntry), i8), zero = emit.i32(0);
  Codes codes;
  for (int64_t i = 0; i < count; ++i) {
    state = emit.choose(
        emit.equal(state[0], zero),
        [&]() -> Values {
          Value words = emit.load(entry, emit.offset(list, state[2], i8), bytesOfEntry);
          return {emit.make<LLVM::ExtractElementOp>(words, zero),
                  emit.make<LLVM::ExtractElementOp>(words, emit.i32(1)),
                  emit.add(state[2], bytesOfEntries)};
        },
        [&]() -> Values { return state; });
    Value place = emit.make<LLVM::CountLeadingZerosOp>(i32, state[0], /*is_zero_poison=*/false);
    state[0] = emit.bitAnd(state[0], shiftRight(emit.i32(0x7FFFFFFF), place));
    Value feature = emit.add(state[1], place);
    codes.bits.push_back(emit.load(i16, emit.offset(rowInShared, feature, i16)));
    codes.numbers.push_back(emit.make<arith::TruncIOp>(i8, feature));
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

void TopkKernel::storeOwnCodes(StoreCodesOp op) {
  const Memory &values = kernel.memory(op.getValues()), &indices = kernel.memory(op.getIndices());
  Type i8 = emit.getI8Type(), i16 = emit.getI16Type(), i64 = emit.getI64Type();
  Value row = emit.add(emit.toI64(kernel.scalar(op.getRow())), emit.toI64(kernel.thread));
  int64_t atOnce = std::gcd<int64_t>(k, 8);
  emit.when(emit.less(row, values.rows), [&] {
    Value batch = kernel.scalar(op.getBatch()), head = kernel.scalar(op.getHead());
    Value valueRow = kernel.address(values, batch, head, row);
    Value indexRow = kernel.address(indices, batch, head, row);
    // Rows of codes may start anywhere.
    Value isAligned = emit.make<arith::AndIOp>(
        areMultiples(emit, emit.make<LLVM::PtrToIntOp>(i64, valueRow).getResult(), 2 * atOnce),
        areMultiples(emit, emit.make<LLVM::PtrToIntOp>(i64, indexRow).getResult(), atOnce));
    Values init(3, emit.i32(0));
    emit.loop(emit.i32(0), emit.i32(k), emit.i32(atOnce), init, [&](Value start, ValueRange in) {
      Values state(in);
      Codes codes = nextCodes(atOnce, state);
      Value valueStart = emit.offset(valueRow, start, i16);
      Value indexStart = emit.offset(indexRow, start, i8);
      emit.choose(
          isAligned,
          [&]() -> Values {
            emit.store(vectorOf(codes.bits), valueStart, 2 * atOnce);
            emit.store(vectorOf(codes.numbers), indexStart, atOnce);
            return {};
          },
          [&]() -> Values {
            for (int64_t i = 0; i < atOnce; ++i) {
              emit.store(codes.bits[i], emit.offset(valueStart, 2 * i), 2);
              emit.store(codes.numbers[i], emit.offset(indexStart, i), 1);
            }
            return {};
          });
      return state;
    });
  });
}

void TopkKernel::storeCodesTogether(StoreCodesOp op) {
  const Memory &values = kernel.memory(op.getValues()), &indices = kernel.memory(op.getIndices());
  Type i8 = emit.getI8Type(), i16 = emit.getI16Type(), i64 = emit.getI64Type();
  constexpr int64_t atOnce = 8;
  int64_t bytesOfValues = k * bytesOfElement;
  // Values may take the place of features before the next one, but features only that of a row that
  // is not needed any more.
  Values state(3, emit.i32(0)), numbers;
  for (int64_t start = 0; start < k; start += atOnce) {
    Codes codes = nextCodes(atOnce, state);
    emit.store(vectorOf(codes.bits), emit.offset(rowInShared, start * bytesOfElement),
               atOnce * bytesOfElement);
    numbers.push_back(vectorOf(codes.numbers));
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
    storeChunks(turns, memory, op.getBatch(), op.getHead(), op.getRow(), /*limit=*/Value(),
                [&](Value row) {
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
// Keys
//===----------------------------------------------------------------------===//

LogicalResult TopkKernel::lower(TopkOp op) {
  k = op.getCodes().getType().getK();
  bool isSorted = k <= maxSortedK;
  Values keys = loadKeys();
  Values candidates = op.getTwoFour() ? twoLargestOfFour(keys) : keys;
  Value threshold = isSorted ? thresholdBySorting(candidates) : thresholdBySearch(candidates);
  if (isSorted) {
    // Reading the keys again costs less than the warps for which their registers would leave no
    // place. Without the barrier the compiler would hold them.
    emit.make<NVVM::SyncWarpOp>(emit.i32(-1));
    keys = loadKeys();
  }
  Values eligible = op.getTwoFour() ? ranksInFour(keys) : Values();
  // No key is above NaN, of whatever bits.
  Value nan = emit.i32(nanKey);
  threshold = min(threshold, nan);
  Value next = emit.select(emit.equal(threshold, nan), emit.i32(0x8000), emit.add(threshold, 1));
  Value reachesZero = emit.equal(threshold, emit.i32(0));
  threshold = inBothHalves(threshold);
  next = inBothHalves(next);
  auto whatReaches = [&](Value bound, size_t first) {
    Values flags;
    for (size_t i = first; i < first + featuresOfMask / 2; ++i) {
      Value isReached = emit.sub(keys[i], bound);
      flags.push_back(op.getTwoFour() ? emit.bitAnd(isReached, eligible[i]) : isReached);
    }
    return collect(flags);
  };
  Values reach, above;
  for (size_t first = 0; first < keys.size(); first += featuresOfMask / 2) {
    reach.push_back(whatReaches(threshold, first));
    above.push_back(whatReaches(next, first));
  }
  masks = dropTies(reach, above);
  // A feature that is 0 is kept only where the threshold is 0, too.
  for (auto [kept, higher] : llvm::zip_equal(masks, above))
    nonZero.push_back(emit.select(reachesZero, higher, kept));
  chosen = op.getCodes();
  // Of lists of masks with their first features, or of masks alone.
  bool isListed = !kernel.kernel.getBody().getOps<StoreCodesOp>().empty();
  int64_t bytesOfScratch = rowsOfWarp * (isListed ? 2 : 1) * features / 8;
  scratch = emit.offset(kernel.allocateShared(rowKernelThreads / rowsOfWarp * bytesOfScratch),
                        emit.mul(kernel.warp, bytesOfScratch), emit.getI8Type());
  return success();
}

Values TopkKernel::loadKeys() {
  Values keys;
  for (int64_t byte = 0; byte < features * bytesOfElement; byte += bytesOfChunk) {
    Value words = emit.load(VectorType::get(4, emit.getI32Type()), emit.offset(rowInShared, byte),
                            bytesOfChunk);
    for (int64_t i = 0; i < 4; ++i)
      keys.push_back(
          emit.bitOr(emit.make<LLVM::ExtractElementOp>(words, emit.i32(i)), emit.i32(keyFlags)));
  }
  return keys;
}

Values TopkKernel::twoLargestOfFour(ArrayRef<Value> keys) {
  auto swap = [&](Value pair) { return asPair(swapHalves(asWord(pair))); };
  Values words;
  for (size_t i = 0; i < keys.size(); i += 2) {
    // The second is the smaller one of two winners, or the larger one of two losers.
    Value winners = asPair(keys[i]), losers = asPair(keys[i + 1]);
    order(winners, losers);
    Value largest = max(winners, swap(winners));
    Value second = max(min(winners, swap(winners)), max(losers, swap(losers)));
    words.push_back(emit.permute(asWord(largest), asWord(second), 0x5410));
  }
  return words;
}

Values TopkKernel::ranksInFour(Values &keys) {
  Values eligible;
  Value nan = asPair(inBothHalves(emit.i32(nanKey | 0x8000)));
  for (Value &key : keys)
    key = asWord(min(asPair(key), nan));
  auto majority = [&](Value a, Value b, Value c) {
    return emit.bitOr(emit.bitAnd(a, b), emit.bitAnd(c, emit.bitOr(a, b)));
  };
  for (size_t i = 0; i < keys.size(); i += 2) {
    // Features 0 and 1 of the group, 2 and 3. Of equal keys the lower feature ranks before: one
    // that ranks before two of the others passes.
    Value first = keys[i], second = keys[i + 1];
    Value zeroTwoOneThree = reaches(first, second);
    Value zeroThreeOneTwo = reaches(first, swapHalves(second));
    Value zeroOneTwoThree =
        reaches(emit.permute(first, second, 0x5410), emit.permute(first, second, 0x7632));
    Value inverse = invert(zeroOneTwoThree);
    eligible.push_back(
        majority(zeroTwoOneThree, zeroThreeOneTwo, emit.permute(zeroOneTwoThree, inverse, 0x5410)));
    eligible.push_back(majority(invert(zeroTwoOneThree), invert(swapHalves(zeroThreeOneTwo)),
                                emit.permute(zeroOneTwoThree, inverse, 0x7632)));
  }
  return eligible;
}

//===----------------------------------------------------------------------===//
// Threshold
//===----------------------------------------------------------------------===//

void TopkKernel::order(Value &larger, Value &smaller) {
  Value a = larger, b = smaller;
  larger = max(a, b);
  smaller = min(a, b);
}

void TopkKernel::sort(MutableArrayRef<Value> keys) {
  size_t size = keys.size();
  for (size_t block = 1; block < size; block *= 2)
    for (size_t distance = block; distance >= 1; distance /= 2)
      for (size_t start = distance % block; start + distance < size; start += 2 * distance)
        for (size_t i = start; i < start + distance && i + distance < size; ++i)
          if (i / (2 * block) == (i + distance) / (2 * block))
            order(keys[i], keys[i + distance]);
}

Values TopkKernel::sortLargest(ArrayRef<Value> keys, size_t count) {
  if (keys.size() <= count) {
    Values sorted(keys);
    sort(sorted);
    return sorted;
  }
  Values a = sortLargest(keys.take_front(keys.size() / 2), count);
  Values b = sortLargest(keys.drop_front(keys.size() / 2), count);
  // The larger ones of the two lists, one of them backwards, rise and fall once: bitonic.
  for (size_t i = 0; i < count; ++i)
    a[i] = max(a[i], b[count - 1 - i]);
  for (size_t distance = count / 2; distance >= 1; distance /= 2)
    for (size_t i = 0; i < count; ++i)
      if ((i & distance) == 0)
        order(a[i], a[i + distance]);
  return a;
}

Value TopkKernel::thresholdBySorting(ArrayRef<Value> keys) {
  Values pairs;
  for (Value key : keys)
    pairs.push_back(asPair(key));
  Values largest = sortLargest(pairs, llvm::PowerOf2Ceil(k));
  largest.resize(std::max<size_t>(largest.size(), k), asPair(emit.i32(keyFlags)));
  // The k largest of two descending lists a and b are those of max(a[i], b[k - 1 - i]).
  Value smallest;
  for (int64_t i = 0; i < (k + 1) / 2; ++i) {
    Value both = max(largest[i], asPair(swapHalves(asWord(largest[k - 1 - i]))));
    smallest = smallest ? min(smallest, both) : both;
  }
  Value word = asWord(smallest);
  return emit.bitAnd(asWord(min(smallest, asPair(swapHalves(word)))), 0x7FFF);
}

Value TopkKernel::thresholdBySearch(ArrayRef<Value> keys) {
  // From the highest bit on: the largest number that k keys reach.
  return emit.loop(emit.i32(0), emit.i32(15), emit.i32(1), emit.i32(0),
                   [&](Value step, ValueRange best) {
                     Value bound = emit.bitOr(best[0], shiftRight(emit.i32(0x4000), step));
                     Value bounds = inBothHalves(bound), count = emit.i32(0);
                     for (size_t i = 0; i < keys.size(); i += 2)
                       count = weigh(emit.sub(keys[i], bounds), emit.sub(keys[i + 1], bounds),
                                     0xFFFFFFFF, count); // -1 each
                     Value isEnough = emit.compare(arith::CmpIPredicate::sge, count, emit.i32(k));
                     return Values{emit.select(isEnough, bound, best[0])};
                   })[0];
}

//===----------------------------------------------------------------------===//
// Masks
//===----------------------------------------------------------------------===//

Value TopkKernel::weigh(Value first, Value second, int64_t weights, Value sum) {
  Type bytes = VectorType::get(4, emit.getI8Type());
  // Bytes 1 and 3 of both, the highest bit of each repeated: -1 where the flag is set.
  Value isSet = emit.permute(first, second, 0xFDB9);
  return emit.make<NVVM::DotAccumulate4WayOp>(
      emit.getI32Type(), emit.bitcast(bytes, isSet), NVVM::DotAccumulateType::SIGNED,
      emit.bitcast(bytes, emit.i32(weights)), NVVM::DotAccumulateType::SIGNED, sum);
}

Value TopkKernel::collect(ArrayRef<Value> flags) {
  Value mask;
  for (size_t i = 0; i < flags.size(); i += 4) {
    Value sum = mask ? emit.shiftLeft(mask, 8) : emit.i32(0);
    sum = weigh(flags[i], flags[i + 1], 0xF0E0C080, sum);      // -128, -64, -32, -16
    mask = weigh(flags[i + 2], flags[i + 3], 0xFFFEFCF8, sum); // -8, -4, -2, -1
  }
  return mask;
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

Value TopkKernel::highestBits(Value word, Value count) {
  // The longest prefix with at most that many.
  Value length = emit.i32(0);
  for (int64_t step = featuresOfMask / 2; step >= 1; step /= 2) {
    Value longer = emit.add(length, step);
    Value bits = countBits(shiftRight(word, emit.sub(emit.i32(featuresOfMask), longer)));
    length = emit.select(emit.compare(arith::CmpIPredicate::ule, bits, count), longer, length);
  }
  return emit.bitAnd(word, invert(shiftRight(emit.i32(-1), length)));
}

Values TopkKernel::dropTies(ArrayRef<Value> reach, ArrayRef<Value> above) {
  Value wanted = emit.i32(k), zero = emit.i32(0);
  for (Value word : above)
    wanted = emit.sub(wanted, countBits(word));
  // Words of ties stay as a whole until one does not fit; of that one the lower features stay.
  Values kept, isCut;
  Value cut = zero, placesInCut = zero;
  for (auto [reached, higher] : llvm::zip_equal(reach, above)) {
    Value ties = emit.bitXor(reached, higher), count = countBits(ties);
    Value fits = emit.compare(arith::CmpIPredicate::ule, count, wanted);
    kept.push_back(emit.select(fits, reached, higher));
    isCut.push_back(emit.make<arith::AndIOp>(emit.compare(arith::CmpIPredicate::ugt, count, wanted),
                                             emit.compare(arith::CmpIPredicate::ne, wanted, zero)));
    cut = emit.select(isCut.back(), ties, cut);
    placesInCut = emit.select(isCut.back(), wanted, placesInCut);
    wanted = emit.select(fits, emit.sub(wanted, count), zero);
  }
  Value part = highestBits(cut, placesInCut);
  for (auto [word, isHere] : llvm::zip_equal(kept, isCut))
    word = emit.select(isHere, emit.bitOr(word, part), word);
  return kept;
}
