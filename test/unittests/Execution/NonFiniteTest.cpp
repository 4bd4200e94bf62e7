//===- NonFiniteTest.cpp - NaN and infinity in queries and keys -----------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AllKernels.h"
#include "Judge.h"

#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <random>

using namespace sfa;
using namespace sfa::test;

using Values = std::vector<double>;

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

/// Puts a NaN or an infinity into one of `period` rows.
void spoil(Values &values, int64_t d, int64_t period, uint64_t seed) {
  std::mt19937_64 random(seed);
  constexpr std::array spoilers = {nan, infinity, -infinity, -nan};
  for (int64_t row = 0; row < static_cast<int64_t>(values.size()) / d; ++row)
    if (random() % period == 0)
      values[row * d + random() % d] = spoilers[random() % spoilers.size()];
}

/// The rows of `result` for which `isWanted` holds.
oracle::Result select(const oracle::Result &result, const std::vector<bool> &isWanted, int64_t dv) {
  oracle::Result selected;
  for (size_t row = 0; row < isWanted.size(); ++row)
    if (isWanted[row]) {
      selected.o.insert(selected.o.end(), result.o.begin() + row * dv,
                        result.o.begin() + (row + 1) * dv);
      selected.lse.push_back(result.lse[row]);
    }
  return selected;
}

struct Spoiled {
  const char *name;
  int64_t queryPeriod, keyPeriod;
};

/// Of a spoiled key every query that sees it and shares the feature gives NaN, or a score of -inf.
/// So keys are spoiled rarely, and late ones only are seen by few queries of a causal mask.
constexpr std::array<Spoiled, 3> spoiledOperands = {
    {{"query", 5, 1 << 30}, {"key", 1 << 30, 40}, {"both", 7, 60}}};

class NonFinite : public testing::TestWithParam<std::tuple<ElementType, oracle::Mask, Softmax>> {};

TEST_P(NonFinite, ReachesTheRowsThatSeeItAndNoOthers) {
  auto [type, mask, softmax] = GetParam();
  Configuration base;
  base.type = type;
  base.mask = mask;
  base.softmax = softmax;
  base.left = mask == oracle::Mask::Window ? std::optional<int64_t>(20) : std::nullopt;
  base.right = mask == oracle::Mask::Window ? std::optional<int64_t>(3) : std::nullopt;
  base.qTile = 32;
  base.kTile = 32;
  base.queryHeads = 4;
  std::vector<Configuration> configurations;
  for (Strategy strategy : allStrategies) {
    configurations.push_back(base);
    configurations.back().strategy = strategy;
  }
  configurations.push_back(base);
  configurations.back().splits = 4;

  const Shape shape{1, 150, 170};
  const int64_t rows = base.queryHeads * shape.numQueries;
  for (const Kernel &kernel : compileAll(configurations)) {
    if (!kernel)
      continue;
    const Configuration &c = kernel.configuration;
    Judge judge(c);
    int64_t numFinite = 0, numNan = 0;
    for (const Spoiled &spoiled : spoiledOperands) {
      Inputs inputs = makeInputs(c, shape, Support::Uniform, 1);
      spoil(inputs.q, c.d, spoiled.queryPeriod, 2);
      spoil(inputs.k, c.d, spoiled.keyPeriod, 3);
      auto codesOf = [&](const Values &values, int64_t k) {
        return oracle::topk(values, values.size() / c.d, c.d, k);
      };
      oracle::Codes q = codesOf(inputs.q, c.queryK), k = codesOf(inputs.k, c.keyK);
      Reference reference = makeReference(c, shape, inputs); // every feature is multiplied
      oracle::Result shared =
          oracle::attention(c.problem(shape), q, k, inputs.v, oracle::ZeroTimes::SharedFeatures);
      oracle::Result actual = kernel(shape, inputs);
      ASSERT_EQ(actual.o.size(), reference.expected.o.size());

      // No strategy multiplies more than the dense one, or less than the shared features.
      std::vector<bool> isJudged(rows);
      for (int64_t row = 0; row < rows; ++row) {
        double lse = reference.expected.lse[row];
        isJudged[row] = !std::isnan(lse);
        numFinite += isJudged[row];
        bool isNanForAll = std::isnan(shared.lse[row]);
        numNan += isNanForAll;
        bool isNan = std::isnan(actual.lse[row]);
        for (int64_t c = 0; c < base.dv; ++c)
          EXPECT_EQ(std::isnan(actual.o[row * base.dv + c]), isNan) << "row " << row;
        if (isNanForAll)
          EXPECT_TRUE(isNan) << "row " << row << " of " << spoiled.name << ", LSE "
                             << actual.lse[row];
        // What scatter skips it skips everywhere.
        if (c.strategy == Strategy::Scatter) {
          EXPECT_EQ(isNan, isNanForAll) << "row " << row << " of " << spoiled.name;
        }
      }
      auto only = [&](const oracle::Result &result) { return select(result, isJudged, c.dv); };
      judge.add(std::string("spoiled ") + spoiled.name,
                {only(reference.expected), only(reference.baseline)}, only(actual));
      if (testing::Test::HasFailure()) {
        ADD_FAILURE() << describeRepetition(c);
        return;
      }
    }
    EXPECT_GT(numFinite, 100);
    EXPECT_GT(numNan, 100);
    judge.finish();
  }
}

std::string nameOf(const testing::TestParamInfo<NonFinite::ParamType> &info) {
  auto [type, mask, softmax] = info.param;
  constexpr std::array masks = {"none", "causal", "window"};
  return fmt::format("{}_{}_{}", name(type).str(), masks[static_cast<size_t>(mask)],
                     stringifyEnum(softmax).str());
}

INSTANTIATE_TEST_SUITE_P(All, NonFinite,
                         testing::Combine(testing::ValuesIn(allTypes),
                                          testing::Values(oracle::Mask::None, oracle::Mask::Causal,
                                                          oracle::Mask::Window),
                                          testing::ValuesIn(allSoftmaxes)),
                         nameOf);

/// A masked key has no effect, whatever is in it; values stay finite (0 * inf, as in
/// FlashAttention). With a lazy softmax rows of one tile are computed again together where one is
/// not finite, so the others' numbers may be rounded differently.
TEST(MaskedNonFinite, HasNoEffect) {
  Configuration base;
  base.mask = oracle::Mask::Causal;
  base.kTile = 32;
  const Shape shape{1, 90, 130};
  for (const Kernel &kernel : compileAll(withAllKernels(base))) {
    if (!kernel)
      continue;
    const Configuration &c = kernel.configuration;
    Inputs inputs = makeInputs(c, shape, Support::Uniform, 1);
    oracle::Result before = kernel(shape, inputs);
    // Only the last query sees the last key.
    for (int64_t head = 0; head < c.keyHeads; ++head)
      for (int64_t feature = 0; feature < c.d; ++feature)
        inputs.k[((head + 1) * shape.numKeys - 1) * c.d + feature] = feature % 2 ? nan : infinity;
    oracle::Result after = kernel(shape, inputs);
    ASSERT_EQ(after.lse.size(), before.lse.size());
    for (size_t row = 0; row < before.lse.size(); ++row) {
      if (row % shape.numQueries == static_cast<size_t>(shape.numQueries) - 1) {
        EXPECT_TRUE(std::isnan(after.lse[row])) << describeRepetition(c);
        continue;
      }
      double tolerance = c.softmax == Softmax::Lazy ? 0x1p-20 : 0;
      EXPECT_NEAR(after.lse[row], before.lse[row], tolerance) << describeRepetition(c);
      for (int64_t f = 0; f < c.dv; ++f)
        EXPECT_NEAR(after.o[row * c.dv + f], before.o[row * c.dv + f], tolerance)
            << describeRepetition(c);
    }
  }
}

} // namespace
