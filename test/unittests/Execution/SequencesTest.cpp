//===- SequencesTest.cpp - Sequences of several lengths in one tensor -----===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AllKernels.h"
#include "Judge.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <numeric>
#include <random>

using namespace sfa;
using namespace sfa::test;

using Values = std::vector<double>;

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

/// Numbers of queries and keys.
using Lengths = std::vector<std::pair<int64_t, int64_t>>;

Shape totalOf(const Lengths &lengths) {
  Shape total{1, 0, 0};
  for (auto [numQueries, numKeys] : lengths) {
    total.numQueries += numQueries;
    total.numKeys += numKeys;
  }
  return total;
}

NpyArray makeOffsets(const std::vector<int64_t> &offsets) {
  NpyArray array = NpyArray::zeros(ElementType::I32, {static_cast<int64_t>(offsets.size())});
  fromDouble(Values(offsets.begin(), offsets.end()), array);
  return array;
}

/// The tokens [first, first + count) of every head of an array [heads, total, width].
Values slice(const Values &packed, int64_t total, int64_t width, int64_t first, int64_t count) {
  Values part;
  for (size_t head = 0; total && head < packed.size() / (total * width); ++head) {
    auto begin = packed.begin() + (head * total + first) * width;
    part.insert(part.end(), begin, begin + count * width);
  }
  return part;
}

/// The reverse: writes `part` there.
void insert(Values &packed, int64_t total, int64_t width, int64_t first, int64_t count,
            const Values &part) {
  for (size_t head = 0; count && head < part.size() / (count * width); ++head)
    std::copy_n(part.begin() + head * count * width, count * width,
                packed.begin() + (head * total + first) * width);
}

/// Sequences one after the other, and what is right for each of them.
struct Packed {
  Inputs inputs;
  Shape total;
  Lengths lengths;
  std::vector<int64_t> queryOffsets = {0}, keyOffsets = {0};
  std::vector<Reference> references;

  Packed(const Configuration &c, const Lengths &lengths, uint64_t seed)
      : total(totalOf(lengths)), lengths(lengths) {
    inputs.q.resize(c.queryHeads * total.numQueries * c.d);
    inputs.k.resize(c.keyHeads * total.numKeys * c.d);
    inputs.v.resize(c.keyHeads * total.numKeys * c.dv);
    for (auto [numQueries, numKeys] : lengths) {
      Shape shape{1, numQueries, numKeys};
      Inputs own = makeInputs(c, shape, Support::Uniform, seed++);
      references.push_back(makeReference(c, shape, own));
      put(c, queryOffsets.size() - 1, own, numQueries, numKeys);
      queryOffsets.push_back(queryOffsets.back() + numQueries);
      keyOffsets.push_back(keyOffsets.back() + numKeys);
    }
  }

  /// Fills sequence `s` with numbers that are not finite.
  void spoil(const Configuration &c, size_t s) {
    auto [numQueries, numKeys] = lengths[s];
    auto fill = [](int64_t size) {
      Values values(size, nan);
      for (int64_t i = 0; i < size; i += 3)
        values[i] = i % 2 ? infinity : -infinity;
      return values;
    };
    put(c, s,
        {fill(c.queryHeads * numQueries * c.d), fill(c.keyHeads * numKeys * c.d),
         fill(c.keyHeads * numKeys * c.dv)},
        numQueries, numKeys);
  }

  oracle::Result run(const Kernel &kernel, const std::vector<int64_t> &queryOffsets,
                     const std::vector<int64_t> &keyOffsets) const {
    std::vector<NpyArray> arguments = makeArguments(kernel.configuration, total, inputs);
    arguments.push_back(makeOffsets(queryOffsets));
    arguments.push_back(makeOffsets(keyOffsets));
    return kernel(arguments);
  }
  oracle::Result run(const Kernel &kernel) const { return run(kernel, queryOffsets, keyOffsets); }

  /// The part of sequence `s` of a result.
  oracle::Result resultOf(const Configuration &c, size_t s, const oracle::Result &all) const {
    oracle::Result part;
    part.o = slice(all.o, total.numQueries, c.dv, queryOffsets[s], lengths[s].first);
    part.lse = slice(all.lse, total.numQueries, 1, queryOffsets[s], lengths[s].first);
    return part;
  }

private:
  void put(const Configuration &c, size_t s, const Inputs &own, int64_t numQueries,
           int64_t numKeys) {
    insert(inputs.q, total.numQueries, c.d, queryOffsets[s], numQueries, own.q);
    insert(inputs.k, total.numKeys, c.d, keyOffsets[s], numKeys, own.k);
    insert(inputs.v, total.numKeys, c.dv, keyOffsets[s], numKeys, own.v);
  }
};

Lengths makeLengths(uint64_t seed) {
  std::mt19937_64 random(seed);
  Lengths lengths(1 + random() % 9);
  for (auto &[numQueries, numKeys] : lengths) {
    numQueries = random() % (random() % 2 ? 90 : 4);
    numKeys = random() % (random() % 2 ? 90 : 4);
  }
  return lengths;
}

/// Around the tiles of 16 queries and 32 keys; empty ones at the ends and side by side.
const Lengths edges = {{0, 0},   {1, 1},   {0, 7},  {15, 31}, {16, 32}, {17, 33}, {5, 0},
                       {33, 65}, {48, 20}, {1, 70}, {0, 0},   {0, 0},   {31, 1},  {4, 0}};

/// Holds every strategy and softmax form against the oracle, sequence by sequence, when its
/// neighbours are ordinary and when they hold NaN and infinities.
void check(Configuration base, const std::vector<Lengths> &problems) {
  base.hasSequences = true;
  base.queryHeads = 4;
  std::vector<Configuration> configurations = withAllKernels(base);
  for (size_t i = 0; i < configurations.size(); ++i)
    configurations[i].type = allTypes[(i / 2 + i) % allTypes.size()];
  configurations[0].queryForm = configurations[0].keyForm = Form::Dense;
  for (const Kernel &kernel : compileAll(configurations)) {
    if (!kernel)
      continue;
    const Configuration &c = kernel.configuration;
    Judge judge(c);
    for (const Lengths &lengths : problems) {
      Packed packed(c, lengths, 1);
      for (size_t period : {0, 2}) {
        for (size_t s = 0; period && s < lengths.size(); s += period)
          packed.spoil(c, s);
        oracle::Result all = packed.run(kernel);
        for (size_t s = 0; s < lengths.size(); ++s) {
          if (period && s % period == 0)
            continue;
          const oracle::Result &expected = packed.references[s].expected;
          oracle::Result actual = packed.resultOf(c, s, all);
          std::string label =
              fmt::format("sequence {} of {}, n_q={} n_k={}{}", s, lengths.size(), lengths[s].first,
                          lengths[s].second, period ? ", between others that hold NaN" : "");
          ASSERT_EQ(actual.lse.size(), expected.lse.size()) << label;
          for (size_t row = 0; row < actual.lse.size(); ++row) {
            ASSERT_EQ(actual.lse[row] == -infinity, expected.lse[row] == -infinity) << label;
            if (actual.lse[row] == -infinity) {
              for (int64_t f = 0; f < c.dv; ++f)
                ASSERT_EQ(actual.o[row * c.dv + f], 0) << label;
            }
          }
          judge.add(label, packed.references[s], actual);
        }
      }
    }
    judge.finish();
  }
}

std::vector<Lengths> someProblems(uint64_t seed) {
  return {edges, makeLengths(seed), makeLengths(seed + 1), {{100, 100}}, {{0, 0}, {0, 0}}};
}

TEST(Sequences, AreAttendedToAlone) {
  Configuration base;
  base.qTile = 16;
  base.kTile = 32;
  check(base, someProblems(1));
}

TEST(Sequences, AreAttendedToAloneByACausalMask) {
  Configuration base;
  base.mask = oracle::Mask::Causal;
  base.qTile = 16;
  base.kTile = 32;
  base.dv = 40;
  check(base, someProblems(3));
}

TEST(Sequences, AreAttendedToAloneByAWindow) {
  Configuration base;
  base.mask = oracle::Mask::Window;
  base.left = 20;
  base.right = 3;
  base.qTile = 16;
  base.kTile = 16;
  base.keyForm = Form::Sparsified;
  check(base, someProblems(5));
}

TEST(Sequences, AreAttendedToAloneInSplits) {
  Configuration base;
  base.mask = oracle::Mask::Causal;
  base.qTile = 16;
  base.kTile = 32;
  base.splits = 3;
  check(base, someProblems(7));
}

/// Tiles of 8 queries of two heads.
TEST(Sequences, AreAttendedToAloneByPackedHeads) {
  Configuration base;
  base.mask = oracle::Mask::Causal;
  base.qTile = 16;
  base.kTile = 32;
  base.packedHeads = 2;
  check(base, someProblems(9));
  base.mask = oracle::Mask::None;
  base.splits = 2;
  check(base, someProblems(11));
}

/// Two blocks of query rows in a tile, the default tile of keys.
TEST(Sequences, AreAttendedToAloneInLargeTiles) {
  Configuration base;
  base.mask = oracle::Mask::Causal;
  base.qTile = 256;
  base.kTile = 128;
  check(base, {{{130, 127}, {1, 1}, {257, 300}, {0, 3}, {128, 129}}});
}

/// What the documentation says of offsets that are not right: each is brought into the memory, and
/// a sequence that ends before it begins is empty.
TEST(Sequences, AreWithinTheMemoryWhateverTheOffsets) {
  Configuration base;
  base.hasSequences = true;
  base.qTile = 16;
  base.kTile = 32;
  constexpr int64_t most = std::numeric_limits<int32_t>::max(), least = -most - 1;
  std::mt19937_64 random(1);
  std::vector<Configuration> configurations = withAllKernels(base);
  configurations.push_back(base);
  configurations.back().splits = 3;
  for (const Kernel &kernel : compileAll(configurations)) {
    if (!kernel)
      continue;
    const Configuration &c = kernel.configuration;
    Packed packed(c, {{20, 33}, {40, 40}}, 1);
    int64_t n = packed.total.numQueries, m = packed.total.numKeys;
    oracle::Result expected = packed.run(kernel, {0, 20, n, n}, {0, 33, m, m});
    oracle::Result clamped = packed.run(kernel, {least, 20, most, n + 1}, {-5, 33, m + 9, m + 7});
    EXPECT_EQ(clamped.o, expected.o) << describeRepetition(c);
    EXPECT_EQ(clamped.lse, expected.lse) << describeRepetition(c);

    const std::vector<int64_t> wrong[] = {{most, most, most, most},
                                          {least, least, least, least},
                                          {most, 30, 10, least},
                                          {10, 20, 30, 40},
                                          {n, 0, n, 0}};
    for (const std::vector<int64_t> &offsets : wrong)
      EXPECT_EQ(packed.run(kernel, offsets, offsets).o.size(), expected.o.size());
    for (int turn = 0; turn < 20; ++turn) {
      std::vector<int64_t> first, second;
      for (int i = 0; i < 6; ++i) {
        first.push_back(static_cast<int32_t>(random()) >> random() % 32);
        second.push_back(static_cast<int32_t>(random()) >> random() % 32);
      }
      EXPECT_EQ(packed.run(kernel, first, second).o.size(), expected.o.size());
    }
  }
}

} // namespace
