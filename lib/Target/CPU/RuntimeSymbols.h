//===- RuntimeSymbols.h - What compiled code calls in this process -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_LIB_TARGET_CPU_RUNTIMESYMBOLS_H
#define SFA_LIB_TARGET_CPU_RUNTIMESYMBOLS_H

#include "llvm/ExecutionEngine/Orc/Core.h"
#include "llvm/ExecutionEngine/Orc/Mangling.h"

namespace sfa::cpu {

/// The functions that compiled code calls. LLVM also makes calls of the C library, such as memcpy,
/// while it generates code; those are found in the process.
llvm::orc::SymbolMap getRuntimeSymbols(llvm::orc::MangleAndInterner mangle);

/// Whether `name` is one of these. A module may call no other function without a body, since any
/// symbol of this process would be found otherwise.
bool isRuntimeSymbol(llvm::StringRef name);

} // namespace sfa::cpu

#endif // SFA_LIB_TARGET_CPU_RUNTIMESYMBOLS_H
