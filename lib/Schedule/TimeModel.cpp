//===- TimeModel.cpp - How long a schedule is expected to take ------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Schedule/TimeModel.h"

#include "sfa/Schedule/CostModel.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

using namespace sfa;
namespace json = llvm::json;

//===----------------------------------------------------------------------===//
// Bounds
//===----------------------------------------------------------------------===//

/// Keys that the queries of one tile of `rows` see, on the average and at most.
static std::pair<double, double> visibleKeys(const Problem &problem, double rows) {
  auto queries = static_cast<double>(*problem.numQueries()),
       keys = static_cast<double>(*problem.numKeys());
  rows = std::min(rows, queries);
  if (problem.leftBound && problem.rightBound) {
    double most =
        std::min(keys, static_cast<double>(*problem.leftBound + *problem.rightBound) + rows);
    return {most, most};
  }
  if (problem.rightBound && !problem.leftBound) {
    double most = std::min(keys, keys + static_cast<double>(*problem.rightBound));
    return {std::clamp(most - (queries - rows) / 2, std::min(rows, keys), keys), most};
  }
  return {keys, keys};
}

static double boundOnCpu(const Problem &problem, const Device &device,
                         const ResolvedSchedule &schedule) {
  auto rows = static_cast<double>(*problem.batch * *problem.numSequences * problem.queryHeads *
                                  *problem.numQueries());
  double pairs = rows * visibleKeys(problem, static_cast<double>(schedule.qTile)).first;
  // Vectors of 16 numbers, two products a clock, beside exponentials of some 20 instructions.
  constexpr double pairsOfVector = 16, products = 2, exponential = 20, clocksOfMillisecond = 3e6;
  double clocks = pairs / pairsOfVector *
                  (estimateScoreCost(problem, schedule.strategy) +
                   static_cast<double>(problem.valueFeatures) + exponential) /
                  products;
  return clocks / clocksOfMillisecond /
         static_cast<double>(std::max<int64_t>(device.multiprocessors, 1));
}

/// What a multiprocessor takes for a tile of keys: matrix products, and exponentials beside them.
static double clocksOfStep(const Problem &problem, const Device &device,
                           const ResolvedSchedule &schedule) {
  auto pairs = static_cast<double>(schedule.qTile * schedule.kTile),
       scores = static_cast<double>(problem.features);
  double fma = device.productsOfClock;
  if (problem.keyScales || schedule.strategy == Strategy::SparseMma)
    scores /= 2;
  if (schedule.strategy == Strategy::Gather || schedule.strategy == Strategy::Scatter) {
    // On other units, 128 lanes: four instructions for two scores and a non-zero.
    constexpr double lanes = 128, instructions = 2;
    scores = estimateScoreCost(problem, Strategy::Gather) * fma / lanes * instructions;
  }
  constexpr double elementsOfClock = 14; // exponentials and what goes with them
  double products = pairs * (scores + static_cast<double>(problem.valueFeatures)) / fma,
         softmax = pairs / elementsOfClock * 1.1;
  // Of several consumers one multiplies while another one has its softmax; one by itself overlaps
  // less.
  double rest = 0.2;
  if (device.hasWarpgroups && schedule.consumers == 1)
    rest = schedule.lookahead == 1 ? 0.5 : 1.0;
  else if (device.hasWarpgroups && schedule.lookahead == 0)
    rest = 0.3;
  constexpr double start = 60;
  return std::max(products, softmax) + rest * std::min(products, softmax) + start;
}

/// How many blocks a multiprocessor runs at once. Warpgroups that copy need no second block.
static double blocksAtOnce(const Problem &problem, const Device &device,
                           const ResolvedSchedule &schedule) {
  if (device.hasWarpgroups)
    return 1;
  constexpr int64_t mostThreads = 1024, most = 4;
  BlockResources resources = getBlockResources(problem, device, schedule);
  int64_t byMemory =
      device.sharedBytesOfMultiprocessor / (resources.sharedBytes + Device::sharedBytesOfSystem);
  return static_cast<double>(
      std::clamp<int64_t>(std::min(byMemory, mostThreads / resources.numThreads), 1, most));
}

/// What reading operands and writing results takes while `points` blocks do it.
static double millisecondsOfMemory(const Problem &problem, const Device &device,
                                   const ResolvedSchedule &schedule, double points) {
  auto batch = static_cast<double>(*problem.batch * *problem.numSequences),
       heads = static_cast<double>(problem.queryHeads),
       keyHeads = static_cast<double>(problem.keyHeads),
       queries = static_cast<double>(*problem.numQueries()),
       keys = static_cast<double>(*problem.numKeys()),
       features = static_cast<double>(problem.features),
       valueFeatures = static_cast<double>(problem.valueFeatures),
       splits = static_cast<double>(schedule.splits);
  // Keys and values once for each head that does not share them; what several blocks read one after
  // the other is in the second-level cache.
  double shares = heads / keyHeads / static_cast<double>(schedule.packedHeads);
  double read =
      batch * keyHeads * keys * (features * (problem.keyScales ? 1 : 2) + valueFeatures * 2);
  double bytes =
      read * (1 + 0.1 * (shares - 1)) + batch * heads * queries * (features + valueFeatures) * 2;
  // What splits give is written and read in f32.
  if (schedule.splits > 1)
    bytes += batch * heads * queries * splits * valueFeatures * 8;
  double busy = std::min(1.0, points / static_cast<double>(device.multiprocessors));
  return bytes / (device.bandwidthGBs * 0.9 * busy) / 1e6;
}

static double boundOnGpu(const Problem &problem, const Device &device,
                         const ResolvedSchedule &schedule) {
  auto kTile = static_cast<double>(schedule.kTile), splits = static_cast<double>(schedule.splits),
       packedHeads = static_cast<double>(schedule.packedHeads);
  double rowsOfHead = std::floor(static_cast<double>(schedule.qTile) / packedHeads);
  double tiles = std::ceil(static_cast<double>(*problem.numQueries()) / rowsOfHead);
  double points = static_cast<double>(*problem.batch * *problem.numSequences * problem.queryHeads) /
                  packedHeads * tiles * splits;
  auto [mean, most] = visibleKeys(problem, rowsOfHead);
  double blocks = blocksAtOnce(problem, device, schedule);
  double slots = static_cast<double>(device.multiprocessors) * blocks;
  // Equal points take whole rounds. Of points that differ the longest come first, so that slots end
  // at about the same time, but none before the longest point.
  double longest = std::ceil(most / splits / kTile), rounds = std::ceil(points / slots),
         steps = longest * rounds;
  if (most > mean) {
    constexpr double atTheDiagonal = 0.5, atTheEnd = 0.35;
    double ofPoint = mean / splits / kTile + atTheDiagonal;
    rounds = std::max(points / slots, 1.0);
    steps = std::max((points / slots + atTheEnd) * ofPoint, longest);
  }
  constexpr double startOfPoint = 2500;
  double clocks =
      (steps * clocksOfStep(problem, device, schedule) + rounds * startOfPoint) * blocks;
  double compute = clocks / device.clockGHz / 1e6;

  // Splits are combined, and codes expanded, by kernels of their own.
  double launches = 1;
  if (schedule.splits > 1)
    launches += 1;
  if (problem.queryCodes && schedule.strategy == Strategy::Dense)
    launches += 1;
  constexpr double launch = 0.003;
  return std::max(compute, millisecondsOfMemory(problem, device, schedule, points)) +
         launches * launch;
}

double sfa::boundMilliseconds(const Problem &problem, const Device &device,
                              const ResolvedSchedule &schedule) {
  return device.isGpu ? boundOnGpu(problem, device, schedule)
                      : boundOnCpu(problem, device, schedule);
}

//===----------------------------------------------------------------------===//
// Traits
//===----------------------------------------------------------------------===//

static std::string widthOf(const Problem &problem) {
  return problem.width() <= 64    ? " width<=64"
         : problem.width() <= 128 ? " width<=128"
                                  : " width<=256";
}

/// Rows that share keys.
static int64_t rowsOfGroup(const Problem &problem) {
  return *problem.numQueries() * problem.headsOfGroup();
}

std::vector<std::string> sfa::getTraits(const Problem &problem) {
  std::string form = problem.keyScales ? " int8" : problem.queryCodes ? " codes" : " dense";
  std::vector<std::string> traits{"all", "kind" + widthOf(problem) + form};
  if (rowsOfGroup(problem) <= 64)
    traits.push_back("few queries");
  else if (rowsOfGroup(problem) <= 4096)
    traits.push_back("some queries");
  if (problem.leftBound && problem.rightBound)
    traits.push_back("window");
  if (problem.hasLse)
    traits.push_back("lse");
  return traits;
}

std::vector<std::string> sfa::getTraits(const Problem &problem, const Device &device,
                                        const ResolvedSchedule &schedule) {
  std::string width = widthOf(problem);
  bool areFew = rowsOfGroup(problem) <= 4096;
  std::vector<std::string> traits;
  auto add = [&](const std::string &trait, bool byWidth = true) {
    traits.push_back(byWidth ? trait + width + (areFew ? " few" : "") : trait);
  };
  if (schedule.strategy != Strategy::Dense)
    add(fmt::format("strategy={}", stringifyEnum(schedule.strategy).str()));
  if (schedule.softmax == Softmax::Lazy)
    add("softmax=lazy");
  if (schedule.splits > 1)
    add("splits", false);
  add(fmt::format("q_tile={}", schedule.qTile));
  int64_t granule = device.isGpu ? 32 : 64;
  add(fmt::format("k_tile<={}", llvm::alignTo(std::min<int64_t>(schedule.kTile, 256), granule)));
  if (!device.isGpu)
    return traits;
  add(fmt::format("stages={}", schedule.stages));
  add(fmt::format("consumers={}", schedule.consumers));
  if (!device.hasWarpgroups)
    return traits;
  if (schedule.lookahead == 0)
    add("lookahead=0");
  if (schedule.turns == Turns::PingPong)
    add("turns=ping_pong");
  if (schedule.queries == Queries::Registers)
    add("queries=registers");
  if (schedule.grid == Grid::Persistent)
    add("grid=persistent");
  return traits;
}

//===----------------------------------------------------------------------===//
// Factors
//===----------------------------------------------------------------------===//

llvm::Expected<TimeModel> TimeModel::parse(llvm::StringRef text) {
  llvm::Expected<json::Value> document = json::parse(text);
  if (!document)
    return document.takeError();
  TimeModel model;
  auto refuse = [] {
    return llvm::createStringError("a time model has for each chip an object of numbers");
  };
  const json::Object *chips = document->getAsObject();
  if (!chips)
    return refuse();
  for (const auto &[chip, traits] : *chips) {
    const json::Object *factors = traits.getAsObject();
    if (!factors)
      return refuse();
    for (const auto &[trait, weight] : *factors) {
      std::optional<double> number = weight.getAsNumber();
      if (!number || !std::isfinite(*number))
        return refuse();
      model.set(chip, trait, *number);
    }
  }
  return model;
}

/// The text of lib/Schedule/Tuned/model.json.
namespace sfa::impl {
extern const char shippedModel[];
}

const TimeModel &TimeModel::ofBuild() {
  static const TimeModel *model = new TimeModel(llvm::cantFail(parse(impl::shippedModel)));
  return *model;
}

std::string TimeModel::toText() const {
  json::Object chips;
  for (const auto &chip : weights) {
    json::Object factors;
    for (const auto &trait : chip.second)
      factors[trait.first()] = std::round(trait.second * 1e4) / 1e4;
    chips[chip.first()] = std::move(factors);
  }
  return llvm::formatv("{0:2}\n", json::Value(std::move(chips))).str();
}

double TimeModel::milliseconds(const Problem &problem, const Device &device,
                               const ResolvedSchedule &schedule) const {
  llvm::StringRef kind = !device.isGpu ? "cpu" : device.hasWarpgroups ? "sm_90a" : "sm_80";
  auto found = weights.find(weights.count(device.chip) ? llvm::StringRef(device.chip) : kind);
  double sum = 0;
  if (found != weights.end()) {
    for (const std::string &trait : getTraits(problem))
      sum += found->second.lookup(trait);
    for (const std::string &trait : getTraits(problem, device, schedule))
      sum += found->second.lookup(trait);
  }
  return boundMilliseconds(problem, device, schedule) * std::exp(sum);
}
