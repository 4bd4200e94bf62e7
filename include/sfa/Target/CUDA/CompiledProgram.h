//===- CompiledProgram.h - Compile a function to GPU kernels --------*- C++ -*- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TARGET_CUDA_COMPILEDPROGRAM_H
#define SFA_TARGET_CUDA_COMPILEDPROGRAM_H

#include "mlir/IR/BuiltinOps.h"
#include "sfa/Support/Chip.h"
#include "llvm/Support/JSON.h"

#include <string>

namespace sfa::cuda {

/// A function of sfa operations as the runtime takes it: kernels, and the launches that make the
/// function's results from its arguments.
struct CompiledProgram {
  /// The document of docs/program-format.md, with the kernels as PTX.
  llvm::json::Object document;
  /// The same kernels.
  std::string ptx, llvmIR;

  std::string toJson() const;
};

/// Compiles the function `entry` of `module` for `chip`. The module is not changed. Fails with all
/// diagnostics of the compiler as the message.
llvm::Expected<CompiledProgram> compileProgram(mlir::ModuleOp module, llvm::StringRef entry,
                                               const Chip &chip);

} // namespace sfa::cuda

#endif // SFA_TARGET_CUDA_COMPILEDPROGRAM_H
