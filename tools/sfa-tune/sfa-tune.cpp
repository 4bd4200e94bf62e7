//===- sfa-tune.cpp - Find the fastest schedules of a device --------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Parser/Parser.h"
#include "sfa/Passes.h"
#include "sfa/Schedule/Choose.h"
#include "sfa/Schedule/TimeModel.h"
#include "sfa/Support/BuildId.h"
#include "sfa/Tuning/Fit.h"
#include "sfa/Tuning/Tuner.h"
#include "sfa/Version.h"
#include "tools/Common/CommandLine.h"
#include "tools/Common/Progress.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"

#include <chrono>
#include <cmath>
#include <ctime>
#include <fmt/format.h>

using namespace llvm;
using namespace mlir;
using namespace sfa;
using namespace sfa::tuning;
using sfa::tuning::Case;

static constexpr char overview[] = R"(find the fastest schedules of a device

Measures schedules of attention problems and keeps the best in a database, which compilers use when
SFA_TUNING_DATABASE names it. A sweep that is interrupted goes on where it was when it is started again.

  sfa-tune --database h100.json                     the default problems on the first GPU
  sfa-tune --database h100.json --cases mine.json   problems of a file, or of a program that ran with
                                                    SFA_RECORD_PROBLEMS=mine.json
  sfa-tune --database cpu.json --target cpu         schedules of this CPU
  sfa-tune --dry-run                                what the time model puts first; needs no GPU
  sfa-tune --budget 10min --database h100.json      spends the time where most is gained
  sfa-tune --shard 1/4 --database part1.json        the first of four parts, for four GPUs

  sfa-tune show h100.json                           what is in a database
  sfa-tune merge all.json part1.json part2.json     adds databases to the first, which may not be there
  sfa-tune diff old.json new.json                   what changed
  sfa-tune verify h100.json                         times a sample of entries again, and checks results
  sfa-tune fit all.json -o model.json               the factors of the time model

docs/tuning.md says more. Exit status: 0, or 1 after an error or where `verify` finds that entries do not hold.
)";

static cl::OptionCategory category("sfa-tune options");

static cl::SubCommand showCommand("show", "print what is in a database"),
    mergeCommand("merge", "add databases to the first one"),
    diffCommand("diff", "print what differs between two databases"),
    verifyCommand("verify", "time a sample of the entries again, and check their results"),
    fitCommand("fit", "fit the factors of the time model to a database");

static cl::opt<std::string> databasePath("database",
                                         cl::desc("Where results go: a file that exists, or a new "
                                                  "one"),
                                         cl::value_desc("file.json"), cl::cat(category));
static cl::opt<std::string> casesPath("cases",
                                      cl::desc("The problems: a JSON array, or an object in each "
                                               "line, or a module (default: a set of usual ones)"),
                                      cl::value_desc("file.json or file.mlir"), cl::cat(category));
static cl::alias like("like", cl::desc("The same as --cases, for a recorded run"),
                      cl::aliasopt(casesPath));
static cl::opt<std::string> target("target", cl::desc("Which device: cuda (default) or cpu"),
                                   cl::value_desc("name"), cl::init("cuda"), cl::cat(category),
                                   cl::sub(cl::SubCommand::getTopLevel()), cl::sub(verifyCommand));
static cl::opt<std::string> deviceNumber("device", cl::desc("With --target=cuda: its number"),
                                         cl::value_desc("number"), cl::init("0"), cl::cat(category),
                                         cl::sub(cl::SubCommand::getTopLevel()),
                                         cl::sub(verifyCommand));
static cl::opt<std::string> chipName("chip",
                                     cl::desc("With --target=cuda: the code path, such as sm_80 "
                                              "(default: the best)"),
                                     cl::value_desc("name"), cl::cat(category),
                                     cl::sub(cl::SubCommand::getTopLevel()),
                                     cl::sub(verifyCommand));
static cl::opt<bool> dryRun("dry-run", cl::desc("Measure nothing: print what the time model says"),
                            cl::cat(category));
static cl::opt<std::string> budgetText("budget",
                                       cl::desc("How long to work, such as 90s, 10min or 2h "
                                                "(default: to the end)"),
                                       cl::value_desc("time"), cl::cat(category));
static cl::opt<std::string> shardText("shard", cl::desc("Of n parts of the problems, part i"),
                                      cl::value_desc("i/n"), cl::cat(category));
static cl::opt<bool> again("again",
                           cl::desc("Tune problems again that the database has from this build"),
                           cl::cat(category));
static cl::opt<std::string> restText("rest",
                                     cl::desc("Milliseconds without work before each sample "
                                              "(default 2)"),
                                     cl::value_desc("ms"), cl::init("2"), cl::cat(category),
                                     cl::sub(cl::SubCommand::getTopLevel()),
                                     cl::sub(verifyCommand));
static cl::opt<std::string> sampleText("sample",
                                       cl::desc("How many entries to time again (default 8)"),
                                       cl::value_desc("number"), cl::init("8"), cl::cat(category),
                                       cl::sub(verifyCommand));
static cl::list<std::string> paths(cl::Positional, cl::OneOrMore, cl::desc("file.json ..."),
                                   cl::cat(category), cl::sub(showCommand), cl::sub(mergeCommand),
                                   cl::sub(diffCommand), cl::sub(verifyCommand),
                                   cl::sub(fitCommand));
static cl::opt<std::string> modelPath("o", cl::Required, cl::desc("Where factors go"),
                                      cl::value_desc("model.json"), cl::cat(category),
                                      cl::sub(fitCommand));

static std::string textOf(const Schedule &schedule) {
  std::string text;
  raw_string_ostream(text) << schedule;
  return text;
}

static std::string compilerOfBuild() {
  return fmt::format("FlashSFA {} {}", SFA_VERSION, getBuildId());
}

static std::string today() {
  std::time_t now = std::time(nullptr);
  char text[11];
  std::strftime(text, sizeof(text), "%Y-%m-%d", std::gmtime(&now));
  return text;
}

static double secondsNow() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

//===----------------------------------------------------------------------===//
// Flags
//===----------------------------------------------------------------------===//

static llvm::Expected<double> parseSeconds(StringRef text) {
  StringRef number = text;
  double unit = 1;
  if (number.consume_back("min"))
    unit = 60;
  else if (number.consume_back("h"))
    unit = 3600;
  else
    number.consume_back("s");
  double value;
  if (number.getAsDouble(value) || !(value > 0) || value > 1e6)
    return createStringError(fmt::format(
        "--budget: given is '{}'; it has to be a time such as 90s, 10min or 2h", text.str()));
  return value * unit;
}

/// The cases of this process: those of --shard i/n, every n-th one.
static llvm::Error takeShard(std::vector<Case> &cases) {
  if (shardText.empty())
    return llvm::Error::success();
  auto [first, second] = StringRef(shardText).split('/');
  size_t part, parts;
  if (first.getAsInteger(10, part) || second.getAsInteger(10, parts) || part < 1 || part > parts)
    return createStringError(fmt::format(
        "--shard: given is '{}'; it has to be i/n with i from 1 to n", shardText.getValue()));
  std::vector<Case> mine;
  for (size_t i = part - 1; i < cases.size(); i += parts)
    mine.push_back(cases[i]);
  cases = std::move(mine);
  return llvm::Error::success();
}

/// The attentions of a module, whose sizes its types have to give.
static llvm::Expected<std::vector<Case>> readModule(StringRef path) {
  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry);
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(path, &context);
  if (!module)
    return createStringError(fmt::format("{} is not a valid module", path.str()));
  std::vector<Case> cases;
  std::string unknown;
  module->walk([&](AttentionOp op) {
    Problem problem = Problem::of(op);
    std::optional<ProblemKey> key = ProblemKey::of(problem);
    if (!key || problem.hasSequences) {
      raw_string_ostream(unknown) << "\n  " << op.getLoc();
      return;
    }
    cases.push_back(Case::of(problem, *key));
  });
  if (!unknown.empty() || cases.empty())
    return createStringError(fmt::format(
        "{} {}", path.str(),
        cases.empty() && unknown.empty()
            ? "has no sfa.attention"
            : "has attentions whose types leave sizes open, or with sequences, at" + unknown));
  return cases;
}

static llvm::Expected<std::vector<Case>> collectCases() {
  StringRef path = casesPath;
  std::vector<Case> cases = getDefaultCases(target == "cuda");
  if (!path.empty()) {
    llvm::Expected<std::vector<Case>> read =
        path.ends_with(".mlir") ? readModule(path) : readCases(path);
    if (!read)
      return read.takeError();
    cases = std::move(*read);
  }
  if (llvm::Error error = takeShard(cases))
    return std::move(error);
  return cases;
}

static llvm::Expected<std::unique_ptr<Workbench>> makeBench() {
  if (target == "cpu")
    return createCpuWorkbench();
  llvm::Expected<int64_t> device = parseNumber("device", deviceNumber, 0, 1023);
  if (!device)
    return device.takeError();
  llvm::Expected<int64_t> rest = parseNumber("rest", restText, 0, 10000);
  if (!rest)
    return rest.takeError();
  return createCudaWorkbench(static_cast<int32_t>(*device), chipName, static_cast<double>(*rest));
}

static llvm::Expected<std::vector<TuningDatabase>> readDatabases() {
  std::vector<TuningDatabase> databases;
  for (const std::string &path : paths) {
    llvm::Expected<TuningDatabase> database = TuningDatabase::read(path);
    if (!database)
      return database.takeError();
    databases.push_back(std::move(*database));
  }
  return databases;
}

//===----------------------------------------------------------------------===//
// A sweep
//===----------------------------------------------------------------------===//

namespace {

class Sweep {
public:
  Sweep(Workbench &bench, Journal &journal, std::vector<Case> cases, double budget)
      : bench(bench), journal(journal), cases(std::move(cases)), begin(secondsNow()),
        end(budget > 0 ? begin + budget : 0) {
    options.compiler = compilerOfBuild();
    options.date = today();
  }

  llvm::Error run();
  /// Problems for which time was up before anything was measured.
  size_t numLeft() const {
    return llvm::count_if(entries, [](const auto &entry) { return !entry; });
  }

private:
  bool isOver() const { return end > 0 && secondsNow() > end; }
  void show(size_t number, const std::string &what);
  /// Tunes a case, and the second time around goes on with what it has.
  llvm::Error tune(size_t number, bool improves);
  void summarize();

  Workbench &bench;
  Journal &journal;
  std::vector<Case> cases;
  double begin, end;
  TunerOptions options;
  Progress progress;
  std::vector<std::optional<TuningEntry>> entries;
  double done = 0;
};

} // namespace

void Sweep::show(size_t number, const std::string &what) {
  double share = std::max(done / static_cast<double>(cases.size()), 1e-3);
  double left = (secondsNow() - begin) * (1 - share) / share;
  if (end > 0)
    left = end - secondsNow();
  progress.show(fmt::format("{} {}", cases[number].describe(), what), share, left);
}

llvm::Error Sweep::tune(size_t number, bool improves) {
  const Case &problem = cases[number];
  Tuner tuner(bench, journal, options, problem);
  auto over = [&] { return isOver(); };
  show(number, "first schedules");
  if (llvm::Error error = tuner.start(over))
    return error;
  if (isOver() && tuner.numMeasured() == 0)
    return llvm::Error::success();
  bool isBetter = improves;
  for (unsigned generation = 0; generation < options.generations && isBetter && !isOver();
       ++generation) {
    show(number, fmt::format("generation {}, {:.3f} of the cost model's time", generation + 1,
                             tuner.gain()));
    llvm::Expected<bool> found = tuner.improve(over);
    if (!found)
      return found.takeError();
    isBetter = *found;
  }
  show(number, "checks results");
  llvm::Expected<TuningEntry> entry = tuner.finish();
  if (!entry)
    return entry.takeError();
  TuningDatabase one;
  one.add(*entry);
  if (llvm::Error error = addToFile(databasePath, one))
    return error;
  progress.clear();
  double model = entry->model.median(), best = entry->winner.median();
  outs() << fmt::format("{:<58} {:9.4f} ms, {:5.3f} of {:9.4f}, {} measured, {} ties: {}\n",
                        problem.describe(), best, best / model, model, tuner.numMeasured(),
                        entry->ties, textOf(entry->winner.schedule));
  outs().flush();
  entries[number] = std::move(*entry);
  return llvm::Error::success();
}

void Sweep::summarize() {
  double logarithm = 0;
  size_t count = 0, faster = 0;
  for (const std::optional<TuningEntry> &entry : entries)
    if (entry) {
      double gain = entry->winner.median() / entry->model.median();
      logarithm += std::log(gain);
      faster += gain < 0.99;
      ++count;
    }
  if (count == 0)
    return;
  outs() << fmt::format(
      "{} problems in {:.0f} s: {} are faster than by the cost model's choice, by "
      "{:.1f}% on the average of all\n",
      count, secondsNow() - begin, faster,
      100 * (1 - std::exp(logarithm / static_cast<double>(count))));
}

llvm::Error Sweep::run() {
  entries.resize(cases.size());
  std::string failures;
  auto each = [&](size_t number, bool improves) {
    if (llvm::Error error = tune(number, improves)) {
      std::string text = toString(std::move(error));
      progress.note(text);
      failures += "\n  " + text;
    }
    done += end > 0 ? 0.5 : 1;
  };
  if (end == 0) {
    for (size_t number = 0; number < cases.size(); ++number)
      each(number, /*improves=*/true);
  } else {
    // First what every problem needs; then those where the first schedules differ most from the
    // cost model's, which knows least of them.
    for (size_t number = 0; number < cases.size() && !isOver(); ++number)
      each(number, /*improves=*/false);
    std::vector<size_t> order;
    for (size_t number = 0; number < cases.size(); ++number)
      if (entries[number])
        order.push_back(number);
    llvm::sort(order, [&](size_t a, size_t b) {
      auto gain = [&](size_t number) {
        return entries[number]->winner.median() / entries[number]->model.median();
      };
      return gain(a) < gain(b);
    });
    for (size_t number : order)
      if (!isOver())
        each(number, /*improves=*/true);
  }
  progress.clear();
  summarize();
  if (failures.empty()) {
    if (numLeft() > 0)
      outs() << fmt::format("time was up before {} problems; start it again to go on\n", numLeft());
    return llvm::Error::success();
  }
  return createStringError("some problems have no entry:" + failures);
}

/// What the time model says, without a device.
static llvm::Error printRanks(const std::vector<Case> &cases) {
  Device device = Device::cpu();
  if (target == "cuda") {
    llvm::Expected<Chip> chip = Chip::parse(chipName.empty() ? StringRef("sm_90a") : chipName);
    if (!chip)
      return chip.takeError();
    device = Device::of(*chip);
  }
  outs() << fmt::format("Nothing is measured. By the time model, for {} ({}):\n", device.name,
                        device.chip);
  for (const Case &one : cases) {
    Problem problem = one.problem();
    const TimeModel &model = TimeModel::ofBuild();
    ResolvedSchedule usual = estimate(problem, device);
    double time = model.milliseconds(problem, device, usual);
    outs() << fmt::format("\n{}\n  {:9.4f} ms  {} (the cost model's choice)\n", one.describe(),
                          time, textOf(withoutDefaults(usual, device)));
    constexpr size_t shown = 5;
    for (const auto &[schedule, milliseconds] : rankSchedules(problem, device, shown))
      outs() << fmt::format("  {:9.4f} ms  {}\n", milliseconds,
                            textOf(withoutDefaults(schedule, device)));
  }
  return llvm::Error::success();
}

static llvm::Error runSweep() {
  if (llvm::Error error = checkTarget(target, {"cuda", "cpu"}))
    return error;
  double budget = 0;
  if (!budgetText.empty()) {
    llvm::Expected<double> seconds = parseSeconds(budgetText);
    if (!seconds)
      return seconds.takeError();
    budget = *seconds;
  }
  llvm::Expected<std::vector<Case>> cases = collectCases();
  if (!cases)
    return cases.takeError();
  if (dryRun)
    return printRanks(*cases);
  if (databasePath.empty())
    return createStringError("--database is missing: it says where results go");
  llvm::Expected<std::unique_ptr<Workbench>> bench = makeBench();
  if (!bench)
    return bench.takeError();
  // What cannot be written is found before anything is measured.
  if (llvm::Error error = addToFile(databasePath, TuningDatabase()))
    return error;
  llvm::Expected<TuningDatabase> database = TuningDatabase::read(databasePath);
  if (!database)
    return database.takeError();
  DeviceKey device = (*bench)->deviceKey();
  if (cases->empty()) {
    outs() << fmt::format("part {} has no problems\n", shardText.getValue());
    return llvm::Error::success();
  }
  if (!again)
    llvm::erase_if(*cases, [&](const Case &one) {
      return llvm::any_of(database->entries(), [&](const TuningEntry &entry) {
        return entry.device == device && entry.key == one.key() &&
               entry.compiler == compilerOfBuild();
      });
    });
  if (cases->empty()) {
    outs() << "the database has all of these problems from this build; --again tunes them again\n";
    return llvm::Error::success();
  }
  std::string journalPath = databasePath + ".journal";
  llvm::Expected<Journal> journal = Journal::open(journalPath, device, compilerOfBuild());
  if (!journal)
    return journal.takeError();
  Sweep sweep(**bench, *journal, std::move(*cases), budget);
  if (llvm::Error error = sweep.run())
    return error;
  if (sweep.numLeft() == 0)
    llvm::sys::fs::remove(journalPath);
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Databases
//===----------------------------------------------------------------------===//

static llvm::Error show() {
  llvm::Expected<std::vector<TuningDatabase>> databases = readDatabases();
  if (!databases)
    return databases.takeError();
  std::string compiler = compilerOfBuild();
  for (const auto &[path, database] : llvm::zip(paths, *databases)) {
    outs() << path << '\n';
    const TuningEntry *last = nullptr;
    for (const TuningEntry &entry : database.entries()) {
      if (!last || !(last->device == entry.device))
        outs() << fmt::format("{} ({}, {} multiprocessors, {} W), {}, driver {}{}\n",
                              entry.device.name, entry.device.chip, entry.device.multiprocessors,
                              entry.device.watts, entry.compiler, entry.driver,
                              entry.compiler == compiler ? "" : ": another build, to be verified");
      outs() << fmt::format("  {:<92} {:9.4f} ms, {:5.3f} of the cost model's, {} ties: {}\n",
                            entry.key.describe(), entry.winner.median(),
                            entry.winner.median() / entry.model.median(), entry.ties,
                            textOf(entry.winner.schedule));
      last = &entry;
    }
  }
  return llvm::Error::success();
}

static llvm::Error merge() {
  // All of them are read before the first changes.
  TuningDatabase added;
  for (const std::string &path : llvm::drop_begin(paths)) {
    llvm::Expected<TuningDatabase> database = TuningDatabase::read(path);
    if (!database)
      return database.takeError();
    added.merge(*database);
  }
  return addToFile(paths[0], added);
}

static llvm::Error diff() {
  if (paths.size() != 2)
    return createStringError(fmt::format("diff takes two databases, given are {}", paths.size()));
  llvm::Expected<std::vector<TuningDatabase>> databases = readDatabases();
  if (!databases)
    return databases.takeError();
  const TuningDatabase &before = databases->front(), &after = databases->back();
  auto find = [](const TuningDatabase &database, const TuningEntry &entry) -> const TuningEntry * {
    for (const TuningEntry &other : database.entries())
      if (other.device == entry.device && other.key == entry.key)
        return &other;
    return nullptr;
  };
  for (const TuningEntry &entry : before.entries()) {
    const TuningEntry *other = find(after, entry);
    std::string name = entry.key.describe();
    if (!other) {
      outs() << "- " << name << '\n';
      continue;
    }
    double ratio = other->winner.median() / entry.winner.median();
    bool isSame = other->winner.schedule == entry.winner.schedule;
    if (!isSame || std::abs(ratio - 1) > RaceRules().tie)
      outs() << fmt::format("  {}: {:.4f} -> {:.4f} ms ({:.3f})\n", name, entry.winner.median(),
                            other->winner.median(), ratio);
    if (!isSame)
      outs() << "    - " << entry.winner.schedule << "\n    + " << other->winner.schedule << '\n';
  }
  for (const TuningEntry &entry : after.entries())
    if (!find(before, entry))
      outs() << "+ " << entry.key.describe() << '\n';
  return llvm::Error::success();
}

static llvm::Error verify() {
  llvm::Expected<std::vector<TuningDatabase>> databases = readDatabases();
  if (!databases)
    return databases.takeError();
  llvm::Expected<int64_t> sample = parseNumber("sample", sampleText, 1, 1000000);
  if (!sample)
    return sample.takeError();
  llvm::Expected<std::unique_ptr<Workbench>> bench = makeBench();
  if (!bench)
    return bench.takeError();
  std::vector<const TuningEntry *> entries;
  for (const TuningDatabase &database : *databases)
    for (const TuningEntry &entry : database.entries())
      if (entry.device.isLike((*bench)->deviceKey()))
        entries.push_back(&entry);
  if (entries.empty())
    return createStringError(fmt::format("no entry is of {}", (*bench)->device().name));
  // Spread over all of them.
  size_t count = std::min(entries.size(), static_cast<size_t>(*sample)), wrong = 0;
  for (size_t i = 0; i < count; ++i) {
    const TuningEntry &entry = *entries[i * entries.size() / count];
    Case problem = Case::of(entry.problem(), entry.key);
    if (llvm::Error error = (*bench)->start(problem))
      return error;
    std::vector<const MeasuredSchedule *> measured{&entry.winner};
    if (entry.model.schedule != entry.winner.schedule)
      measured.push_back(&entry.model);
    std::vector<Schedule> schedules;
    for (const MeasuredSchedule *each : measured)
      schedules.push_back(each->schedule);
    std::vector<Workbench::Compiled> compiled = (*bench)->compile(schedules);
    Race race({/*least=*/10, /*most=*/20, /*tie=*/0.02});
    std::string failure;
    for (Workbench::Compiled &candidate : compiled) {
      if (!candidate) {
        failure = toString(candidate.takeError());
        break;
      }
      race.add([&candidate] { return (*candidate)->sample(); });
    }
    if (failure.empty()) {
      race.run([] { return false; });
      SmallVector<size_t> ties = race.getTies();
      if (!llvm::is_contained(ties, size_t(0)))
        failure = "the cost model's choice is faster";
      else if (llvm::Error error = (*compiled.front())->check())
        failure = toString(std::move(error));
    }
    double now = failure.empty() ? median(race.getRunners()[0].samples) : 0;
    outs() << fmt::format("{:<58} {}\n", problem.describe(),
                          failure.empty()
                              ? fmt::format("{:.4f} ms, was {:.4f} ({:.3f})", now,
                                            entry.winner.median(), now / entry.winner.median())
                              : "does not hold: " + failure);
    wrong += !failure.empty();
  }
  if (wrong)
    return createStringError(
        fmt::format("{} of {} entries do not hold; tune them again with --again", wrong, count));
  return llvm::Error::success();
}

static llvm::Error fitModel() {
  llvm::Expected<std::vector<TuningDatabase>> databases = readDatabases();
  if (!databases)
    return databases.takeError();
  TuningDatabase all;
  std::vector<std::string> chips;
  for (const TuningDatabase &database : *databases)
    all.merge(database);
  for (const TuningEntry &entry : all.entries())
    if (!llvm::is_contained(chips, entry.device.chip))
      chips.push_back(entry.device.chip);
  llvm::Expected<TimeModel> model = fit(all);
  if (!model)
    return model.takeError();
  for (const std::string &chip : chips) {
    Residuals before = judge(TimeModel::ofBuild(), all, chip), after = judge(*model, all, chip);
    outs() << fmt::format(
        "{}: {} times; error {:.1f}%, was {:.1f}%; its first choice is slower than "
        "the best by up to {:.1f}% in 90% of problems (was {:.1f}%), {:.1f}% in all\n",
        chip, after.count, 100 * after.error, 100 * before.error, 100 * after.usualGap,
        100 * before.usualGap, 100 * after.worstGap);
    ChoiceQuality quality = judgeChoices(all, chip);
    outs() << fmt::format(
        "{}: with each of {} problems left out once, the choice by the others and the "
        "model of this build was measured for {}, within 10% of the best for {}, "
        "and at most {:.1f}% slower\n",
        chip, quality.count, quality.known, quality.good, 100 * quality.worstGap);
  }
  return writeToOutput(modelPath, [&](raw_ostream &stream) {
    stream << model->toText();
    return llvm::Error::success();
  });
}

int main(int argc, char **argv) {
  return reportErrors("sfa-tune", [&]() -> llvm::Error {
    if (llvm::Error error = parseCommandLine(argc, argv, overview, category))
      return error;
    if (showCommand)
      return show();
    if (mergeCommand)
      return merge();
    if (diffCommand)
      return diff();
    if (verifyCommand)
      return verify();
    if (fitCommand)
      return fitModel();
    return runSweep();
  });
}
