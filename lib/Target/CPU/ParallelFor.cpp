//===- ParallelFor.cpp - Run the points of a grid on all cores ------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Target/CPU/ParallelFor.h"

#include "sfa/Support/Knobs.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Support/Threading.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>

using namespace llvm;

namespace {

/// A cache line, and the widest vector.
constexpr int64_t scratchAlignment = 64;

/// Memory of one thread, kept from one grid to the next.
class Scratch {
public:
  void *get(int64_t bytes) {
    if (bytes <= 0)
      return nullptr;
    if (bytes > capacity) {
      // Whole lines of its own, so that two threads never share one.
      int64_t rounded = alignTo(bytes, scratchAlignment);
      memory.reset(std::aligned_alloc(scratchAlignment, rounded));
      if (!memory)
        report_bad_alloc_error("no memory for the scratch of a CPU kernel");
      capacity = rounded;
    }
    return memory.get();
  }

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

/// One thread's share: takes the next index until there is none.
void work(const Grid &grid, Counter &counter) {
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

/// The threads beside the calling one; started with the first grid that needs them.
ThreadPoolInterface &getHelpers(unsigned numThreads) {
  static DefaultThreadPool pool(heavyweight_hardware_concurrency(numThreads - 1));
  return pool;
}

} // namespace

Expected<unsigned> sfa::cpu::getNumThreads() {
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

extern "C" void sfa_cpu_parallel_for(int64_t count, int64_t scratchBytes,
                                     void (*body)(void *context, int64_t index, void *scratch),
                                     void *context) {
  Grid grid{count, scratchBytes, body, context};
  if (isInsideBody) {
    // The scratch of the thread belongs to the outer body.
    Scratch scratch;
    return grid.runSerially(scratch.get(scratchBytes));
  }

  // Generated code has nowhere to report an error to; Executable::compile has checked the knob.
  Expected<unsigned> numThreads = sfa::cpu::getNumThreads();
  if (!numThreads)
    reportFatalUsageError(numThreads.takeError());
  int64_t numWorkers = std::min<int64_t>(count, *numThreads);

  Counter counter;
  if (numWorkers <= 1)
    return work(grid, counter);
  ThreadPoolTaskGroup group(getHelpers(*numThreads));
  for (int64_t helper = 1; helper < numWorkers; ++helper)
    group.async([&grid, &counter] { work(grid, counter); });
  work(grid, counter);
  group.wait();
}
