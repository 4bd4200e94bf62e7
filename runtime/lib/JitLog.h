//===- JitLog.h - What the driver says about code it assembles --*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_RUNTIME_LIB_JITLOG_H
#define SFA_RUNTIME_LIB_JITLOG_H

#include "DriverTypes.h"

#include <string_view>

namespace sfa::runtime::impl {

/// A buffer for the driver's error log, and the options that hand it over.
struct JitLog {
  static constexpr unsigned numOptions = 2;

  JitLog() = default;
  JitLog(const JitLog &) = delete;
  JitLog &operator=(const JitLog &) = delete;

  std::string_view text() const {
    std::string_view whole(buffer, sizeof(buffer) - 1);
    whole = whole.substr(0, whole.find('\0'));
    return whole.substr(0, whole.find_last_not_of(" \r\n") + 1);
  }

  char buffer[8192] = {};
  cu::JitOption options[numOptions] = {cu::errorLogBuffer, cu::errorLogBufferSizeBytes};
  void *values[numOptions] = {buffer, reinterpret_cast<void *>(uintptr_t(sizeof(buffer)))};
};

} // namespace sfa::runtime::impl

#endif // SFA_RUNTIME_LIB_JITLOG_H
