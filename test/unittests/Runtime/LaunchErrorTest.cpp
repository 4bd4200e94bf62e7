//===- LaunchErrorTest.cpp - Launches that are refused ----------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RuntimeTest.h"

#include <cmath>

using namespace sfa;
using namespace sfa::test;

namespace {

using Tensor = runtime::Tensor;
using Shape = std::vector<int64_t>;

/// What a launch of makeProgram() is given.
struct Call {
  Tensor queries = {at(0x10000), SFA_DTYPE_BF16, {2, 3, 1000, 64}};
  Tensor keys = {at(0x20000), SFA_DTYPE_BF16, {2, 3, 257, 64}};
  Tensor output = {at(0x30000), SFA_DTYPE_BF16, {2, 3, 1000, 64}};
  Tensor lse = {at(0x38000), SFA_DTYPE_F32, {2, 3, 1000}};
  void *workspace = at(0x40000);
  size_t workspaceBytes = 256;
  int32_t device = 0;
};

struct Wrong {
  const char *name;
  void (*change)(Call &);
  const char *message;
  sfa_status status = SFA_ERROR_INVALID_ARGUMENT;
};

void PrintTo(const Wrong &wrong, std::ostream *stream) { *stream << wrong.name; }

class WrongLaunch : public OnFakeDriver, public testing::WithParamInterface<Wrong> {};

TEST_P(WrongLaunch, IsRefusedAsAWhole) {
  Call call;
  GetParam().change(call);
  runtime::Program program = load(makeProgram());
  runtime::Status status = program.launch(
      call.device, nullptr, {call.queries.tensor(), call.keys.tensor()},
      {call.output.tensor(), call.lse.tensor()}, call.workspace, call.workspaceBytes);
  EXPECT_EQ(messageOf(status, GetParam().status), GetParam().message);
  EXPECT_TRUE(fake->launches.empty());
}

const Wrong wrongLaunches[] = {
    {"Type",
     [](Call &c) {
       c.queries = {at(16), SFA_DTYPE_F16, {2, 3, 1000, 64}};
     },
     "argument 0 has type f16; the program has bf16, shape [2, 3, ?, 64] there"},
    {"NoType",
     [](Call &c) {
       c.queries = {at(16), sfa_dtype(0), {2, 3, 1000, 64}};
     },
     "argument 0 has dtype 0, which is no sfa_dtype; the program has bf16, shape [2, 3, ?, 64] "
     "there"},
    {"Rank",
     [](Call &c) {
       c.keys = {at(16), SFA_DTYPE_BF16, {2, 3, 64}};
     },
     "argument 1 has rank 3; the program has bf16, shape [2, 3, ?, 64] there"},
    {"Size",
     [](Call &c) {
       c.keys = {at(16), SFA_DTYPE_BF16, {2, 4, 257, 64}};
     },
     "argument 1 has shape [2, 4, 257, 64]; the program has bf16, shape [2, 3, ?, 64] there, and "
     "dimension 1 has to be 3"},
    {"NegativeSize",
     [](Call &c) {
       c.keys = {at(16), SFA_DTYPE_BF16, {2, 3, -1, 64}};
     },
     "argument 1 has shape [2, 3, -1, 64]; sizes must not be negative"},
    {"ResultSize",
     [](Call &c) {
       c.lse = {at(16), SFA_DTYPE_F32, {2, 3, 999}};
     },
     "result 1 has shape [2, 3, 999]; the program has f32, shape [2, 3, ?] there, and dimension 2 "
     "has to be 1000, which follows from dimension 2 of argument 0"},
    {"NullData",
     [](Call &c) {
       c.output = {nullptr, SFA_DTYPE_BF16, {2, 3, 1000, 64}};
     },
     "the data of result 0 is NULL; that is allowed only where a size is 0, and its shape is [2, "
     "3, "
     "1000, 64]"},
    {"Alignment",
     [](Call &c) {
       c.queries = {at(0x10008), SFA_DTYPE_BF16, {2, 3, 1000, 64}};
     },
     "the data of argument 0 is at 0x10008; it has to be at a multiple of 16 bytes: copy the "
     "tensor"},
    {"ColumnStride",
     [](Call &c) {
       c.queries = {at(16), SFA_DTYPE_BF16, {2, 3, 1000, 64}, {192000, 64000, 1, 1000}};
     },
     "argument 0 has strides [192000, 64000, 1, 1000]; the last has to be 1: make the tensor "
     "contiguous"},
    {"NegativeStride",
     [](Call &c) {
       c.queries = {at(16), SFA_DTYPE_BF16, {2, 3, 1000, 64}, {192000, 64000, -64, 1}};
     },
     "argument 0 has strides [192000, 64000, -64, 1]; they must not be negative"},
    {"BroadcastResult",
     [](Call &c) {
       c.lse = {at(16), SFA_DTYPE_F32, {2, 3, 1000}, {0, 1000, 1}};
     },
     "result 1 has strides [0, 1000, 1]; they must not be less than 1, since each element is "
     "written"},
    {"HugeStride",
     [](Call &c) {
       c.queries = {at(16), SFA_DTYPE_BF16, {2, 3, 1000, 64}, {INT64_MAX, 64000, 64, 1}};
     },
     "argument 0 has shape [2, 3, 1000, 64] and strides [9223372036854775807, 64000, 64, 1]; its "
     "bytes have to be countable in 63 bits"},
    {"HugeTensor",
     [](Call &c) {
       c.queries = {at(16), SFA_DTYPE_BF16, {2, 3, INT64_MAX, 64}};
     },
     "argument 0 has shape [2, 3, 9223372036854775807, 64] and is contiguous; its bytes have to be "
     "countable in 63 bits"},
    {"NoWorkspace", [](Call &c) { c.workspace = nullptr; },
     "the workspace is NULL; a launch with these arguments needs 256 bytes "
     "(sfa_program_workspace_bytes)"},
    {"SmallWorkspace", [](Call &c) { c.workspaceBytes = 255; },
     "the workspace has 255 bytes; a launch with these arguments needs 256 "
     "(sfa_program_workspace_bytes)"},
    {"WorkspaceAlignment", [](Call &c) { c.workspace = at(0x40010); },
     "the workspace is at 0x40010; it has to be at a multiple of 256 bytes"},
    {"RowStride",
     [](Call &c) {
       c.queries = {at(16), SFA_DTYPE_BF16, {2, 3, 1000, 64}, {204000, 68000, 68, 1}};
     },
     "buffer 0 of the program (bf16, shape [2, 3, ?, 64]; arguments come first, then results, then "
     "temporaries) has shape [2, 3, 1000, 64] and strides [204000, 68000, 68, 1]; the kernel "
     "attend takes rows in pieces of 16 bytes, so strides have to be multiples of 8 elements: copy "
     "the tensor"},
    {"HeadStrideOfAResult",
     [](Call &c) {
       c.output = {at(16), SFA_DTYPE_BF16, {2, 3, 1000, 64}, {200000, 64001, 64, 1}};
     },
     "buffer 2 of the program (bf16, shape [2, 3, ?, 64]; arguments come first, then results, then "
     "temporaries) has shape [2, 3, 1000, 64] and strides [200000, 64001, 64, 1]; the kernel "
     "attend takes rows in pieces of 16 bytes, so strides have to be multiples of 8 elements: copy "
     "the tensor"},
    {"RowStrideOfTensorMap",
     [](Call &c) {
       c.keys = {at(16), SFA_DTYPE_BF16, {2, 3, 257, 64}, {3 * 257 * 68, 257 * 68, 68, 1}};
     },
     "buffer 1 of the program (bf16, shape [2, 3, ?, 64]; arguments come first, then results, then "
     "temporaries) has shape [2, 3, 257, 64] and strides [52428, 17476, 68, 1]; the tensor memory "
     "accelerator takes strides that are multiples of 8 elements, 16 bytes, below 549755813888: "
     "copy the tensor"},
    {"LargeStrideOfTensorMap",
     [](Call &c) {
       c.keys = {at(16), SFA_DTYPE_BF16, {2, 3, 257, 64}, {int64_t(1) << 39, 16448, 64, 1}};
     },
     "buffer 1 of the program (bf16, shape [2, 3, ?, 64]; arguments come first, then results, then "
     "temporaries) has shape [2, 3, 257, 64] and strides [549755813888, 16448, 64, 1]; the tensor "
     "memory accelerator takes strides that are multiples of 8 elements, 16 bytes, below "
     "549755813888: copy the tensor"},
    {"LongTensorMap",
     [](Call &c) {
       c.keys = {at(16), SFA_DTYPE_BF16, {2, 3, (int64_t(1) << 32) + 1, 64}};
       c.workspaceBytes = size_t(1) << 40;
     },
     "buffer 1 of the program (bf16, shape [2, 3, ?, 64]; arguments come first, then results, then "
     "temporaries) has shape [2, 3, 4294967297, 64] and strides [824633721024, 274877907008, 64, "
     "1]; the tensor memory accelerator takes sizes up to 4294967296"},
    {"HugeGrid",
     [](Call &c) {
       c.queries = {at(16), SFA_DTYPE_BF16, {2, 3, int64_t(1) << 39, 64}};
       c.output = {at(16), SFA_DTYPE_BF16, {2, 3, int64_t(1) << 39, 64}};
       c.lse = {at(16), SFA_DTYPE_F32, {2, 3, int64_t(1) << 39}};
     },
     "the grid of the kernel attend has 4294967296 blocks in x for these arguments; a device takes "
     "up to 2147483647: split the call"},
    {"Device", [](Call &c) { c.device = 3; },
     "there is no device 3; this machine has devices 0 to 2", SFA_ERROR_NO_DEVICE},
    {"NegativeDevice", [](Call &c) { c.device = -1; },
     "there is no device -1; this machine has devices 0 to 2", SFA_ERROR_NO_DEVICE},
};

INSTANTIATE_TEST_SUITE_P(All, WrongLaunch, testing::ValuesIn(wrongLaunches),
                         [](const auto &info) { return std::string(info.param.name); });

class LaunchError : public OnFakeDriver {
protected:
  runtime::Status launch(const runtime::Program &program) {
    return program.launch(call.device, nullptr, {call.queries.tensor(), call.keys.tensor()},
                          {call.output.tensor(), call.lse.tensor()}, call.workspace,
                          call.workspaceBytes);
  }

  Call call;
};

TEST_F(LaunchError, SaysWhatIsMissing) {
  runtime::Program program = load(makeProgram());
  sfa_tensor arguments[2] = {call.queries.tensor(), call.keys.tensor()};
  EXPECT_EQ(messageOf(program.launch(0, nullptr, {arguments, 1}, {}), SFA_ERROR_INVALID_ARGUMENT),
            "1 arguments were given; the program has 2");
  EXPECT_EQ(messageOf(program.launch(0, nullptr, arguments, {}), SFA_ERROR_INVALID_ARGUMENT),
            "0 results were given; the program has 2");
  EXPECT_EQ(messageOf(program.launch(0, nullptr, {nullptr, 2}, {}), SFA_ERROR_INVALID_ARGUMENT),
            "the arguments are NULL; the program has 2");
  EXPECT_EQ(sfa_program_launch(nullptr, 0, nullptr, arguments, 2, nullptr, 0, nullptr, 0),
            SFA_ERROR_INVALID_ARGUMENT);
  EXPECT_STREQ(sfa_last_error(),
               "sfa_program_launch: `program` is NULL; it has to point to something");
  arguments[1].shape = nullptr;
  EXPECT_EQ(messageOf(program.launch(0, nullptr, arguments, {}), SFA_ERROR_INVALID_ARGUMENT),
            "the shape of argument 1 is NULL; it has to point to 4 sizes");
}

TEST_F(LaunchError, ComparesNumbers) {
  runtime::Program program = load(makeScaledProgram());
  auto errorOf = [&](sfa_tensor number, bool isGiven = true) {
    Call call;
    std::vector<sfa_tensor> arguments = {call.queries.tensor(), call.keys.tensor()};
    if (isGiven)
      arguments.push_back(number);
    runtime::Status status =
        program.launch(call.device, nullptr, arguments, {call.output.tensor(), call.lse.tensor()},
                       call.workspace, call.workspaceBytes);
    EXPECT_TRUE(fake->launches.empty());
    return messageOf(status, SFA_ERROR_INVALID_ARGUMENT);
  };
  double value = 0.5;
  EXPECT_EQ(errorOf({}, false), "2 arguments were given; the program has 3");
  EXPECT_EQ(errorOf({&value, SFA_DTYPE_F32, 0, nullptr, nullptr}),
            "argument 2 has type f32; the program has f64, shape [] there");
  EXPECT_EQ(errorOf({nullptr, SFA_DTYPE_F64, 0, nullptr, nullptr}),
            "the data of argument 2 is NULL; it has to be the address, on the host, of a number of "
            "type f64");
  int64_t one = 1;
  EXPECT_EQ(errorOf({&value, SFA_DTYPE_F64, 1, &one, nullptr}),
            "argument 2 has rank 1; the program has f64, shape [] there");
  for (auto [wrong, text] : {std::pair{0.0, "0"},
                             {-0.5, "-0.5"},
                             {1e-40, "1e-40"},
                             {2.4e38, "2.4e+38"},
                             {double(INFINITY), "inf"},
                             {double(NAN), "nan"}}) {
    value = wrong;
    EXPECT_EQ(
        errorOf({&value, SFA_DTYPE_F64, 0, nullptr, nullptr}),
        std::string("argument 2 is ") + text +
            "; the kernel attend takes 1.4426950408889634 times this number as f32, which has to "
            "be positive, finite and normal: compile the number into the program as a constant");
  }
}

TEST_F(LaunchError, ComparesArguments) {
  json document = makeProgram();
  document["arguments"][1]["shape"][2] = {{"dim", {0, 2}}, {"ceildiv", 4}};
  runtime::Program program = load(document);
  EXPECT_EQ(
      messageOf(launch(program), SFA_ERROR_INVALID_ARGUMENT),
      "argument 1 has shape [2, 3, 257, 64]; the program has bf16, shape [2, 3, ?, 64] there, "
      "and dimension 2 has to be 250, which follows from dimension 2 of argument 0");
}

TEST_F(LaunchError, TellsIntegersWithASignFromOthers) {
  json document = makeProgram();
  document["arguments"][1]["type"] = "i8";
  runtime::Program program = load(document);
  call.keys = {at(16), SFA_DTYPE_U8, {2, 3, 257, 64}};
  EXPECT_EQ(messageOf(launch(program), SFA_ERROR_INVALID_ARGUMENT),
            "argument 1 has type u8; the program has i8, shape [2, 3, ?, 64] there");
  call.keys = {at(16), SFA_DTYPE_I8, {2, 3, 257, 64}};
  EXPECT_TRUE(bool(launch(program)));
}

TEST_F(LaunchError, SaysWhereAGridIsNotOfClusters) {
  json document = makeProgram();
  document["launches"][1]["cluster"] = 3;
  EXPECT_EQ(messageOf(launch(load(document)), SFA_ERROR_INVALID_ARGUMENT),
            "the grid of the kernel attend has 8 blocks in x for these arguments; it has to be a "
            "multiple of its cluster, 3");
}

TEST_F(LaunchError, SaysWhereWorkItemsAreTooMany) {
  json document = makePersistentProgram();
  json &grid = document["launches"][1]["grid"];
  auto errorOf = [&](const json &x, const json &y, const json &z) {
    grid = {x, y, z};
    std::string message = messageOf(launch(load(document)), SFA_ERROR_INVALID_ARGUMENT);
    EXPECT_TRUE(fake->launches.empty()) << "of " << grid;
    return message;
  };
  json queryTiles = {{"dim", {0, 2}}, {"ceildiv", 128}}; // 8
  const std::string most = " work items for these arguments; a launch takes up to 2147483647: "
                           "split the call";
  EXPECT_EQ(errorOf(queryTiles, 16384, 16384), "the kernel attend has 8 x 16384 x 16384" + most);
  EXPECT_EQ(errorOf(2147483647, 2147483647, queryTiles),
            "the kernel attend has 2147483647 x 2147483647 x 8" + most);
  EXPECT_EQ(errorOf({{"sum", {2147483640, queryTiles}}}, 1, 1),
            "the grid of the kernel attend has 2147483648 work items in x for these arguments; a "
            "launch takes up to 2147483647: split the call");
  EXPECT_EQ(errorOf(1, {{"sum", {2147483640, queryTiles}}}, 1),
            "the grid of the kernel attend has 2147483648 work items in y for these arguments; a "
            "launch takes up to 2147483647: split the call");
}

TEST_F(LaunchError, SaysHowManyBlocksShareWorkItems) {
  runtime::Program program = load(makePersistentProgram());
  ASSERT_TRUE(bool(program.prepare(0)));
  call.keys = {nullptr, SFA_DTYPE_BF16, {2, 3, 0, 64}}; // no blocks of `split`
  fake->failures = {{"cuLaunchKernelEx", 1}};
  EXPECT_EQ(messageOf(launch(program), SFA_ERROR_DRIVER),
            "cannot launch the kernel attend (grid 48 x 1 x 1, 384 threads a block, 200000 bytes "
            "of dynamic shared memory, clusters of 1): cuLaunchKernelEx failed with "
            "CUDA_ERROR_FAKE (1): made to fail");
}

TEST_F(LaunchError, SaysWhichCallOfTheDriverFailed) {
  const std::string cannotLaunch =
      "cannot launch the kernel split (grid 3 x 3 x 2, 128 threads a block, 0 bytes of dynamic "
      "shared memory, clusters of 1): ";
  const std::pair<const char *, std::string> calls[] = {
      {"cuCtxGetCurrent", "cannot switch to the device's context: "},
      {"cuCtxPushCurrent", "cannot switch to the device's context: "},
      {"cuTensorMapEncodeTiled",
       "cannot describe memory 1 of the kernel attend to the tensor memory accelerator: address "
       "0x20000, sizes [64, 257, 3, 2], strides in bytes [128, 32896, 98688], box [64, "
       "128, 1, 1]: "},
      {"cuLaunchKernelEx", cannotLaunch}};
  runtime::Program program = load(makeProgram());
  ASSERT_TRUE(bool(program.prepare(0)));
  for (const auto &[name, what] : calls) {
    fake->failures = {{name, 1}};
    EXPECT_EQ(messageOf(launch(program), SFA_ERROR_DRIVER),
              what + name + " failed with CUDA_ERROR_FAKE (1): made to fail");
  }
  // The context is that of before, also after failures.
  EXPECT_EQ(fake->numCalls["cuCtxPushCurrent"] - 1, fake->numCalls["cuCtxPopCurrent"]);

  fake->failures = {{"cuLaunchKernelEx", 2}};
  messageOf(launch(program), SFA_ERROR_OUT_OF_MEMORY);
  fake->failures = {{"cuLaunchKernelEx", 700}};
  expectHas(messageOf(launch(program), SFA_ERROR_DRIVER), "kernels run asynchronously");
  fake->failures = {{"cuLaunchKernelEx", 12345}};
  EXPECT_EQ(messageOf(launch(program), SFA_ERROR_DRIVER),
            cannotLaunch + "cuLaunchKernelEx failed with an unknown error (12345): no description");
  fake->failures.clear();
  EXPECT_TRUE(bool(launch(program)));
}

} // namespace
