//===- PTX.h - From the LLVM dialect to PTX -------------------------*- C++ -*- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TARGET_NVPTX_PTX_H
#define SFA_TARGET_NVPTX_PTX_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "sfa/Support/Chip.h"

#include <memory>
#include <string>

namespace llvm {
class LLVMContext;
class Module;
class TargetMachine;
} // namespace llvm

namespace sfa::nvptx {

/// The LLVM module of `module`, whose operations are of the LLVM and NVVM dialects, ready for the
/// code generator. Fails when it cannot be translated or LLVM has no NVPTX backend.
llvm::Expected<std::unique_ptr<llvm::Module>>
translateToLLVM(mlir::gpu::GPUModuleOp module, const Chip &chip, llvm::LLVMContext &context);

/// The PTX of an LLVM module that `translateToLLVM` made.
llvm::Expected<std::string> translateToPTX(llvm::Module &module, const Chip &chip);

/// The chip that the module's #nvvm.target names.
llvm::Expected<Chip> getChip(mlir::gpu::GPUModuleOp module);

} // namespace sfa::nvptx

#endif // SFA_TARGET_NVPTX_PTX_H
