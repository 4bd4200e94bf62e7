//===- Scatter.cpp - Strategy scatter: the posting lists of a query's features are walked -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Strategy.h"

using namespace mlir;
using namespace sfa::tile;

namespace {
struct Scatter : ScoreStrategy {
  SmallVector<Value> loadQuery(const KernelContext &context, const Operand &query, int64_t rows,
                               Value row) const override {
    return {context.loadCodes(query, rows, row)};
  }
  SmallVector<Value> loadKey(const KernelContext &context, const Operand &key, int64_t rows,
                             Value row) const override {
    return {context.loadPostings(key, rows, row)};
  }
  Value scores(const KernelContext &context, ValueRange query, ValueRange key,
               TileType type) const override {
    return ScatterDotOp::create(context.builder, context.loc, type, query[0], key[0]);
  }
};
} // namespace

std::unique_ptr<ScoreStrategy> sfa::tile::createScatterStrategy() {
  return std::make_unique<Scatter>();
}
