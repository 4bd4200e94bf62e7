//===- FakeDriver.h - A CUDA driver without a GPU ---------------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The library of FakeDriver.cpp exports the entry points of the CUDA driver that the runtime uses,
// and this object, through which tests set up machines, make calls fail and see what was called.
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TEST_UNITTESTS_RUNTIME_FAKEDRIVER_H
#define SFA_TEST_UNITTESTS_RUNTIME_FAKEDRIVER_H

#include "DriverTypes.h"

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace sfa::test {

struct FakeDevice {
  int major = 9, minor = 0;
  int maxSharedBytes = 232448;
  /// Holds on the primary context.
  int numRetained = 0;
};

struct FakeLaunch {
  std::string kernel;
  std::vector<uint32_t> grid, block;
  uint32_t sharedBytes, cluster;
  void *stream;
  /// The device whose context was current.
  int device;
  /// The parameters as they lie in the kernel's parameter space.
  std::vector<uint8_t> parameters;
};

struct FakeTensorMap {
  int32_t type;
  uint64_t address;
  std::vector<uint64_t> sizes, strides;
  std::vector<uint32_t> box, elementStrides;
  int32_t interleave, swizzle, l2Promotion, fill;
};

/// Memory of a device that was overwritten.
struct FakeMemset {
  uint64_t address;
  size_t bytes;
  uint8_t value;
  void *stream;
};

/// The kernels of a graph that was captured.
using FakeGraph = std::vector<FakeLaunch>;

struct FakeDriver {
  // What the machine is. The runtime asks for the number of devices only once.
  std::vector<FakeDevice> devices = std::vector<FakeDevice>(3);
  /// The results of calls that are to fail, by their names.
  std::map<std::string, int> failures;
  /// How many of these calls succeed first; 0 where there is no entry.
  std::map<std::string, int> numCallsBeforeFailure;
  /// How long a graph runs, in milliseconds: one for each kernel, unless a test says otherwise.
  std::function<float(const FakeGraph &)> timeOfGraph = numKernels;
  /// What the assembler writes into its log.
  std::string jitLog;
  /// Off for measuring.
  std::atomic<bool> isRecording = true;

  // What happened.
  std::map<std::string, int> numCalls;
  /// The names of all calls, in their order.
  std::vector<std::string> calls;
  /// Kernels that ran: those of graphs each time that the graph ran.
  std::vector<FakeLaunch> launches;
  std::vector<FakeMemset> memsets;
  std::vector<FakeTensorMap> tensorMaps;
  /// By kernel, in bytes.
  std::map<std::string, int> sharedBytes;
  int numModules = 0;
  int numLinkers = 0;
  int numStreams = 0;
  int numEvents = 0;
  int numGraphs = 0;
  int numGraphExecs = 0;
  /// The capture mode of the thread at the last load.
  int captureModeAtLoad = -1;
  /// The mode of the last capture.
  int captureMode = -1;

  std::mutex mutex;

  static float numKernels(const FakeGraph &graph) { return static_cast<float>(graph.size()); }

  /// A pattern that tells tensor map `index` apart.
  static uint64_t mapWord(size_t index, size_t word) { return 0xABCD0000 + 256 * index + word; }

  void reset() {
    std::lock_guard<std::mutex> lock(mutex);
    devices.assign(3, {});
    failures.clear();
    numCallsBeforeFailure.clear();
    timeOfGraph = numKernels;
    jitLog.clear();
    isRecording = true;
    numCalls.clear();
    calls.clear();
    launches.clear();
    memsets.clear();
    tensorMaps.clear();
    sharedBytes.clear();
    captureModeAtLoad = captureMode = -1;
  }
};

} // namespace sfa::test

#endif // SFA_TEST_UNITTESTS_RUNTIME_FAKEDRIVER_H
