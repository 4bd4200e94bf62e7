//===- Choose.cpp - The one place that chooses schedules ------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Schedule/Choose.h"

#include "sfa/Schedule/CostModel.h"

using namespace sfa;

ResolvedSchedule sfa::choose(const Problem &problem, const Device &device, const Schedule &given) {
  return device.isGpu ? chooseForGpu(problem, device, given) : chooseForCpu(problem, given);
}

Schedule sfa::withoutDefaults(const ResolvedSchedule &schedule, const Device &device) {
  Schedule result = schedule.toSchedule();
  if (!device.hasWarpgroups) {
    result.lookahead = std::nullopt;
    result.turns = std::nullopt;
    result.queries = std::nullopt;
    result.grid = std::nullopt;
  }
  if (schedule.splits == 1)
    result.splits = std::nullopt;
  if (schedule.packedHeads == 1)
    result.packedHeads = std::nullopt;
  return result;
}

void sfa::assignSchedule(AttentionOp op, const Problem &problem, const Device &device) {
  ScheduleAttr attribute = op.getScheduleAttr();
  Schedule given = attribute ? attribute.getSchedule() : Schedule();
  Schedule chosen = withoutDefaults(choose(problem, device, given), device);
  op.setScheduleAttr(ScheduleAttr::get(op.getContext(), given.orElse(chosen)));
}
