//===- Combine.cpp - Kernels that combine what the splits of the keys gave ---- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A warp owns a row. First each lane has the weight of every 32nd split; then each lane has some
// columns, of which it adds up the outputs of all splits. There are few rows, so what takes the
// time is how long a load takes: those of several splits are under way at once.
//
// The splits of a sequence of a cache are of eight classes, that of split i is i % 8. Those of a class
// are added up in their order, relative to their own maximum, and then the classes: what a class gives
// does not depend on the others. All warps of a block share a row, and each has some classes.
//
//===----------------------------------------------------------------------===//

#include "../SequenceTile/SplitRange.h"
#include "RowFunction.h"
#include "llvm/ADT/TypeSwitch.h"
#include <limits>

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::simt;

namespace {

class CombineKernel {
public:
  explicit CombineKernel(RowFunction &kernel) : kernel(kernel), emit(kernel.emit) {}
  LogicalResult run();

private:
  LogicalResult check();
  LogicalResult lower(Operation *op);
  void lower(CombineOp op);
  LogicalResult lower(StoreOp op);

  /// The weights of splits `lane`, `lane + 32` and so on, which sum up to 1 in a row that has seen
  /// keys; sets `lse`.
  Emitter::Values formWeights(CombineOp op, Value row, Value firstHead);
  /// The same of splits of classes: the weights of a class sum up to what the class has of the row's
  /// sum, relative to its maximum; `factors` are those of the classes.
  Emitter::Values formClassWeights(CombineOp op, Value row, Value firstHead);
  /// The row of splits of classes.
  void addClasses(const Memory &outputs, Value first, ArrayRef<Value> weights);
  /// How many splits there are; i32.
  Value countSplits(CombineOp op);
  /// Adds the outputs of splits [first, first + count) to `sums`; `firstOutput` is that of split 0,
  /// and lane `first % warpSize` has the weight of split `first`.
  Emitter::Values addOutputs(const Memory &outputs, Value firstOutput, Value first, int64_t count,
                             Value weights, Emitter::Values sums);

  /// Where the warp's row is in a memory that its operand says begins at `first`.
  Value rowNumber(Value first) { return emit.add(emit.toI64(kernel.scalar(first)), rowInTile); }
  /// From one split to the next.
  Value splitStride(const Memory &memory) { return emit.mul(memory.headStride, heads); }
  /// The lane's pieces of the output of split `split`, of which `first` is that of split 0.
  SmallVector<Value> loadOutputs(const Memory &outputs, Value first, Value split);
  /// The column of piece `piece` of the lane; i32.
  Value columnOf(int64_t piece) {
    return emit.add(emit.mul(kernel.lane, width), piece * warpSize * width);
  }
  /// Whether all lanes have a piece `piece`.
  bool isWhole(int64_t piece) const { return (piece + 1) * warpSize * width <= columns; }

  static constexpr int64_t numClasses = 8;
  static constexpr int64_t warpSize = 32, rowsAtOnce = rowKernelThreads / warpSize;
  /// Splits whose outputs are loaded at once.
  static constexpr int64_t splitsAtOnce = 8;

  RowFunction &kernel;
  Emitter &emit;
  /// A lane has `pieces` pieces of `width` adjacent columns; a warp's are adjacent, too. Of the
  /// last piece some lanes may have none.
  int64_t rows = 0, columns = 0, width = 0, pieces = 0;
  /// Whether splits are of classes: then there is one row, which all warps share.
  bool isOfClasses = false;
  /// Whose splits follow one another.
  int64_t heads = 1;
  Value rowInTile; // i64
  /// Of splits of classes: how many there are (i32), and in lane c the factor of class c.
  Value numSplits, classFactor;
  /// Of the warp's row: the columns of the lane, piece after piece.
  Emitter::Values output;
  Value lse;
};

} // namespace

LogicalResult CombineKernel::check() {
  for (auto op : kernel.kernel.getBody().getOps<CombineOp>()) {
    TileType tile = op.getOutput().getType();
    if (rows != 0)
      return op.emitOpError("is not the only one of its kernel, which a GPU does not support");
    rows = tile.getRows();
    columns = tile.getColumns();
    constexpr int64_t columnGranule = 8;
    isOfClasses = op.getLengths() != nullptr;
    if (columns % columnGranule != 0 || (isOfClasses ? rows != 1 : rows % rowsAtOnce != 0))
      return op.emitOpError() << "gives " << tile << "; a GPU needs "
                              << (isOfClasses ? "1 row" : "a multiple of 4 rows")
                              << " and a multiple of " << columnGranule << " columns";
    width = columns % (4 * warpSize) == 0 ? 4 : 2;
    pieces = llvm::divideCeil(columns, warpSize * width);
  }
  return success();
}

LogicalResult CombineKernel::run() {
  if (failed(check()))
    return failure();
  LogicalResult lowered = success();
  if (isOfClasses) {
    // All warps work on the row.
    rowInTile = emit.i64(0);
    for (Operation &op : kernel.kernel.getBody().front().without_terminator())
      if (succeeded(lowered))
        lowered = lower(&op);
    return lowered;
  }
  emit.loop(emit.i32(0), emit.i32(rows), emit.i32(rowsAtOnce), {}, [&](Value start, ValueRange) {
    rowInTile = emit.toI64(emit.add(start, emit.uniform(kernel.warp)));
    for (Operation &op : kernel.kernel.getBody().front().without_terminator())
      if (succeeded(lowered))
        lowered = lower(&op);
    return Emitter::Values();
  });
  return lowered;
}

LogicalResult CombineKernel::lower(Operation *op) {
  emit.setLoc(op->getLoc());
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](CombineOp combine) {
        lower(combine);
        return success();
      })
      .Case([&](StoreOp store) { return lower(store); })
      .Default([&](Operation *other) -> LogicalResult {
        if (auto dim = dyn_cast<memref::DimOp>(other)) {
          const Memory &table = kernel.memory(dim.getSource());
          if (table.type.getRank() > 2 || dim.getConstantIndex() != table.type.getRank() - 1)
            return dim.emitOpError("asks for a size that a kernel of a GPU does not know");
          kernel.mapping.map(dim.getResult(), emit.toIndex(table.rows));
          return success();
        }
        if (!isa<arith::ArithDialect>(other->getDialect()))
          return other->emitOpError("is not supported in a kernel that combines splits on a GPU");
        emit.clone(*other, kernel.mapping);
        return success();
      });
}

//===----------------------------------------------------------------------===//
// Combining
//===----------------------------------------------------------------------===//

void CombineKernel::lower(CombineOp op) {
  const Memory &outputs = kernel.memory(op.getOutputs());
  auto splits = static_cast<int64_t>(op.getSplits());
  // A row that does not exist reads the last one, and is not stored.
  Value row = emit.minSigned(rowNumber(op.getRow()), emit.sub(outputs.rows, 1));
  heads = static_cast<int64_t>(op.getHeads());
  Value head = emit.toI64(kernel.scalar(op.getHead()));
  Value firstHead = emit.mul(head, splits);
  if (heads > 1) {
    Value number = emit.rem(head, heads);
    firstHead = emit.add(emit.mul(emit.sub(head, number), splits), number);
  }
  Value first = kernel.address(outputs, kernel.scalar(op.getBatch()), firstHead, row);
  if (op.getLengths()) {
    // The kernel before this one has let it begin when all before that one was there, the lengths too.
    numSplits = countSplits(op);
    kernel.waitForKernelBefore();
    return addClasses(outputs, first, formClassWeights(op, row, firstHead));
  }
  Emitter::Values weights = formWeights(op, row, firstHead);
  output.assign(pieces * width, emit.f32(0.0f));
  for (auto [turn, mine] : llvm::enumerate(weights)) {
    int64_t start = static_cast<int64_t>(turn) * warpSize;
    int64_t end = std::min(start + warpSize, splits);
    int64_t whole = start + (end - start) / splitsAtOnce * splitsAtOnce;
    if (whole > start)
      output = emit.loop(emit.i32(start), emit.i32(whole), emit.i32(splitsAtOnce), output,
                         [&, mine = mine](Value split, ValueRange sums) {
                           return addOutputs(outputs, first, split, splitsAtOnce, mine,
                                             Emitter::Values(sums));
                         });
    output = addOutputs(outputs, first, emit.i32(whole), end - whole, mine, output);
  }
}

Emitter::Values CombineKernel::formWeights(CombineOp op, Value row, Value firstHead) {
  constexpr float log2E = 1.44269504f, ln2 = 0.693147181f;
  const Memory &sums = kernel.memory(op.getSums());
  Value first = kernel.address(sums, kernel.scalar(op.getBatch()), firstHead, row);
  Value none = emit.f32(-std::numeric_limits<float>::infinity()), zero = emit.f32(0.0f);
  auto isEqual = [&](Value a, Value b) { return emit.compare(arith::CmpFPredicate::OEQ, a, b); };

  auto splits = static_cast<int64_t>(op.getSplits());
  Emitter::Values weights;
  Value most = none;
  for (int64_t start = 0; start < splits; start += warpSize) {
    Value split = emit.add(kernel.lane, start);
    Value there = emit.minSigned(split, emit.i32(splits - 1));
    Value address =
        emit.offset(first, emit.mul(emit.toI64(there), splitStride(sums)), emit.getF32Type());
    Value loaded = emit.load(emit.getF32Type(), address);
    weights.push_back(emit.select(emit.less(split, emit.i32(splits)), loaded, none));
    most = emit.max(most, weights.back());
  }
  most = emit.reduceWarp(most, [&](Value a, Value b) { return emit.max(a, b); });
  Value reference = emit.select(isEqual(most, none), zero, most);
  Value sum = zero;
  for (Value &weight : weights) {
    weight = emit.exp2(
        emit.make<arith::MulFOp>(emit.make<arith::SubFOp>(weight, reference), emit.f32(log2E)));
    sum = emit.make<arith::AddFOp>(sum, weight);
  }
  sum = emit.reduceWarp(sum, [&](Value a, Value b) { return emit.make<arith::AddFOp>(a, b); });
  Value sawNone = isEqual(sum, zero);
  lse = emit.select(sawNone, none, emit.fma(emit.log2(sum), emit.f32(ln2), reference));
  Value factor = emit.reciprocal(emit.select(sawNone, emit.f32(1.0f), sum));
  for (Value &weight : weights)
    weight = emit.make<arith::MulFOp>(weight, factor);
  return weights;
}

Value CombineKernel::countSplits(CombineOp op) {
  const Memory &lengths = kernel.memory(op.getLengths());
  Type i32 = emit.getI32Type();
  Value element = emit.mul(emit.toI64(kernel.scalar(op.getBatch())), lengths.rowStride);
  Value length = emit.load(i32, emit.offset(lengths.pointer, element, i32));
  Value limit = emit.toI32(kernel.scalar(op.getLimit()));
  length = emit.minSigned(emit.maxSigned(length, emit.i32(0)), limit);
  Value count = emitSplitCount(emit, length, static_cast<int64_t>(op.getBlocks()));
  return emit.uniform(emit.minSigned(count, emit.i32(static_cast<int64_t>(op.getSplits()))));
}

Emitter::Values CombineKernel::formClassWeights(CombineOp op, Value row, Value firstHead) {
  constexpr float log2E = 1.44269504f, ln2 = 0.693147181f;
  const Memory &sums = kernel.memory(op.getSums());
  Value first = kernel.address(sums, kernel.scalar(op.getBatch()), firstHead, row);
  Type f32 = emit.getF32Type();
  Value none = emit.f32(-std::numeric_limits<float>::infinity()), zero = emit.f32(0.0f);
  auto isNone = [&](Value a) { return emit.compare(arith::CmpFPredicate::OEQ, a, none); };
  auto finite = [&](Value max) { return emit.select(isNone(max), zero, max); };
  auto power = [&](Value difference) {
    return emit.exp2(emit.make<arith::MulFOp>(difference, emit.f32(log2E)));
  };
  // Lanes c, c + 8, c + 16 and c + 24 have the splits of class c.
  auto splits = static_cast<int64_t>(op.getSplits());
  Emitter::Values weights;
  Value most = none;
  for (int64_t start = 0; start < splits; start += warpSize) {
    Value split = emit.add(kernel.lane, start), exists = emit.less(split, numSplits);
    Value there = emit.select(exists, split, emit.i32(0));
    Value address = emit.offset(first, emit.mul(emit.toI64(there), splitStride(sums)), f32);
    weights.push_back(emit.select(exists, emit.load(f32, address), none));
    most = emit.max(most, weights.back());
  }
  for (int64_t distance : {8, 16})
    most = emit.max(most, emit.shuffleXor(most, distance));
  Value reference = finite(most), sum = zero;
  for (Value &weight : weights) {
    weight = power(emit.make<arith::SubFOp>(weight, reference));
    sum = emit.make<arith::AddFOp>(sum, weight);
  }
  for (int64_t distance : {8, 16})
    sum = emit.make<arith::AddFOp>(sum, emit.shuffleXor(sum, distance));
  // All classes, in the same order in each lane.
  Value all = most;
  for (int64_t distance : {1, 2, 4})
    all = emit.max(all, emit.shuffleXor(all, distance));
  Value top = finite(all), factor = power(emit.make<arith::SubFOp>(most, top));
  Value product = emit.make<arith::MulFOp>(sum, factor), total = zero;
  for (int64_t number = 0; number < numClasses; ++number)
    total = emit.make<arith::AddFOp>(total, emit.broadcast(product, emit.i32(number)));
  Value sawNone = emit.compare(arith::CmpFPredicate::OEQ, total, zero);
  lse = emit.select(sawNone, none, emit.fma(emit.log2(total), emit.f32(ln2), top));
  classFactor = emit.make<arith::MulFOp>(
      factor, emit.reciprocal(emit.select(sawNone, emit.f32(1.0f), total)));
  return weights;
}

void CombineKernel::addClasses(const Memory &outputs, Value first, ArrayRef<Value> weights) {
  // Each warp has some classes, and loads all of theirs of 32 splits at once. Splits that do not exist
  // have weight 0, and what is read in their place is the first one.
  constexpr int64_t classesEach = numClasses / rowsAtOnce, ranks = warpSize / numClasses;
  size_t count = pieces * width;
  Emitter::Values sums(classesEach * count, emit.f32(0.0f));
  Value warp = emit.uniform(kernel.warp);
  for (auto [turn, mine] : llvm::enumerate(weights)) {
    auto start = static_cast<int64_t>(turn) * warpSize;
    auto addTurn = [&, mine = mine] {
      Emitter::Values next(sums);
      SmallVector<Value> lanes, loaded;
      for (int64_t rank = 0; rank < ranks; ++rank)
        for (int64_t number = 0; number < classesEach; ++number) {
          lanes.push_back(emit.add(warp, rank * numClasses + number * rowsAtOnce));
          llvm::append_range(loaded, loadOutputs(outputs, first, emit.add(lanes.back(), start)));
        }
      for (auto [i, lane] : llvm::enumerate(lanes)) {
        Value exists = emit.less(emit.add(lane, start), numSplits);
        Value weight = emit.broadcast(mine, lane);
        for (size_t place = 0; place < count; ++place) {
          Value value = emit.make<LLVM::ExtractElementOp>(loaded[i * pieces + place / width],
                                                          emit.i32(place % width));
          // 0 times what is no number is one.
          value = emit.select(exists, value, emit.f32(0.0f));
          Value &sum = next[i % classesEach * count + place];
          sum = emit.fma(weight, value, sum);
        }
      }
      return next;
    };
    // The first loads do not wait until it is known what they are worth.
    sums = turn == 0 ? addTurn()
                     : emit.choose(emit.less(emit.i32(start), numSplits), addTurn, [&] { return sums; });
  }
  // Classes meet in shared memory; the first warp adds them up.
  Type f32 = emit.getF32Type();
  auto vector = VectorType::get(width, f32);
  int64_t rowBytes = pieces * warpSize * width * 4;
  Value room = kernel.allocateShared(numClasses * rowBytes);
  auto place = [&](Value number, int64_t piece) {
    Value column = emit.add(emit.mul(kernel.lane, width), piece * warpSize * width);
    return emit.offset(emit.offset(room, emit.mul(number, rowBytes), emit.getI8Type()), column, f32);
  };
  for (int64_t number = 0; number < classesEach; ++number)
    for (int64_t piece = 0; piece < pieces; ++piece) {
      Value packed = emit.make<LLVM::PoisonOp>(vector);
      for (int64_t i = 0; i < width; ++i)
        packed = emit.make<LLVM::InsertElementOp>(
            packed, sums[number * count + piece * width + i], emit.i32(i));
      emit.store(packed, place(emit.add(warp, number * rowsAtOnce), piece), 4 * width);
    }
  emit.barrier();
  output.assign(count, emit.f32(0.0f));
  for (int64_t number = 0; number < numClasses; ++number) {
    Value factor = emit.broadcast(classFactor, emit.i32(number));
    for (int64_t piece = 0; piece < pieces; ++piece) {
      Value loaded = emit.load(vector, place(emit.i32(number), piece), 4 * width);
      for (int64_t i = 0; i < width; ++i) {
        Value &sum = output[piece * width + i];
        sum = emit.fma(factor, emit.make<LLVM::ExtractElementOp>(loaded, emit.i32(i)), sum);
      }
    }
  }
}

SmallVector<Value> CombineKernel::loadOutputs(const Memory &outputs, Value first, Value split) {
  Type f32 = emit.getF32Type();
  auto vector = VectorType::get(width, f32);
  if (numSplits)
    split = emit.select(emit.less(split, numSplits), split, emit.i32(0));
  Value start = emit.offset(first, emit.mul(emit.toI64(split), splitStride(outputs)), f32);
  SmallVector<Value> loaded;
  for (int64_t piece = 0; piece < pieces; ++piece) {
    Value column = columnOf(piece);
    // A lane that has none reads the last columns, and does not store them.
    if (!isWhole(piece))
      column = emit.minSigned(column, emit.i32(columns - width));
    loaded.push_back(emit.load(vector, emit.offset(start, column, f32), 4 * width));
  }
  return loaded;
}

Emitter::Values CombineKernel::addOutputs(const Memory &outputs, Value firstOutput, Value first,
                                          int64_t count, Value weights, Emitter::Values sums) {
  SmallVector<Value> loaded;
  for (int64_t i = 0; i < count; ++i)
    llvm::append_range(loaded, loadOutputs(outputs, firstOutput, emit.add(first, i)));
  for (int64_t i = 0; i < count; ++i) {
    Value weight = emit.broadcast(weights, emit.rem(emit.add(first, i), warpSize));
    for (auto [number, sum] : llvm::enumerate(sums)) {
      auto place = static_cast<int64_t>(number);
      Value value = emit.make<LLVM::ExtractElementOp>(loaded[i * pieces + place / width],
                                                      emit.i32(place % width));
      sum = emit.fma(weight, value, sum);
    }
  }
  return sums;
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

LogicalResult CombineKernel::lower(StoreOp op) {
  const Memory &target = kernel.memory(op.getMemory());
  Type element = target.type.getElementType();
  bool isSum = cast<TileType>(op.getTile().getType()).isRowVector();
  if (element.getIntOrFloatBitWidth() != (isSum ? 32 : 16))
    return op.emitOpError() << "writes to " << target.type
                            << "; a GPU needs outputs of f16 or bf16 and sums of f32";
  Value row = rowNumber(op.getRow());
  Value address =
      kernel.address(target, kernel.scalar(op.getBatch()), kernel.scalar(op.getHead()), row);
  Value stores = emit.less(emit.i64(0), kernel.rowsLeft(target, row, op.getLimit()));
  if (isOfClasses)
    stores = emit.bitAnd(stores, emit.equal(kernel.warp, emit.i32(0)));
  emit.when(stores, [&] {
    if (isSum) {
      emit.when(emit.equal(kernel.lane, emit.i32(0)), [&] { emit.store(lse, address); });
      return;
    }
    auto words = VectorType::get(width / 2, emit.getI32Type());
    for (int64_t piece = 0; piece < pieces; ++piece) {
      Value packed = emit.make<LLVM::PoisonOp>(words);
      for (int64_t word = 0; word < width / 2; ++word) {
        int64_t place = piece * width + 2 * word;
        packed = emit.make<LLVM::InsertElementOp>(
            packed, emit.pack(output[place], output[place + 1], element), emit.i32(word));
      }
      Value column = columnOf(piece);
      auto store = [&] { emit.store(packed, emit.offset(address, column, element), 2 * width); };
      if (isWhole(piece))
        store();
      else
        emit.when(emit.less(column, emit.i32(columns)), store);
    }
  });
  return success();
}

LogicalResult sfa::simt::lowerCombineKernel(RowFunction &lowering) {
  return CombineKernel(lowering).run();
}
