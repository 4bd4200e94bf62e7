//===- TwoFour.cpp - Codes of queries as 2:4 operands -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TwoFour.h"

#include "Barriers.h"
#include "Patterns.h"
#include "Wgmma.h"
#include <algorithm>

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

/// The warps of a warpgroup meet.
static void meetInWarpgroup(Emitter &emit, const FunctionContext &function) {
  Value barrier = emit.add(function.consumer(emit), FunctionContext::firstWarpgroupBarrier);
  emit.make<NVVM::BarrierOp>(TypeRange(), barrier, emit.i32(128), NVVM::BarrierReductionAttr(),
                             Value());
}

/// Whether `condition` (i1) holds in some thread of the warpgroup, whose warps meet. nvvm.barrier
/// reduces at barrier 0 only.
static Value anyOfWarpgroup(Emitter &emit, const FunctionContext &function, Value condition) {
  Value barrier = emit.add(function.consumer(emit), FunctionContext::firstWarpgroupBarrier);
  auto name = emit.getStringAttr("llvm.nvvm.barrier.cta.red.or.aligned.count");
  return emit
      .make<LLVM::CallIntrinsicOp>(emit.getI1Type(), name,
                                   ValueRange{barrier, emit.i32(128), condition})
      .getResult(0);
}

/// The lane, formed again: what depends on it is not kept from the first pass over the points to
/// the second.
static Value laneAgain(Emitter &emit, const FunctionContext &function) {
  Value lane = function.lane;
  pin(emit, lane);
  return lane;
}

/// Where byte `byte` of row `row` of `tile` is.
static Value addressInRow(Emitter &emit, const SharedTile &tile, Value row, Value byte) {
  Value offset = swizzle::offsetOf(Emitted(emit, row), Emitted(emit, byte), tile.panelBytes());
  return emit.offset(tile.base, offset, emit.getI8Type());
}

namespace {

struct LowerExpandRows : Lowering<ExpandRowsOp> {
  using Lowering::Lowering;

  FailureOr<Results> lower(ExpandRowsOp op, Adaptor adaptor, Emitter &emit) const override {
    SharedTile tile = tileAt(adaptor.getTile().front(), op.getTile().getType());
    // Products of the warpgroup may still read what the rows have become.
    if (function.chip.hasWarpgroups)
      meetInWarpgroup(emit, function);
    int64_t repeats = function.repeatsOf(tile.rows);
    Value lane = laneAgain(emit, function);
    for (int64_t repeat = 0; repeat < repeats; ++repeat)
      clear(tile, lane, repeat, repeats, emit);
    emit.make<NVVM::SyncWarpOp>(emit.i32(-1));
    for (int64_t repeat = 0; repeat < repeats; ++repeat)
      scatter(op, adaptor, tile, lane, repeat, repeats, emit);
    emit.make<NVVM::SyncWarpOp>(emit.i32(-1));
    return Results{};
  }

private:
  static constexpr int64_t rowsOfBlock = 16;

  Value firstRow(int64_t repeat, int64_t repeats, Emitter &emit) const {
    return emit.add(emit.mul(function.warpOfGroup, rowsOfBlock * repeats), rowsOfBlock * repeat);
  }

  /// 16 rows are one range of each panel.
  void clear(const SharedTile &tile, Value lane, int64_t repeat, int64_t repeats,
             Emitter &emit) const {
    constexpr int64_t bytesEach = 16, bytesOfWarp = 32 * bytesEach;
    auto type = VectorType::get(bytesEach / 4, emit.getI32Type());
    Value zeros = emit.make<LLVM::ConstantOp>(type, emit.getZeroAttr(type));
    Value start = emit.add(emit.mul(firstRow(repeat, repeats, emit), SharedTile::rowBytes),
                           emit.mul(lane, bytesEach));
    Value base = emit.offset(tile.base, start, emit.getI8Type());
    for (int64_t panel = 0; panel < tile.numPanels(); ++panel)
      for (int64_t at = 0; at < rowsOfBlock * SharedTile::rowBytes; at += bytesOfWarp)
        emit.store(zeros, emit.offset(base, panel * tile.panelBytes() + at), bytesEach);
  }

  /// Two lanes have a row, each every other of its pairs.
  void scatter(ExpandRowsOp op, Adaptor adaptor, const SharedTile &tile, Value lane, int64_t repeat,
               int64_t repeats, Emitter &emit) const {
    Memory values(op.getValues().getType(), adaptor.getValues()),
        features(op.getFeatures().getType(), adaptor.getFeatures());
    int64_t k = values.type.getShape().back();
    auto heads = static_cast<int64_t>(op.getHeads());
    int64_t rowsOfHead = ScheduleAttr::rowsOfHead(tile.rows, heads);
    Value row = emit.add(firstRow(repeat, repeats, emit), emit.shiftRight(lane, 1));
    Value first = emit.toI64(adaptor.getRow().front());
    Value head = heads == 1 ? Value() : emit.div(row, rowsOfHead);
    Value rowOfHead = emit.toI64(heads == 1 ? row : emit.rem(row, rowsOfHead));
    Value exists = emit.less(rowOfHead, values.rowsLeft(emit, first, Value()));
    if (head)
      exists = emit.bitAnd(exists, emit.less(head, emit.i32(heads)));
    emit.when(exists, [&] {
      Value half = emit.bitAnd(lane, 1);
      auto rowOf = [&](const Memory &memory) {
        Value base =
            memory.address(emit, adaptor.getBatch().front(), adaptor.getHead().front(), first);
        return emit.offset(base, memory.elementsTo(emit, rowOfHead, head),
                           memory.type.getElementType());
      };
      Value valueRow = rowOf(values), featureRow = rowOf(features);
      // Loads of several pairs are under way at once.
      int64_t pairs = (k + 1) / 2, atOnce = std::min<int64_t>(pairs, 8);
      auto expand = [&](Value firstPair) {
        SmallVector<std::array<Value, 3>> loaded;
        for (int64_t i = 0; i < atOnce; ++i) {
          Value number = emit.add(emit.mul(emit.add(firstPair, i), 2), half);
          Value isThere = emit.less(number, emit.i32(k));
          // Nothing is read beyond the row.
          Value place = emit.toI64(emit.select(isThere, number, emit.i32(0)));
          Value value =
              emit.load(emit.getI16Type(), emit.offset(valueRow, place, emit.getI16Type()));
          Value feature =
              emit.load(emit.getI8Type(), emit.offset(featureRow, place, emit.getI8Type()));
          loaded.push_back({isThere, value, emit.make<arith::ExtUIOp>(emit.getI32Type(), feature)});
        }
        for (auto [isThere, value, feature] : loaded) {
          // A zero may pad the row: its feature means nothing.
          Value magnitude = emit.bitAnd(value, 0x7FFF);
          Value counts = emit.compare(arith::CmpIPredicate::ne, magnitude, emit.like(magnitude, 0));
          counts = emit.bitAnd(counts, isThere);
          counts = emit.bitAnd(counts, emit.less(feature, emit.i32(tile.columns)));
          emit.when(counts, [&, value = value, feature = feature] {
            emit.store(value, addressInRow(emit, tile, row, emit.mul(feature, 2)));
          });
        }
      };
      if (pairs == atOnce)
        return expand(emit.i32(0));
      emit.loop(emit.i32(0), emit.i32(pairs), emit.i32(atOnce), {},
                [&](Value firstPair, ValueRange) {
                  expand(firstPair);
                  return Values();
                });
    });
  }
};

/// Two of four columns: the pair, and the two columns in four bits.
struct Pair {
  Value elements, places;
};

struct LowerSplitTwoFour : Lowering<SplitTwoFourOp> {
  using Lowering::Lowering;

  FailureOr<Results> lower(SplitTwoFourOp op, Adaptor adaptor, Emitter &emit) const override {
    SharedTile tile = tileAt(adaptor.getTile().front(), op.getTile().getType());
    TwoFourType partType = op.getPart().getType();
    bool inRegisters = partType.getInRegisters(), hasSurplus = !op.getSurplus().use_empty();
    int64_t numSlices = partType.getNumSlices(), repeats = function.repeatsOf(tile.rows);
    LanePlace place(emit, laneAgain(emit, function));
    auto [g, t] = std::tie(place.g, place.t);

    Values elements, partPlaces, surplusPlaces;
    Values isNeeded(numSlices); // of the surplus
    for (int64_t repeat = 0; repeat < repeats; ++repeat) {
      Value row = emit.add(emit.add(emit.mul(function.warpOfGroup, 16 * repeats), 16 * repeat), g);
      SmallVector<Pair> parts, surpluses;
      for (int64_t slice = 0; slice < numSlices; ++slice) {
        SmallVector<Pair, 4> part, surplus;
        for (int64_t number = 0; number < TwoFourLayout::numPairs; ++number) {
          int64_t half = TwoFourLayout::halfOfPair(number);
          Value byte = TwoFourLayout::byteOfGroup(Emitted(emit, t), slice, half);
          Value pairRow = emit.add(row, TwoFourLayout::rowOfPair(number));
          auto type = VectorType::get(2, emit.getI32Type());
          Value loaded = emit.load(type, addressInRow(emit, tile, pairRow, byte), 8);
          std::array<Value, 2> group;
          for (int64_t i : {0, 1})
            group[i] = emit.make<LLVM::ExtractElementOp>(loaded, emit.i32(i));
          part.push_back(takeTwo(group, emit));
          if (hasSurplus)
            surplus.push_back(takeTwo(group, emit));
        }
        // The four lanes of a row have read the slice before any writes to it.
        emit.make<NVVM::SyncWarpOp>(emit.i32(-1));
        if (!inRegisters)
          store(tile, row, t, part, slice, /*isSurplus=*/false, emit);
        if (hasSurplus)
          store(tile, row, t, surplus, slice, /*isSurplus=*/true, emit);
        if (inRegisters)
          for (const Pair &pair : part)
            elements.push_back(pair.elements);
        llvm::append_range(parts, part);
        llvm::append_range(surpluses, surplus);
      }
      llvm::append_range(partPlaces, gatherPlaces(parts, t, emit));
      if (!hasSurplus)
        continue;
      llvm::append_range(surplusPlaces, gatherPlaces(surpluses, t, emit));
      for (auto [number, pair] : llvm::enumerate(surpluses)) {
        Value &needed = isNeeded[number / 4];
        needed = needed ? emit.bitOr(needed, pair.elements) : pair.elements;
      }
    }
    Value slices = hasSurplus ? findSlices(isNeeded, emit) : emit.i32(0);
    if (!hasSurplus)
      surplusPlaces.assign(repeats * partType.getNumPlaceRegisters(), emit.i32(0));
    if (!hasSurplus && !inRegisters)
      publish(emit);
    Values part = elements;
    llvm::append_range(part, partPlaces);
    pin(emit, part);
    if (!inRegisters)
      part.append({tile.base, emit.i32((1 << numSlices) - 1)});
    if (hasSurplus)
      pin(emit, surplusPlaces);
    Values surplus = surplusPlaces;
    surplus.append({tile.base, slices});
    return Results{part, surplus};
  }

private:
  /// Takes the first two elements that are not zero out of a group of four columns.
  static Pair takeTwo(std::array<Value, 2> &group, Emitter &emit) {
    Value zero = emit.i32(0);
    auto isSet = [&](int64_t column) {
      Value word = emit.bitAnd(group[column / 2], column % 2 ? 0x7FFF0000 : 0x7FFF);
      return emit.compare(arith::CmpIPredicate::ne, word, zero);
    };
    Emitted set0(emit, isSet(0)), set1(emit, isSet(1)), set2(emit, isSet(2));
    auto [i, j] = TwoFourLayout::firstTwo(set0, set1, set2);
    // Bytes 2 i, 2 i + 1, 2 j, 2 j + 1 of the eight.
    Value selector = emit.add(emit.add(emit.mul(i, 0x22), emit.mul(j, 0x2200)), 0x1010);
    Value elements = emit.make<NVVM::PermuteOp>(emit.getI32Type(), group[0], group[1], selector,
                                                NVVM::PermuteMode::DEFAULT);
    for (int64_t column = 0; column < 4; ++column) {
      Value isTaken = emit.bitOr(emit.equal(i, emit.i32(column)), emit.equal(j, emit.i32(column)));
      Value rest = emit.bitAnd(group[column / 2], column % 2 ? 0xFFFF : int64_t(0xFFFF0000));
      group[column / 2] = emit.select(isTaken, rest, group[column / 2]);
    }
    return {elements, TwoFourLayout::placesOf(i, j)};
  }

  /// The pairs of a slice to their rows.
  static void store(const SharedTile &tile, Value row, Value t, ArrayRef<Pair> pairs, int64_t slice,
                    bool isSurplus, Emitter &emit) {
    for (auto [number, pair] : llvm::enumerate(pairs)) {
      auto ofLane = static_cast<int64_t>(number);
      Value byte = TwoFourLayout::byteOfPair(Emitted(emit, t), slice,
                                             TwoFourLayout::halfOfPair(ofLane), isSurplus);
      Value pairRow = emit.add(row, TwoFourLayout::rowOfPair(ofLane));
      emit.store(pair.elements, addressInRow(emit, tile, pairRow, byte), 4);
    }
  }

  /// The registers of places of a block of rows.
  static Values gatherPlaces(ArrayRef<Pair> pairs, Value t, Emitter &emit) {
    Emitted lane(emit, t);
    Value isOdd = emit.equal(TwoFourLayout::sliceOfPlaces(lane), emit.i32(1)),
          isSecondHalf = emit.equal(TwoFourLayout::halfOfPlaces(lane), emit.i32(1));
    Value shift = TwoFourLayout::shiftOfGroup(lane);
    Values ofSlices;
    for (size_t slice = 0; slice < pairs.size() / 4; ++slice) {
      std::array<Value, 2> halves;
      for (size_t half : {0, 1}) {
        // Rows g and g + 8 of the lane's group, at its place; the four lanes of a row together.
        Value low = pairs[4 * slice + 2 * half].places,
              high = pairs[4 * slice + 2 * half + 1].places;
        Value places = emit.bitOr(low, emit.shiftLeft(high, TwoFourLayout::shiftOfSecondRow));
        places = emit.make<arith::ShLIOp>(places, shift);
        for (int64_t distance : {1, 2})
          places = emit.bitOr(places, emit.shuffleXor(places, distance));
        halves[half] = places;
      }
      ofSlices.push_back(emit.select(isSecondHalf, halves[1], halves[0]));
    }
    Values registers;
    for (size_t slice = 0; slice < ofSlices.size(); slice += 2) {
      bool hasNext = slice + 1 < ofSlices.size();
      registers.push_back(hasNext ? emit.select(isOdd, ofSlices[slice + 1], ofSlices[slice])
                                  : ofSlices[slice]);
    }
    return registers;
  }

  /// Stores are there for all who read the tile.
  void publish(Emitter &emit) const {
    if (!function.chip.hasWarpgroups) {
      emit.make<NVVM::SyncWarpOp>(emit.i32(-1));
      return;
    }
    fenceStores(emit);
    meetInWarpgroup(emit, function);
  }

  /// In which slices some lane has a surplus; stores are there then, too.
  Value findSlices(ValueRange isNeeded, Emitter &emit) const {
    publish(emit);
    Value slices = emit.i32(0);
    for (auto [slice, elements] : llvm::enumerate(isNeeded)) {
      Value some =
          emit.compare(arith::CmpIPredicate::ne, emit.bitAnd(elements, 0x7FFF7FFF), emit.i32(0));
      if (function.chip.hasWarpgroups) {
        some = anyOfWarpgroup(emit, function, some);
      } else {
        some = emit.any(some);
      }
      Value bit = emit.i32(int64_t(1) << slice);
      slices = emit.bitOr(slices, emit.select(some, bit, emit.i32(0)));
    }
    return slices;
  }
};

} // namespace

void sfa::simt::populateTwoFourPatterns(RewritePatternSet &patterns, const TypeConverter &types,
                                        const FunctionContext &function) {
  patterns.add<LowerExpandRows, LowerSplitTwoFour>(types, patterns.getContext(), function);
}
