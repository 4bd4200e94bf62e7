//===- LoadedProgram.cpp - The code of a program on a device --------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LoadedProgram.h"

#include "JitLog.h"

#include <algorithm>

using namespace sfa::runtime::impl;

namespace {

/// Lets this thread load code while it, or another thread, captures a stream into a graph: loading
/// puts nothing into a stream.
class RelaxedCapture {
public:
  explicit RelaxedCapture(const Driver &driver) : driver(driver) {
    driver.check(driver.exchangeCaptureMode(&mode), "cuThreadExchangeStreamCaptureMode",
                 "cannot load the program");
  }
  ~RelaxedCapture() { driver.exchangeCaptureMode(&mode); }
  RelaxedCapture(const RelaxedCapture &) = delete;
  RelaxedCapture &operator=(const RelaxedCapture &) = delete;

private:
  const Driver &driver;
  cu::CaptureMode mode = cu::relaxed;
};

} // namespace

void sfa::runtime::impl::requireSupport(const ParsedProgram &program, int32_t device,
                                        const sfa_device_properties &properties) {
  const Architecture &architecture = program.architecture;
  int32_t major = properties.capability_major, minor = properties.capability_minor;
  auto refuse = [&](const std::string &reason) {
    fail(SFA_ERROR_UNSUPPORTED_DEVICE, "device {} ({}, compute capability {}.{}) {}", device,
         properties.name, major, minor, reason);
  };
  if (major < 8)
    refuse("is too old: programs need compute capability 8.0 or later");
  bool isSame = major == architecture.major && minor == architecture.minor;
  if (architecture.isExact && !isSame)
    refuse(fmt::format("cannot run a program for {}, which needs compute capability {}.{} exactly; "
                       "compile it for sm_80, or for this device",
                       architecture.name(), architecture.major, architecture.minor));
  bool isNewer =
      major > architecture.major || (major == architecture.major && minor >= architecture.minor);
  if (!isNewer || (!program.image.isPTX && major != architecture.major))
    refuse(fmt::format("cannot run a program {} for {}, which needs compute capability {}.{}{}; "
                       "compile it for this device",
                       program.image.isPTX ? "in PTX" : "in machine code", architecture.name(),
                       architecture.major, architecture.minor,
                       program.image.isPTX ? " or later"
                                           : fmt::format(" to {}.9", architecture.major)));
  for (const Launch &launch : program.launches)
    if (launch.sharedBytes > properties.max_shared_bytes_per_block)
      refuse(fmt::format("cannot run the kernel {}, which needs {} bytes of shared memory a block; "
                         "the device has {}: compile it with smaller tiles or fewer stages",
                         launch.kernel, launch.sharedBytes, properties.max_shared_bytes_per_block));
}

/// Fails unless the kernel takes the parameters that `launch` passes: with others the driver would
/// read beyond them.
static void requireParameters(const Driver &driver, cu::Function function, const Launch &launch) {
  if (!driver.functionGetParamInfo)
    return;
  size_t numWords = 5 * launch.memories.size();
  size_t numHalves = launch.scalars.size() + (launch.isPersistent ? 3 : 0);
  size_t numBatches = launch.batches.size();
  size_t count = numWords + numHalves + numBatches + launch.tensorMaps.size();
  for (size_t index = 0; index <= count; ++index) {
    size_t offset = 0, size = 0;
    cu::Result result = driver.functionGetParamInfo(function, index, &offset, &size);
    if (result != cu::success && result != cu::invalidValue)
      driver.failCall(result, "cuFuncGetParamInfo", "cannot load the program", "");
    bool isThere = result == cu::success;
    size_t wanted = index < numWords                            ? sizeof(uint64_t)
                    : index < numWords + numHalves              ? sizeof(uint32_t)
                    : index < numWords + numHalves + numBatches ? sizeof(uint64_t)
                                                                : sizeof(cu::TensorMap);
    if (isThere != (index < count) || (isThere && size != wanted))
      fail(SFA_ERROR_INVALID_PROGRAM,
           "invalid program: the kernel {} {} parameter {}{}; its launch {}has {} memories, {} "
           "scalars and {} tensor maps, which are {} parameters of 8 bytes, {} of 4 and {} of 128",
           launch.kernel, isThere ? "has" : "has no", index,
           isThere ? fmt::format(" of {} bytes", size) : "",
           launch.isPersistent ? "is persistent and " : "", launch.memories.size(),
           launch.scalars.size(), launch.tensorMaps.size(), numWords + numBatches, numHalves,
           launch.tensorMaps.size());
  }
}

/// Fails where the driver is too old for what the launches need.
static void requireEntries(const Driver &driver, const ParsedProgram &program) {
  for (const Launch &launch : program.launches)
    if (!launch.tensorMaps.empty() && !driver.tensorMapEncodeTiled)
      fail(SFA_ERROR_NO_DRIVER,
           "the kernel {} uses the tensor memory accelerator, which needs a driver of {} or later; "
           "this one is of {}: update the NVIDIA driver",
           launch.kernel, Driver::versionName(12000), Driver::versionName(driver.version));
}

/// The properties of the device, where it can run the program.
static sfa_device_properties getSupported(const Driver &driver, const ParsedProgram &program,
                                          int32_t device) {
  sfa_device_properties properties = getProperties(driver, device);
  requireSupport(program, device, properties);
  requireEntries(driver, program);
  return properties;
}

LoadedProgram::LoadedProgram(const Driver &driver, const ParsedProgram &program, int32_t device)
    : LoadedProgram(driver, program, device, getSupported(driver, program, device)) {}

LoadedProgram::LoadedProgram(const Driver &driver, const ParsedProgram &program, int32_t device,
                             const sfa_device_properties &properties)
    : numMultiprocessors(static_cast<uint32_t>(properties.multiprocessors)),
      primary(driver, getDevice(driver, device)), module{driver, primary.get()} {
  std::string what = fmt::format("cannot load the program onto device {}", device);
  ScopedContext scope(driver, primary.get());
  RelaxedCapture capture(driver);

  JitLog log;
  cu::Result result = driver.moduleLoadDataEx(&module.handle, program.image.bytes.c_str(),
                                              log.numOptions, log.options, log.values);
  if (result != cu::success)
    module.handle = nullptr;
  driver.check(result, "cuModuleLoadDataEx", what, log.text());

  for (const Launch &launch : program.launches) {
    cu::Function function = nullptr;
    result = driver.moduleGetFunction(&function, module.handle, launch.kernel.c_str());
    if (result == cu::notFound)
      fail(SFA_ERROR_INVALID_PROGRAM, "invalid program: the image has no kernel {}", launch.kernel);
    driver.check(result, "cuModuleGetFunction", what);
    requireParameters(driver, function, launch);

    // Drivers load a function at its first launch unless told to do it now.
    if (driver.functionLoad)
      driver.check(driver.functionLoad(function), "cuFuncLoad", what);

    // Launches may share a kernel: it is allowed what the greediest of them takes.
    uint32_t sharedBytes = 0;
    for (const Launch &other : program.launches)
      if (other.kernel == launch.kernel)
        sharedBytes = std::max(sharedBytes, other.sharedBytes);
    if (sharedBytes > 0)
      driver.check(driver.functionSetAttribute(function, cu::maxDynamicSharedSizeBytes,
                                               static_cast<int>(sharedBytes)),
                   "cuFuncSetAttribute",
                   fmt::format("cannot give the kernel {} {} bytes of dynamic shared memory on "
                               "device {}",
                               launch.kernel, sharedBytes, device));
    functions.push_back(function);
  }
}

LoadedProgram::Module::~Module() {
  if (!handle)
    return;
  try {
    ScopedContext scope(driver, context);
    driver.moduleUnload(handle);
  } catch (const Failure &) {
    // The driver is gone already, at the end of the process, or its context is broken: either takes
    // the module along.
  }
}

LoadedPrograms::~LoadedPrograms() {
  if (Driver::isLostByFork())
    return;
  for (std::atomic<const LoadedProgram *> &slot : slots)
    delete slot.load(std::memory_order_acquire);
}

const LoadedProgram &LoadedPrograms::load(const Driver &driver, const ParsedProgram &program,
                                          int32_t device) {
  getDevice(driver, device);
  if (device >= maxDevices)
    fail(SFA_ERROR_NO_DEVICE, "device {} is beyond the devices that the runtime can use, 0 to {}",
         device, maxDevices - 1);
  std::lock_guard<std::mutex> lock(mutex);
  if (const LoadedProgram *loaded = slots[device].load(std::memory_order_relaxed))
    return *loaded;
  auto loaded = std::make_unique<LoadedProgram>(driver, program, device);
  slots[device].store(loaded.get(), std::memory_order_release);
  return *loaded.release();
}

sfa_status sfa_program_prepare(sfa_program *program, int32_t device) {
  return guarded([=] {
    requireNotNull(program, "sfa_program_prepare", "program");
    program->loaded.get(Driver::get(), program->program, device);
  });
}
