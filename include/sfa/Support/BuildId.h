//===- BuildId.h - What tells this build of the library from others -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_SUPPORT_BUILDID_H
#define SFA_SUPPORT_BUILDID_H

#include <string>

namespace sfa {

/// The build id that the linker has put into the library or program with this code, in hexadecimal:
/// a hash of its contents, so that the same sources built twice have the same. Empty where it was
/// linked without.
std::string getBuildId();

} // namespace sfa

#endif // SFA_SUPPORT_BUILDID_H
