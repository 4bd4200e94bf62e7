//===- LaunchTest.cpp - What reaches the driver -----------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RuntimeTest.h"

#include <cstring>
#include <thread>

using namespace sfa;
using namespace sfa::test;

namespace {

/// Parameters as a kernel sees them.
class Parameters {
public:
  Parameters &memory(uint64_t address, std::vector<int64_t> rowsAndStrides) {
    add(&address, 8);
    for (int64_t number : rowsAndStrides)
      add(&number, 8);
    return *this;
  }

  Parameters &numbers(std::vector<float> numbers) {
    for (float number : numbers)
      add(&number, 4);
    return *this;
  }

  /// The sizes of the grid of a persistent launch.
  Parameters &items(std::vector<uint32_t> sizes) {
    for (uint32_t size : sizes)
      add(&size, 4);
    return *this;
  }

  /// Tensor map number `index` of the fake driver.
  Parameters &map(size_t index) {
    bytes.resize((bytes.size() + 63) / 64 * 64);
    for (size_t word = 0; word < 16; ++word) {
      uint64_t value = FakeDriver::mapWord(index, word);
      add(&value, 8);
    }
    return *this;
  }

  friend bool operator==(const std::vector<uint8_t> &given, const Parameters &expected) {
    return given == expected.bytes;
  }
  friend void PrintTo(const Parameters &parameters, std::ostream *stream) {
    *stream << testing::PrintToString(parameters.bytes);
  }

private:
  void add(const void *value, size_t size) {
    const auto *first = static_cast<const uint8_t *>(value);
    bytes.insert(bytes.end(), first, first + size);
  }

  std::vector<uint8_t> bytes;
};

using Shape = std::vector<int64_t>;
using Grid = std::vector<uint32_t>;

/// A call of makeProgram(), to be changed by a test.
class LaunchTest : public OnFakeDriver {
protected:
  runtime::Status launch(const runtime::Program &program, int32_t device = 0) {
    return program.launch(device, at(0x5000), {queries.tensor(), keys.tensor()},
                          {output.tensor(), lse.tensor()}, at(0x40000), 1 << 16);
  }

  /// What `attend` takes before its tensor map.
  static Parameters memoriesOfAttend() {
    return Parameters()
        .memory(0x10000, {1000, 192000, 64000, 64})
        .memory(0x20000, {257, 3 * 257 * 64, 257 * 64, 64})
        .memory(0x30000, {1000, 192000, 64000, 64})
        .memory(0x38000, {1000, 3000, 1000, 1})
        .memory(0x40000, {3, 9, 3, 1});
  }

  runtime::Tensor queries = {at(0x10000), SFA_DTYPE_BF16, {2, 3, 1000, 64}};
  runtime::Tensor keys = {at(0x20000), SFA_DTYPE_BF16, {2, 3, 257, 64}};
  runtime::Tensor output = {at(0x30000), SFA_DTYPE_BF16, {2, 3, 1000, 64}};
  runtime::Tensor lse = {at(0x38000), SFA_DTYPE_F32, {2, 3, 1000}};
};

TEST_F(LaunchTest, AddsUpBlocks) {
  json document = makeProgram();
  json tiles = {{"dim", {0, 2}}, {"ceildiv", 128}}, rows = {{"dim", {1, 2}}};
  document["launches"][0]["grid"][0] = {{"sum", {tiles, rows, 7}}};
  // It survives being written.
  auto saved = load(document).save();
  ASSERT_TRUE(bool(saved));
  for (const runtime::Program &program : {load(document), load(json::parse(*saved))}) {
    fake->launches.clear();
    ASSERT_TRUE(bool(launch(program)));
    EXPECT_EQ(fake->launches[0].grid, (Grid{8 + 257 + 7, 3, 2}));
  }
}

TEST_F(LaunchTest, PassesEachParameter) {
  runtime::Program program = load(makeProgram());
  runtime::Status status = launch(program);
  ASSERT_TRUE(bool(status)) << status.error().message;

  ASSERT_EQ(fake->launches.size(), 2u);
  const FakeLaunch &split = fake->launches[0], &attend = fake->launches[1];
  EXPECT_EQ(split.kernel, "split");
  EXPECT_EQ(split.grid, (Grid{3, 3, 2}));
  EXPECT_EQ(split.block, (Grid{128, 1, 1}));
  EXPECT_EQ(split.sharedBytes, 0u);
  EXPECT_EQ(split.cluster, 1u);
  EXPECT_EQ(split.stream, at(0x5000));
  EXPECT_EQ(split.device, 0);
  std::vector<int64_t> keysView = {257, 3 * 257 * 64, 257 * 64, 64};
  std::vector<int64_t> temporaryView = {3, 9, 3, 1};
  EXPECT_EQ(split.parameters,
            Parameters().memory(0x20000, keysView).memory(0x40000, temporaryView));

  EXPECT_EQ(attend.kernel, "attend");
  EXPECT_EQ(attend.grid, (Grid{8, 3, 2}));
  EXPECT_EQ(attend.block, (Grid{384, 1, 1}));
  EXPECT_EQ(attend.sharedBytes, 200000u);
  EXPECT_EQ(attend.parameters, Parameters()
                                   .memory(0x10000, {1000, 192000, 64000, 64})
                                   .memory(0x20000, keysView)
                                   .memory(0x30000, {1000, 192000, 64000, 64})
                                   .memory(0x38000, {1000, 3000, 1000, 1})
                                   .memory(0x40000, temporaryView)
                                   .map(0));
  EXPECT_EQ(fake->sharedBytes.count("split"), 0u);
  EXPECT_EQ(fake->sharedBytes["attend"], 200000);

  ASSERT_EQ(fake->tensorMaps.size(), 1u);
  const FakeTensorMap &map = fake->tensorMaps[0];
  EXPECT_EQ(map.type, 9); // CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
  EXPECT_EQ(map.address, 0x20000u);
  EXPECT_EQ(map.sizes, (std::vector<uint64_t>{64, 257, 3, 2}));
  EXPECT_EQ(map.strides, (std::vector<uint64_t>{128, 257 * 128, 3 * 257 * 128}));
  EXPECT_EQ(map.box, (Grid{64, 128, 1, 1}));
  EXPECT_EQ(map.elementStrides, (Grid{1, 1, 1, 1}));
  EXPECT_EQ(map.interleave, 0);
  EXPECT_EQ(map.swizzle, 3);     // CU_TENSOR_MAP_SWIZZLE_128B
  EXPECT_EQ(map.l2Promotion, 2); // CU_TENSOR_MAP_L2_PROMOTION_L2_128B
  EXPECT_EQ(map.fill, 0);
}

TEST_F(LaunchTest, TakesStrides) {
  // Tokens before heads, as a projection leaves them.
  keys = {at(0x20000), SFA_DTYPE_BF16, {2, 3, 257, 64}, {257 * 192, 64, 192, 1}};
  lse = {at(0x38000), SFA_DTYPE_F32, {2, 3, 1000}, {5, 7, 11}};
  runtime::Program program = load(makeProgram());
  ASSERT_TRUE(bool(launch(program)));
  const std::vector<uint8_t> &parameters = fake->launches[1].parameters;
  EXPECT_EQ(parameters, Parameters()
                            .memory(0x10000, {1000, 192000, 64000, 64})
                            .memory(0x20000, {257, 257 * 192, 64, 192})
                            .memory(0x30000, {1000, 192000, 64000, 64})
                            .memory(0x38000, {1000, 5, 7, 11})
                            .memory(0x40000, {3, 9, 3, 1})
                            .map(0));
  EXPECT_EQ(fake->tensorMaps[0].strides, (std::vector<uint64_t>{384, 128, 257 * 384}));
}

TEST_F(LaunchTest, TakesOneDimension) {
  json document = makeProgram();
  document["arguments"].push_back({{"type", "i32"}, {"shape", json::array({-1})}});
  json launch = document["launches"][0];
  launch["memories"] = {2, 1};
  document["launches"] = json::array({launch});
  document["temporaries"] = json::array();
  runtime::Program program = load(document);
  runtime::Tensor lengths(at(0x60000), SFA_DTYPE_I32, {9}, {4});
  runtime::Status status =
      program.launch(1, nullptr, {queries.tensor(), keys.tensor(), lengths.tensor()},
                     {output.tensor(), lse.tensor()});
  ASSERT_TRUE(bool(status)) << status.error().message;
  EXPECT_EQ(fake->launches[0].parameters,
            Parameters().memory(0x60000, {9, 0, 0, 4}).memory(0x20000, {257, 49344, 16448, 64}));
  EXPECT_EQ(fake->launches[0].device, 1);
  EXPECT_EQ(fake->launches[0].stream, nullptr);
}

TEST_F(LaunchTest, GivesTensorMapsStridesWhereASizeIsOne) {
  json document = makeProgram();
  document["arguments"][1]["shape"] = {-1, -1, -1, -1};
  runtime::Program program = load(document);
  auto stridesOf = [&](Shape shape, Shape strides) {
    keys = {at(0x20000), SFA_DTYPE_BF16, std::move(shape), std::move(strides)};
    runtime::Status status = launch(program);
    EXPECT_TRUE(bool(status)) << status.error().message;
    return fake->tensorMaps.back().strides;
  };
  using Strides = std::vector<uint64_t>;
  EXPECT_EQ(stridesOf({1, 3, 257, 64}, {-7, 16448, 64, 1}), (Strides{128, 32896, 98688}));
  EXPECT_EQ(stridesOf({1, 1, 257, 64}, {3, 1, 64, 1}), (Strides{128, 32896, 32896}));
  EXPECT_EQ(stridesOf({1, 1, 1, 64}, {0, 0, 0, 1}), (Strides{128, 128, 128}));
  EXPECT_EQ(stridesOf({2, 1, 1, 20}, {24, 5, 5, 1}), (Strides{48, 48, 48}));
  // A column by itself has no stride to speak of.
  EXPECT_EQ(stridesOf({1, 1, 3, 1}, {1, 1, 8, 77}), (Strides{16, 48, 48}));
  // Broadcast over heads.
  EXPECT_EQ(stridesOf({2, 3, 257, 64}, {16448, 0, 64, 1}), (Strides{128, 0, 32896}));
}

TEST_F(LaunchTest, LeavesOutEmptyGrids) {
  runtime::Program program = load(makeProgram());
  // No queries: `attend` has no blocks, and its tensor map is not encoded.
  queries = {nullptr, SFA_DTYPE_BF16, {2, 3, 0, 64}};
  output = {nullptr, SFA_DTYPE_BF16, {2, 3, 0, 64}};
  lse = {nullptr, SFA_DTYPE_F32, {2, 3, 0}};
  ASSERT_TRUE(bool(launch(program)));
  ASSERT_EQ(fake->launches.size(), 1u);
  EXPECT_EQ(fake->launches[0].kernel, "split");
  EXPECT_TRUE(fake->tensorMaps.empty());
}

TEST_F(LaunchTest, MapsEmptyMemoriesToSomethingLegal) {
  runtime::Program program = load(makeProgram());
  // No keys: `attend` still has rows to fill.
  keys = {nullptr, SFA_DTYPE_BF16, {2, 3, 0, 64}};
  ASSERT_TRUE(bool(launch(program)));
  ASSERT_EQ(fake->launches.size(), 1u);
  EXPECT_EQ(fake->launches[0].kernel, "attend");
  ASSERT_EQ(fake->tensorMaps.size(), 1u);
  const FakeTensorMap &map = fake->tensorMaps[0];
  EXPECT_EQ(map.type, 9);
  EXPECT_EQ(map.address, 0x10000u);
  EXPECT_EQ(map.sizes, (std::vector<uint64_t>{1, 1, 1, 1}));
  EXPECT_EQ(map.strides, (std::vector<uint64_t>{16, 16, 16}));
  EXPECT_EQ(map.box, (Grid{64, 128, 1, 1}));
  // Rows of keys and of the temporary are 0.
  EXPECT_EQ(fake->launches[0].parameters, Parameters()
                                              .memory(0x10000, {1000, 192000, 64000, 64})
                                              .memory(0, {0, 192, 64, 64})
                                              .memory(0x30000, {1000, 192000, 64000, 64})
                                              .memory(0x38000, {1000, 3000, 1000, 1})
                                              .memory(0, {0, 3, 1, 1})
                                              .map(0));
}

TEST_F(LaunchTest, AlignsTemporaries) {
  json document = makeProgram();
  document["temporaries"].push_back({{"type", "u8"}, {"shape", json::array({300})}});
  document["temporaries"].push_back({{"type", "i64"}, {"shape", {2, 3, 5, 7}}});
  document["launches"] = json::array({json(document["launches"][0])});
  document["launches"][0]["memories"] = {5, 6};
  runtime::Program program = load(document);
  auto bytes = program.workspaceBytes({queries.tensor(), keys.tensor()});
  ASSERT_TRUE(bool(bytes));
  EXPECT_EQ(*bytes, 256u + 512u + 1792u);
  ASSERT_TRUE(bool(launch(program)));
  EXPECT_EQ(fake->launches[0].parameters,
            Parameters().memory(0x40100, {300, 0, 0, 1}).memory(0x40300, {5, 105, 35, 7}));
}

TEST_F(LaunchTest, LaunchesClusters) {
  json document = makeProgram();
  document["launches"][1]["cluster"] = 2;
  runtime::Program program = load(document);
  ASSERT_TRUE(bool(launch(program)));
  EXPECT_EQ(fake->launches[0].cluster, 1u);
  EXPECT_EQ(fake->launches[1].cluster, 2u);
}

TEST_F(LaunchTest, PassesBoxesOfHeads) {
  json document = makeProgram();
  document["launches"][1]["tensor_maps"][0]["box_rows"] = 32;
  document["launches"][1]["tensor_maps"][0]["box_heads"] = 8; // of 3: the others are zeros
  // It survives being written.
  auto saved = load(document).save();
  ASSERT_TRUE(bool(saved));
  ASSERT_TRUE(bool(launch(load(json::parse(*saved)))));
  ASSERT_EQ(fake->tensorMaps.size(), 1u);
  EXPECT_EQ(fake->tensorMaps[0].box, (Grid{64, 32, 8, 1}));
  EXPECT_EQ(fake->tensorMaps[0].sizes, (std::vector<uint64_t>{64, 257, 3, 2}));

  // Also where the memory is empty: the kernel waits for as many bytes.
  keys = {nullptr, SFA_DTYPE_BF16, {2, 3, 0, 64}};
  ASSERT_TRUE(bool(launch(load(document))));
  ASSERT_EQ(fake->tensorMaps.size(), 2u);
  EXPECT_EQ(fake->tensorMaps[1].sizes, (std::vector<uint64_t>{1, 1, 1, 1}));
  EXPECT_EQ(fake->tensorMaps[1].box, (Grid{64, 32, 8, 1}));
}

TEST_F(LaunchTest, GivesFewItemsABlockEach) {
  ASSERT_TRUE(bool(launch(load(makePersistentProgram()))));
  ASSERT_EQ(fake->launches.size(), 2u);
  EXPECT_EQ(fake->launches[0].grid, (Grid{3, 3, 2}));
  EXPECT_EQ(fake->launches[1].grid, (Grid{8 * 3 * 2, 1, 1}));
  EXPECT_EQ(fake->launches[1].cluster, 1u);
  EXPECT_EQ(fake->launches[1].parameters, memoriesOfAttend().items({8, 3, 2}).map(0));
}

TEST_F(LaunchTest, SharesManyItemsBetweenMultiprocessors) {
  json document = makePersistentProgram();
  json tiles = {{"dim", {0, 2}}, {"ceildiv", 128}}; // 8
  // Exactly as many as there are multiprocessors, one more; more in y and z than a grid of blocks
  // can have; and as many as there can be.
  const std::pair<json, Grid> grids[] = {{{11, 4, 3}, {11, 4, 3}},
                                         {{19, 1, 7}, {19, 1, 7}},
                                         {{tiles, 70000, 2}, {8, 70000, 2}},
                                         {{1, tiles, 80000}, {1, 8, 80000}},
                                         {{1, 2147483647, 1}, {1, 2147483647, 1}}};
  for (const auto &[grid, items] : grids) {
    fake->launches.clear();
    fake->tensorMaps.clear();
    document["launches"][1]["grid"] = grid;
    // It survives being written.
    auto saved = load(document).save();
    ASSERT_TRUE(bool(saved));
    runtime::Status status = launch(load(json::parse(*saved)));
    ASSERT_TRUE(bool(status)) << status.error().message;
    ASSERT_EQ(fake->launches.size(), 2u);
    EXPECT_EQ(fake->launches[1].grid, (Grid{132, 1, 1})) << grid;
    EXPECT_EQ(fake->launches[1].parameters, memoriesOfAttend().items(items).map(0)) << grid;
  }
}

TEST_F(LaunchTest, PassesNumbersByValue) {
  // It survives being written.
  auto saved = load(makeScaledProgram()).save();
  ASSERT_TRUE(bool(saved));
  runtime::Program program = load(json::parse(*saved));
  // At no aligned address.
  alignas(8) unsigned char bytes[9];
  sfa_tensor number = {bytes + 1, SFA_DTYPE_F64, 0, nullptr, nullptr};
  for (double value : {0.3, 0.08838834764831845, 0x1p-126, 2.3e38}) {
    fake->launches.clear();
    fake->tensorMaps.clear();
    std::memcpy(bytes + 1, &value, sizeof value);
    runtime::Status status =
        program.launch(0, at(0x5000), {queries.tensor(), keys.tensor(), number},
                       {output.tensor(), lse.tensor()}, at(0x40000), 1 << 16);
    ASSERT_TRUE(bool(status)) << status.error().message;
    ASSERT_EQ(fake->launches.size(), 2u);
    // Rounded once.
    auto product = static_cast<float>(value * 1.4426950408889634);
    EXPECT_EQ(fake->launches[1].parameters,
              memoriesOfAttend()
                  .numbers({product, 1.0f / static_cast<float>(value)})
                  .items({8, 3, 2})
                  .map(0))
        << value;
  }
  // Sizes can be asked for without the number.
  number.data = nullptr;
  EXPECT_TRUE(bool(program.workspaceBytes({queries.tensor(), keys.tensor(), number})));
}

TEST_F(LaunchTest, LeavesOutPersistentLaunchesOfNothing) {
  json document = makePersistentProgram();
  json &grid = document["launches"][1]["grid"];
  // A 0 leaves it out, however large the other sizes are.
  const json queryTiles = grid[0], grids[] = {{0, 2147483647, 2147483647},
                                              {2147483647, 2147483647, 0},
                                              {queryTiles, 3, 2}};
  queries = {nullptr, SFA_DTYPE_BF16, {2, 3, 0, 64}};
  output = {nullptr, SFA_DTYPE_BF16, {2, 3, 0, 64}};
  lse = {nullptr, SFA_DTYPE_F32, {2, 3, 0}};
  for (const json &empty : grids) {
    fake->launches.clear();
    grid = empty;
    runtime::Status status = launch(load(document));
    ASSERT_TRUE(bool(status)) << status.error().message;
    ASSERT_EQ(fake->launches.size(), 1u) << empty;
    EXPECT_EQ(fake->launches[0].kernel, "split");
  }
  EXPECT_TRUE(fake->tensorMaps.empty());
}

TEST_F(LaunchTest, LoadsOnceForEachDevice) {
  {
    runtime::Program program = load(makeProgram());
    for (int32_t device : {2, 0, 2, 0, 0})
      ASSERT_TRUE(bool(launch(program, device)));
    EXPECT_EQ(fake->numCalls["cuModuleLoadDataEx"], 2);
    EXPECT_EQ(fake->numModules, 2);
    EXPECT_EQ(fake->devices[0].numRetained, 1);
    EXPECT_EQ(fake->devices[1].numRetained, 0);
    EXPECT_EQ(fake->devices[2].numRetained, 1);
    std::vector<int> devices;
    for (const FakeLaunch &launch : fake->launches)
      devices.push_back(launch.device);
    EXPECT_EQ(devices, (std::vector<int>{2, 2, 0, 0, 2, 2, 0, 0, 0, 0}));
  }
  EXPECT_EQ(fake->numModules, 0);
  EXPECT_EQ(fake->devices[0].numRetained, 0);
  EXPECT_EQ(fake->devices[2].numRetained, 0);
}

TEST_F(LaunchTest, SwitchesContextsOnlyWhereNeeded) {
  runtime::Program program = load(makePersistentProgram());
  ASSERT_TRUE(bool(program.prepare(0)));
  EXPECT_EQ(fake->captureModeAtLoad, runtime::impl::cu::relaxed);
  EXPECT_EQ(fake->numCalls["cuThreadExchangeStreamCaptureMode"], 2);
  EXPECT_EQ(fake->numCalls["cuCtxPushCurrent"], fake->numCalls["cuCtxPopCurrent"]);

  fake->numCalls.clear();
  ASSERT_TRUE(bool(launch(program)));
  EXPECT_EQ(fake->numCalls["cuCtxPushCurrent"], 1);
  EXPECT_EQ(fake->numCalls["cuCtxPopCurrent"], 1);

  // The rest of the calls that a launch makes: nothing that allocates, loads or waits.
  fake->numCalls.clear();
  ASSERT_TRUE(bool(launch(program)));
  EXPECT_EQ(fake->numCalls, (std::map<std::string, int>{{"cuCtxGetCurrent", 1},
                                                        {"cuCtxPushCurrent", 1},
                                                        {"cuCtxPopCurrent", 1},
                                                        {"cuTensorMapEncodeTiled", 1},
                                                        {"cuLaunchKernelEx", 2}}));
}

TEST_F(LaunchTest, RunsOnThreads) {
  for (int round = 0; round < 20; ++round) {
    fake->reset();
    runtime::Program program = load(makeProgram());
    std::vector<std::thread> threads;
    for (int index = 0; index < 8; ++index)
      threads.emplace_back([&, index] {
        for (int count = 0; count < 10; ++count)
          EXPECT_TRUE(bool(launch(program, index % 2)));
      });
    for (std::thread &thread : threads)
      thread.join();
    EXPECT_EQ(fake->numCalls["cuModuleLoadDataEx"], 2);
    EXPECT_EQ(fake->launches.size(), 160u);
  }
}

TEST_F(LaunchTest, SharesKernelsBetweenLaunches) {
  json document = makeProgram();
  document["launches"].push_back(document["launches"][1]);
  document["launches"][2]["shared_bytes"] = 100;
  runtime::Program program = load(document);
  ASSERT_TRUE(bool(launch(program)));
  EXPECT_EQ(fake->sharedBytes["attend"], 200000);
  EXPECT_EQ(fake->launches[2].sharedBytes, 100u);
}

} // namespace
