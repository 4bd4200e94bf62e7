//===- Device.cpp - Devices and their contexts ----------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Device.h"

using namespace sfa::runtime::impl;

cu::Device sfa::runtime::impl::getDevice(const Driver &driver, int32_t ordinal) {
  if (ordinal < 0 || ordinal >= driver.numDevices)
    fail(SFA_ERROR_NO_DEVICE, "there is no device {}; this machine has devices 0 to {}", ordinal,
         driver.numDevices - 1);
  cu::Device device;
  driver.check(driver.deviceGet(&device, ordinal), "cuDeviceGet",
               fmt::format("cannot use device {}", ordinal));
  return device;
}

sfa_device_properties sfa::runtime::impl::getProperties(const Driver &driver, int32_t ordinal) {
  cu::Device device = getDevice(driver, ordinal);
  std::string what = fmt::format("cannot query device {}", ordinal);
  auto attribute = [&](cu::DeviceAttribute which) {
    int value = 0;
    driver.check(driver.deviceGetAttribute(&value, which, device), "cuDeviceGetAttribute", what);
    return value;
  };
  sfa_device_properties properties = {};
  driver.check(driver.deviceGetName(properties.name, sizeof(properties.name) - 1, device),
               "cuDeviceGetName", what);
  size_t bytes = 0;
  driver.check(driver.deviceTotalMem(&bytes, device), "cuDeviceTotalMem", what);
  properties.memory_bytes = static_cast<int64_t>(bytes);
  properties.capability_major = attribute(cu::computeCapabilityMajor);
  properties.capability_minor = attribute(cu::computeCapabilityMinor);
  properties.multiprocessors = attribute(cu::multiprocessorCount);
  properties.max_shared_bytes_per_block = attribute(cu::maxSharedMemoryPerBlockOptin);
  properties.driver_version = driver.version;
  return properties;
}

PrimaryContext::PrimaryContext(const Driver &driver, cu::Device device)
    : driver(driver), device(device) {
  driver.check(driver.primaryContextRetain(&context, device), "cuDevicePrimaryCtxRetain",
               "cannot make the context of the device");
}

PrimaryContext::~PrimaryContext() { driver.primaryContextRelease(device); }

sfa_status sfa_driver_status(void) {
  return guarded([] { Driver::get(); });
}

sfa_status sfa_device_count(int32_t *count) {
  return guarded([=] {
    requireNotNull(count, "sfa_device_count", "count");
    *count = 0;
    *count = Driver::get().numDevices;
  });
}

sfa_status sfa_device_info(int32_t device, sfa_device_properties *properties) {
  return guarded([=] {
    requireNotNull(properties, "sfa_device_info", "properties");
    *properties = getProperties(Driver::get(), device);
  });
}
