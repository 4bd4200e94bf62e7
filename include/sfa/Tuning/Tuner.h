//===- Tuner.h - Search for the fastest schedule of a case ------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TUNING_TUNER_H
#define SFA_TUNING_TUNER_H

#include "sfa/Schedule/TuningDatabase.h"
#include "sfa/Tuning/Race.h"
#include "sfa/Tuning/Workbench.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/raw_ostream.h"

namespace sfa::tuning {

/// What has been measured so far, in a file that grows by a line for each sample: who is
/// interrupted goes on from it. A last line that was not written to its end does not count.
class Journal {
public:
  /// Without a file.
  Journal() = default;
  /// Of the file at `path`, which appears where there is none. Fails where it is no journal, or one
  /// of another device or compiler.
  static llvm::Expected<Journal> open(llvm::StringRef path, const DeviceKey &device,
                                      llvm::StringRef compiler);

  struct Record {
    std::vector<double> samples;
    std::string error;
  };
  Record find(const Case &problem, const Schedule &schedule) const;
  void add(const Case &problem, const Schedule &schedule, double milliseconds);
  void addError(const Case &problem, const Schedule &schedule, llvm::StringRef error);

private:
  void write(llvm::json::Object line);

  llvm::StringMap<Record> records;
  std::unique_ptr<llvm::raw_fd_ostream> file;
};

struct TunerOptions {
  RaceRules rules;
  /// Schedules that the time model puts first, beside those of the cost model and of databases;
  /// neighbors of the best that are tried after them, and how often.
  unsigned seeds = 4, neighbors = 8, generations = 3;
  /// How much slower than the best one may be whose neighbors are tried.
  double parents = 0.05;
  /// A case is done when its best time is within this share of its bound.
  double nearBound = 0.03;
  std::string compiler, date;
};

/// One case while it is tuned.
class Tuner {
public:
  Tuner(Workbench &bench, Journal &journal, const TunerOptions &options, const Case &problem);
  ~Tuner();

  /// Makes data, and compiles and measures the first schedules: a generation.
  llvm::Error start(llvm::function_ref<bool()> isOver);
  /// A generation of neighbors of the best. False where there are none that promise anything.
  llvm::Expected<bool> improve(llvm::function_ref<bool()> isOver);
  /// Checks results and gives the entry: the first of the ties whose results are right.
  llvm::Expected<TuningEntry> finish();

  /// The best time over that of the cost model's choice; 1 before there is one.
  double gain() const;
  size_t numMeasured() const;

private:
  struct Entrant {
    Schedule schedule;
    std::unique_ptr<Candidate> candidate;
    Journal::Record record;
  };

  llvm::Error measure(llvm::ArrayRef<Schedule> schedules, llvm::function_ref<bool()> isOver);
  std::vector<Schedule> firstSchedules();
  std::vector<ResolvedSchedule> neighborsOf(const ResolvedSchedule &best) const;
  /// Those of the best that are worth a look.
  std::vector<Schedule> promising() const;
  bool isKnown(const Schedule &schedule) const;
  Schedule written(const ResolvedSchedule &schedule) const;
  /// Of those without errors the fastest first.
  std::vector<const Entrant *> ranked() const;

  Workbench &bench;
  Journal &journal;
  const TunerOptions &options;
  const Case problem;
  const Problem sizes;
  Schedule model;
  std::vector<Entrant> entrants;
};

/// The schedules of a case that are worth a look, the most promising first: what a sweep without a
/// device says.
std::vector<std::pair<ResolvedSchedule, double>> rankSchedules(const Problem &problem,
                                                               const Device &device, size_t count);

} // namespace sfa::tuning

#endif // SFA_TUNING_TUNER_H
