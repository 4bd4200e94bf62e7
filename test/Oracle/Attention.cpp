//===- Attention.cpp - Attention in fp64 and as a plain kernel --*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Four query rows at a time, in three passes: their scores, the softmax of each, the product with
// V. Keys and values are copied first into panels that are one vector wide: [panel][t][lane].
//
//===----------------------------------------------------------------------===//

#include "test/Oracle/Detail.h"
#include "test/Oracle/Oracle.h"

#include <array>
#include <cmath>
#include <cstdlib>

using namespace sfa::oracle;
using detail::parallelFor;
using detail::require;

#if defined(__x86_64__)
#define SFA_CLONE_FOR_CPUS                                                                         \
  __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define SFA_CLONE_FOR_CPUS
#endif

//===----------------------------------------------------------------------===//
// Inner loops
//===----------------------------------------------------------------------===//

namespace {

constexpr int64_t groupRows = 4;

template <class T>
struct Panel {
  typedef T Vector __attribute__((vector_size(64)));
  static constexpr int64_t lanes = sizeof(Vector) / sizeof(T);
  static int64_t count(int64_t n) { return (n + lanes - 1) / lanes; }
};

/// out[r][0 .. lanes) = sum over t in [begin, end) of coefficients[r][t] * panel[t][0 .. lanes).
template <class T, int64_t rows>
[[gnu::always_inline]] inline void multiplyPanel(const T *coefficients, int64_t coefficientStride,
                                                 const T *panel, int64_t begin, int64_t end, T *out,
                                                 int64_t outStride) {
  using Vector = typename Panel<T>::Vector;
  Vector sums[rows];
  for (int64_t r = 0; r < rows; ++r)
    std::memcpy(&sums[r], out + r * outStride, sizeof(Vector));
  for (int64_t t = begin; t < end; ++t) {
    Vector line;
    std::memcpy(&line, panel + t * Panel<T>::lanes, sizeof(Vector));
    for (int64_t r = 0; r < rows; ++r)
      sums[r] += coefficients[r * coefficientStride + t] * line;
  }
  for (int64_t r = 0; r < rows; ++r)
    std::memcpy(out + r * outStride, &sums[r], sizeof(Vector));
}

SFA_CLONE_FOR_CPUS
void multiplyGroup(const double *coefficients, int64_t coefficientStride, const double *panel,
                   int64_t begin, int64_t end, double *out, int64_t outStride) {
  multiplyPanel<double, groupRows>(coefficients, coefficientStride, panel, begin, end, out,
                                   outStride);
}

SFA_CLONE_FOR_CPUS
void multiplyGroup(const float *coefficients, int64_t coefficientStride, const float *panel,
                   int64_t begin, int64_t end, float *out, int64_t outStride) {
  multiplyPanel<float, groupRows>(coefficients, coefficientStride, panel, begin, end, out,
                                  outStride);
}

/// Panels of `lanes` keys: element (t, j) of panel p is key p * lanes + j, feature t.
template <class T>
std::vector<T> packKeys(const double *keys, int64_t n, int64_t d) {
  constexpr int64_t lanes = Panel<T>::lanes;
  std::vector<T> panels(Panel<T>::count(n) * d * lanes, T(0));
  for (int64_t j = 0; j < n; ++j)
    for (int64_t t = 0; t < d; ++t)
      panels[((j / lanes) * d + t) * lanes + j % lanes] = static_cast<T>(keys[j * d + t]);
  return panels;
}

/// Panels of `lanes` output features: element (j, c) of panel p is value j, feature p * lanes + c.
template <class T>
std::vector<T> packValues(const double *values, int64_t n, int64_t dv) {
  constexpr int64_t lanes = Panel<T>::lanes;
  std::vector<T> panels(Panel<T>::count(dv) * n * lanes, T(0));
  for (int64_t j = 0; j < n; ++j)
    for (int64_t c = 0; c < dv; ++c)
      panels[((c / lanes) * n + j) * lanes + c % lanes] = static_cast<T>(values[j * dv + c]);
  return panels;
}

//===----------------------------------------------------------------------===//
// Masks
//===----------------------------------------------------------------------===//

/// The keys that a query sees: always a range.
struct KeyRange {
  int64_t begin;
  int64_t end;
};

KeyRange visibleKeys(const Problem &problem, int64_t query) {
  int64_t diagonal = query + problem.nk - problem.nq;
  // Bounds beyond this see everything or nothing, as this one does; it keeps sums from overflowing.
  int64_t far = problem.nk + problem.nq;
  int64_t first = 0, last = problem.nk - 1;
  switch (problem.mask) {
  case Mask::None:
    break;
  case Mask::Causal:
    last = std::min(last, diagonal);
    break;
  case Mask::Window:
    if (problem.left)
      first = std::max(first, diagonal - std::clamp(*problem.left, -far, far));
    if (problem.right)
      last = std::min(last, diagonal + std::clamp(*problem.right, -far, far));
    break;
  }
  return first <= last ? KeyRange{first, last + 1} : KeyRange{0, 0};
}

void requireValid(const Problem &p, const std::vector<double> &v) {
  require(p.b >= 0 && p.hq >= 1 && p.hkv >= 1 && p.nq >= 0 && p.nk >= 0 && p.d >= 1 && p.dv >= 1,
          "no dimension is negative, and hq, hkv, d and dv are at least 1");
  require(p.hq % p.hkv == 0, "hq is a multiple of hkv");
  require(!std::isnan(p.scale), "scale is set");
  require(static_cast<int64_t>(v.size()) == p.b * p.hkv * p.nk * p.dv, "v has b*hkv*nk*dv values");
}

void requireValid(const Problem &p, const std::vector<double> &q, const std::vector<double> &k,
                  const std::vector<double> &v) {
  requireValid(p, v);
  require(static_cast<int64_t>(q.size()) == p.b * p.hq * p.nq * p.d, "q has b*hq*nq*d values");
  require(static_cast<int64_t>(k.size()) == p.b * p.hkv * p.nk * p.d, "k has b*hkv*nk*d values");
}

//===----------------------------------------------------------------------===//
// Attention over any way to form the scores
//===----------------------------------------------------------------------===//

/// What a thread needs for a group of rows.
template <class T>
struct Group {
  int64_t queryHead;   // of b * hq
  int64_t keyHead;     // of b * hkv
  int64_t firstQuery;  // within the head
  int64_t numQueries;  // up to groupRows
  KeyRange keys;       // every key that one of its queries sees
  int64_t scoreStride; // of `scores`, [groupRows][scoreStride]; a multiple of the panel's lanes
  T *scores;
};

/// exp(s - max) in place of the scores, and the row's LSE. Returns the factor for the sum over V:
/// 0 for a row that is all masked or all -inf, NaN for a row with a NaN score.
template <class T, class RoundWeight>
T softmaxRow(T *scores, KeyRange keys, T scale, RoundWeight roundWeight, double &lse) {
  constexpr T infinity = std::numeric_limits<T>::infinity();
  T rowMax = -infinity;
  bool hasNan = false;
  for (int64_t j = keys.begin; j < keys.end; ++j) {
    scores[j] *= scale;
    rowMax = scores[j] > rowMax ? scores[j] : rowMax;
    hasNan |= std::isnan(scores[j]);
  }
  if (hasNan) {
    lse = std::numeric_limits<double>::quiet_NaN();
    return std::numeric_limits<T>::quiet_NaN();
  }
  if (rowMax == -infinity) {
    lse = -std::numeric_limits<double>::infinity();
    return 0;
  }
  T sum = 0;
  for (int64_t j = keys.begin; j < keys.end; ++j) {
    T weight = std::exp(scores[j] - rowMax);
    sum += weight;
    scores[j] = roundWeight(weight);
  }
  lse = rowMax + std::log(sum);
  return 1 / sum;
}

template <class T, class FormScores, class RoundWeight, class RoundOutput>
Result attend(const Problem &p, const std::vector<double> &v, FormScores formScores,
              RoundWeight roundWeight, RoundOutput roundOutput) {
  constexpr int64_t lanes = Panel<T>::lanes;
  Result result;
  result.o.assign(p.b * p.hq * p.nq * p.dv, 0.0);
  result.lse.assign(p.b * p.hq * p.nq, 0.0);

  std::vector<std::vector<T>> values(p.b * p.hkv);
  parallelFor(p.b * p.hkv, [&](int64_t head) {
    values[head] = packValues<T>(v.data() + head * p.nk * p.dv, p.nk, p.dv);
  });

  int64_t valuePanels = Panel<T>::count(p.dv);
  int64_t outStride = valuePanels * lanes;
  int64_t groupsPerHead = (p.nq + groupRows - 1) / groupRows;
  parallelFor(p.b * p.hq * groupsPerHead, [&](int64_t index) {
    Group<T> group;
    group.queryHead = index / groupsPerHead;
    int64_t batch = group.queryHead / p.hq;
    group.keyHead = batch * p.hkv + group.queryHead % p.hq / (p.hq / p.hkv);
    group.firstQuery = index % groupsPerHead * groupRows;
    group.numQueries = std::min(groupRows, p.nq - group.firstQuery);

    std::array<KeyRange, groupRows> ranges = {};
    KeyRange common = {0, p.nk}; // what every query of a full group sees
    group.keys = {p.nk, 0};
    for (int64_t r = 0; r < groupRows; ++r) {
      if (r < group.numQueries)
        ranges[r] = visibleKeys(p, group.firstQuery + r);
      common.begin = std::max(common.begin, ranges[r].begin);
      common.end = std::min(common.end, ranges[r].end);
      if (ranges[r].begin < ranges[r].end) {
        group.keys.begin = std::min(group.keys.begin, ranges[r].begin);
        group.keys.end = std::max(group.keys.end, ranges[r].end);
      }
    }
    if (common.begin >= common.end)
      common = {0, 0};

    group.scoreStride = Panel<T>::count(p.nk) * lanes;
    std::vector<T> scores(groupRows * group.scoreStride, T(0));
    group.scores = scores.data();
    if (group.keys.begin < group.keys.end)
      formScores(group);

    std::array<T, groupRows> factors = {};
    for (int64_t r = 0; r < group.numQueries; ++r)
      factors[r] =
          softmaxRow(scores.data() + r * group.scoreStride, ranges[r], static_cast<T>(p.scale),
                     roundWeight, result.lse[group.queryHead * p.nq + group.firstQuery + r]);

    // A masked key must not be multiplied even by zero: what only some rows see, each row adds by
    // itself. The order of the keys is kept.
    std::vector<T> out(groupRows * outStride, T(0));
    for (int64_t panel = 0; panel < valuePanels; ++panel) {
      const T *panelValues = values[group.keyHead].data() + panel * p.nk * lanes;
      auto addAlone = [&](int64_t r, int64_t begin, int64_t end) {
        multiplyPanel<T, 1>(scores.data() + r * group.scoreStride, 0, panelValues, begin, end,
                            &out[r * outStride + panel * lanes], 0);
      };
      for (int64_t r = 0; r < group.numQueries; ++r)
        addAlone(r, ranges[r].begin,
                 std::min(ranges[r].end, std::max(common.begin, ranges[r].begin)));
      multiplyGroup(scores.data(), group.scoreStride, panelValues, common.begin, common.end,
                    &out[panel * lanes], outStride);
      for (int64_t r = 0; r < group.numQueries; ++r)
        addAlone(r, std::max(common.end, ranges[r].begin), ranges[r].end);
    }
    for (int64_t r = 0; r < group.numQueries; ++r) {
      double *row = &result.o[(group.queryHead * p.nq + group.firstQuery + r) * p.dv];
      if (factors[r] == 0)
        continue;
      for (int64_t c = 0; c < p.dv; ++c)
        row[c] = roundOutput(out[r * outStride + c] * factors[r]);
    }
  });
  return result;
}

template <class T, class RoundWeight, class RoundOutput>
Result attendDense(const Problem &p, const std::vector<double> &q, const std::vector<double> &k,
                   const std::vector<double> &v, RoundWeight roundWeight, RoundOutput roundOutput) {
  constexpr int64_t lanes = Panel<T>::lanes;
  std::vector<std::vector<T>> keys(p.b * p.hkv);
  parallelFor(p.b * p.hkv, [&](int64_t head) {
    keys[head] = packKeys<T>(k.data() + head * p.nk * p.d, p.nk, p.d);
  });
  auto formScores = [&](const Group<T> &group) {
    std::vector<T> queries(groupRows * p.d, T(0));
    const double *source = &q[(group.queryHead * p.nq + group.firstQuery) * p.d];
    for (int64_t i = 0; i < group.numQueries * p.d; ++i)
      queries[i] = static_cast<T>(source[i]);
    for (int64_t panel = group.keys.begin / lanes; panel < Panel<T>::count(group.keys.end); ++panel)
      multiplyGroup(queries.data(), p.d, keys[group.keyHead].data() + panel * p.d * lanes, 0, p.d,
                    group.scores + panel * lanes, group.scoreStride);
  };
  return attend<T>(p, v, formScores, roundWeight, roundOutput);
}

} // namespace

//===----------------------------------------------------------------------===//
// The interface
//===----------------------------------------------------------------------===//

Result sfa::oracle::attention(const Problem &problem, const std::vector<double> &q,
                              const std::vector<double> &k, const std::vector<double> &v) {
  requireValid(problem, q, k, v);
  auto exact = [](double value) { return value; };
  return attendDense<double>(problem, q, k, v, exact, exact);
}

Result sfa::oracle::attention(const Problem &problem, const Codes &q, const Codes &k,
                              const std::vector<double> &v, ZeroTimes zeroTimes) {
  const Problem &p = problem;
  requireValid(p, v);
  detail::requireValid(q);
  detail::requireValid(k);
  require(q.d == p.d && k.d == p.d, "the codes have the problem's d");
  require(q.rows == p.b * p.hq * p.nq && k.rows == p.b * p.hkv * p.nk,
          "q has b*hq*nq rows and k has b*hkv*nk");
  if (zeroTimes == ZeroTimes::Dense)
    return attention(p, densify(q), densify(k), v);

  auto formScores = [&](const Group<double> &group) {
    std::vector<double> query(p.d);
    std::vector<char> isKept(p.d);
    for (int64_t r = 0; r < group.numQueries; ++r) {
      int64_t queryCode = (group.queryHead * p.nq + group.firstQuery + r) * q.k;
      for (int64_t i = queryCode; i < queryCode + q.k; ++i) {
        query[q.indices[i]] = q.values[i];
        isKept[q.indices[i]] = true;
      }
      for (int64_t j = group.keys.begin; j < group.keys.end; ++j) {
        int64_t keyCode = (group.keyHead * p.nk + j) * k.k;
        double sum = 0;
        for (int64_t i = keyCode; i < keyCode + k.k; ++i)
          if (isKept[k.indices[i]])
            sum += query[k.indices[i]] * k.values[i];
        group.scores[r * group.scoreStride + j] = sum;
      }
      for (int64_t i = queryCode; i < queryCode + q.k; ++i)
        isKept[q.indices[i]] = false;
    }
  };
  auto exact = [](double value) { return value; };
  return attend<double>(p, v, formScores, exact, exact);
}

Result sfa::oracle::denseSameType(const Problem &problem, DataType type,
                                  const std::vector<double> &q, const std::vector<double> &k,
                                  const std::vector<double> &v) {
  requireValid(problem, q, k, v);
  auto run = [&](auto round) { return attendDense<float>(problem, q, k, v, round, round); };
  switch (type) {
  case DataType::F32:
    return run([](float value) { return value; });
  case DataType::F16:
    return run(
        [](float value) { return static_cast<float>(detail::roundToFormat<detail::Half>(value)); });
  case DataType::BF16:
    return run([](float value) {
      return static_cast<float>(detail::roundToFormat<detail::Bfloat16>(value));
    });
  }
  std::abort();
}
