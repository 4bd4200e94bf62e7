//===- TopK.cpp - The kernel that selects the k features of largest magnitude - ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TopK.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::simt;

using Values = Emitter::Values;

/// Up to this k the networks are cheaper than the search.
static constexpr int64_t maxSortedK = 32;
static constexpr int64_t keyFlags = 0x80008000;

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
                             "rows once, selects from them, may round the values, and stores the "
                             "codes written out, the codes, or both in this order");
    return lower(tileOp);
  };
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](LoadOp load) { return lowerIf(!loaded, load); })
      .Case([&](TopkOp topk) { return lowerIf(topk.getTile() == loaded, topk); })
      .Case([&](QuantizeCodesOp quantize) {
        return lowerIf(quantize.getCodes() == chosen && !codesAreStored && !expanded, quantize);
      })
      .Case([&](StoreCodesOp store) {
        return lowerIf(store.getCodes() == codesToStore() && !codesAreStored, store);
      })
      .Case([&](StoreScalesOp store) { return lowerIf(store.getScales() == scales, store); })
      .Case([&](ExpandOp expand) { return lowerIf(expand.getCodes() == codesToStore(), expand); })
      .Case([&](StoreOp store) {
        return lowerIf(store.getTile() == expanded && !codesAreStored, store);
      })
      .Default([&](Operation *other) -> LogicalResult {
        if (!isa<arith::ArithDialect>(other->getDialect()))
          return other->emitOpError("is not supported in a kernel that selects features on a GPU");
        emit.clone(*other, kernel.mapping);
        return success();
      });
}

LogicalResult sfa::simt::lowerTopkKernel(RowFunction &lowering) {
  return TopkKernel(lowering).run();
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
  int64_t bytesOfScratch = rowsOfWarp * features / 8;
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
