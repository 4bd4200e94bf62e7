//===- Schedule.h - The parameters of a schedule, as structs ----*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_SFA_SCHEDULE_H
#define DIALECTS_SFA_SCHEDULE_H

#include "mlir/IR/OpImplementation.h"
#include "llvm/ADT/Hashing.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdint>
#include <optional>

#include "dialects/SFA/SFAOpsEnums.h.inc"

namespace sfa {

/// The parameters that somebody has given; those that are absent are left to choose.
struct Schedule {
  static constexpr int64_t maxSplits = 256, maxPackedHeads = 256;

#define SFA_SCHEDULE_CHOICE(Enum, member, ...) std::optional<Enum> member = std::nullopt;
#define SFA_SCHEDULE_NUMBER(member, ...) std::optional<int64_t> member = std::nullopt;
#include "dialects/SFA/Schedule.def"

  /// These parameters, and those of `other` that are absent here.
  Schedule orElse(const Schedule &other) const;

  bool operator==(const Schedule &other) const;
  bool operator!=(const Schedule &other) const { return !(*this == other); }
};

llvm::hash_code hash_value(const Schedule &schedule);

/// As an attribute has it between its angle brackets: "softmax = lazy, q_tile = 128".
llvm::raw_ostream &operator<<(llvm::raw_ostream &stream, const Schedule &schedule);

/// A schedule in which every parameter has a value: without arguments, what stands for a schedule
/// that nobody has given.
struct ResolvedSchedule {
#define SFA_SCHEDULE_CHOICE(Enum, member, Name, keyword, what, fallback)                           \
  Enum member = Enum::fallback;
#define SFA_SCHEDULE_NUMBER(member, Name, keyword, least, most, fallback) int64_t member = fallback;
#include "dialects/SFA/Schedule.def"

  ResolvedSchedule() = default;
  /// The parameters of `given`, and those of `fallback` where it leaves them open.
  ResolvedSchedule(const Schedule &given, const ResolvedSchedule &fallback);

  /// All parameters as given ones.
  Schedule toSchedule() const;
};

/// A parameter that is a choice between the cases of `Enum`: its keyword, what messages call its
/// value, and its places in the structs.
template <class Enum>
struct ScheduleChoice {
  llvm::StringRef keyword, what;
  std::optional<Enum> Schedule::*given;
  Enum ResolvedSchedule::*value;
};

/// A parameter that is a number from `least` to `most`.
struct ScheduleNumber {
  llvm::StringRef keyword;
  int64_t least, most;
  std::optional<int64_t> Schedule::*given;
  int64_t ResolvedSchedule::*value;
};

/// Calls `visit` with the ScheduleChoice or the ScheduleNumber of each parameter.
template <class Visit>
void forEachScheduleParameter(const Visit &visit) {
#define SFA_SCHEDULE_CHOICE(Enum, member, Name, keyword, what, fallback)                           \
  visit(ScheduleChoice<Enum>{keyword, what, &Schedule::member, &ResolvedSchedule::member});
#define SFA_SCHEDULE_NUMBER(member, Name, keyword, least, most, fallback)                          \
  visit(ScheduleNumber{keyword, least, most, &Schedule::member, &ResolvedSchedule::member});
#include "dialects/SFA/Schedule.def"
}

} // namespace sfa

#endif // DIALECTS_SFA_SCHEDULE_H
