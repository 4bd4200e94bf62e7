//===- LazySoftmaxTest.cpp - When a lazy softmax raises references, and when it fails -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AllKernels.h"
#include "Judge.h"

#include "dialects/Tile/Tile.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "sfa/Passes.h"

#include <cmath>
#include <fmt/format.h>

using namespace mlir;
using namespace sfa;
using namespace sfa::test;

namespace {

constexpr int64_t keysOfTile = 32;

/// By how many binary orders the scores of each key tile are above those of the first.
struct Growth {
  const char *name;
  std::vector<double> orders;
  /// Whether the loop alone gets there; otherwise something overflows, and the point is computed
  /// again.
  bool isWithoutRetry = true;
};

const Growth growths[] = {
    // Within what is noticed one tile late. In the end more than f32 has exponents, unless
    // references are raised.
    {"late by 30", {0, 0, 0, 30, 30, 60, 60, 90, 90, 120}},
    {"late by 60", {0, 0, 0, 0, 60, 60, 120, 120, 180, 180}},
    // More than f32 has exponents, but in steps.
    {"all along by 40", {0, 40, 80, 120, 160, 200, 240}},
    // The maxima of the second tile are looked at, and so on.
    {"at once by 100", {0, 100, 200, 200, 200, 200, 200}},
    {"at once by 250", {-250, 0, 250, 250, 250}},
    {"falling", {200, 100, 0, 0, -100}},
    // The second tile is not far above the first one, so that nobody looks at the next.
    {"late by 200", {0, 0, 0, 0, 200, 200}, /*isWithoutRetry=*/false},
};

/// What `configuration` becomes as a tile program that never computes a point again.
std::string withoutRetry(const Configuration &configuration) {
  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(configuration.module(), &context);
  PassManager passes(&context);
  passes.addPass(createSFAAssignSchedulePass({}));
  passes.addPass(createConvertSFAToTilePass());
  if (!module || failed(passes.run(*module)))
    return "";
  SmallVector<tile::RetryOp> retries;
  module->walk([&](tile::RetryOp retry) { retries.push_back(retry); });
  EXPECT_EQ(retries.size(), 1u) << configuration.module();
  for (tile::RetryOp retry : retries)
    retry.erase();
  std::string text;
  llvm::raw_string_ostream stream(text);
  module->print(stream);
  return text;
}

/// The loop of the kernel of `c` alone; nothing where that does not compile.
std::optional<Kernel> compileLoop(const Configuration &c) {
  llvm::Expected<std::unique_ptr<cpu::Executable>> loop =
      compileModule(withoutRetry(c), "attention");
  if (loop)
    return Kernel{c, std::move(*loop)};
  ADD_FAILURE() << llvm::toString(loop.takeError());
  return std::nullopt;
}

/// The first feature of a query is 1, and that of a key the order of its score.
Inputs makeGrowing(const Configuration &c, const Shape &shape, const Growth &growth,
                   uint64_t seed) {
  Inputs inputs = makeInputs(c, shape, Support::Uniform, seed);
  for (std::vector<double> *values : {&inputs.q, &inputs.k})
    for (double &value : *values)
      value /= 8;
  for (size_t row = 0; row < inputs.q.size() / c.d; ++row)
    inputs.q[row * c.d] = 1;
  for (size_t row = 0; row < inputs.k.size() / c.d; ++row) {
    size_t tile = row % shape.numKeys / keysOfTile;
    inputs.k[row * c.d] = growth.orders[std::min(tile, growth.orders.size() - 1)];
  }
  for (std::vector<double> *values : {&inputs.q, &inputs.k, &inputs.v})
    roundTo(c.dataType(), *values);
  return inputs;
}

bool isFinite(const oracle::Result &result) {
  auto finite = [](double value) { return std::isfinite(value); };
  return llvm::all_of(result.o, finite) && llvm::all_of(result.lse, finite);
}

class LazySoftmax : public testing::TestWithParam<std::tuple<ElementType, bool>> {
protected:
  static Configuration configuration() {
    Configuration c;
    std::tie(c.type, c.hasLse) = GetParam();
    c.softmax = Softmax::Lazy;
    c.queryForm = c.keyForm = Form::Dense;
    c.scale = M_LN2; // the exponents are the scores
    c.qTile = 256;   // two blocks of rows
    c.kTile = keysOfTile;
    return c;
  }
};

TEST_P(LazySoftmax, IsRightHoweverScoresGrow) {
  Configuration c = configuration();
  for (oracle::Mask mask : {oracle::Mask::None, oracle::Mask::Causal, oracle::Mask::Window}) {
    c.mask = mask;
    // Of the later rows of a query tile the first key tiles are masked.
    c.left = mask == oracle::Mask::Window ? std::optional<int64_t>(150) : std::nullopt;
    c.right = mask == oracle::Mask::Window ? std::optional<int64_t>(40) : std::nullopt;
    Kernel whole = compileOne(c);
    ASSERT_TRUE(whole);
    std::optional<Kernel> once = compileLoop(c);
    ASSERT_TRUE(once.has_value());

    Judge judge(c), judgeOfLoop(c);
    const Shape shape{1, 330, 330};
    for (auto [number, growth] : llvm::enumerate(growths)) {
      Inputs inputs = makeGrowing(c, shape, growth, number);
      Reference reference = makeReference(c, shape, inputs);
      judge.add(growth.name, reference, whole(shape, inputs));
      oracle::Result ofLoop = (*once)(shape, inputs);
      // Otherwise the growth would not test what it is for.
      EXPECT_EQ(isFinite(ofLoop), growth.isWithoutRetry)
          << growth.name << ", " << describeMask(c) << "\n"
          << describeRepetition(c);
      if (growth.isWithoutRetry)
        judgeOfLoop.add(growth.name, reference, ofLoop);
    }
    judge.finish();
    judgeOfLoop.finish();
  }
}

std::string nameOf(const testing::TestParamInfo<LazySoftmax::ParamType> &info) {
  auto [type, hasLse] = info.param;
  return name(type).str() + (hasLse ? "_lse" : "");
}

INSTANTIATE_TEST_SUITE_P(All, LazySoftmax,
                         testing::Combine(testing::ValuesIn(allTypes), testing::Bool()), nameOf);

/// Products that are too large for f32 beside raised references are computed again.
TEST(LazySoftmaxOfLargeValues, IsRight) {
  Configuration c;
  c.type = ElementType::BF16;
  c.softmax = Softmax::Lazy;
  c.queryForm = c.keyForm = Form::Dense;
  c.scale = M_LN2;
  c.qTile = 64;
  c.kTile = keysOfTile;
  Kernel whole = compileOne(c);
  ASSERT_TRUE(whole);
  std::optional<Kernel> once = compileLoop(c);
  ASSERT_TRUE(once.has_value());
  const Shape shape{1, 330, 330};
  Inputs inputs = makeGrowing(c, shape, growths[0], 5);
  for (double &value : inputs.v)
    value = std::ldexp(value, 112);
  EXPECT_FALSE(isFinite((*once)(shape, inputs)));
  Judge judge(c);
  judge.add("values of 2^112", makeReference(c, shape, inputs), whole(shape, inputs));
  judge.finish();
}

/// A row that is not finite in any pass does no harm to those of other query tiles, which are not
/// computed again.
TEST(LazySoftmaxOfOneRow, LeavesOtherTilesAsTheyAre) {
  Configuration c;
  c.softmax = Softmax::Lazy;
  c.queryForm = c.keyForm = Form::Dense;
  c.qTile = 64;
  c.kTile = keysOfTile;
  Kernel kernel = compileOne(c);
  ASSERT_TRUE(kernel);
  const Shape shape{1, 200, 200};
  Inputs inputs = makeInputs(c, shape, Support::Uniform, 1);
  oracle::Result before = kernel(shape, inputs);
  constexpr size_t spoiled = 70;
  inputs.q[spoiled * c.d] = std::numeric_limits<double>::infinity();
  oracle::Result after = kernel(shape, inputs);
  ASSERT_EQ(after.lse.size(), before.lse.size());
  for (size_t row = 0; row < before.lse.size(); ++row) {
    if (row == spoiled) {
      EXPECT_TRUE(std::isnan(after.lse[row]));
      continue;
    }
    bool isOfTile = row / *c.qTile == spoiled / *c.qTile;
    EXPECT_NEAR(after.lse[row], before.lse[row], isOfTile ? 0x1p-20 : 0) << "row " << row;
    EXPECT_NEAR(after.o[row * c.dv], before.o[row * c.dv], isOfTile ? 0x1p-20 : 0)
        << "row " << row;
  }
}

} // namespace
