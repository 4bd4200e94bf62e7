//===- TuningDatabase.h - Schedules that were measured ----------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A database is a JSON document, described in docs/tuning.md: entries in the order of their keys,
// one for each problem and device. Reading one checks all of it.
//
//===----------------------------------------------------------------------===//

#ifndef SFA_SCHEDULE_TUNINGDATABASE_H
#define SFA_SCHEDULE_TUNINGDATABASE_H

#include "sfa/Schedule/ProblemKey.h"
#include "sfa/Support/Median.h"

#include <vector>

namespace sfa {

/// A schedule and the times that were measured with it.
struct MeasuredSchedule {
  Schedule schedule;
  /// In the order of measuring.
  std::vector<double> milliseconds;

  double median() const { return sfa::median(milliseconds); }
};

/// The best schedule for a problem on a device, and how it was found.
struct TuningEntry {
  ProblemKey key;
  DeviceKey device;
  /// Of the problem that was measured: batch, query heads, queries and keys of a head.
  int64_t batch = 1, queryHeads = 1, queries = 1, keys = 1;
  MeasuredSchedule winner;
  /// What the cost model had chosen, which may be the winner.
  MeasuredSchedule model;
  /// All others that were measured, the fastest first. The first `ties` are not known to be slower
  /// than the winner, which a rule prefers.
  std::vector<MeasuredSchedule> others;
  int64_t ties = 0;
  /// Build id of the compiler, version of the driver, the day (2026-11-27).
  std::string compiler, driver, date;
  /// SM clock in MHz, and why clocks were held down, as the driver's bits; 0 where nobody knows.
  int64_t clock = 0, throttle = 0;

  /// The problem that was measured. Of a window only the bucket of its width is known.
  Problem problem() const;
  /// Calls `visit` with each schedule that was measured, the winner first.
  void forEachMeasured(llvm::function_ref<void(const MeasuredSchedule &)> visit) const;
};

class TuningDatabase {
public:
  static constexpr int64_t version = 1;

  /// Fails, and says at which place, unless all of `text` is right. `name` is that of messages.
  static llvm::Expected<TuningDatabase> parse(llvm::StringRef text, llvm::StringRef name);
  static llvm::Expected<TuningDatabase> read(llvm::StringRef path);

  std::string toText() const;

  llvm::ArrayRef<TuningEntry> entries() const { return sorted; }

  /// Replaces the entry for the same problem and device.
  void add(TuningEntry entry);
  /// The same of all entries for the problem on devices like the entry's.
  void addInFront(TuningEntry entry);
  /// Adds the entries of `other`. Of two for the same problem and device the later one stays.
  void merge(const TuningDatabase &other);

  /// The entry whose sizes are nearest, up to `mostDistance` factors of two away; of several the
  /// one of the nearest device. Null where there is none.
  const TuningEntry *findNearest(const ProblemKey &key, const DeviceKey &device) const;

  static constexpr int64_t mostDistance = 3;

private:
  std::vector<TuningEntry> sorted;
};

llvm::json::Value toJSON(const MeasuredSchedule &measured);
bool fromJSON(const llvm::json::Value &value, MeasuredSchedule &measured, llvm::json::Path path);
llvm::json::Value toJSON(const TuningEntry &entry);
bool fromJSON(const llvm::json::Value &value, TuningEntry &entry, llvm::json::Path path);

/// Adds the entries of `added` to the database at `path`, which appears where there is none.
/// Writers take turns, and who reads meanwhile sees it as before or as after. A file that is no
/// database of this version is left as it is, and an error.
llvm::Error addToFile(llvm::StringRef path, const TuningDatabase &added);

/// What schedules are chosen by in this process: the databases of the knob SFA_TUNING_DATABASE
/// before the one that the compiler ships. Read once.
llvm::Expected<const TuningDatabase *> getTuningDatabase();

} // namespace sfa

#endif // SFA_SCHEDULE_TUNINGDATABASE_H
