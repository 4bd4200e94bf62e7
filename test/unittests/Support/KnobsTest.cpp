//===- KnobsTest.cpp - Environment variables that steer the project -------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Support/Knobs.h"

#include <cstdlib>
#include <gtest/gtest.h>

using namespace sfa;

namespace {

class NumThreads : public testing::Test {
protected:
  void TearDown() override { unsetenv("SFA_NUM_THREADS"); }

  static llvm::Expected<std::optional<unsigned>> with(const char *value) {
    setenv("SFA_NUM_THREADS", value, /*overwrite=*/1);
    return knobs::numThreads();
  }
};

TEST_F(NumThreads, IsOpenWhereNotSetOrEmpty) {
  unsetenv("SFA_NUM_THREADS");
  auto unset = knobs::numThreads();
  ASSERT_TRUE(bool(unset));
  EXPECT_EQ(*unset, std::nullopt);
  auto empty = with("");
  ASSERT_TRUE(bool(empty));
  EXPECT_EQ(*empty, std::nullopt);
}

TEST_F(NumThreads, TakesTheWholeRange) {
  for (unsigned count : {1u, 7u, knobs::maxNumThreads}) {
    auto read = with(std::to_string(count).c_str());
    ASSERT_TRUE(bool(read));
    EXPECT_EQ(*read, count);
  }
}

TEST_F(NumThreads, SaysWhatIsAllowed) {
  for (const char *value : {"0", "-1", "1025", "99999999999999999999", "two", "2 ", "2x", "0x10"}) {
    auto read = with(value);
    ASSERT_FALSE(bool(read)) << value;
    EXPECT_EQ(llvm::toString(read.takeError()),
              std::string("the environment variable SFA_NUM_THREADS is '") + value +
                  "'; it has to be a number from 1 to 1024");
  }
}

} // namespace
