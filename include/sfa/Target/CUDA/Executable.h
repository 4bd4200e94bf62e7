//===- Executable.h - Run compiled functions on a GPU --------------*- C++ -*- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TARGET_CUDA_EXECUTABLE_H
#define SFA_TARGET_CUDA_EXECUTABLE_H

#include "mlir/IR/BuiltinOps.h"
#include "sfa/Target/Signature.h"

#include <memory>

namespace sfa::cuda {

/// A function compiled for a device of this machine, on arrays of the host: what the command line
/// needs. Everything else launches programs by the runtime, on memory of its own.
class Executable {
public:
  /// Compiles the function `entry` of `module` for device `device` and loads it. `chip` is empty for
  /// the best code path of the device.
  static llvm::Expected<std::unique_ptr<Executable>>
  compile(mlir::ModuleOp module, llvm::StringRef entry, int32_t device, llvm::StringRef chip = "");
  ~Executable();

  /// Checks the arguments, copies them to the device, runs the function and copies the results
  /// back.
  llvm::Expected<std::vector<NpyArray>> invoke(llvm::ArrayRef<BufferRef> arguments);

  /// Launches again on the arguments of the last `invoke`, and waits.
  llvm::Error launch();

  /// Such as "NVIDIA H100 (device 0), sm_90a".
  std::string describe() const;

private:
  struct State;
  explicit Executable(std::unique_ptr<State> state);
  std::unique_ptr<State> state;
};

/// The chip whose code runs best on a device: sm_90a where it is one, else sm_80, whose PTX runs on
/// all newer GPUs. Fails for devices that are older.
llvm::Expected<std::string> chooseChip(int32_t device);

} // namespace sfa::cuda

#endif // SFA_TARGET_CUDA_EXECUTABLE_H
