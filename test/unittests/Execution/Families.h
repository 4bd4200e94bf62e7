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
// kernels. By default there are 72 families, four for each (type, mask, heads), each with one
// kernel of every strategy, and each runs on a third of the kinds of supports. They are rotated so
// that
//   - every (strategy, softmax, type, mask, heads) is there,
//   - every value of a parameter, kinds of supports among them, is there with every value of any
//     other one,
//   - every kind of supports is there for every (strategy, softmax) with every type, and with every
//     mask.
// SFA_TEST_FULL=1 makes 126 families, which have every (d, dv, k) for every strategy, on all kinds
// of supports. A test of its own checks this. SFA_TEST_FULL=2 runs the whole product.
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TEST_UNITTESTS_EXECUTION_FAMILIES_H
#define SFA_TEST_UNITTESTS_EXECUTION_FAMILIES_H

#include "Inputs.h"
#include "sfa/Support/Knobs.h"

#include <ostream>
#include <string>
#include <vector>

namespace sfa::test {

struct Family {
  /// Of the family: strategy and softmax do not count.
  Configuration base;
  /// "f16_causal_gqa_d64_dv32_k8", and the number of the family.
  std::string name;
  /// What its kernels run on.
  std::vector<Support> supports;
  /// One for each kernel.
  std::vector<Configuration> kernels;

  /// For GoogleTest, which would print the bytes.
  friend void PrintTo(const Family &family, std::ostream *stream) { *stream << family.name; }
};

std::vector<Family> makeFamilies(knobs::TestExtent extent);

/// What the knob SFA_TEST_FULL says. Ends the process with a message when it holds rubbish.
knobs::TestExtent getTestExtent();

} // namespace sfa::test

#endif // SFA_TEST_UNITTESTS_EXECUTION_FAMILIES_H
