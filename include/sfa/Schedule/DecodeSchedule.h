//===- DecodeSchedule.h - The schedule of sfa.decode ------------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_SCHEDULE_DECODESCHEDULE_H
#define SFA_SCHEDULE_DECODESCHEDULE_H

#include "sfa/Schedule/Choose.h"

namespace sfa {

/// In how many shares the keys of a sequence are worked on at most, one of `keys` keys or of fewer:
/// what `sfa_tile.split_range` has, with so many blocks of a share at least.
int64_t countMostSplits(int64_t keys, int64_t leastBlocks);

/// The schedule of `op` on `device`: what `given` says, and what is best for all else.
ResolvedSchedule chooseDecodeSchedule(DecodeOp op, const Device &device, const Schedule &given);

/// Gives `op` that schedule. What it has already is given, and stays as it is written.
void assignDecodeSchedule(DecodeOp op, const Device &device);

} // namespace sfa

#endif // SFA_SCHEDULE_DECODESCHEDULE_H
