//===- Oracle.cpp - Codes, rounding and errors of the oracle ----*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/Oracle/Oracle.h"
#include "test/Oracle/Detail.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>

using namespace sfa::oracle;

void detail::require(bool condition, const char *claim) {
  if (condition)
    return;
  std::fprintf(stderr, "oracle: wrong arguments: it must hold that %s\n", claim);
  std::abort();
}

/// Orders magnitudes. All NaN are one, and before infinity, which magnitudes as numbers do not say.
static uint64_t rankOf(double value) {
  if (std::isnan(value))
    return std::numeric_limits<uint64_t>::max();
  double magnitude = std::fabs(value);
  uint64_t rank;
  std::memcpy(&rank, &magnitude, sizeof(rank));
  return rank;
}

/// Whether entry a of a row ranks before entry b.
static bool ranksBefore(const double *values, int32_t a, int32_t b) {
  uint64_t rankA = rankOf(values[a]), rankB = rankOf(values[b]);
  return rankA != rankB ? rankA > rankB : a < b;
}

/// topk of the entries that `isEligible(values of the row, entry)` lets pass: k at least.
template <class Predicate>
static Codes topkOf(const std::vector<double> &x, int64_t rows, int64_t d, int64_t k,
                    Predicate isEligible) {
  detail::require(rows >= 0 && d >= 1 && k >= 1, "rows >= 0, d >= 1, k >= 1");
  detail::require(static_cast<int64_t>(x.size()) == rows * d, "x has rows * d values");
  Codes codes;
  codes.rows = rows;
  codes.d = d;
  codes.k = std::min(k, d);
  codes.values.resize(rows * codes.k);
  codes.indices.resize(rows * codes.k);
  detail::parallelFor(rows, [&](int64_t row) {
    const double *values = &x[row * d];
    std::vector<int32_t> order;
    for (int32_t i = 0; i < d; ++i)
      if (isEligible(values, i))
        order.push_back(i);
    if (codes.k < static_cast<int64_t>(order.size()))
      std::nth_element(order.begin(), order.begin() + codes.k, order.end(),
                       [&](int32_t a, int32_t b) { return ranksBefore(values, a, b); });
    std::sort(order.begin(), order.begin() + codes.k);
    for (int64_t i = 0; i < codes.k; ++i) {
      codes.indices[row * codes.k + i] = order[i];
      codes.values[row * codes.k + i] = values[order[i]];
    }
  });
  return codes;
}

Codes sfa::oracle::topk(const std::vector<double> &x, int64_t rows, int64_t d, int64_t k) {
  return topkOf(x, rows, d, k, [](const double *, int32_t) { return true; });
}

Codes sfa::oracle::topkTwoFour(const std::vector<double> &x, int64_t rows, int64_t d, int64_t k) {
  detail::require(d % 4 == 0 && k <= d / 2, "d is a multiple of 4, and k <= d / 2");
  return topkOf(x, rows, d, k, [](const double *values, int32_t i) {
    int before = 0;
    for (int32_t other = i / 4 * 4; other < i / 4 * 4 + 4; ++other)
      before += ranksBefore(values, other, i);
    return before < 2;
  });
}

std::vector<double> sfa::oracle::densify(const Codes &codes) {
  detail::requireValid(codes);
  std::vector<double> x(codes.rows * codes.d, 0.0);
  for (int64_t row = 0; row < codes.rows; ++row)
    for (int64_t i = row * codes.k; i < (row + 1) * codes.k; ++i)
      x[row * codes.d + codes.indices[i]] = codes.values[i];
  return x;
}

void detail::requireValid(const Codes &codes) {
  int64_t count = codes.rows * codes.k;
  require(codes.rows >= 0 && codes.k >= 1 && codes.k <= codes.d, "codes have 1 <= k <= d");
  require(static_cast<int64_t>(codes.values.size()) == count, "codes have rows * k values");
  require(static_cast<int64_t>(codes.indices.size()) == count, "codes have rows * k indices");
  for (int64_t i = 0; i < count; ++i) {
    require(codes.indices[i] >= 0 && codes.indices[i] < codes.d, "indices are in [0, d)");
    require(i % codes.k == 0 || codes.indices[i - 1] < codes.indices[i],
            "the indices of a row ascend");
  }
}

double sfa::oracle::defaultScale(int64_t d) { return 1.0 / std::sqrt(static_cast<double>(d)); }

double sfa::oracle::roundTo(DataType type, double value) {
  switch (type) {
  case DataType::F32:
    return static_cast<float>(value);
  case DataType::F16:
    return detail::roundToFormat<detail::Half>(value);
  case DataType::BF16:
    return detail::roundToFormat<detail::Bfloat16>(value);
  }
  std::abort();
}

Deviation sfa::oracle::deviation(const std::vector<double> &actual,
                                 const std::vector<double> &expected) {
  detail::require(actual.size() == expected.size(), "both arrays have the same size");
  Deviation result;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (std::isfinite(expected[i]) && std::isfinite(actual[i])) {
      result.maxAbs = std::max(result.maxAbs, std::fabs(actual[i] - expected[i]));
      result.maxExpected = std::max(result.maxExpected, std::fabs(expected[i]));
      continue;
    }
    bool isSame = std::isnan(expected[i]) ? std::isnan(actual[i]) : actual[i] == expected[i];
    result.agrees &= isSame;
  }
  // Both norms are taken of scaled values, so that no square overflows or vanishes. Powers of two
  // scale exactly.
  auto unit = [](double largest) {
    return std::ldexp(1.0, std::clamp(std::ilogb(largest), -1000, 1000));
  };
  double differenceUnit = unit(result.maxAbs), expectedUnit = unit(result.maxExpected);
  double differenceScale = 1 / differenceUnit, expectedScale = 1 / expectedUnit;
  double difference = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (!std::isfinite(expected[i]))
      continue;
    double scaledDifference = (actual[i] - expected[i]) * differenceScale;
    double scaledExpected = expected[i] * expectedScale;
    difference += scaledDifference * scaledDifference;
    norm += scaledExpected * scaledExpected;
  }
  result.differenceNorm = std::sqrt(difference) * differenceUnit;
  result.expectedNorm = std::sqrt(norm) * expectedUnit;
  return result;
}

Deviation &Deviation::operator+=(const Deviation &other) {
  agrees &= other.agrees;
  maxAbs = std::max(maxAbs, other.maxAbs);
  maxExpected = std::max(maxExpected, other.maxExpected);
  differenceNorm = std::hypot(differenceNorm, other.differenceNorm);
  expectedNorm = std::hypot(expectedNorm, other.expectedNorm);
  return *this;
}

Errors Deviation::errors() const {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (!agrees)
    return {infinity, infinity};
  if (maxAbs == 0)
    return {};
  return {maxExpected == 0 ? infinity : differenceNorm / expectedNorm, maxAbs};
}

Errors sfa::oracle::compare(const std::vector<double> &actual,
                            const std::vector<double> &expected) {
  return deviation(actual, expected).errors();
}

bool sfa::oracle::isWithinBound(const Errors &kernel, const Errors &baseline) {
  return std::isfinite(kernel.frobenius) && std::isfinite(kernel.maxAbs) &&
         kernel.frobenius <= errorFactor * baseline.frobenius &&
         kernel.maxAbs <= errorFactor * baseline.maxAbs;
}
