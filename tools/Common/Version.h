//===- Version.h - What --version prints ------------------------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TOOLS_COMMON_VERSION_H
#define SFA_TOOLS_COMMON_VERSION_H

#include "sfa/Version.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

namespace sfa {

/// Makes --version of a tool name this project in place of LLVM alone.
inline void setVersionPrinter() {
  llvm::cl::SetVersionPrinter([](llvm::raw_ostream &stream) {
    stream << "FlashSFA " << SFA_VERSION << ", with LLVM " << SFA_LLVM_VERSION << '\n';
  });
}

} // namespace sfa

#endif // SFA_TOOLS_COMMON_VERSION_H
