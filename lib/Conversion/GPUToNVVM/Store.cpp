//===- Store.cpp - Results from registers to memory -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

/// The transpose of a 4 x 4 matrix of words: lane t of a quad has column t and gets row t.
static void transposeInQuad(Emitter &emit, MutableArrayRef<Value> words, Value t) {
  for (int64_t distance : {1, 2}) {
    Value isUpper = emit.compare(arith::CmpIPredicate::ne, emit.bitAnd(t, distance), emit.i32(0));
    for (int64_t i = 0; i < 4; ++i) {
      if (i & distance)
        continue;
      Value &low = words[i], &high = words[i + distance];
      Value received = emit.shuffleXor(emit.select(isUpper, low, high), distance);
      low = emit.select(isUpper, received, low);
      high = emit.select(isUpper, high, received);
    }
  }
}

static Value toVector(Emitter &emit, ValueRange elements) {
  auto type = VectorType::get(static_cast<int64_t>(elements.size()), elements.front().getType());
  Value vector = emit.make<LLVM::PoisonOp>(type);
  for (auto [i, element] : llvm::enumerate(elements))
    vector = emit.make<LLVM::InsertElementOp>(vector, element, emit.i32(static_cast<int64_t>(i)));
  return vector;
}

namespace {
/// What a lane stores of a row at once, and at which byte of the row.
struct Piece {
  Value vector, byte;
};
} // namespace

/// The pieces of a row, of which the lanes of a quad have pairs of neighbours: of the columns 8 j +
/// 2 t and the next for each j. Together the lanes write whole sectors of 32 bytes: pairs of f32 as
/// they are; of 16-bit elements a lane puts the 8 columns of every fourth j together, where there
/// are four.
static SmallVector<Piece> piecesOf(Emitter &emit, ArrayRef<std::pair<Value, Value>> pairs,
                                   Type element, Value t) {
  SmallVector<Piece> pieces;
  if (element.isF32()) {
    for (auto [j, pair] : llvm::enumerate(pairs))
      pieces.push_back({toVector(emit, {pair.first, pair.second}),
                        emit.add(emit.mul(t, 8), static_cast<int64_t>(32 * j))});
    return pieces;
  }
  for (size_t first = 0; first < pairs.size(); first += 4) {
    Emitter::Values words;
    for (auto [low, high] : pairs.drop_front(first).take_front(4))
      words.push_back(emit.pack(low, high, element));
    if (words.size() == 4) {
      transposeInQuad(emit, words, t);
      pieces.push_back(
          {toVector(emit, words), emit.add(emit.mul(t, 16), static_cast<int64_t>(16 * first))});
      continue;
    }
    for (auto [number, word] : llvm::enumerate(words))
      pieces.push_back({toVector(emit, word),
                        emit.add(emit.mul(t, 4), static_cast<int64_t>(16 * (first + number)))});
  }
  return pieces;
}

namespace {

/// What of a tile goes where.
struct Target {
  Memory memory;
  Value batch, head, row;
  /// The end of the rows that are stored; null where that is the end of the memory.
  Value limit;
  int64_t heads;
};

/// A pattern that stores fragments.
template <class Op>
struct Storing : Lowering<Op> {
  using Lowering<Op>::Lowering;

  void store(Emitter &emit, tile::TileType tile, ValueRange elements, const Target &target,
             const LanePlace &lane) const;
};

} // namespace

template <class Op>
void Storing<Op>::store(Emitter &emit, tile::TileType tile, ValueRange elements,
                        const Target &target, const LanePlace &lane) const {
  const FunctionContext &function = this->function;
  const Memory &memory = target.memory;
  Value first = emit.toI64(target.row);
  Value left = memory.rowsLeft(emit, first, target.limit);
  Value base = memory.address(emit, target.batch, target.head, first);
  Type element = memory.type.getElementType();

  auto whenRowExists = [&](size_t number, function_ref<void(Value)> store) {
    auto [head, rowOfHead] = function.rowOfLane(emit, lane.g, number, tile.getRows(), target.heads);
    Value row = emit.toI64(rowOfHead), exists = emit.less(row, left), ofHead = head;
    // Rows behind those of the last head are not stored.
    if (ofHead)
      exists = emit.bitAnd(exists, emit.less(ofHead, emit.i32(target.heads)));
    emit.when(exists,
              [&] { store(emit.offset(base, memory.elementsTo(emit, row, ofHead), element)); });
  };
  size_t numRows = 2 * static_cast<size_t>(function.repeatsOf(tile.getRows()));
  if (tile.isRowVector()) {
    emit.when(emit.equal(lane.t, emit.i32(0)), [&] {
      for (size_t number = 0; number < numRows; ++number)
        whenRowExists(number, [&](Value row) { emit.store(elements[number], row); });
    });
    return;
  }
  for (size_t number = 0; number < numRows; ++number) {
    SmallVector<std::pair<Value, Value>> pairs;
    for (size_t i = 0; i < elements.size(); i += 2)
      if (rowOfElement(i, tile.getColumns()) == number)
        pairs.emplace_back(elements[i], elements[i + 1]);
    // Lanes of rows that do not exist take part in the exchange.
    SmallVector<Piece> pieces = piecesOf(emit, pairs, element, lane.t);
    whenRowExists(number, [&](Value row) {
      for (auto [vector, byte] : pieces)
        emit.store(vector, emit.offset(row, byte, emit.getI8Type()),
                   cast<VectorType>(vector.getType()).getNumElements() * 4);
    });
  }
}

namespace {

struct LowerStore : Storing<StoreOp> {
  using Storing::Storing;

  FailureOr<Results> lower(StoreOp op, Adaptor adaptor, Emitter &emit) const override {
    Target target{{op.getMemory().getType(), adaptor.getMemory()},
                  adaptor.getBatch().front(),
                  adaptor.getHead().front(),
                  adaptor.getRow().front(),
                  op.getLimit() ? adaptor.getLimit().front() : Value(),
                  static_cast<int64_t>(op.getHeads())};
    LanePlace lane(emit, adaptor.getLane().front());
    store(emit, cast<tile::TileType>(op.getTile().getType()), adaptor.getTile(), target, lane);
    return Results{};
  }
};

struct LowerProbe : Storing<tile::ProbeOp> {
  using Storing::Storing;

  FailureOr<Results> lower(tile::ProbeOp op, Adaptor adaptor, Emitter &emit) const override {
    Target target{{op.getMemory().getType(), adaptor.getMemory()},
                  adaptor.getBatch().front(),
                  adaptor.getHead().front(),
                  adaptor.getRow().front(),
                  /*limit=*/Value(),
                  /*heads=*/1};
    emit.when(adaptor.getCondition().front(), [&] {
      store(emit, op.getTile().getType(), adaptor.getTile(), target, *function.place);
    });
    return Results{};
  }
};

} // namespace

void sfa::simt::populateStorePatterns(RewritePatternSet &patterns, const TypeConverter &types,
                                      const FunctionContext &function) {
  patterns.add<LowerStore, LowerProbe>(types, patterns.getContext(), function);
}
