//===- FakeNvml.cpp - An NVML without a GPU -------------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FakeNvml.h"

using namespace sfa::test;

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT FakeNvml *sfaFakeNvml() {
  static auto *nvml = new FakeNvml;
  return nvml;
}

static FakeNvml &fake = *sfaFakeNvml();

/// The error that a call is to fail with.
static int enter(const char *call) {
  auto failure = fake.failures.find(call);
  return failure == fake.failures.end() ? 0 : failure->second;
}

/// Answers a question about a device, which a handle points to.
template <typename Answer>
static int answer(const char *call, void *device, Answer FakeNvml::Device::*member,
                  Answer *result) {
  if (int failure = enter(call))
    return failure;
  *result = static_cast<FakeNvml::Device *>(device)->*member;
  return 0;
}

EXPORT const char *nvmlErrorString(int) { return "made to fail"; }

EXPORT int nvmlInit_v2() {
  if (int failure = enter("nvmlInit"))
    return failure;
  ++fake.numStarts;
  return 0;
}

EXPORT int nvmlDeviceGetHandleByPciBusId_v2(const char *address, void **device) {
  auto found = fake.devices.find(address);
  if (found == fake.devices.end())
    return 6; // NVML_ERROR_NOT_FOUND
  *device = &found->second;
  return 0;
}

EXPORT int nvmlDeviceGetClockInfo(void *device, int clock, unsigned *megahertz) {
  return answer("nvmlDeviceGetClockInfo", device,
                clock == 1 ? &FakeNvml::Device::multiprocessorClock
                           : &FakeNvml::Device::memoryClock,
                megahertz);
}

EXPORT int nvmlDeviceGetMaxClockInfo(void *device, int clock, unsigned *megahertz) {
  return answer("nvmlDeviceGetMaxClockInfo", device,
                clock == 1 ? &FakeNvml::Device::maxMultiprocessorClock
                           : &FakeNvml::Device::maxMemoryClock,
                megahertz);
}

EXPORT int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts) {
  return answer("nvmlDeviceGetPowerUsage", device, &FakeNvml::Device::milliwatts, milliwatts);
}

EXPORT int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned *milliwatts) {
  return answer("nvmlDeviceGetEnforcedPowerLimit", device, &FakeNvml::Device::limitMilliwatts,
                milliwatts);
}

EXPORT int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *celsius) {
  if (sensor != 0)
    return 2; // NVML_ERROR_INVALID_ARGUMENT
  return answer("nvmlDeviceGetTemperature", device, &FakeNvml::Device::celsius, celsius);
}

/// By the name of drivers before R535, which later ones have, too.
EXPORT int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *reasons) {
  return answer("nvmlDeviceGetCurrentClocksThrottleReasons", device,
                &FakeNvml::Device::clockReasons, reasons);
}
