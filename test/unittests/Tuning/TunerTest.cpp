//===- TunerTest.cpp - The search, on a device whose times are known ------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Tuning/Tuner.h"

#include "sfa/Schedule/Choose.h"
#include "sfa/Schedule/TimeModel.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/xxhash.h"

#include <cmath>
#include <gtest/gtest.h>
#include <map>

using namespace sfa;
using namespace sfa::tuning;
using sfa::tuning::Case;

namespace {

std::string textOf(const Schedule &schedule) {
  std::string text;
  llvm::raw_string_ostream(text) << schedule;
  return text;
}

/// A number from 0 to 1 that depends on a text and nothing else.
double numberOf(const std::string &text) {
  return static_cast<double>(llvm::xxh3_64bits(text) >> 11) / static_cast<double>(1ull << 53);
}

/// A device whose schedules take the times that a test says.
class FakeWorkbench : public Workbench {
public:
  explicit FakeWorkbench(llvm::StringRef chip = "sm_90a")
      : description(Device::of(llvm::cantFail(Chip::parse(chip)))) {}

  const Device &device() const override { return description; }

  llvm::Error start(const Case &problem) override {
    EXPECT_EQ(numCandidates, 0) << "candidates of another case are left";
    ++numStarts;
    return llvm::Error::success();
  }

  std::vector<Compiled> compile(llvm::ArrayRef<Schedule> schedules) override;

  /// Milliseconds of a schedule, without noise.
  std::function<double(const Schedule &)> time = [](const Schedule &) { return 1.0; };
  std::function<bool(const Schedule &)> compiles = [](const Schedule &) { return true; },
                                        isRight = compiles;
  /// Whether a sample can be taken now.
  std::function<bool(const Schedule &)> runs = compiles;
  /// Deviation of a sample; what the noise of a sweep depends on.
  double noise = 0.005;
  std::string seed = "0";
  /// Now and then a sample is half as long again.
  double outliers = 0.02;

  /// Of each schedule, since this bench was made.
  std::map<std::string, int> numSamples, numCompiled;
  int numStarts = 0, numCandidates = 0, numChecks = 0;

  int allSamples() const {
    int sum = 0;
    for (const auto &[schedule, count] : numSamples)
      sum += count;
    return sum;
  }

private:
  Device description;
};

struct FakeCandidate : Candidate {
  FakeCandidate(FakeWorkbench &bench, const Schedule &schedule) : bench(bench), schedule(schedule) {
    ++bench.numCandidates;
  }
  ~FakeCandidate() override { --bench.numCandidates; }

  llvm::Expected<double> sample() override {
    if (!bench.runs(schedule))
      return llvm::createStringError("the device has no memory left");
    std::string text = textOf(schedule);
    // The same sample of the same schedule always is the same.
    std::string name = bench.seed + text + std::to_string(bench.numSamples[text]++);
    double normal = std::sqrt(-2 * std::log(1 - numberOf(name + "a"))) *
                    std::cos(6.283185307 * numberOf(name + "b"));
    double outlier = numberOf(name + "c") < bench.outliers ? 1.5 : 1;
    return bench.time(schedule) * (1 + bench.noise * normal) * outlier;
  }
  llvm::Error check() override {
    ++bench.numChecks;
    if (bench.isRight(schedule))
      return llvm::Error::success();
    return llvm::createStringError("its result is wrong");
  }

  FakeWorkbench &bench;
  Schedule schedule;
};

std::vector<Workbench::Compiled> FakeWorkbench::compile(llvm::ArrayRef<Schedule> schedules) {
  std::vector<Compiled> compiled;
  for (const Schedule &schedule : schedules) {
    ++numCompiled[textOf(schedule)];
    if (compiles(schedule))
      compiled.push_back(std::make_unique<FakeCandidate>(*this, schedule));
    else
      compiled.push_back(llvm::createStringError("it takes too many registers"));
  }
  return compiled;
}

Case makeCase(int64_t tokens = 16384, int64_t features = 128) {
  Case problem;
  problem.queryHeads = problem.keyHeads = 16;
  problem.queries = problem.keys = tokens;
  problem.features = problem.valueFeatures = features;
  problem.mask = "causal";
  return problem;
}

/// The cost model's choice.
Schedule modelOf(const Case &problem, const Device &device) {
  return withoutDefaults(estimate(problem.problem(), device), device);
}

bool never() { return false; }

/// A whole sweep of one case.
llvm::Expected<TuningEntry> tune(Workbench &bench, Journal &journal, const Case &problem,
                                 llvm::function_ref<bool()> isOver = never) {
  TunerOptions options;
  options.compiler = "test";
  options.date = "2026-11-27";
  Tuner tuner(bench, journal, options, problem);
  if (llvm::Error error = tuner.start(isOver))
    return std::move(error);
  for (unsigned generation = 0; generation < options.generations && !isOver(); ++generation) {
    llvm::Expected<bool> isBetter = tuner.improve(isOver);
    if (!isBetter)
      return isBetter.takeError();
    if (!*isBetter)
      break;
  }
  return tuner.finish();
}

TuningEntry mustTune(Workbench &bench, const Case &problem) {
  Journal journal;
  llvm::Expected<TuningEntry> entry = tune(bench, journal, problem);
  EXPECT_TRUE(bool(entry));
  return llvm::cantFail(std::move(entry));
}

/// A folder that is gone with the test.
struct Folder {
  Folder() { EXPECT_FALSE(llvm::sys::fs::createUniqueDirectory("sfa-tuner", path)); }
  ~Folder() { llvm::sys::fs::remove_directories(path); }
  std::string file(const char *name) const { return (path + "/" + name).str(); }
  llvm::SmallString<128> path;
};

//===----------------------------------------------------------------------===//
// The search
//===----------------------------------------------------------------------===//

/// How many steps of a search are between two schedules.
int64_t stepsBetween(const Schedule &a, const Schedule &b) {
  ResolvedSchedule x(a, ResolvedSchedule()), y(b, ResolvedSchedule());
  auto halves = [](int64_t p, int64_t q) {
    return std::abs(static_cast<int64_t>(std::lround(std::log2(double(p) / double(q)))));
  };
  return std::abs(x.kTile - y.kTile) / 16 + std::abs(x.qTile - y.qTile) / 64 +
         std::abs(x.stages - y.stages) + (x.softmax != y.softmax) + (x.strategy != y.strategy) +
         (x.turns != y.turns) + (x.lookahead != y.lookahead) + (x.queries != y.queries) +
         (x.grid != y.grid) + halves(x.splits, y.splits);
}

TEST(Tuner, FindsAWinnerThatIsSomeStepsAway) {
  FakeWorkbench bench;
  int found = 0;
  int64_t stepsBefore = 0, stepsLeft = 0;
  constexpr int tries = 12;
  for (int number = 0; number < tries; ++number) {
    Case problem = makeCase(4096 << (number % 3), number % 2 ? 128 : 64);
    Schedule model = modelOf(problem, bench.device());
    Problem sizes = problem.problem();
    std::vector<Schedule> far;
    ScheduleSpace(sizes, bench.device()).forEach([&](const ResolvedSchedule &schedule) {
      Schedule written = withoutDefaults(schedule, bench.device());
      int64_t steps = stepsBetween(written, model);
      if (steps >= 2 && steps <= 4)
        far.push_back(written);
    });
    ASSERT_FALSE(far.empty());
    Schedule winner = far[static_cast<size_t>(number) * 7919 % far.size()];
    double base = 3 * boundMilliseconds(sizes, bench.device(), ResolvedSchedule(model, {}));
    bench.time = [&](const Schedule &schedule) {
      return base * (1 + 0.06 * static_cast<double>(stepsBetween(schedule, winner)));
    };
    TuningEntry entry = mustTune(bench, problem);
    int64_t left = stepsBetween(entry.winner.schedule, winner);
    found += left == 0;
    stepsBefore += stepsBetween(model, winner);
    stepsLeft += left;
    // Nothing is slower for having been tuned.
    EXPECT_LE(bench.time(entry.winner.schedule), bench.time(model) * 1.01);
  }
  // These times know nothing of the time model, which says what neighbors are tried first. So a
  // step against it may be left.
  EXPECT_GE(found, tries / 3);
  EXPECT_LE(stepsLeft, stepsBefore / 3);
}

TEST(Tuner, ATieGoesToTheCostModel) {
  FakeWorkbench bench;
  Case problem = makeCase();
  Schedule model = modelOf(problem, bench.device());
  bench.noise = 0.0005;
  bench.outliers = 0;
  for (double ofModel : {1.0, 1.005}) {
    bench.time = [&](const Schedule &schedule) { return schedule == model ? ofModel : 1.0; };
    TuningEntry entry = mustTune(bench, problem);
    EXPECT_EQ(textOf(entry.winner.schedule), textOf(model));
    EXPECT_EQ(entry.winner.milliseconds, entry.model.milliseconds);
    EXPECT_GT(entry.ties, 0);
    EXPECT_LE(entry.ties, static_cast<int64_t>(entry.others.size()));
  }
  bench.time = [&](const Schedule &schedule) { return schedule == model ? 1.03 : 1.0; };
  EXPECT_NE(textOf(mustTune(bench, problem).winner.schedule), textOf(model));
}

TEST(Tuner, AWrongResultNeverWins) {
  FakeWorkbench bench;
  Case problem = makeCase();
  Schedule model = modelOf(problem, bench.device());
  bench.noise = 0.0005;
  bench.outliers = 0;
  // All that are fast are wrong. Of what is left the cost model's choice is a tie.
  auto isWrong = [&](const Schedule &schedule) { return schedule.softmax == Softmax::Lazy; };
  model.softmax = Softmax::Online;
  bench.isRight = [&](const Schedule &schedule) { return !isWrong(schedule); };
  bench.time = [&](const Schedule &schedule) {
    return isWrong(schedule) ? 5.0 : schedule == model ? 10.04 : 10.0;
  };
  Journal journal;
  llvm::Expected<TuningEntry> entry = tune(bench, journal, problem);
  ASSERT_TRUE(bool(entry)) << llvm::toString(entry.takeError());
  EXPECT_EQ(entry->winner.schedule.softmax, Softmax::Online);
  for (const MeasuredSchedule &other : entry->others)
    EXPECT_GE(other.milliseconds.size(), 1u);

  bench.isRight = [](const Schedule &) { return false; };
  Journal other;
  llvm::Expected<TuningEntry> none = tune(bench, other, problem);
  ASSERT_FALSE(bool(none));
  std::string error = llvm::toString(none.takeError());
  EXPECT_EQ(error.find(problem.describe() + ": no schedule gives right results:\n  its result"), 0u)
      << error;
  EXPECT_EQ(bench.numCandidates, 0);
}

TEST(Tuner, TiesOfTheRightOnesCount) {
  // The fastest is wrong, and so no measure of who is a tie.
  FakeWorkbench bench;
  Case problem = makeCase();
  Schedule model = modelOf(problem, bench.device());
  bench.noise = 0.0005;
  bench.outliers = 0;
  Schedule wrong;
  bench.time = [&](const Schedule &schedule) {
    if (schedule == model)
      return 1.004;
    if (textOf(wrong).empty())
      wrong = schedule;
    return schedule == wrong ? 0.9 : 1.0;
  };
  bench.isRight = [&](const Schedule &schedule) { return schedule != wrong; };
  TuningEntry entry = mustTune(bench, problem);
  EXPECT_EQ(textOf(entry.winner.schedule), textOf(model));
}

TEST(Tuner, GoesOnWithoutWhatFails) {
  FakeWorkbench bench;
  Case problem = makeCase();
  // A third does not compile, a third cannot be run.
  auto third = [](const Schedule &schedule) {
    return static_cast<int>(numberOf(textOf(schedule)) * 3);
  };
  bench.compiles = [&](const Schedule &schedule) { return third(schedule) != 0; };
  bench.runs = [&](const Schedule &schedule) { return third(schedule) != 1; };
  TuningEntry entry = mustTune(bench, problem);
  EXPECT_EQ(third(entry.winner.schedule), 2);
  for (const MeasuredSchedule &other : entry.others)
    EXPECT_EQ(third(other.schedule), 2);
  // Whose error is known is not tried again.
  for (const auto &[schedule, count] : bench.numCompiled)
    EXPECT_LE(count, 2) << schedule;

  bench.compiles = [](const Schedule &) { return false; };
  Journal journal;
  llvm::Expected<TuningEntry> none = tune(bench, journal, problem);
  ASSERT_FALSE(bool(none));
  EXPECT_EQ(llvm::toString(none.takeError()),
            problem.describe() + ": no schedule could be measured: it takes too many registers");
}

TEST(Tuner, SurvivesADeviceThatFailsInTheMiddle) {
  FakeWorkbench bench;
  bench.runs = [&](const Schedule &) { return bench.allSamples() < 300; };
  Journal journal;
  llvm::Expected<TuningEntry> entry = tune(bench, journal, makeCase());
  if (!entry)
    EXPECT_NE(llvm::toString(entry.takeError()).find("no memory left"), std::string::npos);
  EXPECT_EQ(bench.numCandidates, 0);
}

TEST(Tuner, TwoSweepsAgree) {
  // What a device does beyond the time model: up to a tenth, for each schedule its own.
  int agree = 0, better = 0;
  constexpr int problems = 40;
  for (int number = 0; number < problems; ++number) {
    FakeWorkbench bench(number % 4 == 3 ? "sm_80" : "sm_90a");
    Case problem = makeCase(2048 << (number % 4), number % 3 ? 128 : 64);
    problem.keyHeads = number % 5 == 4 ? 4 : 16;
    if (number % 7 == 6)
      problem.queries = 1;
    if (number % 2) {
      problem.form = "codes";
      problem.codes = 8;
    }
    Problem sizes = problem.problem();
    bench.time = [&](const Schedule &schedule) {
      double surprise = numberOf(std::to_string(number) + textOf(schedule));
      return (1 + 0.1 * surprise) * TimeModel::ofBuild().milliseconds(
                                        sizes, bench.device(), ResolvedSchedule(schedule, {}));
    };
    double times[2];
    for (int sweep = 0; sweep < 2; ++sweep) {
      bench.seed = std::to_string(sweep);
      bench.numSamples.clear();
      times[sweep] = bench.time(mustTune(bench, problem).winner.schedule);
    }
    agree += std::max(times[0], times[1]) <= 1.02 * std::min(times[0], times[1]);
    better += times[0] <= 1.01 * bench.time(modelOf(problem, bench.device()));
  }
  EXPECT_GE(agree, problems * 95 / 100);
  EXPECT_EQ(better, problems);
}

TEST(Tuner, EndsWhenItIsOver) {
  for (int allowed : {0, 1, 5, 40}) {
    FakeWorkbench bench;
    Journal journal;
    TunerOptions options;
    Tuner tuner(bench, journal, options, makeCase());
    auto isOver = [&] { return bench.allSamples() >= allowed; };
    ASSERT_FALSE(bool(tuner.start(isOver)));
    EXPECT_EQ(bench.allSamples(), allowed);
    llvm::Expected<bool> isBetter = tuner.improve(isOver);
    ASSERT_TRUE(bool(isBetter));
    EXPECT_EQ(bench.allSamples(), allowed);
    // What there is counts.
    llvm::Expected<TuningEntry> entry = tuner.finish();
    EXPECT_EQ(bool(entry), allowed > 0);
    llvm::consumeError(entry.takeError());
    EXPECT_EQ(bench.allSamples(), allowed);
  }
}

TEST(Tuner, GivesBackItsDataAtTheEnd) {
  FakeWorkbench bench;
  Journal journal;
  TunerOptions options;
  {
    Tuner tuner(bench, journal, options, makeCase());
    ASSERT_FALSE(bool(tuner.start(never)));
  }
  EXPECT_EQ(bench.numCandidates, 0);
  // Another one goes on with the same case, as a sweep with a budget does.
  Tuner again(bench, journal, options, makeCase());
  ASSERT_FALSE(bool(again.start(never)));
  EXPECT_TRUE(bool(again.improve(never)));
  EXPECT_TRUE(bool(again.finish()));
  EXPECT_EQ(bench.numStarts, 2);
}

//===----------------------------------------------------------------------===//
// Interruptions
//===----------------------------------------------------------------------===//

TEST(Journal, KnowsWhatWasAdded) {
  Case problem = makeCase();
  Schedule schedule = modelOf(problem, FakeWorkbench().device()), other = schedule;
  other.kTile = 64;
  auto expect = [&](const Journal &journal) {
    EXPECT_EQ(journal.find(problem, schedule).samples, (std::vector<double>{1.5, 1.25}));
    EXPECT_EQ(journal.find(problem, schedule).error, "");
    EXPECT_EQ(journal.find(problem, other).error, "too large");
    EXPECT_TRUE(journal.find(makeCase(8192), schedule).samples.empty());
  };
  Folder folder;
  DeviceKey device = FakeWorkbench().deviceKey();
  Journal nowhere;
  nowhere.add(problem, schedule, 1.5);
  nowhere.add(problem, schedule, 1.25);
  nowhere.addError(problem, other, "too large");
  expect(nowhere);
  {
    Journal journal = llvm::cantFail(Journal::open(folder.file("j"), device, "build"));
    journal.add(problem, schedule, 1.5);
    journal.add(problem, schedule, 1.25);
    journal.addError(problem, other, "too large");
    expect(journal);
  }
  expect(llvm::cantFail(Journal::open(folder.file("j"), device, "build")));
}

TEST(Journal, LeavesOutWhatIsHalfWritten) {
  Folder folder;
  std::string path = folder.file("j");
  Case problem = makeCase();
  Schedule schedule = modelOf(problem, FakeWorkbench().device());
  DeviceKey device = FakeWorkbench().deviceKey();
  {
    Journal journal = llvm::cantFail(Journal::open(path, device, "build"));
    journal.add(problem, schedule, 1.5);
    journal.add(problem, schedule, 1.25);
  }
  std::string whole = (*llvm::MemoryBuffer::getFile(path))->getBuffer().str();
  size_t head = whole.find('\n') + 1;
  for (size_t length = 0; length <= whole.size(); length += 13) {
    llvm::cantFail(llvm::writeToOutput(path, [&](llvm::raw_ostream &stream) {
      stream << llvm::StringRef(whole).take_front(length);
      return llvm::Error::success();
    }));
    {
      llvm::Expected<Journal> journal = Journal::open(path, device, "build");
      ASSERT_TRUE(bool(journal)) << llvm::toString(journal.takeError());
      // Lines that have their end.
      auto lines = llvm::StringRef(whole).take_front(length).count('\n');
      EXPECT_EQ(journal->find(problem, schedule).samples.size(), lines > 1 ? lines - 1 : 0);
      journal->add(problem, schedule, 7);
    }
    Journal again = llvm::cantFail(Journal::open(path, device, "build"));
    EXPECT_EQ(again.find(problem, schedule).samples.back(), 7) << length;
    EXPECT_EQ((*llvm::MemoryBuffer::getFile(path))->getBuffer().take_front(head),
              llvm::StringRef(whole).take_front(head));
  }
}

TEST(Journal, RefusesWhatIsNotItsOwn) {
  Folder folder;
  std::string path = folder.file("j");
  DeviceKey device = FakeWorkbench().deviceKey(), other = device;
  other.watts = 350;
  auto errorOf = [&](const DeviceKey &key, llvm::StringRef build) {
    llvm::Expected<Journal> journal = Journal::open(path, key, build);
    std::string error = journal ? "" : llvm::toString(journal.takeError());
    return error.substr(0, path.size()) == path ? error.substr(path.size() + 1) : error;
  };
  EXPECT_EQ(errorOf(device, "build"), "");
  EXPECT_EQ(errorOf(device, "build"), "");
  EXPECT_EQ(errorOf(device, "later"),
            "is of another device or another build of the compiler; remove it to start again");
  EXPECT_EQ(errorOf(other, "build"),
            "is of another device or another build of the compiler; remove it to start again");
  for (const char *text : {"precious\n", "{\"entries\": []}\n", "[]\n"}) {
    llvm::cantFail(llvm::writeToOutput(path, [&](llvm::raw_ostream &stream) {
      stream << text;
      return llvm::Error::success();
    }));
    EXPECT_NE(errorOf(device, "build"), "") << text;
    EXPECT_EQ((*llvm::MemoryBuffer::getFile(path))->getBuffer(), text);
  }
  llvm::sys::fs::remove(path);
  llvm::cantFail(llvm::writeToOutput(path, [](llvm::raw_ostream &stream) {
    stream << "a file of one line without an end";
    return llvm::Error::success();
  }));
  EXPECT_NE(errorOf(device, "build"), "");
  path = folder.file("absent/j");
  EXPECT_EQ(errorOf(device, "build"), "cannot write " + path + ": No such file or directory");
}

TEST(Tuner, GoesOnAfterAnInterruptionAtAnySample) {
  Case problem = makeCase(4096);
  auto prepare = [](FakeWorkbench &bench) {
    bench.time = [](const Schedule &schedule) { return 1 + 0.2 * numberOf(textOf(schedule)); };
    bench.compiles = [](const Schedule &schedule) {
      return numberOf("c" + textOf(schedule)) > 0.1;
    };
  };
  FakeWorkbench whole;
  prepare(whole);
  TuningEntry expected = mustTune(whole, problem);
  int all = whole.allSamples();
  for (int place = 0; place < all; place += std::max(1, all / 10)) {
    SCOPED_TRACE(place);
    Folder folder;
    // Its counts go on where they were, so that samples are the same as without an interruption.
    FakeWorkbench bench;
    prepare(bench);
    {
      Journal journal = llvm::cantFail(Journal::open(folder.file("j"), bench.deviceKey(), "test"));
      auto isOver = [&] { return bench.allSamples() >= place; };
      llvm::consumeError(tune(bench, journal, problem, isOver).takeError());
    }
    EXPECT_EQ(bench.allSamples(), place);
    Journal journal = llvm::cantFail(Journal::open(folder.file("j"), bench.deviceKey(), "test"));
    llvm::Expected<TuningEntry> entry = tune(bench, journal, problem);
    ASSERT_TRUE(bool(entry)) << llvm::toString(entry.takeError());
    EXPECT_LE(bench.time(entry->winner.schedule), bench.time(expected.winner.schedule) * 1.02);
    // All samples count that were taken before and after, and few are more than without.
    EXPECT_EQ(static_cast<int>(entry->winner.milliseconds.size()),
              bench.numSamples[textOf(entry->winner.schedule)]);
    EXPECT_LE(bench.allSamples(), all + all / 10);
  }
}

TEST(Tuner, MeasuresNothingTwice) {
  // The second time around in one process, as a sweep with a budget does, and in another one.
  Case problem = makeCase(4096);
  Folder folder;
  FakeWorkbench bench;
  bench.time = [](const Schedule &schedule) { return 1 + 0.2 * numberOf(textOf(schedule)); };
  int samples = 0;
  {
    Journal journal = llvm::cantFail(Journal::open(folder.file("j"), bench.deviceKey(), "test"));
    ASSERT_TRUE(bool(tune(bench, journal, problem)));
    samples = bench.allSamples();
    ASSERT_TRUE(bool(tune(bench, journal, problem)));
    EXPECT_EQ(bench.allSamples(), samples);
  }
  Journal journal = llvm::cantFail(Journal::open(folder.file("j"), bench.deviceKey(), "test"));
  ASSERT_TRUE(bool(tune(bench, journal, problem)));
  EXPECT_EQ(bench.allSamples(), samples);
}

} // namespace
