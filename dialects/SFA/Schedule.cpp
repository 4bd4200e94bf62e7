//===- Schedule.cpp - The parameters of a schedule, as structs ------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/SFA/Schedule.h"

#include "llvm/ADT/StringExtras.h"

using namespace sfa;

Schedule Schedule::orElse(const Schedule &other) const {
  Schedule result = *this;
  forEachScheduleParameter([&](auto parameter) {
    if (!(result.*parameter.given))
      result.*parameter.given = other.*parameter.given;
  });
  return result;
}

bool Schedule::operator==(const Schedule &other) const {
  bool isEqual = true;
  forEachScheduleParameter([&](auto parameter) {
    isEqual &= this->*parameter.given == other.*parameter.given;
  });
  return isEqual;
}

llvm::hash_code sfa::hash_value(const Schedule &schedule) {
  llvm::hash_code hash(0);
  forEachScheduleParameter([&](auto parameter) {
    const auto &value = schedule.*parameter.given;
    hash = llvm::hash_combine(hash, value ? static_cast<int64_t>(*value) : -1);
  });
  return hash;
}

llvm::raw_ostream &sfa::operator<<(llvm::raw_ostream &stream, const Schedule &schedule) {
  llvm::ListSeparator separator;
  forEachScheduleParameter([&](auto parameter) {
    const auto &value = schedule.*parameter.given;
    if (!value)
      return;
    stream << llvm::StringRef(separator) << parameter.keyword << " = ";
    if constexpr (std::is_same_v<decltype(parameter), ScheduleNumber>)
      stream << *value;
    else
      stream << stringifyEnum(*value);
  });
  return stream;
}

ResolvedSchedule::ResolvedSchedule(const Schedule &given, const ResolvedSchedule &fallback) {
  forEachScheduleParameter([&](auto parameter) {
    this->*parameter.value = (given.*parameter.given).value_or(fallback.*parameter.value);
  });
}

Schedule ResolvedSchedule::toSchedule() const {
  Schedule schedule;
  forEachScheduleParameter([&](auto parameter) {
    schedule.*parameter.given = this->*parameter.value;
  });
  return schedule;
}
