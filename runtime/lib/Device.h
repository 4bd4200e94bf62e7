//===- Device.h - Devices and their contexts --------------------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_RUNTIME_LIB_DEVICE_H
#define SFA_RUNTIME_LIB_DEVICE_H

#include "Driver.h"

namespace sfa::runtime::impl {

/// The device of a number; fails with SFA_ERROR_NO_DEVICE where there is none.
cu::Device getDevice(const Driver &driver, int32_t ordinal);

sfa_device_properties getProperties(const Driver &driver, int32_t ordinal);

/// A hold on the primary context of a device.
class PrimaryContext {
public:
  PrimaryContext(const Driver &driver, cu::Device device);
  ~PrimaryContext();
  PrimaryContext(const PrimaryContext &) = delete;
  PrimaryContext &operator=(const PrimaryContext &) = delete;

  cu::Context get() const { return context; }

private:
  const Driver &driver;
  cu::Device device;
  cu::Context context = nullptr;
};

} // namespace sfa::runtime::impl

#endif // SFA_RUNTIME_LIB_DEVICE_H
