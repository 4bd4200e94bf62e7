//===- ChooseTest.cpp - The one place that chooses schedules --------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Schedule/Choose.h"

#include <gtest/gtest.h>

using namespace sfa;

namespace {

/// Eight heads of queries to each of two of keys, as in decoding.
Problem makeProblem(int64_t d, int64_t queries, int64_t keys) {
  Problem problem;
  problem.queryHeads = 16;
  problem.keyHeads = 2;
  problem.features = problem.valueFeatures = d;
  problem.element = ElementType::BF16;
  problem.batch = 1;
  problem.queryTokens = queries;
  problem.keyTokens = keys;
  return problem;
}

std::string textOf(const Schedule &schedule) {
  std::string text;
  llvm::raw_string_ostream(text) << schedule;
  return text;
}

TEST(Choose, IsWhatTheDeviceCanRun) {
  for (const char *chip : {"sm_80", "sm_86", "sm_90a", "sm_120", ""}) {
    Device device = *chip ? Device::of(llvm::cantFail(Chip::parse(chip))) : Device::cpu();
    for (int64_t d : {64, 128, 256})
      for (int64_t queries : {0, 1, 7, 16, 33, 100, 5000})
        for (int64_t keys : {0, 1000, 100000})
          for (int choice = 0; choice < 16; ++choice) {
            Problem problem = makeProblem(d, queries, keys);
            problem.element = choice & 1 ? ElementType::BF16 : ElementType::F16;
            problem.hasLse = choice & 2;
            if (choice & 4)
              problem.rightBound = 0;
            if (choice & 8)
              problem.leftBound = 500;
            ResolvedSchedule schedule = estimate(problem, device);
            EXPECT_EQ(ScheduleSpace(problem, device).whyNot(schedule), "")
                << chip << " d = " << d << ", " << queries << " queries, " << keys
                << " keys: " << textOf(schedule.toSchedule());
          }
  }
}

TEST(Choose, KeepsWhatIsGiven) {
  Device device = Device::of(llvm::cantFail(Chip::parse("sm_90a")));
  Schedule given;
  given.kTile = 96;
  given.grid = Grid::Tiles;
  ResolvedSchedule schedule = estimate(makeProblem(128, 1, 65536), device, given);
  EXPECT_EQ(schedule.kTile, 96);
  EXPECT_EQ(schedule.grid, Grid::Tiles);
  EXPECT_EQ(schedule.packedHeads, 8);
}

TEST(Choose, SplitsByHintsArePowersOfTwo) {
  Device device = Device::of(llvm::cantFail(Chip::parse("sm_90a")));
  Problem problem = makeProblem(128, 1, 65536);
  EXPECT_EQ(estimate(problem, device).splits, 66);
  problem.sizesAreHints = true;
  EXPECT_EQ(estimate(problem, device).splits, 64);
  // A larger device has work for more.
  device.multiprocessors = 400;
  EXPECT_EQ(estimate(problem, device).splits, 128);
  problem.keyTokens = std::nullopt;
  EXPECT_EQ(estimate(problem, device).splits, 1);
}

TEST(Choose, WritesDownWhatTheDeviceUses) {
  ResolvedSchedule schedule;
  EXPECT_EQ(textOf(withoutDefaults(schedule, Device::cpu())),
            "strategy = dense, softmax = online, q_tile = 128, k_tile = 128, stages = 2, "
            "consumers = 2");
  schedule.splits = 2;
  schedule.packedHeads = 4;
  EXPECT_EQ(textOf(withoutDefaults(schedule, Device::of(llvm::cantFail(Chip::parse("sm_90a"))))),
            "strategy = dense, softmax = online, q_tile = 128, k_tile = 128, stages = 2, "
            "consumers = 2, lookahead = 1, turns = free, queries = shared, grid = tiles, "
            "splits = 2, packed_heads = 4");
}

} // namespace
