//===- Judge.h - Holds results against the oracle ---------------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TEST_UNITTESTS_EXECUTION_JUDGE_H
#define SFA_TEST_UNITTESTS_EXECUTION_JUDGE_H

#include "Kernel.h"

#include <functional>
#include <string>
#include <vector>

namespace sfa::test {

/// How far a result is from what is right.
struct Deviations {
  Deviations() = default;
  Deviations(const oracle::Result &actual, const oracle::Result &expected)
      : o(oracle::deviation(actual.o, expected.o)),
        lse(oracle::deviation(actual.lse, expected.lse)) {}

  oracle::Deviation o, lse;
};

/// What is right for one problem, and what the yardstick makes of it.
struct Reference {
  Reference(oracle::Result expected, oracle::Result baseline)
      : expected(std::move(expected)), baseline(std::move(baseline)),
        ofBaseline(this->baseline, this->expected) {}

  oracle::Result expected, baseline;
  /// Formed once for all kernels that are held against it.
  Deviations ofBaseline;
  /// Those of the yardstick with the features added up in other orders; null where there are none.
  std::function<std::vector<Deviations>()> inOtherOrders = nullptr;
};

Reference makeReference(const Configuration &configuration, const Shape &shape,
                        const Inputs &inputs);

/// Collects the results of one kernel for several problems and judges them together by the bound of
/// the project: no error larger than 1.5 times that of dense attention in the same type.
///
/// Together, because the yardstick of a small problem is a matter of luck: of a single row the
/// plain kernel may well be off by nothing at all. Over some hundred rows its largest error and its
/// norm say what the type allows. The factor stays; rows that are far off fail it in any company,
/// and where values are not finite every single one has to agree.
class Judge {
public:
  explicit Judge(const Configuration &configuration) : configuration(configuration) {}

  /// `label` says how the inputs were made.
  void add(const std::string &label, const Reference &reference, const oracle::Result &actual);

  /// Fails the test, with a message that repeats it, unless all that was added is right. Starts
  /// anew.
  void finish();

private:
  /// One array of the results of several problems.
  struct Pool {
    struct Part {
      std::string label;
      oracle::Deviation ofActual, ofBaseline;
    };
    std::vector<Part> parts;
    oracle::Deviation ofActual, ofBaseline;
    /// Over the orders of the yardstick that were looked at.
    oracle::Errors largest;

    void add(const std::string &label, const oracle::Deviation &ofActual,
             const oracle::Deviation &ofBaseline);
    /// Takes the errors of a yardstick for all that was added.
    void raise(const oracle::Deviation &ofYardstick);
    bool isWithinBound() const;
    /// The errors of all and of each problem.
    std::string describe(const char *name) const;
  };

  bool isWithinBound() const;
  /// Computes the yardstick in other orders.
  void raise();

  Configuration configuration;
  Pool o, lse;
  std::vector<std::function<std::vector<Deviations>()>> inOtherOrders;
  bool isLseWithinUlps = true;
};

/// How to repeat the running test and see it alone.
std::string describeRepetition(const Configuration &configuration);

} // namespace sfa::test

#endif // SFA_TEST_UNITTESTS_EXECUTION_JUDGE_H
