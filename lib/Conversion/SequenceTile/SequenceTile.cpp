//===- SequenceTile.cpp - The search for the sequence of a row tile -------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SequenceTile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace sfa::tile;

namespace {

/// Emits the search where there is a sequence.
class Search {
public:
  Search(ImplicitLocOpBuilder &builder, SequenceTileOp op, Value tile, Value numQueries,
         Value numKeys, OffsetReader reader)
      : builder(builder), op(op), tile(tile), numQueries(numQueries), numKeys(numKeys),
        reader(reader), rows(index(op.getRowsAttr().getInt())) {}

  SmallVector<Value> emit(Value numSequences) {
    Value sequence = findSequence(numSequences);
    auto [queryBegin, queryEnd] = bounds(op.getQueryOffsets(), numQueries, sequence);
    auto [keyBegin, keyEnd] = bounds(op.getKeyOffsets(), numKeys, sequence);
    // Of offsets that do not begin with 0 the first sequence has no tile before this one.
    Value ahead = create<arith::SubIOp>(tile, firstTile(queryBegin, sequence));
    Value row = create<arith::MulIOp>(create<arith::MaxSIOp>(ahead, index(0)), rows);
    // No address beyond the end of the memory is formed.
    Value length = create<arith::SubIOp>(queryEnd, queryBegin);
    row = create<arith::MinSIOp>(row, length);
    Value isNeeded = less(row, length);
    keyEnd = create<arith::SelectOp>(isNeeded, keyEnd, keyBegin);
    return {row, queryBegin, queryEnd, keyBegin, keyEnd};
  }

private:
  template <class Op, class... Args>
  Value create(Args &&...args) {
    return Op::create(builder, std::forward<Args>(args)...);
  }
  Value index(int64_t value) { return create<arith::ConstantIndexOp>(value); }
  Value less(Value a, Value b) { return create<arith::CmpIOp>(arith::CmpIPredicate::slt, a, b); }

  /// An offset, within the memory whatever it is.
  Value offset(Value memory, Value number, Value end) {
    Value given = reader.read(memory, number);
    return create<arith::MinSIOp>(create<arith::MaxSIOp>(given, index(0)), end);
  }
  std::pair<Value, Value> bounds(Value memory, Value end, Value sequence) {
    Value begin = offset(memory, sequence, end);
    Value next = offset(memory, create<arith::AddIOp>(sequence, index(1)), end);
    return {begin, create<arith::MaxSIOp>(begin, next)};
  }
  Value firstTile(Value queryBegin, Value sequence) {
    return create<arith::AddIOp>(create<arith::DivUIOp>(queryBegin, rows), sequence);
  }

  /// The last sequence whose first tile is at or before this one: by bisection, since first tiles
  /// ascend.
  Value findSequence(Value numSequences) {
    Type type = builder.getIndexType();
    SmallVector<Location> locs(2, builder.getLoc());
    auto loop =
        scf::WhileOp::create(builder, TypeRange{type, type}, ValueRange{index(0), numSequences});
    OpBuilder::InsertionGuard guard(builder);
    // The sequence is in [first, end).
    Block *before = builder.createBlock(&loop.getBefore(), {}, loop.getResultTypes(), locs);
    Value first = before->getArgument(0), end = before->getArgument(1);
    Value isOpen = less(index(1), create<arith::SubIOp>(end, first));
    scf::ConditionOp::create(builder, isOpen, ValueRange{first, end});

    Block *after = builder.createBlock(&loop.getAfter(), {}, loop.getResultTypes(), locs);
    first = after->getArgument(0), end = after->getArgument(1);
    Value middle = create<arith::DivUIOp>(create<arith::AddIOp>(first, end), index(2));
    Value start = firstTile(offset(op.getQueryOffsets(), middle, numQueries), middle);
    Value isLater = less(tile, start);
    scf::YieldOp::create(builder, ValueRange{create<arith::SelectOp>(isLater, first, middle),
                                             create<arith::SelectOp>(isLater, middle, end)});
    return loop.getResult(0);
  }

  ImplicitLocOpBuilder &builder;
  SequenceTileOp op;
  Value tile, numQueries, numKeys;
  OffsetReader reader;
  Value rows;
};

} // namespace

SmallVector<Value> sfa::tile::emitSequenceTile(ImplicitLocOpBuilder &builder, SequenceTileOp op,
                                               Value tile, Value numQueries, Value numKeys,
                                               OffsetReader reader) {
  Value zero = arith::ConstantIndexOp::create(builder, 0);
  Value one = arith::ConstantIndexOp::create(builder, 1);
  Value count = arith::MinSIOp::create(builder, reader.count(op.getQueryOffsets()),
                                       reader.count(op.getKeyOffsets()));
  Value numSequences = arith::SubIOp::create(builder, count, one);
  Value isAny = arith::CmpIOp::create(builder, arith::CmpIPredicate::slt, zero, numSequences);
  auto choice = scf::IfOp::create(builder, op->getResultTypes(), isAny, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(choice.thenBlock());
  scf::YieldOp::create(builder,
                       Search(builder, op, tile, numQueries, numKeys, reader).emit(numSequences));
  builder.setInsertionPointToStart(choice.elseBlock());
  scf::YieldOp::create(builder, SmallVector<Value>(op->getNumResults(), zero));
  return SmallVector<Value>(choice.getResults());
}
