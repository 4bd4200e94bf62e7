//===- DeviceArray.h - Arrays in the memory of a GPU --------------*- C++ -*- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TARGET_CUDA_DEVICEARRAY_H
#define SFA_TARGET_CUDA_DEVICEARRAY_H

#include "sfa/Support/Npy.h"
#include "sfa/runtime.h"
#include "llvm/Support/Error.h"

#include <vector>

namespace sfa::cuda {

/// The last error of the runtime unless `status` is success.
llvm::Error toError(sfa_status status);

/// Memory of a device.
class DeviceBuffer {
public:
  static llvm::Expected<DeviceBuffer> allocate(int32_t device, size_t bytes);
  DeviceBuffer(DeviceBuffer &&other) : device(other.device), data(other.data), bytes(other.bytes) {
    other.data = nullptr;
  }
  DeviceBuffer &operator=(DeviceBuffer &&other) {
    std::swap(device, other.device);
    std::swap(data, other.data);
    std::swap(bytes, other.bytes);
    return *this;
  }
  ~DeviceBuffer() { sfa_memory_free(device, data); }
  void *get() const { return data; }
  size_t size() const { return bytes; }

private:
  DeviceBuffer(int32_t device, void *data, size_t bytes)
      : device(device), data(data), bytes(bytes) {}
  int32_t device;
  void *data;
  size_t bytes;
};

/// A dense row-major array in memory of its own. It may be moved, with its address and its shape.
class DeviceArray {
public:
  /// Holds anything where `data` is null, else `data` of the host.
  static llvm::Expected<DeviceArray> make(int32_t device, ElementType type,
                                          std::vector<int64_t> shape, const void *data);

  sfa_tensor tensor() const;
  /// The elements, on the host.
  llvm::Expected<NpyArray> read() const;
  /// Makes every byte 0xFF: a NaN of each type of floats.
  llvm::Error poison();

private:
  DeviceArray(int32_t device, ElementType type, std::vector<int64_t> shape, DeviceBuffer buffer)
      : device(device), type(type), shape(std::move(shape)), buffer(std::move(buffer)) {}
  int32_t device;
  ElementType type;
  std::vector<int64_t> shape;
  DeviceBuffer buffer;
};

} // namespace sfa::cuda

#endif // SFA_TARGET_CUDA_DEVICEARRAY_H
