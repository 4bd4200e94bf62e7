//===- Problem.h - What a schedule is chosen for: one attention ---*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_SCHEDULE_PROBLEM_H
#define SFA_SCHEDULE_PROBLEM_H

#include "dialects/SFA/SFA.h"
#include "sfa/Support/Npy.h"
#include "llvm/Support/Error.h"

namespace sfa {

/// One attention: what the types of an op say of it, and the sizes that are known.
struct Problem {
  int64_t queryHeads = 1, keyHeads = 1;
  /// Of queries and keys, and of values.
  int64_t features = 1, valueFeatures = 1;
  /// How many features codes keep; absent for dense operands.
  std::optional<int64_t> queryCodes, keyCodes;
  /// Which keys share a scale where queries and keys are integers of 8 bits; absent for others.
  std::optional<Scales> keyScales;
  /// Whether codes satisfy 2:4 by their type.
  bool isTwoFour = false;
  /// Of operands and results.
  ElementType element = ElementType::F16;
  bool hasLse = false, hasSequences = false;
  /// How many keys before and after its own a query sees; unbounded where absent.
  std::optional<int64_t> leftBound, rightBound;

  /// Absent where nobody knows. Tokens are those of all sequences of a batch together.
  std::optional<int64_t> batch, numSequences = 1, queryTokens, keyTokens;
  /// Whether sizes are those of one call of a program that serves calls of other sizes, too.
  bool sizesAreHints = false;

  /// The sizes are those that the types give.
  static Problem of(AttentionOp op);

  /// Exponents of bf16 leave references of a softmax room.
  bool isBF16() const { return element == ElementType::BF16; }
  /// Whether batch, heads and tokens are the same.
  bool hasSizesOf(const Problem &other) const;
  int64_t width() const { return std::max(features, valueFeatures); }
  int64_t headsOfGroup() const { return queryHeads / keyHeads; }
  /// Queries, and keys, of a head; of sequences the mean, since nobody looks at their lengths.
  std::optional<int64_t> numQueries() const;
  std::optional<int64_t> numKeys() const;
};

/// An attention of a function whose sizes are those of the function's arguments: what has to be
/// kept of a module to choose schedules for one call after the other.
class ProblemOfCalls {
public:
  explicit ProblemOfCalls(AttentionOp op);

  /// The problem of a call with arguments of these shapes; a tensor of codes is two arguments.
  /// Fails where an argument is missing or has another rank, or where there are no sequences.
  llvm::Expected<Problem> at(llvm::ArrayRef<llvm::ArrayRef<int64_t>> shapes) const;

private:
  /// A dimension of an argument.
  struct Place {
    size_t argument, dim;
  };
  static std::optional<Place> find(mlir::Value value, size_t dim);

  Problem problem;
  std::optional<Place> batch, queryTokens, keyTokens, offsets;
};

} // namespace sfa

#endif // SFA_SCHEDULE_PROBLEM_H
