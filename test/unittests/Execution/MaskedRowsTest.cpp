//===- MaskedRowsTest.cpp - Rows that see no key, and problems without rows or keys -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AllKernels.h"
#include "CheckKernels.h"
#include "Judge.h"

#include <cmath>
#include <fmt/format.h>
#include <limits>

using namespace sfa;
using namespace sfa::test;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// Runs `shapes` on every strategy and softmax form; the types take turns. With a `turn` the
/// ordinary run takes one softmax form. What sees no key is exactly 0 and -inf, without a
/// tolerance.
void check(const Configuration &base, llvm::ArrayRef<Shape> shapes, bool expectsMasked = true,
           std::optional<size_t> turn = std::nullopt) {
  std::vector<Configuration> configurations = withAllKernels(base);
  for (size_t i = 0; i < configurations.size(); ++i)
    configurations[i].type = allTypes[i % allTypes.size()];
  if (turn)
    configurations = chooseForThisRun(configurations, *turn, /*step=*/2);
  for (const Kernel &kernel : compileAll(configurations)) {
    if (!kernel)
      continue;
    const Configuration &c = kernel.configuration;
    Judge judge(c);
    int64_t numMasked = 0;
    for (const Shape &shape : shapes) {
      std::string label =
          fmt::format("b={} n_q={} n_k={}", shape.batch, shape.numQueries, shape.numKeys);
      Inputs inputs = makeInputs(c, shape, Support::Uniform, 1);
      Reference reference = makeReference(c, shape, inputs);
      oracle::Result actual = kernel(shape, inputs);
      ASSERT_EQ(actual.o.size(), reference.expected.o.size()) << label;
      ASSERT_EQ(actual.lse.size(), reference.expected.lse.size()) << label;
      for (size_t row = 0; row < actual.lse.size(); ++row) {
        if (reference.expected.lse[row] != -infinity)
          continue;
        ++numMasked;
        ASSERT_EQ(actual.lse[row], -infinity) << label << " row " << row << "\n"
                                              << describeRepetition(c);
        for (int64_t f = 0; f < c.dv; ++f)
          ASSERT_EQ(actual.o[row * c.dv + f], 0) << label << " row " << row << "\n"
                                                 << describeRepetition(c);
      }
      judge.add(label, reference, actual);
    }
    EXPECT_EQ(numMasked > 0, expectsMasked);
    judge.finish();
  }
}

TEST(MaskedRows, OfACausalMaskWithMoreQueriesThanKeys) {
  Configuration base;
  base.mask = oracle::Mask::Causal;
  check(base, {{1, 200, 60}, {1, 257, 1}, {1, 100, 99}});
}

TEST(MaskedRows, OfAWindowBeyondTheKeys) {
  Configuration base;
  base.mask = oracle::Mask::Window;
  base.left = 5;
  base.right = 2;
  base.qTile = 16;
  base.kTile = 16;
  check(base, {{1, 200, 60}, {2, 130, 40}, {1, 50, 50}});
}

/// Some splits have no keys, or none that a row sees.
TEST(MaskedRows, OfSplits) {
  Configuration base;
  base.qTile = 16;
  base.kTile = 16;
  base.splits = 5;
  base.mask = oracle::Mask::Causal;
  check(base, {{1, 200, 60}, {1, 257, 1}, {2, 3, 0}}, /*expectsMasked=*/true, /*turn=*/0);
  base.mask = oracle::Mask::Window;
  base.left = 5;
  base.right = 2;
  check(base, {{1, 200, 60}, {2, 130, 40}}, /*expectsMasked=*/true, /*turn=*/1);
  check(base, {{1, 0, 20}, {0, 20, 20}}, /*expectsMasked=*/false, /*turn=*/0);
}

TEST(MaskedRows, WithoutKeys) {
  for (oracle::Mask mask : {oracle::Mask::None, oracle::Mask::Causal, oracle::Mask::Window}) {
    Configuration base;
    base.mask = mask;
    if (mask == oracle::Mask::Window)
      base.left = base.right = 3;
    check(base, {{1, 33, 0}, {2, 1, 0}}, /*expectsMasked=*/true, static_cast<size_t>(mask));
  }
}

TEST(MaskedRows, AreNotThereWithoutQueriesOrBatches) {
  Configuration base;
  base.mask = oracle::Mask::Causal;
  check(base, {{1, 0, 20}, {0, 20, 20}, {3, 0, 0}}, /*expectsMasked=*/false);
}

/// Bounds whose sum with a position has more than 32 bits, up to the largest that is allowed.
TEST(MaskedRows, AreNotThereWithHugeBounds) {
  const Shape shapes[] = {{1, 70, 40}, {1, 40, 70}, {1, 255, 255}};
  size_t turn = 0;
  for (int64_t bound : {int64_t(1) << 40, (int64_t(1) << 32) - 1, int64_t(1) << 31}) {
    Configuration base;
    base.mask = oracle::Mask::Window;
    base.left = bound;
    base.right = bound;
    check(base, shapes, /*expectsMasked=*/false, turn++);
  }
}

} // namespace
