//===- Knobs.h - Environment variables that steer the runtime ---*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The runtime's part of docs/knobs.md; nothing else in the runtime reads the environment. It is
// apart from include/sfa/Support/Knobs.h, which needs LLVM. A variable that is empty counts as not
// set; one that is not valid is SFA_ERROR_INVALID_KNOB.
//
//===----------------------------------------------------------------------===//

#ifndef SFA_RUNTIME_LIB_KNOBS_H
#define SFA_RUNTIME_LIB_KNOBS_H

#include <cstdint>
#include <string>

namespace sfa::runtime::impl::knobs {

/// SFA_CUDA_DRIVER: the library that is opened as the CUDA driver; where it is not set,
/// libcuda.so.1.
std::string cudaDriver();

/// SFA_NVML: the library that is opened as NVML, the NVIDIA Management Library; where it is not
/// set, libnvidia-ml.so.1.
std::string nvml();

/// SFA_CACHE_DIR: the directory of the cache; where it is not set, flashsfa in XDG_CACHE_HOME, or
/// in .cache of the home directory. Empty where there is none of all these.
std::string cacheDirectory();

constexpr int64_t maxCacheMegabytes = 1048576;

/// SFA_CACHE_SIZE_MB: what all entries of the cache may take, 0 to `maxCacheMegabytes` times 2^20
/// bytes; where it is not set, 512. In bytes; 0 means no cache.
int64_t cacheBytes();

} // namespace sfa::runtime::impl::knobs

#endif // SFA_RUNTIME_LIB_KNOBS_H
