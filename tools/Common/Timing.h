//===- Timing.h - Measured times and their summary --------------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TOOLS_COMMON_TIMING_H
#define SFA_TOOLS_COMMON_TIMING_H

#include "sfa/Support/Median.h"

#include <algorithm>
#include <chrono>
#include <vector>

namespace sfa {

/// Wall time of `body` in milliseconds.
template <class Body>
double measureMilliseconds(Body &&body) {
  auto start = std::chrono::steady_clock::now();
  body();
  std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
  return elapsed.count();
}

inline double minimum(const std::vector<double> &values) {
  return *std::min_element(values.begin(), values.end());
}

} // namespace sfa

#endif // SFA_TOOLS_COMMON_TIMING_H
