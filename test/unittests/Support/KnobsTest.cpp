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
  void SetUp() override { unsetenv("OMP_NUM_THREADS"); }
  void TearDown() override {
    unsetenv("SFA_NUM_THREADS");
    unsetenv("OMP_NUM_THREADS");
  }

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

TEST_F(NumThreads, AreThoseOfOpenMPWhereNotSet) {
  auto withOpenMP = [](const char *value) {
    setenv("OMP_NUM_THREADS", value, /*overwrite=*/1);
    return llvm::cantFail(with(""));
  };
  EXPECT_EQ(withOpenMP("3"), 3u);
  EXPECT_EQ(withOpenMP(" 5 , 2"), 5u);
  EXPECT_EQ(withOpenMP("100000"), knobs::maxNumThreads);
  for (const char *value : {"", "0", "-2", "many", "2x"})
    EXPECT_EQ(withOpenMP(value), std::nullopt) << value;
  setenv("OMP_NUM_THREADS", "3", /*overwrite=*/1);
  EXPECT_EQ(llvm::cantFail(with("2")), 2u);
  EXPECT_TRUE(llvm::errorToBool(with("rubbish").takeError()));
}

class OfTests : public testing::Test {
protected:
  void TearDown() override {
    for (const char *name : {"SFA_TEST_FULL", "SFA_TEST_SEED", "SFA_TEST_COUNT"})
      unsetenv(name);
  }
};

TEST_F(OfTests, AreReadWhereSet) {
  EXPECT_EQ(llvm::cantFail(knobs::testExtent()), knobs::TestExtent::Ordinary);
  EXPECT_EQ(llvm::cantFail(knobs::testSeed()), std::nullopt);
  EXPECT_EQ(llvm::cantFail(knobs::testCount()), std::nullopt);
  setenv("SFA_TEST_FULL", "1", 1);
  setenv("SFA_TEST_SEED", "18446744073709551615", 1);
  setenv("SFA_TEST_COUNT", "5000", 1);
  EXPECT_EQ(llvm::cantFail(knobs::testExtent()), knobs::TestExtent::Full);
  EXPECT_EQ(llvm::cantFail(knobs::testSeed()), UINT64_MAX);
  EXPECT_EQ(llvm::cantFail(knobs::testCount()), 5000u);
  setenv("SFA_TEST_FULL", "0", 1);
  EXPECT_EQ(llvm::cantFail(knobs::testExtent()), knobs::TestExtent::Ordinary);
  setenv("SFA_TEST_FULL", "2", 1);
  EXPECT_EQ(llvm::cantFail(knobs::testExtent()), knobs::TestExtent::Product);
}

TEST_F(OfTests, SayWhatIsAllowed) {
  setenv("SFA_TEST_FULL", "yes", 1);
  EXPECT_EQ(llvm::toString(knobs::testExtent().takeError()),
            "the environment variable SFA_TEST_FULL is 'yes'; it has to be a number from 0 to 2");
  setenv("SFA_TEST_SEED", "-1", 1);
  EXPECT_EQ(llvm::toString(knobs::testSeed().takeError()),
            "the environment variable SFA_TEST_SEED is '-1'; it has to be a number from 0 to "
            "18446744073709551615");
  setenv("SFA_TEST_COUNT", "0", 1);
  EXPECT_EQ(llvm::toString(knobs::testCount().takeError()),
            "the environment variable SFA_TEST_COUNT is '0'; it has to be a number from 1 to "
            "1000000");
}

} // namespace
