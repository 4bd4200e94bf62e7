//===- DeviceStateTest.cpp - How devices fare -----------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A process opens NVML once, like the driver. So each test runs in a child.
//
//===----------------------------------------------------------------------===//

#include "FakeNvml.h"
#include "RuntimeTest.h"

#include <cstdlib>
#include <dlfcn.h>
#include <iostream>

using namespace sfa;
using namespace sfa::test;

namespace {

class DeviceStateDeathTest : public OnFakeDriver {
protected:
  /// What a child says.
  template <typename Body>
  static void expectSaid(const Body &body, const std::string &expected) {
    EXPECT_EXIT(
        {
          body();
          std::_Exit(0);
        },
        testing::ExitedWithCode(0), expected);
  }

  static FakeNvml &open() {
    setenv("SFA_NVML", SFA_FAKE_NVML, 1);
    void *library = dlopen(SFA_FAKE_NVML, RTLD_NOW | RTLD_LOCAL);
    FakeNvml &nvml = *reinterpret_cast<FakeNvml *(*)()>(dlsym(library, "sfaFakeNvml"))();
    nvml.devices = {{"0000:70:00.0", {}}, {"0000:80:00.0", {}}, {"0000:90:00.0", {}}};
    return nvml;
  }

  static void say(int32_t device = 0) {
    auto state = runtime::deviceState(device);
    if (!state) {
      std::cerr << sfa_status_name(state.error().status) << ": " << state.error().message << '\n';
      return;
    }
    std::cerr << state->multiprocessor_clock_mhz << " of " << state->max_multiprocessor_clock_mhz
              << " MHz, " << state->memory_clock_mhz << " of " << state->max_memory_clock_mhz
              << " MHz, " << state->power_watts << " of " << state->power_limit_watts << " W, "
              << state->temperature_celsius << " C, " << state->clock_reasons << '\n';
  }
};

TEST_F(DeviceStateDeathTest, IsThatOfTheDeviceOfCUDA) {
  expectSaid(
      [] {
        FakeNvml &nvml = open();
        nvml.devices["0000:90:00.0"].clockReasons =
            SFA_CLOCK_REASON_POWER_CAP | SFA_CLOCK_REASON_HARDWARE_THERMAL;
        // It is CUDA's device 1, and neither the first nor the last of the bus.
        nvml.devices["0000:80:00.0"].multiprocessorClock = 345;
        say(0);
        say(1);
        std::cerr << nvml.numStarts << " start";
      },
      "^1755 of 1980 MHz, 2619 of 2620 MHz, 123.456 of 700 W, 41 C, 68\n"
      "345 of 1980 MHz, 2619 of 2620 MHz, 123.456 of 700 W, 41 C, 0\n1 start$");
}

TEST_F(DeviceStateDeathTest, LeavesOutWhatADeviceDoesNotTell) {
  expectSaid(
      [] {
        FakeNvml &nvml = open();
        for (const char *call : {"nvmlDeviceGetClockInfo", "nvmlDeviceGetPowerUsage",
                                 "nvmlDeviceGetCurrentClocksThrottleReasons"})
          nvml.failures[call] = 3;                     // NVML_ERROR_NOT_SUPPORTED
        nvml.failures["nvmlDeviceGetTemperature"] = 4; // NVML_ERROR_NO_PERMISSION
        say();
      },
      "^-1 of 1980 MHz, -1 of 2620 MHz, -1 of 700 W, -1 C, -1\n$");
}

TEST_F(DeviceStateDeathTest, SaysWhatIsMissing) {
  expectSaid(
      [] {
        setenv("SFA_NVML", "/nonexistent/libnvidia-ml.so.1", 1);
        say();
        setenv("SFA_NVML", "libc.so.6", 1);
        say();
        // Nothing else fails, and a later try may succeed.
        if (runtime::Status status = load(makeProgram()).prepare(0); !status)
          std::cerr << status.error().message;
        FakeNvml &nvml = open();
        nvml.failures["nvmlInit"] = 9; // NVML_ERROR_DRIVER_NOT_LOADED
        say();
        nvml.failures.clear();
        say();
      },
      "^SFA_ERROR_NO_DRIVER: cannot open NVML '/nonexistent/libnvidia-ml.so.1': .*; it tells "
      "clocks, "
      "power and temperature of devices, and nothing else needs it: install the NVIDIA driver with "
      "its tools .in a container: the driver capability 'utility'., or set SFA_NVML to the path of "
      "its libnvidia-ml.so.1\n"
      "SFA_ERROR_NO_DRIVER: 'libc.so.6' has no nvmlInit_v2: it is no NVML; it tells clocks.*\n"
      "SFA_ERROR_NO_DRIVER: cannot start NVML '.*': nvmlInit failed with 9 .made to fail.; it "
      "tells "
      "clocks.*\n"
      "1755 of 1980 MHz, .*\n$");
}

TEST_F(DeviceStateDeathTest, SaysWhatIsWrong) {
  expectSaid(
      [] {
        FakeNvml &nvml = open();
        say(3);
        nvml.failures["nvmlDeviceGetPowerUsage"] = 15; // NVML_ERROR_GPU_IS_LOST
        say();
        nvml.devices.clear();
        say();
        sfa_device_state(0, nullptr);
        std::cerr << sfa_last_error();
      },
      "^SFA_ERROR_NO_DEVICE: there is no device 3; this machine has devices 0 to 2\n"
      "SFA_ERROR_DRIVER: cannot ask for the state of a device: nvmlDeviceGetPowerUsage failed with "
      "15 .made to fail.\n"
      "SFA_ERROR_DRIVER: cannot ask for the state of the device at the PCI address 0000:90:00.0: "
      "nvmlDeviceGetHandleByPciBusId failed with 6 .made to fail.\n"
      "sfa_device_state: `state` is NULL; it has to point to something$");
}

} // namespace
