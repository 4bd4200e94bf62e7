//===- DeviceState.cpp - Clocks, power and temperature of devices ---------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The CUDA driver does not tell how fast a device runs. NVML, the NVIDIA Management Library, does.
// It comes with the driver and is opened by the first call that needs it.
//
//===----------------------------------------------------------------------===//

#include "Device.h"
#include "Knobs.h"
#include "Library.h"

#include <memory>
#include <mutex>
#include <type_traits>

using namespace sfa::runtime::impl;

namespace {

/// The part of <nvml.h> in use, whose binary interface NVIDIA keeps stable.
namespace nvml {

using Return = int32_t; // nvmlReturn_t
using Device = void *;  // nvmlDevice_t

constexpr Return success = 0;      // NVML_SUCCESS
constexpr Return notSupported = 3; // NVML_ERROR_NOT_SUPPORTED
constexpr Return noPermission = 4; // NVML_ERROR_NO_PERMISSION

enum Clock : int32_t { // NVML_CLOCK_*
  multiprocessor = 1,
  memory = 2,
};

constexpr int32_t sensorOfGPU = 0; // NVML_TEMPERATURE_GPU

} // namespace nvml

/// NVML. There is one for the process; once opened it stays.
class Nvml {
public:
  /// Opens it at the first call. Fails with SFA_ERROR_NO_DRIVER where it is not there or does not
  /// start; the next call then tries again.
  static const Nvml &get();

  /// The device at an address of the PCI bus. CUDA and NVML count devices in different orders, and
  /// CUDA_VISIBLE_DEVICES means nothing to NVML.
  nvml::Device find(const char *address) const;

  /// What an entry point, which is called `name`, answers; -1 where the device does not tell, or
  /// this NVML has no such entry point.
  template <typename Answer, typename Entry, typename... Parameters>
  int64_t ask(const char *name, Entry entry, Parameters... parameters) const {
    Answer answer = 0;
    nvml::Return result = entry ? entry(parameters..., &answer) : nvml::notSupported;
    if (result == nvml::notSupported || result == nvml::noPermission)
      return -1;
    if (result != nvml::success)
      fail(SFA_ERROR_DRIVER, "cannot ask for the state of a device: {} failed with {} ({})", name,
           result, describe(result));
    return static_cast<int64_t>(answer);
  }

  nvml::Return (*getClock)(nvml::Device, nvml::Clock, uint32_t *megahertz) = nullptr;
  nvml::Return (*getMaxClock)(nvml::Device, nvml::Clock, uint32_t *megahertz) = nullptr;
  nvml::Return (*getPower)(nvml::Device, uint32_t *milliwatts) = nullptr;
  nvml::Return (*getPowerLimit)(nvml::Device, uint32_t *milliwatts) = nullptr;
  nvml::Return (*getTemperature)(nvml::Device, int32_t sensor, uint32_t *celsius) = nullptr;
  nvml::Return (*getClockReasons)(nvml::Device, unsigned long long *reasons) = nullptr;

private:
  void open();

  const char *describe(nvml::Return result) const {
    const char *text = errorString ? errorString(result) : nullptr;
    return text ? text : "no description";
  }

  nvml::Return (*init)() = nullptr;
  nvml::Return (*getHandle)(const char *address, nvml::Device *device) = nullptr;
  const char *(*errorString)(nvml::Return) = nullptr;
};

} // namespace

const Nvml &Nvml::get() {
  static std::mutex mutex;
  static std::unique_ptr<const Nvml> *opened = new std::unique_ptr<const Nvml>;
  std::lock_guard<std::mutex> lock(mutex);
  if (!*opened) {
    auto nvml = std::make_unique<Nvml>();
    nvml->open();
    *opened = std::move(nvml);
  }
  return **opened;
}

void Nvml::open() {
  std::string path = knobs::nvml();
  Library library(path);
  constexpr const char *advice =
      "it tells clocks, power and temperature of devices, and nothing else needs it: install the "
      "NVIDIA driver with its tools (in a container: the driver capability 'utility'), or set "
      "SFA_NVML to the path of its libnvidia-ml.so.1";
  if (!library)
    fail(SFA_ERROR_NO_DRIVER, "cannot open NVML '{}': {}; {}", path, library.error(), advice);
  auto find = [&](auto &entry, const char *name) {
    entry = reinterpret_cast<std::remove_reference_t<decltype(entry)>>(library.find(name));
  };
  find(errorString, "nvmlErrorString");
  find(init, "nvmlInit_v2");
  find(getHandle, "nvmlDeviceGetHandleByPciBusId_v2");
  find(getClock, "nvmlDeviceGetClockInfo");
  find(getMaxClock, "nvmlDeviceGetMaxClockInfo");
  find(getPower, "nvmlDeviceGetPowerUsage");
  find(getPowerLimit, "nvmlDeviceGetEnforcedPowerLimit");
  find(getTemperature, "nvmlDeviceGetTemperature");
  // Drivers before R535 know it by its former name only.
  find(getClockReasons, "nvmlDeviceGetCurrentClocksEventReasons");
  if (!getClockReasons)
    find(getClockReasons, "nvmlDeviceGetCurrentClocksThrottleReasons");
  if (!init || !getHandle)
    fail(SFA_ERROR_NO_DRIVER, "'{}' has no {}: it is no NVML; {}", path,
         init ? "nvmlDeviceGetHandleByPciBusId_v2" : "nvmlInit_v2", advice);
  if (nvml::Return result = init())
    fail(SFA_ERROR_NO_DRIVER, "cannot start NVML '{}': nvmlInit failed with {} ({}); {}", path,
         result, describe(result), advice);
  library.keep();
}

nvml::Device Nvml::find(const char *address) const {
  nvml::Device device = nullptr;
  if (nvml::Return result = getHandle(address, &device))
    fail(SFA_ERROR_DRIVER,
         "cannot ask for the state of the device at the PCI address {}: "
         "nvmlDeviceGetHandleByPciBusId failed with {} ({})",
         address, result, describe(result));
  return device;
}

static sfa_device_state_info getState(const Nvml &nvml, nvml::Device device) {
  auto clock = [&](nvml::Clock which) {
    return static_cast<int32_t>(
        nvml.ask<uint32_t>("nvmlDeviceGetClockInfo", nvml.getClock, device, which));
  };
  auto maxClock = [&](nvml::Clock which) {
    return static_cast<int32_t>(
        nvml.ask<uint32_t>("nvmlDeviceGetMaxClockInfo", nvml.getMaxClock, device, which));
  };
  auto toWatts = [](int64_t milliwatts) { return milliwatts < 0 ? -1 : milliwatts / 1000.0; };

  sfa_device_state_info state = {};
  state.multiprocessor_clock_mhz = clock(nvml::multiprocessor);
  state.max_multiprocessor_clock_mhz = maxClock(nvml::multiprocessor);
  state.memory_clock_mhz = clock(nvml::memory);
  state.max_memory_clock_mhz = maxClock(nvml::memory);
  state.power_watts = toWatts(nvml.ask<uint32_t>("nvmlDeviceGetPowerUsage", nvml.getPower, device));
  state.power_limit_watts =
      toWatts(nvml.ask<uint32_t>("nvmlDeviceGetEnforcedPowerLimit", nvml.getPowerLimit, device));
  state.clock_reasons = nvml.ask<unsigned long long>("nvmlDeviceGetCurrentClocksEventReasons",
                                                     nvml.getClockReasons, device);
  state.temperature_celsius = static_cast<int32_t>(nvml.ask<uint32_t>(
      "nvmlDeviceGetTemperature", nvml.getTemperature, device, nvml::sensorOfGPU));
  return state;
}

sfa_status sfa_device_state(int32_t device, sfa_device_state_info *state) {
  return guarded([=] {
    requireNotNull(state, "sfa_device_state", "state");
    const Driver &driver = Driver::get();
    char address[32] = {};
    driver.check(driver.deviceGetPCIBusId(address, sizeof address, getDevice(driver, device)),
                 "cuDeviceGetPCIBusId", fmt::format("cannot query device {}", device));
    const Nvml &nvml = Nvml::get();
    *state = getState(nvml, nvml.find(address));
  });
}
