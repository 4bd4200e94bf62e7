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
//  4. The set bits in order are the features; their values are read from shared memory.
//  5. Dense rows go the way the rows came: a lane takes 16 bytes of a row, here of those in shared
//     memory, and clears what the row's mask, which its owner has left there, does not keep.
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
  /// Leaves the masks of each row in shared memory, row after row of the warp, for all of its
  /// lanes.
  Value shareMasks();
  /// Number of the first row of the warp, i64, where those of the block start at `firstRow`.
  Value firstRowOfWarp(Value firstRow);
  /// Addresses of the lane's 16 bytes of rows of `memory[batch, head]`, by their number (i32) from
  /// `first` (i64) on.
  std::function<Value(Value)> chunkAddresses(const Memory &memory, Value batch, Value head,
                                             Value first);

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
  /// Shared memory of each warp.
  Value allocateForWarp(int64_t bytes);
  Value countBits(Value word) { return emit.make<LLVM::CtPopOp>(emit.getI32Type(), word); }
  Value shiftRight(Value a, Value b) { return emit.make<arith::ShRUIOp>(a, b); }
  /// The same 16 bits in both halves.
  Value inBothHalves(Value half) { return emit.mul(half, 0x10001); }
  Value asPair(Value word) { return emit.bitcast(VectorType::get(2, emit.getI16Type()), word); }
  Value asWord(Value pair) { return emit.bitcast(emit.getI32Type(), pair); }

  KernelLowering &kernel;
  Emitter &emit;
  int64_t features = 0, k = 0, nanKey = 0;
  Value rowInShared;  // where the thread's row starts
  int64_t stride = 0; // of rows in shared memory, in bytes
  // From and to memory, the warp's rows go `rowsAtOnce` at once: a lane moves 16 bytes, number
  // `chunk`, of row `firstMoved` and of those that follow.
  int64_t rowsAtOnce = 0;
  Value chunk, firstMoved, movedInShared;
  Values masks, nonZero;          // of the features that are kept, and of those of them not 0
  Value scratch;                  // of the warp, once it has any
  Value loaded, chosen, expanded; // the tile in shared memory, the codes of `masks`, their rows
};

/// Up to this k the networks are cheaper than the search.
constexpr int64_t maxSortedK = 32;
constexpr int64_t bytesOfElement = 2, elementsOfChunk = 8, bytesOfChunk = 16;
constexpr int64_t keyFlags = 0x80008000;
constexpr int64_t rowsOfWarp = 32;

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
                             "rows once, selects from them and stores the codes, the codes written "
                             "out, or both");
    return lower(tileOp);
  };
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](LoadOp load) { return lowerIf(!loaded, load); })
      .Case([&](TopkOp topk) { return lowerIf(topk.getTile() == loaded, topk); })
      .Case([&](StoreCodesOp store) { return lowerIf(store.getCodes() == chosen, store); })
      .Case([&](ExpandOp expand) { return lowerIf(expand.getCodes() == chosen, expand); })
      .Case([&](StoreOp store) { return lowerIf(store.getTile() == expanded, store); })
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

Value TopkKernel::firstRowOfWarp(Value firstRow) {
  return emit.add(emit.toI64(kernel.scalar(firstRow)),
                  emit.toI64(emit.mul(kernel.warp, rowsOfWarp)));
}

std::function<Value(Value)> TopkKernel::chunkAddresses(const Memory &memory, Value batch,
                                                       Value head, Value first) {
  Value base = kernel.address(memory, kernel.scalar(batch), kernel.scalar(head), first);
  base = emit.offset(base, emit.mul(chunk, elementsOfChunk), emit.getI16Type());
  Value bytesOfRow = emit.mul(memory.rowStride, bytesOfElement);
  return [=](Value row) {
    // Without a sign: fewer instructions multiply it.
    Value rows = emit.make<arith::ExtUIOp>(emit.getI64Type(), row);
    return emit.offset(base, emit.mul(rows, bytesOfRow), emit.getI8Type());
  };
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
  rowInShared = emit.offset(shared, emit.mul(kernel.thread, stride), emit.getI8Type());

  // Each warp loads its own rows. What stands in the place of rows after the last one is the last.
  Value end = emit.sub(memory.rows, 1);
  Value first = emit.minSigned(firstRowOfWarp(op.getRow()), end);
  Value last = emit.toI32(emit.minSigned(emit.sub(end, first), emit.i64(rowsOfWarp - 1)));
  int64_t chunksInRow = features / elementsOfChunk;
  rowsAtOnce = rowsOfWarp / chunksInRow;
  chunk = emit.rem(kernel.lane, chunksInRow);
  firstMoved = emit.div(kernel.lane, chunksInRow);
  Value place = emit.add(emit.mul(emit.add(emit.mul(kernel.warp, rowsOfWarp), firstMoved), stride),
                         emit.mul(chunk, bytesOfChunk));
  movedInShared = emit.offset(shared, place, emit.getI8Type());
  auto address = chunkAddresses(memory, op.getBatch(), op.getHead(), first);
  for (int64_t row = 0; row < rowsOfWarp; row += rowsAtOnce)
    emit.make<NVVM::CpAsyncOp>(emit.offset(movedInShared, row * stride),
                               address(min(emit.add(firstMoved, row), last)), bytesOfChunk,
                               NVVM::LoadCacheModifierKind::CG, Value());
  emit.make<NVVM::CpAsyncCommitGroupOp>();
  emit.make<NVVM::CpAsyncWaitGroupOp>(0u);
  emit.make<NVVM::SyncWarpOp>(emit.i32(-1));
  loaded = op.getTile();
  return success();
}

Value TopkKernel::allocateForWarp(int64_t bytes) {
  Value shared = kernel.allocateShared(rowKernelThreads / rowsOfWarp * bytes);
  return emit.offset(shared, emit.mul(kernel.warp, bytes), emit.getI8Type());
}

Value TopkKernel::vectorOf(ArrayRef<Value> elements) {
  Value vector = emit.make<LLVM::PoisonOp>(
      VectorType::get(static_cast<int64_t>(elements.size()), elements[0].getType()));
  for (auto [i, element] : llvm::enumerate(elements))
    vector = emit.make<LLVM::InsertElementOp>(vector, element, emit.i32(i));
  return vector;
}

LogicalResult TopkKernel::lower(StoreCodesOp op) {
  const Memory &values = kernel.memory(op.getValues()), &indices = kernel.memory(op.getIndices());
  Type i8 = emit.getI8Type(), i16 = emit.getI16Type(), i32 = emit.getI32Type();
  Value row = emit.add(emit.toI64(kernel.scalar(op.getRow())), emit.toI64(kernel.thread));
  auto rowAddress = [&](const Memory &memory) {
    return kernel.address(memory, kernel.scalar(op.getBatch()), kernel.scalar(op.getHead()), row);
  };

  // The masks that have bits, each with its first feature, are a list in shared memory: the next
  // one is found in one step, however many have none.
  Type entry = VectorType::get(2, i32);
  constexpr int64_t bytesOfEntry = 8, bytesOfEntries = rowsOfWarp * bytesOfEntry;
  scratch = allocateForWarp(static_cast<int64_t>(masks.size()) * bytesOfEntries);
  Value list = emit.offset(scratch, emit.mul(kernel.lane, bytesOfEntry), i8);
  Value end = emit.i32(0), zero = emit.i32(0);
  for (auto [word, mask] : llvm::enumerate(masks)) {
    emit.store(vectorOf({mask, emit.i32(word * featuresOfMask)}), emit.offset(list, end, i8),
               bytesOfEntry);
    Value isEmpty = emit.equal(mask, zero);
    end = emit.select(isEmpty, end, emit.add(end, bytesOfEntries));
  }

  int64_t atOnce = std::gcd<int64_t>(k, 8);
  emit.when(emit.less(row, values.rows), [&] {
    Value valueRow = rowAddress(values), indexRow = rowAddress(indices);
    // Rows of codes may start anywhere.
    auto misplaced = [&](Value address, int64_t bytes) {
      return emit.bitAnd(emit.make<LLVM::PtrToIntOp>(emit.getI64Type(), address), bytes - 1);
    };
    Value isAligned = emit.equal(
        emit.bitOr(misplaced(valueRow, 2 * atOnce), misplaced(indexRow, atOnce)), emit.i64(0));
    Values init = {zero, zero, zero};
    emit.loop(zero, emit.i32(k), emit.i32(atOnce), init, [&](Value start, ValueRange in) {
      Value mask = in[0], first = in[1], next = in[2];
      Values bits, numbers;
      for (int64_t i = 0; i < atOnce; ++i) {
        Values now = emit.choose(
            emit.equal(mask, zero),
            [&]() -> Values {
              Value words = emit.load(entry, emit.offset(list, next, i8), bytesOfEntry);
              return {emit.make<LLVM::ExtractElementOp>(words, zero),
                      emit.make<LLVM::ExtractElementOp>(words, emit.i32(1)),
                      emit.add(next, bytesOfEntries)};
            },
            [&]() -> Values {
              return {mask, first, next};
            });
        first = now[1], next = now[2];
        Value place = emit.make<LLVM::CountLeadingZerosOp>(i32, now[0], /*is_zero_poison=*/false);
        mask = emit.bitAnd(now[0], shiftRight(emit.i32(0x7FFFFFFF), place));
        Value feature = emit.add(first, place);
        bits.push_back(emit.load(i16, emit.offset(rowInShared, feature, i16)));
        numbers.push_back(emit.make<arith::TruncIOp>(i8, feature));
      }
      Value valueStart = emit.offset(valueRow, start, i16);
      Value indexStart = emit.offset(indexRow, start, i8);
      emit.choose(
          isAligned,
          [&]() -> Values {
            emit.store(vectorOf(bits), valueStart, 2 * atOnce);
            emit.store(vectorOf(numbers), indexStart, atOnce);
            return {};
          },
          [&]() -> Values {
            for (int64_t i = 0; i < atOnce; ++i) {
              emit.store(bits[i], emit.offset(valueStart, 2 * i), 2);
              emit.store(numbers[i], emit.offset(indexStart, i), 1);
            }
            return {};
          });
      return Values{mask, first, next};
    });
  });
  return success();
}

LogicalResult TopkKernel::lower(ExpandOp op) {
  expanded = op.getTile();
  return success();
}

Value TopkKernel::shareMasks() {
  int64_t bytesOfMasks = features / 8;
  if (!scratch)
    scratch = allocateForWarp(rowsOfWarp * bytesOfMasks);
  // Lists of masks have been read: masks take their place, as more memory is fewer blocks.
  emit.make<NVVM::SyncWarpOp>(emit.i32(-1));
  Value mine = emit.offset(scratch, emit.mul(kernel.lane, bytesOfMasks), emit.getI8Type());
  int64_t atOnce = std::min<int64_t>(nonZero.size(), 4);
  for (size_t word = 0; word < nonZero.size(); word += atOnce)
    emit.store(vectorOf(ArrayRef(nonZero).slice(word, atOnce)), emit.offset(mine, 4 * word),
               4 * atOnce);
  emit.make<NVVM::SyncWarpOp>(emit.i32(-1));
  return scratch;
}

LogicalResult TopkKernel::lower(StoreOp op) {
  const Memory &memory = kernel.memory(op.getMemory());
  Type i8 = emit.getI8Type(), fourWords = VectorType::get(4, emit.getI32Type());
  int64_t bytesOfMasks = features / 8;
  // The first features of a word are in its highest byte, which is the last one.
  Value maskOfChunk = emit.offset(
      shareMasks(), emit.add(emit.mul(firstMoved, bytesOfMasks), emit.bitXor(chunk, 3)), i8);

  Value first = firstRowOfWarp(op.getRow());
  auto address = chunkAddresses(memory, op.getBatch(), op.getHead(), first);
  Value numRows = emit.sub(kernel.rowsLeft(memory, kernel.scalar(op.getRow()), op.getLimit()),
                           emit.toI64(emit.mul(kernel.warp, rowsOfWarp)));
  numRows = emit.toI32(emit.minSigned(numRows, emit.i64(rowsOfWarp)));
  auto moveRow = [&](Value start) {
    Value mask = emit.make<arith::ExtUIOp>(
        emit.getI32Type(),
        emit.load(i8, emit.offset(maskOfChunk, emit.mul(start, bytesOfMasks), i8)));
    Value words =
        emit.load(fourWords, emit.offset(movedInShared, emit.mul(start, stride), i8), bytesOfChunk);
    emit.store(clearUnset(words, mask), address(emit.add(firstMoved, start)), bytesOfChunk);
  };
  emit.choose(
      emit.equal(numRows, emit.i32(rowsOfWarp)),
      [&]() -> Values {
        for (int64_t start = 0; start < rowsOfWarp; start += rowsAtOnce)
          moveRow(emit.i32(start));
        return {};
      },
      [&]() -> Values {
        emit.loop(emit.i32(0), numRows, emit.i32(rowsAtOnce), {}, [&](Value start, ValueRange) {
          emit.when(emit.less(emit.add(firstMoved, start), numRows), [&] { moveRow(start); });
          return Values();
        });
        return {};
      });
  return success();
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
