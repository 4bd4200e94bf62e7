//===- Error.cpp - Errors inside the runtime ------------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Error.h"

#include <cstdlib>

using namespace sfa::runtime::impl;

namespace {

struct LastError {
  std::string text;
  /// What sfa_last_error returns: the text, or a constant where there was no memory to keep it.
  const char *message = "";
};

thread_local LastError lastError;

} // namespace

sfa_status sfa::runtime::impl::report(sfa_status status, const char *message) noexcept {
  try {
    lastError.text = message;
    lastError.message = lastError.text.c_str();
  } catch (...) {
    lastError.message = "the host has no memory left for the message of an error";
  }
  return status;
}

const char *sfa_last_error(void) { return lastError.message; }

const char *sfa_status_name(sfa_status status) {
  switch (status) {
  case SFA_SUCCESS:
    return "SFA_SUCCESS";
  case SFA_ERROR_INVALID_ARGUMENT:
    return "SFA_ERROR_INVALID_ARGUMENT";
  case SFA_ERROR_INVALID_PROGRAM:
    return "SFA_ERROR_INVALID_PROGRAM";
  case SFA_ERROR_NO_DRIVER:
    return "SFA_ERROR_NO_DRIVER";
  case SFA_ERROR_NO_DEVICE:
    return "SFA_ERROR_NO_DEVICE";
  case SFA_ERROR_UNSUPPORTED_DEVICE:
    return "SFA_ERROR_UNSUPPORTED_DEVICE";
  case SFA_ERROR_DRIVER:
    return "SFA_ERROR_DRIVER";
  case SFA_ERROR_OUT_OF_MEMORY:
    return "SFA_ERROR_OUT_OF_MEMORY";
  case SFA_ERROR_INVALID_KNOB:
    return "SFA_ERROR_INVALID_KNOB";
  case SFA_ERROR_NOT_FOUND:
    return "SFA_ERROR_NOT_FOUND";
  case SFA_ERROR_INTERNAL:
    return "SFA_ERROR_INTERNAL";
  }
  return "unknown status";
}

const char *sfa_runtime_version(void) { return SFA_RUNTIME_VERSION; }

void sfa_free(void *bytes) { std::free(bytes); }
