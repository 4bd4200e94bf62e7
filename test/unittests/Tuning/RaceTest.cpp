//===- RaceTest.cpp - Which of several is fastest, with known answers -----===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Tuning/Race.h"

#include <gtest/gtest.h>
#include <limits>
#include <random>

using namespace sfa::tuning;

namespace {

/// Times around `middle` with a spread of `noise`, a drift over time, and now and then a sample
/// that is half as long again.
Race::Sampler noisy(double middle, double noise, std::mt19937_64 &random, const int &clock) {
  return [=, &random, &clock]() -> llvm::Expected<double> {
    std::normal_distribution<double> normal(0, noise);
    double outlier = std::uniform_real_distribution<double>()(random) < 0.05 ? 1.5 : 1.0;
    return middle * (1 + normal(random)) * outlier * (1 + 0.0005 * clock);
  };
}

TEST(Interval, IsThatOfTheBinomialDistribution) {
  // 95% of 10 samples: the second and the ninth (Conover, Practical Nonparametric Statistics,
  // A3).
  Interval interval = Interval::ofMedian({10, 9, 8, 7, 6, 5, 4, 3, 2, 1});
  EXPECT_EQ(interval.low, 2);
  EXPECT_EQ(interval.high, 9);
  interval = Interval::ofMedian({6, 5, 4, 3, 2, 1});
  EXPECT_EQ(interval.low, 1);
  EXPECT_EQ(interval.high, 6);
  EXPECT_EQ(Interval::ofMedian({1, 2, 3, 4, 5}).high, std::numeric_limits<double>::infinity());
}

TEST(Interval, HoldsTheMedian) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> skewed;
  int misses = 0;
  for (int run = 0; run < 1000; ++run) {
    std::vector<double> samples(12);
    for (double &sample : samples)
      sample = skewed(random);
    Interval interval = Interval::ofMedian(samples);
    misses += interval.low > 1 || interval.high < 1;
  }
  EXPECT_LE(misses, 70);
}

TEST(Race, FindsTheFastest) {
  int right = 0, samples = 0;
  for (int run = 0; run < 200; ++run) {
    std::mt19937_64 random(run);
    int clock = 0;
    Race race({});
    size_t best = random() % 10;
    for (size_t number = 0; number < 10; ++number)
      race.add(noisy(number == best ? 1.0 : 1.03 + 0.1 * (random() % 5), 0.01, random, clock));
    race.run([&] {
      ++clock;
      return false;
    });
    llvm::SmallVector<size_t> ties = race.getTies();
    right += ties.size() == 1 && ties.front() == best;
    samples += clock;
  }
  EXPECT_GE(right, 196);
  // Losers stop early: all of them to the end would be 200 samples a run.
  EXPECT_LT(samples, 200 * 110);
}

TEST(Race, TwoRacesOfTiesAgree) {
  int agree = 0;
  for (int run = 0; run < 200; ++run) {
    std::mt19937_64 random(1000 + run);
    int clock = 0;
    std::vector<double> middles;
    for (int number = 0; number < 8; ++number)
      middles.push_back(1 + 0.004 * static_cast<double>(random() % 10));
    double chosen[2];
    for (double &middle : chosen) {
      Race race({});
      for (double each : middles)
        race.add(noisy(each, 0.005, random, clock));
      race.run([] { return false; });
      middle = middles[race.getTies().front()];
    }
    agree += std::max(chosen[0], chosen[1]) <= 1.02 * std::min(chosen[0], chosen[1]);
  }
  EXPECT_GE(agree, 190);
}

TEST(Race, PrefersTheFirstOfTies) {
  Race race({});
  for (double time : {1.004, 1.0, 1.5})
    race.add([=]() -> llvm::Expected<double> { return time; });
  race.run([] { return false; });
  EXPECT_EQ(race.getTies(), (llvm::SmallVector<size_t>{0, 1}));
  EXPECT_TRUE(race.getRunners()[2].isDropped);
  EXPECT_EQ(race.getRunners()[2].samples.size(), 2u);
}

TEST(Race, DropsWhoFails) {
  Race race({});
  race.add([]() -> llvm::Expected<double> { return llvm::createStringError("no memory"); });
  race.add([]() -> llvm::Expected<double> { return 1.0; });
  race.run([] { return false; });
  EXPECT_EQ(race.getTies(), (llvm::SmallVector<size_t>{1}));
  EXPECT_EQ(race.getRunners()[0].error, "no memory");
  Race all({});
  all.add([]() -> llvm::Expected<double> { return llvm::createStringError("no memory"); });
  all.run([] { return false; });
  EXPECT_TRUE(all.getTies().empty());
}

TEST(Race, GoesOnFromSamplesOfBefore) {
  int taken = 0;
  Race race({});
  race.add([&]() -> llvm::Expected<double> { return ++taken, 1.0; }, {1, 1, 1, 1});
  race.add([&]() -> llvm::Expected<double> { return ++taken, 1.0; }, {1, 1, 1});
  race.run([] { return false; });
  EXPECT_EQ(taken, 5);
}

TEST(Race, EndsWhenItIsOver) {
  int left = 7;
  Race race({});
  race.add([]() -> llvm::Expected<double> { return 1.0; });
  race.add([]() -> llvm::Expected<double> { return 1.0; });
  race.run([&] { return --left < 0; });
  EXPECT_EQ(race.getRunners()[0].samples.size() + race.getRunners()[1].samples.size(), 7u);
}

} // namespace
