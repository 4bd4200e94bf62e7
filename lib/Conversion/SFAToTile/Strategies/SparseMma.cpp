//===- SparseMma.cpp - Strategy sparse_mma: queries as a 2:4 part and an exact surplus -===//
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
struct SparseMma : ScoreStrategy {
  SmallVector<Value> loadQuery(const KernelContext &context, const Operand &query, int64_t rows,
                               Value row) const override {
    Value codes = context.loadCodes(query, rows, row);
    auto type = cast<CodesType>(codes.getType());
    MLIRContext *mlir = type.getContext();
    auto part =
        TwoFourType::get(mlir, rows, type.getFeatures(), type.getElementType(), type.getK());
    auto surplus =
        SurplusType::get(mlir, rows, type.getFeatures(), type.getElementType(), type.getK());
    auto split = SplitOp::create(context.builder, context.loc, part, surplus, codes);
    if (sfa::getCodes(query.type).getTwoFour())
      return {split.getPart()};
    return split.getResults();
  }
  SmallVector<Value> loadKey(const KernelContext &context, const Operand &key, int64_t rows,
                             Value row) const override {
    return {context.loadDense(key, rows, row)};
  }
  Value scores(const KernelContext &context, ValueRange query, ValueRange key,
               TileType type) const override {
    Value surplus = query.size() > 1 ? query[1] : Value();
    return TwoFourDotOp::create(context.builder, context.loc, type, query[0], key[0], surplus);
  }
};
} // namespace

std::unique_ptr<ScoreStrategy> sfa::tile::createSparseMmaStrategy() {
  return std::make_unique<SparseMma>();
}
