//===- ScheduleSpaceTest.cpp - The schedules that a device can run --------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Schedule/ScheduleSpace.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "sfa/Passes.h"
#include "sfa/Target/CUDA/CompiledProgram.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <set>

using namespace mlir;
using namespace sfa;

namespace {

Device deviceOf(llvm::StringRef chip) { return Device::of(llvm::cantFail(Chip::parse(chip))); }

Problem makeProblem(int64_t features, int64_t valueFeatures, int64_t group = 1) {
  Problem problem;
  problem.queryHeads = 2 * group;
  problem.keyHeads = 2;
  problem.features = features;
  problem.valueFeatures = valueFeatures;
  problem.element = ElementType::BF16;
  return problem;
}

/// A compiled attention.
class Compiled : public testing::TestWithParam<std::tuple<const char *, int, int, const char *>> {
protected:
  Compiled() : context(makeRegistry()) { context.printOpOnDiagnostic(false); }

  /// Shared memory that the kernel for a schedule takes, or the reason why there is none. Queries
  /// and keys have the encoding `form`.
  llvm::Expected<int64_t> sharedBytes(llvm::StringRef chip, int64_t d, int64_t dv,
                                      const std::string &mask, const Schedule &schedule,
                                      const std::string &form = "") {
    std::string parameters;
    llvm::raw_string_ostream(parameters) << schedule;
    std::string q = fmt::format("tensor<1x2x?x{}xbf16{}>", d, form),
                v = fmt::format("tensor<1x2x?x{}xbf16>", dv);
    auto module = parseSourceString<ModuleOp>(
        fmt::format("func.func @f(%q: {0}, %k: {0}, %v: {1}) -> {1} {{\n"
                    "  %o = sfa.attention %q, %k, %v {2} schedule <{3}> : {0}, {0}, {1} -> {1}\n"
                    "  return %o : {1}\n}}",
                    q, v, mask.empty() ? mask : fmt::format("mask <{}>", mask), parameters),
        &context);
    auto program = cuda::compileProgram(*module, "f", llvm::cantFail(Chip::parse(chip)));
    if (!program)
      return program.takeError();
    return *program->document.getArray("launches")
                ->back()
                .getAsObject()
                ->getInteger("shared_bytes");
  }

  MLIRContext context;

private:
  static DialectRegistry makeRegistry() {
    DialectRegistry registry;
    registerDialects(registry);
    return registry;
  }
};

TEST_P(Compiled, TakesTheSharedMemoryOfTheTable) {
  auto [chip, d, dv, mask] = GetParam();
  Device device = deviceOf(chip);
  Problem problem = makeProblem(d, dv);
  if (!llvm::StringRef(mask).empty())
    problem.rightBound = 0;
  for (Softmax softmax : {Softmax::Online, Softmax::Lazy}) {
    for (int64_t stages : {2, 3}) {
      ResolvedSchedule schedule;
      schedule.softmax = softmax;
      schedule.stages = stages;
      schedule.kTile = 48;
      schedule.consumers = device.hasWarpgroups ? 2 : 1;
      schedule.grid = stages == 2 ? Grid::Persistent : Grid::Tiles;
      int64_t expected = getBlockResources(problem, device, schedule).sharedBytes;
      llvm::Expected<int64_t> bytes = sharedBytes(chip, d, dv, mask, schedule.toSchedule());
      if (expected > device.maxSharedBytes) {
        ASSERT_FALSE(bool(bytes));
        EXPECT_NE(llvm::toString(bytes.takeError()).find(fmt::format("need {} bytes", expected)),
                  std::string::npos);
        continue;
      }
      ASSERT_TRUE(bool(bytes)) << llvm::toString(bytes.takeError());
      EXPECT_EQ(*bytes, expected);
    }
  }
}

TEST_P(Compiled, TakesTheSharedMemoryOfTheTableForKeyTiles) {
  auto [chip, d, dv, mask] = GetParam();
  Device device = deviceOf(chip);
  Problem problem = makeProblem(d, dv);
  problem.queryCodes = problem.keyCodes = 5;
  if (!llvm::StringRef(mask).empty())
    problem.rightBound = 0;
  for (Softmax softmax : {Softmax::Online, Softmax::Lazy}) {
    for (auto [strategy, queries] : {std::pair(Strategy::Gather, Queries::Registers),
                                     std::pair(Strategy::Gather, Queries::Shared),
                                     std::pair(Strategy::Scatter, Queries::Shared)}) {
      ResolvedSchedule schedule;
      schedule.strategy = strategy;
      schedule.softmax = softmax;
      schedule.queries = queries;
      schedule.kTile = 64;
      schedule.consumers = device.hasWarpgroups ? 2 : 1;
      int64_t expected = getBlockResources(problem, device, schedule).sharedBytes;
      llvm::Expected<int64_t> bytes =
          sharedBytes(chip, d, dv, mask, schedule.toSchedule(), ", #sfa.codes<k = 5>");
      if (expected > device.maxSharedBytes) {
        ASSERT_FALSE(bool(bytes));
        EXPECT_NE(llvm::toString(bytes.takeError()).find(fmt::format("need {} bytes", expected)),
                  std::string::npos);
        continue;
      }
      ASSERT_TRUE(bool(bytes)) << llvm::toString(bytes.takeError());
      EXPECT_EQ(*bytes, expected);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, Compiled,
                         testing::Values(std::tuple("sm_90a", 64, 64, ""),
                                         std::tuple("sm_90a", 128, 64, "causal"),
                                         std::tuple("sm_90a", 256, 256, ""),
                                         std::tuple("sm_80", 64, 128, ""),
                                         std::tuple("sm_86", 256, 256, "causal")));

TEST(ScheduleSpace, VisitsWhatTheDeviceCanRun) {
  Problem problem = makeProblem(128, 128, /*group=*/4);
  Device device = deviceOf("sm_90a");
  Schedule given;
  given.softmax = Softmax::Lazy;
  given.splits = 1;
  given.grid = Grid::Tiles;
  ScheduleSpace space(problem, device, given);
  int64_t count = 0;
  bool hasUsual = false, hasSerial = false;
  space.forEach([&](const ResolvedSchedule &schedule) {
    ++count;
    EXPECT_EQ(space.whyNot(schedule), "");
    EXPECT_EQ(schedule.softmax, Softmax::Lazy);
    EXPECT_EQ(schedule.qTile, 64 * schedule.consumers);
    hasUsual |= schedule.qTile == 128 && schedule.kTile == 128 && schedule.packedHeads == 4 &&
                schedule.queries == Queries::Registers;
    hasSerial |= schedule.lookahead == 0;
  });
  EXPECT_TRUE(hasUsual && hasSerial);
  EXPECT_GT(count, 100);

  Device cpu = Device::cpu();
  problem.queryCodes = 8;
  std::set<Strategy> strategies;
  given.grid = std::nullopt;
  ScheduleSpace(problem, cpu, given).forEach([&](const ResolvedSchedule &schedule) {
    strategies.insert(schedule.strategy);
  });
  EXPECT_EQ(strategies,
            (std::set<Strategy>{Strategy::Dense, Strategy::Gather, Strategy::SparseMma}));
}

TEST(ScheduleSpace, SaysWhyNot) {
  Problem problem = makeProblem(128, 128, /*group=*/6);
  auto whyNot = [&](const char *chip, auto change) {
    Device device = *chip ? deviceOf(chip) : Device::cpu();
    ResolvedSchedule schedule;
    change(schedule);
    return ScheduleSpace(problem, device).whyNot(schedule);
  };
  using S = ResolvedSchedule;
  EXPECT_EQ(whyNot("sm_90a", [](S &) {}), "");
  EXPECT_EQ(whyNot("", [](S &) {}), "");
  EXPECT_EQ(whyNot("sm_90a", [](S &s) { s.strategy = Strategy::Gather; }),
            "the operands or the device do not have this strategy");
  EXPECT_EQ(whyNot("sm_90a", [](S &s) { s.packedHeads = 4; }),
            "packed_heads = 4 does not divide the 6 heads of a group");
  EXPECT_EQ(whyNot("sm_90a", [](S &s) { s.kTile = 40; }), "k_tile = 40 is not a multiple of 16");
  EXPECT_EQ(whyNot("", [](S &s) { s.qTile = 12; }), "q_tile = 12 is not a multiple of 8");
  EXPECT_EQ(whyNot("sm_80", [](S &s) { s.qTile = 192; }), "q_tile = 192 does not fit 2 consumers");
  EXPECT_EQ(whyNot("sm_80", [](S &s) { s.qTile = 256; }).rfind("it needs ", 0), 0u);
  EXPECT_EQ(whyNot("sm_90a", [](S &s) { s.qTile = 256; }), "q_tile = 256 does not fit 2 consumers");
  EXPECT_EQ(whyNot("sm_90a",
                   [](S &s) {
                     s.qTile = 256;
                     s.consumers = 4;
                   }),
            "consumers = 4; 1 to 3 are allowed");
  EXPECT_EQ(whyNot("sm_90a", [](S &s) { s.kTile = 272; }), "k_tile = 272; at most 256 is allowed");
  EXPECT_EQ(whyNot("sm_90a",
                   [](S &s) {
                     s.lookahead = 0;
                     s.turns = Turns::PingPong;
                   }),
            "turns = ping_pong needs lookahead = 1");
  EXPECT_EQ(whyNot("sm_90a",
                   [](S &s) {
                     s.qTile = 64;
                     s.consumers = 1;
                     s.packedHeads = 3;
                   }),
            "");
  EXPECT_EQ(whyNot("sm_90a",
                   [](S &s) {
                     s.qTile = 192;
                     s.consumers = 3;
                     s.packedHeads = 2;
                     s.kTile = 256;
                   })
                .rfind("it needs ", 0),
            0u);
  EXPECT_EQ(whyNot("sm_80", [](S &s) { s.stages = 4; }),
            "it needs 294912 bytes of shared memory, and there are 166912");

  problem = makeProblem(256, 64);
  problem.queryCodes = 8;
  auto whyNotGather = [&](auto change) {
    return whyNot("sm_90a", [&](S &s) {
      s.strategy = Strategy::Gather;
      s.kTile = 64;
      change(s);
    });
  };
  EXPECT_EQ(whyNotGather([](S &) {}), "");
  EXPECT_EQ(whyNotGather([](S &s) { s.kTile = 96; }),
            "k_tile = 96; the strategy gather needs a multiple of 64");
  EXPECT_EQ(whyNotGather([](S &s) { s.kTile = 192; }),
            "k_tile = 192; with 256 features the strategy gather allows at most 128");
  constexpr llvm::StringLiteral noStrategy = "the operands or the device do not have this strategy";
  problem.hasSequences = true;
  EXPECT_EQ(whyNotGather([](S &) {}), noStrategy);
  problem.hasSequences = false;
  problem.queryCodes = 33;
  EXPECT_EQ(whyNotGather([](S &) {}), noStrategy);

  auto whyNotScatter = [&](auto change) {
    return whyNot("sm_90a", [&](S &s) {
      s.strategy = Strategy::Scatter;
      s.queries = Queries::Shared;
      s.kTile = 80;
      change(s);
    });
  };
  EXPECT_EQ(whyNotScatter([](S &) {}), noStrategy); // of keys that are no codes
  problem.keyCodes = 8;
  EXPECT_EQ(whyNotScatter([](S &) {}), "");
  EXPECT_EQ(whyNotScatter([](S &s) { s.queries = Queries::Registers; }),
            "queries = registers; the codes of the strategy scatter are in shared memory");
  problem.keyCodes = 200;
  EXPECT_EQ(
      whyNotScatter([](S &s) { s.kTile = 256; }),
      "k_tile = 256 with 256 features and k = 200; posting lists have 1 to 256 features and "
      "tiles of a multiple of 16 tokens, at most 1024, whose halves have at most 65535 bytes");
  problem.keyCodes = 8;
  problem.hasSequences = true;
  EXPECT_EQ(whyNotScatter([](S &) {}), noStrategy);
}

} // namespace
