//===- OperandsTest.cpp - Codes, dense and mixed operands, scales, shapes and results -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AllKernels.h"
#include "CheckKernels.h"
#include "Judge.h"

#include <fmt/format.h>

using namespace sfa;
using namespace sfa::test;

namespace {

constexpr std::array<Shape, 3> shapes = {{{1, 70, 70}, {2, 33, 150}, {3, 129, 40}}};

/// Compiles all and holds them against the oracle on `given` and two seeds.
void check(llvm::ArrayRef<Configuration> configurations, llvm::ArrayRef<Shape> given = shapes,
           Support support = Support::Uniform) {
  for (const Kernel &kernel : compileAll(configurations)) {
    if (!kernel)
      continue;
    Judge judge(kernel.configuration);
    for (const Shape &shape : given)
      for (uint64_t seed : {1, 2}) {
        Inputs inputs = makeInputs(kernel.configuration, shape, support, seed);
        judge.add(fmt::format("b={} n_q={} n_k={}, {}, seed {}", shape.batch, shape.numQueries,
                              shape.numKeys, name(support), seed),
                  makeReference(kernel.configuration, shape, inputs), kernel(shape, inputs));
      }
    judge.finish();
  }
}

bool allows(const Configuration &c, Strategy strategy) {
  if (strategy == Strategy::Dense)
    return true;
  bool hasCodes = c.queryForm != Form::Dense;
  if (strategy == Strategy::Scatter)
    return hasCodes && c.keyForm != Form::Dense;
  return hasCodes && (strategy != Strategy::SparseMma || c.d % 4 == 0);
}

TEST(Operands, OfEveryForm) {
  std::vector<Configuration> configurations;
  Configuration c;
  c.queryHeads = 6;
  c.keyHeads = 2;
  for (Form query : {Form::Dense, Form::Sparsified, Form::Codes})
    for (Form key : {Form::Dense, Form::Sparsified, Form::Codes})
      for (Strategy strategy : allStrategies) {
        c.queryForm = query;
        c.keyForm = key;
        if (!allows(c, strategy))
          continue;
        c.strategy = strategy;
        c.type = allTypes[configurations.size() % 3];
        c.softmax = allSoftmaxes[configurations.size() / 3 % 2];
        c.mask = configurations.size() % 2 ? oracle::Mask::Causal : oracle::Mask::None;
        configurations.push_back(c);
      }
  check(configurations);
}

/// One operand as codes, the other sparsified by the function.
void takeTurns(Configuration &c, size_t turn) {
  c.queryForm = turn / 4 % 2 ? Form::Codes : Form::Sparsified;
  c.keyForm = turn / 4 % 2 ? Form::Sparsified : Form::Codes;
}

TEST(Operands, WithDifferentKForQueryAndKey) {
  std::vector<Configuration> configurations;
  for (auto [queryK, keyK] :
       {std::pair(2, 9), std::pair(16, 1), std::pair(8, 64), std::pair(64, 3)}) {
    Configuration c;
    c.queryK = queryK;
    c.keyK = keyK;
    takeTurns(c, configurations.size());
    addAllStrategies(configurations, c);
  }
  // Three and the four strategies of each have no common divisor: all strategies take turns.
  check(chooseForThisRun(configurations, /*turn=*/0, /*step=*/3));
}

TEST(Operands, WithMorePlacesThanFeatures) {
  std::vector<Configuration> configurations;
  for (auto [queryK, keyK] : {std::pair(100, 200), std::pair(65, 8), std::pair(8, 300)}) {
    Configuration c;
    c.queryK = queryK;
    c.keyK = keyK;
    takeTurns(c, configurations.size());
    addAllStrategies(configurations, c);
  }
  check(configurations);
}

/// Indices of 16 bits, and widths that no vector divides.
TEST(Operands, WithWideAndOddRows) {
  std::vector<Configuration> configurations;
  for (auto [d, dv] :
       {std::pair(300, 17), std::pair(260, 1), std::pair(4, 3), std::pair(36, 130)}) {
    Configuration c;
    c.d = d;
    c.dv = dv;
    takeTurns(c, configurations.size());
    addAllStrategies(configurations, c);
  }
  Configuration odd;
  for (auto [d, dv] : {std::pair(1, 1), std::pair(33, 5), std::pair(257, 257)})
    for (Strategy strategy : {Strategy::Dense, Strategy::Gather, Strategy::Scatter}) {
      odd.d = d;
      odd.dv = dv;
      odd.strategy = strategy;
      configurations.push_back(odd);
    }
  check(configurations);
}

/// Padded codes: places with value 0 name any feature, also one that is taken.
TEST(Operands, WithPaddedCodes) {
  Configuration base;
  base.queryForm = base.keyForm = Form::Codes;
  const Shape shape{1, 90, 110};
  for (const Kernel &kernel : compileAll(withAllStrategies(base))) {
    if (!kernel)
      continue;
    const Configuration &c = kernel.configuration;
    Judge judge(c);
    for (uint64_t seed : {1, 2, 3}) {
      Inputs inputs = makeInputs(c, shape, Support::Uniform, seed);
      std::vector<NpyArray> arguments = makeArguments(c, shape, inputs);
      for (auto [values, indices, operand] :
           {std::tuple(0, 1, &inputs.q), std::tuple(2, 3, &inputs.k)}) {
        // Row r keeps its first r % (k + 1) pairs.
        std::vector<double> numbers = toDouble(arguments[values]);
        auto *features = arguments[indices].as<uint8_t>();
        std::fill(operand->begin(), operand->end(), 0.0);
        for (size_t place = 0; place < numbers.size(); ++place) {
          size_t row = place / c.queryK;
          if (place % c.queryK < row % (c.queryK + 1)) {
            (*operand)[row * c.d + features[place]] = numbers[place];
            continue;
          }
          numbers[place] = 0;
          features[place] = row % 3 == 0 ? features[row * c.queryK] : row % c.d;
        }
        fromDouble(numbers, arguments[values]);
      }
      std::vector<NpyArray> results = run(*kernel.executable, arguments);
      ASSERT_EQ(results.size(), 2u);
      judge.add(fmt::format("seed {}", seed), makeReference(c, shape, inputs),
                {toDouble(results[0]), toDouble(results[1])});
    }
    judge.finish();
  }
}

TEST(Results, WithoutLse) {
  Configuration c;
  c.hasLse = false;
  c.mask = oracle::Mask::Causal;
  check(withAllKernels(c));
}

TEST(Shapes, Static) {
  for (const Shape &shape : {Shape{1, 1, 1}, Shape{2, 50, 130}, Shape{1, 130, 50}}) {
    Configuration c;
    c.staticShape = shape;
    c.mask = oracle::Mask::Causal;
    // One row of a yardstick says little: more of the same configuration, by the heads.
    c.queryHeads = c.keyHeads = shape.numQueries == 1 ? 64 : 2;
    check(withAllStrategies(c), shape);
  }
}

TEST(Tiles, OfAllSizes) {
  std::vector<Configuration> configurations;
  for (auto [qTile, kTile] : {std::pair(8, 16), std::pair(8, 256), std::pair(256, 16),
                              std::pair(256, 256), std::pair(24, 48), std::pair(40, 80)}) {
    Configuration c;
    c.qTile = qTile;
    c.kTile = kTile;
    c.mask = oracle::Mask::Window;
    c.left = 30;
    c.right = 7;
    addAllStrategies(configurations, c);
  }
  // Three and the four strategies of each have no common divisor: all strategies take turns.
  check(chooseForThisRun(configurations, /*turn=*/0, /*step=*/3));
}

TEST(Scale, OfEverySize) {
  std::vector<Configuration> configurations;
  for (double scale : {0.0, -0.0, -0.25, 1e-30, -1e-30, 1e-39, 3.0}) {
    Configuration c;
    c.scale = scale;
    c.mask = oracle::Mask::Causal;
    addAllStrategies(configurations, c);
  }
  // Three and the four strategies of each have no common divisor: all strategies take turns.
  check(chooseForThisRun(configurations, /*turn=*/0, /*step=*/3));
}

TEST(Scale, NegativeWithScoresThatGrow) {
  Configuration c;
  c.scale = -0.125;
  c.kTile = 16;
  c.queryHeads = c.keyHeads = 4; // the scores of the last one fall, and so grow
  std::vector<Configuration> configurations = withAllKernels(c);
  const Shape shape{1, 120, 200};
  for (Support support : {Support::Growing, Support::GrowingFast})
    check(configurations, shape, support);
}

/// A tiny scale of huge scores, which it brings back to ordinary size.
TEST(Scale, TinyWithHugeScores) {
  Configuration c;
  c.scale = 1e-30;
  c.type = ElementType::F32;
  c.kTile = 16;
  const Shape shape{1, 120, 200};
  check(withAllKernels(c), shape, Support::Growing);
}

} // namespace
