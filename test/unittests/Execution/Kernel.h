//===- Kernel.h - Compiles and runs an attention of the execution tests --*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TEST_UNITTESTS_EXECUTION_KERNEL_H
#define SFA_TEST_UNITTESTS_EXECUTION_KERNEL_H

#include "Configuration.h"
#include "Inputs.h"
#include "sfa/Target/CPU/Executable.h"

#include "gtest/gtest.h"

#include <memory>
#include <vector>

namespace sfa::test {

/// Compiles the function `entry` in a context of its own. Several threads may do this at once.
llvm::Expected<std::unique_ptr<cpu::Executable>>
compileModule(const std::string &text, llvm::StringRef entry,
              const cpu::CompileOptions &options = {});

/// Fills the scratch memory of all threads that run kernels with bytes that are NaN in every type:
/// no result may depend on what was there before. One thread at a time may do this.
void poisonScratch();

/// The arguments of `configuration` as arrays: codes are those of the oracle.
std::vector<NpyArray> makeArguments(const Configuration &configuration, const Shape &shape,
                                    const Inputs &inputs);

/// Runs on poisoned scratch memory. An error is a failure of the test, with no results.
std::vector<NpyArray> run(const cpu::Executable &executable, std::vector<NpyArray> &arguments);

/// A compiled configuration.
struct Kernel {
  Configuration configuration;
  std::unique_ptr<cpu::Executable> executable;

  /// Null where it does not compile, which is a failure of the test.
  explicit operator bool() const { return executable != nullptr; }

  /// O and LSE; LSE is empty where the configuration has none. Both are empty after a failure.
  oracle::Result operator()(const Shape &shape, const Inputs &inputs) const;
  oracle::Result operator()(std::vector<NpyArray> &arguments) const;
};

/// Compiles all, on all cores.
std::vector<Kernel> compileAll(llvm::ArrayRef<Configuration> configurations,
                               const cpu::CompileOptions &options = {});
Kernel compileOne(const Configuration &configuration, const cpu::CompileOptions &options = {});

} // namespace sfa::test

#endif // SFA_TEST_UNITTESTS_EXECUTION_KERNEL_H
