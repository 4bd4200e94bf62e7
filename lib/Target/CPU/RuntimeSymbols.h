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

/// The symbols that compiled code calls besides those of the C library.
llvm::orc::SymbolMap getRuntimeSymbols(llvm::orc::MangleAndInterner mangle);

/// Whether compiled code can call `name`: a runtime symbol or one of this process.
bool isKnownSymbol(llvm::StringRef name);

} // namespace sfa::cpu

#endif // SFA_LIB_TARGET_CPU_RUNTIMESYMBOLS_H
