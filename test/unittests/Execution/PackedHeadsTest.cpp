//===- PackedHeadsTest.cpp - Query heads of a group that share a query tile ===//
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

// Fewer queries than a head has rows in a tile, as many, some more, several tiles; rows that see no
// key.
constexpr Shape shapes[] = {{1, 1, 300}, {2, 3, 217}, {1, 17, 133}, {2, 20, 9}, {1, 70, 70}};

/// The four tests of a packing take turns.
void check(const Configuration &base, size_t turn) {
  const size_t first = turn;
  std::vector<Configuration> configurations = withAllKernels(base);
  for (Configuration &configuration : configurations)
    configuration.type = allTypes[turn++ % allTypes.size()];
  configurations[turn % 2].queryForm = Form::Dense;
  checkKernels(chooseForThisRun(configurations, first, /*step=*/4), shapes);
}

/// Heads of a group, those of them that share a tile, and the rows of a tile.
struct Packing {
  int64_t group, heads, qTile;
};

class PackedHeads : public testing::TestWithParam<Packing> {
protected:
  static Configuration base() {
    Configuration c;
    c.keyHeads = 2;
    c.queryHeads = c.keyHeads * GetParam().group;
    c.packedHeads = GetParam().heads;
    c.qTile = GetParam().qTile;
    c.kTile = 16;
    return c;
  }
};

TEST_P(PackedHeads, SeeAllKeys) { check(base(), GetParam().heads + 3); }

TEST_P(PackedHeads, UnderACausalMask) {
  Configuration c = base();
  c.mask = oracle::Mask::Causal;
  c.dv = 40; // no whole vectors
  check(c, GetParam().heads);
}

TEST_P(PackedHeads, UnderAWindow) {
  Configuration c = base();
  c.mask = oracle::Mask::Window;
  c.left = 50;
  c.right = 3;
  c.hasLse = GetParam().heads % 2 == 0;
  check(c, GetParam().heads + 1);
}

TEST_P(PackedHeads, WithSplits) {
  Configuration c = base();
  c.mask = GetParam().heads == 4 ? oracle::Mask::None : oracle::Mask::Causal;
  c.splits = GetParam().group == 4 ? 3 : 8;
  c.hasLse = GetParam().heads > 2;
  check(c, GetParam().heads + 2);
}

// Blocks of 128 rows in which there are rows of one head, of whole heads, and of parts of heads;
// rows that are left over.
INSTANTIATE_TEST_SUITE_P(All, PackedHeads,
                         testing::Values(Packing{2, 2, 16}, Packing{4, 4, 32}, Packing{4, 2, 8},
                                         Packing{8, 8, 8}, Packing{8, 8, 64}, Packing{3, 3, 24},
                                         Packing{2, 2, 256}, Packing{4, 4, 256}, Packing{4, 4, 384},
                                         Packing{5, 5, 8}, Packing{7, 7, 64}, Packing{6, 3, 104},
                                         Packing{5, 5, 384}),
                         [](const testing::TestParamInfo<Packing> &info) {
                           return fmt::format("{}of{}in{}", info.param.heads, info.param.group,
                                              info.param.qTile);
                         });

/// The compiler chooses a tile that has room for the heads.
TEST(PackedHeads, InAChosenTile) {
  for (int64_t numQueries : {1, 5, 40, 3000}) {
    Configuration c;
    c.queryHeads = 6;
    c.keyHeads = 1;
    c.packedHeads = 3;
    c.mask = oracle::Mask::Causal;
    c.staticShape = {1, numQueries, 100};
    Kernel kernel = compileOne(c);
    if (!kernel)
      continue;
    Judge judge(c);
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      Inputs inputs = makeInputs(c, *c.staticShape, Support::Uniform, seed);
      judge.add(fmt::format("n_q={} seed={}", numQueries, seed),
                makeReference(c, *c.staticShape, inputs), kernel(*c.staticShape, inputs));
    }
    judge.finish();
  }
}

} // namespace
