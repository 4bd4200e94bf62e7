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
    {"sm_80", 80, false, 163 * kibibyte, 108, "NVIDIA A100-SXM4-80GB", 1024, 1.41, 2039},
    {"sm_86", 86, false, 99 * kibibyte, 84, "NVIDIA A40", 512, 1.74, 696},
    {"sm_87", 87, false, 163 * kibibyte, 16, "Orin", 512, 1.3, 204},
    {"sm_89", 89, false, 99 * kibibyte, 142, "NVIDIA L40S", 512, 2.52, 864},
    {"sm_90", 90, false, 227 * kibibyte, 132, "NVIDIA H100 80GB HBM3", 1024, 1.755, 3350},
    {"sm_90a", 90, true, 227 * kibibyte, 132, "NVIDIA H100 80GB HBM3", 2048, 1.755, 3350},
    {"sm_100", 100, false, 227 * kibibyte, 148, "NVIDIA B200", 1024, 1.85, 8000},
    {"sm_120", 120, false, 99 * kibibyte, 170, "NVIDIA GeForce RTX 5090", 256, 2.41, 1792},
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
