//===- Knobs.cpp - Environment variables that steer the runtime -----------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Knobs.h"

#include "Error.h"

#include <charconv>
#include <cstdlib>

using namespace sfa::runtime::impl;

/// The value of a variable; empty where it is not set.
static std::string read(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

std::string knobs::cudaDriver() {
  std::string library = read("SFA_CUDA_DRIVER");
  return library.empty() ? "libcuda.so.1" : library;
}

std::string knobs::nvml() {
  std::string library = read("SFA_NVML");
  return library.empty() ? "libnvidia-ml.so.1" : library;
}

std::string knobs::cacheDirectory() {
  if (std::string directory = read("SFA_CACHE_DIR"); !directory.empty())
    return directory;
  // The XDG Base Directory Specification: relative paths are invalid and are to be ignored.
  if (std::string base = read("XDG_CACHE_HOME"); !base.empty() && base.front() == '/')
    return base + "/flashsfa";
  if (std::string home = read("HOME"); !home.empty())
    return home + "/.cache/flashsfa";
  return "";
}

int64_t knobs::cacheBytes() {
  std::string text = read("SFA_CACHE_SIZE_MB");
  int64_t megabytes = 512;
  if (!text.empty()) {
    const char *end = text.data() + text.size();
    auto [last, error] = std::from_chars(text.data(), end, megabytes);
    if (error != std::errc() || last != end || megabytes < 0 || megabytes > maxCacheMegabytes)
      fail(SFA_ERROR_INVALID_KNOB,
           "the environment variable SFA_CACHE_SIZE_MB is '{}'; it has to be a number from 0 to {}",
           text, maxCacheMegabytes);
  }
  return megabytes << 20;
}
