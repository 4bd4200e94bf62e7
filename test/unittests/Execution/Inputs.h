//===- Inputs.h - Queries, keys and values with ordinary and adversarial supports --*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TEST_UNITTESTS_EXECUTION_INPUTS_H
#define SFA_TEST_UNITTESTS_EXECUTION_INPUTS_H

#include "Configuration.h"

#include <array>
#include <vector>

namespace sfa::test {

/// Where the non-zeros of queries and keys are, and how large.
enum class Support {
  /// Normal numbers: every set of k features is as likely.
  Uniform,
  /// Layers 1 and 4 of test/data; features and tokens are cut or repeated to the sizes needed.
  Real,
  /// Every token has its largest values in the same features.
  SameFeatures,
  /// Queries hold even features only, keys odd ones: all scores are 0.
  Disjoint,
  /// Values of -1, 0 and 1: most rows have more candidates than places.
  Ties,
  /// Zeros of both signs.
  Zeros,
  /// Scores grow along the keys: by less than the lazy softmax allows before it raises a row's
  /// reference in some heads, by more in others.
  Growing,
  /// By far more from one tile to the next than 2^20, and than exp can represent.
  GrowingFast,
  /// From one end of the range of the type, or of scores in f32, to the other.
  GrowingToTheEdge,
};

constexpr std::array allSupports = {
    Support::Uniform,  Support::Real,        Support::SameFeatures,
    Support::Disjoint, Support::Ties,        Support::Zeros,
    Support::Growing,  Support::GrowingFast, Support::GrowingToTheEdge};

const char *name(Support support);

/// Row-major, and exact in the type of the configuration.
struct Inputs {
  std::vector<double> q, k, v;
};

/// The inputs depend on the arguments only, and not on strategy, softmax or tiles.
Inputs makeInputs(const Configuration &configuration, const Shape &shape, Support support,
                  uint64_t seed);

/// Rounds every value to `type`.
void roundTo(oracle::DataType type, std::vector<double> &values);

} // namespace sfa::test

#endif // SFA_TEST_UNITTESTS_EXECUTION_INPUTS_H
