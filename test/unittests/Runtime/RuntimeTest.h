//===- RuntimeTest.h - What the tests of the runtime share ------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TEST_UNITTESTS_RUNTIME_RUNTIMETEST_H
#define SFA_TEST_UNITTESTS_RUNTIME_RUNTIMETEST_H

#include "FakeDriver.h"
#include "sfa/runtime.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace sfa::test {

using json = nlohmann::ordered_json;

/// A kernel in PTX that takes what a launch passes.
std::string makeKernel(const std::string &name, int numMemories, int numTensorMaps = 0,
                       bool isPersistent = false, int numScalars = 0);

/// PTX for a chip.
std::string makePTX(const std::string &chip, const std::vector<std::string> &kernels);

/// A program of two kernels: `split` fills the temporary, `attend` reads a tensor map of the keys.
/// Arguments: queries and keys, bf16 [2, 3, ?, 64]. Results: bf16 [2, 3, queries, 64] and f32
/// [2, 3, queries]. Temporary: f32 [2, 3, keys / 128].
json makeProgram();

/// The same where `attend` is persistent.
json makePersistentProgram();

/// The same with one more argument, a number: `attend` takes its product with log2(e), and its
/// inverse.
json makeScaledProgram();

/// The program of a document that is right.
runtime::Program load(const json &document);

/// The message for a document that is wrong; empty where it loads.
std::string loadError(const std::string &document);

/// Tests on the fake driver, whose three devices are like an H100.
class OnFakeDriver : public testing::Test {
protected:
  void SetUp() override;

  FakeDriver *fake = nullptr;
};

/// A pointer to nothing that the fake driver never follows.
inline void *at(uintptr_t address) { return reinterpret_cast<void *>(address); }

/// Expects a part in a text.
inline void expectHas(const std::string &text, const std::string &part) {
  EXPECT_PRED_FORMAT2(testing::IsSubstring, part, text);
}

/// The message of a status that is a failure of this kind.
inline std::string messageOf(const runtime::Status &status, sfa_status expected) {
  if (status)
    return "success";
  EXPECT_EQ(status.error().status, expected) << status.error().message;
  return status.error().message;
}

} // namespace sfa::test

#endif // SFA_TEST_UNITTESTS_RUNTIME_RUNTIMETEST_H
