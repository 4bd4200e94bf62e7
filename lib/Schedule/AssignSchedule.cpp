//===- AssignSchedule.cpp - Choose the parameters that schedules leave open -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Passes.h"
#include "sfa/Schedule/DecodeSchedule.h"

namespace sfa {
#define GEN_PASS_DEF_SFAASSIGNSCHEDULEPASS
#include "sfa/Passes.h.inc"
} // namespace sfa

using namespace mlir;
using namespace sfa;

/// Reads a shape such as "1x32x4096x128"; true where it is none.
static bool parseShape(StringRef text, SmallVectorImpl<int64_t> &shape) {
  SmallVector<StringRef> sizes;
  text.split(sizes, 'x');
  for (StringRef size : sizes)
    if (size.getAsInteger(10, shape.emplace_back()) || shape.back() < 0)
      return true;
  return false;
}

namespace {
struct AssignSchedule : sfa::impl::SFAAssignSchedulePassBase<AssignSchedule> {
  using SFAAssignSchedulePassBase::SFAAssignSchedulePassBase;

  void runOnOperation() override {
    Device device = Device::cpu();
    if (!chip.empty()) {
      llvm::Expected<Chip> target = Chip::parse(chip);
      if (!target) {
        getOperation()->emitError() << llvm::toString(target.takeError());
        return signalPassFailure();
      }
      device = Device::of(*target);
    }
    SmallVector<SmallVector<int64_t>> sizes;
    for (const std::string &text : shapes)
      if (parseShape(text, sizes.emplace_back())) {
        getOperation()->emitError() << "shape '" << text << "' is not one such as '1x32x4096x128'";
        return signalPassFailure();
      }
    auto assign = [&](AttentionOp op, const Problem &problem) -> WalkResult {
      llvm::Expected<Choice> choice = assignSchedule(op, problem, device);
      if (!choice)
        return op.emitOpError() << llvm::toString(choice.takeError());
      if (explain)
        op.emitRemark() << "schedule " << op.getScheduleAttr() << ": " << choice->reason;
      return WalkResult::advance();
    };
    WalkResult result = getOperation()->walk([&](AttentionOp op) -> WalkResult {
      if (sizes.empty())
        return assign(op, Problem::of(op));
      ProblemOfCalls calls(op);
      SmallVector<ArrayRef<int64_t>> ofCall(sizes.begin(), sizes.end());
      llvm::Expected<Problem> problem = calls.at(ofCall);
      if (!problem)
        return op.emitOpError() << "cannot use the shapes: " << llvm::toString(problem.takeError());
      return assign(op, *problem);
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    getOperation()->walk([&](DecodeOp op) { assignDecodeSchedule(op, device); });
  }
};
} // namespace
