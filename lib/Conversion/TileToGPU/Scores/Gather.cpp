//===- Gather.cpp - A scaled row of feature-major keys for each non-zero of a query -===//
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

/// No matrix unit forms them, so they are there at once: beside a product with values that is under
/// way.
struct Gather : ScoreOpInterface::ExternalModel<Gather, tile::GatherDotOp> {
  TileForm getTileForm(Operation *, unsigned number) const {
    return number == 1 ? TileForm::FeatureMajor : TileForm::Swizzled;
  }

  Value emitScores(Operation *op, OpBuilder &builder, ValueRange operands, tile::TileType type,
                   bool) const {
    return GatherDotOp::create(builder, op->getLoc(), type, operands[0], operands[1]);
  }
};

} // namespace

void sfa::simt::registerGather(MLIRContext &context) {
  tile::GatherDotOp::attachInterface<Gather>(context);
}
