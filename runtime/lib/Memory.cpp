//===- Memory.cpp - Memory of devices for callers without an allocator ----===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Device.h"

#include <map>
#include <memory>
#include <mutex>

using namespace sfa::runtime::impl;

/// The context that memory lives in. Held for good: where nobody holds a primary context its memory
/// is gone.
static cu::Context holdContext(const Driver &driver, int32_t ordinal) {
  static std::mutex mutex;
  static auto *contexts = new std::map<int32_t, std::unique_ptr<PrimaryContext>>;
  cu::Device device = getDevice(driver, ordinal);
  std::lock_guard<std::mutex> lock(mutex);
  std::unique_ptr<PrimaryContext> &context = (*contexts)[ordinal];
  if (!context)
    context = std::make_unique<PrimaryContext>(driver, device);
  return context->get();
}

sfa_status sfa_memory_allocate(int32_t device, size_t bytes, void **address) {
  return guarded([=] {
    requireNotNull(address, "sfa_memory_allocate", "address");
    const Driver &driver = Driver::get();
    ScopedContext scope(driver, holdContext(driver, device));
    *address = nullptr;
    if (bytes == 0)
      return;
    cu::Address allocated = 0;
    cu::Result result = driver.memoryAllocate(&allocated, bytes);
    if (result == cu::outOfMemory)
      fail(SFA_ERROR_OUT_OF_MEMORY, "device {} has no {} bytes of memory left", device, bytes);
    driver.check(result, "cuMemAlloc", fmt::format("cannot allocate {} bytes", bytes));
    *address = reinterpret_cast<void *>(static_cast<uintptr_t>(allocated));
  });
}

sfa_status sfa_memory_free(int32_t device, void *address) {
  return guarded([=] {
    if (!address)
      return;
    const Driver &driver = Driver::get();
    ScopedContext scope(driver, holdContext(driver, device));
    driver.check(driver.memoryFree(cu::toAddress(address)), "cuMemFree", "cannot free memory");
  });
}

sfa_status sfa_memory_copy(int32_t device, void *to, const void *from, size_t bytes) {
  return guarded([=] {
    if (bytes == 0)
      return;
    requireNotNull(to, "sfa_memory_copy", "to");
    requireNotNull(from, "sfa_memory_copy", "from");
    const Driver &driver = Driver::get();
    ScopedContext scope(driver, holdContext(driver, device));
    driver.check(driver.memoryCopy(cu::toAddress(to), cu::toAddress(from), bytes), "cuMemcpy",
                 fmt::format("cannot copy {} bytes", bytes));
  });
}

sfa_status sfa_synchronize(int32_t device) {
  return guarded([=] {
    const Driver &driver = Driver::get();
    ScopedContext scope(driver, holdContext(driver, device));
    driver.check(driver.contextSynchronize(), "cuCtxSynchronize",
                 fmt::format("work on device {} has failed", device));
  });
}
