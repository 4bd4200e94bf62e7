//===- TwoFour.cpp - 2:4 operands of sparse products ----------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Drawing.h"
#include "Layouts.h"

#include "dialects/GPU/Layouts.h"
#include "tools/Common/CommandLine.h"

#include <array>
#include <fmt/format.h>

using namespace llvm;
using namespace mlir;
using namespace sfa;
using namespace sfa::layout;
using simt::TwoFourLayout, simt::TwoFourType;

static cl::SubCommand command("two-four", "The 2:4 part and the surplus of a row of codes");

static cl::opt<std::string> featuresText("features", cl::sub(command), cl::cat(category()),
                                         cl::desc("Features of the row (default 64)"),
                                         cl::value_desc("number"), cl::init("64"));
static cl::opt<std::string> rowText("row", cl::sub(command), cl::cat(category()),
                                    cl::desc("Its non-zeros"), cl::value_desc("feature:value,..."),
                                    cl::init("0:1,1:2,3:-3,9:4,18:5,20:6,22:-7,23:8,40:9,63:1.5"));

static constexpr char explanation[] =
    R"(draw the 2:4 part, the surplus and the places of a row of codes

A slice of 32 features has eight groups of four. The first two non-zeros of a group go to the part, the others to the
surplus. Of each pair four bits say which two of the four features it has: i + 4 j for features i < j. The row of the
picture is row g of 16 rows of a warp, whose lanes are (g, t); "lane" and "places in" give t. Row g + 8 has the same
lanes: its pairs are one register behind, its places in the high half of registers.

  sfa-layout two-four
  sfa-layout two-four --features 32 --row 4:1,5:2,6:3
)";

namespace {
/// What is taken of a group: two values, and the bits of their places.
struct Taken {
  std::array<double, 2> values;
  int64_t places;
};
} // namespace

/// Takes two values out of a group; what is left is the surplus.
static Taken takeTwo(MutableArrayRef<double> group) {
  auto [i, j] = TwoFourLayout::firstTwo(group[0] != 0, group[1] != 0, group[2] != 0);
  Taken taken = {{group[i], group[j]}, TwoFourLayout::placesOf<int64_t>(i, j)};
  group[i] = group[j] = 0;
  return taken;
}

static std::string join(ArrayRef<double> values) {
  std::string text;
  for (double value : values)
    text += (text.empty() ? "" : " ") + number(value);
  return text;
}

static llvm::Error draw(MLIRContext &context, raw_ostream &stream) {
  llvm::Expected<int64_t> features = parseNumber("features", featuresText, 1, 1 << 20);
  if (!features)
    return features.takeError();
  if (llvm::Error error = checkGpuFeatures(*features))
    return error;
  llvm::Expected<TwoFourType> type = verified(context, [&](EmitError emitError) {
    return TwoFourType::getChecked(emitError, &context, int64_t(16), *features, getElement(context),
                                   /*inRegisters=*/false);
  });
  if (!type)
    return type.takeError();
  llvm::Expected<std::vector<Pair>> row = parseRow(rowText, *features);
  if (!row)
    return row.takeError();
  constexpr int64_t columns = TwoFourType::sliceColumns, quad = 4, halves = 2;
  std::vector<double> dense(type->getNumSlices() * columns);
  for (const Pair &pair : *row)
    dense[pair.feature] = pair.value;

  stream << *type << '\n';
  // The places of a half of a slice, as 16 bits; of the part and of the surplus.
  std::vector<std::array<int64_t, 2>> places(type->getNumSlices() * halves);
  int64_t slicesWithSurplus = 0;
  for (int64_t slice = 0; slice < type->getNumSlices(); ++slice) {
    stream << fmt::format("\nslice {}, features {}\n\n", slice,
                          range(slice * columns, std::min((slice + 1) * columns, *features) - 1));
    Table table("llrrlrrlrr", {"features", "values", "lane", "register", "part", "places", "byte",
                               "surplus", "places", "byte"});
    for (int64_t number = 0; number < TwoFourLayout::numPairs; ++number) {
      // Row g; the others are those of row g + 8.
      if (TwoFourLayout::rowOfPair(number) != 0)
        continue;
      int64_t half = TwoFourLayout::halfOfPair(number);
      for (int64_t t = 0; t < quad; ++t) {
        int64_t first = TwoFourLayout::byteOfGroup(t, slice, half) / 2;
        MutableArrayRef<double> group = MutableArrayRef(dense).slice(first, 4);
        Table::Row cells{range(first, first + 3), join(group), std::to_string(t),
                         std::to_string(number)};
        for (bool isSurplus : {false, true}) {
          Taken taken = takeTwo(group);
          if (isSurplus && taken.values != std::array<double, 2>())
            slicesWithSurplus |= int64_t(1) << slice;
          places[slice * halves + half][isSurplus] |= taken.places
                                                      << TwoFourLayout::shiftOfGroup(t);
          llvm::append_values(cells, join(taken.values), fmt::format("{:04b}", taken.places),
                              std::to_string(TwoFourLayout::byteOfPair(t, slice, half, isSurplus)));
        }
        table.add(cells);
      }
    }
    table.print(stream);
  }

  stream << "\nregisters of places: low half, the last group of four first\n\n";
  Table registers("rrllll", {"register", "lane", "features", "part", "surplus"});
  for (int64_t number = 0; number < type->getNumPlaceRegisters(); ++number)
    for (int64_t t = 0; t < quad; ++t) {
      int64_t slice = 2 * number + TwoFourLayout::sliceOfPlaces(t),
              half = TwoFourLayout::halfOfPlaces(t);
      // Behind the last slice nobody reads them.
      if (slice >= type->getNumSlices())
        continue;
      int64_t first = slice * columns + half * (columns / halves);
      Table::Row cells{std::to_string(number), std::to_string(t),
                       range(first, first + columns / halves - 1)};
      for (int64_t bits : places[slice * halves + half])
        cells.push_back(fmt::format("{:04b} {:04b} {:04b} {:04b}", bits >> 12, bits >> 8 & 15,
                                    bits >> 4 & 15, bits & 15));
      registers.add(cells);
    }
  registers.print(stream);
  std::string names;
  for (int64_t slice = 0; slice < type->getNumSlices(); ++slice)
    if (slicesWithSurplus >> slice & 1)
      names += fmt::format("{}{}", names.empty() ? "" : ", ", slice);
  stream << fmt::format("\nslices with a surplus: {}\n", names.empty() ? "none" : names);
  return llvm::Error::success();
}

const Layout sfa::layout::twoFour = {command, explanation, draw};
