//===- Scatter.cpp - Scores of codes of queries and posting lists of keys -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Lane l of a warp owns row l % 16 of its 16 rows, and half l / 16 of the keys. Where an entry adds
// to depends on the data, so the scores are in shared memory meanwhile: score (key, lane) of a half
// is at word 32 key + lane, so that each lane meets one bank and no other lane its scores.
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

/// Bytes of a score and of a word of codes.
static constexpr int64_t wordBytes = 4;

namespace {

struct LowerScatterDot : Lowering<ScatterDotOp> {
  using Lowering::Lowering;

  FailureOr<Results> lower(ScatterDotOp op, Adaptor adaptor, Emitter &emit) const override {
    CodesType codes = op.getCodes().getType();
    SharedType lists = op.getLists().getType();
    int64_t halfKeys = lists.getRows() / 2, repeats = function.repeatsOf(codes.getRows());
    Value half = emit.shiftRight(function.lane, 4), row = emit.bitAnd(function.lane, 15);
    auto at = [&](Value base, Value number, int64_t bytes) {
      return emit.offset(base, emit.mul(number, bytes), emit.getI8Type());
    };
    Value listsOfLane = at(adaptor.getLists().front(), half, lists.getHalfBytes());
    Value room =
        at(adaptor.getRoom().front(), function.warp, halfKeys * PostingsAttr::scoreRowBytes);
    Value scoresOfLane = at(room, function.lane, wordBytes);
    int64_t rowBytes = wordBytes * CodesType::getRowWords(codes.getK());
    Value firstRow = emit.add(emit.mul(function.warpOfGroup, 16 * repeats), row);
    Value codesOfRow = at(adaptor.getCodes().front(), firstRow, rowBytes);
    Values scores;
    for (int64_t repeat = 0; repeat < repeats; ++repeat) {
      clear(room, halfKeys, emit);
      walk(emit.offset(codesOfRow, 16 * repeat * rowBytes), listsOfLane, scoresOfLane, codes, emit);
      llvm::append_range(scores, read(room, halfKeys, emit));
    }
    return Results{scores};
  }

private:
  static void meet(Emitter &emit) { emit.make<NVVM::SyncWarpOp>(emit.i32(-1)); }

  void clear(Value room, int64_t halfKeys, Emitter &emit) const {
    constexpr int64_t bytesEach = 16;
    auto type = VectorType::get(bytesEach / wordBytes, emit.getI32Type());
    Value zeros = emit.make<LLVM::ConstantOp>(type, emit.getZeroAttr(type));
    Value mine = emit.offset(room, emit.mul(function.lane, bytesEach), emit.getI8Type());
    constexpr int64_t bytesAtOnce = 32 * bytesEach;
    for (int64_t at = 0; at < halfKeys * PostingsAttr::scoreRowBytes; at += bytesAtOnce)
      emit.store(zeros, emit.offset(mine, at), bytesEach);
    meet(emit);
  }

  /// Adds the products of a row and the keys of the lane to its scores.
  void walk(Value codesOfRow, Value listsOfLane, Value scoresOfLane, CodesType codes,
            Emitter &emit) const {
    Type i8 = emit.getI8Type(), i32 = emit.getI32Type(), element = codes.getElementType();
    constexpr int64_t entryBytes = PostingsAttr::entryBytes;
    // Entries are counted from the beginning of shared memory, which the assembler knows, so that
    // no addition gives their addresses.
    Value shared = function.shared(emit, 0);
    auto addressOf = [&](Value pointer) -> Value {
      return emit.make<LLVM::PtrToIntOp>(i32, pointer);
    };
    Value lists = emit.sub(addressOf(listsOfLane), addressOf(shared));
    auto loadEntry = [&](Value at) { return emit.load(i32, emit.offset(shared, at, i8)); };
    emit.loop(emit.i32(0), emit.i32(wordBytes * codes.getK()), emit.i32(wordBytes), {},
              [&](Value at, ValueRange) {
                Value code = emit.load(i32, emit.offset(codesOfRow, at, i8));
                Value value = emit.unpack(code, element).first;
                Value start = emit.offset(listsOfLane, emit.shiftRight(code, 16), i8);
                auto loadStart = [&](Value address) {
                  Value bytes = emit.load(emit.getI16Type(), address);
                  return emit.add(lists, emit.make<arith::ExtUIOp>(i32, bytes));
                };
                Value begin = loadStart(start),
                      end = loadStart(emit.offset(start, PostingsAttr::startBytes));
                // A pair that only fills up the row is of no feature.
                end = emit.select(emit.equal(code, emit.i32(0)), begin, end);
                // The next entry is on its way while this one waits for its score. Behind the last
                // list there is shared memory, too.
                emit.loop(begin, end, emit.i32(entryBytes), loadEntry(begin),
                          [&](Value at, ValueRange carried) {
                            Value entry = carried.front();
                            Value next = loadEntry(emit.add(at, entryBytes));
                            Value place = emit.offset(scoresOfLane, emit.shiftRight(entry, 16), i8);
                            Value score = emit.load(emit.getF32Type(), place);
                            emit.store(emit.fma(value, emit.unpack(entry, element).first, score),
                                       place);
                            return Values{next};
                          });
                return Values();
              });
    meet(emit);
  }

  /// The scores of the warp as elements of a fragment. Of one key the rows g, and of another half
  /// the same rows, are at banks of their own: the lanes of a quad each read another one of the
  /// four that all of them need, and exchange places behind it.
  Values read(Value room, int64_t halfKeys, Emitter &emit) const {
    auto [g, t] = std::tie(function.place->g, function.place->t);
    constexpr int64_t rowBytes = PostingsAttr::scoreRowBytes;
    // Number r + 2 h: row g + 8 r of half h, which has word g + 8 (r + 2 h) of each key.
    constexpr int64_t numbers = 4;
    std::array<Value, numbers> first;
    Value column = emit.offset(room, emit.mul(t, 2 * rowBytes), emit.getI8Type());
    for (int64_t turn = 0; turn < numbers; ++turn) {
      Value word = emit.add(g, emit.mul(emit.bitXor(t, turn), 8));
      first[turn] = emit.offset(column, emit.mul(word, wordBytes), emit.getI8Type());
    }
    auto isSet = [&](int64_t bit) { return emit.equal(emit.bitAnd(t, bit), emit.i32(bit)); };
    Value isOdd = isSet(1), isHigh = isSet(2);
    Values scores(halfKeys);
    for (int64_t key = 0; key < halfKeys; key += 8)
      for (int64_t next = 0; next < 2; ++next) {
        std::array<Value, numbers> loaded;
        for (auto [score, address] : llvm::zip_equal(loaded, first))
          score = emit.load(emit.getF32Type(), emit.offset(address, (key + next) * rowBytes));
        exchange(loaded[0], loaded[1], isOdd, emit);
        exchange(loaded[2], loaded[3], isOdd, emit);
        exchange(loaded[0], loaded[2], isHigh, emit);
        exchange(loaded[1], loaded[3], isHigh, emit);
        for (int64_t number = 0; number < numbers; ++number) {
          int64_t eight = (key + number / 2 * halfKeys) / 8;
          scores[4 * eight + 2 * (number % 2) + next] = loaded[number];
        }
      }
    // One lane gives the tile back for all of them.
    meet(emit);
    return scores;
  }

  static void exchange(Value &one, Value &other, Value condition, Emitter &emit) {
    Value before = one;
    one = emit.select(condition, other, one);
    other = emit.select(condition, before, other);
  }
};

} // namespace

void sfa::simt::populateScatterPatterns(RewritePatternSet &patterns, const TypeConverter &types,
                                        const FunctionContext &function) {
  patterns.add<LowerScatterDot>(types, patterns.getContext(), function);
}
