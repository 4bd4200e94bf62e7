//===- Choose.cpp - The one place that chooses schedules ------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Schedule/Choose.h"

#include "sfa/Schedule/CostModel.h"
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

/// What the entry says is best of the schedules that have what is given and that the device can
/// run; null where it has measured none of these.
static const MeasuredSchedule *findBest(const TuningEntry &entry, const Problem &problem,
                                        const Device &device, const Schedule &given) {
  ScheduleSpace space(problem, device);
  auto fits = [&](const MeasuredSchedule &measured) {
    ResolvedSchedule schedule(measured.schedule, ResolvedSchedule());
    return agrees(schedule, given) && space.whyNot(schedule).empty();
  };
  if (fits(entry.winner))
    return &entry.winner;
  for (const MeasuredSchedule &other : entry.others)
    if (fits(other))
      return &other;
  return nullptr;
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
  if (!entry) {
    choice.reason = fmt::format("not measured on {} ({}): the cost model's choice for {}",
                                device.name, device.chip, key->describe());
    return choice;
  }
  const MeasuredSchedule *best = findBest(*entry, problem, device, given);
  if (!best) {
    choice.reason = fmt::format("not measured with what is given: the cost model's choice for {}",
                                key->describe());
    return choice;
  }
  int64_t distance = *key->distance(entry->key);
  choice.ground = distance == 0 ? Ground::Measured : Ground::Nearby;
  choice.reason = describeEntry(*entry, *best);
  if (distance != 0)
    choice.reason = fmt::format("the nearest measured problem is {} factors of two away, {}",
                                distance, choice.reason);
  bool isModels = best->schedule == entry->model.schedule;
  choice.reason += isModels ? "; the cost model's choice is the best there"
                            : fmt::format("; {:.3f} of the time of the cost model's choice there",
                                          best->median() / entry->model.median());
  ResolvedSchedule tuned(best->schedule, ResolvedSchedule());
  // How keys are shared and heads packed depends on the very sizes, which the cost model knows.
  if (distance != 0 || isModels) {
    tuned.splits = choice.schedule.splits;
    tuned.packedHeads = choice.schedule.packedHeads;
    if (!ScheduleSpace(problem, device).whyNot(tuned).empty()) {
      choice.ground = Ground::Estimated;
      choice.reason = fmt::format("not measured: the cost model's choice for {}", key->describe());
      return choice;
    }
  }
  choice.schedule = tuned;
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
