//===- Workload.h - One attention to measure, its code and its data -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TOOLS_SFA_BENCH_WORKLOAD_H
#define SFA_TOOLS_SFA_BENCH_WORKLOAD_H

#include "dialects/SFA/SFA.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "sfa/Support/Npy.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace sfa::bench {

/// Self-attention on codes of queries and keys.
struct Workload {
  int64_t batch, heads, tokens, features, valueFeatures, k;
  ElementType type;
  bool isCausal;

  /// "b=1 h=8 n=4096 d=128 dv=128 k=8 causal f32".
  std::string describe() const;

  /// A module with the function @attention of values and indices of query and key, and values. Its
  /// schedule is open.
  mlir::OwningOpRef<mlir::ModuleOp> buildModule(mlir::MLIRContext *context) const;

  /// The arguments of @attention: q, k and v from N(0, 1), then the codes of q and k as the
  /// compiler makes them.
  llvm::Expected<std::vector<NpyArray>> makeArguments(mlir::MLIRContext *context,
                                                      uint64_t seed) const;
};

} // namespace sfa::bench

#endif // SFA_TOOLS_SFA_BENCH_WORKLOAD_H
