//===- FakeNvml.h - An NVML without a GPU -----------------------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The library of FakeNvml.cpp exports the entry points of the NVIDIA Management Library that the
// runtime uses, and this object, through which tests say what it tells.
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TEST_UNITTESTS_RUNTIME_FAKENVML_H
#define SFA_TEST_UNITTESTS_RUNTIME_FAKENVML_H

#include <map>
#include <string>

namespace sfa::test {

struct FakeNvml {
  struct Device {
    unsigned multiprocessorClock = 1755, maxMultiprocessorClock = 1980;
    unsigned memoryClock = 2619, maxMemoryClock = 2620;
    unsigned milliwatts = 123456, limitMilliwatts = 700000;
    unsigned celsius = 41;
    unsigned long long clockReasons = 0;
  };

  /// By address of the PCI bus.
  std::map<std::string, Device> devices;
  /// The results of calls that are to fail, by their names.
  std::map<std::string, int> failures;
  int numStarts = 0;
};

} // namespace sfa::test

#endif // SFA_TEST_UNITTESTS_RUNTIME_FAKENVML_H
