//===- Postings.cpp - The picture of posting lists ------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Drawing.h"
#include "Layouts.h"
#include "dialects/SFA/SFA.h"
#include "tools/Common/CommandLine.h"
#include "llvm/ADT/STLExtras.h"

#include <fmt/format.h>

using namespace llvm;
using namespace mlir;
using namespace sfa;
using namespace sfa::layout;

static cl::SubCommand command("postings", "Tiles of keys as lists by feature, for scatter");

static cl::opt<std::string> tokensText("tokens", cl::sub(command), cl::cat(category()),
                                       cl::desc("Tokens of a head (default 14)"),
                                       cl::value_desc("number"), cl::init("14"));
static cl::opt<std::string> featuresText("features", cl::sub(command), cl::cat(category()),
                                         cl::desc("Features (default 16)"),
                                         cl::value_desc("number"), cl::init("16"));
static cl::opt<std::string> codesText("k", cl::sub(command), cl::cat(category()),
                                      cl::desc("Non-zeros of a token (default 2)"),
                                      cl::value_desc("number"), cl::init("2"));
static cl::opt<std::string> tileText("tile", cl::sub(command), cl::cat(category()),
                                     cl::desc("Tokens of a tile (default 16)"),
                                     cl::value_desc("number"), cl::init("16"));

static constexpr char explanation[] =
    R"(draw tiles of keys as posting lists, as the strategy scatter reads them

A tile has two halves of its tokens, for the two lanes of a warp that share a query. A half says where the list of each
feature begins, and then has list after list: for each token of the half that holds the feature a word of its value and of
the byte where its row of scores begins. The keys of the picture all have feature 3, and others that go round.

  sfa-layout postings
  sfa-layout postings --tokens 64 --tile 64 --features 32 --k 4
)";

/// The features of a token of the picture, ascending.
static SmallVector<int64_t> featuresOf(int64_t token, int64_t features, int64_t k) {
  SmallVector<int64_t> held{std::min<int64_t>(3, features - 1)};
  for (int64_t next = 5 * token % features; static_cast<int64_t>(held.size()) < k;
       next = (next + 1) % features)
    if (!is_contained(held, next))
      held.push_back(next);
  llvm::sort(held);
  return held;
}

static llvm::Error draw(MLIRContext &context, raw_ostream &stream) {
  llvm::Expected<int64_t> tokens = parseNumber("tokens", tokensText, 1, 1024);
  if (!tokens)
    return tokens.takeError();
  llvm::Expected<int64_t> features = parseNumber("features", featuresText, 1, 1 << 20);
  if (!features)
    return features.takeError();
  llvm::Expected<int64_t> k = parseNumber("k", codesText, 1, 1 << 20);
  if (!k)
    return k.takeError();
  llvm::Expected<int64_t> tile = parseNumber("tile", tileText, 1, 1 << 20);
  if (!tile)
    return tile.takeError();
  llvm::Expected<PostingsAttr> encoding = verified(context, [&](EmitError emitError) {
    return PostingsAttr::getChecked(emitError, &context, *k, *tile);
  });
  if (!encoding)
    return encoding.takeError();
  llvm::Expected<RankedTensorType> tensor = getTensor(context, *tokens, *features, *encoding);
  if (!tensor)
    return tensor.takeError();

  RankedTensorType physical = getPhysicalTensors(*tensor).front();
  stream << *tensor << '\n' << "  in memory  " << physical << '\n';
  int64_t halfTokens = *tile / 2, halfBytes = PostingsAttr::getHalfBytes(*tile, *features, *k);
  for (int64_t half = 0; half < 2 * physical.getDimSize(2); ++half) {
    int64_t first = half * halfTokens, last = std::min(first + halfTokens, *tokens) - 1;
    stream << fmt::format("\ntile {}, half {}, {}: from byte {} on\n\n", half / 2, half % 2,
                          first > last ? "no tokens" : "tokens " + range(first, last),
                          half * halfBytes);
    Table table("rrl", {"feature", "list at", "entries: token, byte of its scores"});
    int64_t begin = PostingsAttr::getHeaderBytes(*features);
    for (int64_t feature = 0; feature < *features; ++feature) {
      std::string entries;
      int64_t bytes = 0;
      for (int64_t token = first; token <= last; ++token)
        if (is_contained(featuresOf(token, *features, *k), feature)) {
          entries += fmt::format("{}{} {}", entries.empty() ? "" : ", ", token,
                                 (token - first) * PostingsAttr::scoreRowBytes);
          bytes += PostingsAttr::entryBytes;
        }
      table.add({std::to_string(feature), std::to_string(begin), entries.empty() ? "-" : entries});
      begin += bytes;
    }
    table.add({"end", std::to_string(begin), ""});
    table.print(stream);
  }
  return llvm::Error::success();
}

const Layout sfa::layout::postings = {command, explanation, draw};
