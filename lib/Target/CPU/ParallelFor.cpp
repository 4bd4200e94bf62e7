//===- ParallelFor.cpp - Run the points of a grid on all cores ------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Target/CPU/ParallelFor.h"

#include "CallFrame.h"
#include "sfa/Support/Knobs.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Support/Threading.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <mutex>
#include <pthread.h>

using namespace llvm;

namespace {

/// A cache line, and the widest vector.
constexpr int64_t scratchAlignment = 64;

/// Memory of one thread, kept from one grid to the next.
class Scratch {
public:
  /// Makes it `bytes` large at least; false where there is no memory for that.
  bool reserve(int64_t bytes) {
    if (bytes <= capacity)
      return true;
    // Whole lines of its own, so that two threads never share one.
    int64_t rounded = alignTo(bytes, scratchAlignment);
    memory.reset(std::aligned_alloc(scratchAlignment, rounded));
    capacity = memory ? rounded : 0;
    return static_cast<bool>(memory);
  }

  /// Null where no byte is wanted.
  void *get(int64_t bytes) const { return bytes > 0 ? memory.get() : nullptr; }

private:
  struct Free {
    void operator()(void *pointer) const { std::free(pointer); }
  };
  std::unique_ptr<void, Free> memory;
  int64_t capacity = 0;
};

/// One call of sfa_cpu_parallel_for.
struct Grid {
  int64_t count, scratchBytes;
  void (*body)(void *, int64_t, void *);
  void *context;

  void runSerially(void *scratch) const {
    for (int64_t index = 0; index < count; ++index)
      body(context, index, scratch);
  }
};

/// The next index of a grid, on a cache line of its own.
struct alignas(scratchAlignment) Counter {
  std::atomic<int64_t> next = 0;
};

thread_local Scratch threadScratch;
thread_local bool isInsideBody = false;

/// One thread's share: takes the next index until there is none. A thread that has no memory for
/// its scratch leaves all to the others.
void work(const Grid &grid, Counter &counter) {
  if (!threadScratch.reserve(grid.scratchBytes))
    return;
  void *scratch = threadScratch.get(grid.scratchBytes);
  isInsideBody = true;
  while (true) {
    int64_t index = counter.next.fetch_add(1, std::memory_order_relaxed);
    if (index >= grid.count)
      break;
    grid.body(grid.context, index, scratch);
  }
  isInsideBody = false;
}

/// The threads beside those that call: a pool for each number of them that was ever set.
///
/// Pools are never destroyed: at the end of the process their threads may be gone already, and a
/// destructor would wait for them. The child of a fork has no threads but the one that forked. It
/// starts with no pool, and leaves those of its parent as they are.
class Helpers {
public:
  static ThreadPoolInterface &get(unsigned count) {
    static const int failed =
        pthread_atfork([] { instance->mutex.lock(); }, [] { instance->mutex.unlock(); },
                       [] { instance = new Helpers; });
    if (failed)
      report_bad_alloc_error("no memory to watch forks");
    std::lock_guard<std::mutex> lock(instance->mutex);
    ThreadPoolInterface *&pool = instance->pools[count];
    if (!pool)
      pool = new DefaultThreadPool(heavyweight_hardware_concurrency(count));
    return *pool;
  }

private:
  static Helpers *instance;
  std::mutex mutex;
  std::map<unsigned, ThreadPoolInterface *> pools;
};

Helpers *Helpers::instance = new Helpers;

/// What setNumThreads was told; 0 for nothing.
std::atomic<unsigned> numThreadsSet = 0;

} // namespace

Expected<unsigned> sfa::cpu::getNumThreads() {
  if (unsigned set = numThreadsSet.load(std::memory_order_relaxed))
    return set;
  static std::atomic<unsigned> fixed = 0;
  if (unsigned known = fixed.load(std::memory_order_relaxed))
    return known;
  Expected<std::optional<unsigned>> knob = knobs::numThreads();
  if (!knob)
    return knob.takeError();
  unsigned wanted =
      knob->value_or(std::max(heavyweight_hardware_concurrency().compute_thread_count(), 1u));
  unsigned none = 0;
  return fixed.compare_exchange_strong(none, wanted) ? wanted : none;
}

Error sfa::cpu::setNumThreads(int64_t count) {
  if (count < 0 || count > knobs::maxNumThreads)
    return createStringError(
        fmt::format("{} threads are given; allowed are 1 to {}, or 0 for the number that the "
                    "environment gives",
                    count, knobs::maxNumThreads));
  numThreadsSet.store(static_cast<unsigned>(count), std::memory_order_relaxed);
  return Error::success();
}

extern "C" void sfa_cpu_parallel_for(int64_t count, int64_t scratchBytes,
                                     void (*body)(void *context, int64_t index, void *scratch),
                                     void *context) {
  Grid grid{count, scratchBytes, body, context};
  if (isInsideBody) {
    // The scratch of the thread belongs to the outer body.
    Scratch scratch;
    if (!scratch.reserve(scratchBytes))
      report_bad_alloc_error("no memory for the scratch of a grid within a grid");
    return grid.runSerially(scratch.get(scratchBytes));
  }

  // Generated code has nowhere to report an error to; Executable::compile has checked the knob.
  Expected<unsigned> numThreads = sfa::cpu::getNumThreads();
  if (!numThreads)
    reportFatalUsageError(numThreads.takeError());
  int64_t numWorkers = std::min<int64_t>(count, *numThreads);

  Counter counter;
  if (numWorkers <= 1) {
    work(grid, counter);
  } else {
    ThreadPoolTaskGroup group(Helpers::get(*numThreads - 1));
    for (int64_t helper = 1; helper < numWorkers; ++helper)
      group.async([&grid, &counter] { work(grid, counter); });
    work(grid, counter);
    group.wait();
  }
  if (counter.next.load(std::memory_order_relaxed) >= count)
    return;
  // No thread had memory for its scratch.
  auto *frame = sfa::cpu::CallFrame::current();
  if (!frame)
    report_bad_alloc_error("no memory for the scratch of a grid");
  frame->fail(std::errc::not_enough_memory,
              fmt::format("the host has no {} bytes of memory left, which a thread needs to "
                          "compute with",
                          scratchBytes));
  frame->abandon();
}
