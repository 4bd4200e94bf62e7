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

namespace sfa {

/// The schedule of `problem` on `device`: what `given` says, and for all else the best by the cost
/// model. Where sizes are hints, numbers of splits are powers of two: each further one is a
/// program.
ResolvedSchedule choose(const Problem &problem, const Device &device, const Schedule &given = {});

/// What has to be written down of `schedule` for `device`: neither parameters that it ignores nor
/// splits and packed heads where they are 1.
Schedule withoutDefaults(const ResolvedSchedule &schedule, const Device &device);

/// Gives `op` the schedule that is chosen for `problem`. What it has already is given, and stays as
/// it is written.
void assignSchedule(AttentionOp op, const Problem &problem, const Device &device);

} // namespace sfa

#endif // SFA_SCHEDULE_CHOOSE_H
