//===- CommandLine.cpp - Flags and messages that the tools share ----------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/Common/CommandLine.h"

#include "llvm/ADT/StringExtras.h"

#include "tools/Common/Version.h"
#include "llvm/Support/raw_ostream.h"

#include <fmt/format.h>

using namespace llvm;

Error sfa::parseCommandLine(int argc, char **argv, const char *overview,
                            cl::OptionCategory &category) {
  cl::HideUnrelatedOptions(category);
  setVersionPrinter();
  std::string messages;
  raw_string_ostream stream(messages);
  if (cl::ParseCommandLineOptions(argc, argv, overview, &stream))
    return Error::success();
  // LLVM puts the name of the tool before each message.
  StringRef text = StringRef(messages).rtrim();
  if (size_t colon = text.find(": "); colon != StringRef::npos)
    text = text.drop_front(colon + 2);
  // Some it has printed itself, such as that a flag has no value.
  if (text.empty())
    text = "the command line is not valid; --help says what is";
  return createStringError(text);
}

int sfa::reportErrors(StringRef tool, function_ref<Error()> body) {
  Error error = body();
  if (!error)
    return 0;
  outs().flush();
  errs() << tool << ": error: " << toString(std::move(error)) << '\n';
  return 1;
}

Error sfa::checkTarget(StringRef target, ArrayRef<StringRef> allowed) {
  if (is_contained(allowed, target))
    return Error::success();
  return createStringError(fmt::format("--target={}: unknown target; allowed: {}", target.str(),
                                       join(allowed, ", ")));
}

template <class Enum>
static Expected<Enum> parseEnum(StringRef flag, StringRef name,
                                std::optional<Enum> (*symbolize)(StringRef),
                                StringRef (*stringify)(Enum), uint32_t largest) {
  if (std::optional<Enum> value = symbolize(name))
    return *value;
  std::string allowed;
  for (uint32_t number = 0; number <= largest; ++number)
    allowed += (number ? ", " : "") + stringify(static_cast<Enum>(number)).str();
  return createStringError(
      fmt::format("--{}: unknown name '{}'; allowed are {}", flag.str(), name.str(), allowed));
}

Expected<sfa::Strategy> sfa::parseStrategy(StringRef name) {
  return parseEnum<Strategy>("strategy", name, symbolizeStrategy, stringifyStrategy,
                             getMaxEnumValForStrategy());
}

Expected<sfa::Softmax> sfa::parseSoftmax(StringRef name) {
  return parseEnum<Softmax>("softmax", name, symbolizeSoftmax, stringifySoftmax,
                            getMaxEnumValForSoftmax());
}

Expected<sfa::Scales> sfa::parseScales(StringRef name) {
  return parseEnum<Scales>("shared-by", name, symbolizeScales, stringifyScales,
                           getMaxEnumValForScales());
}

Expected<int64_t> sfa::parseNumber(StringRef flag, StringRef text, int64_t min, int64_t max) {
  int64_t number;
  if (text.getAsInteger(10, number) || number < min || number > max)
    return createStringError(fmt::format("--{}: given is '{}'; it has to be a number from {} to {}",
                                         flag.str(), text.str(), min, max));
  return number;
}
