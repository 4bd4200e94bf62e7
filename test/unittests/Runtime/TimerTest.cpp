//===- TimerTest.cpp - Captured launches and their times ------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RuntimeTest.h"

#include <algorithm>
#include <thread>

using namespace sfa;
using namespace sfa::test;

namespace {

using Calls = std::vector<std::string>;

class TimerTest : public OnFakeDriver {
protected:
  void SetUp() override {
    OnFakeDriver::SetUp();
    ASSERT_TRUE(bool(program.prepare(0)));
    forget();
  }

  runtime::Result<runtime::Timer> create(int32_t device = 0) {
    return runtime::Timer::create(program, device, {queries.tensor(), keys.tensor()},
                                  {output.tensor(), lse.tensor()}, at(0x40000), 1 << 16);
  }

  /// Leaves what comes next to be seen.
  void forget() {
    fake->calls.clear();
    fake->numCalls.clear();
    fake->launches.clear();
  }

  void expectNothingIsLeft() {
    EXPECT_EQ(fake->numStreams, 0);
    EXPECT_EQ(fake->numEvents, 0);
    EXPECT_EQ(fake->numGraphs, 0);
    EXPECT_EQ(fake->numGraphExecs, 0);
    EXPECT_EQ(fake->numCalls["cuCtxPushCurrent"], fake->numCalls["cuCtxPopCurrent"]);
  }

  runtime::Program program = load(makeProgram());
  runtime::Tensor queries = {at(0x10000), SFA_DTYPE_BF16, {2, 3, 1000, 64}};
  runtime::Tensor keys = {at(0x20000), SFA_DTYPE_BF16, {2, 3, 257, 64}};
  runtime::Tensor output = {at(0x30000), SFA_DTYPE_BF16, {2, 3, 1000, 64}};
  runtime::Tensor lse = {at(0x38000), SFA_DTYPE_F32, {2, 3, 1000}};
};

TEST_F(TimerTest, CapturesALaunch) {
  {
    auto timer = create();
    ASSERT_TRUE(bool(timer)) << timer.error().message;
    EXPECT_EQ(fake->calls,
              (Calls{"cuCtxGetCurrent", "cuCtxPushCurrent", "cuStreamCreate",
                     "cuStreamBeginCapture", "cuLaunchKernelEx", "cuTensorMapEncodeTiled",
                     "cuLaunchKernelEx", "cuStreamEndCapture", "cuGraphInstantiate",
                     "cuGraphDestroy", "cuEventCreate", "cuEventCreate", "cuCtxPopCurrent"}));
    EXPECT_EQ(fake->captureMode, runtime::impl::cu::threadLocal);
    // Nothing has run.
    EXPECT_TRUE(fake->launches.empty());
    EXPECT_EQ(fake->numStreams, 1);
    EXPECT_EQ(fake->numEvents, 2);
    EXPECT_EQ(fake->numGraphs, 0);
    EXPECT_EQ(fake->numGraphExecs, 1);
    forget();
  }
  EXPECT_EQ(fake->calls,
            (Calls{"cuCtxGetCurrent", "cuCtxPushCurrent", "cuEventDestroy", "cuEventDestroy",
                   "cuGraphExecDestroy", "cuStreamDestroy", "cuCtxPopCurrent"}));
  expectNothingIsLeft();
  sfa_timer_destroy(nullptr);
}

TEST_F(TimerTest, TimesTheGraphAlone) {
  auto timer = create();
  ASSERT_TRUE(bool(timer));
  forget();
  std::vector<float> times = {0.25f, 1.5f, 0.125f};
  fake->timeOfGraph = [&](const FakeGraph &graph) {
    EXPECT_EQ(graph.size(), 2u);
    EXPECT_EQ(graph.back().kernel, "attend");
    float time = times.back();
    times.pop_back();
    return time;
  };
  for (float expected : {0.125f, 1.5f}) {
    auto milliseconds = timer->sample(at(0x50000), 4096);
    ASSERT_TRUE(bool(milliseconds)) << milliseconds.error().message;
    // Overwriting takes the fake driver a second.
    EXPECT_EQ(*milliseconds, expected);
  }
  ASSERT_EQ(fake->memsets.size(), 2u);
  EXPECT_EQ(fake->memsets[0].address, 0x50000u);
  EXPECT_EQ(fake->memsets[0].bytes, 4096u);
  EXPECT_EQ(fake->launches.size(), 4u);
  // On one stream, which is not the default.
  EXPECT_NE(fake->memsets[0].stream, nullptr);
  EXPECT_EQ(fake->memsets[0].stream, fake->launches[0].stream);

  // Without scratch memory.
  forget();
  auto milliseconds = timer->sample();
  ASSERT_TRUE(bool(milliseconds)) << milliseconds.error().message;
  EXPECT_EQ(*milliseconds, 0.25f);
  EXPECT_EQ(fake->calls, (Calls{"cuCtxGetCurrent", "cuCtxPushCurrent", "cuEventRecord",
                                "cuGraphLaunch", "cuEventRecord", "cuEventSynchronize",
                                "cuEventElapsedTime", "cuCtxPopCurrent"}));
  EXPECT_EQ(fake->memsets.size(), 2u);
}

TEST_F(TimerTest, LoadsTheProgramBeforeTheCapture) {
  auto timer = create(/*device=*/2);
  ASSERT_TRUE(bool(timer));
  auto indexOf = [&](const char *name) {
    return std::find(fake->calls.begin(), fake->calls.end(), name) - fake->calls.begin();
  };
  EXPECT_LT(indexOf("cuModuleLoadDataEx"), indexOf("cuStreamBeginCapture"));
  ASSERT_TRUE(bool(timer->sample()));
  EXPECT_EQ(fake->launches.at(0).device, 2);
}

TEST_F(TimerTest, LeavesNothingBehindWhereItCannotBeMade) {
  struct Step {
    std::string call;
    int numBefore;
    std::string what = "cannot make a timer: ";
  };
  const Step steps[] = {
      {"cuCtxPushCurrent", 0, "cannot switch to the device's context: "},
      {"cuStreamCreate", 0},
      {"cuStreamBeginCapture", 0},
      {"cuLaunchKernelEx", 0,
       "cannot launch the kernel split (grid 3 x 3 x 2, 128 threads a block, 0 bytes of dynamic "
       "shared memory, clusters of 1): "},
      {"cuLaunchKernelEx", 1,
       "cannot launch the kernel attend (grid 8 x 3 x 2, 384 threads a block, 200000 bytes of "
       "dynamic shared memory, clusters of 1): "},
      {"cuStreamEndCapture", 0},
      {"cuGraphInstantiate", 0},
      {"cuEventCreate", 0},
      {"cuEventCreate", 1}};
  for (const Step &step : steps) {
    SCOPED_TRACE(step.call + " after " + std::to_string(step.numBefore));
    forget();
    fake->failures = {{step.call, 1}};
    fake->numCallsBeforeFailure = {{step.call, step.numBefore}};
    sfa_timer *timer = nullptr;
    sfa_tensor arguments[] = {queries.tensor(), keys.tensor()};
    sfa_tensor results[] = {output.tensor(), lse.tensor()};
    EXPECT_EQ(
        sfa_timer_create(program.get(), 0, arguments, 2, results, 2, at(0x40000), 1 << 16, &timer),
        SFA_ERROR_DRIVER);
    EXPECT_EQ(sfa_last_error(),
              step.what + step.call + " failed with CUDA_ERROR_FAKE (1): made to fail");
    EXPECT_EQ(timer, nullptr);
    // A capture that has begun has ended, once.
    bool hasBegun = fake->numCalls["cuStreamBeginCapture"] && step.call != steps[2].call;
    EXPECT_EQ(fake->numCalls["cuStreamEndCapture"], hasBegun ? 1 : 0);
    if (step.call == steps[0].call)
      fake->numCalls["cuCtxPushCurrent"] = 0; // It has pushed nothing.
    expectNothingIsLeft();
  }
  fake->failures.clear();
  EXPECT_TRUE(bool(create()));
  expectNothingIsLeft();
}

TEST_F(TimerTest, SaysWhichCallFailed) {
  auto timer = create();
  ASSERT_TRUE(bool(timer));
  const std::pair<const char *, std::string> steps[] = {
      {"cuMemsetD8Async", "cannot overwrite the scratch memory: "},
      {"cuEventRecord", "cannot time the program: "},
      {"cuGraphLaunch", "cannot time the program: "},
      {"cuEventSynchronize", "cannot time the program: "},
      {"cuEventElapsedTime", "cannot time the program: "}};
  for (const auto &[call, what] : steps) {
    forget();
    fake->failures = {{call, 1}};
    float milliseconds = 7;
    EXPECT_EQ(sfa_timer_sample(timer->get(), at(0x50000), 4096, &milliseconds), SFA_ERROR_DRIVER);
    EXPECT_EQ(sfa_last_error(), what + call + " failed with CUDA_ERROR_FAKE (1): made to fail");
    EXPECT_EQ(milliseconds, 7);
    EXPECT_EQ(fake->numCalls["cuCtxPushCurrent"], 1);
    EXPECT_EQ(fake->numCalls["cuCtxPopCurrent"], 1);
  }
  // The timer works on.
  fake->failures.clear();
  auto milliseconds = timer->sample(at(0x50000), 4096);
  ASSERT_TRUE(bool(milliseconds)) << milliseconds.error().message;
  EXPECT_EQ(*milliseconds, 2);
  fake->failures = {{"cuEventSynchronize", 900}};
  expectHas(timer->sample().error().message,
            "while a stream is captured into a graph the driver refuses this: do it outside of "
            "captures");
}

TEST_F(TimerTest, ChecksItsParameters) {
  // Those of the call as a launch does, and the driver hears nothing of it.
  keys = {at(0x20008), SFA_DTYPE_BF16, {2, 3, 257, 64}};
  auto timer = create();
  ASSERT_FALSE(bool(timer));
  EXPECT_EQ(timer.error().status, SFA_ERROR_INVALID_ARGUMENT);
  expectHas(timer.error().message, "argument 1");
  EXPECT_TRUE(fake->calls.empty());

  sfa_timer *handle = nullptr;
  EXPECT_EQ(sfa_timer_create(nullptr, 0, nullptr, 0, nullptr, 0, nullptr, 0, &handle),
            SFA_ERROR_INVALID_ARGUMENT);
  EXPECT_STREQ(sfa_last_error(),
               "sfa_timer_create: `program` is NULL; it has to point to something");
  EXPECT_EQ(sfa_timer_create(program.get(), 0, nullptr, 0, nullptr, 0, nullptr, 0, nullptr),
            SFA_ERROR_INVALID_ARGUMENT);
  EXPECT_STREQ(sfa_last_error(), "sfa_timer_create: `timer` is NULL; it has to point to something");
  keys = {at(0x20000), SFA_DTYPE_BF16, {2, 3, 257, 64}};
  EXPECT_EQ(create(/*device=*/3).error().status, SFA_ERROR_NO_DEVICE);

  float milliseconds;
  EXPECT_EQ(sfa_timer_sample(nullptr, nullptr, 0, &milliseconds), SFA_ERROR_INVALID_ARGUMENT);
  EXPECT_STREQ(sfa_last_error(), "sfa_timer_sample: `timer` is NULL; it has to point to something");
  auto made = create();
  ASSERT_TRUE(bool(made));
  EXPECT_EQ(sfa_timer_sample(made->get(), nullptr, 0, nullptr), SFA_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(made->sample(nullptr, 64).error().message,
            "sfa_timer_sample: `scratch` is NULL and `scratch_bytes` is 64; give memory of the "
            "device, or NULL and 0 to clear nothing");
}

TEST_F(TimerTest, TimesOneSampleAtATime) {
  auto timer = create();
  ASSERT_TRUE(bool(timer));
  std::vector<std::thread> threads;
  for (int index = 0; index < 4; ++index)
    threads.emplace_back([&] {
      for (int count = 0; count < 50; ++count) {
        auto milliseconds = timer->sample(at(0x50000), 4096);
        ASSERT_TRUE(bool(milliseconds)) << milliseconds.error().message;
        EXPECT_EQ(*milliseconds, 2);
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(fake->launches.size(), 400u);
}

} // namespace
