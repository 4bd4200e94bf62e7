//===- RepeatTest.cpp - The same results again and again, on many threads -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AllKernels.h"
#include "Judge.h"

#include <cstring>
#include <malloc.h>
#include <thread>

using namespace sfa;
using namespace sfa::test;

namespace {

bool isSame(const NpyArray &first, const NpyArray &second) {
  return first.shape == second.shape && first.data.size() == second.data.size() &&
         std::memcmp(first.data.data(), second.data.data(), first.data.size()) == 0;
}

bool areSame(const std::vector<NpyArray> &first, const std::vector<NpyArray> &second) {
  return first.size() == second.size() &&
         std::equal(first.begin(), first.end(), second.begin(), isSame);
}

/// Lets malloc fill what it hands out with `byte`, until it is destroyed.
class PoisonedMalloc {
public:
  explicit PoisonedMalloc(unsigned char byte) {
#ifdef M_PERTURB
    mallopt(M_PERTURB, byte ^ 0xFF); // glibc fills with the complement
#endif
  }
  ~PoisonedMalloc() {
#ifdef M_PERTURB
    mallopt(M_PERTURB, 0);
#endif
  }
};

class Repeat : public testing::TestWithParam<std::tuple<ElementType, Softmax>> {
protected:
  static std::vector<Kernel> compile() {
    Configuration c;
    std::tie(c.type, c.softmax) = GetParam();
    c.mask = oracle::Mask::Causal;
    c.queryHeads = 4;
    c.qTile = 16;
    c.kTile = 32;
    c.dv = 40;
    std::vector<Configuration> configurations;
    for (Strategy strategy : allStrategies) {
      configurations.push_back(c);
      configurations.back().strategy = strategy;
    }
    return compileAll(configurations);
  }
};

constexpr Shape shape{2, 190, 210};

TEST_P(Repeat, GivesTheSameBits) {
  for (const Kernel &kernel : compile()) {
    if (!kernel)
      continue;
    const Configuration &c = kernel.configuration;
    std::vector<NpyArray> arguments =
        makeArguments(c, shape, makeInputs(c, shape, Support::Growing, 1));
    std::vector<NpyArray> first = run(*kernel.executable, arguments);
    for (int turn = 0; turn < 20; ++turn) {
      // Large numbers, NaN in f16, and small ones.
      PoisonedMalloc poison(std::array<unsigned char, 3>{0x7F, 0xFE, 0x01}[turn % 3]);
      EXPECT_TRUE(areSame(run(*kernel.executable, arguments), first)) << "turn " << turn << "\n"
                                                                      << describeRepetition(c);
    }
  }
}

TEST_P(Repeat, GivesTheSameBitsToManyCallers) {
  for (const Kernel &kernel : compile()) {
    if (!kernel)
      continue;
    const Configuration &c = kernel.configuration;
    constexpr int numCallers = 4;
    std::vector<std::vector<NpyArray>> arguments, expected;
    for (int caller = 0; caller < numCallers; ++caller) {
      arguments.push_back(makeArguments(c, shape, makeInputs(c, shape, Support::Uniform, caller)));
      expected.push_back(run(*kernel.executable, arguments.back()));
    }
    std::vector<std::thread> threads;
    std::vector<int> numDifferent(numCallers, 0);
    for (int caller = 0; caller < numCallers; ++caller)
      threads.emplace_back([&, caller] {
        std::vector<BufferRef> buffers;
        for (NpyArray &argument : arguments[caller])
          buffers.push_back(BufferRef::of(argument));
        for (int turn = 0; turn < 5; ++turn) {
          auto results = llvm::cantFail(kernel.executable->invoke(buffers));
          numDifferent[caller] += !areSame(results, expected[caller]);
        }
      });
    for (std::thread &thread : threads)
      thread.join();
    EXPECT_EQ(numDifferent, std::vector<int>(numCallers, 0)) << describeRepetition(c);
  }
}

std::string nameOf(const testing::TestParamInfo<Repeat::ParamType> &info) {
  auto [type, softmax] = info.param;
  return name(type).str() + "_" + stringifyEnum(softmax).str();
}

INSTANTIATE_TEST_SUITE_P(All, Repeat,
                         testing::Combine(testing::ValuesIn(allTypes),
                                          testing::ValuesIn(allSoftmaxes)),
                         nameOf);

} // namespace
