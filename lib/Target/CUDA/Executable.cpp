//===- Executable.cpp - Run compiled functions on a GPU ----------------------- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Target/CUDA/Executable.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "sfa/Support/Knobs.h"
#include "sfa/Target/CUDA/CompiledProgram.h"
#include "sfa/Target/CUDA/DeviceArray.h"

#include <fmt/format.h>

using namespace mlir;
using namespace sfa;
using namespace sfa::cuda;

llvm::Expected<std::string> sfa::cuda::chooseChip(int32_t device) {
  sfa_device_properties properties;
  if (llvm::Error error = toError(sfa_device_info(device, &properties)))
    return error;
  if (properties.capability_major < 8)
    return llvm::createStringError(
        fmt::format("device {} ({}) has compute capability {}.{}; FlashSFA needs 8.0 or later",
                    device, properties.name, properties.capability_major,
                    properties.capability_minor));
  bool isHopper = properties.capability_major == 9 && properties.capability_minor == 0;
  return std::string(isHopper ? "sm_90a" : "sm_80");
}

struct Executable::State {
  int32_t device;
  std::string chip;
  Signature signature;
  sfa_program *program = nullptr;

  // Of the last call.
  std::vector<DeviceArray> arrays, outputs;
  std::vector<double> numbers;
  std::vector<sfa_tensor> arguments, results;
  std::optional<DeviceBuffer> workspace;

  ~State() { sfa_program_destroy(program); }
};

Executable::Executable(std::unique_ptr<State> state) : state(std::move(state)) {}
Executable::~Executable() = default;

llvm::Expected<std::unique_ptr<Executable>> Executable::compile(ModuleOp module, StringRef entry,
                                                                int32_t device, StringRef chip) {
  auto state = std::make_unique<State>();
  state->device = device;
  // A machine without a GPU is found before anything is compiled.
  llvm::Expected<std::string> best = chooseChip(device);
  if (!best)
    return best.takeError();
  state->chip = chip.empty() ? *best : chip.str();
  llvm::Expected<Chip> target = Chip::parse(state->chip);
  if (!target)
    return target.takeError();
  auto function = module.lookupSymbol<func::FuncOp>(entry);
  if (!function)
    return llvm::createStringError(fmt::format("the module has no function @{}", entry.str()));
  llvm::Expected<Signature> signature = Signature::of(function);
  if (!signature)
    return signature.takeError();
  state->signature = std::move(*signature);
  llvm::Expected<CompiledProgram> program = compileProgram(module, entry, *target);
  if (!program)
    return program.takeError();
  std::string document = program->toJson();
  if (llvm::Error error =
          toError(sfa_program_load(document.data(), document.size(), &state->program)))
    return error;
  if (llvm::Error error = toError(sfa_program_prepare(state->program, device)))
    return error;
  return std::unique_ptr<Executable>(new Executable(std::move(state)));
}

llvm::Expected<std::vector<NpyArray>> Executable::invoke(ArrayRef<BufferRef> arguments) {
  if (llvm::Error error = state->signature.check(arguments))
    return error;
  state->arrays.clear();
  state->outputs.clear();
  state->numbers.clear();
  state->numbers.reserve(arguments.size());
  state->arguments.clear();
  state->results.clear();
  for (auto [parameter, argument] : llvm::zip_equal(state->signature.arguments(), arguments)) {
    if (parameter.isNumber) {
      state->numbers.push_back(*static_cast<const double *>(argument.data));
      state->arguments.push_back({&state->numbers.back(), SFA_DTYPE_F64, 0, nullptr, nullptr});
      continue;
    }
    auto array = DeviceArray::make(state->device, argument.type, argument.shape, argument.data);
    if (!array)
      return array.takeError();
    state->arrays.push_back(std::move(*array));
    state->arguments.push_back(state->arrays.back().tensor());
  }
  auto numArguments = static_cast<int32_t>(arguments.size());
  for (auto [number, result] : llvm::enumerate(state->signature.results())) {
    sfa_tensor_type type;
    if (llvm::Error error =
            toError(sfa_program_result_for(state->program, state->arguments.data(), numArguments,
                                           static_cast<int32_t>(number), &type)))
      return error;
    auto array = DeviceArray::make(state->device, result.type, {type.shape, type.shape + type.rank},
                                   /*data=*/nullptr);
    if (!array)
      return array.takeError();
    state->outputs.push_back(std::move(*array));
    state->results.push_back(state->outputs.back().tensor());
  }
  size_t workspaceBytes = 0;
  if (llvm::Error error = toError(sfa_program_workspace_bytes(
          state->program, state->arguments.data(), numArguments, &workspaceBytes)))
    return error;
  auto workspace = DeviceBuffer::allocate(state->device, workspaceBytes);
  if (!workspace)
    return workspace.takeError();
  state->workspace.emplace(std::move(*workspace));
  if (llvm::Error error = launch())
    return error;

  std::vector<NpyArray> arrays;
  for (const DeviceArray &output : state->outputs) {
    auto array = output.read();
    if (!array)
      return array.takeError();
    arrays.push_back(std::move(*array));
  }
  return arrays;
}

llvm::Error Executable::launch() {
  if (llvm::Error error = toError(
          sfa_program_launch(state->program, state->device, nullptr, state->arguments.data(),
                             static_cast<int32_t>(state->arguments.size()), state->results.data(),
                             static_cast<int32_t>(state->results.size()), state->workspace->get(),
                             state->workspace->size())))
    return error;
  return toError(sfa_synchronize(state->device));
}

std::string Executable::describe() const {
  sfa_device_properties properties;
  std::string name =
      sfa_device_info(state->device, &properties) == SFA_SUCCESS ? properties.name : "GPU";
  return fmt::format("{} (device {}), {}", name, state->device, state->chip);
}
