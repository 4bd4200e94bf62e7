//===- Race.h - Which of several is fastest, and how sure that is -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TUNING_RACE_H
#define SFA_TUNING_RACE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"

#include <functional>
#include <string>
#include <vector>

namespace sfa::tuning {

/// Where the median of a distribution lies with a confidence of at least 95%, by the order of
/// `samples` and no other assumption (David and Nagaraja, Order Statistics, 7.1). Without bounds
/// where there are fewer than 6 samples.
struct Interval {
  double low, high;

  static Interval ofMedian(llvm::ArrayRef<double> samples);
};

/// How a race goes.
struct RaceRules {
  /// Rounds before somebody is dropped by its interval, and when those that are left are ties.
  unsigned least = 6, most = 20;
  /// Medians that differ by less than this share are ties.
  double tie = 0.01;
  /// From the second round on who never came this near to the fastest is dropped.
  double hopeless = 1.25;
};

/// Measures in rounds, one sample of each in a round, so that all meet the same drifts of clocks
/// and temperature. Who is slower for sure is dropped; the race ends when the others are ties.
class Race {
public:
  /// Takes a sample, in milliseconds.
  using Sampler = std::function<llvm::Expected<double>()>;

  explicit Race(RaceRules rules) : rules(rules) {}

  /// Adds one, with the samples that it has from before. Of ties the one that was added first is
  /// preferred.
  void add(Sampler sampler, std::vector<double> samples = {});

  /// Runs to the end, or until `isOver` says so between two samples. Whose sampler fails is dropped
  /// with its error.
  void run(llvm::function_ref<bool()> isOver);

  struct Runner {
    Sampler sampler;
    std::vector<double> samples;
    bool isDropped = false;
    /// Why there is no time; empty where there is.
    std::string error;
  };
  llvm::ArrayRef<Runner> getRunners() const { return runners; }

  /// Those that are not known to be slower than the fastest, in the order in which they were added;
  /// none where all have failed.
  llvm::SmallVector<size_t> getTies() const;

private:
  size_t fastest() const;
  bool isDecided() const;
  void dropSlow();

  RaceRules rules;
  std::vector<Runner> runners;
};

} // namespace sfa::tuning

#endif // SFA_TUNING_RACE_H
