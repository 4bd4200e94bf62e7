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
#include "sfa/runtime.h"

#include <fmt/format.h>

using namespace mlir;
using namespace sfa;
using namespace sfa::cuda;

static llvm::Error check(sfa_status status) {
  return status == SFA_SUCCESS ? llvm::Error::success()
                               : llvm::createStringError(std::string(sfa_last_error()));
}

llvm::Expected<std::string> sfa::cuda::chooseChip(int32_t device) {
  sfa_device_properties properties;
  if (llvm::Error error = check(sfa_device_info(device, &properties)))
    return error;
  if (properties.capability_major < 8)
    return llvm::createStringError(
        fmt::format("device {} ({}) has compute capability {}.{}; FlashSFA needs 8.0 or later",
                    device, properties.name, properties.capability_major,
                    properties.capability_minor));
  bool isHopper = properties.capability_major == 9 && properties.capability_minor == 0;
  return std::string(isHopper ? "sm_90a" : "sm_80");
}

static int32_t toDtype(ElementType type) {
  switch (type) {
  case ElementType::F16:
    return SFA_DTYPE_F16;
  case ElementType::BF16:
    return SFA_DTYPE_BF16;
  case ElementType::F32:
    return SFA_DTYPE_F32;
  case ElementType::I8:
    return SFA_DTYPE_I8;
  case ElementType::U8:
    return SFA_DTYPE_U8;
  case ElementType::U16:
    return SFA_DTYPE_U16;
  case ElementType::I32:
    return SFA_DTYPE_I32;
  case ElementType::I64:
    return SFA_DTYPE_I64;
  case ElementType::F64:
    return SFA_DTYPE_F64;
  }
  return 0;
}

namespace {
/// Memory of a device.
class DeviceBuffer {
public:
  static llvm::Expected<DeviceBuffer> allocate(int32_t device, size_t bytes) {
    void *data = nullptr;
    if (llvm::Error error = check(sfa_memory_allocate(device, bytes, &data)))
      return error;
    return DeviceBuffer(device, data);
  }
  DeviceBuffer(DeviceBuffer &&other) : device(other.device), data(other.data) {
    other.data = nullptr;
  }
  ~DeviceBuffer() { sfa_memory_free(device, data); }
  void *get() const { return data; }

private:
  DeviceBuffer(int32_t device, void *data) : device(device), data(data) {}
  int32_t device;
  void *data;
};
} // namespace

struct Executable::State {
  int32_t device;
  std::string chip;
  Signature signature;
  sfa_program *program = nullptr;

  // Of the last call.
  std::vector<DeviceBuffer> buffers;
  std::vector<std::vector<int64_t>> shapes;
  std::vector<double> numbers;
  std::vector<sfa_tensor> arguments, results;
  void *workspace = nullptr;
  size_t workspaceBytes = 0;

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
          check(sfa_program_load(document.data(), document.size(), &state->program)))
    return error;
  if (llvm::Error error = check(sfa_program_prepare(state->program, device)))
    return error;
  return std::unique_ptr<Executable>(new Executable(std::move(state)));
}

llvm::Expected<std::vector<NpyArray>> Executable::invoke(ArrayRef<BufferRef> arguments) {
  if (llvm::Error error = state->signature.check(arguments))
    return error;
  state->buffers.clear();
  state->shapes.clear();
  state->numbers.clear();
  state->numbers.reserve(arguments.size());
  state->arguments.clear();
  state->results.clear();
  size_t numResults = state->signature.results().size();
  state->shapes.reserve(arguments.size() + numResults);
  auto add = [&](ElementType type, std::vector<int64_t> shape,
                 const void *data) -> llvm::Expected<sfa_tensor> {
    size_t bytes = sizeInBytes(type);
    for (int64_t size : shape)
      bytes *= static_cast<size_t>(size);
    auto buffer = DeviceBuffer::allocate(state->device, bytes);
    if (!buffer)
      return buffer.takeError();
    if (data)
      if (llvm::Error error = check(sfa_memory_copy(state->device, buffer->get(), data, bytes)))
        return error;
    state->shapes.push_back(std::move(shape));
    sfa_tensor tensor = {buffer->get(), toDtype(type),
                         static_cast<int32_t>(state->shapes.back().size()),
                         state->shapes.back().data(), nullptr};
    state->buffers.push_back(std::move(*buffer));
    return tensor;
  };
  for (auto [parameter, argument] : llvm::zip_equal(state->signature.arguments(), arguments)) {
    if (parameter.isNumber) {
      state->numbers.push_back(*static_cast<const double *>(argument.data));
      state->arguments.push_back({&state->numbers.back(), SFA_DTYPE_F64, 0, nullptr, nullptr});
      continue;
    }
    auto tensor = add(argument.type, argument.shape, argument.data);
    if (!tensor)
      return tensor.takeError();
    state->arguments.push_back(*tensor);
  }
  auto numArguments = static_cast<int32_t>(arguments.size());
  for (size_t i = 0; i < numResults; ++i) {
    sfa_tensor_type type;
    if (llvm::Error error =
            check(sfa_program_result_for(state->program, state->arguments.data(), numArguments,
                                         static_cast<int32_t>(i), &type)))
      return error;
    auto tensor = add(state->signature.results()[i].type,
                      std::vector<int64_t>(type.shape, type.shape + type.rank), nullptr);
    if (!tensor)
      return tensor.takeError();
    state->results.push_back(*tensor);
  }
  if (llvm::Error error =
          check(sfa_program_workspace_bytes(state->program, state->arguments.data(), numArguments,
                                            &state->workspaceBytes)))
    return error;
  auto workspace = DeviceBuffer::allocate(state->device, state->workspaceBytes);
  if (!workspace)
    return workspace.takeError();
  state->workspace = workspace->get();
  state->buffers.push_back(std::move(*workspace));
  if (llvm::Error error = launch())
    return error;

  std::vector<NpyArray> arrays;
  for (size_t i = 0; i < numResults; ++i) {
    NpyArray array = NpyArray::zeros(state->signature.results()[i].type,
                                     state->shapes[arguments.size() + i]);
    if (llvm::Error error = check(sfa_memory_copy(state->device, array.data.data(),
                                                  state->results[i].data, array.data.size())))
      return error;
    arrays.push_back(std::move(array));
  }
  return arrays;
}

llvm::Error Executable::launch() {
  if (llvm::Error error = check(sfa_program_launch(
          state->program, state->device, nullptr, state->arguments.data(),
          static_cast<int32_t>(state->arguments.size()), state->results.data(),
          static_cast<int32_t>(state->results.size()), state->workspace, state->workspaceBytes)))
    return error;
  return check(sfa_synchronize(state->device));
}

std::string Executable::describe() const {
  sfa_device_properties properties;
  std::string name =
      sfa_device_info(state->device, &properties) == SFA_SUCCESS ? properties.name : "GPU";
  return fmt::format("{} (device {}), {}", name, state->device, state->chip);
}
