//===- Workbench.h - Where schedules are compiled and timed -----*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TUNING_WORKBENCH_H
#define SFA_TUNING_WORKBENCH_H

#include "sfa/Tuning/Case.h"

#include <memory>

namespace sfa::tuning {

/// A case with one schedule, compiled.
class Candidate {
public:
  virtual ~Candidate() = default;

  /// The time of one call as a user's program makes it, with cold caches where the device has a
  /// memory of its own.
  virtual llvm::Expected<double> sample() = 0;

  /// Compares results with fp64: sampled rows of the case, and all of a ragged one.
  virtual llvm::Error check() = 0;
};

/// What clocks and power were when times were taken; 0 where nobody knows.
struct Conditions {
  int64_t clock = 0, throttle = 0;
};

/// A device that times the schedules of one case after the other.
class Workbench {
public:
  using Compiled = llvm::Expected<std::unique_ptr<Candidate>>;

  virtual ~Workbench() = default;

  virtual const Device &device() const = 0;
  virtual DeviceKey deviceKey() const { return DeviceKey::of(device()); }
  virtual std::string driver() const { return ""; }
  virtual Conditions conditions() { return {}; }

  /// Makes the data of a case; candidates of another one must be gone.
  virtual llvm::Error start(const Case &problem) = 0;

  /// Compiles schedules, several at once. Whatever a schedule does wrong is its own error.
  virtual std::vector<Compiled> compile(llvm::ArrayRef<Schedule> schedules) = 0;
};

/// On the threads of this process.
std::unique_ptr<Workbench> createCpuWorkbench();

/// On a GPU, for the chip `chip`, or the best one where it is empty. `rest` are milliseconds
/// without work before each sample, so that clocks are those of a program that does other things,
/// too.
llvm::Expected<std::unique_ptr<Workbench>> createCudaWorkbench(int32_t device, llvm::StringRef chip,
                                                               double rest);

} // namespace sfa::tuning

#endif // SFA_TUNING_WORKBENCH_H
