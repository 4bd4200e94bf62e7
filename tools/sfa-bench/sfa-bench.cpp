//===- sfa-bench.cpp - Compare the strategies on this machine -------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Peak.h"
#include "Report.h"
#include "Workload.h"
#include "sfa/Passes.h"
#include "sfa/Schedule/Choose.h"
#include "sfa/Target/CPU/Executable.h"
#include "sfa/Target/CPU/ParallelFor.h"
#include "tools/Common/CommandLine.h"
#include "tools/Common/Progress.h"
#include "tools/Common/Timing.h"

#include <fmt/format.h>
#include <unistd.h>

using namespace llvm;
using namespace mlir;
using namespace sfa;
using namespace sfa::bench;

static constexpr char overview[] =
    R"(compare the strategies of sparse feature attention on this machine

Times the attention of random codes under every strategy, and under the schedule that the compiler chooses by itself
("chosen"), for every combination of the lists. The strategies take turns, so that all see the same machine.

  GFLOP/s   what dense attention has to do, 2*b*h*n*n*(d+dv), halved by a causal mask, over the time
  x dense   how many times as fast as the fastest row of the strategy dense
  % peak    GFLOP/s over the multiply-adds that this machine reaches in registers on all threads, measured between the
            runs; a strategy that skips work can pass 100

  sfa-bench                                         the standard problem
  sfa-bench --n 1024,4096 --d 64,128 --k 4,8,16     a sweep
  sfa-bench --strategies gather --json gather.json  one strategy, for a program to read

The environment variable SFA_NUM_THREADS sets the number of threads. Exit status: 0, or 1 after an error.
)";

static cl::OptionCategory category("sfa-bench options");

static cl::opt<std::string> target("target", cl::desc("Where to run: cpu (default)"),
                                   cl::value_desc("name"), cl::init("cpu"), cl::cat(category));
static cl::list<std::string> tokenList("n", cl::CommaSeparated,
                                       cl::desc("Numbers of tokens (default 4096)"),
                                       cl::value_desc("list"), cl::cat(category));
static cl::list<std::string> featureList("d", cl::CommaSeparated,
                                         cl::desc("Features of queries and keys (default 128)"),
                                         cl::value_desc("list"), cl::cat(category));
static cl::list<std::string> valueList("dv", cl::CommaSeparated,
                                       cl::desc("Features of values (default: as --d)"),
                                       cl::value_desc("list"), cl::cat(category));
static cl::list<std::string> codesList("k", cl::CommaSeparated,
                                       cl::desc("Non-zeros of a code (default 8); those above d "
                                                "are left out"),
                                       cl::value_desc("list"), cl::cat(category));
static cl::opt<std::string> heads("heads", cl::desc("Heads (default 8)"), cl::value_desc("number"),
                                  cl::init("8"), cl::cat(category));
static cl::opt<std::string> batch("b", cl::desc("Batch (default 1)"), cl::value_desc("number"),
                                  cl::init("1"), cl::cat(category));
static cl::opt<std::string> elementName("dtype", cl::desc("f32 (default), f16 or bf16"),
                                        cl::value_desc("type"), cl::init("f32"), cl::cat(category));
static cl::opt<std::string> maskName("mask", cl::desc("causal (default) or none"),
                                     cl::value_desc("name"), cl::init("causal"), cl::cat(category));
static cl::list<std::string> strategyList("strategies", cl::CommaSeparated,
                                          cl::desc("dense, gather, scatter, sparse_mma (default: "
                                                   "all)"),
                                          cl::value_desc("list"), cl::cat(category));
static cl::list<std::string> softmaxList("softmax", cl::CommaSeparated,
                                         cl::desc("online, lazy (default: online)"),
                                         cl::value_desc("list"), cl::cat(category));
static cl::opt<std::string> repeats("repeats", cl::desc("Timed runs of each row (default 10)"),
                                    cl::value_desc("number"), cl::init("10"), cl::cat(category));
static cl::opt<std::string> seedText("seed", cl::desc("Of the random data (default 1)"),
                                     cl::value_desc("number"), cl::init("1"), cl::cat(category));
static cl::opt<std::string> jsonPath("json", cl::desc("Also write the rows to this file"),
                                     cl::value_desc("file"), cl::cat(category));

/// Enough for all that fits in memory; keeps products of sizes far from overflow.
static constexpr int64_t maxSize = 1 << 22;

namespace {

/// The flags, checked.
struct Plan {
  std::vector<Workload> problems;
  std::vector<Strategy> strategies;
  std::vector<Softmax> softmaxes;
  int64_t numRepeats;
  uint64_t seed;
};

/// One row while it is measured.
struct Candidate {
  Row row;
  std::unique_ptr<cpu::Executable> executable;
  std::optional<cpu::Call> call;
  std::vector<double> times;
};

} // namespace

/// Appends the numbers of a list flag, or the default.
static llvm::Error parseNumbers(const cl::list<std::string> &flag, int64_t otherwise,
                                std::vector<int64_t> &numbers, int64_t max = maxSize) {
  if (flag.empty())
    numbers.push_back(otherwise);
  for (const std::string &text : flag) {
    llvm::Expected<int64_t> number = parseNumber(flag.ArgStr, text, 1, max);
    if (!number)
      return number.takeError();
    numbers.push_back(*number);
  }
  return llvm::Error::success();
}

template <class Enum>
static llvm::Error parseNames(const cl::list<std::string> &flag,
                              llvm::Expected<Enum> (*parse)(StringRef), std::vector<Enum> otherwise,
                              std::vector<Enum> &values) {
  if (flag.empty())
    values = std::move(otherwise);
  for (const std::string &text : flag) {
    llvm::Expected<Enum> value = parse(text);
    if (!value)
      return value.takeError();
    if (!is_contained(values, *value))
      values.push_back(*value);
  }
  return llvm::Error::success();
}

static llvm::Expected<Workload> parseCommon() {
  Workload problem = {};
  struct {
    const cl::opt<std::string> &flag;
    int64_t &size;
  } sizes[] = {{batch, problem.batch}, {heads, problem.heads}};
  for (auto &[flag, size] : sizes) {
    llvm::Expected<int64_t> number = parseNumber(flag.ArgStr, flag, 1, maxSize);
    if (!number)
      return number.takeError();
    size = *number;
  }
  bool isKnown = false;
  for (ElementType type : {ElementType::F32, ElementType::F16, ElementType::BF16})
    if (name(type) == elementName) {
      problem.type = type;
      isKnown = true;
    }
  if (!isKnown)
    return createStringError(fmt::format("--dtype: unknown name '{}'; allowed are f32, f16, bf16",
                                         elementName.getValue()));
  if (maskName != "causal" && maskName != "none")
    return createStringError(
        fmt::format("--mask: unknown name '{}'; allowed are causal, none", maskName.getValue()));
  problem.isCausal = maskName == "causal";
  return problem;
}

static llvm::Expected<Plan> parsePlan() {
  if (llvm::Error error = checkTarget(target, {"cpu"}))
    return error;
  Plan plan;
  llvm::Expected<int64_t> numRepeats = parseNumber("repeats", repeats, 1, 1000000);
  if (!numRepeats)
    return numRepeats.takeError();
  plan.numRepeats = *numRepeats;
  llvm::Expected<int64_t> seed =
      parseNumber("seed", seedText, 0, std::numeric_limits<int64_t>::max());
  if (!seed)
    return seed.takeError();
  plan.seed = *seed;
  if (llvm::Error error = parseNames<Strategy>(
          strategyList, parseStrategy,
          {Strategy::Dense, Strategy::Gather, Strategy::Scatter, Strategy::SparseMma},
          plan.strategies))
    return error;
  if (llvm::Error error =
          parseNames<Softmax>(softmaxList, parseSoftmax, {Softmax::Online}, plan.softmaxes))
    return error;

  llvm::Expected<Workload> problem = parseCommon();
  if (!problem)
    return problem.takeError();
  constexpr int64_t maxFeatures = 65536;
  std::vector<int64_t> tokens, features, codes;
  if (llvm::Error error = parseNumbers(tokenList, 4096, tokens))
    return error;
  if (llvm::Error error = parseNumbers(featureList, 128, features, maxFeatures))
    return error;
  if (llvm::Error error = parseNumbers(codesList, 8, codes, maxFeatures))
    return error;
  for (int64_t n : tokens)
    for (int64_t d : features) {
      std::vector<int64_t> valueFeatures;
      if (llvm::Error error = parseNumbers(valueList, d, valueFeatures, maxFeatures))
        return error;
      for (int64_t dv : valueFeatures)
        for (int64_t k : codes) {
          if (k > d)
            continue;
          problem->tokens = n;
          problem->features = d;
          problem->valueFeatures = dv;
          problem->k = k;
          plan.problems.push_back(*problem);
        }
    }
  if (plan.problems.empty())
    return createStringError("every k of --k is above every d of --d; give a k of at most d");
  return plan;
}

/// The row of `problem` under `strategy` and `softmax`, or under the compiler's choice, compiled.
/// Nothing where the operands do not allow the strategy.
static llvm::Expected<std::optional<Candidate>>
compileCandidate(MLIRContext *context, const Workload &problem, std::optional<Strategy> strategy,
                 std::optional<Softmax> softmax, Progress &progress) {
  OwningOpRef<ModuleOp> module = problem.buildModule(context);
  if (!module)
    return createStringError("cannot parse the module of " + problem.describe());
  auto function = *module->getOps<func::FuncOp>().begin();
  AttentionOp op = *function.getOps<AttentionOp>().begin();
  if (strategy) {
    if (std::string reason = op.whyNot(*strategy); !reason.empty()) {
      progress.note(fmt::format("left out: {} at {}: {}", stringifyStrategy(*strategy).str(),
                                problem.describe(), reason));
      return std::nullopt;
    }
    Schedule given;
    given.strategy = strategy;
    given.softmax = softmax;
    op.setScheduleAttr(ScheduleAttr::get(context, given));
  }
  llvm::Expected<Choice> choice = assignSchedule(op, Problem::of(op), Device::cpu());
  if (!choice)
    return choice.takeError();
  ScheduleAttr schedule = op.getScheduleAttr();

  Candidate candidate;
  candidate.row.problem = problem;
  candidate.row.isChosen = !strategy;
  candidate.row.strategy = stringifyStrategy(*schedule.getStrategy()).str();
  candidate.row.softmax = stringifySoftmax(*schedule.getSoftmax()).str();
  raw_string_ostream(candidate.row.schedule) << schedule;
  progress.show(fmt::format("{}: compile {} {}", problem.describe(), candidate.row.strategy,
                            candidate.row.softmax));
  llvm::Error failed = llvm::Error::success();
  candidate.row.compileMilliseconds = measureMilliseconds([&] {
    if (auto compiled = cpu::Executable::compile(*module, "attention"))
      candidate.executable = std::move(*compiled);
    else
      failed = joinErrors(std::move(failed), compiled.takeError());
  });
  if (failed)
    return std::move(failed);
  return std::move(candidate);
}

/// Fills in the measured part of the rows of one problem.
static llvm::Error measure(std::vector<Candidate> &candidates, const Plan &plan, double flops,
                           const Workload &problem, PeakMeter &peak, Progress &progress) {
  std::vector<double> peaks;
  for (int64_t run = -1; run < plan.numRepeats; ++run) {
    for (Candidate &candidate : candidates) {
      progress.show(fmt::format("{}: run {} of {}, {} {}", problem.describe(), run + 1,
                                plan.numRepeats, candidate.row.strategy, candidate.row.softmax));
      llvm::Error failed = llvm::Error::success();
      double time = measureMilliseconds([&] { failed = (*candidate.call)().takeError(); });
      if (failed)
        return failed;
      // The first round warms up.
      if (run >= 0)
        candidate.times.push_back(time);
    }
    peaks.push_back(peak.measure());
  }
  std::optional<double> dense;
  for (Candidate &candidate : candidates) {
    Row &row = candidate.row;
    row.medianMilliseconds = median(candidate.times);
    row.minMilliseconds = minimum(candidate.times);
    row.gflops = flops / row.medianMilliseconds / 1e6;
    row.peakGflops = median(peaks);
    if (row.strategy == "dense" && !row.isChosen)
      dense = std::min(dense.value_or(row.medianMilliseconds), row.medianMilliseconds);
  }
  if (dense)
    for (Candidate &candidate : candidates)
      candidate.row.ratioToDense = *dense / candidate.row.medianMilliseconds;
  return llvm::Error::success();
}

/// Fails when the data of `problem` do not fit in the memory of the machine.
static llvm::Error checkMemory(const Workload &problem) {
  double rows = static_cast<double>(problem.batch) * problem.heads * problem.tokens;
  // Queries and keys dense and in fp64, one at a time; then values and output, both kept.
  double bytes = rows * (12.0 * std::max(problem.features, problem.valueFeatures) +
                         8.0 * problem.valueFeatures + 12.0 * problem.k);
  double available = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  if (bytes <= 0.75 * available)
    return llvm::Error::success();
  constexpr double gibibyte = 1 << 30;
  return createStringError(fmt::format("{}: its data take {:.1f} GiB, this machine has {:.1f} GiB",
                                       problem.describe(), bytes / gibibyte, available / gibibyte));
}

static llvm::Expected<std::vector<Row>> runProblem(MLIRContext *context, const Workload &problem,
                                                   const Plan &plan, PeakMeter &peak,
                                                   Progress &progress) {
  if (llvm::Error error = checkMemory(problem))
    return error;
  progress.show(problem.describe() + ": make data");
  auto arrays = problem.makeArguments(context, plan.seed);
  if (!arrays)
    return arrays.takeError();
  std::vector<BufferRef> arguments;
  for (NpyArray &array : *arrays)
    arguments.push_back(BufferRef::of(array));

  std::vector<Candidate> candidates;
  auto add = [&](std::optional<Strategy> strategy, std::optional<Softmax> softmax) -> llvm::Error {
    auto candidate = compileCandidate(context, problem, strategy, softmax, progress);
    if (!candidate)
      return candidate.takeError();
    if (!*candidate)
      return llvm::Error::success();
    auto call = (*candidate)->executable->prepare(arguments);
    if (!call)
      return call.takeError();
    (*candidate)->call = std::move(*call);
    candidates.push_back(std::move(**candidate));
    return llvm::Error::success();
  };
  for (Strategy strategy : plan.strategies)
    for (Softmax softmax : plan.softmaxes)
      if (llvm::Error error = add(strategy, softmax))
        return error;
  if (llvm::Error error = add(std::nullopt, std::nullopt))
    return error;

  std::optional<double> flops = candidates.back().executable->signature().denseFlops(arguments);
  if (llvm::Error error = measure(candidates, plan, flops.value_or(0), problem, peak, progress))
    return error;
  std::vector<Row> rows;
  for (Candidate &candidate : candidates)
    rows.push_back(std::move(candidate.row));
  return rows;
}

static llvm::Error run() {
  llvm::Expected<Plan> plan = parsePlan();
  if (!plan)
    return plan.takeError();
  llvm::Expected<unsigned> numThreads = cpu::getNumThreads();
  if (!numThreads)
    return numThreads.takeError();
  llvm::Expected<unsigned> vectorBits = cpu::getVectorBits();
  if (!vectorBits)
    return vectorBits.takeError();

  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry);
  context.printOpOnDiagnostic(false);
  Progress progress;
  llvm::Expected<PeakMeter> peak = PeakMeter::create(&context);
  if (!peak)
    return peak.takeError();
  Setup setup{*numThreads, *vectorBits, plan->seed, plan->numRepeats};
  printHeader(outs(), setup);

  std::vector<Row> rows;
  for (const Workload &problem : plan->problems) {
    llvm::Expected<std::vector<Row>> measured =
        runProblem(&context, problem, *plan, *peak, progress);
    if (!measured)
      return measured.takeError();
    progress.clear();
    printRows(outs(), *measured);
    llvm::append_range(rows, *measured);
  }
  return jsonPath.empty() ? llvm::Error::success() : writeJson(jsonPath, setup, rows);
}

int main(int argc, char **argv) {
  return reportErrors("sfa-bench", [&]() -> llvm::Error {
    if (llvm::Error error = parseCommandLine(argc, argv, overview, category))
      return error;
    return run();
  });
}
