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

  LogicalResult result = success();
  auto lowerStages = [&](Value key) -> LogicalResult {
    Block &load = op.getLoad().front(), &score = op.getScore().front(),
          &mask = op.getMask().front(), &softmax = op.getSoftmax().front(),
          &accumulate = op.getAccumulate().front();
    auto yielded = [](Block &stage, unsigned index) -> OpOperand & {
      return stage.getTerminator()->getOpOperand(index);
    };
    unsigned numKeys = score.getNumArguments();

    mapping.map(load.getArgument(0), key);
    if (failed(lower(load)))
      return failure();
    for (BlockArgument argument : score.getArguments())
      passToStage(yielded(load, argument.getArgNumber()), argument);
    passToStage(yielded(load, numKeys), accumulate.getArgument(2));

    if (failed(lower(score)))
      return failure();
    mapping.map(mask.getArgument(0), key);
    passToStage(yielded(score, 0), mask.getArgument(1));

    if (failed(lower(mask)))
      return failure();
    passToStage(yielded(mask, 0), softmax.getArgument(0));
    rowVectors[softmax.getArgument(1)] = max;
    rowVectors[softmax.getArgument(2)] = sum;

    if (failed(lower(softmax)))
      return failure();
    matrices[accumulate.getArgument(0)] = acc;
    passToStage(yielded(softmax, 0), accumulate.getArgument(1));
    passToStage(yielded(softmax, 3), accumulate.getArgument(3));
    passToStage(yielded(softmax, 4), accumulate.getArgument(4));

    if (failed(lower(accumulate)))
      return failure();

    // The next state. A new sum that is the old maxima has to be read before they are overwritten.
    Value nextMax = rowVector(yielded(softmax, 1).get()),
          nextSum = rowVector(yielded(softmax, 2).get());
    if (nextSum == max) {
      nextSum = allocateRows(rows);
      copyRows(max, nextSum, rows);
    }
    copyRows(nextMax, max, rows);
    copyRows(nextSum, sum, rows);
    if (MatrixBuffer next = matrix(yielded(accumulate, 0).get()); next.memory != acc.memory)
      copyMatrix(next, acc);
    return success();
  };
  emit.loop(scalar(op.getLower()), scalar(op.getUpper()), op.getStep(),
            [&](Value key) { result = lowerStages(key); });

  matrices[op.getAcc()] = acc;
  rowVectors[op.getMax()] = max;
  rowVectors[op.getSum()] = sum;
  return result;
}
