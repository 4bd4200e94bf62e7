//===- Families.cpp - Which combinations of parameters the matrix of tests runs -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Families.h"

#include <array>
#include <fmt/format.h>

using namespace sfa;
using namespace sfa::test;

static constexpr std::array types = {ElementType::F32, ElementType::F16, ElementType::BF16};
static constexpr std::array masks = {oracle::Mask::None, oracle::Mask::Causal,
                                     oracle::Mask::Window};
static constexpr std::array keyHeadsOfFour = {4, 2};
static constexpr std::array<int64_t, 5> features = {32, 64, 80, 128, 256};
/// 0 is k = d.
static constexpr std::array<int64_t, 5> kept = {1, 4, 8, 16, 0};
static constexpr std::array strategies = {Strategy::Dense, Strategy::Gather, Strategy::Scatter,
                                          Strategy::SparseMma};
static constexpr std::array softmaxes = {Softmax::Online, Softmax::Lazy};

namespace {
struct Tiles {
  std::optional<int64_t> q, k;
};
struct Window {
  std::optional<int64_t> left, right;
};
} // namespace

/// The compiler's choice, and smaller tiles, whose loops run more often.
static constexpr std::array<Tiles, 3> tiles = {{{std::nullopt, std::nullopt}, {32, 32}, {8, 16}}};

/// With small tiles the first tile of keys is masked for the last queries of a tile.
static constexpr std::array<Window, 5> windows = {
    {{40, 0}, {40, 25}, {0, 0}, {std::nullopt, 10}, {100, std::nullopt}}};

constexpr size_t numCombinations = types.size() * masks.size() * keyHeadsOfFour.size();
constexpr size_t numTriples = features.size() * features.size() * kept.size();

/// `number` only turns what the name does not say.
static Family makeFamily(size_t combination, size_t triple, size_t number,
                         knobs::TestExtent extent) {
  Family family;
  Configuration &c = family.base;
  c.type = types[combination % types.size()];
  c.mask = masks[combination / types.size() % masks.size()];
  c.queryHeads = 4;
  c.keyHeads = keyHeadsOfFour[combination / (types.size() * masks.size())];
  if (c.keyHeads == c.queryHeads)
    c.queryHeads = c.keyHeads = 2; // MHA is as well tested, and cheaper
  if (c.mask == oracle::Mask::Window) {
    c.left = windows[number % windows.size()].left;
    c.right = windows[number % windows.size()].right;
  }
  c.d = features[triple % features.size()];
  c.dv = features[triple / features.size() % features.size()];
  int64_t k = kept[triple / (features.size() * features.size())];
  c.queryK = c.keyK = k == 0 ? c.d : k;
  c.qTile = tiles[(number / 3 + number / 18) % tiles.size()].q;
  c.kTile = tiles[(number / 3 + number / 18) % tiles.size()].k;
  // Selecting features is tested by itself; here it costs as much time as the attention.
  size_t form = number % 7;
  c.queryForm = form == 0 || form == 1 ? Form::Sparsified : Form::Codes;
  c.keyForm = form == 0 || form == 2 ? Form::Sparsified : Form::Codes;
  c.hasLse = true;
  constexpr std::array<const char *, 3> maskNames = {"none", "causal", "window"};
  // Every third kind, and all three thirds for each type, mask and tile.
  bool hasAllSupports = extent != knobs::TestExtent::Ordinary;
  for (size_t i = 0; i < allSupports.size(); ++i)
    if (hasAllSupports || i % 3 == (number + number / 3) % 3)
      family.supports.push_back(allSupports[i]);
  family.name = fmt::format(
      "{}_{}_{}_d{}_dv{}_k{}_{}", name(c.type).str(), maskNames[static_cast<size_t>(c.mask)],
      c.keyHeads == c.queryHeads ? "mha" : "gqa", c.d, c.dv, c.queryK, number);
  return family;
}

static void addKernel(Family &family, Strategy strategy, Softmax softmax) {
  Configuration kernel = family.base;
  kernel.strategy = strategy;
  kernel.softmax = softmax;
  family.kernels.push_back(kernel);
}

static std::vector<Family> makeWholeProduct() {
  std::vector<Family> families;
  for (size_t combination = 0; combination < numCombinations; ++combination)
    for (size_t triple = 0; triple < numTriples; ++triple) {
      families.push_back(
          makeFamily(combination, triple, families.size(), knobs::TestExtent::Product));
      for (Strategy strategy : strategies)
        for (Softmax softmax : softmaxes)
          addKernel(families.back(), strategy, softmax);
    }
  return families;
}

std::vector<Family> sfa::test::makeFamilies(knobs::TestExtent extent) {
  if (extent == knobs::TestExtent::Product)
    return makeWholeProduct();
  constexpr size_t withEveryTriple = 7;
  static_assert(withEveryTriple * numCombinations >= numTriples);
  size_t familiesOfCombination = extent == knobs::TestExtent::Full ? withEveryTriple : 4;
  std::vector<Family> families;
  for (size_t turn = 0; turn < familiesOfCombination; ++turn)
    for (size_t combination = 0; combination < numCombinations; ++combination) {
      size_t number = families.size();
      // 44 has no divisor in common with the number of triples: neighbours are far apart.
      families.push_back(makeFamily(combination, number * 44 % numTriples, number, extent));
      for (size_t s = 0; s < strategies.size(); ++s)
        addKernel(families.back(), strategies[s], softmaxes[(turn + turn / 2 + s) % 2]);
    }
  return families;
}

knobs::TestExtent sfa::test::getTestExtent() { return llvm::cantFail(knobs::testExtent()); }
