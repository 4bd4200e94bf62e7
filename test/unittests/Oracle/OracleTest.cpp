//===- OracleTest.cpp - Tests of the oracle ---------------------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/Oracle/Oracle.h"

#include "gtest/gtest.h"

#include <algorithm>
#include <cmath>
#include <random>

using namespace sfa::oracle;

namespace {

using Values = std::vector<double>;
using Indices = std::vector<int32_t>;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Equal, where a NaN equals a NaN.
void expectSame(const Values &actual, const Values &expected, double tolerance = 0) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    if (std::isnan(expected[i]))
      EXPECT_TRUE(std::isnan(actual[i])) << "at " << i << ": " << actual[i];
    else if (std::isinf(expected[i]) || tolerance == 0)
      EXPECT_EQ(actual[i], expected[i]) << "at " << i;
    else
      EXPECT_NEAR(actual[i], expected[i], tolerance) << "at " << i;
  }
}

Problem makeProblem(int64_t nq, int64_t nk, int64_t d, int64_t dv, double scale = 1) {
  Problem problem;
  problem.nq = nq;
  problem.nk = nk;
  problem.d = d;
  problem.dv = dv;
  problem.scale = scale;
  return problem;
}

Values randomValues(std::mt19937 &random, int64_t count) {
  std::normal_distribution<double> normal;
  Values values(count);
  for (double &value : values)
    value = normal(random);
  return values;
}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

TEST(TopkTest, KeepsTheLargestMagnitudesInOrderOfIndex) {
  Codes codes = topk({1, -5, 3, 0, 4, -2}, 1, 6, 3);
  EXPECT_EQ(codes.rows, 1);
  EXPECT_EQ(codes.d, 6);
  EXPECT_EQ(codes.k, 3);
  EXPECT_EQ(codes.indices, (Indices{1, 2, 4}));
  EXPECT_EQ(codes.values, (Values{-5, 3, 4}));
  EXPECT_EQ(densify(codes), (Values{0, -5, 3, 0, 4, 0}));
}

TEST(TopkTest, TiesKeepTheLowerIndex) {
  EXPECT_EQ(topk({1, -2, 2, 2, -2, 1}, 1, 6, 2).indices, (Indices{1, 2}));
  EXPECT_EQ(topk({1, -2, 2, 2, -2, 1}, 1, 6, 5).indices, (Indices{0, 1, 2, 3, 4}));
  EXPECT_EQ(topk({7, 7, 7, 7}, 1, 4, 1).indices, (Indices{0}));
}

TEST(TopkTest, NansRankFirstAndTie) {
  Codes codes = topk({infinity, 1, nan, -infinity, -nan, nan}, 1, 6, 2);
  EXPECT_EQ(codes.indices, (Indices{2, 4}));
  expectSame(codes.values, {nan, nan});
  EXPECT_EQ(topk({infinity, 1, nan, -infinity}, 1, 4, 2).indices, (Indices{0, 2}));
  EXPECT_EQ(topk({1, 2, infinity, -infinity}, 1, 4, 1).indices, (Indices{2}));
}

TEST(TopkTest, MissingNonZerosAreTheLowestZeros) {
  Codes codes = topk({0, -0.0, 0, 3, 0, 0}, 1, 6, 3);
  EXPECT_EQ(codes.indices, (Indices{0, 1, 3}));
  EXPECT_EQ(codes.values, (Values{0, 0, 3}));
  EXPECT_EQ(topk({0, 0, 0}, 1, 3, 2).indices, (Indices{0, 1}));
}

TEST(TopkTest, AllFeaturesIsTheIdentity) {
  Values x = {3, 0, -1, nan, 2, 2};
  for (int64_t k : {3, 4, 100}) {
    Codes codes = topk(x, 2, 3, k);
    EXPECT_EQ(codes.k, 3);
    EXPECT_EQ(codes.indices, (Indices{0, 1, 2, 0, 1, 2}));
    expectSame(densify(codes), x);
  }
}

TEST(TopkTest, TwoOfEveryFour) {
  // The group 4 to 7 has the three largest, of which the lower two of the ties stay.
  EXPECT_EQ(topkTwoFour({1, 0, 2, 0, 9, -9, 0, 9}, 1, 8, 3).indices, (Indices{2, 4, 5}));
  EXPECT_EQ(topkTwoFour({5, nan, infinity, -nan, 1, 0, 0, 0}, 1, 8, 3).indices, (Indices{1, 3, 4}));
  EXPECT_EQ(topkTwoFour({1, 2, 3, 4}, 1, 4, 1).indices, (Indices{3}));
  // Zeros fill up, and satisfy 2:4 too.
  EXPECT_EQ(topkTwoFour({0, 0, 7, 0, 0, -0.0, 0, 0}, 1, 8, 3).indices, (Indices{0, 2, 4}));
}

TEST(TopkTest, MatchesSortingOnManyRows) {
  std::mt19937 random(1);
  std::uniform_int_distribution<int> few(-3, 3); // many ties and zeros
  for (int64_t d : {1, 2, 9, 64}) {
    int64_t rows = 300, k = std::max<int64_t>(1, d / 3);
    Values x(rows * d);
    for (double &value : x)
      value = few(random);
    Codes codes = topk(x, rows, d, k);
    for (int64_t row = 0; row < rows; ++row) {
      std::vector<std::pair<double, int32_t>> order;
      for (int64_t i = 0; i < d; ++i)
        order.push_back({-std::fabs(x[row * d + i]), static_cast<int32_t>(i)});
      std::sort(order.begin(), order.end());
      Indices expected;
      for (int64_t i = 0; i < k; ++i)
        expected.push_back(order[i].second);
      std::sort(expected.begin(), expected.end());
      ASSERT_EQ(Indices(codes.indices.begin() + row * k, codes.indices.begin() + (row + 1) * k),
                expected);
    }
  }
}

//===----------------------------------------------------------------------===//
// Attention by hand
//===----------------------------------------------------------------------===//

TEST(AttentionTest, WeightsByTheExponential) {
  // Scores 0 and ln 3, so weights 1/4 and 3/4.
  Result result = attention(makeProblem(1, 2, 1, 2), {1}, {0, std::log(3.0)}, {0, 8, 4, 0});
  expectSame(result.o, {3, 2}, 1e-15);
  expectSame(result.lse, {std::log(4.0)}, 1e-15);
}

TEST(AttentionTest, ScalesTheScores) {
  Result result = attention(makeProblem(1, 2, 2, 1, 0.5), {1, 1}, {1, 1, -1, -1}, {1, 0});
  // Scores 1 and -1.
  expectSame(result.o, {1 / (1 + std::exp(-2.0))}, 1e-15);
  expectSame(result.lse, {1 + std::log1p(std::exp(-2.0))}, 1e-15);
  EXPECT_EQ(defaultScale(64), 0.125);
}

TEST(AttentionTest, LargeScoresDoNotOverflow) {
  Result result = attention(makeProblem(2, 2, 1, 1), {1e4, -1e4}, {1, 1}, {2, 4});
  expectSame(result.o, {3, 3}, 1e-15);
  expectSame(result.lse, {1e4 + std::log(2.0), -1e4 + std::log(2.0)}, 1e-11);
}

TEST(AttentionTest, PairsThatShareNoFeatureTakePartWithScoreZero) {
  Codes q = topk({1, 0, 0, 0}, 1, 4, 1);
  Codes k = topk({0, 1, 0, 0, /**/ std::log(3.0), 0, 0, 0}, 2, 4, 1);
  for (ZeroTimes zeroTimes : {ZeroTimes::Dense, ZeroTimes::SharedFeatures}) {
    Result result = attention(makeProblem(1, 2, 4, 1), q, k, {0, 4}, zeroTimes);
    expectSame(result.o, {3}, 1e-15);
    expectSame(result.lse, {std::log(4.0)}, 1e-15);
  }
}

TEST(AttentionTest, QueryHeadsShareKeyValueHeads) {
  // One key for each head: the output is its value, whatever the query.
  Problem problem = makeProblem(1, 1, 1, 1);
  problem.b = 2;
  problem.hq = 6;
  problem.hkv = 2;
  Result result = attention(problem, Values(12, 1.0), Values(4, 1.0), {10, 11, 20, 21});
  EXPECT_EQ(result.o, (Values{10, 10, 10, 11, 11, 11, 20, 20, 20, 21, 21, 21}));
  EXPECT_EQ(result.lse, Values(12, 1.0));
}

TEST(AttentionTest, EmptyProblems) {
  Result noKeys = attention(makeProblem(3, 0, 2, 2), Values(6, 1.0), {}, {});
  EXPECT_EQ(noKeys.o, Values(6, 0.0));
  EXPECT_EQ(noKeys.lse, Values(3, -infinity));
  Result noQueries = attention(makeProblem(0, 3, 2, 2), {}, Values(6, 1.0), Values(6, 1.0));
  EXPECT_TRUE(noQueries.o.empty());
  EXPECT_TRUE(noQueries.lse.empty());
}

//===----------------------------------------------------------------------===//
// Masks
//===----------------------------------------------------------------------===//

/// With all scores equal and V the identity, O shows which keys a query sees.
void expectVisible(const Problem &problem, bool (*isVisible)(const Problem &, int64_t, int64_t)) {
  int64_t nq = problem.nq, nk = problem.nk;
  Values q(nq, 0.0), k(nk, 1.0), v(nk * nk, 0.0);
  for (int64_t j = 0; j < nk; ++j)
    v[j * nk + j] = 1;
  Result result = attention(problem, q, k, v);
  for (int64_t i = 0; i < nq; ++i) {
    int64_t count = 0;
    for (int64_t j = 0; j < nk; ++j)
      count += isVisible(problem, i, j);
    for (int64_t j = 0; j < nk; ++j)
      ASSERT_NEAR(result.o[i * nk + j], isVisible(problem, i, j) ? 1.0 / count : 0.0, 1e-15)
          << "nq " << nq << ", nk " << nk << ", query " << i << ", key " << j;
    ASSERT_NEAR(std::exp(result.lse[i]), count, 1e-12);
    if (count == 0)
      ASSERT_EQ(result.lse[i], -infinity);
  }
}

constexpr std::pair<int64_t, int64_t> sizes[] = {{1, 1}, {1, 9},   {9, 1},   {4, 4},  {5, 8},
                                                 {8, 5}, {17, 17}, {16, 33}, {33, 16}};

TEST(MaskTest, CausalIsAlignedAtTheBottomRight) {
  for (auto [nq, nk] : sizes) {
    Problem problem = makeProblem(nq, nk, 1, nk);
    problem.mask = Mask::Causal;
    expectVisible(problem,
                  [](const Problem &p, int64_t i, int64_t j) { return j <= i + p.nk - p.nq; });
  }
}

TEST(MaskTest, WindowIsAlignedAtTheBottomRight) {
  constexpr int64_t least = std::numeric_limits<int64_t>::min();
  constexpr int64_t most = std::numeric_limits<int64_t>::max();
  std::vector<std::optional<int64_t>> bounds = {std::nullopt, 0, 1, 3, 20, -1, -6, most, least};
  for (auto [nq, nk] : sizes)
    for (std::optional<int64_t> left : bounds)
      for (std::optional<int64_t> right : bounds) {
        Problem problem = makeProblem(nq, nk, 1, nk);
        problem.mask = Mask::Window;
        problem.left = left;
        problem.right = right;
        expectVisible(problem, [](const Problem &p, int64_t i, int64_t j) {
          // In 128 bits nothing overflows.
          __int128 diagonal = i + p.nk - p.nq;
          return (!p.left || diagonal - *p.left <= j) && (!p.right || j <= diagonal + *p.right);
        });
      }
}

TEST(MaskTest, ByHand) {
  Problem problem = makeProblem(3, 2, 1, 1);
  problem.mask = Mask::Causal;
  // Query 0 sees nothing, query 1 sees key 0, query 2 both.
  Result result = attention(problem, {1, 1, 1}, {0, 0}, {2, 4});
  expectSame(result.o, {0, 2, 3}, 1e-15);
  expectSame(result.lse, {-infinity, 0, std::log(2.0)}, 1e-15);
}

TEST(MaskTest, MaskedKeysHaveNoEffectWhateverTheyHold) {
  int64_t n = 11, d = 3, dv = 5;
  std::mt19937 random(2);
  Values q = randomValues(random, n * d), k = randomValues(random, n * d),
         v = randomValues(random, n * dv);
  Problem problem = makeProblem(n, n, d, dv);
  problem.mask = Mask::Causal;
  Result clean = attention(problem, q, k, v);
  Result cleanFloat = denseSameType(problem, DataType::F32, q, k, v);
  for (double poison : {nan, infinity})
    for (int64_t key = 1; key < n; ++key) {
      Values dirtyK = k, dirtyV = v;
      std::fill_n(dirtyK.begin() + key * d, d, poison);
      std::fill_n(dirtyV.begin() + key * dv, dv, poison);
      Result dirty = attention(problem, q, dirtyK, dirtyV);
      Result dirtyFloat = denseSameType(problem, DataType::F32, q, dirtyK, dirtyV);
      for (int64_t i = 0; i < key * dv; ++i) {
        ASSERT_EQ(dirty.o[i], clean.o[i]);
        ASSERT_EQ(dirtyFloat.o[i], cleanFloat.o[i]);
      }
      for (int64_t i = 0; i < key; ++i)
        ASSERT_EQ(dirty.lse[i], clean.lse[i]);
    }
}

//===----------------------------------------------------------------------===//
// Values that are not finite
//===----------------------------------------------------------------------===//

TEST(NonFiniteTest, ScoresOfMinusInfinity) {
  Result result = attention(makeProblem(1, 2, 1, 1), {1}, {-infinity, -infinity}, {2, 4});
  expectSame(result.o, {0});
  expectSame(result.lse, {-infinity});
  result = attention(makeProblem(1, 2, 1, 1), {1}, {-infinity, 5}, {2, 4});
  expectSame(result.o, {4});
  expectSame(result.lse, {5});
}

TEST(NonFiniteTest, NansAndPlusInfinityReachTheRowAndNoOther) {
  for (double bad : {nan, infinity}) {
    Result result = attention(makeProblem(2, 2, 2, 1), {1, 0, 0, 1}, {bad, 0, 0, 0}, {2, 4});
    // Query 1 multiplies the bad feature by zero, and that is NaN too.
    expectSame(result.o, {nan, nan});
    expectSame(result.lse, {nan, nan});
    Values q = {bad, 0, 0, 1};
    result = attention(makeProblem(2, 2, 2, 1), q, {1, 0, 1, 0}, {2, 4});
    expectSame(result.o, {nan, 3});
    expectSame(result.lse, {nan, std::log(2.0)}, 1e-15);
  }
}

TEST(NonFiniteTest, ANanAfterTheMaximumIsNotLost) {
  for (int64_t position : {0, 1, 2}) {
    Values k = {1, 3, 2};
    k[position] = nan;
    Result result = attention(makeProblem(1, 3, 1, 1), {1}, k, {1, 1, 1});
    expectSame(result.o, {nan});
    expectSame(result.lse, {nan});
  }
  expectSame(attention(makeProblem(1, 2, 1, 1), {1}, {nan, -infinity}, {1, 1}).lse, {nan});
}

TEST(NonFiniteTest, ZeroTimesInfinity) {
  Codes q = topk({0, 1, 0, 0}, 1, 4, 1);
  Codes k = topk({infinity, 0, 0, 0, /**/ 0, 1, 0, 0}, 2, 4, 1);
  Problem problem = makeProblem(1, 2, 4, 1);
  expectSame(attention(problem, q, k, {2, 4}, ZeroTimes::Dense).o, {nan});
  Result shared = attention(problem, q, k, {2, 4}, ZeroTimes::SharedFeatures);
  double weight = std::exp(1.0); // of key 1; key 0 has score 0
  expectSame(shared.o, {(2 + 4 * weight) / (1 + weight)}, 1e-14);
  expectSame(shared.lse, {std::log(1 + weight)}, 1e-14);
  // A zero that is in the code is shared.
  Codes withZero = topk({0, 1, 0, 0}, 1, 4, 2);
  ASSERT_EQ(withZero.indices, (Indices{0, 1}));
  expectSame(attention(problem, withZero, k, {2, 4}, ZeroTimes::SharedFeatures).o, {nan});
}

//===----------------------------------------------------------------------===//
// Attention against a brute force
//===----------------------------------------------------------------------===//

bool seesKey(const Problem &p, int64_t i, int64_t j) {
  int64_t diagonal = i + p.nk - p.nq;
  if (p.mask == Mask::Causal)
    return j <= diagonal;
  if (p.mask == Mask::Window)
    return (!p.left || j >= diagonal - *p.left) && (!p.right || j <= diagonal + *p.right);
  return true;
}

/// The definition, one element of O at a time, in long double and without a running anything.
Result bruteForce(const Problem &p, const Values &q, const Values &k, const Values &v) {
  Result result;
  for (int64_t batch = 0; batch < p.b; ++batch)
    for (int64_t head = 0; head < p.hq; ++head)
      for (int64_t i = 0; i < p.nq; ++i) {
        int64_t keyHead = batch * p.hkv + head * p.hkv / p.hq;
        int64_t query = (batch * p.hq + head) * p.nq + i;
        std::vector<long double> weights(p.nk, 0), sums(p.dv, 0);
        long double total = 0;
        for (int64_t j = 0; j < p.nk; ++j) {
          if (!seesKey(p, i, j))
            continue;
          long double score = 0;
          for (int64_t t = 0; t < p.d; ++t)
            score +=
                static_cast<long double>(q[query * p.d + t]) * k[(keyHead * p.nk + j) * p.d + t];
          weights[j] = std::exp(score * p.scale);
          total += weights[j];
          for (int64_t c = 0; c < p.dv; ++c)
            sums[c] += weights[j] * v[(keyHead * p.nk + j) * p.dv + c];
        }
        for (int64_t c = 0; c < p.dv; ++c)
          result.o.push_back(total == 0 ? 0 : static_cast<double>(sums[c] / total));
        result.lse.push_back(static_cast<double>(std::log(total)));
      }
  return result;
}

struct RandomCase {
  Problem problem;
  Values q, k, v;
  int64_t features; // to keep
};

RandomCase randomCase(std::mt19937 &random) {
  auto upTo = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  RandomCase sample;
  Problem &p = sample.problem;
  p = makeProblem(upTo(1, 40), upTo(1, 40), upTo(1, 40), upTo(1, 40));
  p.scale = defaultScale(p.d);
  p.b = upTo(1, 2);
  p.hkv = upTo(1, 3);
  p.hq = p.hkv * upTo(1, 3);
  p.mask = static_cast<Mask>(upTo(0, 2));
  if (p.mask == Mask::Window && upTo(0, 2))
    p.left = upTo(0, 10);
  if (p.mask == Mask::Window && upTo(0, 2))
    p.right = upTo(0, 10);
  sample.q = randomValues(random, p.b * p.hq * p.nq * p.d);
  sample.k = randomValues(random, p.b * p.hkv * p.nk * p.d);
  sample.v = randomValues(random, p.b * p.hkv * p.nk * p.dv);
  sample.features = upTo(1, p.d);
  return sample;
}

TEST(BruteForceTest, DenseAndSparse) {
  std::mt19937 random(3);
  for (int repeat = 0; repeat < 200; ++repeat) {
    RandomCase sample = randomCase(random);
    const Problem &p = sample.problem;
    Result expected = bruteForce(p, sample.q, sample.k, sample.v);
    Result dense = attention(p, sample.q, sample.k, sample.v);
    expectSame(dense.o, expected.o, 1e-13);
    expectSame(dense.lse, expected.lse, 1e-13);

    Codes q = topk(sample.q, p.b * p.hq * p.nq, p.d, sample.features);
    Codes k = topk(sample.k, p.b * p.hkv * p.nk, p.d, sample.features);
    expected = bruteForce(p, densify(q), densify(k), sample.v);
    for (ZeroTimes zeroTimes : {ZeroTimes::Dense, ZeroTimes::SharedFeatures}) {
      Result sparse = attention(p, q, k, sample.v, zeroTimes);
      expectSame(sparse.o, expected.o, 1e-13);
      expectSame(sparse.lse, expected.lse, 1e-13);
    }
    if (HasFailure())
      FAIL() << "in repeat " << repeat;
  }
}

//===----------------------------------------------------------------------===//
// Rounding and the dense baseline
//===----------------------------------------------------------------------===//

void checkRounding(DataType type, int fractionBits, int minExponent, int maxExponent) {
  Values values; // all that are not negative, and the power of two above them
  for (int64_t i = 0; i < (int64_t(1) << fractionBits); ++i)
    values.push_back(std::ldexp(i, minExponent - fractionBits));
  for (int exponent = minExponent; exponent <= maxExponent; ++exponent)
    for (int64_t i = 0; i < (int64_t(1) << fractionBits); ++i)
      values.push_back(std::ldexp((int64_t(1) << fractionBits) + i, exponent - fractionBits));
  values.push_back(std::ldexp(1.0, maxExponent + 1));
  for (size_t i = 0; i + 1 < values.size(); ++i) {
    double low = values[i], high = values[i + 1], middle = (low + high) / 2;
    double highRounded = i + 2 == values.size() ? infinity : high;
    for (double sign : {1.0, -1.0}) {
      ASSERT_EQ(roundTo(type, sign * low), sign * low);
      ASSERT_EQ(std::signbit(roundTo(type, sign * low)), sign < 0);
      ASSERT_EQ(roundTo(type, sign * middle), sign * (i % 2 == 0 ? low : highRounded));
      ASSERT_EQ(roundTo(type, sign * std::nextafter(middle, low)), sign * low);
      ASSERT_EQ(roundTo(type, sign * std::nextafter(middle, high)), sign * highRounded);
    }
  }
  EXPECT_EQ(roundTo(type, infinity), infinity);
  EXPECT_EQ(roundTo(type, -1e300), -infinity);
  EXPECT_TRUE(std::isnan(roundTo(type, nan)));
}

TEST(RoundToTest, HalfIsRoundedToNearestEven) { checkRounding(DataType::F16, 10, -14, 15); }

TEST(RoundToTest, Bfloat16IsRoundedToNearestEven) { checkRounding(DataType::BF16, 7, -126, 127); }

TEST(RoundToTest, Float) {
  EXPECT_EQ(roundTo(DataType::F32, 1 + 0x1p-24), 1);
  EXPECT_EQ(roundTo(DataType::F32, 1 + 3 * 0x1p-24), 1 + 0x1p-22);
}

TEST(DenseSameTypeTest, RoundsTheWeightsAndTheOutput) {
  // With scores 0 and -s, and values 0 and 1, O is the rounded weight over the unrounded sum.
  for (DataType type : {DataType::F16, DataType::BF16}) {
    int numTelling = 0;
    for (int step = 1; step <= 200; ++step) {
      double score = -step / 64.0; // exact in both types
      if (roundTo(type, score) != score)
        continue;
      Result result = denseSameType(makeProblem(1, 2, 1, 1), type, {1}, {0, score}, {0, 1});
      double weight = std::exp(score);
      double expected = roundTo(type, roundTo(type, weight) / (1 + weight));
      ASSERT_EQ(result.o[0], expected) << step;
      numTelling += expected != roundTo(type, weight / (1 + weight));
      ASSERT_NEAR(result.lse[0], std::log1p(weight), 1e-6);
    }
    EXPECT_GT(numTelling, 10);
  }
}

TEST(DenseSameTypeTest, ErrorsAreThoseOfTheType) {
  std::mt19937 random(4);
  double ulps[] = {0x1p-24, 0x1p-11, 0x1p-8};
  DataType types[] = {DataType::F32, DataType::F16, DataType::BF16};
  for (int repeat = 0; repeat < 20; ++repeat)
    for (int i = 0; i < 3; ++i) {
      RandomCase sample = randomCase(random);
      const Problem &p = sample.problem;
      for (Values *values : {&sample.q, &sample.k, &sample.v})
        for (double &value : *values)
          value = roundTo(types[i], value);
      Result expected = attention(p, sample.q, sample.k, sample.v);
      Result result = denseSameType(p, types[i], sample.q, sample.k, sample.v);
      for (double value : result.o)
        ASSERT_EQ(roundTo(types[i], value), value);
      for (double value : result.lse)
        ASSERT_EQ(static_cast<float>(value), value);
      // A few roundings of half an ulp each; at least part of one, unless O is exact.
      Errors errors = compare(result.o, expected.o);
      EXPECT_LT(errors.frobenius, 16 * ulps[i]);
      if (p.nk > 8 && p.nq > 8 && errors.frobenius != 0)
        EXPECT_GT(errors.frobenius, ulps[i] / 16);
      EXPECT_LT(compare(result.lse, expected.lse).maxAbs, 1e-5);
    }
}

//===----------------------------------------------------------------------===//
// Errors
//===----------------------------------------------------------------------===//

TEST(CompareTest, Norms) {
  Errors errors = compare({3, 4.5, 0}, {3, 4, 0});
  EXPECT_DOUBLE_EQ(errors.frobenius, 0.1);
  EXPECT_DOUBLE_EQ(errors.maxAbs, 0.5);
  errors = compare({1, -1}, {1, 1});
  EXPECT_DOUBLE_EQ(errors.frobenius, std::sqrt(2.0));
  EXPECT_DOUBLE_EQ(errors.maxAbs, 2);
  errors = compare({}, {});
  EXPECT_EQ(errors.frobenius, 0);
  EXPECT_EQ(errors.maxAbs, 0);
}

TEST(CompareTest, ExtremeValuesNeitherOverflowNorVanish) {
  for (double factor : {1e-300, 1e300}) {
    Errors errors = compare({3 * factor, 4.5 * factor}, {3 * factor, 4 * factor});
    EXPECT_NEAR(errors.frobenius, 0.1, 1e-12);
  }
}

TEST(CompareTest, NonFinitePositionsMustMatchAndDoNotCount) {
  Errors errors = compare({nan, 3, 4.5, infinity, -infinity}, {nan, 3, 4, infinity, -infinity});
  EXPECT_DOUBLE_EQ(errors.frobenius, 0.1);
  EXPECT_DOUBLE_EQ(errors.maxAbs, 0.5);
  for (double actual : {0.0, 1.0, nan, infinity, -infinity})
    for (double expected : {1.0, nan, infinity, -infinity}) {
      bool isSame = actual == expected || (std::isnan(actual) && std::isnan(expected));
      bool isFinite = std::isfinite(actual) && std::isfinite(expected);
      errors = compare({1, actual}, {1, expected});
      EXPECT_EQ(std::isinf(errors.frobenius), !isSame && !isFinite) << actual << " " << expected;
      EXPECT_EQ(std::isinf(errors.maxAbs), !isSame && !isFinite) << actual << " " << expected;
    }
}

TEST(CompareTest, AllZeroExpected) {
  EXPECT_EQ(compare({0, 0}, {0, 0}).frobenius, 0);
  EXPECT_EQ(compare({0, 1e-30}, {0, 0}).frobenius, infinity);
  EXPECT_EQ(compare({0, 1e-30}, {0, 0}).maxAbs, 1e-30);
}

TEST(CompareTest, Bound) {
  EXPECT_TRUE(isWithinBound({1.5, 3}, {1, 2}));
  EXPECT_FALSE(isWithinBound({1.51, 3}, {1, 2}));
  EXPECT_FALSE(isWithinBound({1.5, 3.01}, {1, 2}));
  EXPECT_TRUE(isWithinBound({0, 0}, {0, 0}));
  EXPECT_FALSE(isWithinBound({1e-9, 0}, {0, 0}));
  EXPECT_FALSE(isWithinBound({infinity, infinity}, {infinity, infinity}));
}

TEST(OracleDeathTest, ContradictingArgumentsEndTheProcess) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  Problem problem = makeProblem(1, 1, 1, 1);
  EXPECT_DEATH(attention(problem, {1, 2}, {1}, {1}), "q has b\\*hq\\*nq\\*d values");
  EXPECT_DEATH(attention(problem, {1}, {1}, {}), "v has b\\*hkv\\*nk\\*dv values");
  problem.hq = 3;
  problem.hkv = 2;
  EXPECT_DEATH(attention(problem, {1, 2, 3}, {1, 2}, {1, 2}), "hq is a multiple of hkv");
  EXPECT_DEATH(attention(Problem{}, {}, {}, {}), "d and dv are at least 1");
  Problem unscaled = makeProblem(1, 1, 1, 1, nan);
  EXPECT_DEATH(attention(unscaled, {1}, {1}, {1}), "scale is set");
  EXPECT_DEATH(topk({1, 2, 3}, 1, 2, 1), "x has rows \\* d values");
  EXPECT_DEATH(topk({1, 2}, 1, 2, 0), "k >= 1");
  EXPECT_DEATH(compare({1}, {1, 2}), "the same size");
}

} // namespace
