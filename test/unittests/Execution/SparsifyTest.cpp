//===- SparsifyTest.cpp - sfa.sparsify and sfa.densify, bit for bit -------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AllKernels.h"
#include "Families.h"
#include "Kernel.h"

#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <limits>
#include <random>
#include <set>

using namespace sfa;
using namespace sfa::test;

namespace {

/// Where the bits of a float type are.
struct Format {
  uint32_t sign, infinity, quiet, one;

  explicit Format(ElementType type) {
    switch (type) {
    case ElementType::F16:
      sign = 0x8000, infinity = 0x7C00, quiet = 0x0200, one = 0x3C00;
      break;
    case ElementType::BF16:
      sign = 0x8000, infinity = 0x7F80, quiet = 0x0040, one = 0x3F80;
      break;
    default:
      sign = 0x80000000, infinity = 0x7F800000, quiet = 0x00400000, one = 0x3F800000;
    }
  }

  bool isNan(uint32_t bits) const { return (bits & ~sign) > infinity; }
  bool isZero(uint32_t bits) const { return (bits & ~sign) == 0; }
};

uint32_t readBits(const NpyArray &array, int64_t i) {
  return sizeInBytes(array.type) == 4 ? array.as<uint32_t>()[i] : array.as<uint16_t>()[i];
}

void writeBits(NpyArray &array, int64_t i, uint32_t bits) {
  if (sizeInBytes(array.type) == 4)
    array.as<uint32_t>()[i] = bits;
  else
    array.as<uint16_t>()[i] = static_cast<uint16_t>(bits);
}

/// Rows of every kind: normal numbers, few distinct values, zeros of both signs, any bits at all
/// (with denormals, infinities and NaNs of every payload), and mixtures.
NpyArray makeRows(ElementType type, int64_t rows, int64_t d, uint64_t seed) {
  Format format(type);
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> values(rows * d);
  for (double &value : values)
    value = normal(random);
  NpyArray array = NpyArray::zeros(type, {1, 1, rows, d});
  fromDouble(values, array);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t i = row * d; i < (row + 1) * d; ++i) {
      uint32_t bits = readBits(array, i), any = static_cast<uint32_t>(random());
      bool isRare = random() % 8 == 0;
      switch (row % 9) {
      case 0: // normal numbers
        continue;
      case 1: // ties of both signs
        bits = format.one | (any & format.sign);
        break;
      case 2: // -1, 0, 1, with zeros of both signs
        bits = (any & format.sign) | (random() % 3 == 0 ? format.one : 0);
        break;
      case 3: // zeros
        bits = any & format.sign;
        break;
      case 4: // anything
        bits = any;
        break;
      case 5: // denormals
        bits = any & (format.sign | 0x7F);
        break;
      case 6: // some NaNs
        bits = isRare ? any | format.infinity | 1 : bits;
        break;
      case 7: // some infinities and NaNs
        bits = isRare ? (any & (format.sign | 1)) | format.infinity : bits;
        break;
      case 8: // two magnitudes that differ in the last bit
        bits = (any & (format.sign | 1)) | format.one;
        break;
      }
      writeBits(array, i, bits);
    }
  return array;
}

/// Equal bits; of a NaN only that it is one: conversions between types may change its payload.
bool isSame(const Format &format, uint32_t actual, uint32_t expected) {
  return actual == expected || (format.isNan(expected) && format.isNan(actual));
}

/// Codes and dense rows of rows of every kind, against the oracle.
void checkSparsify(ElementType type, int64_t d, int64_t k, bool isTwoFour, bool inOnePass) {
  Format format(type);
  std::string element = name(type).str();
  constexpr int64_t rows = 270; // two tiles of rows and a part of one
  std::string dense = fmt::format("tensor<?x1x?x{}x{}>", d, element);
  std::string codes = fmt::format("tensor<?x1x?x{}x{}, #sfa.codes<k = {}{}>>", d, element, k,
                                  isTwoFour ? ", two_four" : "");
  std::string body = fmt::format(inOnePass ? "  %c, %y = sfa.sparsify %x : {0} -> {1}, {0}\n"
                                           : "  %c = sfa.sparsify %x : {0} -> {1}\n"
                                             "  %y = sfa.densify %c : {1}\n",
                                 dense, codes);
  std::string text = fmt::format("func.func @sparsify(%x: {0}) -> ({1}, {0}) {{\n{2}"
                                 "  return %c, %y : {1}, {0}\n}}\n",
                                 dense, codes, body);
  auto executable = compileModule(text, "sparsify");
  ASSERT_TRUE(bool(executable)) << llvm::toString(executable.takeError()) << text;
  for (uint64_t seed : {1, 2}) {
    SCOPED_TRACE(fmt::format("seed {} of\n{}", seed, text));
    std::vector<NpyArray> arguments = {makeRows(type, rows, d, seed)};
    std::vector<NpyArray> results = run(**executable, arguments);
    ASSERT_EQ(results.size(), 3u);
    const NpyArray &x = arguments[0], &values = results[0], &indices = results[1], &y = results[2];
    oracle::Codes expected =
        (isTwoFour ? oracle::topkTwoFour : oracle::topk)(toDouble(x), rows, d, k);
    ASSERT_EQ(indices.type, d <= 256 ? ElementType::U8 : ElementType::U16);
    ASSERT_EQ(values.shape, (std::vector<int64_t>{1, 1, rows, expected.k}));
    ASSERT_EQ(indices.shape, values.shape);
    std::vector<double> features = toDouble(indices);
    std::vector<bool> isKept(rows * d);
    for (int64_t i = 0; i < rows * expected.k; ++i) {
      int64_t source = i / expected.k * d + expected.indices[i];
      isKept[source] = true;
      ASSERT_EQ(features[i], expected.indices[i])
          << "place " << i % expected.k << " of row " << i / expected.k;
      ASSERT_TRUE(isSame(format, readBits(values, i), readBits(x, source)))
          << std::hex << readBits(values, i) << " instead of " << readBits(x, source) << std::dec
          << " at place " << i % expected.k << " of row " << i / expected.k;
    }
    // A zero has no sign in dense rows that were written out.
    for (int64_t i = 0; i < rows * d; ++i) {
      uint32_t wanted = isKept[i] ? readBits(x, i) : 0;
      ASSERT_TRUE((format.isZero(wanted) && format.isZero(readBits(y, i))) ||
                  isSame(format, readBits(y, i), wanted))
          << std::hex << readBits(y, i) << " instead of " << wanted << std::dec << " at feature "
          << i % d << " of row " << i / d;
    }
  }
}

class Sparsify : public testing::TestWithParam<std::tuple<ElementType, int64_t>> {};

TEST_P(Sparsify, KeepsWhatTheOracleKeeps) {
  auto [type, d] = GetParam();
  // Types take turns: each d sees every k.
  const std::array<int64_t, 9> all = {1, 2, 3, 8, 16, std::max<int64_t>(d / 2, 1), d, d + 1, 2 * d};
  std::set<std::pair<int64_t, bool>> chosen;
  for (size_t i = (d + static_cast<int64_t>(type)) % 3; i < all.size(); i += 3)
    chosen.insert({all[i], false});
  if (d % 4 == 0)
    chosen.insert({type == ElementType::BF16 ? d / 2 : 7, true});
  // The full run has codes and dense rows of one pass and of two, the ordinary one takes turns.
  bool hasBoth = getTestExtent() != knobs::TestExtent::Ordinary;
  bool inOnePass = (d + static_cast<int64_t>(type)) % 2 == 0;
  for (auto [k, isTwoFour] : chosen) {
    checkSparsify(type, d, k, isTwoFour, inOnePass);
    if (hasBoth)
      checkSparsify(type, d, k, isTwoFour, !inOnePass);
    inOnePass = !inOnePass;
  }
}

std::string nameOf(const testing::TestParamInfo<Sparsify::ParamType> &info) {
  auto [type, d] = info.param;
  return fmt::format("{}_d{}", name(type).str(), d);
}

INSTANTIATE_TEST_SUITE_P(All, Sparsify,
                         testing::Combine(testing::ValuesIn(allTypes),
                                          testing::Values(1, 2, 5, 16, 32, 33, 64, 80, 128, 256,
                                                          257, 300)),
                         nameOf);

/// Heads, batches and few rows: each row is found where it belongs.
TEST(SparsifyRows, OfEveryHeadAndBatch) {
  std::string text = "func.func @sparsify(%x: tensor<?x3x?x40xf16>)\n"
                     "    -> tensor<?x3x?x40xf16, #sfa.codes<k = 5>> {\n"
                     "  %c = sfa.sparsify %x : tensor<?x3x?x40xf16>\n"
                     "    -> tensor<?x3x?x40xf16, #sfa.codes<k = 5>>\n"
                     "  return %c : tensor<?x3x?x40xf16, #sfa.codes<k = 5>>\n}\n";
  auto executable = compileModule(text, "sparsify");
  ASSERT_TRUE(bool(executable)) << llvm::toString(executable.takeError());
  for (auto [batch, tokens] :
       {std::pair(0, 5), std::pair(2, 0), std::pair(2, 1), std::pair(3, 129)}) {
    NpyArray x = makeRows(ElementType::F16, batch * 3 * tokens, 40, 1);
    x.shape = {batch, 3, tokens, 40};
    oracle::Codes expected = oracle::topk(toDouble(x), batch * 3 * tokens, 40, 5);
    std::vector<NpyArray> arguments = {std::move(x)};
    std::vector<NpyArray> results = run(**executable, arguments);
    ASSERT_EQ(results.size(), 2u);
    EXPECT_EQ(results[0].shape, (std::vector<int64_t>{batch, 3, tokens, 5}));
    EXPECT_EQ(toDouble(results[1]),
              std::vector<double>(expected.indices.begin(), expected.indices.end()));
  }
}

/// A place with value 0 adds nothing, whatever feature it names: also one that is taken.
TEST(Densify, OfPaddedCodes) {
  for (ElementType type : allTypes)
    for (int64_t d : {5, 16, 64, 256, 300}) {
      constexpr int64_t rows = 150, k = 4;
      std::string codes =
          fmt::format("tensor<1x1x?x{}x{}, #sfa.codes<k = {}>>", d, name(type).str(), k);
      std::string text = fmt::format("func.func @densify(%c: {0}) -> tensor<1x1x?x{1}x{2}> {{\n"
                                     "  %x = sfa.densify %c : {0}\n"
                                     "  return %x : tensor<1x1x?x{1}x{2}>\n}}\n",
                                     codes, d, name(type).str());
      auto executable = compileModule(text, "densify");
      ASSERT_TRUE(bool(executable)) << llvm::toString(executable.takeError()) << text;
      std::mt19937_64 random(d);
      std::vector<double> values(rows * k, 0.0), features(rows * k), expected(rows * d, 0.0);
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t t = 0; t < k; ++t) {
          int64_t i = row * k + t;
          bool isPadding = t >= row % (k + 1);
          // The first pairs ascend in their part of the row; padding names anything.
          features[i] = isPadding ? random() % d : t * d / k + random() % (d / k);
          values[i] = isPadding ? (random() % 2 ? 0.0 : -0.0)
                                : 0.25 * (1 + random() % 100) * (random() % 2 ? 1 : -1);
          if (!isPadding)
            expected[row * d + static_cast<int64_t>(features[i])] = values[i];
        }
      std::vector<NpyArray> arguments = {
          NpyArray::zeros(type, {1, 1, rows, k}),
          NpyArray::zeros(d <= 256 ? ElementType::U8 : ElementType::U16, {1, 1, rows, k})};
      fromDouble(values, arguments[0]);
      fromDouble(features, arguments[1]);
      std::vector<NpyArray> results = run(**executable, arguments);
      ASSERT_EQ(results.size(), 1u);
      EXPECT_EQ(toDouble(results[0]), expected) << text;
    }
}

} // namespace
