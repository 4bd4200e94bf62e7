//===- sfa-run.cpp - Compile a file and run it on arrays ------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Transforms/Passes.h"
#include "sfa/Passes.h"
#include "sfa/Target/CPU/Executable.h"
#include "sfa/Target/CPU/ParallelFor.h"
#include "sfa/Target/CUDA/Executable.h"
#include "tools/Common/CommandLine.h"
#include "tools/Common/Timing.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/ToolOutputFile.h"

#include <fmt/format.h>

using namespace llvm;
using namespace mlir;
using namespace sfa;

static constexpr char overview[] = R"(compile a function in the sfa dialect and run it on arrays

Reads one .npy file for each argument of the function and writes one for each result that --out asks for.
A tensor of codes is two arrays: its values, then its feature indices (u8 for up to 256 features, u16 above).
bf16 arrays are raw two-byte items, as the Python package ml_dtypes stores them.

  cat > attention.mlir <<EOF
  func.func @attention(%q: tensor<1x2x?x64xf32>, %k: tensor<1x2x?x64xf32>, %v: tensor<1x2x?x64xf32>)
      -> (tensor<1x2x?x64xf32>, tensor<1x2x?xf32>) {
    %qc = sfa.sparsify %q : tensor<1x2x?x64xf32> -> tensor<1x2x?x64xf32, #sfa.codes<k = 8>>
    %kc = sfa.sparsify %k : tensor<1x2x?x64xf32> -> tensor<1x2x?x64xf32, #sfa.codes<k = 8>>
    %o, %lse = sfa.attention %qc, %kc, %v mask <causal>
      : tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x64xf32, #sfa.codes<k = 8>>, tensor<1x2x?x64xf32>
      -> tensor<1x2x?x64xf32>, tensor<1x2x?xf32>
    return %o, %lse : tensor<1x2x?x64xf32>, tensor<1x2x?xf32>
  }
  EOF
  python3 -c "import numpy as np; [np.save(x, np.random.randn(1, 2, 300, 64).astype('f4')) for x in 'qkv']"
  sfa-run attention.mlir --arg q.npy --arg k.npy --arg v.npy --out o.npy --out lse.npy --time --print-schedule

The environment variable SFA_NUM_THREADS sets the number of threads. Exit status: 0, or 1 after an error.
)";

static cl::OptionCategory category("sfa-run options");

static cl::opt<std::string> inputPath(cl::Positional, cl::Required, cl::desc("FILE.mlir"),
                                      cl::cat(category));
static cl::opt<std::string> target("target", cl::desc("Where to run: cpu (default) or cuda"),
                                   cl::value_desc("name"), cl::init("cpu"), cl::cat(category));
static cl::list<std::string> argumentPaths("arg",
                                           cl::desc("An argument, in the order of the function; "
                                                    "once for each"),
                                           cl::value_desc("file.npy"), cl::cat(category));
static cl::list<std::string> resultPaths("out",
                                         cl::desc("Where to write a result, in the order of the "
                                                  "function; the last ones may be left out"),
                                         cl::value_desc("file.npy"), cl::cat(category));
static cl::opt<std::string>
    entryName("entry", cl::desc("The function to run (default: the only public one)"),
              cl::value_desc("name"), cl::cat(category));
static cl::opt<std::string>
    strategyName("strategy",
                 cl::desc("For every sfa.attention, in place of its own or "
                          "the compiler's choice: dense, gather, scatter or "
                          "sparse_mma"),
                 cl::value_desc("name"), cl::cat(category));
static cl::opt<std::string> softmaxName("softmax", cl::desc("Likewise: online or lazy"),
                                        cl::value_desc("name"), cl::cat(category));
static cl::opt<std::string> queryTile("q-tile", cl::desc("Likewise: queries in a tile"),
                                      cl::value_desc("n"), cl::cat(category));
static cl::opt<std::string> keyTile("k-tile", cl::desc("Likewise: keys in a tile"),
                                    cl::value_desc("n"), cl::cat(category));
static cl::opt<std::string> splitsFlag("splits", cl::desc("Likewise: shares of the keys"),
                                       cl::value_desc("n"), cl::cat(category));
static cl::opt<std::string>
    packedHeadsFlag("packed-heads", cl::desc("Likewise: query heads that share a query tile"),
                    cl::value_desc("n"), cl::cat(category));
static cl::opt<std::string> cpuName("cpu",
                                    cl::desc("Compile for this processor, by LLVM's name, such as "
                                             "x86-64-v3 (default: this one)"),
                                    cl::value_desc("name"), cl::cat(category));
static cl::opt<std::string> chipName("chip",
                                     cl::desc("With --target=cuda: compile for this GPU, such as "
                                              "sm_80 (default: the best for the device)"),
                                     cl::value_desc("name"), cl::cat(category));
static cl::opt<std::string> deviceNumber("device",
                                         cl::desc("With --target=cuda: the device (default 0)"),
                                         cl::value_desc("number"), cl::init("0"),
                                         cl::cat(category));
static cl::opt<std::string> timedRuns("time", cl::ValueOptional,
                                      cl::desc("Print the time of the compilation and of n runs "
                                               "(default 10) after one that is not counted"),
                                      cl::value_desc("n"), cl::cat(category));
static cl::opt<bool> printSchedule("print-schedule",
                                   cl::desc("Print the schedule of every sfa.attention"),
                                   cl::cat(category));

static llvm::Expected<OwningOpRef<ModuleOp>> parseModule(SourceMgr &sources, MLIRContext *context) {
  std::string message;
  std::unique_ptr<MemoryBuffer> buffer = openInputFile(inputPath, &message);
  if (!buffer)
    return createStringError(message);
  sources.AddNewSourceBuffer(std::move(buffer), SMLoc());
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(sources, context);
  if (!module)
    return createStringError(fmt::format("{} is not a valid module", inputPath.getValue()));
  return std::move(module);
}

static llvm::Expected<func::FuncOp> findEntry(ModuleOp module) {
  std::string names;
  func::FuncOp only;
  unsigned count = 0;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (!function.isPublic() || function.isExternal())
      continue;
    if (function.getName() == entryName)
      return function;
    names += (count++ ? ", @" : "@") + function.getName().str();
    only = function;
  }
  if (count == 0)
    return createStringError(
        fmt::format("{} has no public function with a body", inputPath.getValue()));
  if (!entryName.empty())
    return createStringError(fmt::format("--entry: {} has no public function @{}; it has {}",
                                         inputPath.getValue(), entryName.getValue(), names));
  if (count > 1)
    return createStringError(fmt::format("{} has {} public functions; choose one with --entry: {}",
                                         inputPath.getValue(), count, names));
  return only;
}

/// Puts the parameters that the flags give into the schedule of every sfa.attention.
static llvm::Error overrideSchedules(ModuleOp module) {
  Schedule flags;
  if (strategyName.getNumOccurrences()) {
    llvm::Expected<Strategy> parsed = parseStrategy(strategyName);
    if (!parsed)
      return parsed.takeError();
    flags.strategy = *parsed;
  }
  if (softmaxName.getNumOccurrences()) {
    llvm::Expected<Softmax> parsed = parseSoftmax(softmaxName);
    if (!parsed)
      return parsed.takeError();
    flags.softmax = *parsed;
  }
  for (auto [flag, number] :
       {std::pair(&queryTile, &flags.qTile), std::pair(&keyTile, &flags.kTile),
        std::pair(&splitsFlag, &flags.splits), std::pair(&packedHeadsFlag, &flags.packedHeads)}) {
    if (!flag->getNumOccurrences())
      continue;
    llvm::Expected<int64_t> parsed = parseNumber(flag->ArgStr, *flag, 1, 1 << 20);
    if (!parsed)
      return parsed.takeError();
    *number = *parsed;
  }
  if (flags == Schedule())
    return llvm::Error::success();

  unsigned count = 0;
  bool isValid = true;
  module.walk([&](AttentionOp op) {
    ++count;
    auto emitError = [&] { return op.emitOpError(); };
    isValid &= succeeded(ScheduleAttr::verify(emitError, flags));
    if (!isValid)
      return;
    auto schedule = ScheduleAttr::get(op.getContext(), flags);
    ScheduleAttr given = op.getScheduleAttr();
    op.setScheduleAttr(given ? schedule.orElse(given) : schedule);
  });
  if (count == 0)
    return createStringError(fmt::format(
        "{} has no sfa.attention for --strategy, --softmax, --q-tile, --k-tile, --splits and "
        "--packed-heads to apply to",
        inputPath.getValue()));
  if (!isValid || failed(verify(module)))
    return createStringError("the schedule of the flags does not fit");
  return llvm::Error::success();
}

static llvm::Error printSchedules(ModuleOp module, const std::string &chip) {
  OwningOpRef<ModuleOp> copy = module.clone();
  PassManager manager(copy->getContext());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createSFAAssignSchedulePass({chip, /*explain=*/false, /*shapes=*/{}}));
  if (failed(manager.run(*copy)))
    return createStringError("cannot choose the schedules");
  SmallVector<AttentionOp> attentions;
  copy->walk([&](AttentionOp op) { attentions.push_back(op); });
  for (AttentionOp op : attentions) {
    // Of several, each with its place in the file.
    outs() << "schedule";
    if (auto place = op.getLoc()->findInstanceOf<FileLineColLoc>(); place && attentions.size() > 1)
      outs() << " of " << place.getFilename().getValue() << ':' << place.getLine() << ':'
             << place.getColumn();
    outs() << ": " << op.getScheduleAttr() << '\n';
  }
  return llvm::Error::success();
}

static void printTimes(double compileMilliseconds, const std::vector<double> &times,
                       const std::string &where, std::optional<double> flops) {
  outs() << fmt::format("compile: {:.1f} ms\n", compileMilliseconds)
         << fmt::format("time: median {:.3f} ms, min {:.3f} ms, {} runs, {}\n", median(times),
                        minimum(times), times.size(), where);
  if (flops)
    outs() << fmt::format("speed: {:.2f} GFLOP/s dense-equivalent\n", *flops / median(times) / 1e6);
}

/// A function of a module, and what the flags say about its arguments and results.
struct Job {
  ModuleOp module;
  StringRef entry;
  std::vector<BufferRef> arguments;
  int64_t numRuns;
  std::optional<double> flops;
};

static llvm::Error writeResults(ArrayRef<NpyArray> results) {
  for (auto [path, result] : llvm::zip(resultPaths, results))
    if (llvm::Error error = writeNpy(path, result))
      return error;
  return llvm::Error::success();
}

/// Compiles by `compile`, an expected pointer, and says how long it took.
template <class Compile>
static auto compileTimed(double &milliseconds, Compile compile) {
  std::optional<decltype(compile())> executable;
  milliseconds = measureMilliseconds([&] { executable.emplace(compile()); });
  return std::move(*executable);
}

static llvm::Error runOnCPU(const Job &job) {
  double compileMilliseconds = 0;
  auto executable = compileTimed(compileMilliseconds, [&] {
    return cpu::Executable::compile(job.module, job.entry, {cpuName});
  });
  if (!executable)
    return executable.takeError();
  llvm::Expected<cpu::Call> call = (*executable)->prepare(job.arguments);
  if (!call)
    return call.takeError();
  llvm::Expected<std::vector<NpyArray>> results = (*call)();
  if (!results)
    return results.takeError();
  if (llvm::Error error = writeResults(*results))
    return error;
  results->clear();
  if (!job.numRuns)
    return llvm::Error::success();
  llvm::Expected<unsigned> numThreads = cpu::getNumThreads();
  if (!numThreads)
    return numThreads.takeError();
  std::vector<double> times;
  for (int64_t run = 0; run < job.numRuns; ++run) {
    llvm::Error error = llvm::Error::success();
    times.push_back(measureMilliseconds([&] { error = (*call)().takeError(); }));
    if (error)
      return error;
  }
  printTimes(compileMilliseconds, times, fmt::format("{} threads", *numThreads), job.flops);
  return llvm::Error::success();
}

static llvm::Error runOnCUDA(const Job &job, int32_t device) {
  double compileMilliseconds = 0;
  auto executable = compileTimed(compileMilliseconds, [&] {
    return cuda::Executable::compile(job.module, job.entry, device, chipName);
  });
  if (!executable)
    return executable.takeError();
  auto results = (*executable)->invoke(job.arguments);
  if (!results)
    return results.takeError();
  if (llvm::Error error = writeResults(*results))
    return error;
  std::vector<double> times;
  for (int64_t run = 0; run < job.numRuns; ++run) {
    llvm::Error error = llvm::Error::success();
    times.push_back(measureMilliseconds([&] { error = (*executable)->launch(); }));
    if (error)
      return error;
  }
  // From the launch to the end of the wait, on the clock of the host.
  if (job.numRuns)
    printTimes(compileMilliseconds, times, (*executable)->describe(), job.flops);
  return llvm::Error::success();
}

/// Fails when a result would overwrite another.
static llvm::Error checkResultPaths() {
  llvm::StringMap<std::string> files;
  for (const std::string &path : resultPaths) {
    SmallString<128> absolute;
    // A file that is not there yet has no links to follow.
    if (sys::fs::real_path(path, absolute)) {
      absolute = path;
      (void)sys::fs::make_absolute(absolute);
      sys::path::remove_dots(absolute, /*remove_dot_dot=*/true);
    }
    auto [other, isNew] = files.try_emplace(absolute, path);
    if (!isNew)
      return createStringError(fmt::format("--out={} and --out={} are the same file; give each "
                                           "result a file of its own",
                                           other->second, path));
  }
  return llvm::Error::success();
}

static llvm::Error run() {
  if (llvm::Error error = checkTarget(target, {"cpu", "cuda"}))
    return error;
  bool isCuda = target == "cuda";
  if (!isCuda && (chipName.getNumOccurrences() || deviceNumber.getNumOccurrences()))
    return createStringError("--chip and --device are for --target=cuda");
  if (isCuda && cpuName.getNumOccurrences())
    return createStringError("--cpu is for --target=cpu");
  llvm::Expected<int64_t> device = parseNumber("device", deviceNumber, 0, 1023);
  if (!device)
    return device.takeError();
  int64_t numRuns = 0;
  if (timedRuns.getNumOccurrences()) {
    llvm::Expected<int64_t> parsed =
        parseNumber("time", timedRuns.empty() ? "10" : timedRuns.getValue(), 1, 1000000);
    if (!parsed)
      return parsed.takeError();
    numRuns = *parsed;
  }

  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry);
  context.printOpOnDiagnostic(false);
  SourceMgr sources;
  SourceMgrDiagnosticHandler diagnostics(sources, &context);
  llvm::Expected<OwningOpRef<ModuleOp>> module = parseModule(sources, &context);
  if (!module)
    return module.takeError();
  llvm::Expected<func::FuncOp> entry = findEntry(**module);
  if (!entry)
    return entry.takeError();
  if (llvm::Error error = overrideSchedules(**module))
    return error;

  // All that can be wrong with the files comes before the compilation.
  llvm::Expected<Signature> signature = Signature::of(*entry);
  if (!signature)
    return signature.takeError();
  if (resultPaths.size() > signature->results().size())
    return createStringError(fmt::format("--out given {} times, @{} has {} results",
                                         resultPaths.size(), entry->getName().str(),
                                         signature->results().size()));
  if (llvm::Error error = checkResultPaths())
    return error;
  std::vector<NpyArray> arrays;
  std::vector<BufferRef> arguments;
  for (const std::string &path : argumentPaths) {
    llvm::Expected<NpyArray> array = readNpy(path);
    if (!array)
      return array.takeError();
    arrays.push_back(std::move(*array));
  }
  for (NpyArray &array : arrays)
    arguments.push_back(BufferRef::of(array));
  if (llvm::Error error = signature->check(arguments))
    return error;
  // The schedules of a GPU depend on its chip: no device is asked where the flags name one.
  std::string chip = chipName;
  if (isCuda && printSchedule && chip.empty()) {
    llvm::Expected<std::string> best = cuda::chooseChip(static_cast<int32_t>(*device));
    if (!best)
      return best.takeError();
    chip = *best;
  }
  if (printSchedule)
    if (llvm::Error error = printSchedules(**module, chip))
      return error;
  Job job{**module, entry->getName(), arguments, numRuns, signature->denseFlops(arguments)};
  return isCuda ? runOnCUDA(job, static_cast<int32_t>(*device)) : runOnCPU(job);
}

/// LLVM takes the value of a flag that needs none only behind "=". Here `--time 5` is `--time=5`.
static std::vector<char *> joinTime(int argc, char **argv, std::string &joined) {
  std::vector<char *> arguments(argv, argv + argc);
  for (size_t at = 1; at + 1 < arguments.size(); ++at) {
    StringRef flag = arguments[at], value = arguments[at + 1];
    if (flag.ltrim('-') != timedRuns.ArgStr || flag.empty() || flag.front() != '-' ||
        value.empty() || value.find_first_not_of("0123456789") != StringRef::npos)
      continue;
    joined = (flag + "=" + value).str();
    arguments[at] = joined.data();
    arguments.erase(arguments.begin() + static_cast<ptrdiff_t>(at) + 1);
    break;
  }
  return arguments;
}

int main(int argc, char **argv) {
  return reportErrors("sfa-run", [&]() -> llvm::Error {
    std::string joined;
    std::vector<char *> arguments = joinTime(argc, argv, joined);
    if (llvm::Error error = parseCommandLine(static_cast<int>(arguments.size()), arguments.data(),
                                             overview, category))
      return error;
    return run();
  });
}
