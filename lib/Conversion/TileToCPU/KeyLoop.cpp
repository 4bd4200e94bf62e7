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
  // The state lives in buffers that every iteration updates.
  MatrixBuffer acc = takeMatrix(op.getAccInitMutable(), /*copy=*/true);
  int64_t rows = op.getMax().getType().getRows();
  Value max = allocateRows(rows), sum = allocateRows(rows);
  copyRows(rowVector(op.getMaxInit()), max, rows);
  copyRows(rowVector(op.getSumInit()), sum, rows);

  auto yielded = [](Region &stage, unsigned index) -> OpOperand & {
    return stage.front().getTerminator()->getOpOperand(index);
  };

  // The stages from `score` on, for the block of rows at hand.
  auto lowerRowStages = [&](Value key) -> LogicalResult {
    MatrixBuffer blockAcc = blockOf(acc);
    Value blockMax = blockOf(max), blockSum = blockOf(sum);
    int64_t blockRows = rowsOf(op.getMax().getType());

    if (failed(lower(op.getScore().front())))
      return failure();
    mapping.map(op.getMask().getArgument(0), key);
    passToStage(yielded(op.getScore(), 0), op.getMask().getArgument(1));

    if (failed(lower(op.getMask().front())))
      return failure();
    passToStage(yielded(op.getMask(), 0), op.getSoftmax().getArgument(0));
    rowVectors[op.getSoftmax().getArgument(1)] = blockMax;
    rowVectors[op.getSoftmax().getArgument(2)] = blockSum;

    if (failed(lower(op.getSoftmax().front())))
      return failure();
    Region &accumulate = op.getAccumulate();
    matrices[accumulate.getArgument(0)] = blockAcc;
    passToStage(yielded(op.getSoftmax(), 0), accumulate.getArgument(1));
    passToStage(yielded(op.getSoftmax(), 3), accumulate.getArgument(3));
    passToStage(yielded(op.getSoftmax(), 4), accumulate.getArgument(4));

    if (failed(lower(accumulate.front())))
      return failure();

    // The next state. A new sum that is the old maxima has to be read before they are overwritten.
    Value nextMax = rowVector(yielded(op.getSoftmax(), 1).get());
    Value nextSum = rowVector(yielded(op.getSoftmax(), 2).get());
    if (nextSum == blockMax) {
      nextSum = allocateRows(blockRows);
      copyRows(blockMax, nextSum, blockRows);
    }
    copyRows(nextMax, blockMax, blockRows);
    copyRows(nextSum, blockSum, blockRows);
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
    passToStage(yielded(op.getLoad(), numKeys), op.getAccumulate().getArgument(2));

    int64_t blockRows = getBlockRows(op);
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
  rowVectors[op.getMax()] = max;
  rowVectors[op.getSum()] = sum;
  return result;
}
