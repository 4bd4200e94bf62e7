//===- SFADialect.cpp - Registration of the sfa dialect -------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/SFA/SFA.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include "dialects/SFA/SFAOpsDialect.cpp.inc"

using namespace sfa;

void SFADialect::initialize() {
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "dialects/SFA/SFAOps.cpp.inc"
      >();
}
