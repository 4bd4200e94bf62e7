//===- LoadTest.cpp - Programs on devices -----------------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RuntimeTest.h"

using namespace sfa;
using namespace sfa::test;

namespace {

class LoadTest : public OnFakeDriver {
protected:
  std::string prepareError(const json &document, sfa_status status, int32_t device = 0) {
    return messageOf(load(document).prepare(device), status);
  }

  /// makeProgram() without what only sm_90 has.
  static json makeProgramFor(const std::string &chip) {
    json document = makeProgram();
    document["chip"] = chip;
    document["image"]["text"] = makePTX(chip, {makeKernel("split", 2), makeKernel("attend", 5)});
    document["launches"][1]["tensor_maps"] = json::array();
    document["launches"][1]["shared_bytes"] = 100000;
    return document;
  }
};

TEST_F(LoadTest, ChecksTheChip) {
  auto runsOn = [&](const char *chip, int major, int minor) {
    fake->devices[0].major = major;
    fake->devices[0].minor = minor;
    runtime::Status status = load(makeProgramFor(chip)).prepare(0);
    if (!status) {
      EXPECT_EQ(status.error().status, SFA_ERROR_UNSUPPORTED_DEVICE);
    }
    return bool(status);
  };
  EXPECT_TRUE(runsOn("sm_90a", 9, 0));
  EXPECT_FALSE(runsOn("sm_90a", 8, 0));
  EXPECT_FALSE(runsOn("sm_90a", 10, 0));
  EXPECT_TRUE(runsOn("sm_80", 8, 0));
  EXPECT_TRUE(runsOn("sm_80", 8, 9));
  EXPECT_TRUE(runsOn("sm_80", 9, 0));
  EXPECT_TRUE(runsOn("sm_80", 12, 0));
  EXPECT_FALSE(runsOn("sm_86", 8, 0));
  EXPECT_FALSE(runsOn("sm_80", 7, 5));
  EXPECT_TRUE(runsOn("sm_100a", 10, 0));
  EXPECT_FALSE(runsOn("sm_100a", 10, 3));
}

TEST_F(LoadTest, SaysWhatTheDeviceIs) {
  fake->devices[1].major = 8;
  EXPECT_EQ(prepareError(makeProgramFor("sm_90a"), SFA_ERROR_UNSUPPORTED_DEVICE, 1),
            "device 1 (Fake GPU 1, compute capability 8.0) cannot run a program for sm_90a, which "
            "needs compute capability 9.0 exactly; compile it for sm_80, or for this device");
  EXPECT_EQ(prepareError(makeProgramFor("sm_86"), SFA_ERROR_UNSUPPORTED_DEVICE, 1),
            "device 1 (Fake GPU 1, compute capability 8.0) cannot run a program in PTX for sm_86, "
            "which needs compute capability 8.6 or later; compile it for this device");
  fake->devices[1].major = 7;
  EXPECT_EQ(prepareError(makeProgramFor("sm_80"), SFA_ERROR_UNSUPPORTED_DEVICE, 1),
            "device 1 (Fake GPU 1, compute capability 7.0) is too old: programs need compute "
            "capability 8.0 or later");
  fake->devices[1] = {8, 6, 101376};
  EXPECT_TRUE(bool(load(makeProgramFor("sm_80")).prepare(1)));
  json document = makeProgramFor("sm_80");
  document["launches"][1]["shared_bytes"] = 101377;
  EXPECT_EQ(
      prepareError(document, SFA_ERROR_UNSUPPORTED_DEVICE, 1),
      "device 1 (Fake GPU 1, compute capability 8.6) cannot run the kernel attend, which needs "
      "101377 bytes of shared memory a block; the device has 101376: compile it with smaller "
      "tiles or fewer stages");
}

TEST_F(LoadTest, AssemblesPTX) {
  runtime::Program program = load(makeProgram());
  auto assembled = program.assemble(0);
  ASSERT_TRUE(bool(assembled)) << assembled.error().message;
  EXPECT_STREQ(assembled->properties().chip, "sm_90a");
  EXPECT_EQ(assembled->properties().is_ptx, 0);
  EXPECT_EQ(program.properties().is_ptx, 1);
  EXPECT_EQ(fake->numLinkers, 0);
  EXPECT_EQ(fake->devices[0].numRetained, 0);

  // What is saved loads and launches.
  auto document = assembled->save();
  ASSERT_TRUE(bool(document));
  auto again = runtime::Program::load(*document);
  ASSERT_TRUE(bool(again)) << again.error().message;
  EXPECT_TRUE(bool(again->prepare(1)));

  auto twice = assembled->assemble(0);
  ASSERT_FALSE(bool(twice));
  EXPECT_EQ(twice.error().status, SFA_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(twice.error().message,
            "sfa_assemble: the program is machine code for sm_90a already; it has to be in PTX");
}

TEST_F(LoadTest, AssemblesForTheDeviceThatIsThere) {
  fake->devices[1] = {8, 9, 101376};
  auto assembled = load(makeProgramFor("sm_80")).assemble(1);
  ASSERT_TRUE(bool(assembled)) << assembled.error().message;
  EXPECT_STREQ(assembled->properties().chip, "sm_89");
  EXPECT_EQ(
      messageOf(assembled->prepare(0), SFA_ERROR_UNSUPPORTED_DEVICE),
      "device 0 (Fake GPU 0, compute capability 9.0) cannot run a program in machine code for "
      "sm_89, which needs compute capability 8.9 to 8.9; compile it for this device");
  EXPECT_TRUE(bool(assembled->prepare(1)));

  auto refused = load(makeProgram()).assemble(1);
  ASSERT_FALSE(bool(refused));
  EXPECT_EQ(refused.error().status, SFA_ERROR_UNSUPPORTED_DEVICE);
}

TEST_F(LoadTest, ShowsTheLogOfTheAssembler) {
  fake->jitLog = "ptxas fatal: line 7\n";
  for (const char *call : {"cuLinkCreate", "cuLinkAddData", "cuLinkComplete"}) {
    fake->failures = {{call, 218}};
    auto assembled = load(makeProgram()).assemble(0);
    ASSERT_FALSE(bool(assembled));
    EXPECT_EQ(assembled.error().message,
              std::string("cannot assemble the program for device 0: ") + call +
                  " failed with CUDA_ERROR_FAKE (218): made to fail\nptxas fatal: line 7");
    EXPECT_EQ(fake->numLinkers, 0);
  }
  fake->failures = {{"cuModuleLoadDataEx", 218}};
  EXPECT_EQ(prepareError(makeProgram(), SFA_ERROR_DRIVER),
            "cannot load the program onto device 0: cuModuleLoadDataEx failed with CUDA_ERROR_FAKE "
            "(218): made to fail\nptxas fatal: line 7");
}

TEST_F(LoadTest, SaysWhichCallOfTheDriverFailed) {
  const std::pair<const char *, const char *> calls[] = {
      {"cuDeviceGet", "cannot use device 0"},
      {"cuDeviceGetName", "cannot query device 0"},
      {"cuDeviceGetAttribute", "cannot query device 0"},
      {"cuDevicePrimaryCtxRetain", "cannot make the context of the device"},
      {"cuThreadExchangeStreamCaptureMode", "cannot load the program"},
      {"cuModuleGetFunction", "cannot load the program onto device 0"},
      {"cuFuncGetParamInfo", "cannot load the program"},
      {"cuFuncLoad", "cannot load the program onto device 0"},
      {"cuFuncSetAttribute", "cannot give the kernel attend 200000 bytes of dynamic shared memory "
                             "on device 0"}};
  runtime::Program program = load(makeProgram());
  for (const auto &[call, what] : calls) {
    fake->failures = {{call, 46}};
    EXPECT_EQ(messageOf(program.prepare(0), SFA_ERROR_DRIVER),
              std::string(what) + ": " + call + " failed with CUDA_ERROR_FAKE (46): made to fail");
    // Nothing is left behind, and the next try starts afresh.
    EXPECT_EQ(fake->numModules, 0) << call;
    EXPECT_EQ(fake->devices[0].numRetained, 0) << call;
  }
  fake->failures.clear();
  EXPECT_TRUE(bool(program.prepare(0)));
  EXPECT_EQ(fake->numModules, 1);
}

TEST_F(LoadTest, SaysWhatToDoDuringCapture) {
  fake->failures = {{"cuModuleLoadDataEx", 900}};
  expectHas(prepareError(makeProgram(), SFA_ERROR_DRIVER),
            "call sfa_program_prepare before the capture begins");
}

TEST_F(LoadTest, RefusesKernelsOfOtherParameters) {
  auto withKernel = [](const std::string &kernel) {
    json document = makeProgram();
    document["image"]["text"] = makePTX("sm_90a", {makeKernel("split", 2), kernel});
    return document;
  };
  EXPECT_EQ(prepareError(withKernel(makeKernel("attend", 5)), SFA_ERROR_INVALID_PROGRAM),
            "invalid program: the kernel attend has no parameter 25; its launch has 5 memories, 0 "
            "scalars and 1 tensor maps, which are 25 parameters of 8 bytes, 0 of 4 and 1 of 128");
  EXPECT_EQ(
      prepareError(withKernel(makeKernel("attend", 5, 2)), SFA_ERROR_INVALID_PROGRAM),
      "invalid program: the kernel attend has parameter 26 of 128 bytes; its launch has 5 "
      "memories, 0 scalars and 1 tensor maps, which are 25 parameters of 8 bytes, 0 of 4 and 1 of "
      "128");
  EXPECT_EQ(
      prepareError(withKernel("\n.entry attend(.param .u32 p0) { ret; }\n"),
                   SFA_ERROR_INVALID_PROGRAM),
      "invalid program: the kernel attend has parameter 0 of 4 bytes; its launch has 5 "
      "memories, 0 scalars and 1 tensor maps, which are 25 parameters of 8 bytes, 0 of 4 and 1 of "
      "128");
  EXPECT_EQ(fake->numModules, 0);
}

TEST_F(LoadTest, RefusesPersistentKernelsOfOtherParameters) {
  auto errorOf = [&](const std::string &kernel) {
    json document = makePersistentProgram();
    document["image"]["text"] = makePTX("sm_90a", {makeKernel("split", 2), kernel});
    return prepareError(document, SFA_ERROR_INVALID_PROGRAM);
  };
  const std::string launch =
      "; its launch is persistent and has 5 memories, 0 scalars and 1 tensor "
      "maps, which are 25 parameters of 8 bytes, 3 of 4 and 1 of 128";
  EXPECT_EQ(errorOf(makeKernel("attend", 5, 1)),
            "invalid program: the kernel attend has parameter 25 of 128 bytes" + launch);
  EXPECT_EQ(errorOf(makeKernel("attend", 6, 1)),
            "invalid program: the kernel attend has parameter 25 of 8 bytes" + launch);
  EXPECT_EQ(errorOf(makeKernel("attend", 5, 0, true)),
            "invalid program: the kernel attend has no parameter 28" + launch);
  EXPECT_EQ(errorOf(makeKernel("attend", 5, 2, true)),
            "invalid program: the kernel attend has parameter 29 of 128 bytes" + launch);
  EXPECT_TRUE(bool(load(makePersistentProgram()).prepare(0)));

  // Nor may another launch use such a kernel.
  json document = makePersistentProgram();
  document["launches"][1]["persistent"] = false;
  EXPECT_EQ(
      prepareError(document, SFA_ERROR_INVALID_PROGRAM),
      "invalid program: the kernel attend has parameter 25 of 4 bytes; its launch has 5 "
      "memories, 0 scalars and 1 tensor maps, which are 25 parameters of 8 bytes, 0 of 4 and 1 of "
      "128");
}

TEST_F(LoadTest, RefusesKernelsOfOtherScalars) {
  json document = makeScaledProgram();
  EXPECT_TRUE(bool(load(document).prepare(0)));
  document["launches"][1]["scalars"].erase(1);
  EXPECT_EQ(
      prepareError(document, SFA_ERROR_INVALID_PROGRAM),
      "invalid program: the kernel attend has parameter 29 of 4 bytes; its launch is persistent "
      "and has 5 memories, 1 scalars and 1 tensor maps, which are 25 parameters of 8 bytes, 4 of "
      "4 and 1 of 128");
}

TEST_F(LoadTest, RefusesKernelsThatOnlySeemToBeThere) {
  json document = makeProgram();
  document["image"]["text"] =
      makePTX("sm_90a", {makeKernel("split", 2), "// .entry attend is elsewhere"});
  EXPECT_EQ(prepareError(document, SFA_ERROR_INVALID_PROGRAM),
            "invalid program: the image has no kernel attend");
}

} // namespace
