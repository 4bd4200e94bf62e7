//===- RandomTest.cpp - A sweep of random configurations ------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Test i of the sweep is all from seed SFA_TEST_SEED + i, SFA_TEST_COUNT in all. A failure prints
// the seed.
//
//===----------------------------------------------------------------------===//

#include "AllKernels.h"
#include "Judge.h"
#include "sfa/Support/Knobs.h"

#include <fmt/format.h>
#include <random>

using namespace sfa;
using namespace sfa::test;

namespace {

class Random {
public:
  explicit Random(uint64_t seed) : engine(seed) {}

  int64_t between(int64_t least, int64_t most) {
    return least + static_cast<int64_t>(engine() % (most - least + 1));
  }
  bool once(int64_t in) { return between(1, in) == 1; }
  template <class Container>
  auto of(const Container &container) {
    return container[between(0, container.size() - 1)];
  }
  /// Small sizes are as frequent as large ones.
  int64_t size(int64_t most) {
    return once(2) ? between(1, most) : between(1, std::min<int64_t>(most, 40));
  }

private:
  std::mt19937_64 engine;
};

Configuration makeConfiguration(Random &random) {
  Configuration c;
  c.strategy = random.of(allStrategies);
  c.softmax = random.of(allSoftmaxes);
  c.type = random.of(allTypes);
  c.mask = random.of(std::array{oracle::Mask::None, oracle::Mask::Causal, oracle::Mask::Window});
  if (c.mask == oracle::Mask::Window) {
    if (!random.once(4))
      c.left = random.between(0, random.once(2) ? 300 : 10);
    if (!random.once(4))
      c.right = random.between(0, random.once(2) ? 300 : 10);
  }
  c.keyHeads = random.between(1, 3);
  c.queryHeads = c.keyHeads * random.between(1, 3);
  c.d = random.size(300);
  if (c.strategy == Strategy::SparseMma)
    c.d = (c.d + 3) / 4 * 4;
  c.dv = random.size(300);
  c.queryK =
      random.once(3) ? random.between(1, 2 * c.d) : random.between(1, std::min<int64_t>(c.d, 16));
  c.keyK = random.once(2) ? c.queryK : random.between(1, c.d);
  std::array forms = {Form::Sparsified, Form::Codes, Form::Dense};
  auto form = [&](bool mayBeDense) { return forms[random.between(0, mayBeDense ? 2 : 1)]; };
  c.queryForm = form(c.strategy == Strategy::Dense);
  c.keyForm = form(c.strategy != Strategy::Scatter);
  if (random.once(2))
    c.qTile = 8 * random.between(1, random.once(4) ? 32 : 8);
  if (random.once(2))
    c.kTile = 16 * random.between(1, random.once(4) ? 16 : 8);
  if (random.once(4))
    c.scale = random.between(-8, 8) * 0.0625;
  c.hasLse = !random.once(5);
  if (random.once(4))
    c.splits = random.between(2, random.once(3) ? 20 : 4);
  // Three heads leave rows of most tiles over.
  if (random.once(3))
    c.packedHeads = c.queryHeads / c.keyHeads;
  return c;
}

uint64_t firstSeed() { return llvm::cantFail(knobs::testSeed()).value_or(1); }

class Sweep : public testing::TestWithParam<unsigned> {};

TEST_P(Sweep, IsRight) {
  uint64_t seed = firstSeed() + GetParam();
  Random random(seed);
  Configuration c = makeConfiguration(random);
  SCOPED_TRACE(fmt::format("repeat: SFA_TEST_SEED={} SFA_TEST_COUNT=1 SFAExecutionTests "
                           "--gtest_filter=All/Sweep.*",
                           seed));
  if (random.once(4))
    c.staticShape = {random.between(1, 2), random.between(1, 300), random.between(1, 300)};
  Kernel kernel = compileOne(c);
  if (!kernel)
    return;

  // Enough rows for a yardstick; see Judge. One judge for each support.
  for (int turn = 0; turn < 2; ++turn) {
    Judge judge(c);
    Support support = random.of(allSupports);
    int64_t rows = 0, problems = 0;
    while ((rows < 600 || problems < 3) && problems < 200) {
      Shape shape = c.staticShape.value_or(
          Shape{random.between(1, 2), random.between(1, 300), random.between(1, 300)});
      uint64_t inputSeed = seed * 1000 + problems;
      Inputs inputs = makeInputs(c, shape, support, inputSeed);
      judge.add(fmt::format("b={} n_q={} n_k={}, {}", shape.batch, shape.numQueries, shape.numKeys,
                            name(support)),
                makeReference(c, shape, inputs), kernel(shape, inputs));
      rows += shape.batch * c.queryHeads * shape.numQueries;
      ++problems;
    }
    judge.finish();
  }
}

INSTANTIATE_TEST_SUITE_P(All, Sweep,
                         testing::Range(0u, llvm::cantFail(knobs::testCount()).value_or(60)),
                         [](const testing::TestParamInfo<unsigned> &info) {
                           return fmt::format("Seed{}", firstSeed() + info.param);
                         });

} // namespace
