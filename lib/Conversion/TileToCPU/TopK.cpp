//===- TopK.cpp - Selection of the k features of largest magnitude --------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"
#include "llvm/Support/MathExtras.h"
#include <limits>

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::cpu;

/// The bits of a magnitude order like the magnitude; all NaN count as the first one after infinity.
static constexpr int32_t magnitudeBits = 0x7FFFFFFF, nanBits = 0x7F800001;

void KernelLowering::lower(TopkOp op) {
  MatrixBuffer tile = matrix(op.getTile());
  int64_t k = op.getCodes().getType().getK(), features = tile.columns;
  int64_t padded = llvm::alignTo(features, emit.lanes);
  Type f32 = emit.getF32Type(), i32Type = emit.getI32Type();
  // One more place than k: the scan below stores before it knows.
  Value values = allocate({tile.rows, k + 1}, f32), indices = allocate({tile.rows, k + 1}, i32Type);
  Value keys = allocate({padded}, i32Type);
  Value first = emit.index(0), end = emit.index(padded), wanted = emit.i32(k);
  auto add = [&](Value a, Value b) { return emit.add(a, b); };
  auto max = [&](Value a, Value b) -> Value { return emit.make<arith::MaxSIOp>(a, b); };

  emit.loop(0, tile.rows, 1, [&](Value row) {
    emit.loop(0, padded, emit.lanes, [&](Value column) {
      Value bits = emit.make<arith::BitcastOp>(emit.i32Vector(),
                                               emit.loadVector(tile.memory, {row, column}));
      Value key = emit.make<arith::AndIOp>(bits, emit.splat(magnitudeBits));
      key = emit.make<arith::MinSIOp>(key, emit.splat(nanBits));
      if (features != padded) {
        // Padding ranks below everything.
        Value number = emit.add(emit.laneNumbers(), emit.broadcast(emit.toI32(column)));
        Value exists =
            emit.compare(arith::CmpIPredicate::slt, number, emit.splat(int32_t(features)));
        key = emit.select(exists, key, emit.splat(int32_t(-1)));
      }
      emit.storeVector(key, keys, column);
    });

    // The k-th largest key: step from one distinct key to the next smaller one until at least k are
    // not below it.
    auto search = emit.make<scf::WhileOp>(
        TypeRange{i32Type, i32Type, i32Type},
        ValueRange{emit.i32(std::numeric_limits<int32_t>::max()), emit.i32(0), emit.i32(0)},
        [&](OpBuilder &, Location, ValueRange state) {
          Value more = emit.compare(arith::CmpIPredicate::slt, state[1], wanted);
          emit.make<scf::ConditionOp>(more, state);
        },
        [&](OpBuilder &, Location, ValueRange state) {
          Value bound = emit.broadcast(state[0]);
          Emitter::Values next = emit.loop(
              first, end, emit.lanes, emit.splat(int32_t(-1)), [&](Value column, ValueRange best) {
                Value key = emit.loadVector(keys, column);
                Value below = emit.compare(arith::CmpIPredicate::slt, key, bound);
                return Emitter::Values{
                    max(best[0], emit.select(below, key, emit.splat(int32_t(-1))))};
              });
          Value threshold = emit.reduce(next[0], max);
          Value vector = emit.broadcast(threshold);
          Emitter::Values counted = emit.loop(
              first, end, emit.lanes, emit.splat(int32_t(0)), [&](Value column, ValueRange count) {
                Value reaches =
                    emit.compare(arith::CmpIPredicate::sge, emit.loadVector(keys, column), vector);
                return Emitter::Values{
                    emit.add(count[0], emit.make<arith::ExtUIOp>(emit.i32Vector(), reaches))};
              });
          // Threshold, how many reach it, how many are above it.
          emit.make<scf::YieldOp>(ValueRange{threshold, emit.reduce(counted[0], add), state[1]});
        });
    Value threshold = search.getResult(0), ties = emit.sub(wanted, search.getResult(2));

    // In order of the features: all keys above the threshold and the first ones equal to it.
    Emitter::Values state{first, ties};
    emit.loop(first, emit.index(features), 1, state, [&](Value feature, ValueRange carried) {
      Value key = emit.load(keys, feature), place = carried[0], tiesLeft = carried[1];
      Value above = emit.compare(arith::CmpIPredicate::sgt, key, threshold);
      Value tie =
          emit.make<arith::AndIOp>(emit.compare(arith::CmpIPredicate::eq, key, threshold),
                                   emit.compare(arith::CmpIPredicate::sgt, tiesLeft, emit.i32(0)));
      emit.store(emit.load(tile.memory, {row, feature}), values, {row, place});
      emit.store(emit.toI32(feature), indices, {row, place});
      Value taken = emit.make<arith::OrIOp>(above, tie);
      Value step = emit.make<arith::ExtUIOp>(i32Type, tie);
      return Emitter::Values{
          emit.add(place, emit.toIndex(Value(emit.make<arith::ExtUIOp>(i32Type, taken)))),
          emit.sub(tiesLeft, step)};
    });
  });
  codes[op.getCodes()] = CodesView{values, indices, {}, first, emit.index(tile.rows), tile.rows, k};
}
