//===- SplitsTest.cpp - The keys of a query in shares, combined afterwards ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AllKernels.h"
#include "CheckKernels.h"
#include "gtest/gtest.h"

using namespace sfa;
using namespace sfa::test;

namespace {

/// Few queries and many keys, ends of tiles and of shares, fewer key tiles than shares.
constexpr Shape shapes[] = {{1, 1, 1000}, {2, 3, 517}, {1, 70, 257}, {3, 20, 33}, {1, 90, 1}};

/// Holds every strategy and softmax form against the oracle; the types take turns.
void check(Configuration base, size_t turn) {
  base.qTile = 16;
  base.kTile = 16;
  base.queryHeads = 4;
  const size_t first = turn;
  std::vector<Configuration> configurations = withAllKernels(base);
  for (Configuration &configuration : configurations)
    configuration.type = allTypes[turn++ % allTypes.size()];
  checkKernels(chooseForThisRun(configurations, first, /*step=*/4), shapes);
}

class Splits : public testing::TestWithParam<int64_t> {};

TEST_P(Splits, OfAllKeys) {
  Configuration base;
  base.splits = GetParam();
  check(base, GetParam());
}

TEST_P(Splits, OfACausalMask) {
  Configuration base;
  base.mask = oracle::Mask::Causal;
  base.splits = GetParam();
  base.dv = 40; // no whole vectors
  check(base, GetParam() + 1);
}

TEST_P(Splits, OfAWindow) {
  Configuration base;
  base.mask = oracle::Mask::Window;
  base.left = 100;
  base.right = 20;
  base.splits = GetParam();
  base.hasLse = GetParam() % 2 == 0;
  check(base, GetParam() + 2);
}

INSTANTIATE_TEST_SUITE_P(All, Splits, testing::Values(1, 2, 3, 7, 64, 256));

} // namespace
