//===- LoadedProgram.h - The code of a program on a device ------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_RUNTIME_LIB_LOADEDPROGRAM_H
#define SFA_RUNTIME_LIB_LOADEDPROGRAM_H

#include "Device.h"
#include "ParsedProgram.h"

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace sfa::runtime::impl {

/// A program loaded into the primary context of one device.
class LoadedProgram {
public:
  LoadedProgram(const Driver &driver, const ParsedProgram &program, int32_t device);

  cu::Context context() const { return primary.get(); }
  /// The kernel of launch `index`.
  cu::Function function(size_t index) const { return functions[index]; }
  /// Of the device.
  uint32_t multiprocessors() const { return numMultiprocessors; }

private:
  LoadedProgram(const Driver &driver, const ParsedProgram &program, int32_t device,
                const sfa_device_properties &properties);

  struct Module {
    ~Module();
    const Driver &driver;
    cu::Context context;
    cu::Module handle = nullptr;
  };

  uint32_t numMultiprocessors;
  PrimaryContext primary;
  Module module;
  std::vector<cu::Function> functions;
};

/// Fails with SFA_ERROR_UNSUPPORTED_DEVICE unless the device can run the program.
void requireSupport(const ParsedProgram &program, int32_t device,
                    const sfa_device_properties &properties);

/// The most devices that a process can use.
constexpr int32_t maxDevices = 64;

/// The program on each device that it has been loaded on.
class LoadedPrograms {
public:
  ~LoadedPrograms();

  /// The program on a device; loads it where it is not yet. Only loading takes a lock.
  const LoadedProgram &get(const Driver &driver, const ParsedProgram &program, int32_t device) {
    if (device >= 0 && device < maxDevices)
      if (const LoadedProgram *loaded = slots[device].load(std::memory_order_acquire))
        return *loaded;
    return load(driver, program, device);
  }

private:
  const LoadedProgram &load(const Driver &driver, const ParsedProgram &program, int32_t device);

  std::array<std::atomic<const LoadedProgram *>, maxDevices> slots = {};
  std::mutex mutex;
};

} // namespace sfa::runtime::impl

/// The handle of the C interface.
struct sfa_program {
  explicit sfa_program(sfa::runtime::impl::ParsedProgram program) : program(std::move(program)) {}

  const sfa::runtime::impl::ParsedProgram program;
  sfa::runtime::impl::LoadedPrograms loaded;
};

#endif // SFA_RUNTIME_LIB_LOADEDPROGRAM_H
