//===- CudaWorkbenchTest.cpp - Timing on a GPU, without a GPU -------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// On the fake driver, which runs no kernel: times are those that a test says, and results stay what
// they were.
//
//===----------------------------------------------------------------------===//

#include "FakeDriver.h"
#include "FakeNvml.h"
#include "sfa/Schedule/Choose.h"
#include "sfa/Tuning/Workbench.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

using namespace sfa;
using namespace sfa::tuning;
using sfa::test::FakeDriver, sfa::test::FakeGraph, sfa::test::FakeNvml;
using sfa::tuning::Case;

namespace {

std::string errorOf(llvm::Error error) { return error ? llvm::toString(std::move(error)) : ""; }

template <class T>
T *findFake(const char *library, const char *name) {
  void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  auto get = handle ? reinterpret_cast<T *(*)()>(dlsym(handle, name)) : nullptr;
  return get ? get() : nullptr;
}

class CudaWorkbenchTest : public testing::Test {
protected:
  void SetUp() override {
    setenv("SFA_CUDA_DRIVER", SFA_FAKE_DRIVER, 1);
    setenv("SFA_NVML", SFA_FAKE_NVML, 1);
    setenv("SFA_CACHE_SIZE_MB", "0", 1);
    fake = findFake<FakeDriver>(SFA_FAKE_DRIVER, "sfaFakeDriver");
    nvml = findFake<FakeNvml>(SFA_FAKE_NVML, "sfaFakeNvml");
    ASSERT_TRUE(fake && nvml);
    fake->reset();
    fake->devices[1].major = 8;
    fake->devices[2].major = 7;
    // Device 0 by its address on the bus.
    nvml->devices = {{"0000:90:00.0", {}}};
    problem.queryHeads = problem.keyHeads = 2;
    problem.queries = 300;
    problem.keys = 400;
    problem.features = problem.valueFeatures = 64;
    problem.mask = "causal";
    problem.lse = true;
  }

  std::unique_ptr<Workbench> make(int32_t device = 0, llvm::StringRef chip = "") {
    auto bench = createCudaWorkbench(device, chip, /*rest=*/0);
    EXPECT_TRUE(bool(bench)) << errorOf(bench.takeError());
    return bench ? std::move(*bench) : nullptr;
  }

  Schedule scheduleOf(const Workbench &bench) const {
    return withoutDefaults(estimate(problem.problem(), bench.device()), bench.device());
  }

  /// The case with the cost model's schedule, compiled.
  std::unique_ptr<Candidate> compile(Workbench &bench) const {
    EXPECT_EQ(errorOf(bench.start(problem)), "");
    Workbench::Compiled compiled = std::move(bench.compile(scheduleOf(bench)).front());
    EXPECT_TRUE(bool(compiled)) << errorOf(compiled.takeError());
    return compiled ? std::move(*compiled) : nullptr;
  }

  /// Of memory, programs and timers.
  void expectNothingIsLeft() {
    EXPECT_EQ(fake->numCalls["cuMemAlloc"], fake->numCalls["cuMemFree"]);
    EXPECT_EQ(fake->numModules, 0);
    EXPECT_EQ(fake->numLinkers, 0);
    EXPECT_EQ(fake->numStreams, 0);
    EXPECT_EQ(fake->numEvents, 0);
    EXPECT_EQ(fake->numGraphs, 0);
    EXPECT_EQ(fake->numGraphExecs, 0);
  }

  FakeDriver *fake = nullptr;
  FakeNvml *nvml = nullptr;
  Case problem;
};

TEST_F(CudaWorkbenchTest, DescribesItsDevice) {
  std::unique_ptr<Workbench> bench = make();
  ASSERT_TRUE(bench);
  DeviceKey key = bench->deviceKey();
  EXPECT_EQ(key.chip, "sm_90a");
  EXPECT_EQ(key.name, "Fake GPU 0");
  EXPECT_EQ(key.multiprocessors, 132);
  EXPECT_EQ(key.watts, 700);
  EXPECT_EQ(bench->driver(), "12.4");
  EXPECT_EQ(bench->device().name, "Fake GPU 0");
  nvml->devices["0000:90:00.0"].clockReasons = 4;
  EXPECT_EQ(bench->conditions().clock, 1755);
  EXPECT_EQ(bench->conditions().throttle, 4);

  // The code path of all other GPUs, and a device of another kind that NVML does not know.
  EXPECT_EQ(make(0, "sm_80")->deviceKey().chip, "sm_80");
  bench = make(1);
  ASSERT_TRUE(bench);
  EXPECT_EQ(bench->deviceKey().chip, "sm_80");
  EXPECT_EQ(bench->deviceKey().watts, 0);
  EXPECT_EQ(bench->conditions().clock, 0);
  bench.reset();
  expectNothingIsLeft();
}

TEST_F(CudaWorkbenchTest, RefusesDevicesThatItCannotUse) {
  auto errorFor = [](int32_t device, llvm::StringRef chip) {
    auto bench = createCudaWorkbench(device, chip, /*rest=*/0);
    return bench ? "" : errorOf(bench.takeError());
  };
  EXPECT_EQ(errorFor(2, ""),
            "device 2 (Fake GPU 2) has compute capability 7.0; FlashSFA needs 8.0 or later");
  EXPECT_NE(errorFor(3, "").find("there is no device 3"), std::string::npos);
  EXPECT_NE(errorFor(0, "sm_7").find("sm_7"), std::string::npos);
  fake->failures = {{"cuMemAlloc", 2}};
  EXPECT_NE(errorFor(0, "").find("bytes of memory left"), std::string::npos);
}

TEST_F(CudaWorkbenchTest, GivesTimesThrough) {
  for (const char *chip : {"sm_90a", "sm_80"}) {
    SCOPED_TRACE(chip);
    std::unique_ptr<Workbench> bench = make(0, chip);
    ASSERT_TRUE(bench);
    std::unique_ptr<Candidate> candidate = compile(*bench);
    ASSERT_TRUE(candidate);
    EXPECT_TRUE(fake->launches.empty());
    float time = 0.125f;
    fake->timeOfGraph = [&](const FakeGraph &) { return time; };
    fake->memsets.clear();
    for (float expected : {0.125f, 3.5f, 0.25f}) {
      time = expected;
      llvm::Expected<double> sample = candidate->sample();
      ASSERT_TRUE(bool(sample)) << errorOf(sample.takeError());
      EXPECT_EQ(*sample, expected);
    }
    // The first run, which makes the graph ready, is no sample; each sample has a cold cache.
    EXPECT_EQ(fake->numCalls["cuGraphLaunch"], 4);
    EXPECT_EQ(fake->numCalls["cuStreamBeginCapture"], 1);
    ASSERT_EQ(fake->memsets.size(), 3u);
    EXPECT_EQ(fake->memsets[0].bytes, size_t(256) << 20);
    candidate.reset();
    bench.reset();
    expectNothingIsLeft();
    fake->numCalls.clear();
    fake->launches.clear();
  }
}

TEST_F(CudaWorkbenchTest, CompilesSeveralAtOnce) {
  std::unique_ptr<Workbench> bench = make();
  ASSERT_TRUE(bench);
  ASSERT_EQ(errorOf(bench->start(problem)), "");
  std::vector<Schedule> schedules(3, scheduleOf(*bench));
  schedules[0].kTile = 64;
  // Larger than shared memory.
  schedules[1].kTile = 4096;
  std::vector<Workbench::Compiled> compiled = bench->compile(schedules);
  ASSERT_EQ(compiled.size(), 3u);
  EXPECT_TRUE(bool(compiled[0]));
  EXPECT_FALSE(bool(compiled[1]));
  EXPECT_TRUE(bool(compiled[2]));
  EXPECT_NE(errorOf(compiled[1].takeError()), "");
  EXPECT_EQ(fake->numModules, 2);
  compiled.clear();
  bench.reset();
  expectNothingIsLeft();
}

TEST_F(CudaWorkbenchTest, RefusesResultsThatNobodyHasWritten) {
  std::unique_ptr<Workbench> bench = make();
  ASSERT_TRUE(bench);
  for (const char *form : {"dense", "codes", "int8 tile"}) {
    problem.form = form;
    problem.codes = problem.form == "dense" ? 0 : 8;
    std::unique_ptr<Candidate> candidate = compile(*bench);
    ASSERT_TRUE(candidate);
    std::string error = errorOf(candidate->check());
    EXPECT_NE(error.find("its result is wrong"), std::string::npos) << error;
    // It has been launched.
    EXPECT_FALSE(fake->launches.empty());
    EXPECT_TRUE(fake->numCalls["cuCtxSynchronize"] > 0);
    fake->launches.clear();
  }
  bench.reset();
  expectNothingIsLeft();
}

TEST_F(CudaWorkbenchTest, LeavesNothingBehindWhereAStepFails) {
  enum Stage { Starts, Compiles, Samples, Checks };
  const std::tuple<Stage, const char *, int> steps[] = {
      {Starts, "cuMemAlloc", 0},
      {Starts, "cuMemAlloc", 2},
      // Of the ragged case.
      {Starts, "cuMemAlloc", 6},
      {Starts, "cuMemcpy", 0},
      {Compiles, "cuModuleLoadDataEx", 0},
      {Compiles, "cuModuleGetFunction", 0},
      {Compiles, "cuFuncSetAttribute", 0},
      {Samples, "cuStreamCreate", 0},
      {Samples, "cuStreamBeginCapture", 0},
      {Samples, "cuTensorMapEncodeTiled", 0},
      {Samples, "cuLaunchKernelEx", 0},
      {Samples, "cuStreamEndCapture", 0},
      {Samples, "cuGraphInstantiate", 0},
      {Samples, "cuEventCreate", 1},
      {Samples, "cuGraphLaunch", 0},
      {Samples, "cuGraphLaunch", 1},
      {Samples, "cuMemsetD8Async", 0},
      {Samples, "cuEventSynchronize", 1},
      {Samples, "cuEventElapsedTime", 1},
      {Checks, "cuLaunchKernelEx", 0},
      {Checks, "cuCtxSynchronize", 0},
      {Checks, "cuMemcpy", 0},
  };
  for (const auto &[stage, call, numBefore] : steps) {
    SCOPED_TRACE(std::string(call) + " after " + std::to_string(numBefore));
    fake->reset();
    {
      std::unique_ptr<Workbench> bench = make();
      ASSERT_TRUE(bench);
      std::string error;
      auto fail = [&, call = call, numBefore = numBefore] {
        fake->numCallsBeforeFailure = {{call, fake->numCalls[call] + numBefore}};
        fake->failures = {{call, 700}};
      };
      std::unique_ptr<Candidate> candidate;
      if (stage == Starts) {
        fail();
        error = errorOf(bench->start(problem));
      } else if (stage == Compiles) {
        ASSERT_EQ(errorOf(bench->start(problem)), "");
        fail();
        Workbench::Compiled compiled = std::move(bench->compile(scheduleOf(*bench)).front());
        error = errorOf(compiled.takeError());
      } else {
        candidate = compile(*bench);
        ASSERT_TRUE(candidate);
        fail();
        if (stage == Samples) {
          llvm::Expected<double> sample = candidate->sample();
          error = errorOf(sample.takeError());
        } else {
          error = errorOf(candidate->check());
        }
      }
      EXPECT_NE(error.find(std::string(call) + " failed with CUDA_ERROR_FAKE (700): made to fail"),
                std::string::npos)
          << error;
      // The failed one allocates nothing.
      if (std::string(call) == "cuMemAlloc")
        --fake->numCalls["cuMemAlloc"];
      fake->failures.clear();
      // The bench works on.
      if (!candidate)
        candidate = compile(*bench);
      ASSERT_TRUE(candidate);
      llvm::Expected<double> sample = candidate->sample();
      EXPECT_TRUE(bool(sample)) << errorOf(sample.takeError());
    }
    expectNothingIsLeft();
  }
}

} // namespace
