//===- ParallelForTest.cpp - Run the points of a grid on all cores --------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Target/CPU/ParallelFor.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <gtest/gtest.h>
#include <map>
#include <mutex>
#include <set>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

/// Calls a C++ function object through the interface of generated code.
template <class Body>
void parallelFor(int64_t count, int64_t scratchBytes, Body body) {
  sfa_cpu_parallel_for(
      count, scratchBytes,
      [](void *context, int64_t index, void *scratch) {
        (*static_cast<Body *>(context))(index, scratch);
      },
      &body);
}

unsigned numThreads() {
  auto count = sfa::cpu::getNumThreads();
  EXPECT_TRUE(bool(count));
  return *count;
}

TEST(ParallelFor, CallsEachIndexOnce) {
  for (int64_t count : {0, 1, 2, 3, 17, 1000, 100000}) {
    std::vector<std::atomic<int>> calls(count);
    parallelFor(count, 0, [&](int64_t index, void *) { ++calls[index]; });
    for (auto &number : calls)
      ASSERT_EQ(number, 1) << "of " << count;
  }
}

TEST(ParallelFor, WritesAreSeenAfterwards) {
  std::vector<int64_t> squares(5000);
  parallelFor(squares.size(), 0, [&](int64_t index, void *) { squares[index] = index * index; });
  for (int64_t index = 0; index < 5000; ++index)
    ASSERT_EQ(squares[index], index * index);
}

TEST(ParallelFor, UsesAllThreads) {
  // Each point waits for all others, so each needs a thread of its own.
  unsigned count = numThreads();
  std::atomic<unsigned> numArrived = 0;
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  parallelFor(count, 0, [&](int64_t, void *) {
    ++numArrived;
    while (numArrived < count && std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
  });
  EXPECT_LT(std::chrono::steady_clock::now(), deadline);
}

TEST(ParallelFor, UsesNoMoreThreads) {
  std::mutex mutex;
  std::set<std::thread::id> threads;
  parallelFor(1000, 0, [&](int64_t, void *) {
    std::lock_guard<std::mutex> lock(mutex);
    threads.insert(std::this_thread::get_id());
  });
  EXPECT_LE(threads.size(), numThreads());
}

TEST(ParallelFor, HandsOutIndicesInOrder) {
  std::mutex mutex;
  std::map<std::thread::id, std::vector<int64_t>> taken;
  parallelFor(5000, 0, [&](int64_t index, void *) {
    std::lock_guard<std::mutex> lock(mutex);
    taken[std::this_thread::get_id()].push_back(index);
  });
  for (auto &[thread, indices] : taken)
    EXPECT_TRUE(std::is_sorted(indices.begin(), indices.end()));
}

TEST(ParallelFor, BalancesUnevenPoints) {
  if (numThreads() < 2)
    GTEST_SKIP() << "needs two threads";
  // The first point takes as long as all others together.
  std::mutex mutex;
  std::thread::id heavy;
  std::vector<std::thread::id> light;
  parallelFor(51, 0, [&](int64_t index, void *) {
    std::this_thread::sleep_for(std::chrono::milliseconds(index == 0 ? 200 : 2));
    std::lock_guard<std::mutex> lock(mutex);
    (index == 0 ? heavy = std::this_thread::get_id()
                : light.emplace_back(std::this_thread::get_id()));
  });
  EXPECT_LT(std::count(light.begin(), light.end(), heavy), 25);
}

TEST(ParallelFor, GivesEachThreadItsOwnAlignedScratch) {
  for (int64_t bytes : {1, 64, 100, 1 << 20}) {
    std::atomic<bool> isIntact = true;
    parallelFor(300, bytes, [&](int64_t index, void *scratch) {
      if (reinterpret_cast<uintptr_t>(scratch) % 64 != 0)
        isIntact = false;
      std::memset(scratch, static_cast<int>(index % 251), bytes);
      std::this_thread::yield();
      auto *content = static_cast<unsigned char *>(scratch);
      for (int64_t byte = 0; byte < bytes; byte += 37)
        if (content[byte] != index % 251)
          isIntact = false;
    });
    EXPECT_TRUE(isIntact) << bytes << " bytes";
  }
}

TEST(ParallelFor, GivesNoScratchWhereNoneIsWanted) {
  parallelFor(4, 0, [](int64_t, void *scratch) { EXPECT_EQ(scratch, nullptr); });
}

TEST(ParallelFor, RunsNestedGridsOnTheSameThread) {
  std::atomic<int64_t> sum = 0;
  std::atomic<bool> isSame = true;
  parallelFor(8, 64, [&](int64_t outer, void *outerScratch) {
    std::memset(outerScratch, 1, 64);
    std::thread::id thread = std::this_thread::get_id();
    parallelFor(10, 128, [&](int64_t inner, void *scratch) {
      isSame = isSame && std::this_thread::get_id() == thread && scratch != outerScratch;
      std::memset(scratch, 2, 128);
      sum += outer * inner;
    });
    isSame = isSame && static_cast<char *>(outerScratch)[63] == 1;
  });
  EXPECT_TRUE(isSame);
  EXPECT_EQ(sum, 28 * 45);
}

/// Threads that took part, each waiting for the others so that each is needed.
unsigned countThreads(unsigned wanted) {
  std::atomic<unsigned> numArrived = 0;
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  std::mutex mutex;
  std::set<std::thread::id> threads;
  parallelFor(4 * wanted, 0, [&](int64_t index, void *) {
    ++numArrived;
    while (numArrived < wanted && std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
    std::lock_guard<std::mutex> lock(mutex);
    threads.insert(std::this_thread::get_id());
  });
  return static_cast<unsigned>(threads.size());
}

TEST(ParallelFor, TakesAsManyThreadsAsWereSet) {
  unsigned before = numThreads();
  for (unsigned count : {3u, 1u, 5u, 3u}) {
    EXPECT_FALSE(bool(sfa::cpu::setNumThreads(count)));
    EXPECT_EQ(numThreads(), count);
    EXPECT_EQ(countThreads(count), count);
  }
  for (int64_t count : {-1, 1025})
    EXPECT_EQ(llvm::toString(sfa::cpu::setNumThreads(count)),
              std::to_string(count) + " threads are given; allowed are 1 to 1024, or 0 for the "
                                      "number that the environment gives");
  EXPECT_EQ(numThreads(), 3u);
  EXPECT_FALSE(bool(sfa::cpu::setNumThreads(0)));
  EXPECT_EQ(numThreads(), before);
}

TEST(ParallelFor, WorksInAForkedProcess) {
  ASSERT_FALSE(bool(sfa::cpu::setNumThreads(4)));
  ASSERT_EQ(countThreads(4), 4u);
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    alarm(60);
    // Destructors, too.
    std::exit(countThreads(4) == 4 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(countThreads(4), 4u);
  ASSERT_FALSE(bool(sfa::cpu::setNumThreads(0)));
}

TEST(ParallelFor, MayBeCalledByManyThreads) {
  std::atomic<int64_t> calls = 0;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 8; ++caller)
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < 50; ++repeat)
        parallelFor(20, 256, [&](int64_t index, void *scratch) {
          std::memset(scratch, static_cast<int>(index), 256);
          ++calls;
        });
    });
  for (std::thread &caller : callers)
    caller.join();
  EXPECT_EQ(calls, 8 * 50 * 20);
}

} // namespace
