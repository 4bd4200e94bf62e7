//===- NotLowered.h - What a program may say that has no instructions yet -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_GPUTONVVM_NOTLOWERED_H
#define SFA_CONVERSION_GPUTONVVM_NOTLOWERED_H

#include "dialects/GPU/GPU.h"

namespace sfa::simt {

/// Diagnoses the first operation of `kernel` that the dialect knows but no pattern turns into
/// instructions, or that has an attribute or a type of which this is so.
mlir::LogicalResult refuseWhatIsNotLowered(KernelOp kernel);

} // namespace sfa::simt

#endif // SFA_CONVERSION_GPUTONVVM_NOTLOWERED_H
