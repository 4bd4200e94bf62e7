//===- Fit.h - The factors of the time model, from measured times -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TUNING_FIT_H
#define SFA_TUNING_FIT_H

#include "sfa/Schedule/TimeModel.h"
#include "sfa/Schedule/TuningDatabase.h"

namespace sfa::tuning {

/// The device that an entry was measured on.
llvm::Expected<Device> deviceOf(const TuningEntry &entry);

/// Of the times of a database, all schedules of all entries: how far a model is from them.
struct Residuals {
  size_t count = 0;
  /// Of the ratio of a time to what the model says: in the root mean square, and how much longer
  /// the schedule takes that the model puts first than the best one, at most and in 90% of entries.
  double error = 0, worstGap = 0, usualGap = 0;
};
Residuals judge(const TimeModel &model, const TuningDatabase &database, llvm::StringRef chip);

/// How good choices are for problems that a database has not: each entry is left out once, and the
/// choice for its problem by the others is looked up among what it has measured.
struct ChoiceQuality {
  /// Entries, those whose choice was among what they have measured, and those of these whose choice
  /// takes at most 1.1 times the best.
  size_t count = 0, known = 0, good = 0;
  double worstGap = 0;
};
ChoiceQuality judgeChoices(const TuningDatabase &database, llvm::StringRef chip);

/// The factors that fit best, in the least squares of logarithms; those of traits that few entries
/// have stay near 1 (ridge regression).
llvm::Expected<TimeModel> fit(const TuningDatabase &database);

} // namespace sfa::tuning

#endif // SFA_TUNING_FIT_H
