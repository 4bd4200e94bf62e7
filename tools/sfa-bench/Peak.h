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
#include "sfa/Target/CPU/Executable.h"
#include "llvm/Support/Error.h"

#include <memory>

namespace sfa::bench {

/// Measures the f32 multiply-adds of all threads of the CPU target: independent chains in registers
/// of full width, compiled by the same compiler as the kernels.
class PeakMeter {
public:
  static llvm::Expected<PeakMeter> create(mlir::MLIRContext *context);

  /// The rate of this moment in GFLOP/s, a multiply-add being two operations. Takes some
  /// milliseconds.
  double measure();

private:
  NpyArray input;
  std::unique_ptr<cpu::Executable> executable;
  std::optional<cpu::Call> call;
  double flops;
  unsigned numThreads;
};

} // namespace sfa::bench

#endif // SFA_TOOLS_SFA_BENCH_PEAK_H
