//===- Driver.cpp - The CUDA driver, opened at run time -------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Driver.h"

#include "Knobs.h"
#include "Library.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <pthread.h>

using namespace sfa::runtime::impl;

/// The newest of the entry points that have to be there, cuLaunchKernelEx, is in this version.
static constexpr int oldestVersion = 11080;

static std::atomic<const Driver *> openDriver = nullptr;

/// The driver is open, or a thread is opening it.
static std::atomic<bool> isInUse = false;
static std::atomic<bool> isForked = false;

/// Children of this process learn that they were forked. Not by the process id: asking for that is
/// a system call, and launches come by here.
static void watchForks() {
  static const int failed = pthread_atfork(nullptr, nullptr, [] {
    if (isInUse.load(std::memory_order_relaxed))
      isForked.store(true, std::memory_order_relaxed);
  });
  if (failed)
    throw std::bad_alloc();
}

bool Driver::isLostByFork() noexcept { return isForked.load(std::memory_order_relaxed); }

const Driver &Driver::get() {
  if (isLostByFork())
    fail(SFA_ERROR_DRIVER,
         "this process was forked by one that has used CUDA, and the CUDA driver does not work in "
         "such a child; start processes afresh, with the start method 'spawn' of Python's "
         "multiprocessing, or fork before the first use of CUDA");
  if (const Driver *driver = openDriver.load(std::memory_order_acquire))
    return *driver;
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  if (const Driver *driver = openDriver.load(std::memory_order_relaxed))
    return *driver;
  watchForks();
  auto driver = std::make_unique<Driver>();
  isInUse.store(true, std::memory_order_relaxed);
  try {
    driver->open();
  } catch (...) {
    isInUse.store(false, std::memory_order_relaxed);
    throw;
  }
  // It lives as long as the process: other libraries' destructors may still use it.
  openDriver.store(driver.get(), std::memory_order_release);
  return *driver.release();
}

std::string Driver::versionName(int version) {
  return fmt::format("CUDA {}.{}", version / 1000, version % 1000 / 10);
}

void Driver::open() {
  std::string path = knobs::cudaDriver();
  Library library(path);
  if (!library)
    fail(SFA_ERROR_NO_DRIVER,
         "cannot open the CUDA driver '{}': {}; install the NVIDIA driver (in a container: make it "
         "visible there), or set SFA_CUDA_DRIVER to the path of its libcuda.so.1",
         path, library.error());

  // The names with a version are exported by all drivers so far; cuGetProcAddress is the documented
  // way for one that would not.
  using GetProcAddress = cu::Result (*)(const char *, void **, int, uint64_t, void *);
  auto getProcAddress = reinterpret_cast<GetProcAddress>(library.find("cuGetProcAddress_v2"));
  auto find = [&](const char *exported, const char *name, int since) -> void * {
    void *address = library.find(exported);
    if (!address && getProcAddress &&
        getProcAddress(name, &address, since, cu::legacyStream, nullptr) != cu::success)
      address = nullptr;
    if (!address && since < oldestVersion)
      fail(SFA_ERROR_NO_DRIVER,
           "'{}' has no {}: it is no CUDA driver, or one before {}; update the NVIDIA driver, or "
           "set SFA_CUDA_DRIVER to the path of a newer libcuda.so.1",
           path, exported, versionName(oldestVersion));
    return address;
  };
#define SFA_DRIVER_ENTRY(member, name, suffix, since, parameters)                                  \
  member = reinterpret_cast<decltype(member)>(find(#name #suffix, #name, since));
#include "DriverEntries.def"

  // A driver that has started must not be unloaded.
  library.keep();
  cu::Result result = init(0);
  if (result == cu::success)
    result = deviceGetCount(&numDevices);
  if (result == cu::noDevice || (result == cu::success && numDevices <= 0))
    fail(SFA_ERROR_NO_DEVICE,
         "the CUDA driver '{}' finds no device; check nvidia-smi, and that CUDA_VISIBLE_DEVICES "
         "hides none that is meant",
         path);
  std::string what = fmt::format("cannot start the CUDA driver '{}'", path);
  check(result, "cuInit", what);
  check(driverGetVersion(&version), "cuDriverGetVersion", what);
}

void Driver::failCall(cu::Result result, const char *call, std::string_view what,
                      std::string_view log) const {
  const char *name = nullptr, *text = nullptr;
  if (getErrorName(result, &name) != cu::success || !name)
    name = "an unknown error";
  if (getErrorString(result, &text) != cu::success || !text)
    text = "no description";
  std::string message =
      fmt::format("{}: {} failed with {} ({}): {}", what, call, name, result, text);
  if (result >= cu::firstOfCapture && result <= cu::lastOfCapture)
    message +=
        "; while a stream is captured into a graph the driver refuses this: do it outside of "
        "captures, and for a launch call sfa_program_prepare before the capture begins";
  else if (result >= cu::illegalAddress && result <= cu::launchFailed)
    message +=
        "; kernels run asynchronously, so this may come from work that was put into a stream "
        "earlier: run with CUDA_LAUNCH_BLOCKING=1, or under compute-sanitizer";
  else if (result == cu::notInitialized)
    message += "; a process that is forked after the parent has used CUDA cannot use it: start it "
               "afresh";
  if (!log.empty())
    message.append("\n").append(log);
  throw Failure{result == cu::outOfMemory ? SFA_ERROR_OUT_OF_MEMORY : SFA_ERROR_DRIVER, message};
}

ScopedContext::ScopedContext(const Driver &driver, cu::Context context) : driver(driver) {
  cu::Context current = nullptr;
  driver.check(driver.contextGetCurrent(&current), "cuCtxGetCurrent",
               "cannot switch to the device's context");
  if (current == context)
    return;
  driver.check(driver.contextPushCurrent(context), "cuCtxPushCurrent",
               "cannot switch to the device's context");
  isPushed = true;
}

ScopedContext::~ScopedContext() {
  cu::Context popped;
  if (isPushed)
    driver.contextPopCurrent(&popped);
}
