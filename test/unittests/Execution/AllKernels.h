//===- AllKernels.h - The strategies and softmax forms, for tests that run all of them --*- C++
//-*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TEST_UNITTESTS_EXECUTION_ALLKERNELS_H
#define SFA_TEST_UNITTESTS_EXECUTION_ALLKERNELS_H

#include "Configuration.h"

#include <array>
#include <vector>

namespace sfa::test {

constexpr std::array allStrategies = {Strategy::Dense, Strategy::Gather, Strategy::Scatter,
                                      Strategy::SparseMma};
constexpr std::array allSoftmaxes = {Softmax::Online, Softmax::Lazy};
constexpr std::array allTypes = {ElementType::F32, ElementType::F16, ElementType::BF16};

/// `base` with every strategy and softmax form.
inline std::vector<Configuration> withAllKernels(Configuration base) {
  std::vector<Configuration> configurations;
  for (Strategy strategy : allStrategies)
    for (Softmax softmax : allSoftmaxes) {
      base.strategy = strategy;
      base.softmax = softmax;
      configurations.push_back(base);
    }
  return configurations;
}

/// Adds `base` with every strategy; the softmax form and the type take turns.
inline void addAllStrategies(std::vector<Configuration> &configurations, Configuration base) {
  size_t turn = configurations.size() / allStrategies.size();
  for (Strategy strategy : allStrategies) {
    base.strategy = strategy;
    base.softmax = allSoftmaxes[turn % allSoftmaxes.size()];
    base.type = allTypes[turn % allTypes.size()];
    configurations.push_back(base);
    ++turn;
  }
}

inline std::vector<Configuration> withAllStrategies(const Configuration &base) {
  std::vector<Configuration> configurations;
  addAllStrategies(configurations, base);
  return configurations;
}

} // namespace sfa::test

#endif // SFA_TEST_UNITTESTS_EXECUTION_ALLKERNELS_H
