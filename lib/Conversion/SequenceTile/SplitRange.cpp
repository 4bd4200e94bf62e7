//===- SplitRange.cpp - The shares of the keys of a sequence --------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SplitRange.h"

using namespace mlir;
using namespace sfa::tile;

namespace {

/// Sequences of at most `shortKeys` keys have shares of `shortShare` keys, one after the other.
/// Others are blocks of `blockKeys` keys in `numClasses` classes; a share has every eighth block
/// from one on, so many that there are `mostShares` shares at most.
constexpr int64_t shortKeys = 4096, shortShare = 256, longKeys = 16384, blockKeys = 512,
                  numClasses = 8, mostShares = 128;

class Shares {
public:
  Shares(ImplicitLocOpBuilder &builder, Value length, int64_t leastBlocks)
      : builder(builder), length(length) {
    blocks = ceilDiv(length, number(blockKeys));
    // 1, 2, 4 ... blocks a share: 128 shares of 2^20 blocks are more keys than 32 bits count.
    perShare = number(1);
    if (leastBlocks > 1)
      perShare = select(less(number(longKeys), length), number(leastBlocks), perShare);
    for (int64_t size = leastBlocks; size < int64_t(1) << 16; size *= 2)
      perShare = select(less(number(size * mostShares), blocks), number(2 * size), perShare);
    isShort = create<arith::CmpIOp>(arith::CmpIPredicate::sle, length, number(shortKeys));
  }

  SplitRange range(Value split) {
    Value zero = number(0);
    Value shortFirst = mul(split, number(shortShare));
    Value shortCount = clamp(sub(length, shortFirst), number(shortShare));
    // Share r of class c has the blocks c + 8 (r B + t).
    Value classes = number(numClasses);
    Value ofClass = create<arith::RemUIOp>(split, classes),
          rank = create<arith::DivUIOp>(split, classes);
    Value firstBlock = add(ofClass, mul(mul(rank, perShare), classes));
    Value left = create<arith::MaxSIOp>(sub(blocks, firstBlock), zero);
    Value count = create<arith::MinSIOp>(ceilDiv(left, classes), perShare);
    Value before = create<arith::MaxSIOp>(sub(count, number(1)), zero);
    Value lastBlock = add(firstBlock, mul(before, classes));
    Value ofLast = clamp(sub(length, mul(lastBlock, number(blockKeys))), number(blockKeys));
    Value keys = add(mul(before, number(blockKeys)), ofLast);
    return {select(isShort, shortFirst, mul(firstBlock, number(blockKeys))),
            select(isShort, shortCount, keys)};
  }

  Value count() {
    Value ofShort = ceilDiv(length, number(shortShare));
    // With one block a share no class has an empty one.
    Value classes = number(numClasses);
    Value ranks = ceilDiv(blocks, mul(perShare, classes));
    Value isSingle = create<arith::CmpIOp>(arith::CmpIPredicate::eq, perShare, number(1));
    Value ofLong = select(isSingle, blocks, mul(ranks, classes));
    return select(isShort, ofShort, ofLong);
  }

private:
  template <class Op, class... Args>
  Value create(Args &&...args) {
    return Op::create(builder, std::forward<Args>(args)...);
  }
  Value number(int64_t value) {
    return create<arith::ConstantOp>(builder.getIntegerAttr(length.getType(), value));
  }
  Value add(Value a, Value b) { return create<arith::AddIOp>(a, b); }
  Value sub(Value a, Value b) { return create<arith::SubIOp>(a, b); }
  Value mul(Value a, Value b) { return create<arith::MulIOp>(a, b); }
  Value ceilDiv(Value a, Value b) {
    return create<arith::DivUIOp>(add(a, sub(b, number(1))), b);
  }
  Value less(Value a, Value b) {
    return create<arith::CmpIOp>(arith::CmpIPredicate::slt, a, b);
  }
  Value select(Value condition, Value a, Value b) {
    return create<arith::SelectOp>(condition, a, b);
  }
  /// Between 0 and `most`.
  Value clamp(Value value, Value most) {
    return create<arith::MinSIOp>(create<arith::MaxSIOp>(value, number(0)), most);
  }

  ImplicitLocOpBuilder &builder;
  Value length, blocks, perShare, isShort;
};

} // namespace

SplitRange sfa::tile::emitSplitRange(ImplicitLocOpBuilder &builder, Value length, Value split,
                                     int64_t leastBlocks) {
  return Shares(builder, length, leastBlocks).range(split);
}

Value sfa::tile::emitSplitCount(ImplicitLocOpBuilder &builder, Value length, int64_t leastBlocks) {
  return Shares(builder, length, leastBlocks).count();
}
