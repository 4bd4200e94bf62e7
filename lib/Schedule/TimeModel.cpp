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

double sfa::boundMilliseconds(const Problem &problem, const Device &device,
                              const ResolvedSchedule &schedule) {
  auto batch = static_cast<double>(*problem.batch * *problem.numSequences),
       heads = static_cast<double>(problem.queryHeads),
       queries = static_cast<double>(*problem.numQueries()),
       features = static_cast<double>(problem.features),
       valueFeatures = static_cast<double>(problem.valueFeatures);
  auto qTile = static_cast<double>(schedule.qTile), kTile = static_cast<double>(schedule.kTile),
       splits = static_cast<double>(schedule.splits),
       packedHeads = static_cast<double>(schedule.packedHeads);
  if (!device.isGpu) {
    double pairs = batch * heads * queries * visibleKeys(problem, qTile).first;
    // Vectors of 16 numbers, two products a clock, beside exponentials of some 20 instructions.
    constexpr double pairsOfVector = 16, products = 2, exponential = 20, clock = 3e6;
    double clocks = pairs / pairsOfVector *
                    (estimateScoreCost(problem, schedule.strategy) + valueFeatures + exponential) /
                    products;
    return clocks / clock / static_cast<double>(std::max<int64_t>(device.multiprocessors, 1));
  }

  // Tiles, and what runs at once.
  double rowsOfHead = std::floor(qTile / packedHeads);
  double points = batch * heads / packedHeads * std::ceil(queries / rowsOfHead) * splits;
  auto [mean, most] = visibleKeys(problem, rowsOfHead);
  BlockResources resources = getBlockResources(problem, device, schedule);
  double blocks = 1;
  if (!device.hasWarpgroups) {
    auto byMemory =
        device.sharedBytesOfMultiprocessor / (resources.sharedBytes + Device::sharedBytesOfSystem);
    constexpr int64_t mostThreads = 1024;
    blocks = static_cast<double>(
        std::clamp<int64_t>(std::min(byMemory, mostThreads / resources.numThreads), 1, 4));
  }
  auto slots = static_cast<double>(device.multiprocessors) * blocks;
  // Equal points take whole rounds. Of points that differ the longest come first, so that slots end
  // at about the same time, but none before the longest point.
  double longest = std::ceil(most / splits / kTile), steps = longest,
         rounds = std::ceil(points / slots);
  if (most > mean) {
    constexpr double atTheDiagonal = 0.5, atTheEnd = 0.35;
    double ofPoint = mean / splits / kTile + atTheDiagonal;
    rounds = std::max(points / slots, 1.0);
    steps = std::max((points / slots + atTheEnd) * ofPoint, longest);
  } else {
    steps *= rounds;
  }

  // Clocks of a step of a multiprocessor: matrix products, and exponentials beside them.
  double fma = device.productsOfClock;
  double scores = features;
  if (problem.keyScales || schedule.strategy == Strategy::SparseMma)
    scores /= 2;
  if (schedule.strategy == Strategy::Gather || schedule.strategy == Strategy::Scatter) {
    // On other units: 128 multiply-adds a clock, some four instructions each.
    constexpr double others = 128, instructions = 2;
    scores = estimateScoreCost(problem, Strategy::Gather) * fma / others * instructions;
  }
  constexpr double elementsOfClock = 14; // exponentials and what goes with them
  double products = qTile * kTile * (scores + valueFeatures) / fma,
         softmax = qTile * kTile / elementsOfClock * 1.1;
  // Of several consumers one multiplies while another one has its softmax; one by itself overlaps
  // less.
  double rest = 0.2;
  if (device.hasWarpgroups && schedule.consumers == 1)
    rest = schedule.lookahead == 1 ? 0.5 : 1.0;
  else if (device.hasWarpgroups && schedule.lookahead == 0)
    rest = 0.3;
  double step = std::max(products, softmax) + rest * std::min(products, softmax);
  constexpr double startOfStep = 60, startOfPoint = 2500;
  double clocks = (steps * (step + startOfStep) + rounds * startOfPoint) * blocks;
  double compute = clocks / device.clockGHz / 1e6;

  // Bytes of memory: keys and values once for each head that does not share them, results twice
  // where there are splits.
  auto keys = static_cast<double>(*problem.numKeys()),
       keyHeads = static_cast<double>(problem.keyHeads);
  double shares = heads / keyHeads / packedHeads;
  double read =
      batch * keyHeads * keys * (features * (problem.keyScales ? 1 : 2) + valueFeatures * 2);
  // What several blocks read one after the other is in the second-level cache.
  double bytes =
      read * (1 + 0.1 * (shares - 1)) + batch * heads * queries * (features + valueFeatures) * 2;
  if (splits > 1)
    bytes += batch * heads * queries * splits * valueFeatures * 8;
  double busy = std::min(1.0, points / static_cast<double>(device.multiprocessors));
  double memory = bytes / (device.bandwidthGBs * 0.9 * busy) / 1e6;
  double launches = splits > 1 ? 2 : 1;
  if (problem.queryCodes && schedule.strategy == Strategy::Dense)
    launches += 1;
  constexpr double launch = 0.003;
  return std::max(compute, memory) + launches * launch;
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
