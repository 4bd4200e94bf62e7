//===- HostMachine.h - LLVM's view of the processor to compile for -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_LIB_TARGET_CPU_HOSTMACHINE_H
#define SFA_LIB_TARGET_CPU_HOSTMACHINE_H

#include "llvm/Support/Error.h"
#include "llvm/Target/TargetMachine.h"

#include <memory>

namespace sfa::cpu {

struct HostMachine {
  std::unique_ptr<llvm::TargetMachine> machine;
  /// Of the widest vector registers.
  unsigned vectorBits;
};

/// This processor where `cpu` is empty, else the part of it that a processor of that name has.
llvm::Expected<HostMachine> createHostMachine(llvm::StringRef cpu);

} // namespace sfa::cpu

#endif // SFA_LIB_TARGET_CPU_HOSTMACHINE_H
