//===- TopK.cpp - Selection of the k features of largest magnitude --------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::cpu;

/// The bits of a magnitude order like the magnitude; all NaN count as one key above infinity.
static constexpr int32_t magnitudeBits = 0x7FFFFFFF, infinityBits = 0x7F800000, nanKey = 0x7FC00000;

/// How many lanes of a mask are set, as i32.
static Value countLanes(Emitter &emit, Value mask) {
  Type bits = emit.getIntegerType(emit.lanes);
  Value vector = emit.make<vector::BitCastOp>(VectorType::get(1, bits), mask);
  Value count = emit.make<math::CtPopOp>(Value(emit.make<vector::ExtractOp>(vector, int64_t(0))));
  return emit.make<arith::ExtUIOp>(emit.getI32Type(), count);
}

/// Keys of whole groups of four features, -1 where two others of the group rank before.
static Value dropAllButTwoOfFour(Emitter &emit, Value key) {
  Value rank = emit.splat(int32_t(0));
  for (int64_t turn = 1; turn < 4; ++turn) {
    SmallVector<int64_t> order(emit.lanes);
    SmallVector<int32_t> ties(emit.lanes);
    for (int64_t lane = 0; lane < emit.lanes; ++lane) {
      order[lane] = lane / 4 * 4 + (lane + turn) % 4;
      ties[lane] = order[lane] < lane ? 1 : 0; // of equal keys the lower feature ranks before
    }
    Value other = emit.make<vector::ShuffleOp>(key, key, order);
    Value bound = emit.sub(key, emit.make<arith::ConstantOp>(emit.getI32VectorAttr(ties)));
    Value isBefore = emit.compare(arith::CmpIPredicate::sgt, other, bound);
    rank = emit.add(rank, emit.make<arith::ExtUIOp>(emit.i32Vector(), isBefore));
  }
  Value isDropped = emit.compare(arith::CmpIPredicate::sge, rank, emit.splat(int32_t(2)));
  return emit.select(isDropped, emit.splat(int32_t(-1)), key);
}

void KernelLowering::lower(TopkOp op) {
  MatrixBuffer tile = matrix(op.getTile());
  int64_t k = op.getCodes().getType().getK(), features = tile.columns;
  int64_t padded = llvm::alignTo(features, emit.lanes);
  Type f32 = emit.getF32Type(), i32Type = emit.getI32Type(),
       element = op.getTile().getType().getElementType();
  // The scan for ties stores before it knows, so there is one place more than k.
  Value values = allocate({tile.rows, k + 1}, f32), indices = allocate({tile.rows, k + 1}, i32Type);
  // The search waits for one count after another; several rows at once hide that.
  int64_t rowsAtOnce = tile.rows % 4 == 0 ? 4 : 1;
  Value keys = allocate({rowsAtOnce, padded}, i32Type);
  Value first = emit.index(0), end = emit.index(padded), wanted = emit.i32(k);
  auto reaches = [&](Value slot, Value column, Value threshold) {
    Value key = emit.loadVector(keys, {slot, column});
    return emit.compare(arith::CmpIPredicate::sge, key, threshold);
  };
  auto countReaching = [&](Value slot, Value threshold) {
    Value vector = emit.broadcast(threshold);
    return emit.loop(first, end, emit.lanes, emit.i32(0), [&](Value column, ValueRange count) {
      return Emitter::Values{emit.add(count[0], countLanes(emit, reaches(slot, column, vector)))};
    })[0];
  };

  auto makeKeys = [&](Value row, Value slot) {
    emit.loop(0, padded, emit.lanes, [&](Value column) {
      Value bits = emit.make<arith::BitcastOp>(emit.i32Vector(),
                                               emit.loadVector(tile.memory, {row, column}));
      Value key = emit.make<arith::AndIOp>(bits, emit.splat(magnitudeBits));
      Value isNaN = emit.compare(arith::CmpIPredicate::sgt, key, emit.splat(infinityBits));
      key = emit.select(isNaN, emit.splat(nanKey), key);
      if (op.getTwoFour())
        key = dropAllButTwoOfFour(emit, key);
      if (features != padded) {
        // Padding ranks below everything.
        Value number = emit.add(emit.laneNumbers(), emit.broadcast(emit.toI32(column)));
        Value exists =
            emit.compare(arith::CmpIPredicate::slt, number, emit.splat(int32_t(features)));
        key = emit.select(exists, key, emit.splat(int32_t(-1)));
      }
      emit.storeVector(key, keys, {slot, column});
    });
  };

  // The k-th largest key of each row, bit by bit from the highest one: the largest threshold that
  // at least k keys reach. Bits that the element type does not have are 0.
  auto findThresholds = [&](const Emitter::Values &slots) {
    int64_t lowestBit = element.isBF16() ? 16 : element.isF16() ? 13 : 0;
    Emitter::Values zeros(slots.size(), emit.i32(0));
    return emit.loop(emit.index(0), emit.index(31 - lowestBit), 1, zeros,
                     [&](Value step, ValueRange best) {
                       Value bit = emit.make<arith::ShRUIOp>(emit.i32(1 << 30), emit.toI32(step));
                       Emitter::Values next;
                       for (auto [slot, threshold] : llvm::zip_equal(slots, best)) {
                         Value candidate = emit.make<arith::OrIOp>(threshold, bit);
                         Value count = countReaching(slot, candidate);
                         Value enough = emit.compare(arith::CmpIPredicate::sge, count, wanted);
                         next.push_back(emit.select(enough, candidate, threshold));
                       }
                       return next;
                     });
  };

  // In order of the features: all keys above the threshold, and the first ones equal to it.
  auto keep = [&](Value row, Value slot, Value threshold) {
    Value reaching = countReaching(slot, threshold);
    auto exact = emit.make<scf::IfOp>(emit.compare(arith::CmpIPredicate::eq, reaching, wanted),
                                      /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(emit);
    emit.setInsertionPoint(exact.thenYield());
    Value bound = emit.broadcast(threshold);
    emit.loop(first, end, emit.lanes, first, [&](Value column, ValueRange place) {
      Value taken = reaches(slot, column, bound);
      Value numbers = emit.add(emit.laneNumbers(), emit.broadcast(emit.toI32(column)));
      Value vector = emit.loadVector(tile.memory, {row, column});
      // All operands by hand: the builder of LLVM 22 swaps the mask and the vector.
      emit.make<vector::CompressStoreOp>(TypeRange(),
                                         ValueRange{values, row, place[0], taken, vector});
      emit.make<vector::CompressStoreOp>(TypeRange(),
                                         ValueRange{indices, row, place[0], taken, numbers});
      return Emitter::Values{emit.add(place[0], emit.toIndex(countLanes(emit, taken)))};
    });

    // More keys equal the threshold than there are places: the lower features take them.
    emit.setInsertionPoint(exact.elseYield());
    Value above = countReaching(slot, emit.add(threshold, emit.i32(1)));
    Emitter::Values state{first, emit.sub(wanted, above)};
    emit.loop(first, emit.index(features), 1, state, [&](Value feature, ValueRange carried) {
      Value key = emit.load(keys, {slot, feature}), place = carried[0], tiesLeft = carried[1];
      Value isAbove = emit.compare(arith::CmpIPredicate::sgt, key, threshold);
      Value isTie =
          emit.make<arith::AndIOp>(emit.compare(arith::CmpIPredicate::eq, key, threshold),
                                   emit.compare(arith::CmpIPredicate::sgt, tiesLeft, emit.i32(0)));
      emit.store(emit.load(tile.memory, {row, feature}), values, {row, place});
      emit.store(emit.toI32(feature), indices, {row, place});
      Value taken =
          emit.make<arith::ExtUIOp>(i32Type, Value(emit.make<arith::OrIOp>(isAbove, isTie)));
      Value tie = emit.make<arith::ExtUIOp>(i32Type, isTie);
      return Emitter::Values{emit.add(place, emit.toIndex(taken)), emit.sub(tiesLeft, tie)};
    });
  };

  emit.loop(0, tile.rows, rowsAtOnce, [&](Value firstRow) {
    Emitter::Values rows, slots;
    for (int64_t slot = 0; slot < rowsAtOnce; ++slot) {
      slots.push_back(emit.index(slot));
      rows.push_back(emit.add(firstRow, slots.back()));
      makeKeys(rows.back(), slots.back());
    }
    Emitter::Values thresholds = findThresholds(slots);
    for (auto [row, slot, threshold] : llvm::zip_equal(rows, slots, thresholds))
      keep(row, slot, threshold);
  });
  codes[op.getCodes()] = CodesView{values, indices, {}, first, emit.index(tile.rows), tile.rows, k};
}
