//===- Softmax.cpp - The softmaxes that there are -------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Softmax.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;

SoftmaxForm::~SoftmaxForm() = default;

void SoftmaxForm::emitStages(KeyLoopOp loop, Type scored, Type valueTile) const {
  OpBuilder &builder = context.builder;
  OpBuilder::InsertionGuard guard(builder);
  TypeRange states = loop.getStateInits().getTypes();
  auto startStage = [&](Region &stage, TypeRange types) {
    return builder.createBlock(&stage, {}, types,
                               SmallVector<Location>(types.size(), context.loc));
  };

  SmallVector<Type> types = {scored};
  llvm::append_range(types, states);
  types.push_back(builder.getI1Type());
  startStage(loop.getSoftmax(), types);
  context.create<YieldOp>(probabilities(
      loop.getScores(), ValueRange(loop.getSoftmaxStates()), loop.getIsFirst()));

  types = {loop.getAccType(), context.scoreType, valueTile};
  llvm::append_range(types, states);
  llvm::append_range(types, loop.getExtras().getTypes());
  Block *stage = startStage(loop.getAccumulate(), types);
  context.create<YieldOp>(accumulate(stage->getArgument(0), stage->getArgument(1),
                                     loop.getValueTile(), ValueRange(loop.getAccumulateStates()),
                                     ValueRange(loop.getExtraArguments())));
}

std::unique_ptr<SoftmaxForm> sfa::tile::createSoftmax(Softmax softmax,
                                                      const SoftmaxContext &context) {
  switch (softmax) {
  case Softmax::Online:
    return createOnlineSoftmax(context);
  case Softmax::Lazy:
    return createLazySoftmax(context);
  }
  llvm_unreachable("a softmax without a case");
}
