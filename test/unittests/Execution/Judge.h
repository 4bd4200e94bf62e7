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

/// What is right for one problem, and what the yardstick makes of it.
struct Reference {
  oracle::Result expected, baseline;
  /// The yardstick with the features added up in other orders; null where there are none.
  std::function<std::vector<oracle::Result>()> inOtherOrders = nullptr;
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
  /// One array of the results of several problems, one after the other.
  struct Pool {
    struct Part {
      std::string label;
      size_t first, end;
    };
    std::vector<double> actual, expected, baseline;
    std::vector<Part> parts;
    /// Over the orders of the yardstick that were looked at.
    oracle::Errors largest;

    void add(const std::string &label, const std::vector<double> &actual,
             const std::vector<double> &expected, const std::vector<double> &baseline);
    /// Takes the errors of a yardstick for all that was added.
    void raise(const std::vector<double> &otherBaseline);
    bool isWithinBound() const;
    /// The errors of all and of each problem.
    std::string describe(const char *name) const;
  };

  bool isWithinBound() const;
  /// Computes the yardstick in other orders.
  void raise();

  Configuration configuration;
  Pool o, lse;
  std::vector<std::function<std::vector<oracle::Result>()>> inOtherOrders;
  bool isLseWithinUlps = true;
};

/// How to repeat the running test and see it alone.
std::string describeRepetition(const Configuration &configuration);

} // namespace sfa::test

#endif // SFA_TEST_UNITTESTS_EXECUTION_JUDGE_H
