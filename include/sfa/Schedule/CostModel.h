//===- CostModel.h - The schedule of an op that gives none ------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_SCHEDULE_COSTMODEL_H
#define SFA_SCHEDULE_COSTMODEL_H

#include "dialects/SFA/SFA.h"
#include "sfa/Target/Chip.h"

namespace sfa {

/// The estimated cost of one pair of a query and a key under `strategy` on a CPU, without softmax
/// and P*V, in vector multiply-adds for a vector of pairs. The operands of `op` have to allow the
/// strategy.
double estimateScoreCost(AttentionOp op, Strategy strategy);

/// A complete schedule for `op` on a CPU: its own parameters where it gives them, the cheapest by
/// the cost model for the others.
ScheduleAttr chooseSchedule(AttentionOp op);

/// The same for `chip`: the strategy is dense, the tiles are those that fit its shared memory and
/// registers.
ScheduleAttr chooseSchedule(AttentionOp op, const Chip &chip);

} // namespace sfa

#endif // SFA_SCHEDULE_COSTMODEL_H
