//===- Dense.cpp - The product of dense tiles on the matrix units of a GPU -===//
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

struct Dense : ScoreOpInterface::ExternalModel<Dense, tile::DotOp> {
  std::optional<unsigned> getLeftOperand(Operation *) const { return 0; }

  Value emitScores(Operation *op, OpBuilder &builder, ValueRange operands, tile::TileType type,
                   bool isAsynchronous) const {
    if (!isAsynchronous)
      return DotOp::create(builder, op->getLoc(), type, operands[0], operands[1]);
    Value pending = IssueDotOp::create(builder, op->getLoc(), getPendingType(type), operands[0],
                                       operands[1], /*surplus=*/Value(), /*reuse=*/Value());
    return WaitOp::create(builder, op->getLoc(), pending, /*pending=*/0).getResult(0);
  }
};

} // namespace

void sfa::simt::registerDense(MLIRContext &context) {
  tile::DotOp::attachInterface<Dense>(context);
}
