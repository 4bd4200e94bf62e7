//===- Choose.h - The one place that chooses schedules ----------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_SCHEDULE_CHOOSE_H
#define SFA_SCHEDULE_CHOOSE_H

#include "sfa/Schedule/ScheduleSpace.h"
#include "sfa/Schedule/TuningDatabase.h"

namespace sfa {

/// What a choice stands on, from the surest.
enum class Ground {
  /// The problem was measured, within the buckets of its key.
  Measured,
  /// A problem of other sizes was measured.
  Nearby,
  /// Nothing like it was measured: it is the cost model's.
  Estimated,
};

/// "measured", "nearby" or "estimated".
llvm::StringRef stringify(Ground ground);

/// A schedule, and why it is this one.
struct Choice {
  ResolvedSchedule schedule;
  Ground ground = Ground::Estimated;
  /// Of which entry, with which times, or why there is none: a sentence.
  std::string reason;
};

/// The schedule of `problem` on `device`: what `given` says, and for all else what `database` says
/// is best, or the cost model. Where sizes are hints, numbers of splits are powers of two: each
/// further one is a program.
Choice choose(const Problem &problem, const Device &device, const Schedule &given,
              const TuningDatabase &database);

/// The same by the cost model alone.
ResolvedSchedule estimate(const Problem &problem, const Device &device, const Schedule &given = {});

/// What has to be written down of `schedule` for `device`: neither parameters that it ignores nor
/// splits and packed heads where they are 1.
Schedule withoutDefaults(const ResolvedSchedule &schedule, const Device &device);

/// What is given of each schedule: `ofOperation`, and what it leaves open as the knob SFA_SCHEDULE
/// says.
llvm::Expected<Schedule> givenSchedule(const Schedule &ofOperation);

/// Gives `op` the schedule that is chosen for `problem` by the database of the process. What it has
/// already is given, and stays as it is written. Says why.
llvm::Expected<Choice> assignSchedule(AttentionOp op, const Problem &problem, const Device &device);

} // namespace sfa

#endif // SFA_SCHEDULE_CHOOSE_H
