//===- DeviceArray.cpp - Arrays in the memory of a GPU ------------------------ ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Target/CUDA/DeviceArray.h"

#include "llvm/Support/ErrorHandling.h"

#include <string>

using namespace sfa;
using namespace sfa::cuda;

llvm::Error cuda::toError(sfa_status status) {
  return status == SFA_SUCCESS ? llvm::Error::success()
                               : llvm::createStringError(std::string(sfa_last_error()));
}

static sfa_dtype toDtype(ElementType type) {
  switch (type) {
  case ElementType::F16:
    return SFA_DTYPE_F16;
  case ElementType::BF16:
    return SFA_DTYPE_BF16;
  case ElementType::F32:
    return SFA_DTYPE_F32;
  case ElementType::I8:
    return SFA_DTYPE_I8;
  case ElementType::U8:
    return SFA_DTYPE_U8;
  case ElementType::U16:
    return SFA_DTYPE_U16;
  case ElementType::I32:
    return SFA_DTYPE_I32;
  case ElementType::I64:
    return SFA_DTYPE_I64;
  case ElementType::F64:
    return SFA_DTYPE_F64;
  }
  llvm_unreachable("an element type without a case");
}

llvm::Expected<DeviceBuffer> DeviceBuffer::allocate(int32_t device, size_t bytes) {
  void *data = nullptr;
  if (llvm::Error error = toError(sfa_memory_allocate(device, bytes, &data)))
    return error;
  return DeviceBuffer(device, data, bytes);
}

llvm::Expected<DeviceArray> DeviceArray::make(int32_t device, ElementType type,
                                              std::vector<int64_t> shape, const void *data) {
  size_t bytes = sizeInBytes(type);
  for (int64_t size : shape)
    bytes *= static_cast<size_t>(size);
  llvm::Expected<DeviceBuffer> buffer = DeviceBuffer::allocate(device, bytes);
  if (!buffer)
    return buffer.takeError();
  if (data)
    if (llvm::Error error = toError(sfa_memory_copy(device, buffer->get(), data, bytes)))
      return error;
  return DeviceArray(device, type, std::move(shape), std::move(*buffer));
}

sfa_tensor DeviceArray::tensor() const {
  return {buffer.get(), toDtype(type), static_cast<int32_t>(shape.size()), shape.data(), nullptr};
}

llvm::Expected<NpyArray> DeviceArray::read() const {
  NpyArray array = NpyArray::zeros(type, shape);
  if (llvm::Error error =
          toError(sfa_memory_copy(device, array.data.data(), buffer.get(), buffer.size())))
    return error;
  return array;
}

llvm::Error DeviceArray::poison() {
  std::vector<unsigned char> bytes(buffer.size(), 0xFF);
  return toError(sfa_memory_copy(device, buffer.get(), bytes.data(), bytes.size()));
}
