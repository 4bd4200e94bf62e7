//===- Configuration.h - One compiled attention of the execution tests --*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TEST_UNITTESTS_EXECUTION_CONFIGURATION_H
#define SFA_TEST_UNITTESTS_EXECUTION_CONFIGURATION_H

#include "dialects/SFA/SFA.h"
#include "sfa/Support/Npy.h"
#include "test/Oracle/Oracle.h"

#include <optional>
#include <string>

namespace sfa::test {

/// How query or key reach the attention.
enum class Form {
  /// Dense, and attended to as they are.
  Dense,
  /// Dense, and made sparse by the function.
  Sparsified,
  /// As codes.
  Codes,
};

struct Shape {
  int64_t batch, numQueries, numKeys;
};

/// What is fixed when an attention is compiled.
struct Configuration {
  Strategy strategy = Strategy::Dense;
  Softmax softmax = Softmax::Online;
  ElementType type = ElementType::F32;
  oracle::Mask mask = oracle::Mask::None;
  std::optional<int64_t> left, right; // of the window
  int64_t queryHeads = 2, keyHeads = 2;
  int64_t d = 64, dv = 64;
  int64_t queryK = 8, keyK = 8;
  Form queryForm = Form::Codes, keyForm = Form::Codes; // what compiles fastest
  std::optional<int64_t> qTile, kTile, splits, packedHeads;
  std::optional<double> scale;
  bool hasLse = true;
  /// Takes the offsets of sequences of the query and of the key after q, k and v; batch is 1.
  bool hasSequences = false;
  /// The sizes that the module states; without them batch and tokens are dynamic.
  std::optional<Shape> staticShape;

  /// The function @attention(q, k, v) -> (o, lse).
  std::string module() const;

  /// The same problem for the oracle.
  oracle::Problem problem(const Shape &shape) const;

  /// The type for the yardstick of the oracle.
  oracle::DataType dataType() const;
};

/// "causal", "window, left = 3".
std::string describeMask(const Configuration &configuration);

} // namespace sfa::test

#endif // SFA_TEST_UNITTESTS_EXECUTION_CONFIGURATION_H
