//===- Bytes.h - Bytes that a caller of the C interface owns ----*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_RUNTIME_LIB_BYTES_H
#define SFA_RUNTIME_LIB_BYTES_H

#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

namespace sfa::runtime::impl {

/// Copies bytes for the caller, who frees them with sfa_free.
inline void handOver(std::string_view source, void **bytes, size_t *size) {
  void *copy = std::malloc(source.empty() ? 1 : source.size());
  if (!copy)
    throw std::bad_alloc();
  std::memcpy(copy, source.data(), source.size());
  *bytes = copy;
  *size = source.size();
}

} // namespace sfa::runtime::impl

#endif // SFA_RUNTIME_LIB_BYTES_H
