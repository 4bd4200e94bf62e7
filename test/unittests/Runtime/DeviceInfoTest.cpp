//===- DeviceInfoTest.cpp - What devices are --------------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RuntimeTest.h"

using namespace sfa;
using namespace sfa::test;

extern "C" int32_t sfaTestCountFromC(void);

namespace {

class DeviceInfo : public OnFakeDriver {};

TEST_F(DeviceInfo, IsThatOfTheDriver) {
  ASSERT_TRUE(bool(runtime::driverStatus()));
  auto count = runtime::deviceCount();
  ASSERT_TRUE(bool(count));
  EXPECT_EQ(*count, 3);
  EXPECT_EQ(sfaTestCountFromC(), 3);
  fake->devices[2] = {8, 6, 101376};
  auto properties = runtime::deviceInfo(2);
  ASSERT_TRUE(bool(properties));
  EXPECT_STREQ(properties->name, "Fake GPU 2");
  EXPECT_EQ(properties->capability_major, 8);
  EXPECT_EQ(properties->capability_minor, 6);
  EXPECT_EQ(properties->multiprocessors, 132);
  EXPECT_EQ(properties->driver_version, 12040);
  EXPECT_EQ(properties->memory_bytes, int64_t(80) << 30);
  EXPECT_EQ(properties->max_shared_bytes_per_block, 101376);
}

TEST_F(DeviceInfo, SaysWhatIsWrong) {
  auto properties = runtime::deviceInfo(3);
  ASSERT_FALSE(bool(properties));
  EXPECT_EQ(properties.error().status, SFA_ERROR_NO_DEVICE);
  EXPECT_EQ(properties.error().message, "there is no device 3; this machine has devices 0 to 2");
  fake->failures = {{"cuDeviceTotalMem", 1}};
  properties = runtime::deviceInfo(0);
  ASSERT_FALSE(bool(properties));
  EXPECT_EQ(properties.error().message, "cannot query device 0: cuDeviceTotalMem failed with "
                                        "CUDA_ERROR_FAKE (1): made to fail");
}

TEST_F(DeviceInfo, HasMemory) {
  void *memory = nullptr;
  ASSERT_EQ(sfa_memory_allocate(1, 64, &memory), SFA_SUCCESS) << sfa_last_error();
  ASSERT_NE(memory, nullptr);
  std::string given(64, 'x'), back(64, ' ');
  EXPECT_EQ(sfa_memory_copy(1, memory, given.data(), given.size()), SFA_SUCCESS);
  EXPECT_EQ(sfa_memory_copy(1, back.data(), memory, back.size()), SFA_SUCCESS);
  EXPECT_EQ(back, given);
  EXPECT_EQ(sfa_synchronize(1), SFA_SUCCESS);
  EXPECT_EQ(sfa_memory_free(1, memory), SFA_SUCCESS);
  EXPECT_EQ(sfa_memory_free(1, nullptr), SFA_SUCCESS);

  ASSERT_EQ(sfa_memory_allocate(1, 0, &memory), SFA_SUCCESS);
  EXPECT_EQ(memory, nullptr);
  EXPECT_EQ(sfa_memory_allocate(7, 64, &memory), SFA_ERROR_NO_DEVICE);
  EXPECT_EQ(sfa_memory_allocate(0, 64, nullptr), SFA_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(sfa_memory_copy(0, nullptr, back.data(), 1), SFA_ERROR_INVALID_ARGUMENT);
  fake->failures = {{"cuMemAlloc", 2}};
  EXPECT_EQ(sfa_memory_allocate(0, 64, &memory), SFA_ERROR_OUT_OF_MEMORY);
  EXPECT_STREQ(sfa_last_error(), "device 0 has no 64 bytes of memory left");
  fake->failures = {{"cuCtxSynchronize", 46}};
  EXPECT_EQ(sfa_synchronize(0), SFA_ERROR_DRIVER);
  EXPECT_STREQ(sfa_last_error(), "work on device 0 has failed: cuCtxSynchronize failed with "
                                 "CUDA_ERROR_FAKE (46): made to fail");
}

TEST(Status, HasNames) {
  EXPECT_STREQ(sfa_status_name(SFA_SUCCESS), "SFA_SUCCESS");
  for (int status = 0; status <= 10; ++status)
    EXPECT_EQ(std::string(sfa_status_name(sfa_status(status))).substr(0, 4), "SFA_") << status;
  EXPECT_STREQ(sfa_status_name(sfa_status(11)), "unknown status");
  EXPECT_STREQ(sfa_runtime_version(), "0.1.0");
}

} // namespace
