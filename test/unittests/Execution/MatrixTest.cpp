//===- MatrixTest.cpp - Every strategy over types, masks, heads, sizes and supports -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Families.h"
#include "Judge.h"

#include <fmt/format.h>
#include <map>
#include <set>
#include <tuple>

using namespace sfa;
using namespace sfa::test;

namespace {

/// All kernels take dynamic sizes, and each runs these.
constexpr std::array<Shape, 6> shapes = {
    {{1, 1, 1}, {1, 17, 17}, {1, 255, 255}, {1, 257, 257}, {1, 100, 255}, {1, 255, 100}}};

class Matrix : public testing::TestWithParam<Family> {};

TEST_P(Matrix, IsRight) {
  const Family &family = GetParam();
  std::vector<Kernel> kernels = compileAll(family.kernels);
  for (Support support : family.supports) {
    std::vector<Judge> judges(family.kernels.begin(), family.kernels.end());
    for (size_t number = 0; number < shapes.size(); ++number) {
      const Shape &shape = shapes[number];
      uint64_t seed = number + 1;
      Inputs inputs = makeInputs(family.base, shape, support, seed);
      std::vector<NpyArray> arguments = makeArguments(family.base, shape, inputs);
      Reference reference = makeReference(family.base, shape, inputs);
      std::string label = fmt::format("n_q={} n_k={}, {}, seed {}", shape.numQueries, shape.numKeys,
                                      name(support), seed);
      for (size_t i = 0; i < kernels.size(); ++i)
        if (kernels[i])
          judges[i].add(label, reference, kernels[i](arguments));
    }
    for (Judge &judge : judges)
      judge.finish();
  }
}

std::string nameOf(const testing::TestParamInfo<Family> &info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(All, Matrix, testing::ValuesIn(makeFamilies(getTestExtent())), nameOf);

//===----------------------------------------------------------------------===//
// What the matrix covers: the triples in the full run, the rest also in the ordinary one
//===----------------------------------------------------------------------===//

/// The values of all parameters of a kernel, as text.
std::map<std::string, std::string> parametersOf(const Configuration &c) {
  return {
      {"strategy", stringifyEnum(c.strategy).str()},
      {"softmax", stringifyEnum(c.softmax).str()},
      {"type", name(c.type).str()},
      {"mask", describeMask(c).substr(0, 6)},
      {"heads", c.queryHeads == c.keyHeads ? "mha" : "gqa"},
      {"d", std::to_string(c.d)},
      {"dv", std::to_string(c.dv)},
      {"k", c.queryK == c.d ? "d" : std::to_string(c.queryK)},
      {"tiles", c.qTile ? std::to_string(*c.qTile) : "default"},
      {"query", c.queryForm == Form::Codes ? "codes" : "sparsified"},
      {"key", c.keyForm == Form::Codes ? "codes" : "sparsified"},
  };
}

TEST(MatrixCoverage, HasEveryCombinationOfStrategySoftmaxTypeMaskAndHeads) {
  std::set<std::string> found;
  for (const Family &family : makeFamilies(knobs::TestExtent::Ordinary))
    for (const Configuration &kernel : family.kernels) {
      auto parameters = parametersOf(kernel);
      found.insert(parameters["strategy"] + parameters["softmax"] + parameters["type"] +
                   parameters["mask"] + parameters["heads"]);
    }
  EXPECT_EQ(found.size(), 4u * 2 * 3 * 3 * 2);
}

TEST(MatrixCoverage, HasEveryTripleOfFeaturesAndKForEveryStrategy) {
  std::set<std::string> found;
  for (const Family &family : makeFamilies(knobs::TestExtent::Full))
    for (const Configuration &kernel : family.kernels) {
      auto parameters = parametersOf(kernel);
      found.insert(parameters["strategy"] + " " + parameters["d"] + " " + parameters["dv"] + " " +
                   parameters["k"]);
    }
  EXPECT_EQ(found.size(), 4u * 5 * 5 * 5);
}

TEST(MatrixCoverage, HasEveryPairOfValuesOfTwoParameters) {
  std::map<std::string, std::set<std::string>> values;
  std::set<std::tuple<std::string, std::string, std::string, std::string>> found;
  for (const Family &family : makeFamilies(knobs::TestExtent::Ordinary))
    for (const Configuration &kernel : family.kernels) {
      auto parameters = parametersOf(kernel);
      for (Support support : family.supports) {
        parameters["support"] = name(support);
        for (const auto &[first, firstValue] : parameters) {
          values[first].insert(firstValue);
          for (const auto &[second, secondValue] : parameters)
            found.insert({first, firstValue, second, secondValue});
        }
      }
    }
  for (const auto &[first, firstValues] : values)
    for (const auto &[second, secondValues] : values)
      for (const std::string &firstValue : firstValues)
        for (const std::string &secondValue : secondValues)
          if (first != second)
            EXPECT_TRUE(found.count({first, firstValue, second, secondValue}))
                << first << " = " << firstValue << " and " << second << " = " << secondValue;
  EXPECT_EQ(values["d"].size(), 5u);
  EXPECT_EQ(values["tiles"].size(), 3u);
  EXPECT_EQ(values["support"].size(), allSupports.size());
}

TEST(MatrixCoverage, HasEverySupportForEveryKernelOfATypeAndOfAMask) {
  std::set<std::string> ofTypes, ofMasks;
  for (const Family &family : makeFamilies(knobs::TestExtent::Ordinary))
    for (const Configuration &kernel : family.kernels)
      for (Support support : family.supports) {
        auto parameters = parametersOf(kernel);
        std::string text =
            parameters["strategy"] + " " + parameters["softmax"] + " " + name(support);
        ofTypes.insert(text + " " + parameters["type"]);
        ofMasks.insert(text + " " + parameters["mask"]);
      }
  EXPECT_EQ(ofTypes.size(), 4u * 2 * 9 * 3);
  EXPECT_EQ(ofMasks.size(), 4u * 2 * 9 * 3);
}

} // namespace
