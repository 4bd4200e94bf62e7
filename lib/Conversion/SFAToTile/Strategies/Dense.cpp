//===- Dense.cpp - Strategy dense: codes are expanded, then an ordinary product -===//
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
struct Dense : ScoreStrategy {
  SmallVector<Value> loadQuery(const KernelContext &context, const Operand &query, int64_t rows,
                               Value row) const override {
    return {context.loadDense(query, rows, row)};
  }
  Value loadKey(const KernelContext &context, const Operand &key, int64_t rows,
                Value row) const override {
    return context.loadDense(key, rows, row);
  }
  Value scores(const KernelContext &context, ValueRange query, Value key,
               TileType type) const override {
    return DotOp::create(context.builder, context.loc, type, query[0], key);
  }
};
} // namespace

std::unique_ptr<ScoreStrategy> sfa::tile::createDenseStrategy() {
  return std::make_unique<Dense>();
}
