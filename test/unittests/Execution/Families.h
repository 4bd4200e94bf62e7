//===- Families.h - Which combinations of parameters the matrix of tests runs --*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A family is all parameters of an attention but strategy and softmax: its kernels compute the same
// from the same inputs, so the oracle works once for all of them.
//
// The whole product of types, masks, heads, d, dv, k, strategies and softmax forms has 18000
// kernels. By default there are 126 families, seven for each (type, mask, heads), each with one
// kernel of every strategy. They are rotated so that
//   - every (strategy, softmax, type, mask, heads) is there,
//   - every (d, dv, k) is there for every strategy,
//   - every value of a parameter is there with every value of any other one,
// which a test of its own checks. SFA_TEST_FULL=1 runs the whole product.
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TEST_UNITTESTS_EXECUTION_FAMILIES_H
#define SFA_TEST_UNITTESTS_EXECUTION_FAMILIES_H

#include "Configuration.h"

#include <ostream>
#include <string>
#include <vector>

namespace sfa::test {

struct Family {
  /// Of the family: strategy and softmax do not count.
  Configuration base;
  /// "f16_causal_gqa_d64_dv32_k8", and the number of the family.
  std::string name;
  /// One for each kernel.
  std::vector<Configuration> kernels;

  /// For GoogleTest, which would print the bytes.
  friend void PrintTo(const Family &family, std::ostream *stream) { *stream << family.name; }
};

/// Ends the process with a message when the knob SFA_TEST_FULL holds rubbish.
std::vector<Family> makeFamilies();

} // namespace sfa::test

#endif // SFA_TEST_UNITTESTS_EXECUTION_FAMILIES_H
