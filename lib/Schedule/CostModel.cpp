//===- CostModel.cpp - The schedules of a CPU -----------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Schedule/CostModel.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include <numeric>

using namespace mlir;
using namespace sfa;

/// Real supports overlap more than uniform ones: up to this factor was measured on trained models.
static constexpr double overlapSkew = 4.4;

/// One multiply-add into a score at a position read from memory, against one of a whole vector.
static constexpr double scatteredAddCost = 16.0;

/// A multiply-add with an operand from the first-level cache, against one of the register-tiled
/// product.
static constexpr double unblockedCost = 1.5;

double sfa::estimateScoreCost(const Problem &problem, Strategy strategy) {
  auto features = static_cast<double>(problem.features);
  auto query = static_cast<double>(problem.queryCodes.value_or(problem.features));
  auto key = static_cast<double>(problem.keyCodes.value_or(problem.features));
  switch (strategy) {
  case Strategy::Dense:
    return features;
  case Strategy::Gather:
    return unblockedCost * query;
  case Strategy::Scatter:
    return scatteredAddCost * std::min(overlapSkew * query * key / features, std::min(query, key));
  case Strategy::SparseMma:
    return unblockedCost * features / 2;
  }
  llvm_unreachable("a strategy without a case");
}

ResolvedSchedule sfa::chooseForCpu(const Problem &problem, const Schedule &given) {
  ResolvedSchedule chosen;
  for (Strategy strategy : ScheduleSpace(problem, Device::cpu()).strategies())
    if (estimateScoreCost(problem, strategy) < estimateScoreCost(problem, chosen.strategy))
      chosen.strategy = strategy;

  // A key and a value tile in f32 stay within a second-level cache of 512 KiB. A larger query tile
  // shares their loading among more queries; few queries leave too few tiles for all cores.
  chosen.kTile = problem.features + problem.valueFeatures <= 512 ? 128 : 64;
  int64_t packedHeads = given.packedHeads.value_or(chosen.packedHeads);
  chosen.qTile = 128;
  if (std::optional<int64_t> ofHead = problem.numQueries()) {
    int64_t queries = *ofHead * packedHeads;
    chosen.qTile =
        queries >= 2048 ? 256 : std::clamp<int64_t>(llvm::alignTo(queries, 8), 8, chosen.qTile);
  }
  chosen.qTile =
      static_cast<int64_t>(llvm::alignTo(chosen.qTile, std::lcm(int64_t(8), packedHeads)));
  return ResolvedSchedule(given, chosen);
}
