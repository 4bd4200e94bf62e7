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
/// Rows of 8-bit integers are multiplied as they are, and their scales afterwards.
struct Dense : ScoreStrategy {
  SmallVector<Value> loadQuery(const KernelContext &context, const Operand &query, int64_t rows,
                               Value row) const override {
    return load(context, query, rows, row);
  }
  SmallVector<Value> loadKey(const KernelContext &context, const Operand &key, int64_t rows,
                             Value row) const override {
    return load(context, key, rows, row);
  }
  Value scores(const KernelContext &context, ValueRange query, ValueRange key,
               TileType type) const override {
    OpBuilder &builder = context.builder;
    if (query.size() == 1)
      return DotOp::create(builder, context.loc, type, query[0], key[0]);
    auto integers = TileType::get(type.getContext(), type.getShape(), builder.getI32Type());
    Value product = DotOp::create(builder, context.loc, integers, query[0], key[0]);
    // Where many keys share a scale, integers stay what they are. Where the scales of keys differ
    // from one to the next, a target multiplies by them, and one factor is left for a row.
    constexpr int64_t leastTogether = 16;
    int64_t together = keysOfScale(key[1]);
    TileType scores = together >= leastTogether ? integers.withFactors(together)
                                                : type.withFactors(type.getColumns());
    return DequantizeOp::create(builder, context.loc, scores, product, query[1], key[1]);
  }

private:
  /// How many keys of the tile at hand, whose scales the stage `score` gets as `argument`, share
  /// one.
  static int64_t keysOfScale(Value argument) {
    auto scales = cast<BlockArgument>(argument);
    auto loop = cast<KeyLoopOp>(scales.getOwner()->getParentOp());
    Value loaded = KeyLoopOp::getYielded(loop.getLoad())[scales.getArgNumber()];
    return static_cast<int64_t>(loaded.getDefiningOp<LoadScalesOp>().getTogether());
  }
  /// The rows, and behind them their scales where they are integers.
  static SmallVector<Value> load(const KernelContext &context, const Operand &operand, int64_t rows,
                                 Value row) {
    SmallVector<Value> loaded{context.loadDense(operand, rows, row)};
    if (operand.hasScales() && !operand.isCodes())
      loaded.push_back(context.loadScales(operand, rows, row));
    return loaded;
  }
};
} // namespace

std::unique_ptr<ScoreStrategy> sfa::tile::createDenseStrategy() {
  return std::make_unique<Dense>();
}
