//===- Peak.h - The multiply-add rate that this machine reaches -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TOOLS_SFA_BENCH_PEAK_H
#define SFA_TOOLS_SFA_BENCH_PEAK_H

#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/Error.h"

namespace sfa::bench {

/// Measures the f32 multiply-adds of all threads of the CPU target in GFLOP/s, two operations each:
/// independent chains in registers of full width, compiled by the same compiler as the kernels; the
/// best of several runs.
llvm::Expected<double> measurePeak(mlir::MLIRContext *context);

} // namespace sfa::bench

#endif // SFA_TOOLS_SFA_BENCH_PEAK_H
