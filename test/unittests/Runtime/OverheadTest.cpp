//===- OverheadTest.cpp - What a launch costs besides the driver ------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RuntimeTest.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

using namespace sfa;
using namespace sfa::test;

namespace {

class Overhead : public OnFakeDriver {};

/// The fastest of some rounds, in nanoseconds a call.
template <typename Call>
double measure(const Call &call) {
  constexpr int numCalls = 2000;
  double best = 1e30;
  for (int round = 0; round < 25; ++round) {
    auto begin = std::chrono::steady_clock::now();
    for (int index = 0; index < numCalls; ++index)
      call();
    std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - begin;
    best = std::min(best, taken.count() / numCalls);
  }
  return best;
}

/// The calls of the fake driver return at once, so this is the runtime's own share. It is printed,
/// and not judged: how long it takes depends on the machine.
TEST_F(Overhead, OfALaunch) {
  json two = makeProgram();
  json one = two;
  one["launches"] = json::array({json(two["launches"][1])});
  runtime::Tensor queries(at(0x10000), SFA_DTYPE_BF16, {2, 3, 1000, 64});
  runtime::Tensor lse(at(0x38000), SFA_DTYPE_F32, {2, 3, 1000});
  sfa_tensor arguments[] = {queries.tensor(), queries.tensor()};
  sfa_tensor results[] = {queries.tensor(), lse.tensor()};
  fake->isRecording = false;
  for (const auto &[name, document] :
       {std::pair("one kernel", one), std::pair("two kernels", two)}) {
    runtime::Program program = load(document);
    ASSERT_TRUE(bool(program.prepare(0)));
    double nanoseconds = measure([&] {
      sfa_program_launch(program.get(), 0, nullptr, arguments, 2, results, 2, at(0x40000), 1 << 16);
    });
    std::printf("sfa_program_launch without the driver, %s: %.0f ns\n", name, nanoseconds);
    RecordProperty(name[0] == 'o' ? "one_kernel_ns" : "two_kernels_ns",
                   static_cast<int>(nanoseconds));
  }
}

} // namespace
