//===- CheckKernels.h - Kernels of few rows against the oracle ------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TEST_UNITTESTS_EXECUTION_CHECKKERNELS_H
#define SFA_TEST_UNITTESTS_EXECUTION_CHECKKERNELS_H

#include "Configuration.h"
#include "Inputs.h"
#include "llvm/ADT/ArrayRef.h"

#include <vector>

namespace sfa::test {

/// Holds the kernels of all `configurations` against the oracle, on inputs of all `shapes`. Each
/// with several seeds: of few rows the yardstick is a matter of luck.
void checkKernels(const std::vector<Configuration> &configurations, llvm::ArrayRef<Shape> shapes);

/// In the ordinary run every `step`-th of the configurations, from number `turn` % `step` on; all
/// of them in the full one. `step` neighbouring turns have everything.
std::vector<Configuration> chooseForThisRun(const std::vector<Configuration> &configurations,
                                            size_t turn, size_t step);

} // namespace sfa::test

#endif // SFA_TEST_UNITTESTS_EXECUTION_CHECKKERNELS_H
