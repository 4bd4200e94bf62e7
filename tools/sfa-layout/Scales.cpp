//===- Scales.cpp - Which tokens share a scale ----------------------------===//
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

#include <fmt/format.h>

using namespace llvm;
using namespace mlir;
using namespace sfa;
using namespace sfa::layout;

static cl::SubCommand command("scales", "Which tokens of 8-bit codes share a scale");

static cl::opt<std::string> tokensText("tokens", cl::sub(command), cl::cat(category()),
                                       cl::desc("Tokens of a head (default 300)"),
                                       cl::value_desc("number"), cl::init("300"));
static cl::opt<std::string> kText("k", cl::sub(command), cl::cat(category()),
                                  cl::desc("Non-zeros that a code keeps (default 8)"),
                                  cl::value_desc("number"), cl::init("8"));
static cl::list<std::string> sharedBy("shared-by", cl::CommaSeparated, cl::sub(command),
                                      cl::cat(category()),
                                      cl::desc("tile, token, head (default: all)"),
                                      cl::value_desc("list"));

static constexpr char explanation[] =
    R"(draw scales: which tokens of 8-bit codes share one

A value of 8 bits stands for itself times a scale, in f32. The picture shows the scales of one head.

  sfa-layout scales
  sfa-layout scales --tokens 1000 --shared-by tile
)";

/// More scales than this are not drawn one by one.
static constexpr int64_t mostLines = 4;

static llvm::Error draw(MLIRContext &context, raw_ostream &stream, Scales scales) {
  llvm::Expected<int64_t> tokens = parseNumber("tokens", tokensText, 1, 1 << 20);
  if (!tokens)
    return tokens.takeError();
  llvm::Expected<int64_t> k = parseNumber("k", kText, 0, 1 << 20);
  if (!k)
    return k.takeError();
  llvm::Expected<CodesAttr> encoding = verified(context, [&](EmitError emitError) {
    return CodesAttr::getChecked(emitError, &context, *k, /*twoFour=*/false, std::optional(scales));
  });
  if (!encoding)
    return encoding.takeError();
  llvm::Expected<RankedTensorType> tensor =
      getTensor(context, *tokens, /*features=*/128, *encoding);
  if (!tensor)
    return tensor.takeError();

  stream << *tensor << '\n';
  RankedTensorType physical = getPhysicalTensors(*tensor).back();
  stream << fmt::format("  scales  {}\n", toString(physical));
  int64_t number = physical.getDimSize(2), each = getTokensOfScale(scales).value_or(*tokens);
  for (int64_t scale = 0; scale < number; ++scale) {
    if (number > mostLines && scale == mostLines - 1) {
      stream << "  ...\n";
      scale = number - 1;
    }
    stream << fmt::format("  scale {:>{}}  tokens {}\n", scale, std::to_string(number - 1).size(),
                          range(scale * each, std::min((scale + 1) * each, *tokens) - 1));
  }
  return llvm::Error::success();
}

static llvm::Error draw(MLIRContext &context, raw_ostream &stream) {
  std::vector<std::string> names = sharedBy;
  if (names.empty())
    names = {"tile", "token", "head"};
  bool isFirst = true;
  for (const std::string &name : names) {
    llvm::Expected<Scales> scales = parseScales(name);
    if (!scales)
      return scales.takeError();
    stream << (isFirst ? "" : "\n");
    isFirst = false;
    if (llvm::Error error = draw(context, stream, *scales))
      return error;
  }
  return llvm::Error::success();
}

const Layout sfa::layout::scales = {command, explanation, draw};
