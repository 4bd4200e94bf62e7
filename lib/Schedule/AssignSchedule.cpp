//===- AssignSchedule.cpp - Choose the parameters that schedules leave open -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Passes.h"
#include "sfa/Schedule/CostModel.h"

namespace sfa {
#define GEN_PASS_DEF_SFAASSIGNSCHEDULEPASS
#include "sfa/Passes.h.inc"
} // namespace sfa

using namespace sfa;

namespace {
struct AssignSchedule : impl::SFAAssignSchedulePassBase<AssignSchedule> {
  using SFAAssignSchedulePassBase::SFAAssignSchedulePassBase;

  void runOnOperation() override {
    if (chip.empty()) {
      getOperation()->walk([](AttentionOp op) { op.setScheduleAttr(chooseSchedule(op)); });
      return;
    }
    llvm::Expected<Chip> target = Chip::parse(chip);
    if (!target) {
      getOperation()->emitError() << llvm::toString(target.takeError());
      return signalPassFailure();
    }
    getOperation()->walk([&](AttentionOp op) { op.setScheduleAttr(chooseSchedule(op, *target)); });
  }
};
} // namespace
