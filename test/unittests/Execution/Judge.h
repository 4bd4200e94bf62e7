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

#include <string>
#include <vector>

namespace sfa::test {

/// What is right for one problem, and what the yardstick makes of it.
struct Reference {
  oracle::Result expected, baseline;
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
  struct Problem {
    std::string label;
    size_t firstO, endO;
  };

  Configuration configuration;
  std::vector<Problem> problems;
  std::vector<double> actual, expected, baseline;
  /// What is wrong with the LSE of single problems.
  std::string lseFailures;
};

/// How to repeat the running test and see it alone.
std::string describeRepetition(const Configuration &configuration);

} // namespace sfa::test

#endif // SFA_TEST_UNITTESTS_EXECUTION_JUDGE_H
