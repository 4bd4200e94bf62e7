//===- GPUToNVVM.h - Programs of a block become functions of a thread -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_GPUTONVVM_GPUTONVVM_H
#define SFA_CONVERSION_GPUTONVVM_GPUTONVVM_H

#include "dialects/GPU/GPU.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/DialectInterface.h"
#include "mlir/Transforms/DialectConversion.h"
#include "sfa/Target/Chip.h"

namespace sfa::simt {

class FunctionContext;

/// A dialect whose operations stand in programs of a block has the patterns that turn them into
/// instructions.
class LoweringInterface : public mlir::DialectInterface::Base<LoweringInterface> {
public:
  using Base::Base;
  virtual void populatePatterns(mlir::RewritePatternSet &patterns,
                                const mlir::TypeConverter &types,
                                const FunctionContext &function) const = 0;
};

/// What a launch has to know of a kernel.
struct KernelResources {
  mlir::StringAttr name;
  int64_t numThreads = 0, sharedBytes = 0;
  /// Whether a launch has as many blocks as there are multiprocessors, at most, and the kernel
  /// takes the extents of its grid.
  bool isPersistent = false;
  /// For each tensor map the number of a memory, rows and heads of a box.
  llvm::SmallVector<int64_t> tensorMaps;
};

/// Replaces `kernel` by a function of one thread of the same name. Fails with a diagnostic.
mlir::FailureOr<KernelResources> lowerKernel(KernelOp kernel, const Chip &chip);

/// Says that `function` is a kernel of blocks of `numThreads` threads.
void setKernelAttributes(mlir::LLVM::LLVMFuncOp function, int64_t numThreads);

} // namespace sfa::simt

#endif // SFA_CONVERSION_GPUTONVVM_GPUTONVVM_H
