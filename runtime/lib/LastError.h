//===- LastError.h - The message of the last failure ------------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For the runtime and for libraries that it is linked into; it takes no exceptions to include this.
//
//===----------------------------------------------------------------------===//

#ifndef SFA_RUNTIME_LIB_LASTERROR_H
#define SFA_RUNTIME_LIB_LASTERROR_H

#include "sfa/runtime.h"

namespace sfa::runtime::impl {

/// Keeps the message for sfa_last_error of this thread; returns `status`.
sfa_status report(sfa_status status, const char *message) noexcept;

} // namespace sfa::runtime::impl

#endif // SFA_RUNTIME_LIB_LASTERROR_H
