//===- TimeModel.h - How long a schedule is expected to take ----*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The time of a schedule is a bound by peaks of the device, times a factor for each trait of the
// schedule. Factors are data, fitted to measured times (sfa-tune fit):
// lib/Schedule/Tuned/model.json.
//
//===----------------------------------------------------------------------===//

#ifndef SFA_SCHEDULE_TIMEMODEL_H
#define SFA_SCHEDULE_TIMEMODEL_H

#include "sfa/Schedule/ScheduleSpace.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/JSON.h"

#include <string>
#include <vector>

namespace sfa {

/// The milliseconds that the products, the exponentials, the memory and the launches of `problem`
/// take at the peaks of `device`, with the tiles, rounds and splits of `schedule`. All sizes have
/// to be known.
double boundMilliseconds(const Problem &problem, const Device &device,
                         const ResolvedSchedule &schedule);

/// What the time of all schedules of a problem depends on beside the bound, and what that of one
/// schedule: names such as "turns=ping_pong width<=64".
std::vector<std::string> getTraits(const Problem &problem);
std::vector<std::string> getTraits(const Problem &problem, const Device &device,
                                   const ResolvedSchedule &schedule);

/// Logarithms of the factors of traits, for each kind of chip.
class TimeModel {
public:
  /// Fails unless all of `text` is right.
  static llvm::Expected<TimeModel> parse(llvm::StringRef text);
  /// That of this build. Chips without factors of their own have those of the nearest kind: sm_90a,
  /// sm_80 or cpu.
  static const TimeModel &ofBuild();

  double milliseconds(const Problem &problem, const Device &device,
                      const ResolvedSchedule &schedule) const;

  std::string toText() const;
  void set(llvm::StringRef chip, llvm::StringRef trait, double weight) {
    weights[chip][trait] = weight;
  }

private:
  llvm::StringMap<llvm::StringMap<double>> weights;
};

} // namespace sfa

#endif // SFA_SCHEDULE_TIMEMODEL_H
