//===- CpuWorkbench.cpp - Schedules on the threads of this process --------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Parser/Parser.h"
#include "sfa/Passes.h"
#include "sfa/Target/CPU/Executable.h"
#include "sfa/Tuning/Workbench.h"

#include <chrono>

using namespace mlir;
using namespace sfa;
using namespace sfa::tuning;

namespace {

/// Rows that are compared with fp64, of the case itself and of a ragged one.
constexpr int64_t checkedRows = 16, checkedRaggedRows = 128;

struct CpuCandidate : Candidate {
  CpuCandidate(const Case &problem, std::vector<NpyArray> &arguments,
               std::unique_ptr<cpu::Executable> executable)
      : problem(problem), arguments(arguments), executable(std::move(executable)) {}

  static std::vector<BufferRef> references(std::vector<NpyArray> &arrays) {
    std::vector<BufferRef> buffers;
    for (NpyArray &array : arrays)
      buffers.push_back(BufferRef::of(array));
    return buffers;
  }

  llvm::Expected<double> sample() override {
    if (!call) {
      llvm::Expected<cpu::Call> prepared = executable->prepare(references(arguments));
      if (!prepared)
        return prepared.takeError();
      call.emplace(std::move(*prepared));
      // The first call starts threads.
      if (llvm::Error error = (*call)().takeError())
        return std::move(error);
    }
    auto start = std::chrono::steady_clock::now();
    if (llvm::Error error = (*call)().takeError())
      return std::move(error);
    std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
    return time.count();
  }

  llvm::Error check() override {
    auto compare = [&](const Case &one, std::vector<NpyArray> &inputs,
                       int64_t rows) -> llvm::Error {
      llvm::Expected<std::vector<NpyArray>> results = executable->invoke(references(inputs));
      if (!results)
        return results.takeError();
      return one.check(inputs, results->front(), rows, /*seed=*/1);
    };
    Case small = problem.ragged();
    std::vector<NpyArray> inputs = small.makeArguments(/*seed=*/2);
    if (llvm::Error error = compare(small, inputs, checkedRaggedRows))
      return error;
    return compare(problem, arguments, checkedRows);
  }

  const Case &problem;
  std::vector<NpyArray> &arguments;
  std::unique_ptr<cpu::Executable> executable;
  std::optional<cpu::Call> call;
};

class CpuWorkbench : public Workbench {
public:
  const Device &device() const override { return host; }

  llvm::Error start(const Case &problem) override {
    current = problem;
    arguments = problem.makeArguments(/*seed=*/1);
    return llvm::Error::success();
  }

  std::vector<Compiled> compile(ArrayRef<Schedule> schedules) override {
    std::vector<Compiled> compiled;
    for (const Schedule &schedule : schedules)
      compiled.push_back(compileOne(schedule));
    return compiled;
  }

private:
  Compiled compileOne(const Schedule &schedule) {
    DialectRegistry registry;
    registerDialects(registry);
    MLIRContext context(registry, MLIRContext::Threading::DISABLED);
    auto module = parseSourceString<ModuleOp>(current.module(schedule), &context);
    if (!module)
      return llvm::createStringError("the schedule is not valid");
    auto executable = cpu::Executable::compile(*module, "attention");
    if (!executable)
      return executable.takeError();
    return std::make_unique<CpuCandidate>(current, arguments, std::move(*executable));
  }

  Device host = Device::cpu();
  Case current;
  std::vector<NpyArray> arguments;
};

} // namespace

std::unique_ptr<Workbench> tuning::createCpuWorkbench() { return std::make_unique<CpuWorkbench>(); }
