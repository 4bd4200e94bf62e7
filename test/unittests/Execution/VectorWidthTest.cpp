//===- VectorWidthTest.cpp - Kernels for processors with narrower vectors than this one -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AllKernels.h"
#include "Judge.h"

#include <fmt/format.h>

using namespace sfa;
using namespace sfa::test;

namespace {

class VectorWidth : public testing::TestWithParam<const char *> {};

constexpr std::array<Shape, 3> shapes = {{{1, 130, 130}, {1, 17, 200}, {1, 200, 17}}};

TEST_P(VectorWidth, IsRight) {
  cpu::CompileOptions options;
  options.cpu = GetParam();
  if (llvm::Expected<unsigned> bits = cpu::getVectorBits(options); !bits)
    GTEST_SKIP() << llvm::toString(bits.takeError());

  std::vector<Configuration> configurations;
  for (ElementType type : allTypes)
    for (Strategy strategy : allStrategies) {
      Configuration c;
      c.type = type;
      c.strategy = strategy;
      c.softmax = allSoftmaxes[configurations.size() % 2];
      c.mask = oracle::Mask::Causal;
      c.d = 80;
      c.dv = 36;
      c.kTile = 48;
      configurations.push_back(c);
    }
  for (const Kernel &kernel : compileAll(configurations, options)) {
    if (!kernel)
      continue;
    Judge judge(kernel.configuration);
    for (const Shape &shape : shapes)
      for (Support support : {Support::Uniform, Support::Real, Support::Growing}) {
        Inputs inputs = makeInputs(kernel.configuration, shape, support, 1);
        judge.add(fmt::format("{} n_q={} n_k={}, {}", GetParam(), shape.numQueries, shape.numKeys,
                              name(support)),
                  makeReference(kernel.configuration, shape, inputs), kernel(shape, inputs));
      }
    judge.finish();
  }
}

/// Vectors of 128, 256 and 512 bits. The first has no instructions for f16.
INSTANTIATE_TEST_SUITE_P(All, VectorWidth,
                         testing::Values("x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"),
                         [](const testing::TestParamInfo<const char *> &info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

/// The selection depends on the width of a vector too; exact results do not.
TEST_P(VectorWidth, SparsifiesTheSame) {
  cpu::CompileOptions options;
  options.cpu = GetParam();
  if (llvm::Expected<unsigned> bits = cpu::getVectorBits(options); !bits)
    GTEST_SKIP() << llvm::toString(bits.takeError());
  for (ElementType type : allTypes)
    for (int64_t d : {7, 12, 33, 128}) {
      bool isTwoFour = d % 4 == 0;
      Configuration c;
      c.type = type;
      c.d = d;
      std::string dense = fmt::format("tensor<1x2x?x{}x{}>", d, name(type).str());
      std::string codes = fmt::format("tensor<1x2x?x{}x{}, #sfa.codes<k = 5{}>>", d,
                                      name(type).str(), isTwoFour ? ", two_four" : "");
      auto executable = compileModule(fmt::format("func.func @sparsify(%x: {0}) -> {1} {{\n"
                                                  "  %c = sfa.sparsify %x : {0} -> {1}\n"
                                                  "  return %c : {1}\n}}\n",
                                                  dense, codes),
                                      "sparsify", options);
      ASSERT_TRUE(bool(executable)) << llvm::toString(executable.takeError());
      for (Support support : {Support::Uniform, Support::Ties, Support::Zeros}) {
        const Shape shape{1, 140, 1};
        NpyArray x = NpyArray::zeros(type, {1, 2, shape.numQueries, d});
        fromDouble(makeInputs(c, shape, support, 1).q, x);
        oracle::Codes expected = (isTwoFour ? oracle::topkTwoFour : oracle::topk)(
            toDouble(x), 2 * shape.numQueries, d, 5);
        std::vector<NpyArray> arguments = {std::move(x)};
        std::vector<NpyArray> results = run(**executable, arguments);
        ASSERT_EQ(results.size(), 2u);
        EXPECT_EQ(toDouble(results[0]), expected.values);
        EXPECT_EQ(toDouble(results[1]),
                  std::vector<double>(expected.indices.begin(), expected.indices.end()));
      }
    }
}

} // namespace
