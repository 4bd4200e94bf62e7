//===- Tuner.cpp - Search for the fastest schedule of a case --------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Tuning/Tuner.h"

#include "sfa/Schedule/Choose.h"
#include "sfa/Schedule/TimeModel.h"
#include "sfa/Support/Median.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/LineIterator.h"
#include "llvm/Support/MemoryBuffer.h"

#include <cmath>
#include <fmt/format.h>
#include <set>

using namespace sfa;
using namespace sfa::tuning;
namespace json = llvm::json;

//===----------------------------------------------------------------------===//
// Journal
//===----------------------------------------------------------------------===//

static std::string nameOf(const Case &problem, const Schedule &schedule) {
  return llvm::formatv("{0} {1}", toJSON(problem), toJSON(schedule)).str();
}

llvm::Expected<Journal> Journal::open(llvm::StringRef path, const DeviceKey &device,
                                      llvm::StringRef compiler) {
  auto refuse = [&](const std::string &what) {
    return llvm::createStringError(
        fmt::format("{} {}; remove it to start again", path.str(), what));
  };
  Journal journal;
  json::Value head = json::Object{
      {"format", "sfa-tuning-journal"}, {"device", toJSON(device)}, {"compiler", compiler}};
  uint64_t whole = 0;
  if (auto buffer = llvm::MemoryBuffer::getFile(path); buffer && (*buffer)->getBufferSize() > 0) {
    llvm::StringRef text = (*buffer)->getBuffer();
    // What stands behind the last end of a line was not written to its end.
    whole = text.rfind('\n') + 1;
    if (whole == 0 && !llvm::StringRef(llvm::formatv("{0}\n", head).str()).starts_with(text))
      return refuse("is no journal of a sweep");
    text = text.take_front(whole);
    bool isFirst = true;
    for (llvm::StringRef line : llvm::split(text, '\n')) {
      if (line.empty())
        continue;
      llvm::Expected<json::Value> value = json::parse(line);
      if (!value) {
        llvm::consumeError(value.takeError());
        return refuse("is no journal of a sweep");
      }
      if (std::exchange(isFirst, false)) {
        if (*value != head)
          return refuse("is of another device or another build of the compiler");
        continue;
      }
      const json::Object *object = value->getAsObject();
      std::optional<llvm::StringRef> name = object ? object->getString("of") : std::nullopt;
      if (!name)
        return refuse("is no journal of a sweep");
      Record &record = journal.records[*name];
      if (std::optional<double> time = object->getNumber("ms"))
        record.samples.push_back(*time);
      else
        record.error = object->getString("error").value_or("unknown error").str();
    }
  }
  auto fail = [&](std::error_code code) {
    return llvm::createStringError(fmt::format("cannot write {}: {}", path.str(), code.message()));
  };
  int descriptor = -1;
  if (std::error_code code = llvm::sys::fs::openFileForReadWrite(
          path, descriptor, llvm::sys::fs::CD_OpenAlways, llvm::sys::fs::OF_None))
    return fail(code);
  journal.file = std::make_unique<llvm::raw_fd_ostream>(descriptor, /*shouldClose=*/true);
  if (std::error_code code = llvm::sys::fs::resize_file(descriptor, whole))
    return fail(code);
  journal.file->seek(whole);
  if (whole == 0)
    journal.write(std::move(*head.getAsObject()));
  return std::move(journal);
}

void Journal::write(json::Object line) {
  if (!file)
    return;
  *file << json::Value(std::move(line)) << '\n';
  file->flush();
}

Journal::Record Journal::find(const Case &problem, const Schedule &schedule) const {
  return records.lookup(nameOf(problem, schedule));
}

void Journal::add(const Case &problem, const Schedule &schedule, double milliseconds) {
  std::string name = nameOf(problem, schedule);
  records[name].samples.push_back(milliseconds);
  write(json::Object{{"of", name}, {"ms", milliseconds}});
}

void Journal::addError(const Case &problem, const Schedule &schedule, llvm::StringRef error) {
  std::string name = nameOf(problem, schedule);
  records[name].error = error.str();
  write(json::Object{{"of", name}, {"error", error}});
}

//===----------------------------------------------------------------------===//
// Ranking
//===----------------------------------------------------------------------===//

using Ranked = std::vector<std::pair<ResolvedSchedule, double>>;

/// What two schedules have in common that are likely to be about as fast.
static auto familyOf(const ResolvedSchedule &schedule) {
  return std::tuple(schedule.strategy, schedule.softmax, schedule.consumers, schedule.kTile,
                    schedule.splits, schedule.packedHeads);
}

Ranked tuning::rankSchedules(const Problem &problem, const Device &device, size_t count) {
  Ranked all;
  const TimeModel &model = TimeModel::ofBuild();
  ScheduleSpace(problem, device).forEach([&](const ResolvedSchedule &schedule) {
    all.emplace_back(schedule, model.milliseconds(problem, device, schedule));
  });
  llvm::sort(all, [](const auto &a, const auto &b) { return a.second < b.second; });
  // One of each family: the model is not sure which family is best, and neighbors come later.
  std::set<decltype(familyOf(all.front().first))> taken;
  Ranked chosen;
  for (const auto &each : all) {
    if (chosen.size() == count)
      break;
    if (taken.insert(familyOf(each.first)).second)
      chosen.push_back(each);
  }
  return chosen;
}

//===----------------------------------------------------------------------===//
// Search
//===----------------------------------------------------------------------===//

Tuner::Tuner(Workbench &bench, Journal &journal, const TunerOptions &options, const Case &problem)
    : bench(bench), journal(journal), options(options), problem(problem), sizes(problem.problem()) {
  model = written(estimate(sizes, bench.device()));
}

Tuner::~Tuner() = default;

Schedule Tuner::written(const ResolvedSchedule &schedule) const {
  return withoutDefaults(schedule, bench.device());
}

/// Whether a schedule is as fast on other data. A lazy softmax of f16 has to compute rows again
/// where scores grow by more than its exponents leave room for, and scatter takes as long as
/// supports overlap.
static bool isSteady(const Case &problem, const Schedule &schedule) {
  if (schedule.strategy == Strategy::Scatter && problem.data != "concentrated")
    return false;
  return schedule.softmax != Softmax::Lazy || problem.element != ElementType::F16;
}

bool Tuner::isKnown(const Schedule &schedule) const {
  return llvm::any_of(entrants,
                      [&](const Entrant &entrant) { return entrant.schedule == schedule; });
}

std::vector<Schedule> Tuner::firstSchedules() {
  // Ties go to the first: the cost model's choice, then what databases say.
  const Device &device = bench.device();
  std::vector<Schedule> schedules{model};
  auto add = [&](const Schedule &schedule) {
    if (!llvm::is_contained(schedules, schedule) && isSteady(problem, schedule))
      schedules.push_back(schedule);
  };
  if (llvm::Expected<const TuningDatabase *> database = getTuningDatabase())
    add(written(choose(sizes, device, {}, **database).schedule));
  else
    llvm::consumeError(database.takeError());
  // What the cost model would do with each strategy and softmax, also with the fewest queries in a
  // tile: it knows tiles better than which of them is faster.
  ScheduleSpace space(sizes, device);
  for (Strategy strategy : space.strategies())
    for (Softmax softmax : {Softmax::Lazy, Softmax::Online})
      for (bool isSmall : {false, true}) {
        Schedule given;
        given.strategy = strategy;
        given.softmax = softmax;
        if (isSmall && device.isGpu)
          given.consumers = 1;
        ResolvedSchedule schedule = estimate(sizes, device, given);
        if (space.whyNot(schedule).empty())
          add(written(schedule));
      }
  size_t ofRules = schedules.size();
  for (const auto &[schedule, time] : rankSchedules(sizes, device, options.seeds))
    add(written(schedule));
  schedules.resize(std::min<size_t>(schedules.size(), ofRules + options.seeds));
  return schedules;
}

std::vector<ResolvedSchedule> Tuner::neighborsOf(const ResolvedSchedule &best) const {
  ScheduleSpace space(sizes, bench.device());
  std::vector<ResolvedSchedule> neighbors;
  auto add = [&](auto change) {
    ResolvedSchedule other = best;
    change(other);
    if (space.whyNot(other).empty() && isSteady(problem, written(other)) &&
        !isKnown(written(other)))
      neighbors.push_back(other);
  };
  bool isGpu = bench.device().isGpu, hasWarpgroups = bench.device().hasWarpgroups;
  for (int64_t step : {-32, -16, 16, 32})
    add([&](ResolvedSchedule &s) { s.kTile += isGpu ? step : step * 4; });
  for (int64_t step : {-1, 1}) {
    if (isGpu)
      add([&](ResolvedSchedule &s) { s.stages += step; });
    add([&](ResolvedSchedule &s) {
      s.qTile = isGpu ? s.qTile + 64 * step : step < 0 ? s.qTile / 2 : s.qTile * 2;
      if (hasWarpgroups)
        s.consumers += step;
    });
    if (isGpu && !hasWarpgroups)
      add([&](ResolvedSchedule &s) { s.consumers += step; });
    add([&](ResolvedSchedule &s) { s.splits = step < 0 ? s.splits / 2 : s.splits * 2; });
  }
  add([](ResolvedSchedule &s) {
    s.softmax = s.softmax == Softmax::Lazy ? Softmax::Online : Softmax::Lazy;
  });
  for (Strategy strategy : space.strategies())
    add([&](ResolvedSchedule &s) { s.strategy = strategy; });
  for (int64_t heads : space.packedHeads())
    add([&](ResolvedSchedule &s) { s.packedHeads = heads; });
  if (hasWarpgroups) {
    add([](ResolvedSchedule &s) {
      s.lookahead = 1 - s.lookahead;
      s.turns = Turns::Free;
    });
    add([](ResolvedSchedule &s) {
      s.turns = s.turns == Turns::Free ? Turns::PingPong : Turns::Free;
    });
    add([](ResolvedSchedule &s) {
      s.queries = s.queries == Queries::Shared ? Queries::Registers : Queries::Shared;
    });
    add([](ResolvedSchedule &s) {
      s.grid = s.grid == Grid::Tiles ? Grid::Persistent : Grid::Tiles;
    });
  }
  return neighbors;
}

std::vector<Schedule> Tuner::promising() const {
  // A neighbor is expected to take the time of the one that it is a neighbor of, times what the
  // time model says of the step between the two.
  const TimeModel &times = TimeModel::ofBuild();
  auto modelTime = [&](const ResolvedSchedule &schedule) {
    return times.milliseconds(sizes, bench.device(), schedule);
  };
  std::vector<const Entrant *> best = ranked();
  double most = median(best.front()->record.samples) * (1 + options.parents);
  std::vector<std::pair<double, Schedule>> expected;
  constexpr size_t mostParents = 4;
  for (const Entrant *parent : llvm::ArrayRef(best).take_front(mostParents)) {
    double time = median(parent->record.samples);
    if (time > most)
      break;
    ResolvedSchedule schedule(parent->schedule, ResolvedSchedule());
    double ofModel = modelTime(schedule);
    for (const ResolvedSchedule &neighbor : neighborsOf(schedule))
      expected.emplace_back(time * modelTime(neighbor) / ofModel, written(neighbor));
  }
  llvm::sort(expected, [](const auto &a, const auto &b) { return a.first < b.first; });
  std::vector<Schedule> chosen;
  for (const auto &[time, schedule] : expected)
    if (chosen.size() < options.neighbors && !llvm::is_contained(chosen, schedule))
      chosen.push_back(schedule);
  return chosen;
}

//===----------------------------------------------------------------------===//
// Measuring
//===----------------------------------------------------------------------===//

llvm::Error Tuner::measure(llvm::ArrayRef<Schedule> schedules, llvm::function_ref<bool()> isOver) {
  // New ones, and those from before that are still in the race.
  size_t firstNew = entrants.size();
  for (const Schedule &schedule : schedules)
    entrants.push_back({schedule, nullptr, journal.find(problem, schedule)});
  std::vector<Schedule> missing;
  std::vector<size_t> places;
  auto inRace = [&](size_t number) {
    const Entrant &entrant = entrants[number];
    if (!entrant.record.error.empty())
      return false;
    return number >= firstNew || entrant.candidate != nullptr;
  };
  for (size_t number = 0; number < entrants.size(); ++number)
    if (inRace(number) && !entrants[number].candidate) {
      missing.push_back(entrants[number].schedule);
      places.push_back(number);
    }
  if (isOver())
    return llvm::Error::success();
  std::vector<Workbench::Compiled> compiled = bench.compile(missing);
  for (auto [number, candidate] : llvm::zip_equal(places, compiled)) {
    Entrant &entrant = entrants[number];
    if (candidate) {
      entrant.candidate = std::move(*candidate);
      continue;
    }
    entrant.record.error = llvm::toString(candidate.takeError());
    journal.addError(problem, entrant.schedule, entrant.record.error);
  }

  Race race(options.rules);
  std::vector<size_t> runners;
  for (size_t number = 0; number < entrants.size(); ++number) {
    Entrant &entrant = entrants[number];
    if (!entrant.candidate || !entrant.record.error.empty())
      continue;
    runners.push_back(number);
    race.add(
        [&entrant, this]() -> llvm::Expected<double> {
          llvm::Expected<double> sample = entrant.candidate->sample();
          if (sample)
            journal.add(problem, entrant.schedule, *sample);
          return sample;
        },
        entrant.record.samples);
  }
  race.run(isOver);
  for (auto [number, runner] : llvm::zip_equal(runners, race.getRunners())) {
    Entrant &entrant = entrants[number];
    entrant.record.samples = runner.samples;
    entrant.record.error = runner.error;
    if (!runner.error.empty())
      journal.addError(problem, entrant.schedule, runner.error);
    if (runner.isDropped)
      entrant.candidate.reset();
  }
  return llvm::Error::success();
}

llvm::Error Tuner::start(llvm::function_ref<bool()> isOver) {
  if (llvm::Error error = bench.start(problem))
    return error;
  return measure(firstSchedules(), isOver);
}

std::vector<const Tuner::Entrant *> Tuner::ranked() const {
  std::vector<const Entrant *> right;
  for (const Entrant &entrant : entrants)
    if (entrant.record.error.empty() && !entrant.record.samples.empty())
      right.push_back(&entrant);
  llvm::sort(right, [](const Entrant *a, const Entrant *b) {
    return median(a->record.samples) < median(b->record.samples);
  });
  return right;
}

llvm::Expected<bool> Tuner::improve(llvm::function_ref<bool()> isOver) {
  std::vector<const Entrant *> best = ranked();
  if (best.empty())
    return false;
  ResolvedSchedule schedule(best.front()->schedule, ResolvedSchedule());
  double bound = boundMilliseconds(sizes, bench.device(), schedule);
  if (bench.device().isGpu &&
      median(best.front()->record.samples) <= bound * (1 + options.nearBound))
    return false;
  std::vector<Schedule> neighbors = promising();
  if (neighbors.empty())
    return false;
  double before = median(best.front()->record.samples);
  if (llvm::Error error = measure(neighbors, isOver))
    return std::move(error);
  // Less than half of what would be a tie is no step.
  best = ranked();
  return !best.empty() &&
         median(best.front()->record.samples) < before * (1 - options.rules.tie / 2);
}

double Tuner::gain() const {
  std::vector<const Entrant *> best = ranked();
  for (const Entrant *entrant : best)
    if (entrant->schedule == model)
      return median(best.front()->record.samples) / median(entrant->record.samples);
  return 1;
}

size_t Tuner::numMeasured() const {
  return llvm::count_if(entrants,
                        [](const Entrant &entrant) { return !entrant.record.samples.empty(); });
}

llvm::Expected<TuningEntry> Tuner::finish() {
  if (ranked().empty()) {
    std::string reason = entrants.empty() ? "there is none" : entrants.front().record.error;
    return llvm::createStringError(
        fmt::format("{}: no schedule could be measured: {}", problem.describe(), reason));
  }
  auto check = [&](Entrant &entrant) -> llvm::Error {
    if (!entrant.candidate) {
      Schedule schedules[] = {entrant.schedule};
      std::vector<Workbench::Compiled> compiled = bench.compile(schedules);
      if (!compiled.front())
        return compiled.front().takeError();
      entrant.candidate = std::move(*compiled.front());
    }
    return entrant.candidate->check();
  };

  // The first of the ties, in the order of preference. One whose result is wrong is out, and
  // without it others are ties.
  auto isTie = [&](const Entrant &entrant, double fastest) {
    return entrant.record.error.empty() && !entrant.record.samples.empty() &&
           median(entrant.record.samples) <= fastest * (1 + options.rules.tie);
  };
  Entrant *winner = nullptr;
  double fastest = 0;
  std::string reasons;
  while (!winner) {
    std::vector<const Entrant *> right = ranked();
    if (right.empty())
      return llvm::createStringError(
          fmt::format("{}: no schedule gives right results:{}", problem.describe(), reasons));
    fastest = median(right.front()->record.samples);
    Entrant &first =
        *llvm::find_if(entrants, [&](const Entrant &entrant) { return isTie(entrant, fastest); });
    llvm::Error error = check(first);
    if (!error) {
      winner = &first;
      continue;
    }
    first.record.error = llvm::toString(std::move(error));
    reasons += "\n  " + first.record.error;
    journal.addError(problem, first.schedule, first.record.error);
  }

  TuningEntry entry;
  entry.key = problem.key();
  entry.device = bench.deviceKey();
  entry.batch = problem.batch;
  entry.queryHeads = problem.queryHeads;
  entry.queries = problem.queries;
  entry.keys = problem.keys;
  entry.compiler = options.compiler;
  entry.driver = bench.driver();
  entry.date = options.date;
  Conditions conditions = bench.conditions();
  entry.clock = conditions.clock;
  entry.throttle = conditions.throttle;
  auto measured = [](const Entrant &entrant) {
    return MeasuredSchedule{entrant.schedule, entrant.record.samples};
  };
  entry.winner = measured(*winner);
  entry.model = entry.winner;
  constexpr size_t mostOthers = 48;
  for (const Entrant *entrant : ranked()) {
    if (entrant->schedule == model)
      entry.model = measured(*entrant);
    if (entrant == winner || entry.others.size() == mostOthers)
      continue;
    entry.others.push_back(measured(*entrant));
    entry.ties += isTie(*entrant, fastest);
  }
  return entry;
}
