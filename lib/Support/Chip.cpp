//===- Chip.cpp - What the compiler knows of a GPU ---------------------------- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Target/Chip.h"

#include <array>

using namespace sfa;

static constexpr int64_t kibibyte = 1024;

static const std::array<Chip, 8> chips = {{
    {"sm_80", 80, false, 163 * kibibyte},
    {"sm_86", 86, false, 99 * kibibyte},
    {"sm_87", 87, false, 163 * kibibyte},
    {"sm_89", 89, false, 99 * kibibyte},
    {"sm_90", 90, false, 227 * kibibyte},
    {"sm_90a", 90, true, 227 * kibibyte},
    {"sm_100", 100, false, 227 * kibibyte},
    {"sm_120", 120, false, 99 * kibibyte},
}};

llvm::StringRef Chip::ptxFeature() const {
  if (capability >= 100)
    return "+ptx87";
  return hasWarpgroups ? "+ptx83" : "+ptx78";
}

llvm::Expected<Chip> Chip::parse(llvm::StringRef name) {
  std::string allowed;
  for (const Chip &chip : chips) {
    if (chip.name == name)
      return chip;
    allowed += (allowed.empty() ? "" : ", ") + chip.name;
  }
  return llvm::createStringError("chip '" + name + "' is not known; allowed are " + allowed +
                                 " (code for sm_80 runs on every newer GPU)");
}
