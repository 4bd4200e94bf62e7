//===- Scores.cpp - How operations of tile programs form scores on a GPU -===//
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

void sfa::simt::registerScores(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, tile::TileDialect *) {
    registerDense(*context);
    registerGather(*context);
    registerScatter(*context);
    registerSparseMma(*context);
    context->loadDialect<GPUDialect>();
  });
}
