//===- RuntimeTest.cpp - What the tests of the runtime share --------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RuntimeTest.h"

#include <cstdlib>
#include <dlfcn.h>

using namespace sfa;
using namespace sfa::test;

std::string sfa::test::makeKernel(const std::string &name, int numMemories, int numTensorMaps,
                                  bool isPersistent, int numScalars) {
  std::string parameters;
  auto add = [&](const std::string &parameter) {
    parameters += (parameters.empty() ? "" : ", ") + parameter;
  };
  for (int index = 0; index < 5 * numMemories; ++index)
    add(".param .u64 p" + std::to_string(index));
  for (int index = 0; index < numScalars; ++index)
    add(".param .f32 s" + std::to_string(index));
  for (int index = 0; index < (isPersistent ? 3 : 0); ++index)
    add(".param .u32 n" + std::to_string(index));
  for (int index = 0; index < numTensorMaps; ++index)
    add(".param .align 64 .b8 m" + std::to_string(index) + "[128]");
  return "\n.entry " + name + "(" + parameters + ") { ret; }\n";
}

std::string sfa::test::makePTX(const std::string &chip, const std::vector<std::string> &kernels) {
  std::string text = ".version 8.0\n.target " + chip + "\n.address_size 64\n";
  for (const std::string &kernel : kernels)
    text += kernel;
  return text;
}

json sfa::test::makeProgram() {
  json queries = {{"dim", {0, 2}}};
  json keyTiles = {{"dim", {1, 2}}, {"ceildiv", 128}};
  json queryTiles = {{"dim", {0, 2}}, {"ceildiv", 128}};
  json document;
  document["format"] = "flashsfa-program";
  document["version"] = 5;
  document["compiler"] = "0.1.0";
  document["chip"] = "sm_90a";
  document["image"] = {
      {"kind", "ptx"},
      {"text", makePTX("sm_90a", {makeKernel("split", 2), makeKernel("attend", 5, 1)})}};
  document["arguments"] = {{{"type", "bf16"}, {"shape", {2, 3, -1, 64}}},
                           {{"type", "bf16"}, {"shape", {2, 3, -1, 64}}}};
  document["results"] = {{{"type", "bf16"}, {"shape", {2, 3, queries, 64}}},
                         {{"type", "f32"}, {"shape", {2, 3, queries}}}};
  document["temporaries"] = {{{"type", "f32"}, {"shape", {2, 3, keyTiles}}}};
  json split, attend;
  split["kernel"] = "split";
  split["grid"] = {keyTiles, 3, 2};
  split["persistent"] = false;
  split["programmatic"] = false;
  split["block"] = 128;
  split["shared_bytes"] = 0;
  split["cluster"] = 1;
  split["memories"] = {1, 4};
  split["scalars"] = json::array();
  split["aligned"] = json::array();
  split["packed"] = json::array();
  split["batches"] = json::array();
  split["tensor_maps"] = json::array();
  attend["kernel"] = "attend";
  attend["grid"] = {queryTiles, 3, 2};
  attend["persistent"] = false;
  attend["programmatic"] = false;
  attend["block"] = 384;
  attend["shared_bytes"] = 200000;
  attend["cluster"] = 1;
  attend["memories"] = {0, 1, 2, 3, 4};
  attend["scalars"] = json::array();
  attend["aligned"] = {0, 2};
  attend["packed"] = json::array();
  attend["batches"] = json::array();
  attend["tensor_maps"] = {
      {{"memory", 1}, {"box_rows", 128}, {"box_columns", 64}, {"box_heads", 1}}};
  document["launches"] = {split, attend};
  return document;
}

json sfa::test::makePersistentProgram() {
  json document = makeProgram();
  document["launches"][1]["persistent"] = true;
  document["image"]["text"] =
      makePTX("sm_90a", {makeKernel("split", 2), makeKernel("attend", 5, 1, true)});
  return document;
}

json sfa::test::makeScaledProgram() {
  json document = makePersistentProgram();
  document["arguments"].push_back({{"type", "f64"}, {"shape", json::array()}});
  json &attend = document["launches"][1];
  attend["scalars"] = {{{"argument", 2}, {"factor", 1.4426950408889634}, {"inverse", false}},
                       {{"argument", 2}, {"factor", 1}, {"inverse", true}}};
  // Behind the arguments.
  for (json &launch : document["launches"])
    for (json &memory : launch["memories"])
      if (memory >= 2)
        memory = memory.get<int>() + 1;
  document["image"]["text"] =
      makePTX("sm_90a", {makeKernel("split", 2), makeKernel("attend", 5, 1, true, 2)});
  return document;
}

runtime::Program sfa::test::load(const json &document) {
  auto program = runtime::Program::load(document.dump());
  if (!program) {
    ADD_FAILURE() << program.error().message;
    std::abort();
  }
  return std::move(*program);
}

std::string sfa::test::loadError(const std::string &document) {
  auto program = runtime::Program::load(document);
  if (program)
    return "";
  EXPECT_EQ(program.error().status, SFA_ERROR_INVALID_PROGRAM);
  return program.error().message;
}

void OnFakeDriver::SetUp() {
  setenv("SFA_CUDA_DRIVER", SFA_FAKE_DRIVER, 1);
  void *library = dlopen(SFA_FAKE_DRIVER, RTLD_NOW | RTLD_LOCAL);
  ASSERT_TRUE(library) << dlerror();
  auto get = reinterpret_cast<FakeDriver *(*)()>(dlsym(library, "sfaFakeDriver"));
  ASSERT_TRUE(get);
  fake = get();
  fake->reset();
}
