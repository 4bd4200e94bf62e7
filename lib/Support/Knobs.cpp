//===- Knobs.cpp - Environment variables that steer the project -----------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Support/Knobs.h"

#include "llvm/ADT/StringRef.h"

#include <cstdlib>
#include <fmt/format.h>

using namespace llvm;

/// The value of a variable; nothing where it is not set or empty.
static std::optional<StringRef> read(const char *name) {
  const char *value = std::getenv(name);
  if (!value || !*value)
    return std::nullopt;
  return StringRef(value);
}

static Expected<std::optional<unsigned>> readCount(const char *name, unsigned max) {
  std::optional<StringRef> text = read(name);
  if (!text)
    return std::nullopt;
  unsigned count;
  if (text->getAsInteger(10, count) || count < 1 || count > max)
    return createStringError(
        fmt::format("the environment variable {} is '{}'; it has to be a number from 1 to {}", name,
                    text->str(), max));
  return count;
}

Expected<std::optional<unsigned>> sfa::knobs::numThreads() {
  return readCount("SFA_NUM_THREADS", maxNumThreads);
}
