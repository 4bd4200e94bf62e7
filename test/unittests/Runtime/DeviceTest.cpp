//===- DeviceTest.cpp - Programs on a real GPU ----------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RuntimeTest.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>

using namespace sfa;
using namespace sfa::test;

namespace {

using Stream = void *;

/// The functions of the driver that a caller of the runtime uses and the runtime does not.
struct Caller {
  template <typename... Parameters>
  using Entry = int (*)(Parameters...);

  Entry<void **, int> retain;
  Entry<void *> push;
  Entry<uint64_t *, size_t> allocate;
  Entry<uint64_t> free;
  Entry<uint64_t, const void *, size_t> toDevice;
  Entry<void *, uint64_t, size_t> toHost;
  Entry<uint64_t, unsigned char, size_t> set;
  Entry<Stream *, unsigned> createStream;
  Entry<Stream> synchronize;
  Entry<Stream, int> beginCapture;
  Entry<Stream, void **> endCapture;
  Entry<void **, void *, unsigned long long> instantiate;
  Entry<void *, Stream> launchGraph;
  Entry<void **, const void *> loadModule;
  Entry<void *> unloadModule;
  Entry<void **, void *, const char *> getFunction;
  Entry<void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, Stream,
        void **, void **>
      launchKernel;

  bool open() {
    void *library = dlopen("libcuda.so.1", RTLD_NOW);
    bool hasAll = library;
    auto find = [&](const char *name, auto &entry) {
      entry = reinterpret_cast<std::remove_reference_t<decltype(entry)>>(dlsym(library, name));
      hasAll &= entry != nullptr;
    };
    find("cuDevicePrimaryCtxRetain", retain);
    find("cuCtxPushCurrent_v2", push);
    find("cuMemAlloc_v2", allocate);
    find("cuMemFree_v2", free);
    find("cuMemcpyHtoD_v2", toDevice);
    find("cuMemcpyDtoH_v2", toHost);
    find("cuMemsetD8_v2", set);
    find("cuStreamCreate", createStream);
    find("cuStreamSynchronize", synchronize);
    find("cuStreamBeginCapture_v2", beginCapture);
    find("cuStreamEndCapture", endCapture);
    find("cuGraphInstantiateWithFlags", instantiate);
    find("cuGraphLaunch", launchGraph);
    find("cuModuleLoadData", loadModule);
    find("cuModuleUnload", unloadModule);
    find("cuModuleGetFunction", getFunction);
    find("cuLaunchKernel", launchKernel);
    return hasAll;
  }
};

/// Copies f32 of any strides: one block of 128 threads for each 128 rows.
const char copyKernel[] = R"(
.visible .entry copy(.param .u64 a, .param .u64 an, .param .u64 a0, .param .u64 a1, .param .u64 a2,
                     .param .u64 b, .param .u64 bn, .param .u64 b0, .param .u64 b1, .param .u64 b2)
{
  .reg .pred %p<2>;
  .reg .b32 %r<5>;
  .reg .f32 %f<2>;
  .reg .b64 %d<10>;
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %tid.x;
  shl.b32 %r3, %r1, 7;
  add.u32 %r3, %r3, %r2;
  cvt.u64.u32 %d1, %r3;
  ld.param.u64 %d2, [an];
  setp.ge.u64 %p1, %d1, %d2;
  @%p1 bra done;
  ld.param.u64 %d3, [a];
  ld.param.u64 %d4, [a2];
  ld.param.u64 %d5, [b];
  ld.param.u64 %d6, [b2];
  mul.lo.u64 %d7, %d1, %d4;
  shl.b64 %d7, %d7, 2;
  add.u64 %d7, %d3, %d7;
  ld.global.f32 %f1, [%d7];
  mul.lo.u64 %d8, %d1, %d6;
  shl.b64 %d8, %d8, 2;
  add.u64 %d8, %d5, %d8;
  st.global.f32 [%d8], %f1;
done:
  ret;
}
)";

/// Copies [1, 1, n, 64] of 2 bytes an element through shared memory: one block of 128 threads loads
/// a box of 64 rows by its tensor map, takes the swizzle back and writes the rows that there are.
/// The barrier is behind the tile: the driver's linker misplaces static shared memory beside it.
const char boxKernel[] = R"(
.extern .shared .align 1024 .b8 tile[];
.visible .entry box(.param .u64 a, .param .u64 an, .param .u64 a0, .param .u64 a1, .param .u64 a2,
                    .param .u64 b, .param .u64 bn, .param .u64 b0, .param .u64 b1, .param .u64 b2,
                    .param .align 64 .b8 map[128])
{
  .reg .pred %p<5>;
  .reg .b32 %r<20>;
  .reg .b64 %d<10>;
  .reg .b32 %v<4>;
  mov.u32 %r1, %tid.x;
  mov.u32 %r2, %ctaid.x;
  shl.b32 %r2, %r2, 6;
  mov.u32 %r3, tile;
  add.u32 %r4, %r3, 8192;
  setp.ne.u32 %p1, %r1, 0;
  @%p1 bra loaded;
  mbarrier.init.shared::cta.b64 [%r4], 1;
  fence.proxy.async.shared::cta;
  mov.u64 %d1, map;
  cvta.param.u64 %d1, %d1;
  mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r4], 8192;
  mov.u32 %r5, 0;
  cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes
    [%r3], [%d1, {%r5, %r2, %r5, %r5}], [%r4];
loaded:
  bar.sync 0;
wait:
  mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r4], 0;
  @!%p2 bra wait;
  ld.param.u64 %d2, [b];
  ld.param.u64 %d3, [bn];
  ld.param.u64 %d4, [b2];
  mov.u32 %r6, %r1;
chunk:
  shr.u32 %r7, %r6, 3;
  and.b32 %r8, %r6, 7;
  and.b32 %r9, %r7, 7;
  xor.b32 %r9, %r9, %r8;
  shl.b32 %r10, %r7, 7;
  shl.b32 %r11, %r9, 4;
  add.u32 %r10, %r10, %r11;
  add.u32 %r10, %r10, %r3;
  ld.shared.v4.b32 {%v0, %v1, %v2, %v3}, [%r10];
  add.u32 %r12, %r2, %r7;
  cvt.u64.u32 %d5, %r12;
  setp.ge.u64 %p3, %d5, %d3;
  mul.lo.u64 %d6, %d5, %d4;
  shl.b64 %d6, %d6, 1;
  add.u64 %d6, %d2, %d6;
  shl.b32 %r13, %r8, 4;
  cvt.u64.u32 %d7, %r13;
  add.u64 %d6, %d6, %d7;
  @!%p3 st.global.v4.b32 [%d6], {%v0, %v1, %v2, %v3};
  add.u32 %r6, %r6, 128;
  setp.lt.u32 %p4, %r6, 512;
  @%p4 bra chunk;
  ret;
}
)";

/// Persistent: blocks of one thread write of each work item its number and how many blocks there
/// are, 8 bytes.
const char itemsKernel[] = R"(
.visible .entry items(.param .u64 a, .param .u64 an, .param .u64 a0, .param .u64 a1, .param .u64 a2,
                      .param .u32 nx, .param .u32 ny, .param .u32 nz)
{
  .reg .pred %p<2>;
  .reg .b32 %r<6>;
  .reg .b64 %d<3>;
  ld.param.u64 %d1, [a];
  ld.param.u32 %r1, [nx];
  ld.param.u32 %r2, [ny];
  ld.param.u32 %r3, [nz];
  mul.lo.u32 %r1, %r1, %r2;
  mul.lo.u32 %r1, %r1, %r3;
  mov.u32 %r4, %ctaid.x;
  mov.u32 %r5, %nctaid.x;
item:
  setp.ge.u32 %p1, %r4, %r1;
  @%p1 bra done;
  mul.wide.u32 %d2, %r4, 8;
  add.u64 %d2, %d1, %d2;
  st.global.v2.u32 [%d2], {%r4, %r5};
  add.u32 %r4, %r4, %r5;
  bra item;
done:
  ret;
}
)";

json makeDocument(const std::string &chip, const std::string &kernel, const json &arguments,
                  const json &results, const json &launch) {
  json document;
  document["format"] = "flashsfa-program";
  document["version"] = 5;
  document["compiler"] = "0.1.0";
  document["chip"] = chip;
  document["image"] = {{"kind", "ptx"}, {"text", makePTX(chip, {kernel})}};
  document["arguments"] = arguments;
  document["results"] = results;
  document["temporaries"] = json::array();
  document["launches"] = json::array({launch});
  return document;
}

json makeCopy() {
  json launch = {{"kernel", "copy"}, {"block", 128}, {"shared_bytes", 0}, {"cluster", 1}};
  launch["grid"] = {{{"dim", {0, 0}}, {"ceildiv", 128}}, 1, 1};
  launch["persistent"] = false;
  launch["programmatic"] = false;
  launch["memories"] = {0, 1};
  launch["scalars"] = json::array();
  launch["aligned"] = json::array();
  launch["packed"] = json::array();
  launch["batches"] = json::array();
  launch["tensor_maps"] = json::array();
  return makeDocument(
      "sm_80", copyKernel, json::array({{{"type", "f32"}, {"shape", json::array({-1})}}}),
      json::array({{{"type", "f32"}, {"shape", json::array({{{"dim", {0, 0}}}})}}}), launch);
}

/// The result has as many rows as argument 1, and the grid follows it: argument 0 may be shorter.
json makeBox() {
  json rows = {{"dim", {1, 0}}};
  json launch = {{"kernel", "box"}, {"block", 128}, {"shared_bytes", 65536}, {"cluster", 1}};
  launch["grid"] = {{{"dim", {1, 0}}, {"ceildiv", 64}}, 1, 1};
  launch["persistent"] = false;
  launch["programmatic"] = false;
  launch["memories"] = {0, 2};
  launch["scalars"] = json::array();
  launch["aligned"] = {1};
  launch["packed"] = json::array();
  launch["batches"] = json::array();
  launch["tensor_maps"] = {
      {{"memory", 0}, {"box_rows", 64}, {"box_columns", 64}, {"box_heads", 1}}};
  return makeDocument("sm_90a", boxKernel,
                      json::array({{{"type", "bf16"}, {"shape", {1, 1, -1, 64}}},
                                   {{"type", "u8"}, {"shape", json::array({-1})}}}),
                      json::array({{{"type", "bf16"}, {"shape", {1, 1, rows, 64}}}}), launch);
}

/// Argument 0 says by its size how many work items there are in x; there are 3 in y and 2 in z.
json makeItems() {
  json numX = {{"dim", {0, 0}}};
  json launch = {{"kernel", "items"}, {"block", 1}, {"shared_bytes", 0}, {"cluster", 1}};
  launch["grid"] = {numX, 3, 2};
  launch["persistent"] = true;
  launch["programmatic"] = false;
  launch["memories"] = {1};
  launch["scalars"] = json::array();
  launch["aligned"] = json::array();
  launch["packed"] = json::array();
  launch["batches"] = json::array();
  launch["tensor_maps"] = json::array();
  return makeDocument("sm_80", itemsKernel,
                      json::array({{{"type", "u8"}, {"shape", json::array({-1})}}}),
                      json::array({{{"type", "i32"}, {"shape", {2, 3, numX, 2}}}}), launch);
}

TEST(DeviceDocuments, AreRight) {
  EXPECT_EQ(load(makeCopy()).results()[0].shape, (std::vector<int64_t>{-1}));
  EXPECT_EQ(load(makeBox()).results()[0].shape, (std::vector<int64_t>{1, 1, -1, 64}));
  EXPECT_EQ(load(makeItems()).results()[0].shape, (std::vector<int64_t>{2, 3, -1, 2}));
}

class Device : public testing::Test {
protected:
  static constexpr size_t bytes = 1 << 16;

  void SetUp() override {
    runtime::Status status = runtime::driverStatus();
    if (!status)
      GTEST_SKIP() << status.error().message;
    auto properties = runtime::deviceInfo(0);
    ASSERT_TRUE(bool(properties)) << properties.error().message;
    if (properties->capability_major < 8)
      GTEST_SKIP() << properties->name << " is too old";
    isHopper = properties->capability_major == 9;
    multiprocessors = properties->multiprocessors;
    ASSERT_TRUE(caller.open());
    void *context;
    ASSERT_EQ(caller.retain(&context, 0), 0);
    ASSERT_EQ(caller.push(context), 0);
    ASSERT_EQ(caller.createStream(&stream, /*CU_STREAM_NON_BLOCKING*/ 1), 0);
    for (uint64_t *memory : {&input, &output})
      ASSERT_EQ(caller.allocate(memory, bytes), 0);
    content.resize(bytes);
    for (size_t index = 0; index < bytes; ++index)
      content[index] = static_cast<uint8_t>(index * 2654435761u >> 13);
    ASSERT_EQ(caller.toDevice(input, content.data(), bytes), 0);
    clear();
  }

  void TearDown() override {
    if (output)
      for (uint64_t memory : {input, output})
        EXPECT_EQ(caller.free(memory), 0);
  }

  void clear() { ASSERT_EQ(caller.set(output, 0xEE, bytes), 0); }

  /// The output after all work.
  std::vector<uint8_t> read() {
    std::vector<uint8_t> result(bytes);
    EXPECT_EQ(caller.synchronize(stream), 0);
    EXPECT_EQ(caller.toHost(result.data(), output, bytes), 0);
    return result;
  }

  /// What a copy of the first `count` bytes leaves.
  std::vector<uint8_t> expected(size_t count) {
    std::vector<uint8_t> result(bytes, 0xEE);
    std::copy_n(content.begin(), count, result.begin());
    return result;
  }

  void launchCopy(const runtime::Program &program, int64_t count) {
    runtime::Tensor from(at(input), SFA_DTYPE_F32, {count}), to(at(output), SFA_DTYPE_F32, {count});
    runtime::Status status = program.launch(0, stream, {from.tensor()}, {to.tensor()});
    ASSERT_TRUE(bool(status)) << status.error().message;
  }

  runtime::Status launchBox(const runtime::Program &program, int64_t rows, int64_t resultRows) {
    runtime::Tensor from(rows ? at(input) : nullptr, SFA_DTYPE_BF16, {1, 1, rows, 64});
    runtime::Tensor counter(at(input), SFA_DTYPE_U8, {resultRows});
    runtime::Tensor to(at(output), SFA_DTYPE_BF16, {1, 1, resultRows, 64});
    return program.launch(0, stream, {from.tensor(), counter.tensor()}, {to.tensor()});
  }

  Caller caller;
  bool isHopper = false;
  int32_t multiprocessors = 0;
  Stream stream = nullptr;
  uint64_t input = 0, output = 0;
  std::vector<uint8_t> content;
};

TEST_F(Device, RunsPTX) {
  runtime::Program program = load(makeCopy());
  launchCopy(program, 1000);
  EXPECT_EQ(read(), expected(4000));
  clear();
  launchCopy(program, 0);
  EXPECT_EQ(read(), expected(0));
}

TEST_F(Device, TimesLaunches) {
  runtime::Program program = load(makeCopy());
  runtime::Tensor from(at(input), SFA_DTYPE_F32, {1000}), to(at(output), SFA_DTYPE_F32, {1000});
  auto timer = runtime::Timer::create(program, 0, {from.tensor()}, {to.tensor()});
  ASSERT_TRUE(bool(timer)) << timer.error().message;
  EXPECT_EQ(read(), expected(0)) << "the capture ran something";
  constexpr size_t scratchBytes = size_t(256) << 20;
  uint64_t scratch = 0;
  ASSERT_EQ(caller.allocate(&scratch, scratchBytes), 0);
  for (int index = 0; index < 3; ++index) {
    auto milliseconds = timer->sample(at(scratch), scratchBytes);
    ASSERT_TRUE(bool(milliseconds)) << milliseconds.error().message;
    EXPECT_GT(*milliseconds, 0);
    // The first has more to do. To overwrite the memory takes longer by itself.
    EXPECT_LT(*milliseconds, index == 0 ? 1000 : 0.05);
  }
  EXPECT_EQ(read(), expected(4000));
  EXPECT_EQ(caller.free(scratch), 0);
}

TEST_F(Device, TellsItsState) {
  auto state = runtime::deviceState(0);
  if (!state && state.error().status == SFA_ERROR_NO_DRIVER)
    GTEST_SKIP() << state.error().message;
  ASSERT_TRUE(bool(state)) << state.error().message;
  EXPECT_GT(state->multiprocessor_clock_mhz, 0);
  EXPECT_LE(state->multiprocessor_clock_mhz, state->max_multiprocessor_clock_mhz);
  EXPECT_LE(state->memory_clock_mhz, state->max_memory_clock_mhz);
}

TEST_F(Device, RunsMachineCode) {
  auto assembled = load(makeCopy()).assemble(0);
  ASSERT_TRUE(bool(assembled)) << assembled.error().message;
  auto saved = assembled->save();
  ASSERT_TRUE(bool(saved));
  auto program = runtime::Program::load(*saved);
  ASSERT_TRUE(bool(program)) << program.error().message;
  launchCopy(*program, 1000);
  EXPECT_EQ(read(), expected(4000));
}

TEST_F(Device, SaysWhyPTXIsWrong) {
  json document = makeCopy();
  std::string text = document["image"]["text"];
  text.replace(text.find("mul.lo.u64"), 10, "mul.of.u64");
  document["image"]["text"] = text;
  auto assembled = load(document).assemble(0);
  ASSERT_FALSE(bool(assembled));
  expectHas(assembled.error().message, "mul");
  std::string message = messageOf(load(document).prepare(0), SFA_ERROR_DRIVER);
  expectHas(message, "mul");
}

TEST_F(Device, RefusesOtherParameters) {
  json document = makeCopy();
  document["launches"][0]["memories"] = {0};
  expectHas(messageOf(load(document).prepare(0), SFA_ERROR_INVALID_PROGRAM), "has parameter 5");
}

TEST_F(Device, SharesWorkItemsBetweenMultiprocessors) {
  runtime::Program program = load(makeItems());
  for (int64_t numX : {0, 1, 100, 1300}) {
    clear();
    runtime::Tensor counter(at(input), SFA_DTYPE_U8, {numX});
    runtime::Tensor to(at(output), SFA_DTYPE_I32, {2, 3, numX, 2});
    runtime::Status status = program.launch(0, stream, {counter.tensor()}, {to.tensor()});
    ASSERT_TRUE(bool(status)) << status.error().message;

    std::vector<uint8_t> result = read();
    std::vector<uint32_t> words(bytes / 4);
    std::memcpy(words.data(), result.data(), bytes);
    auto numItems = static_cast<uint32_t>(6 * numX);
    uint32_t numBlocks = std::min(numItems, static_cast<uint32_t>(multiprocessors));
    for (uint32_t item = 0; item < numItems; ++item) {
      ASSERT_EQ(words[2 * item], item) << "of " << numItems;
      ASSERT_EQ(words[2 * item + 1], numBlocks) << "of " << numItems;
    }
    EXPECT_EQ(words[2 * numItems], 0xEEEEEEEEu) << "of " << numItems;
  }
}

TEST_F(Device, ReadsTensorMaps) {
  if (!isHopper)
    GTEST_SKIP() << "sm_90a needs compute capability 9.0";
  runtime::Program program = load(makeBox());
  runtime::Status status = launchBox(program, 100, 100);
  ASSERT_TRUE(bool(status)) << status.error().message;
  EXPECT_EQ(read(), expected(100 * 128));

  // Out of bounds is zero.
  clear();
  ASSERT_TRUE(bool(launchBox(program, 60, 100)));
  std::vector<uint8_t> padded = expected(60 * 128);
  std::fill(padded.begin() + 60 * 128, padded.begin() + 100 * 128, 0);
  EXPECT_EQ(read(), padded);

  auto assembled = program.assemble(0);
  ASSERT_TRUE(bool(assembled)) << assembled.error().message;
  clear();
  ASSERT_TRUE(bool(launchBox(*assembled, 100, 100)));
  EXPECT_EQ(read(), expected(100 * 128));
}

TEST_F(Device, ReadsTensorMapsOfNothing) {
  if (!isHopper)
    GTEST_SKIP() << "sm_90a needs compute capability 9.0";
  runtime::Program program = load(makeBox());
  runtime::Status status = launchBox(program, 0, 100);
  ASSERT_TRUE(bool(status)) << status.error().message;
  // Of the output itself one element is loaded; the rest of each box is zero.
  std::vector<uint8_t> result = read();
  for (size_t index = 2; index < 64 * 128; ++index)
    ASSERT_EQ(result[index], 0) << index;
}

TEST_F(Device, RunsInGraphs) {
  for (bool isPrepared : {true, false}) {
    runtime::Program program = load(makeCopy());
    if (isPrepared) {
      ASSERT_TRUE(bool(program.prepare(0)));
    }
    clear();
    void *graph = nullptr, *executable = nullptr;
    ASSERT_EQ(caller.beginCapture(stream, /*CU_STREAM_CAPTURE_MODE_GLOBAL*/ 0), 0);
    launchCopy(program, 1000);
    ASSERT_EQ(caller.endCapture(stream, &graph), 0);
    ASSERT_EQ(caller.instantiate(&executable, graph, 0), 0);
    EXPECT_EQ(read(), expected(0));
    ASSERT_EQ(caller.launchGraph(executable, stream), 0);
    EXPECT_EQ(read(), expected(4000));
  }
}

/// Microseconds that calls take on the host: the median over rounds, each in an empty stream.
template <typename Call, typename Wait>
double measure(const Call &call, const Wait &wait) {
  constexpr int numCalls = 200, numRounds = 31;
  std::vector<double> rounds;
  for (int round = 0; round < numRounds; ++round) {
    wait();
    auto begin = std::chrono::steady_clock::now();
    for (int index = 0; index < numCalls; ++index)
      call();
    std::chrono::duration<double, std::micro> taken = std::chrono::steady_clock::now() - begin;
    rounds.push_back(taken.count() / numCalls);
  }
  std::nth_element(rounds.begin(), rounds.begin() + numRounds / 2, rounds.end());
  return rounds[numRounds / 2];
}

/// The same kernel with as many parameters, launched by the driver and by the runtime.
TEST_F(Device, LaunchesAtTheCostOfTheDriver) {
  constexpr double allowedMicroseconds = 5;
  json document = makeCopy();
  void *module = nullptr, *function = nullptr;
  std::string ptx = document["image"]["text"];
  ASSERT_EQ(caller.loadModule(&module, ptx.c_str()), 0);
  ASSERT_EQ(caller.getFunction(&function, module, "copy"), 0);
  uint64_t words[10] = {input, 100, 0, 0, 1, output, 100, 0, 0, 1};
  void *parameters[10];
  for (int index = 0; index < 10; ++index)
    parameters[index] = &words[index];

  int numFailures = 0;
  auto wait = [&] { ASSERT_EQ(caller.synchronize(stream), 0); };
  double ofDriver = measure(
      [&] {
        numFailures +=
            caller.launchKernel(function, 1, 1, 1, 128, 1, 1, 0, stream, parameters, nullptr) != 0;
      },
      wait);
  auto measureRuntime = [&](const char *what, const json &document,
                            std::vector<sfa_tensor> arguments, sfa_tensor result) {
    runtime::Program program = load(document);
    ASSERT_TRUE(bool(program.prepare(0)));
    double ofRuntime = measure(
        [&] {
          numFailures += sfa_program_launch(program.get(), 0, stream, arguments.data(),
                                            static_cast<int32_t>(arguments.size()), &result, 1,
                                            nullptr, 0) != SFA_SUCCESS;
        },
        wait);
    std::printf("launch, %s: %.2f us, cuLaunchKernel %.2f us, difference %.2f us\n", what,
                ofRuntime, ofDriver, ofRuntime - ofDriver);
    EXPECT_LT(ofRuntime - ofDriver, allowedMicroseconds) << what;
  };
  runtime::Tensor from(at(input), SFA_DTYPE_F32, {100}), to(at(output), SFA_DTYPE_F32, {100});
  measureRuntime("no tensor map", document, {from.tensor()}, to.tensor());
  if (isHopper) {
    runtime::Tensor rows(at(input), SFA_DTYPE_BF16, {1, 1, 64, 64});
    runtime::Tensor counter(at(input), SFA_DTYPE_U8, {64});
    runtime::Tensor result(at(output), SFA_DTYPE_BF16, {1, 1, 64, 64});
    measureRuntime("a tensor map", makeBox(), {rows.tensor(), counter.tensor()}, result.tensor());
  }
  EXPECT_EQ(numFailures, 0);
  wait();
  EXPECT_EQ(caller.unloadModule(module), 0);
}

} // namespace
