//===- Median.h - The middle of measured times ------------------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_SUPPORT_MEDIAN_H
#define SFA_SUPPORT_MEDIAN_H

#include "llvm/ADT/STLExtras.h"

#include <cassert>
#include <vector>

namespace sfa {

/// The mean of the two middle values where their number is even. There has to be one at least.
inline double median(std::vector<double> values) {
  assert(!values.empty() && "nothing was measured");
  llvm::sort(values);
  size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

} // namespace sfa

#endif // SFA_SUPPORT_MEDIAN_H
