//===- Driver.h - The CUDA driver, opened at run time -----------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_RUNTIME_LIB_DRIVER_H
#define SFA_RUNTIME_LIB_DRIVER_H

#include "DriverTypes.h"
#include "Error.h"

#include <string_view>

namespace sfa::runtime::impl {

/// The entry points of the driver. There is one for the process; once opened it stays.
class Driver {
public:
  /// The driver, opened and initialised by the first call. Fails with SFA_ERROR_NO_DRIVER where
  /// there is none, SFA_ERROR_NO_DEVICE where it finds no device; the next call then tries again.
  /// Fails with SFA_ERROR_DRIVER where `isLostByFork`.
  static const Driver &get();

  /// Whether this process was forked by one that had begun to use the driver. The driver does not
  /// work in such a process, and what was made with it belongs to the parent.
  static bool isLostByFork() noexcept;

#define SFA_DRIVER_ENTRY(member, name, suffix, version, parameters)                                \
  cu::Result(*member) parameters = nullptr;
#include "DriverEntries.def"

  /// The CUDA version of the driver: 1000 * major + 10 * minor.
  int version = 0;
  int numDevices = 0;

  /// Fails with what the driver calls an error, unless `result` is success. `what` says what was
  /// tried, such as "cannot load the program", and `log` what the driver has written about it.
  void check(cu::Result result, const char *call, std::string_view what,
             std::string_view log = "") const {
    if (__builtin_expect(result != cu::success, 0))
      failCall(result, call, what, log);
  }

  [[noreturn]] [[gnu::cold]] void failCall(cu::Result result, const char *call,
                                           std::string_view what, std::string_view log) const;

  /// "CUDA 12.4", for a number such as `version`.
  static std::string versionName(int version);

private:
  void open();
};

/// Makes a context the calling thread's current one for a scope, where it is not already.
class ScopedContext {
public:
  ScopedContext(const Driver &driver, cu::Context context);
  ~ScopedContext();
  ScopedContext(const ScopedContext &) = delete;
  ScopedContext &operator=(const ScopedContext &) = delete;

private:
  const Driver &driver;
  bool isPushed = false;
};

} // namespace sfa::runtime::impl

#endif // SFA_RUNTIME_LIB_DRIVER_H
