//===- CallFrame.h - What a call of compiled code owns ----------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compiled code calls `malloc` and `sfa_cpu_result`, and has no way to see that they fail. So they
// end the call: `abandon` jumps back to `run` over the frames of compiled code, which hold nothing
// that has to be destroyed.
//
//===----------------------------------------------------------------------===//

#ifndef SFA_LIB_TARGET_CPU_CALLFRAME_H
#define SFA_LIB_TARGET_CPU_CALLFRAME_H

#include "sfa/Target/CPU/Executable.h"
#include "llvm/ADT/STLFunctionalExtras.h"

#include <csetjmp>
#include <system_error>

namespace sfa::cpu {

/// The call of compiled code that a thread is in: what it has allocated, and where its results go.
class CallFrame {
public:
  /// A call whose results go to memory of the caller.
  explicit CallFrame(llvm::ArrayRef<BufferRef> given) : given(given) {}
  /// A call whose results go to new memory, which is appended to `made`.
  CallFrame(llvm::ArrayRef<Parameter> results, std::vector<NpyArray> &made);
  /// Frees all that compiled code has left.
  ~CallFrame();
  CallFrame(const CallFrame &) = delete;
  CallFrame &operator=(const CallFrame &) = delete;

  /// Calls `body`, which calls compiled code on this thread. The error is that of `fail`.
  llvm::Error run(llvm::function_ref<void()> body);

  /// The call that this thread is in; null outside of calls.
  static CallFrame *current();

  /// Says with what error `abandon` is to end the call.
  void fail(std::errc kind, std::string message);
  /// Ends the call. What lies between this and `run` is not destroyed.
  [[noreturn]] void abandon();

  /// Memory of the call. Abandons it where there is none.
  void *allocate(size_t bytes);
  /// Frees memory of the call; does nothing to any other, such as that of results.
  void deallocate(void *memory);
  /// The memory of result `number`, which has the sizes `shape`.
  void *getResult(size_t number, llvm::ArrayRef<int64_t> shape);

private:
  llvm::ArrayRef<BufferRef> given;
  std::vector<NpyArray> *made = nullptr;
  std::vector<void *> allocations;
  CallFrame *outer = nullptr;
  std::jmp_buf start;
  std::errc kind = {};
  std::string message;
};

} // namespace sfa::cpu

#endif // SFA_LIB_TARGET_CPU_CALLFRAME_H
