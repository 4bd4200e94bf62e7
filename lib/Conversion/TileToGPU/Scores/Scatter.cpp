//===- Scatter.cpp - The posting lists of the features of a query are walked -===//
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

/// As those of Gather.cpp, its scores are there at once.
struct Scatter : ScoreOpInterface::ExternalModel<Scatter, tile::ScatterDotOp> {
  TileForm getTileForm(Operation *, unsigned number) const {
    return number == 1 ? TileForm::Postings : TileForm::Swizzled;
  }

  SharedType getRoom(Operation *, SharedType keys, int64_t warps) const {
    return ScatterDotOp::getRoomFor(keys, warps);
  }

  Value emitScores(Operation *op, OpBuilder &builder, ValueRange operands, tile::TileType type,
                   bool) const {
    return ScatterDotOp::create(builder, op->getLoc(), type, operands[0], operands[1], operands[2]);
  }
};

} // namespace

void sfa::simt::registerScatter(MLIRContext &context) {
  tile::ScatterDotOp::attachInterface<Scatter>(context);
}
