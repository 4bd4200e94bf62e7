//===- SparseMma.cpp - The product of 2:4 queries on the matrix units of a GPU -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Scores.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

namespace {

struct SparseMma : ScoreOpInterface::ExternalModel<SparseMma, tile::TwoFourDotOp> {
  Value emitScores(Operation *op, OpBuilder &builder, ValueRange operands, tile::TileType type,
                   bool isAsynchronous) const {
    Value part = operands[0], keys = operands[1],
          surplus = operands.size() > 2 ? operands[2] : Value();
    if (!isAsynchronous)
      return DotOp::create(builder, op->getLoc(), type, part, keys, /*first=*/Value(), surplus);
    Value pending = IssueDotOp::create(builder, op->getLoc(), getPendingType(type), part, keys,
                                       surplus, /*reuse=*/Value());
    return WaitOp::create(builder, op->getLoc(), pending, /*pending=*/0).getResult(0);
  }
};

} // namespace

void sfa::simt::registerSparseMma(MLIRContext &context) {
  tile::TwoFourDotOp::attachInterface<SparseMma>(context);
}
