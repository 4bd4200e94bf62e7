//===- Knobs.h - Environment variables that steer the project ---*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every variable has one function here and one row in docs/knobs.md; nothing else reads the
// environment. A function reads its variable at each call and fails, with a message that names the
// variable, what it holds and what is allowed, unless the value is valid. A variable that is empty
// counts as not set.
//
//===----------------------------------------------------------------------===//

#ifndef SFA_SUPPORT_KNOBS_H
#define SFA_SUPPORT_KNOBS_H

#include "llvm/Support/Error.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sfa::knobs {

constexpr unsigned maxNumThreads = 1024;

/// SFA_NUM_THREADS: how many threads run a kernel on the CPU, 1 to `maxNumThreads`. Where it is not
/// set, OMP_NUM_THREADS counts: its first number, at most `maxNumThreads`; what is no number from 1
/// on is left to those whom it is meant for, and counts as not set. Where neither is set, the
/// runtime takes one for each physical core that the process may use.
llvm::Expected<std::optional<unsigned>> numThreads();

/// SFA_CHIP: the chip that the JIT compiles for, one that `Chip::parse` knows. Where it is not set,
/// that of the device.
llvm::Expected<std::optional<std::string>> chip();

/// SFA_TUNING_DATABASE: files of tuned schedules, with ':' between them, that count before those
/// that come with the compiler; the first one most.
std::vector<std::string> tuningDatabases();

/// SFA_RECORD_PROBLEMS: a file to which the JIT adds a line for each attention on a GPU that it
/// chooses a schedule for; sfa-tune reads it.
std::optional<std::string> recordProblems();

/// SFA_SCHEDULE: parameters that every schedule has, such as "softmax = lazy, k_tile = 96"; what an
/// operation says itself counts before. Who chooses schedules reads the text.
std::optional<std::string> schedule();

constexpr unsigned maxMaxPrograms = 1000000, defaultMaxPrograms = 256;

/// SFA_MAX_PROGRAMS: how many functions for the CPU the JIT keeps, and plans of how many modules
/// the Python package, 1 to `maxMaxPrograms`; `defaultMaxPrograms` where it is not set.
llvm::Expected<unsigned> maxPrograms();

/// How many of their cases the tests run.
enum class TestExtent {
  Ordinary,
  /// As scripts/run-tests.sh --full.
  Full,
  /// Full, and the whole product of the parameters of the matrix of the execution tests.
  Product,
};

/// SFA_TEST_FULL: 0, or not set, is Ordinary, 1 Full, 2 Product.
llvm::Expected<TestExtent> testExtent();

/// SFA_TEST_SEED: the seed of the first random configuration that the execution tests run, 0 to
/// 2^64 - 1.
llvm::Expected<std::optional<uint64_t>> testSeed();

constexpr unsigned maxTestCount = 1000000;

/// SFA_TEST_COUNT: how many random configurations the execution tests run, 1 to `maxTestCount`.
llvm::Expected<std::optional<unsigned>> testCount();

} // namespace sfa::knobs

#endif // SFA_SUPPORT_KNOBS_H
