//===- Judge.cpp - Holds results against the oracle -----------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Judge.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

using namespace sfa;
using namespace sfa::test;

using Values = std::vector<double>;

Reference sfa::test::makeReference(const Configuration &configuration, const Shape &shape,
                                   const Inputs &inputs) {
  oracle::Problem problem = configuration.problem(shape);
  auto sparsify = [&](const Values &values, Form form, int64_t k) {
    int64_t d = problem.d;
    return form == Form::Dense ? values
                               : oracle::densify(oracle::topk(values, values.size() / d, d, k));
  };
  Values q = sparsify(inputs.q, configuration.queryForm, configuration.queryK);
  Values k = sparsify(inputs.k, configuration.keyForm, configuration.keyK);
  return {oracle::attention(problem, q, k, inputs.v),
          oracle::denseSameType(problem, configuration.dataType(), q, k, inputs.v)};
}

/// An f32 LSE can be a rounding away from a yardstick that happens to be closer.
static bool isWithinUlps(const oracle::Errors &errors, const Values &expected) {
  double largest = 1; // LSE is max + log(sum): near 0 its error is that of its terms
  for (double value : expected)
    if (std::isfinite(value))
      largest = std::max(largest, std::fabs(value));
  return std::isfinite(errors.frobenius) && errors.maxAbs <= 8 * 0x1p-24 * largest;
}

static std::string describe(const oracle::Errors &kernel, const oracle::Errors &baseline) {
  return fmt::format("relative norm {:.3e} (dense {:.3e}), largest {:.3e} (dense {:.3e})",
                     kernel.frobenius, baseline.frobenius, kernel.maxAbs, baseline.maxAbs);
}

void Judge::add(const std::string &label, const Reference &reference,
                const oracle::Result &result) {
  if (result.o.size() != reference.expected.o.size()) {
    ADD_FAILURE() << label << ": no result";
    return;
  }
  problems.push_back({label, actual.size(), actual.size() + result.o.size()});
  actual.insert(actual.end(), result.o.begin(), result.o.end());
  expected.insert(expected.end(), reference.expected.o.begin(), reference.expected.o.end());
  baseline.insert(baseline.end(), reference.baseline.o.begin(), reference.baseline.o.end());
  if (!configuration.hasLse)
    return;

  oracle::Errors kernel = oracle::compare(result.lse, reference.expected.lse);
  oracle::Errors dense = oracle::compare(reference.baseline.lse, reference.expected.lse);
  if (!oracle::isWithinBound(kernel, dense) && !isWithinUlps(kernel, reference.expected.lse))
    lseFailures += fmt::format("  LSE, {}: {}\n", label, describe(kernel, dense));
}

void Judge::finish() {
  oracle::Errors kernel = oracle::compare(actual, expected);
  oracle::Errors dense = oracle::compare(baseline, expected);
  std::string failures = lseFailures;
  if (!oracle::isWithinBound(kernel, dense)) {
    failures += fmt::format("  O: {}\n", describe(kernel, dense));
    for (const Problem &problem : problems) {
      auto part = [&](const Values &values) {
        return Values(values.begin() + problem.firstO, values.begin() + problem.endO);
      };
      failures += fmt::format("    of {}: {}\n", problem.label,
                              describe(oracle::compare(part(actual), part(expected)),
                                       oracle::compare(part(baseline), part(expected))));
    }
  }
  if (!failures.empty())
    ADD_FAILURE() << "the error is more than " << oracle::errorFactor << " times that of dense "
                  << "attention in the same type:\n"
                  << failures << describeRepetition(configuration);
  *this = Judge(configuration);
}

std::string sfa::test::describeRepetition(const Configuration &configuration) {
  const testing::TestInfo *test = testing::UnitTest::GetInstance()->current_test_info();
  return fmt::format("module:\n{}repeat: SFAExecutionTests --gtest_filter={}.{}\n",
                     configuration.module(), test->test_suite_name(), test->name());
}
