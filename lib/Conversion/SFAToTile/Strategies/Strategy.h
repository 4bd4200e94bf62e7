//===- Strategy.h - How a strategy forms a tile of scores -------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_SFATOTILE_STRATEGIES_STRATEGY_H
#define SFA_CONVERSION_SFATOTILE_STRATEGIES_STRATEGY_H

#include "../KernelBuilder.h"
#include <memory>

namespace sfa::tile {

/// The part of an attention kernel that depends on the strategy. A new strategy is a file beside
/// this one and a case of the enum `sfa::Strategy`.
class ScoreStrategy {
public:
  virtual ~ScoreStrategy() = default;

  /// Before the loop over key tiles: the `rows` queries from `row` on, in the forms that `scores`
  /// needs.
  virtual llvm::SmallVector<mlir::Value> loadQuery(const KernelContext &context,
                                                   const Operand &query, int64_t rows,
                                                   mlir::Value row) const = 0;

  /// In the stage `load`: the `rows` keys from `row` on, in the forms that `scores` needs.
  virtual llvm::SmallVector<mlir::Value> loadKey(const KernelContext &context, const Operand &key,
                                                 int64_t rows, mlir::Value row) const = 0;

  /// In the stage `score`: the scores of type `type`; their rows may have factors.
  virtual mlir::Value scores(const KernelContext &context, mlir::ValueRange query,
                             mlir::ValueRange key, TileType type) const = 0;
};

std::unique_ptr<ScoreStrategy> createDenseStrategy();
std::unique_ptr<ScoreStrategy> createGatherStrategy();
std::unique_ptr<ScoreStrategy> createScatterStrategy();
std::unique_ptr<ScoreStrategy> createSparseMmaStrategy();

} // namespace sfa::tile

#endif // SFA_CONVERSION_SFATOTILE_STRATEGIES_STRATEGY_H
