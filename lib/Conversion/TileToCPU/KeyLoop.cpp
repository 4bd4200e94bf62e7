//===- KeyLoop.cpp - The loop over key tiles, its stages one after the other -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::cpu;

void KernelLowering::passToStage(OpOperand &yielded, BlockArgument argument) {
  Value value = yielded.get();
  auto tile = dyn_cast<TileType>(value.getType());
  if (tile && tile.isRowVector()) {
    Value buffer = rowVector(value);
    rowVectors[argument] = buffer;
  } else if (tile && keyTiles.contains(argument)) {
    MatrixBuffer buffer = matrix(value);
    matrices[argument] = buffer;
  } else if (tile) {
    MatrixBuffer buffer = takeMatrix(yielded, /*copy=*/true);
    matrices[argument] = buffer;
  } else if (auto view = codes.find(value); view != codes.end()) {
    CodesView passed = view->second;
    codes[argument] = passed;
  } else if (auto lists = postings.find(value); lists != postings.end()) {
    PostingsBuffer passed = lists->second;
    postings[argument] = passed;
  } else if (auto parts = pairs.find(value); parts != pairs.end()) {
    PairsBuffer passed = parts->second;
    pairs[argument] = passed;
  } else {
    mapping.map(argument, scalar(value));
  }
}

LogicalResult KernelLowering::lowerKeyLoop(KeyLoopOp op) {
  if (!op->getParentOfType<RetryOp>())
    scratchBytesBeforeLoop = scratchBytes;
  // The state lives in buffers that every iteration updates; that of an i1 has one for each block.
  MatrixBuffer acc = takeMatrix(op.getInitsMutable()[0], /*copy=*/true);
  int64_t rows = op.getAccType().getRows(), blockRows = getBlockRows(op);
  SmallVector<Value> states;
  for (Value init : op.getStateInits()) {
    auto tile = dyn_cast<TileType>(init.getType());
    states.push_back(tile ? allocateRows(tile)
                          : allocate({rows / blockRows}, emit.getI32Type()));
    if (tile) {
      copyRows(rowVector(init), states.back(), rows);
      continue;
    }
    Value flag = toMemory(scalar(init));
    for (int64_t number = 0; number < rows / blockRows; ++number)
      emit.store(flag, states.back(), emit.index(number));
  }

  auto yielded = [](Region &stage, unsigned index) -> OpOperand & {
    return stage.front().getTerminator()->getOpOperand(index);
  };
  unsigned numStates = op.getNumStates();

  // The stages from `score` on, for the block of rows at hand.
  auto lowerRowStages = [&](Value key) -> LogicalResult {
    MatrixBuffer blockAcc = blockOf(acc);
    Value number = emit.make<arith::DivUIOp>(block->start, emit.index(blockRows));

    if (failed(lower(op.getScore().front())))
      return failure();
    mapping.map(op.getMask().getArgument(0), key);
    passToStage(yielded(op.getScore(), 0), op.getMask().getArgument(1));

    if (failed(lower(op.getMask().front())))
      return failure();
    passToStage(yielded(op.getMask(), 0), op.getScores());
    SmallVector<Value> blockStates;
    for (auto [argument, state] : llvm::zip_equal(op.getSoftmaxStates(), states)) {
      if (isa<TileType>(argument.getType())) {
        blockStates.push_back(blockOf(state));
        rowVectors[argument] = blockStates.back();
      } else {
        blockStates.push_back(state);
        mapping.map(argument, isSet(emit.load(state, number)));
      }
    }
    // Nothing is saved in the first tile that would be worth code of its own.
    mapping.map(op.getIsFirst(), emit.make<arith::ConstantIntOp>(false, 1));

    if (failed(lower(op.getSoftmax().front())))
      return failure();
    Region &accumulate = op.getAccumulate();
    matrices[accumulate.getArgument(0)] = blockAcc;
    passToStage(yielded(op.getSoftmax(), 0), accumulate.getArgument(1));
    for (BlockArgument argument : accumulate.getArguments().drop_front(3))
      passToStage(yielded(op.getSoftmax(), argument.getArgNumber() - 2), argument);

    if (failed(lower(accumulate.front())))
      return failure();

    // The next state. What is another one's old state has to be read before that is overwritten.
    SmallVector<Value> next;
    for (unsigned index = 0; index < numStates; ++index) {
      Value value = yielded(accumulate, 1 + index).get();
      auto tile = dyn_cast<TileType>(value.getType());
      next.push_back(tile ? rowVector(value) : toMemory(scalar(value)));
      if (tile && next[index] != blockStates[index] &&
          llvm::is_contained(blockStates, next[index])) {
        Value copy = allocateRows(tile);
        copyRows(next[index], copy, rowsOf(tile));
        next[index] = copy;
      }
    }
    for (auto [value, state] : llvm::zip_equal(next, blockStates)) {
      if (isa<MemRefType>(value.getType()))
        copyRows(value, state, blockRows);
      else
        emit.store(value, state, number);
    }
    if (MatrixBuffer next = rowMatrix(yielded(accumulate, 0).get()); next.memory != blockAcc.memory)
      copyMatrix(next, blockAcc);
    return success();
  };

  LogicalResult result = success();
  emit.loop(scalar(op.getLower()), scalar(op.getUpper()), op.getStep(), [&](Value key) {
    mapping.map(op.getLoad().getArgument(0), key);
    result = lower(op.getLoad().front());
    if (failed(result))
      return;
    unsigned numKeys = op.getScore().getNumArguments();
    for (BlockArgument argument : op.getScore().getArguments())
      passToStage(yielded(op.getLoad(), argument.getArgNumber()), argument);
    passToStage(yielded(op.getLoad(), numKeys), op.getValueTile());

    emit.loop(0, rows, blockRows, [&](Value start) {
      block = RowBlock{op, start, blockRows};
      if (Value sees = seesTile(op, key))
        emit.when(sees, [&] { result = lowerRowStages(key); });
      else
        result = lowerRowStages(key);
      block.reset();
    });
  });

  matrices[op.getAcc()] = acc;
  for (auto [value, state] : llvm::zip_equal(op.getStates(), states)) {
    if (isa<TileType>(value.getType())) {
      rowVectors[value] = state;
      continue;
    }
    // Behind the loop an i1 is one of all rows.
    Value some = emit.load(state, emit.index(0));
    for (int64_t number = 1; number < rows / blockRows; ++number)
      some = emit.make<arith::OrIOp>(some, emit.load(state, emit.index(number)));
    mapping.map(value, isSet(some));
  }
  return result;
}
