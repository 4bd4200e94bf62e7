//===- CostModel.h - What a schedule is expected to cost --------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_SCHEDULE_COSTMODEL_H
#define SFA_SCHEDULE_COSTMODEL_H

#include "sfa/Schedule/ScheduleSpace.h"

namespace sfa {

/// The estimated cost of one pair of a query and a key under `strategy` on a CPU, without softmax
/// and P*V, in vector multiply-adds for a vector of pairs. The operands have to allow the strategy.
double estimateScoreCost(const Problem &problem, Strategy strategy);

/// The best schedules by estimates and by rules that were measured, with what is given.
ResolvedSchedule chooseForCpu(const Problem &problem, const Schedule &given);
ResolvedSchedule chooseForGpu(const Problem &problem, const Device &device, const Schedule &given);

} // namespace sfa

#endif // SFA_SCHEDULE_COSTMODEL_H
