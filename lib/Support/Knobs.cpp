//===- Knobs.cpp - Environment variables that steer the project -----------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Support/Knobs.h"

#include "sfa/Support/Chip.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringRef.h"

#include <algorithm>
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

static Expected<std::optional<uint64_t>> readNumber(const char *name, uint64_t min, uint64_t max) {
  std::optional<StringRef> text = read(name);
  if (!text)
    return std::nullopt;
  uint64_t number;
  if (text->getAsInteger(10, number) || number < min || number > max)
    return createStringError(
        fmt::format("the environment variable {} is '{}'; it has to be a number from {} to {}",
                    name, text->str(), min, max));
  return number;
}

static Expected<std::optional<unsigned>> readCount(const char *name, unsigned max) {
  Expected<std::optional<uint64_t>> number = readNumber(name, 1, max);
  if (!number)
    return number.takeError();
  return *number ? std::optional(static_cast<unsigned>(**number)) : std::nullopt;
}

Expected<std::optional<unsigned>> sfa::knobs::numThreads() {
  Expected<std::optional<unsigned>> own = readCount("SFA_NUM_THREADS", maxNumThreads);
  if (!own || *own)
    return own;
  // A list has a number for each level of nested parallelism.
  StringRef first = read("OMP_NUM_THREADS").value_or("").split(',').first.trim();
  uint64_t number;
  if (first.getAsInteger(10, number) || number == 0)
    return std::nullopt;
  return static_cast<unsigned>(std::min<uint64_t>(number, maxNumThreads));
}

Expected<std::optional<std::string>> sfa::knobs::chip() {
  std::optional<StringRef> name = read("SFA_CHIP");
  if (!name)
    return std::nullopt;
  Expected<Chip> chip = Chip::parse(*name);
  if (!chip)
    return createStringError("the environment variable SFA_CHIP: " + toString(chip.takeError()));
  return chip->name;
}

std::vector<std::string> sfa::knobs::tuningDatabases() {
  std::vector<std::string> paths;
  for (StringRef path : llvm::split(read("SFA_TUNING_DATABASE").value_or(""), ':'))
    if (!path.empty())
      paths.push_back(path.str());
  return paths;
}

static std::optional<std::string> readText(const char *name) {
  std::optional<StringRef> text = read(name);
  return text ? std::optional(text->str()) : std::nullopt;
}

std::optional<std::string> sfa::knobs::recordProblems() { return readText("SFA_RECORD_PROBLEMS"); }

std::optional<std::string> sfa::knobs::schedule() { return readText("SFA_SCHEDULE"); }

Expected<unsigned> sfa::knobs::maxPrograms() {
  Expected<std::optional<unsigned>> number = readCount("SFA_MAX_PROGRAMS", maxMaxPrograms);
  if (!number)
    return number.takeError();
  return number->value_or(defaultMaxPrograms);
}

Expected<sfa::knobs::TestExtent> sfa::knobs::testExtent() {
  Expected<std::optional<uint64_t>> number = readNumber("SFA_TEST_FULL", 0, 2);
  if (!number)
    return number.takeError();
  return static_cast<TestExtent>(number->value_or(0));
}

Expected<std::optional<uint64_t>> sfa::knobs::testSeed() {
  return readNumber("SFA_TEST_SEED", 0, UINT64_MAX);
}

Expected<std::optional<unsigned>> sfa::knobs::testCount() {
  return readCount("SFA_TEST_COUNT", maxTestCount);
}
