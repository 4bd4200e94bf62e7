//===- CheckKernels.cpp - Kernels of few rows against the oracle --------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CheckKernels.h"
#include "Families.h"
#include "Judge.h"

#include <fmt/format.h>
#include <map>

using namespace sfa;
using namespace sfa::test;

/// The module without what steers how it is computed: kernels for which it is the same compute the
/// same from the same inputs.
static std::string describeProblem(Configuration configuration) {
  const Configuration any;
  configuration.strategy = any.strategy;
  configuration.softmax = any.softmax;
  configuration.qTile = any.qTile;
  configuration.kTile = any.kTile;
  configuration.splits = any.splits;
  configuration.packedHeads = any.packedHeads;
  return configuration.module();
}

void sfa::test::checkKernels(const std::vector<Configuration> &configurations,
                             llvm::ArrayRef<Shape> shapes) {
  std::vector<Kernel> kernels = compileAll(configurations);
  // The oracle works once for all kernels of a problem.
  std::map<std::string, std::vector<size_t>> ofProblem;
  for (size_t i = 0; i < kernels.size(); ++i)
    if (kernels[i])
      ofProblem[describeProblem(configurations[i])].push_back(i);
  for (const auto &[problem, numbers] : ofProblem) {
    const Configuration &first = configurations[numbers.front()];
    std::vector<Judge> judges;
    for (size_t i : numbers)
      judges.emplace_back(configurations[i]);
    for (uint64_t seed = 1; seed <= 4; ++seed)
      for (const Shape &shape : shapes) {
        std::string label = fmt::format("b={} n_q={} n_k={} seed={}", shape.batch, shape.numQueries,
                                        shape.numKeys, seed);
        Inputs inputs = makeInputs(first, shape, Support::Uniform, seed);
        std::vector<NpyArray> arguments = makeArguments(first, shape, inputs);
        Reference reference = makeReference(first, shape, inputs);
        for (size_t i = 0; i < numbers.size(); ++i)
          judges[i].add(label, reference, kernels[numbers[i]](arguments));
      }
    for (Judge &judge : judges)
      judge.finish();
  }
}

std::vector<Configuration>
sfa::test::chooseForThisRun(const std::vector<Configuration> &configurations, size_t turn,
                            size_t step) {
  if (getTestExtent() != knobs::TestExtent::Ordinary)
    return configurations;
  std::vector<Configuration> chosen;
  for (size_t i = turn % step; i < configurations.size(); i += step)
    chosen.push_back(configurations[i]);
  return chosen;
}
