//===- FeatureMajor.cpp - Tiles of keys, feature by feature ---------------===//
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

#include <fmt/format.h>

using namespace llvm;
using namespace mlir;
using namespace sfa;
using namespace sfa::layout;
using simt::GatherLayout;

static cl::SubCommand command("feature-major", "Tiles of keys, feature by feature, for gather");

static cl::opt<std::string> tokensText("tokens", cl::sub(command), cl::cat(category()),
                                       cl::desc("Tokens of a head (default 96)"),
                                       cl::value_desc("number"), cl::init("96"));
static cl::opt<std::string> featuresText("features", cl::sub(command), cl::cat(category()),
                                         cl::desc("Features (default 64)"),
                                         cl::value_desc("number"), cl::init("64"));
static cl::opt<std::string> tileText("tile", cl::sub(command), cl::cat(category()),
                                     cl::desc("Tokens of a tile (default 64)"),
                                     cl::value_desc("number"), cl::init("64"));

static constexpr char explanation[] =
    R"(draw tiles of keys, feature by feature, as the strategy gather reads them

A tile has feature 0 of its tokens, then feature 1, and so on. Of each 32 tokens of a feature those that one lane of a
quad needs follow each other. A line of the picture has 16 bytes, which the lanes (g, t) with its t read at once: the
number of that load, of the loads of a feature, is given for even and for odd g. A dash is a 0 behind the last token.

  sfa-layout feature-major
  sfa-layout feature-major --tokens 128 --tile 128 --features 256
)";

/// The number of the load with which a lane of `g` reads byte `byte` of a feature, and its t.
static std::pair<int64_t, int64_t> findReader(int64_t g, int64_t byte) {
  constexpr int64_t bytesOfTwo = 2 * GatherLayout::patternBytes;
  for (int64_t t = 0; t < 4; ++t) {
    if (GatherLayout::firstByte(g, t) == byte % bytesOfTwo)
      return {byte / bytesOfTwo * 2, t};
    if (GatherLayout::secondByte(g, t) == byte % bytesOfTwo)
      return {byte / bytesOfTwo * 2 + 1, t};
  }
  llvm_unreachable("a byte of a tile that no lane reads");
}

static llvm::Error draw(MLIRContext &context, raw_ostream &stream) {
  llvm::Expected<int64_t> tokens = parseNumber("tokens", tokensText, 1, 1024);
  if (!tokens)
    return tokens.takeError();
  llvm::Expected<int64_t> features = parseNumber("features", featuresText, 1, 1 << 20);
  if (!features)
    return features.takeError();
  llvm::Expected<int64_t> tile = parseNumber("tile", tileText, 1, 1 << 20);
  if (!tile)
    return tile.takeError();
  if (llvm::Error error = checkGpuFeatures(*features))
    return error;
  llvm::Expected<FeatureMajorAttr> encoding = verified(context, [&](EmitError emitError) {
    return FeatureMajorAttr::getChecked(emitError, &context, *tile);
  });
  if (!encoding)
    return encoding.takeError();
  // The codes of queries that such tiles are gathered for bound them.
  llvm::Expected<simt::CodesType> queries = verified(context, [&](EmitError emitError) {
    return simt::CodesType::getChecked(emitError, &context, /*rows=*/int64_t(16), *features,
                                       getElement(context), /*k=*/int64_t(1), *tile,
                                       /*inRegisters=*/true);
  });
  if (!queries)
    return queries.takeError();
  llvm::Expected<RankedTensorType> tensor = getTensor(context, *tokens, *features, *encoding);
  if (!tensor)
    return tensor.takeError();

  RankedTensorType physical = getPhysicalTensors(*tensor).front();
  int64_t featureBytes = 2 * *tile, numTiles = physical.getDimSize(2);
  stream << *tensor << '\n' << "  in memory  " << physical << '\n';
  std::vector<int64_t> tokenAt(*tile);
  for (int64_t token = 0; token < *tile; ++token)
    tokenAt[FeatureMajorAttr::placeOf(token)] = token;
  for (int64_t number = 0; number < numTiles; ++number) {
    int64_t first = number * *tile;
    stream << fmt::format("\ntile {}, tokens {}: feature f is at byte {} + {} f\n\n", number,
                          range(first, std::min(first + *tile, *tokens) - 1),
                          number * *features * featureBytes, featureBytes);
    Table table("rcrrl", {"bytes of f", "lane t", "load, g even", "g odd", "tokens"});
    for (int64_t byte = 0; byte < featureBytes; byte += GatherLayout::bytesOfLane) {
      auto [even, t] = findReader(/*g=*/0, byte);
      int64_t odd = findReader(/*g=*/1, byte).first;
      std::string held;
      for (int64_t place = byte / 2; place < (byte + GatherLayout::bytesOfLane) / 2; ++place) {
        int64_t token = first + tokenAt[place];
        held += token < *tokens ? fmt::format("{:>5}", token) : "    -";
      }
      table.add({range(byte, byte + GatherLayout::bytesOfLane - 1), std::to_string(t),
                 std::to_string(even), std::to_string(odd), held});
    }
    table.print(stream);
  }
  return llvm::Error::success();
}

const Layout sfa::layout::featureMajor = {command, explanation, draw};
