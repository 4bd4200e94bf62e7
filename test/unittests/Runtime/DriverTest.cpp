//===- DriverTest.cpp - Drivers that are there, and others ------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A process opens a driver once. So here the tries of this process all fail, and those that succeed
// are made by children.
//
//===----------------------------------------------------------------------===//

#include "RuntimeTest.h"

#include <cstdlib>
#include <dlfcn.h>
#include <iostream>
#include <sys/wait.h>
#include <unistd.h>

using namespace sfa;
using namespace sfa::test;

namespace {

class Driver : public testing::Test {
protected:
  static std::string errorWith(const char *library, sfa_status expected) {
    setenv("SFA_CUDA_DRIVER", library, 1);
    int32_t count = 7;
    EXPECT_EQ(sfa_device_count(&count), expected);
    EXPECT_EQ(count, 0);
    return messageOf(runtime::driverStatus(), expected);
  }

  static FakeDriver *open(const char *library) {
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    return handle ? reinterpret_cast<FakeDriver *(*)()>(dlsym(handle, "sfaFakeDriver"))() : nullptr;
  }
};

TEST_F(Driver, ThatIsMissing) {
  std::string message = errorWith("/nonexistent/libcuda.so.1", SFA_ERROR_NO_DRIVER);
  expectHas(message, "cannot open the CUDA driver '/nonexistent/libcuda.so.1': ");
  expectHas(message, "install the NVIDIA driver (in a container: make it visible there), or set "
                     "SFA_CUDA_DRIVER to the path of its libcuda.so.1");
}

TEST_F(Driver, ThatIsSomethingElse) {
  EXPECT_EQ(errorWith("libc.so.6", SFA_ERROR_NO_DRIVER),
            "'libc.so.6' has no cuInit: it is no CUDA driver, or one before CUDA 11.8; update the "
            "NVIDIA driver, or set SFA_CUDA_DRIVER to the path of a newer libcuda.so.1");
}

TEST_F(Driver, ThatFindsNoDevice) {
  FakeDriver *fake = open(SFA_FAKE_DRIVER);
  ASSERT_TRUE(fake);
  fake->reset();
  fake->failures = {{"cuInit", 100}};
  expectHas(errorWith(SFA_FAKE_DRIVER, SFA_ERROR_NO_DEVICE), "finds no device; check nvidia-smi");
  fake->failures.clear();
  fake->devices.clear();
  expectHas(errorWith(SFA_FAKE_DRIVER, SFA_ERROR_NO_DEVICE), "finds no device; check nvidia-smi");
}

TEST_F(Driver, ThatDoesNotStart) {
  FakeDriver *fake = open(SFA_FAKE_DRIVER);
  ASSERT_TRUE(fake);
  fake->reset();
  for (const char *call : {"cuInit", "cuDeviceGetCount", "cuDriverGetVersion"}) {
    fake->failures = {{call, 999}};
    expectHas(errorWith(SFA_FAKE_DRIVER, SFA_ERROR_DRIVER), "cannot start the CUDA driver");
  }
  fake->failures = {{"cuInit", 3}};
  expectHas(errorWith(SFA_FAKE_DRIVER, SFA_ERROR_DRIVER), "forked");
}

TEST_F(Driver, IsNotNeededForWhatNeedsNoDevice) {
  setenv("SFA_CUDA_DRIVER", "/nonexistent/libcuda.so.1", 1);
  runtime::Program program = load(makeProgram());
  EXPECT_EQ(program.arguments().size(), 2u);
  messageOf(program.prepare(0), SFA_ERROR_NO_DRIVER);
}

using DriverDeathTest = Driver;

/// What a child checks: the rest works on a driver of CUDA 11.8.
void useOldDriver() {
  setenv("SFA_CUDA_DRIVER", SFA_OLD_DRIVER, 1);
  json document = makeProgram();
  runtime::Status status = load(document).prepare(0);
  if (status || status.error().status != SFA_ERROR_NO_DRIVER) {
    std::cerr << "a tensor map was not refused";
    return;
  }
  std::cerr << status.error().message << '\n';
  document["launches"][1]["tensor_maps"] = json::array();
  status = load(document).prepare(0);
  std::cerr << (status ? "prepared" : status.error().message) << '\n';
  // Whose parameters such a driver does not tell.
  document["launches"][1]["persistent"] = true;
  status = load(document).prepare(0);
  std::cerr << (status ? "prepared" : status.error().message);
}

TEST_F(DriverDeathTest, ThatIsOld) {
  EXPECT_EXIT(
      {
        useOldDriver();
        std::_Exit(0);
      },
      testing::ExitedWithCode(0),
      "the kernel attend uses the tensor memory accelerator, which needs a driver of CUDA 12.0 or "
      "later; this one is of CUDA 12.4: update the NVIDIA driver\nprepared\nprepared");
}

/// What the child of a process that has used the driver says; `exit` ends it, since destructors
/// have to work there.
void forkAndUseDriver() {
  setenv("SFA_CUDA_DRIVER", SFA_FAKE_DRIVER, 1);
  dlopen(SFA_FAKE_DRIVER, RTLD_NOW | RTLD_LOCAL);
  json document = makeProgram();
  runtime::Program program = load(document);
  if (runtime::Status status = program.prepare(0); !status)
    std::cerr << "parent: " << status.error().message << '\n';
  runtime::Tensor queries(at(0x10000), SFA_DTYPE_BF16, {2, 3, 1000, 64});
  runtime::Tensor sums(at(0x20000), SFA_DTYPE_F32, {2, 3, 1000});
  auto timer = runtime::Timer::create(program, 0, {queries.tensor(), queries.tensor()},
                                      {queries.tensor(), sums.tensor()}, at(0x30000), 1 << 16);
  if (!timer)
    std::cerr << "parent: " << timer.error().message << '\n';
  pid_t child = fork();
  if (child == 0) {
    int32_t count = 0;
    sfa_device_count(&count);
    std::cerr << sfa_last_error() << '\n';
    runtime::Status status = program.prepare(0);
    std::cerr << (status ? "prepared" : sfa_status_name(status.error().status)) << '\n';
    auto milliseconds = timer->sample();
    std::cerr << (milliseconds ? "timed" : sfa_status_name(milliseconds.error().status)) << '\n';
    {
      runtime::Program destroyed = std::move(program);
      runtime::Timer destroyedFirst = std::move(*timer);
    }
    // What needs no driver works.
    std::cerr << load(document).arguments().size() << " arguments\n";
    std::_Exit(0);
  }
  int status = 1;
  waitpid(child, &status, 0);
  std::cerr << "child: " << status << ", parent: " << (program.prepare(1) ? "prepared" : "fails");
}

TEST_F(DriverDeathTest, IsLostByFork) {
  EXPECT_EXIT(
      {
        forkAndUseDriver();
        std::_Exit(0);
      },
      testing::ExitedWithCode(0),
      "^this process was forked by one that has used CUDA, and the CUDA driver does not work in "
      "such a child; start processes afresh, with the start method 'spawn' of Python's "
      "multiprocessing, or fork before the first use of CUDA\nSFA_ERROR_DRIVER\n"
      "SFA_ERROR_DRIVER\n2 arguments\nchild: 0, parent: prepared$");
}

/// A try that failed is not the last one.
TEST_F(DriverDeathTest, IsTriedAgain) {
  EXPECT_EXIT(
      {
        errorWith("/nonexistent/libcuda.so.1", SFA_ERROR_NO_DRIVER);
        setenv("SFA_CUDA_DRIVER", SFA_FAKE_DRIVER, 1);
        if (FakeDriver *fake = open(SFA_FAKE_DRIVER))
          fake->reset();
        std::_Exit(runtime::driverStatus() ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

} // namespace
