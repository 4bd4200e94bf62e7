//===- Gather.cpp - Scores of codes of queries and feature-major keys -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Lane (g, t) of a warp has, in each row of a fragment, the columns 2 t and 2 t + 1 of every eight.
// In a feature-major tile those of 32 keys, a group, are 16 bytes; the four lanes of a row load 64
// bytes. Eight lanes load at a time, those of two rows, from features that have nothing to do with
// each other, but begin at the same bank. So that they read different banks, rows of odd g load the
// second group of two where the others load the first; the registers change places in the end.
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"
#include "Wgmma.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

/// Keys of a group, and the bytes that four lanes load of them.
static constexpr int64_t groupKeys = FeatureMajorAttr::tokensOfPattern,
                         groupBytes = GatherLayout::patternBytes;

/// Bytes of a word of codes in shared memory.
static constexpr int64_t wordBytes = 4;

/// The first word of the lane's first row, of codes in shared memory from `room` on.
static Value firstWord(Emitter &emit, Value room, const FunctionContext &function, Value g,
                       CodesType type) {
  Value row = emit.add(emit.mul(function.warpOfGroup, 16 * function.repeatsOf(type.getRows())), g);
  Value bytes = emit.mul(row, wordBytes * CodesType::getRowWords(type.getK()));
  return emit.offset(room, bytes, emit.getI8Type());
}

namespace {

struct LowerLoadCodes : Lowering<LoadCodesOp> {
  using Lowering::Lowering;

  FailureOr<Results> lower(LoadCodesOp op, Adaptor adaptor, Emitter &emit) const override {
    CodesType type = op.getCodes().getType();
    Value lane = function.lane;
    pin(emit, lane); // not kept from the first pass over the points to the second
    LanePlace place(emit, lane);
    int64_t numRows = 2 * function.repeatsOf(type.getRows());
    if (!type.getInRegisters()) {
      Value room = adaptor.getRoom().front();
      Value mine = emit.offset(firstWord(emit, room, function, place.g, type),
                               emit.mul(place.t, wordBytes), emit.getI8Type());
      int64_t rowBytes = wordBytes * CodesType::getRowWords(type.getK());
      // The warp has read what was there before, and reads what is there now.
      emit.make<NVVM::SyncWarpOp>(emit.i32(-1));
      for (int64_t number = 0; number < numRows; ++number) {
        Values words = loadRow(op, adaptor, place, number, emit);
        for (size_t i = 0; i < words.size(); ++i)
          emit.store(words[i], emit.offset(mine, rowOffset(number) * rowBytes + 4 * i * wordBytes));
      }
      emit.make<NVVM::SyncWarpOp>(emit.i32(-1));
      return Results{{room}};
    }
    Value firstLane = emit.bitAnd(lane, ~int64_t(3));
    Values codes;
    for (int64_t number = 0; number < numRows; ++number) {
      Values loaded = loadRow(op, adaptor, place, number, emit);
      for (int64_t pair = 0; pair < type.getK(); ++pair)
        codes.push_back(emit.broadcast(loaded[pair / 4], emit.add(firstLane, pair % 4)));
    }
    pin(emit, codes);
    return Results{codes};
  }

private:
  /// Of the words of row `number` of the lane every fourth, from its t on: the row's four lanes
  /// load all of them. Those behind the last are zeros.
  Values loadRow(LoadCodesOp op, Adaptor adaptor, const LanePlace &place, size_t number,
                 Emitter &emit) const {
    CodesType type = op.getCodes().getType();
    Memory values(op.getValues().getType(), adaptor.getValues()),
        features(op.getFeatures().getType(), adaptor.getFeatures());
    auto heads = static_cast<int64_t>(op.getHeads());
    FunctionContext::RowOfHead found =
        function.rowOfLane(emit, place.g, number, type.getRows(), heads);
    Value first = emit.toI64(adaptor.getRow().front());
    Value head = found.head, rowOfHead = emit.toI64(found.row);
    Value exists = emit.less(rowOfHead, values.rowsLeft(emit, first, Value()));
    if (head)
      exists = emit.bitAnd(exists, emit.less(head, emit.i32(heads)));
    // In place of a row that does not exist the first one is read.
    auto rowOf = [&](const Memory &memory) {
      Value base =
          memory.address(emit, adaptor.getBatch().front(), adaptor.getHead().front(), first);
      Value element = memory.elementsTo(emit, rowOfHead, head);
      return emit.offset(base, emit.select(exists, element, emit.i64(0)),
                         memory.type.getElementType());
    };
    Value valueRow = rowOf(values), featureRow = rowOf(features);
    int64_t k = type.getK();
    Values loaded;
    for (int64_t pair = 0; pair < k; pair += 4) {
      Value at = emit.add(place.t, pair), counts = exists;
      if (pair + 4 > k) {
        Value isThere = emit.less(at, emit.i32(k));
        counts = emit.bitAnd(counts, isThere);
        at = emit.select(isThere, at, emit.i32(0));
      }
      loaded.push_back(loadPair(valueRow, featureRow, at, counts, type, emit));
    }
    return loaded;
  }

  /// Pair `at` (i32) of a row as a word, zeros unless `counts`.
  static Value loadPair(Value valueRow, Value featureRow, Value at, Value counts, CodesType type,
                        Emitter &emit) {
    Value place = emit.toI64(at);
    auto load = [&](Type element, Value row) {
      Value bits = emit.load(element, emit.offset(row, place, element));
      return emit.make<arith::ExtUIOp>(emit.getI32Type(), bits);
    };
    Value value = load(emit.getI16Type(), valueRow), feature = load(emit.getI8Type(), featureRow);
    // A zero may pad the row: its feature means nothing.
    Value isSet = emit.compare(arith::CmpIPredicate::ne, emit.bitAnd(value, 0x7FFF), emit.i32(0));
    counts = emit.bitAnd(counts, isSet);
    counts = emit.bitAnd(counts, emit.less(feature, emit.i32(type.getColumns())));
    Value bytes = emit.mul(feature, type.getStep());
    return emit.select(counts, emit.bitOr(emit.shiftLeft(bytes, 16), value), emit.i32(0));
  }
};

struct LowerGatherDot : Lowering<GatherDotOp> {
  using Lowering::Lowering;

  FailureOr<Results> lower(GatherDotOp op, Adaptor adaptor, Emitter &emit) const override {
    CodesType type = op.getCodes().getType();
    Value tile = adaptor.getKeys().front();
    Emitted g(emit, function.place->g), t(emit, function.place->t);
    Value isOdd = g & 1;
    // Where the lane's chunks of two groups are, of feature 0.
    std::array<Value, 2> bases = {
        emit.offset(tile, GatherLayout::firstByte(g, t), emit.getI8Type()),
        emit.offset(tile, GatherLayout::secondByte(g, t), emit.getI8Type())};
    int64_t numRows = 2 * function.repeatsOf(type.getRows()), k = type.getK();
    ValueRange codes = adaptor.getCodes();
    Value firstOfLane;
    if (!type.getInRegisters())
      firstOfLane = firstWord(emit, codes.front(), function, g, type);
    int64_t keys = op.getKeys().getType().getRows();
    Values scores(numRows * keys / 4);
    constexpr int64_t atOnce = CodesType::wordsAtOnce;
    for (int64_t first = 0; first < k; first += atOnce) {
      int64_t end = std::min(first + atOnce, k);
      SmallVector<Values> words;
      for (int64_t row = 0; row < numRows; ++row)
        words.push_back(type.getInRegisters() ? Values(codes.slice(row * k + first, end - first))
                                              : loadWords(firstOfLane, row, first, type, emit));
      for (int64_t pair = first; pair < end; ++pair)
        for (int64_t row = 0; row < numRows; ++row)
          addPair(scores, words[row][pair - first], row, bases, type.getElementType(), keys, emit);
    }
    // One lane gives the tile back for all of them.
    emit.make<NVVM::SyncWarpOp>(emit.i32(-1));
    exchange(scores, emit.equal(isOdd, emit.i32(1)), emit);
    return Results{scores};
  }

private:
  /// Words `first` to `first` + 3 of row `row` of the lane, from shared memory.
  static Values loadWords(Value firstOfLane, int64_t row, int64_t first, CodesType type,
                          Emitter &emit) {
    int64_t word = rowOffset(row) * CodesType::getRowWords(type.getK()) + first;
    auto vector = VectorType::get(CodesType::wordsAtOnce, emit.getI32Type());
    Value loaded = emit.load(vector, emit.offset(firstOfLane, wordBytes * word), 16);
    Values words;
    for (int64_t i = 0; i < CodesType::wordsAtOnce; ++i)
      words.push_back(emit.make<LLVM::ExtractElementOp>(loaded, emit.i32(i)));
    return words;
  }

  /// The number, among those of a fragment, of the first element of 8 columns.
  static size_t elementAt(int64_t row, int64_t eight, int64_t columns) {
    return static_cast<size_t>(row / 2 * (columns / 2) + 4 * eight + 2 * (row % 2));
  }

  /// Adds the value of `code` times the elements of its feature to row `row`.
  static void addPair(Values &scores, Value code, int64_t row, const std::array<Value, 2> &bases,
                      Type element, int64_t numKeys, Emitter &emit) {
    Value value = emit.unpack(code, element).first;
    Value bytes = emit.shiftRight(code, 16);
    std::array<Value, 2> addresses;
    for (auto [address, base] : llvm::zip(addresses, bases))
      address = emit.offset(base, bytes, emit.getI8Type());
    auto chunkType = VectorType::get(4, emit.getI32Type());
    for (int64_t group = 0; group < numKeys / groupKeys; ++group) {
      Value chunk =
          emit.load(chunkType, emit.offset(addresses[group % 2], group / 2 * (2 * groupBytes)), 16);
      for (int64_t word = 0; word < 4; ++word) {
        Value keys = emit.make<LLVM::ExtractElementOp>(chunk, emit.i32(word));
        auto [low, high] = emit.unpack(keys, element);
        size_t at = elementAt(row, 4 * group + word, numKeys);
        for (auto [number, key] : llvm::enumerate(std::array<Value, 2>{low, high})) {
          Value &score = scores[at + number];
          score = score ? emit.fma(value, key, score) : emit.mul(value, key);
        }
      }
    }
  }

  /// Exchanges the elements of the two groups of each pair of groups where `condition` holds.
  static void exchange(Values &scores, Value condition, Emitter &emit) {
    constexpr size_t elementsOfGroup = groupKeys / 2; // of two rows
    for (size_t first = 0; first < scores.size(); first += 2 * elementsOfGroup)
      for (size_t element = first; element < first + elementsOfGroup; ++element) {
        Value &one = scores[element], &other = scores[element + elementsOfGroup];
        Value before = one;
        one = emit.select(condition, other, one);
        other = emit.select(condition, before, other);
      }
  }
};

} // namespace

void sfa::simt::populateGatherPatterns(RewritePatternSet &patterns, const TypeConverter &types,
                                       const FunctionContext &function) {
  patterns.add<LowerLoadCodes, LowerGatherDot>(types, patterns.getContext(), function);
}
