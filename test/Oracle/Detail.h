//===- Detail.h - Parts the oracle's files share ----------------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TEST_ORACLE_DETAIL_H
#define SFA_TEST_ORACLE_DETAIL_H

#include "test/Oracle/Oracle.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <thread>
#include <vector>

namespace sfa::oracle::detail {

/// Ends the process unless `condition` holds; `claim` completes "it must hold that".
void require(bool condition, const char *claim);

void requireValid(const Codes &codes);

/// Calls `body` once for each of 0 .. count - 1, on all the machine's threads.
template <class Body>
void parallelFor(int64_t count, const Body &body) {
  int64_t grain = std::clamp<int64_t>(count / 256, 1, 256);
  int64_t numChunks = (count + grain - 1) / grain;
  std::atomic<int64_t> next = 0;
  auto work = [&] {
    for (int64_t chunk; (chunk = next++) < numChunks;)
      for (int64_t i = chunk * grain; i < std::min(count, (chunk + 1) * grain); ++i)
        body(i);
  };
  int64_t numThreads = std::min<int64_t>(std::thread::hardware_concurrency(), numChunks);
  std::vector<std::thread> threads;
  for (int64_t i = 1; i < numThreads; ++i)
    threads.emplace_back(work);
  work();
  for (std::thread &thread : threads)
    thread.join();
}

struct Half {
  static constexpr int fractionBits = 10;
  static constexpr double minNormal = 0x1p-14;
  static constexpr double overflow =
      65520; // half an ulp above the largest, 65504: ties to infinity
};

struct Bfloat16 {
  static constexpr int fractionBits = 7;
  static constexpr double minNormal = 0x1p-126;
  static constexpr double overflow = 0x1.ffp127;
};

/// Lets an fp64 addition round: beside 1.5 * 2^(52 - fractionBits) times the value's power of two,
/// the ulp of the sum is that of the format, and adding the format's smallest power of two at least
/// gives its subnormals. The subtraction is exact.
template <class Format>
inline double roundToFormat(double value) {
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  bits &= uint64_t(0x7ff) << 52;
  double power;
  std::memcpy(&power, &bits, sizeof(bits));
  power = power < Format::minNormal ? Format::minNormal : power;
  double magic = power * (1.5 * static_cast<double>(uint64_t(1) << (52 - Format::fractionBits)));
  double rounded = (value + magic) - magic;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (!(std::fabs(value) < Format::overflow))
    rounded = std::isnan(value) ? value : std::copysign(infinity, value);
  return rounded == 0 ? std::copysign(0.0, value) : rounded;
}

} // namespace sfa::oracle::detail

#endif // SFA_TEST_ORACLE_DETAIL_H
