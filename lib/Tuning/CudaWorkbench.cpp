//===- CudaWorkbench.cpp - Schedules on a GPU -----------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Parser/Parser.h"
#include "sfa/Passes.h"
#include "sfa/Target/CUDA/CompiledProgram.h"
#include "sfa/Target/CUDA/DeviceArray.h"
#include "sfa/Target/CUDA/Executable.h"
#include "sfa/Tuning/Workbench.h"
#include "llvm/Support/ThreadPool.h"

#include <chrono>
#include <fmt/format.h>
#include <thread>

using namespace mlir;
using namespace sfa;
using namespace sfa::tuning;
using cuda::DeviceArray, cuda::DeviceBuffer, cuda::toError;

namespace {

/// Rows that are compared with fp64, of the case itself and of a ragged one.
constexpr int64_t checkedRows = 16, checkedRaggedRows = 128;

/// Cleared before each sample: several times the second-level cache of any GPU.
constexpr size_t scratchBytes = size_t(256) << 20;

/// Arguments and results of one call.
struct Arrays {
  std::vector<NpyArray> host;
  std::vector<DeviceArray> arguments, results;

  static std::vector<sfa_tensor> tensors(const std::vector<DeviceArray> &arrays) {
    std::vector<sfa_tensor> list;
    for (const DeviceArray &array : arrays)
      list.push_back(array.tensor());
    return list;
  }

  static llvm::Expected<Arrays> make(int32_t device, const Case &problem, uint64_t seed) {
    Arrays arrays;
    arrays.host = problem.makeArguments(seed);
    for (const NpyArray &array : arrays.host) {
      auto copy = DeviceArray::make(device, array.type, array.shape, array.data.data());
      if (!copy)
        return copy.takeError();
      arrays.arguments.push_back(std::move(*copy));
    }
    std::vector<int64_t> shape{problem.batch, problem.queryHeads, problem.queries};
    auto add = [&](ElementType type) -> llvm::Error {
      auto result = DeviceArray::make(device, type, shape, /*data=*/nullptr);
      if (!result)
        return result.takeError();
      arrays.results.push_back(std::move(*result));
      return llvm::Error::success();
    };
    shape.push_back(problem.valueFeatures);
    if (llvm::Error error = add(problem.element))
      return error;
    shape.pop_back();
    if (problem.lse)
      if (llvm::Error error = add(ElementType::F32))
        return error;
    return std::move(arrays);
  }
};

struct ProgramDeleter {
  void operator()(sfa_program *program) const { sfa_program_destroy(program); }
  void operator()(sfa_timer *timer) const { sfa_timer_destroy(timer); }
};
using OwnedProgram = std::unique_ptr<sfa_program, ProgramDeleter>;
using OwnedTimer = std::unique_ptr<sfa_timer, ProgramDeleter>;

/// What all candidates of a case share.
struct Shared {
  int32_t device;
  double rest;
  Case problem;
  std::optional<Arrays> arrays, ragged;
  std::optional<DeviceBuffer> scratch;
};

class CudaCandidate : public Candidate {
public:
  CudaCandidate(Shared &shared, OwnedProgram program)
      : shared(shared), program(std::move(program)) {}

  llvm::Expected<double> sample() override {
    if (!timer)
      if (llvm::Error error = prepare())
        return std::move(error);
    std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(shared.rest));
    float milliseconds = 0;
    if (llvm::Error error = toError(sfa_timer_sample(timer.get(), shared.scratch->get(),
                                                     shared.scratch->size(), &milliseconds)))
      return std::move(error);
    return milliseconds;
  }

  llvm::Error check() override {
    if (llvm::Error error = compare(shared.problem.ragged(), *shared.ragged, checkedRaggedRows))
      return error;
    return compare(shared.problem, *shared.arrays, checkedRows);
  }

private:
  llvm::Expected<DeviceBuffer> makeWorkspace(const std::vector<sfa_tensor> &arguments) {
    size_t bytes = 0;
    if (llvm::Error error = toError(sfa_program_workspace_bytes(
            program.get(), arguments.data(), static_cast<int32_t>(arguments.size()), &bytes)))
      return error;
    return DeviceBuffer::allocate(shared.device, bytes);
  }

  llvm::Error prepare() {
    std::vector<sfa_tensor> arguments = Arrays::tensors(shared.arrays->arguments),
                            results = Arrays::tensors(shared.arrays->results);
    llvm::Expected<DeviceBuffer> made = makeWorkspace(arguments);
    if (!made)
      return made.takeError();
    workspace.emplace(std::move(*made));
    sfa_timer *created = nullptr;
    if (llvm::Error error = toError(sfa_timer_create(
            program.get(), shared.device, arguments.data(), static_cast<int32_t>(arguments.size()),
            results.data(), static_cast<int32_t>(results.size()), workspace->get(),
            workspace->size(), &created)))
      return error;
    timer.reset(created);
    // The first run makes the graph ready.
    float first = 0;
    return toError(sfa_timer_sample(created, nullptr, 0, &first));
  }

  llvm::Error compare(const Case &problem, Arrays &arrays, int64_t rows) {
    std::vector<sfa_tensor> arguments = Arrays::tensors(arrays.arguments),
                            results = Arrays::tensors(arrays.results);
    llvm::Expected<DeviceBuffer> memory = makeWorkspace(arguments);
    if (!memory)
      return memory.takeError();
    for (DeviceArray &result : arrays.results)
      if (llvm::Error error = result.poison())
        return error;
    if (llvm::Error error = toError(sfa_program_launch(
            program.get(), shared.device, /*stream=*/nullptr, arguments.data(),
            static_cast<int32_t>(arguments.size()), results.data(),
            static_cast<int32_t>(results.size()), memory->get(), memory->size())))
      return error;
    if (llvm::Error error = toError(sfa_synchronize(shared.device)))
      return error;
    llvm::Expected<NpyArray> output = arrays.results.front().read();
    if (!output)
      return output.takeError();
    return problem.check(arrays.host, *output, rows, /*seed=*/1);
  }

  Shared &shared;
  OwnedProgram program;
  std::optional<DeviceBuffer> workspace;
  OwnedTimer timer;
};

class CudaWorkbench : public Workbench {
public:
  static llvm::Expected<std::unique_ptr<Workbench>> create(int32_t device, StringRef chip,
                                                           double rest);

  const Device &device() const override { return description; }
  DeviceKey deviceKey() const override {
    DeviceKey key = DeviceKey::of(description);
    key.watts = watts;
    return key;
  }
  std::string driver() const override { return driverVersion; }
  Conditions conditions() override {
    sfa_device_state_info state;
    if (sfa_device_state(shared.device, &state) != SFA_SUCCESS)
      return {};
    return {std::max<int64_t>(state.multiprocessor_clock_mhz, 0),
            std::max<int64_t>(state.clock_reasons, 0)};
  }

  llvm::Error start(const Case &problem) override {
    shared.arrays.reset();
    shared.ragged.reset();
    shared.problem = problem;
    auto make = [&](std::optional<Arrays> &arrays, const Case &one, uint64_t seed) -> llvm::Error {
      llvm::Expected<Arrays> made = Arrays::make(shared.device, one, seed);
      if (!made)
        return made.takeError();
      arrays.emplace(std::move(*made));
      return llvm::Error::success();
    };
    if (llvm::Error error = make(shared.arrays, problem, /*seed=*/1))
      return error;
    return make(shared.ragged, problem.ragged(), /*seed=*/2);
  }

  std::vector<Compiled> compile(ArrayRef<Schedule> schedules) override {
    std::vector<std::optional<Compiled>> made(schedules.size());
    llvm::DefaultThreadPool pool(llvm::hardware_concurrency());
    for (size_t number = 0; number < schedules.size(); ++number)
      pool.async([&, number] { made[number].emplace(compileOne(schedules[number])); });
    pool.wait();
    std::vector<Compiled> compiled;
    for (std::optional<Compiled> &one : made)
      compiled.push_back(std::move(*one));
    return compiled;
  }

private:
  Compiled compileOne(const Schedule &schedule) {
    DialectRegistry registry;
    registerDialects(registry);
    MLIRContext context(registry, MLIRContext::Threading::DISABLED);
    auto module = parseSourceString<ModuleOp>(shared.problem.module(schedule), &context);
    if (!module)
      return llvm::createStringError("the schedule is not valid");
    llvm::Expected<cuda::CompiledProgram> program =
        cuda::compileProgram(*module, "attention", chip);
    if (!program)
      return program.takeError();
    std::string document = program->toJson();
    sfa_program *loaded = nullptr;
    if (llvm::Error error = toError(sfa_program_load(document.data(), document.size(), &loaded)))
      return std::move(error);
    OwnedProgram owned(loaded);
    if (llvm::Error error = toError(sfa_program_prepare(loaded, shared.device)))
      return std::move(error);
    return std::make_unique<CudaCandidate>(shared, std::move(owned));
  }

  Shared shared;
  Chip chip = llvm::cantFail(Chip::parse("sm_80"));
  Device description;
  std::string driverVersion;
  int64_t watts = 0;
};

} // namespace

llvm::Expected<std::unique_ptr<Workbench>> CudaWorkbench::create(int32_t device, StringRef chip,
                                                                 double rest) {
  auto bench = std::make_unique<CudaWorkbench>();
  bench->shared.device = device;
  bench->shared.rest = rest;
  llvm::Expected<std::string> best = cuda::chooseChip(device);
  if (!best)
    return best.takeError();
  llvm::Expected<Chip> target = Chip::parse(chip.empty() ? StringRef(*best) : chip);
  if (!target)
    return target.takeError();
  bench->chip = *target;
  sfa_device_properties properties;
  if (llvm::Error error = toError(sfa_device_info(device, &properties)))
    return std::move(error);
  bench->description = Device::of(*target);
  bench->description.name = properties.name;
  bench->description.multiprocessors = properties.multiprocessors;
  bench->description.sharedBytesOfMultiprocessor =
      properties.max_shared_bytes_per_block + Device::sharedBytesOfSystem;
  bench->driverVersion =
      fmt::format("{}.{}", properties.driver_version / 1000, properties.driver_version % 1000 / 10);
  sfa_device_state_info state;
  if (sfa_device_state(device, &state) == SFA_SUCCESS && state.power_limit_watts > 0)
    bench->watts = static_cast<int64_t>(state.power_limit_watts + 0.5);
  llvm::Expected<DeviceBuffer> scratch = DeviceBuffer::allocate(device, scratchBytes);
  if (!scratch)
    return scratch.takeError();
  bench->shared.scratch.emplace(std::move(*scratch));
  return std::move(bench);
}

llvm::Expected<std::unique_ptr<Workbench>>
tuning::createCudaWorkbench(int32_t device, StringRef chip, double rest) {
  return CudaWorkbench::create(device, chip, rest);
}
