//===- GPUToNVVM.h - Programs of a block become functions of a thread -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_GPUTONVVM_GPUTONVVM_H
#define SFA_CONVERSION_GPUTONVVM_GPUTONVVM_H

#include "Instructions/KernelFunction.h"
#include "dialects/GPU/GPU.h"
#include "mlir/IR/DialectInterface.h"
#include "mlir/Transforms/DialectConversion.h"
#include "sfa/Support/Chip.h"

namespace sfa::simt {

class FunctionContext;

/// A dialect whose operations stand in programs of a block has the patterns that turn them into
/// instructions.
class LoweringInterface : public mlir::DialectInterface::Base<LoweringInterface> {
public:
  using Base::Base;
  virtual void populatePatterns(mlir::RewritePatternSet &patterns, const mlir::TypeConverter &types,
                                const FunctionContext &function) const = 0;
};

/// Replaces `kernel` by a function of one thread of the same name. Fails with a diagnostic.
mlir::FailureOr<KernelResources> lowerKernel(KernelOp kernel, const Chip &chip);

} // namespace sfa::simt

#endif // SFA_CONVERSION_GPUTONVVM_GPUTONVVM_H
