//===- Race.cpp - Which of several is fastest, and how sure that is -------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Tuning/Race.h"

#include "sfa/Support/Median.h"
#include "llvm/ADT/STLExtras.h"

#include <cassert>
#include <cmath>
#include <limits>

using namespace sfa::tuning;

Interval Interval::ofMedian(llvm::ArrayRef<double> samples) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  // So many samples may be left out at each end: each lies below the median with probability 1/2.
  constexpr double outside = 0.05 / 2;
  size_t n = samples.size(), left = 0;
  double term = std::pow(0.5, static_cast<double>(n)), below = term;
  while (below <= outside && left < n / 2) {
    ++left;
    term *= static_cast<double>(n - left + 1) / static_cast<double>(left);
    below += term;
  }
  if (left == 0)
    return {-infinity, infinity};
  std::vector<double> sorted(samples.begin(), samples.end());
  llvm::sort(sorted);
  return {sorted[left - 1], sorted[n - left]};
}

void Race::add(Sampler sampler, std::vector<double> samples) {
  runners.push_back({std::move(sampler), std::move(samples), false, ""});
}

size_t Race::fastest() const {
  size_t best = runners.size();
  for (auto [number, runner] : llvm::enumerate(runners))
    if (!runner.isDropped && !runner.samples.empty() &&
        (best == runners.size() || median(runner.samples) < median(runners[best].samples)))
      best = number;
  return best;
}

void Race::dropSlow() {
  size_t number = fastest();
  if (number == runners.size())
    return;
  const Runner &best = runners[number];
  double middle = median(best.samples);
  Interval ofBest = Interval::ofMedian(best.samples);
  for (Runner &runner : runners) {
    if (&runner == &best || runner.isDropped || runner.samples.size() < 2)
      continue;
    double least = *llvm::min_element(runner.samples);
    bool isSlower = Interval::ofMedian(runner.samples).low > ofBest.high &&
                    median(runner.samples) > middle * (1 + rules.tie);
    if (least > rules.hopeless * middle || (runner.samples.size() >= rules.least && isSlower))
      runner.isDropped = true;
  }
}

bool Race::isDecided() const {
  size_t best = fastest();
  if (best == runners.size())
    return false;
  double middle = median(runners[best].samples);
  return llvm::all_of(runners, [&](const Runner &runner) {
    if (runner.isDropped)
      return true;
    size_t count = runner.samples.size();
    if (count >= rules.most)
      return true;
    return count >= rules.least && median(runner.samples) <= middle * (1 + rules.tie);
  });
}

void Race::run(llvm::function_ref<bool()> isOver) {
  // Samples from before may be enough.
  dropSlow();
  while (!isDecided()) {
    // Who has samples from before waits for the others.
    size_t fewest = rules.most;
    for (const Runner &runner : runners)
      if (!runner.isDropped)
        fewest = std::min(fewest, runner.samples.size());
    bool hasRun = false;
    for (Runner &runner : runners) {
      if (runner.isDropped || runner.samples.size() > fewest || runner.samples.size() >= rules.most)
        continue;
      if (isOver())
        return;
      llvm::Expected<double> sample = runner.sampler();
      hasRun = true;
      if (sample) {
        runner.samples.push_back(*sample);
      } else {
        runner.error = llvm::toString(sample.takeError());
        runner.isDropped = true;
      }
    }
    if (!hasRun)
      return;
    dropSlow();
  }
}

llvm::SmallVector<size_t> Race::getTies() const {
  llvm::SmallVector<size_t> ties;
  size_t best = fastest();
  if (best == runners.size())
    return ties;
  double middle = median(runners[best].samples);
  for (auto [number, runner] : llvm::enumerate(runners))
    if (!runner.isDropped && !runner.samples.empty() &&
        median(runner.samples) <= middle * (1 + rules.tie))
      ties.push_back(number);
  return ties;
}
