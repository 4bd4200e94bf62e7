//===- Chip.h - What the compiler knows of a GPU ------------------*- C++ -*- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_SUPPORT_CHIP_H
#define SFA_SUPPORT_CHIP_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <string>

namespace sfa {

/// A target of the NVPTX backend: "sm_80", "sm_90a", ...
struct Chip {
  /// As the backend and ptxas spell it.
  std::string name;
  /// Compute capability: 90 for "sm_90a".
  unsigned capability;
  /// Warpgroup products, bulk tensor copies and register reallocation may be used: such code runs
  /// on this architecture only.
  bool hasWarpgroups;
  /// The most shared memory of one block, in bytes (CUDA C++ Programming Guide, "Technical
  /// Specifications per Compute Capability").
  int64_t maxSharedBytes;
  /// Multiprocessors of the product of this architecture that is most in use, and its name in the
  /// driver, for what has to be chosen before the device is known.
  int64_t multiprocessors;
  llvm::StringRef product;
  /// Its peaks, of the code that this compiler emits: multiply-adds of 16-bit matrices a clock of a
  /// multiprocessor, the clock, and the memory (data sheets of the products).
  double productsOfClock, clockGHz, bandwidthGBs;

  /// The version of the PTX ISA to emit, as a feature of the backend: "+ptx80".
  llvm::StringRef ptxFeature() const;

  /// Fails with a message that lists what is allowed.
  static llvm::Expected<Chip> parse(llvm::StringRef name);
};

/// How many features of 16 bits a row may have on a GPU: whole pieces of 16 bytes, at least what a
/// product adds up at once, and no more than a product has columns.
struct GpuFeatures {
  static constexpr int64_t granule = 8, least = 16, most = 256;
  static constexpr bool allow(int64_t number) {
    return number % granule == 0 && number >= least && number <= most;
  }
  /// For messages.
  static constexpr llvm::StringLiteral description =
      "a GPU needs f16 or bf16 and a multiple of 8 features, from 16 to 256";
};

} // namespace sfa

#endif // SFA_SUPPORT_CHIP_H
