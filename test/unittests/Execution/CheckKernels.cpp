//===- CheckKernels.cpp - Kernels of few rows against the oracle --------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CheckKernels.h"
#include "Judge.h"

#include <fmt/format.h>

using namespace sfa;
using namespace sfa::test;

void sfa::test::checkKernels(const std::vector<Configuration> &configurations,
                             llvm::ArrayRef<Shape> shapes) {
  for (const Kernel &kernel : compileAll(configurations)) {
    if (!kernel)
      continue;
    Judge judge(kernel.configuration);
    for (uint64_t seed = 1; seed <= 4; ++seed)
      for (const Shape &shape : shapes) {
        Inputs inputs = makeInputs(kernel.configuration, shape, Support::Uniform, seed);
        judge.add(fmt::format("b={} n_q={} n_k={} seed={}", shape.batch, shape.numQueries,
                              shape.numKeys, seed),
                  makeReference(kernel.configuration, shape, inputs), kernel(shape, inputs));
      }
    judge.finish();
  }
}
