//===- Choose.cpp - The one place that chooses schedules ------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Schedule/Choose.h"

#include "sfa/Schedule/CostModel.h"
#include "sfa/Schedule/TimeModel.h"
#include "sfa/Support/Knobs.h"
#include "llvm/ADT/StringExtras.h"

#include <fmt/format.h>

using namespace sfa;

llvm::StringRef sfa::stringify(Ground ground) {
  switch (ground) {
  case Ground::Measured:
    return "measured";
  case Ground::Nearby:
    return "nearby";
  case Ground::Estimated:
    return "estimated";
  }
  llvm_unreachable("a ground without a case");
}

ResolvedSchedule sfa::estimate(const Problem &problem, const Device &device,
                               const Schedule &given) {
  return device.isGpu ? chooseForGpu(problem, device, given) : chooseForCpu(problem, given);
}

//===----------------------------------------------------------------------===//
// The database
//===----------------------------------------------------------------------===//

/// Whether `schedule` says what `given` says.
static bool agrees(const ResolvedSchedule &schedule, const Schedule &given) {
  return ResolvedSchedule(given, schedule).toSchedule() == schedule.toSchedule();
}

namespace {
/// What an entry says of a problem.
struct Best {
  const MeasuredSchedule *measured = nullptr;
  ResolvedSchedule schedule;
  /// Of the problem at hand, and of the cost model's choice; 0 where it was not measured.
  double milliseconds = 0, ofModel = 0;
};
} // namespace

/// The fastest of the schedules that `entry` has measured, that have what is given and that the
/// device can run. Where its buckets are others each time is that of the entry, times what the time
/// model says of the step from its sizes to these.
static Best findBest(const TuningEntry &entry, bool isSameKey, const Problem &problem,
                     const Device &device, const Schedule &given) {
  ScheduleSpace space(problem, device);
  const TimeModel &times = TimeModel::ofBuild();
  Problem measuredProblem = entry.problem();
  bool hasSizes = measuredProblem.hasSizesOf(problem);
  Best best;
  entry.forEachMeasured([&](const MeasuredSchedule &measured) {
    ResolvedSchedule schedule(measured.schedule, ResolvedSchedule());
    bool isModels = measured.schedule == entry.model.schedule;
    double time = measured.median();
    // How keys are shared and heads packed depends on the very sizes, which the cost model knows.
    ResolvedSchedule here = schedule;
    if (!hasSizes || isModels) {
      Schedule tiles = measured.schedule;
      tiles.splits = given.splits;
      tiles.packedHeads = given.packedHeads;
      here = estimate(problem, device, tiles);
    }
    if (!agrees(here, given) || !space.whyNot(here).empty())
      return;
    if (!isSameKey)
      time *= times.milliseconds(problem, device, here) /
              times.milliseconds(measuredProblem, device, schedule);
    if (isModels)
      best.ofModel = time;
    // The tuner has put the one first that it prefers.
    if (best.measured && (isSameKey || time >= best.milliseconds))
      return;
    best.measured = &measured;
    best.schedule = here;
    best.milliseconds = time;
  });
  return best;
}

static std::string describeEntry(const TuningEntry &entry, const MeasuredSchedule &best) {
  return fmt::format("{:.4f} ms on {} with {} queries, {} keys, {} heads and batch {} ({})",
                     best.median(), entry.device.name, entry.queries, entry.keys, entry.queryHeads,
                     entry.batch, entry.date);
}

Choice sfa::choose(const Problem &problem, const Device &device, const Schedule &given,
                   const TuningDatabase &database) {
  Choice choice;
  choice.schedule = estimate(problem, device, given);
  std::optional<ProblemKey> key = ProblemKey::of(problem);
  if (!key) {
    choice.reason = "not measured: the sizes are not known, or the mask is bounded on one side; "
                    "the cost model's choice";
    return choice;
  }
  const TuningEntry *entry = database.findNearest(*key, DeviceKey::of(device));
  // With few queries the best schedule depends on the very sizes, by how many splits there are.
  constexpr int64_t fewQueries = 256;
  bool areFew = *problem.numQueries() <= fewQueries;
  if (entry && areFew && !(entry->key == *key))
    entry = nullptr;
  if (!entry) {
    choice.reason = fmt::format("not measured on {} ({}): the cost model's choice for {}",
                                device.name, device.chip, key->describe());
    return choice;
  }
  int64_t distance = *key->distance(entry->key);
  Best best = findBest(*entry, /*isSameKey=*/distance == 0, problem, device, given);
  if (!best.measured) {
    choice.reason = fmt::format("not measured with what is given: the cost model's choice for {}",
                                key->describe());
    return choice;
  }
  // Another schedule is another program, so a little is not enough where nobody has measured it.
  constexpr double enough = 0.97;
  bool isLittle = best.ofModel > 0 && best.milliseconds > enough * best.ofModel;
  if (distance != 0 && isLittle) {
    choice.ground = Ground::Nearby;
    choice.reason =
        fmt::format("the cost model's choice: it is among the best of the nearest measured "
                    "problem, {} factors of two away, {}",
                    distance, describeEntry(*entry, *best.measured));
    return choice;
  }
  choice.ground = distance == 0 ? Ground::Measured : Ground::Nearby;
  choice.schedule = best.schedule;
  choice.reason = describeEntry(*entry, *best.measured);
  if (distance != 0)
    choice.reason = fmt::format(
        "about {:.4f} ms, as the nearest measured problem, {} factors of two away, took {}",
        best.milliseconds, distance, choice.reason);
  if (best.measured->schedule == entry->model.schedule)
    choice.reason += "; the cost model's choice is the best there";
  else if (best.ofModel > 0)
    choice.reason += fmt::format("; {:.3f} of the time of the cost model's choice",
                                 best.milliseconds / best.ofModel);
  return choice;
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

Schedule sfa::withoutDefaults(const ResolvedSchedule &schedule, const Device &device) {
  Schedule result = schedule.toSchedule();
  if (!device.hasWarpgroups) {
    result.lookahead = std::nullopt;
    result.turns = std::nullopt;
    result.queries = std::nullopt;
    result.grid = std::nullopt;
  }
  if (schedule.splits == 1)
    result.splits = std::nullopt;
  if (schedule.packedHeads == 1)
    result.packedHeads = std::nullopt;
  return result;
}

llvm::Expected<Schedule> sfa::givenSchedule(const Schedule &ofOperation) {
  std::optional<std::string> text = knobs::schedule();
  if (!text)
    return ofOperation;
  // As a database has it.
  llvm::json::Object parameters;
  for (llvm::StringRef part : llvm::split(*text, ',')) {
    auto [name, value] = part.split('=');
    int64_t number;
    if (value.trim().getAsInteger(10, number))
      parameters[name.trim()] = value.trim();
    else
      parameters[name.trim()] = number;
  }
  Schedule ofKnob;
  llvm::json::Path::Root root("schedule");
  if (!fromJSON(std::move(parameters), ofKnob, root))
    return llvm::createStringError(fmt::format(
        "the environment variable SFA_SCHEDULE is '{}'; it has to be such as 'softmax = lazy, "
        "k_tile = 96': {}",
        *text, llvm::toString(root.getError())));
  return ofOperation.orElse(ofKnob);
}

llvm::Expected<Choice> sfa::assignSchedule(AttentionOp op, const Problem &problem,
                                           const Device &device) {
  ScheduleAttr attribute = op.getScheduleAttr();
  Schedule ofOperation = attribute ? attribute.getSchedule() : Schedule();
  llvm::Expected<Schedule> given = givenSchedule(ofOperation);
  if (!given)
    return given.takeError();
  llvm::Expected<const TuningDatabase *> database = getTuningDatabase();
  if (!database)
    return database.takeError();
  Choice choice = choose(problem, device, *given, **database);
  Schedule chosen = withoutDefaults(choice.schedule, device);
  op.setScheduleAttr(ScheduleAttr::get(op.getContext(), given->orElse(chosen)));
  return choice;
}
