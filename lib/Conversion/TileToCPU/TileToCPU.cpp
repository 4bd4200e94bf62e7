//===- TileToCPU.cpp - Lower kernels over tiles to loops and vectors for the CPU -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "sfa/Passes.h"
#include "llvm/TargetParser/Host.h"

namespace sfa {
#define GEN_PASS_DEF_CONVERTTILETOCPUPASS
#include "sfa/Passes.h.inc"
} // namespace sfa

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;

/// The width of this machine's vector registers.
static unsigned getHostVectorBits() {
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  if (features.lookup("avx512f"))
    return 512;
  return features.lookup("avx2") && features.lookup("fma") ? 256 : 128;
}

/// Diagnoses an operation on tiles that is in no kernel of the outermost module.
static LogicalResult checkNothingLeft(ModuleOp module) {
  auto isTile = [](Type type) { return isa<TileDialect>(type.getDialect()); };
  WalkResult result = module.walk([&](Operation *op) {
    bool hasTiles = isa_and_nonnull<TileDialect>(op->getDialect()) ||
                    llvm::any_of(op->getOperandTypes(), isTile) ||
                    llvm::any_of(op->getResultTypes(), isTile);
    if (auto function = dyn_cast<FunctionOpInterface>(op))
      hasTiles |= llvm::any_of(function.getArgumentTypes(), isTile) ||
                  llvm::any_of(function.getResultTypes(), isTile);
    if (!hasTiles)
      return WalkResult::advance();
    op->emitOpError("works on tiles, but is in no sfa_tile.kernel of the outermost module");
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

namespace {
struct ConvertTileToCPU : sfa::impl::ConvertTileToCPUPassBase<ConvertTileToCPU> {
  using ConvertTileToCPUPassBase::ConvertTileToCPUPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    unsigned bits = vectorBits == 0 ? getHostVectorBits() : vectorBits;
    if (bits != 128 && bits != 256 && bits != 512) {
      module.emitError() << "vector-bits is " << bits
                         << ", allowed are 128, 256, 512, or 0 for this machine";
      return signalPassFailure();
    }
    LLVMTypeConverter types(&getContext());

    // A kernel and its function share a name; the kernel goes when its launches are lowered.
    llvm::DenseMap<StringRef, std::pair<KernelOp, func::FuncOp>> functions;
    SmallVector<KernelOp> kernels(module.getOps<KernelOp>());
    for (KernelOp kernel : kernels) {
      FailureOr<func::FuncOp> function = cpu::KernelLowering(kernel, bits / 32, types).run();
      if (failed(function))
        return signalPassFailure();
      functions[kernel.getSymName()] = {kernel, *function};
    }
    SmallVector<LaunchOp> launches;
    module.walk([&](LaunchOp launch) { launches.push_back(launch); });
    for (LaunchOp launch : launches) {
      if (launch.getNumResults() != 0) {
        launch.emitOpError("is on tensors; bufferize before");
        return signalPassFailure();
      }
      if (!launch->getParentOfType<func::FuncOp>()) {
        launch.emitOpError("has to be in a function");
        return signalPassFailure();
      }
      auto [kernel, function] = functions.lookup(launch.getKernel());
      if (!kernel || kernel->getParentOp() != module) {
        launch.emitOpError("names a kernel that is not in the outermost module");
        return signalPassFailure();
      }
      cpu::lowerLaunch(launch, kernel, function, types);
    }
    for (KernelOp kernel : kernels)
      kernel.erase();
    if (failed(checkNothingLeft(module)))
      signalPassFailure();
  }
};
} // namespace
