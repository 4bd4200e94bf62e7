//===- Judge.cpp - Holds results against the oracle -----------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Judge.h"

#include "Families.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

using namespace sfa;
using namespace sfa::test;

using Values = std::vector<double>;

/// The features in another order; scores stay the same.
static Values permute(const Values &rows, const std::vector<int64_t> &order) {
  Values permuted(rows.size());
  for (size_t row = 0; row < rows.size(); row += order.size())
    for (size_t feature = 0; feature < order.size(); ++feature)
      permuted[row + feature] = rows[row + order[feature]];
  return permuted;
}

/// Descending; and the first two of each group of four before the others, as sparse_mma adds them
/// when it has all.
static std::vector<std::vector<int64_t>> otherOrders(int64_t d) {
  std::vector<std::vector<int64_t>> orders(2);
  for (int64_t feature = d; feature-- > 0;)
    orders[0].push_back(feature);
  for (int64_t half : {0, 1})
    for (int64_t feature = 0; feature < d; ++feature)
      if (feature / 2 % 2 == half)
        orders[1].push_back(feature);
  return orders;
}

Reference sfa::test::makeReference(const Configuration &configuration, const Shape &shape,
                                   const Inputs &inputs) {
  oracle::Problem problem = configuration.problem(shape);
  oracle::DataType type = configuration.dataType();
  auto sparsify = [&](const Values &values, Form form, int64_t k) {
    int64_t d = problem.d;
    return form == Form::Dense ? values
                               : oracle::densify(oracle::topk(values, values.size() / d, d, k));
  };
  auto dense = std::make_shared<Inputs>();
  dense->q = sparsify(inputs.q, configuration.queryForm, configuration.queryK);
  dense->k = sparsify(inputs.k, configuration.keyForm, configuration.keyK);
  dense->v = inputs.v;
  Reference reference(oracle::attention(problem, dense->q, dense->k, dense->v),
                      oracle::denseSameType(problem, type, dense->q, dense->k, dense->v));
  auto expected = std::make_shared<oracle::Result>(reference.expected);
  reference.inOtherOrders = [=] {
    std::vector<Deviations> deviations;
    for (const std::vector<int64_t> &order : otherOrders(problem.d))
      deviations.push_back({oracle::denseSameType(problem, type, permute(dense->q, order),
                                                  permute(dense->k, order), dense->v),
                            *expected});
    return deviations;
  };
  return reference;
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

void Judge::Pool::add(const std::string &label, const oracle::Deviation &moreOfActual,
                      const oracle::Deviation &moreOfBaseline) {
  parts.push_back({label, moreOfActual, moreOfBaseline});
  ofActual += moreOfActual;
  ofBaseline += moreOfBaseline;
}

void Judge::Pool::raise(const oracle::Deviation &ofYardstick) {
  oracle::Errors errors = ofYardstick.errors();
  largest.frobenius = std::max(largest.frobenius, errors.frobenius);
  largest.maxAbs = std::max(largest.maxAbs, errors.maxAbs);
}

bool Judge::Pool::isWithinBound() const {
  return oracle::isWithinBound(ofActual.errors(), largest);
}

std::string Judge::Pool::describe(const char *name) const {
  std::string text = fmt::format("  {}: {}\n", name, ::describe(ofActual.errors(), largest));
  for (const Part &part : parts)
    text += fmt::format("    {}: {}\n", part.label,
                        ::describe(part.ofActual.errors(), part.ofBaseline.errors()));
  return text;
}

void Judge::add(const std::string &label, const Reference &reference,
                const oracle::Result &result) {
  if (result.o.size() != reference.expected.o.size()) {
    ADD_FAILURE() << label << ": no result";
    return;
  }
  inOtherOrders.push_back(reference.inOtherOrders);
  o.add(label, oracle::deviation(result.o, reference.expected.o), reference.ofBaseline.o);
  if (!configuration.hasLse)
    return;
  oracle::Deviation ofLse = oracle::deviation(result.lse, reference.expected.lse);
  lse.add(label, ofLse, reference.ofBaseline.lse);
  isLseWithinUlps &= isWithinUlps(ofLse.errors(), reference.expected.lse);
}

bool Judge::isWithinBound() const {
  return o.isWithinBound() && (isLseWithinUlps || lse.isWithinBound());
}

void Judge::raise() {
  std::vector<Deviations> all;
  for (const auto &otherOrders : inOtherOrders) {
    if (!otherOrders)
      return;
    std::vector<Deviations> deviations = otherOrders();
    all.resize(deviations.size());
    for (size_t order = 0; order < deviations.size(); ++order) {
      all[order].o += deviations[order].o;
      all[order].lse += deviations[order].lse;
    }
  }
  for (const Deviations &ofYardstick : all) {
    o.raise(ofYardstick.o);
    lse.raise(ofYardstick.lse);
  }
}

void Judge::finish() {
  o.raise(o.ofBaseline);
  lse.raise(lse.ofBaseline);
  if (!isWithinBound())
    raise();
  if (!isWithinBound()) {
    std::string failures;
    if (!o.isWithinBound())
      failures += o.describe("O");
    if (!isLseWithinUlps && !lse.isWithinBound())
      failures += lse.describe("LSE");
    ADD_FAILURE() << "the error is more than " << oracle::errorFactor << " times that of dense "
                  << "attention in the same type:\n"
                  << failures << describeRepetition(configuration);
  }
  *this = Judge(configuration);
}

std::string sfa::test::describeRepetition(const Configuration &configuration) {
  const testing::TestInfo *test = testing::UnitTest::GetInstance()->current_test_info();
  // The same lists of cases, whose numbers are parts of names.
  return fmt::format("module:\n{}repeat: SFA_TEST_FULL={} SFAExecutionTests --gtest_filter={}.{}\n",
                     configuration.module(), static_cast<int>(getTestExtent()),
                     test->test_suite_name(), test->name());
}
