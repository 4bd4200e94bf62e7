//===- NewerGlibcTest.cpp - The stand-ins for a newer glibc ---------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// NewerGlibc.c is a part of this program, and what it defines gives the same as the functions of
// this machine's glibc, which are looked up by name.
//
//===----------------------------------------------------------------------===//

#include <dlfcn.h>
#include <malloc.h>
#include <stdexcept>
#include <stdlib.h>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

template <typename Function>
static Function *ofGlibc(const char *name, Function *own) {
  auto *function = reinterpret_cast<Function *>(dlsym(RTLD_DEFAULT, name));
  EXPECT_NE(function, nullptr) << "this glibc has no " << name;
  EXPECT_NE(function, own) << "NewerGlibc.c is not a part of this program";
  return function;
}

TEST(NewerGlibc, FindsTheFramesThatGlibcFinds) {
  auto *find = ofGlibc("_dl_find_object", _dl_find_object);
  // In this program, in libc and in the loader.
  for (void *address : {reinterpret_cast<void *>(&ofGlibc<void()>), dlsym(RTLD_DEFAULT, "malloc"),
                        reinterpret_cast<void *>(find)}) {
    dl_find_object expected, found;
    ASSERT_EQ(find(address, &expected), 0);
    ASSERT_EQ(_dl_find_object(address, &found), 0);
    EXPECT_EQ(found.dlfo_eh_frame, expected.dlfo_eh_frame);
    EXPECT_LE(found.dlfo_map_start, address);
    EXPECT_GT(found.dlfo_map_end, address);
  }
}

TEST(NewerGlibc, FindsNothingOutsideOfBinaries) {
  dl_find_object found;
  int local = 0;
  EXPECT_NE(_dl_find_object(nullptr, &found), 0);
  EXPECT_NE(_dl_find_object(&local, &found), 0);
}

TEST(NewerGlibc, ExceptionsAreCaughtInThreads) {
  constexpr int numThreads = 4, numExceptions = 100;
  std::vector<int> caught(numThreads);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < numThreads; ++thread)
    threads.emplace_back([&, thread] {
      for (int i = 0; i < numExceptions; ++i) {
        try {
          // Thrown in the C++ library, and so through its frames, too.
          (void)std::string("short").at(i + 10);
        } catch (const std::out_of_range &) {
          ++caught[thread];
        }
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(caught, std::vector<int>(numThreads, numExceptions));
}

TEST(NewerGlibc, CountsMemoryAsGlibcDoes) {
  void *large = malloc(size_t(64) << 20);
  // Written, so that the compiler cannot leave it out.
  *static_cast<volatile char *>(large) = 1;
  struct mallinfo2 found = mallinfo2();
  struct mallinfo2 expected = ofGlibc("mallinfo2", mallinfo2)();
  EXPECT_GE(found.hblkhd, size_t(64) << 20);
  EXPECT_EQ(found.hblkhd, expected.hblkhd);
  EXPECT_EQ(found.arena, expected.arena);
  free(large);
}

TEST(NewerGlibc, RandomNumbersDiffer) {
  ofGlibc("arc4random", arc4random);
  std::vector<unsigned> numbers;
  for (int i = 0; i < 4; ++i)
    numbers.push_back(arc4random());
  EXPECT_NE(numbers, std::vector<unsigned>(4, numbers[0]));
}
