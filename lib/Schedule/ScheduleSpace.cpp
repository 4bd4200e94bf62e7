//===- ScheduleSpace.cpp - The schedules that a device can run ------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Schedule/ScheduleSpace.h"

#include "sfa/Swizzle.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/TargetParser/Host.h"

#include <fmt/format.h>
#include <functional>
#include <thread>

using namespace mlir;
using namespace sfa;

/// Rows that a consumer multiplies at once, the warps of one, and the threads of a warp.
static constexpr int64_t consumerRows = 64, warpsOfConsumer = 4, threadsOfWarp = 32;

/// Rows and columns that a matrix unit of a GPU takes at least; of the vectors of a CPU.
static constexpr int64_t leastWarpRows = 16, keyGranule = 16, cpuQueryGranule = 8;

Device Device::cpu() {
  static const Device host = [] {
    Device device;
    device.name = llvm::sys::getHostCPUName().str();
    device.multiprocessors = std::thread::hardware_concurrency();
    return device;
  }();
  return host;
}

Device Device::of(const Chip &chip) {
  Device device;
  device.isGpu = true;
  device.chip = chip.name;
  device.name = chip.product.str();
  device.hasWarpgroups = chip.hasWarpgroups;
  device.maxSharedBytes = chip.maxSharedBytes;
  device.sharedBytesOfMultiprocessor = chip.maxSharedBytes + Device::sharedBytesOfSystem;
  device.multiprocessors = chip.multiprocessors;
  device.productsOfClock = chip.productsOfClock;
  device.clockGHz = chip.clockGHz;
  device.bandwidthGBs = chip.bandwidthGBs;
  return device;
}

int64_t sfa::rowsOfWarp(const ResolvedSchedule &schedule) {
  return std::max(schedule.qTile / (warpsOfConsumer * schedule.consumers), leastWarpRows);
}

bool sfa::haveRoomFor(const ResolvedSchedule &schedule, int64_t packedHeads, int64_t numQueries) {
  int64_t rows = ScheduleAttr::rowsOfHead(schedule.qTile, packedHeads);
  if (rows == 0 || rows < numQueries)
    return false;
  int64_t warpRows = rowsOfWarp(schedule);
  return rows % warpRows == 0 || warpRows % rows == 0;
}

//===----------------------------------------------------------------------===//
// Resources
//===----------------------------------------------------------------------===//

/// Shared memory in the order in which a kernel takes it.
namespace {
class SharedMemory {
public:
  void add(int64_t bytes) {
    size = static_cast<int64_t>(llvm::alignTo(size, swizzle::alignment)) + bytes;
  }
  int64_t bytes() const { return size; }

private:
  int64_t size = 0;
};
} // namespace

/// Whether `strategy` reads codes of queries and tiles of keys that a kernel has made before.
static bool readsKeyTiles(Strategy strategy) {
  return strategy == Strategy::Gather || strategy == Strategy::Scatter;
}

static int64_t getSharedBytes(const Problem &problem, const Device &device,
                              const ResolvedSchedule &schedule) {
  // Of queries and keys, and of values.
  int64_t keyBytes = problem.keyScales ? 1 : 2;
  constexpr int64_t valueBytes = 2;
  bool isLazy = schedule.softmax == Softmax::Lazy;
  SharedMemory memory;
  // Where a persistent block is in the order of points, which is not that of the grid when their
  // costs differ.
  constexpr int64_t placeBytes = 8;
  bool costsDiffer = problem.leftBound.has_value() != problem.rightBound.has_value();
  if (device.hasWarpgroups && schedule.grid == Grid::Persistent && costsDiffer)
    memory.add(placeBytes);
  // Rows take whole panels.
  auto inPanels = [](int64_t bytes) {
    return static_cast<int64_t>(llvm::alignTo(bytes, swizzle::rowBytes));
  };
  if (readsKeyTiles(schedule.strategy)) {
    // A word for each non-zero of a query, in whole fours, and four more.
    constexpr int64_t wordBytes = 4, fours = 4;
    auto words = static_cast<int64_t>(llvm::alignTo(*problem.queryCodes, fours)) + fours;
    if (!device.hasWarpgroups || schedule.queries == Queries::Shared)
      memory.add(schedule.qTile * wordBytes * words);
    // Neither form of tiles has panels.
    int64_t tileBytes = schedule.kTile * problem.features * keyBytes;
    if (schedule.strategy == Strategy::Scatter) {
      memory.add(schedule.consumers * warpsOfConsumer * schedule.kTile / 2 *
                 PostingsAttr::scoreRowBytes);
      tileBytes =
          2 * PostingsAttr::getHalfBytes(schedule.kTile, problem.features, *problem.keyCodes);
    }
    memory.add(schedule.stages * tileBytes);
  } else {
    memory.add(schedule.qTile * inPanels(problem.features * keyBytes));
    memory.add(schedule.stages * schedule.kTile * inPanels(problem.features * keyBytes));
  }
  // A panel of ones behind the values gives the row sums of a lazy softmax.
  int64_t onesBytes = device.hasWarpgroups && isLazy ? swizzle::rowBytes : 0;
  memory.add(schedule.stages * schedule.kTile *
             (inPanels(problem.valueFeatures * valueBytes) + onesBytes));
  if (!device.hasWarpgroups)
    return memory.bytes();
  // Rounds of which a lazy softmax has to be computed again, and whether there is one.
  constexpr int64_t markBytes = 1024 + 4;
  if (isLazy)
    memory.add(markBytes);
  // "Full" and "empty" of the queries of each pass, and of each stage of keys and of values. Codes
  // of queries are no copies.
  constexpr int64_t barrierBytes = 8;
  bool areCodes = schedule.strategy == Strategy::SparseMma || readsKeyTiles(schedule.strategy);
  int64_t passes = areCodes ? 0 : isLazy ? 2 : 1;
  memory.add(barrierBytes * (2 * passes + 4 * schedule.stages));
  return memory.bytes();
}

BlockResources sfa::getBlockResources(const Problem &problem, const Device &device,
                                      const ResolvedSchedule &schedule) {
  BlockResources resources;
  int64_t consumerThreads = warpsOfConsumer * threadsOfWarp;
  resources.numThreads = consumerThreads * (schedule.consumers + (device.hasWarpgroups ? 1 : 0));
  resources.sharedBytes = getSharedBytes(problem, device, schedule);

  // A thread has this part of a row of its warp; scores are f32, probabilities half of that.
  int64_t rows = rowsOfWarp(schedule);
  auto registersFor = [&](int64_t columns) { return rows * columns / threadsOfWarp; };
  resources.tileRegisters = registersFor(problem.valueFeatures) + registersFor(schedule.kTile) +
                            registersFor(schedule.kTile) / 2;
  if (schedule.strategy == Strategy::Gather) {
    // What is loaded goes through some more. The four lanes of a row all have its codes.
    constexpr int64_t loaded = 16, lanesOfRow = 4;
    resources.tileRegisters += loaded;
    if (device.hasWarpgroups && schedule.queries == Queries::Registers)
      resources.tileRegisters += registersFor(lanesOfRow * *problem.queryCodes);
  } else if (schedule.strategy == Strategy::Scatter) {
    // Addresses and the entries at hand.
    constexpr int64_t walking = 16;
    resources.tileRegisters += walking;
  } else if (device.hasWarpgroups && schedule.queries == Queries::Registers)
    // Of 2:4 queries half of the elements, and two bits for each.
    resources.tileRegisters += schedule.strategy == Strategy::SparseMma
                                   ? registersFor(problem.features) / 4 * 9 / 8
                                   : registersFor(problem.features) / (problem.keyScales ? 4 : 2);

  // 64 K registers for all threads, 255 for one at most. The copying warpgroup gives most of its
  // own away.
  constexpr int64_t allRegisters = 65536, mostRegisters = 255;
  if (device.hasWarpgroups && schedule.consumers == 2)
    resources.registersOfThread = 240;
  else if (device.hasWarpgroups && schedule.consumers == 3)
    resources.registersOfThread = 160;
  else
    resources.registersOfThread = std::min(mostRegisters, allRegisters / resources.numThreads);
  return resources;
}

//===----------------------------------------------------------------------===//
// The space
//===----------------------------------------------------------------------===//

/// Whether a GPU has `strategy` for operands in the forms that it needs: sequences would begin in
/// the middle of tiles of keys, and more codes to gather by have no room in registers.
static bool isOnGpu(Strategy strategy, const Problem &problem) {
  if (strategy == Strategy::Dense)
    return true;
  if (problem.keyScales || (readsKeyTiles(strategy) && problem.hasSequences))
    return false;
  return strategy != Strategy::Gather ||
         problem.queryCodes.value_or(0) <= FeatureMajorAttr::mostCodes;
}

SmallVector<Strategy> ScheduleSpace::strategies() const {
  SmallVector<Strategy> allowed;
  for (Strategy strategy :
       {Strategy::Dense, Strategy::Gather, Strategy::Scatter, Strategy::SparseMma})
    if ((!device.isGpu || isOnGpu(strategy, problem)) &&
        sfa::whyNot(strategy, problem.queryCodes.has_value(), problem.keyCodes.has_value(),
                    problem.features)
            .empty())
      allowed.push_back(strategy);
  return allowed;
}

SmallVector<int64_t> ScheduleSpace::packedHeads() const {
  SmallVector<int64_t> divisors;
  int64_t group = problem.headsOfGroup();
  for (int64_t heads = std::min(group, Schedule::maxPackedHeads); heads > 0; --heads)
    if (group % heads == 0)
      divisors.push_back(heads);
  return divisors;
}

/// Names the first number that is not in the range of its parameter; empty where there is none.
static std::string findOutOfRange(const ResolvedSchedule &schedule) {
  std::string found;
  forEachScheduleParameter([&](auto parameter) {
    if constexpr (std::is_same_v<decltype(parameter), ScheduleNumber>) {
      int64_t number = schedule.*parameter.value;
      if (found.empty() && (number < parameter.least || number > parameter.most))
        found = fmt::format("{} = {}; {} to {} are allowed", parameter.keyword.str(), number,
                            parameter.least, parameter.most);
    }
  });
  return found;
}

std::string ScheduleSpace::whyNot(const ResolvedSchedule &schedule) const {
  if (std::string number = findOutOfRange(schedule); !number.empty())
    return number;
  if (!llvm::is_contained(strategies(), schedule.strategy))
    return "the operands or the device do not have this strategy";
  if (!llvm::is_contained(packedHeads(), schedule.packedHeads))
    return fmt::format("packed_heads = {} does not divide the {} heads of a group",
                       schedule.packedHeads, problem.headsOfGroup());
  if (schedule.kTile % keyGranule != 0)
    return fmt::format("k_tile = {} is not a multiple of {}", schedule.kTile, keyGranule);
  if (!device.isGpu) {
    if (schedule.qTile % cpuQueryGranule != 0)
      return fmt::format("q_tile = {} is not a multiple of {}", schedule.qTile, cpuQueryGranule);
    return "";
  }
  int64_t rowsOfConsumers = consumerRows * schedule.consumers;
  if (schedule.qTile % rowsOfConsumers != 0 ||
      (device.hasWarpgroups && schedule.qTile != rowsOfConsumers))
    return fmt::format("q_tile = {} does not fit {} consumers", schedule.qTile, schedule.consumers);
  if (device.hasWarpgroups && schedule.consumers > 3)
    return fmt::format("consumers = {}; 1 to 3 are allowed", schedule.consumers);
  if (device.hasWarpgroups && schedule.kTile > 256)
    return fmt::format("k_tile = {}; at most 256 is allowed", schedule.kTile);
  if (device.hasWarpgroups && schedule.lookahead == 0 && schedule.turns == Turns::PingPong)
    return "turns = ping_pong needs lookahead = 1";
  if (schedule.strategy == Strategy::Gather) {
    if (schedule.kTile % FeatureMajorAttr::granule != 0)
      return fmt::format("k_tile = {}; the strategy gather needs a multiple of {}", schedule.kTile,
                         FeatureMajorAttr::granule);
    if (schedule.kTile * problem.features > FeatureMajorAttr::mostElements)
      return fmt::format("k_tile = {}; with {} features the strategy gather allows at most {}",
                         schedule.kTile, problem.features,
                         FeatureMajorAttr::mostElements / problem.features);
  }
  if (schedule.strategy == Strategy::Scatter) {
    if (!PostingsAttr::allow(schedule.kTile, problem.features, *problem.keyCodes))
      return fmt::format("k_tile = {} with {} features and k = {}; {}", schedule.kTile,
                         problem.features, *problem.keyCodes, PostingsAttr::description.str());
    if (device.hasWarpgroups && schedule.queries == Queries::Registers)
      return "queries = registers; the codes of the strategy scatter are in shared memory";
  }
  if (!haveRoomFor(schedule, schedule.packedHeads, 1))
    return fmt::format("warps have no whole heads of the {} in {} rows", schedule.packedHeads,
                       schedule.qTile);
  BlockResources resources = getBlockResources(problem, device, schedule);
  if (resources.sharedBytes > device.maxSharedBytes)
    return fmt::format("it needs {} bytes of shared memory, and there are {}",
                       resources.sharedBytes, device.maxSharedBytes);
  int64_t registers = resources.tileRegisters + BlockResources::reservedRegisters;
  if (registers > resources.registersOfThread)
    return fmt::format("it needs {} registers of a thread, which has {}", registers,
                       resources.registersOfThread);
  return "";
}

//===----------------------------------------------------------------------===//
// Enumeration
//===----------------------------------------------------------------------===//

/// The values of each parameter that a search looks at.
namespace {
struct ScheduleValues {
#define SFA_SCHEDULE_CHOICE(Enum, member, ...) SmallVector<Enum> member;
#define SFA_SCHEDULE_NUMBER(member, ...) SmallVector<int64_t> member;
#include "dialects/SFA/Schedule.def"
};
} // namespace

static SmallVector<int64_t> multiplesOf(int64_t step, int64_t most) {
  SmallVector<int64_t> values;
  for (int64_t value = step; value <= most; value += step)
    values.push_back(value);
  return values;
}

static SmallVector<int64_t> powersOfTwo(int64_t least, int64_t most) {
  SmallVector<int64_t> values;
  for (int64_t value = least; value <= most; value *= 2)
    values.push_back(value);
  return values;
}

void ScheduleSpace::forEach(function_ref<void(const ResolvedSchedule &)> visit) const {
  // What a device ignores keeps the value of a schedule that nobody has given.
  ResolvedSchedule schedule;
  ScheduleValues values;
  values.strategy = strategies();
  values.softmax = {Softmax::Online, Softmax::Lazy};
  values.qTile = device.isGpu ? multiplesOf(consumerRows, 256) : powersOfTwo(cpuQueryGranule, 512);
  values.kTile = device.isGpu ? multiplesOf(keyGranule, 256) : powersOfTwo(keyGranule, 512);
  values.stages = device.isGpu ? multiplesOf(1, 4) : SmallVector<int64_t>{schedule.stages};
  values.consumers = device.isGpu ? multiplesOf(1, device.hasWarpgroups ? 3 : 4)
                                  : SmallVector<int64_t>{schedule.consumers};
  values.lookahead = {schedule.lookahead};
  values.turns = {schedule.turns};
  values.queries = {schedule.queries};
  values.grid = {schedule.grid};
  values.splits = powersOfTwo(1, Schedule::maxSplits);
  values.packedHeads = packedHeads();
  if (device.hasWarpgroups) {
    values.lookahead = {0, 1};
    values.turns = {Turns::Free, Turns::PingPong};
    values.queries = {Queries::Shared, Queries::Registers};
    values.grid = {Grid::Tiles, Grid::Persistent};
  }

  // One loop in the other, the first parameter innermost.
  std::function<void()> next = [&] {
    if (whyNot(schedule).empty())
      visit(schedule);
  };
  auto loopOver = [&next](auto given, const auto &all, auto &place) {
    auto list = given ? std::decay_t<decltype(all)>{*given} : all;
    next = [list, &place, inner = std::move(next)] {
      for (auto value : list) {
        place = value;
        inner();
      }
    };
  };
#define SFA_SCHEDULE_CHOICE(Enum, member, ...)                                                     \
  loopOver(given.member, values.member, schedule.member);
#define SFA_SCHEDULE_NUMBER(member, ...) loopOver(given.member, values.member, schedule.member);
#include "dialects/SFA/Schedule.def"
  next();
}
