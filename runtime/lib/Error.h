//===- Error.h - Errors inside the runtime ----------------------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Inside the library errors are exceptions, so that a check is one line; none leaves it. Every
// function of the C interface runs in `guarded`, which turns them into a status and a message.
//
//===----------------------------------------------------------------------===//

#ifndef SFA_RUNTIME_LIB_ERROR_H
#define SFA_RUNTIME_LIB_ERROR_H

#include "LastError.h"

#include <exception>
#include <fmt/format.h>
#include <new>
#include <string>
#include <utility>

namespace sfa::runtime::impl {

struct Failure {
  sfa_status status;
  std::string message;
};

template <typename... Args>
[[noreturn]] [[gnu::cold]] [[gnu::noinline]] void
fail(sfa_status status, fmt::format_string<Args...> format, Args &&...args) {
  throw Failure{status, fmt::format(format, std::forward<Args>(args)...)};
}

template <typename Body>
sfa_status guarded(const Body &body) noexcept {
  try {
    body();
    return SFA_SUCCESS;
  } catch (const Failure &failure) {
    return report(failure.status, failure.message.c_str());
  } catch (const std::bad_alloc &) {
    return report(SFA_ERROR_OUT_OF_MEMORY, "the host has no memory left");
  } catch (const std::exception &exception) {
    return report(SFA_ERROR_INTERNAL, exception.what());
  }
}

/// Fails where a pointer that a caller has given is null.
inline void requireNotNull(const void *pointer, const char *function, const char *parameter) {
  if (!pointer)
    fail(SFA_ERROR_INVALID_ARGUMENT, "{}: `{}` is NULL; it has to point to something", function,
         parameter);
}

} // namespace sfa::runtime::impl

#endif // SFA_RUNTIME_LIB_ERROR_H
