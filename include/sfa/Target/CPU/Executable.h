//===- Executable.h - A function compiled for and run on this CPU -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TARGET_CPU_EXECUTABLE_H
#define SFA_TARGET_CPU_EXECUTABLE_H

#include "mlir/IR/BuiltinOps.h"
#include "sfa/Target/Signature.h"

#include <memory>
#include <string>
#include <vector>

namespace mlir {
class ExecutionEngine;
}

namespace sfa::cpu {

struct CompileOptions {
  /// LLVM's name of the processor to compile for, such as "x86-64-v3"; empty means this one with
  /// all that it has. Compiling for a processor that has more than this one fails.
  std::string cpu;
};

/// The width of the widest vector registers of the processor that `options` names, in bits.
llvm::Expected<unsigned> getVectorBits(const CompileOptions &options = {});

/// One call of a compiled function whose arguments have been checked. Refers to the executable and
/// to the data of the arguments, and both have to live as long.
class Call {
public:
  /// Runs the function and returns its results in new memory. Does nothing besides: this is what a
  /// benchmark times. Fails with std::errc::not_enough_memory where the host has no memory for the
  /// results, or for what the function computes on the way.
  llvm::Expected<std::vector<NpyArray>> operator()() const;

  /// Runs the function, which writes its results into memory of the caller. Fails with
  /// std::errc::invalid_argument where the sizes of a result are not those that the function gives,
  /// and where Signature::checkResults does; with std::errc::not_enough_memory as above. Results
  /// hold anything after an error.
  llvm::Error into(llvm::ArrayRef<BufferRef> results) const;

private:
  friend class Executable;

  /// The lowered function: the address of each argument. Its arguments are addresses of
  /// descriptors.
  using PackedFunction = void (*)(void **);

  void run() const;

  PackedFunction function;
  const Signature *signature;
  /// The memref descriptors of all arguments, one after the other, and where each starts.
  std::vector<int64_t> descriptors;
  std::vector<size_t> starts;
  std::vector<BufferRef> arguments;
};

/// A function of a module, compiled by the pipeline --sfa-to-cpu and LLVM's JIT for this process.
/// Calls from several threads at once are fine.
class Executable {
public:
  /// Compiles the function `entry` of `module`, which is in the sfa dialect and stays as it is. The
  /// error message holds the diagnostics of the compiler; none are printed. Adds dialects to the
  /// context of the module.
  static llvm::Expected<std::unique_ptr<Executable>>
  compile(mlir::ModuleOp module, llvm::StringRef entry, const CompileOptions &options = {});

  ~Executable();

  const Signature &signature() const { return sign; }

  /// Checks the arguments (see Signature::check) for any number of calls. The function only reads
  /// them.
  llvm::Expected<Call> prepare(llvm::ArrayRef<BufferRef> arguments) const;

  /// Checks the arguments and calls the function, as Call does.
  llvm::Expected<std::vector<NpyArray>> invoke(llvm::ArrayRef<BufferRef> arguments) const;

private:
  Executable();

  Signature sign;
  std::unique_ptr<mlir::ExecutionEngine> engine;
  Call::PackedFunction function = nullptr;
};

} // namespace sfa::cpu

#endif // SFA_TARGET_CPU_EXECUTABLE_H
