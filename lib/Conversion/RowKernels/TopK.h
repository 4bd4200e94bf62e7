//===- TopK.h - The kernel that selects the k features of largest magnitude -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// A thread owns a row, so that no step of the selection crosses lanes; the rows come through shared
// memory, so that accesses to global memory are coalesced. What counts is the number of
// instructions. In order, 1 to 3 in TopK.cpp, 4 to 6 in TopKRows.cpp:
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
//     codes or more is put together there and goes to memory as dense rows do: stores of each
//     thread for its own row would write parts of sectors.
//  6. Codes of 8 bits: a thread has the values of its row in registers, and rounds them. For dense
//     rows it clears its row in shared memory, which nobody needs any more, and puts the integers
//     there; they go to memory as other rows do. Its codes each thread stores itself: a row of them
//     is a sector at most.
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_ROWKERNELS_TOPK_H
#define SFA_CONVERSION_ROWKERNELS_TOPK_H

#include "RowFunction.h"

#include <functional>

namespace sfa::simt {

/// Lowers the body of a kernel that selects features.
class TopkKernel {
public:
  using Value = mlir::Value;
  using Values = Emitter::Values;

  explicit TopkKernel(RowFunction &kernel) : kernel(kernel), emit(kernel.emit) {}
  mlir::LogicalResult run();

private:
  static constexpr int64_t bytesOfElement = 2, bytesOfChunk = 16, rowsOfWarp = 32;

  mlir::LogicalResult lower(mlir::Operation *op);
  mlir::LogicalResult lower(tile::LoadOp op);
  mlir::LogicalResult lower(tile::TopkOp op);
  mlir::LogicalResult lower(tile::StoreCodesOp op);
  mlir::LogicalResult lower(tile::ExpandOp op);
  mlir::LogicalResult lower(tile::StoreOp op);
  mlir::LogicalResult lower(tile::QuantizeCodesOp op);
  mlir::LogicalResult lower(tile::StoreScalesOp op);

  //===--- Rows between memory and shared memory ----------------------------===//

  /// How the lanes of a warp share its 32 rows: each moves 16 bytes, number `chunk`, of row `first`
  /// and of every `atOnce`-th one after it.
  struct Turns {
    int64_t atOnce, chunks;
    Value chunk, first;
  };
  Turns takeTurns(int64_t bytesOfRow);
  /// Number of the first row of the warp, i64, where those of the block start at `firstRow`.
  Value firstRowOfWarp(Value firstRow);
  /// Where the lane's 16 bytes of row `turns.first + row` (i32) are in shared memory, of what
  /// starts `byte` bytes from the start of the row.
  Value chunkInShared(const Turns &turns, Value row, int64_t byte);
  /// Addresses of the lane's 16 bytes of rows of `memory[batch, head]`, by their number (i32) from
  /// `first` (i64) on.
  std::function<Value(Value)> chunkAddresses(const Turns &turns, const Memory &memory, Value batch,
                                             Value head, Value first);
  /// Whether the lane's chunk is one of the first `number` of a row; null where all are.
  Value hasChunk(const Turns &turns, int64_t number);
  /// Stores the first `count` chunks of a row, what `chunk` gives for each of the lane's rows, by
  /// how many rows (i32) it comes after the first, as far as `memory[batch, head]` has them before
  /// `limit`.
  void storeChunks(const Turns &turns, int64_t count, const Memory &memory, Value batch, Value head,
                   Value firstRow, Value limit, llvm::function_ref<Value(Value)> chunk);
  /// The rows of the codes written out; `storeIntegers` those of integers of 8 bits.
  void storeRows(tile::StoreOp op);
  void storeIntegers(tile::StoreOp op);
  /// Leaves the masks of each row in shared memory, row after row of the warp, for all of its
  /// lanes.
  void shareMasks();

  /// The codes that the kernel stores: rounded ones where there are some.
  Value codesToStore() { return integers ? integers : chosen; }

  //===--- Codes ------------------------------------------------------------===//

  /// Codes of the thread's row that follow one another: values, and features, i32.
  struct Codes {
    Values bits, numbers;
  };
  /// Leaves the masks in `scratch`, each lane's for itself. Returns the state of who has seen no
  /// code: what is left of a mask, its first feature, and the numbers of the masks with bits that
  /// follow.
  Values listMasks();
  /// The next `count` codes, in order; `state` goes on.
  Codes nextCodes(int64_t count, Values &state);
  /// Each thread the codes of its row.
  void storeOwnCodes(tile::StoreCodesOp op);
  /// The low bytes of words.
  Value bytesOf(llvm::ArrayRef<Value> numbers);
  /// The warp those of its rows, in shared memory first.
  void storeCodesTogether(tile::StoreCodesOp op);

  //===--- Keys -----------------------------------------------------------===//

  /// Of the thread's row: features 2 i and 2 i + 1 in word i.
  Values loadKeys();
  /// The two largest keys of every four, in one word.
  Values twoLargestOfFour(llvm::ArrayRef<Value> keys);
  /// Flags of the features that are those two. Makes all NaN one key.
  Values ranksInFour(Values &keys);
  /// `sum` less the weights, four signed bytes, of the flags of two words that are set.
  Value weigh(Value first, Value second, int64_t weights, Value sum);
  /// Flags, bits 15 and 31, of the halves of `a` that are at least those of `b`, both keys.
  Value reaches(Value a, Value b) { return emit.sub(a, emit.bitAnd(b, 0x7FFF7FFF)); }

  //===--- Threshold ------------------------------------------------------===//

  /// The k-th largest of all keys, without the highest bit.
  Value thresholdBySorting(llvm::ArrayRef<Value> keys);
  Value thresholdBySearch(llvm::ArrayRef<Value> keys);
  Value max(Value a, Value b) { return emit.make<mlir::arith::MaxUIOp>(a, b); }
  Value min(Value a, Value b) { return emit.make<mlir::arith::MinUIOp>(a, b); }
  /// Compares and exchanges.
  void order(Value &larger, Value &smaller);
  /// Descending, by odd-even merging (Batcher).
  void sort(llvm::MutableArrayRef<Value> keys);
  /// The `count` largest, a power of two, descending; all of them where there are fewer.
  Values sortLargest(llvm::ArrayRef<Value> keys, size_t count);

  //===--- Masks ----------------------------------------------------------===//

  /// The first feature of a word is its highest bit.
  static constexpr int64_t featuresOfMask = 32;
  /// Bits of the flags that the words of 32 features have.
  Value collect(llvm::ArrayRef<Value> flags);
  /// Cuts `reach` down to k bits, of which those in `above` stay.
  Values dropTies(llvm::ArrayRef<Value> reach, llvm::ArrayRef<Value> above);
  /// As many of the highest bits of `word` as `count` says, which are fewer than it has.
  Value highestBits(Value word, Value count);
  /// Four words of eight features, 0 where a bit of `mask`, the low byte of a word, is not set.
  Value clearUnset(Value words, Value mask);

  //===--- Small things ---------------------------------------------------===//

  Value swapHalves(Value word) { return emit.permute(word, word, 0x1032); }
  Value invert(Value word) { return emit.bitXor(word, int64_t(-1)); }
  Value vectorOf(llvm::ArrayRef<Value> elements);
  Value countBits(Value word) { return emit.make<mlir::LLVM::CtPopOp>(emit.getI32Type(), word); }
  Value shiftRight(Value a, Value b) { return emit.make<mlir::arith::ShRUIOp>(a, b); }
  /// The same 16 bits in both halves.
  Value inBothHalves(Value half) { return emit.mul(half, 0x10001); }
  Value asPair(Value word) {
    return emit.bitcast(mlir::VectorType::get(2, emit.getI16Type()), word);
  }
  Value asWord(Value pair) { return emit.bitcast(emit.getI32Type(), pair); }

  RowFunction &kernel;
  Emitter &emit;
  /// `features` are those of a row in shared memory, 64, 128 or 256, of which the first `chunks`
  /// are those of memory.
  int64_t features = 0, chunks = 0, k = 0, nanKey = 0;
  int64_t stride = 0;             // of rows in shared memory, in bytes
  Value rowsInShared;             // those of the warp
  Value rowInShared;              // that of the thread
  Values masks, nonZero;          // of the features that are kept, and of those of them not 0
  Value scratch;                  // shared memory of the warp for masks
  Value loaded, chosen, expanded; // the tile in shared memory, the codes of `masks`, their rows
  bool codesAreStored = false;    // over the tile in shared memory
  /// The thread's codes of 8 bits and their scale, and what the program calls these.
  Codes rounded;
  Value scale, integers, scales;
};

} // namespace sfa::simt

#endif // SFA_CONVERSION_ROWKERNELS_TOPK_H
