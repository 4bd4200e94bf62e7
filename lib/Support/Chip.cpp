//===- Chip.cpp - What the compiler knows of a GPU ---------------------------- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Support/Chip.h"

#include <array>

using namespace sfa;

static constexpr int64_t kibibyte = 1024;

static const std::array<Chip, 8> chips = {{
    {"sm_80", 80, false, 163 * kibibyte, 108}, // A100
    {"sm_86", 86, false, 99 * kibibyte, 84},   // A40
    {"sm_87", 87, false, 163 * kibibyte, 16},  // Orin
    {"sm_89", 89, false, 99 * kibibyte, 142},  // L40S
    {"sm_90", 90, false, 227 * kibibyte, 132}, // H100, H200
    {"sm_90a", 90, true, 227 * kibibyte, 132},
    {"sm_100", 100, false, 227 * kibibyte, 148}, // B200
    {"sm_120", 120, false, 99 * kibibyte, 170},  // RTX 5090
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
