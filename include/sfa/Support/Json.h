//===- Json.h - Checks of values that were read from JSON -------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_SUPPORT_JSON_H
#define SFA_SUPPORT_JSON_H

#include "llvm/Support/JSON.h"

namespace sfa {

/// Whether `isRight`; reports `problem` at `path` where it is not.
inline bool require(bool isRight, llvm::json::Path path, llvm::StringLiteral problem) {
  if (!isRight)
    path.report(problem);
  return isRight;
}

} // namespace sfa

#endif // SFA_SUPPORT_JSON_H
