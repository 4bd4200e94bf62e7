//===- Launch.h - Put the kernels of a program into a stream ----*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_RUNTIME_LIB_LAUNCH_H
#define SFA_RUNTIME_LIB_LAUNCH_H

#include "Bindings.h"
#include "LoadedProgram.h"

namespace sfa::runtime::impl {

/// A call of a program with its tensors. Lives on the stack.
class Call {
public:
  /// Checks all of the call, so that one that is refused leaves nothing behind.
  Call(const ParsedProgram &program, const sfa_tensor *arguments, int32_t numArguments,
       const sfa_tensor *results, int32_t numResults, void *workspace, size_t workspaceBytes);

  /// Puts the kernels into a stream of the current context, which is that of `loaded`.
  void launch(const Driver &driver, const LoadedProgram &loaded, cu::Stream stream) const;

private:
  const ParsedProgram &program;
  Bindings bindings;
};

} // namespace sfa::runtime::impl

#endif // SFA_RUNTIME_LIB_LAUNCH_H
