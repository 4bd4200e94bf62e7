//===- TileToNVVM.cpp - Lower kernels over tiles to threads of a GPU ---------- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../GPUToNVVM/GPUToNVVM.h"
#include "KernelLowering.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/SymbolTable.h"
#include "sfa/Passes.h"

namespace sfa {
#define GEN_PASS_DEF_CONVERTTILETONVVMPASS
#include "sfa/Passes.h.inc"
} // namespace sfa

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;

static constexpr StringLiteral kernelModuleName = "sfa_kernels";

namespace {

struct LoweredKernel {
  LLVM::LLVMFuncOp function;
  sfa::gpu::KernelResources resources;
  /// Memories whose rows are read or written in pieces of 16 bytes.
  SmallVector<int64_t> alignedMemories;
};

/// Those of dense tiles: on every path some rows are loaded 16 bytes at a time, and a result takes
/// what a later kernel may load. Codes have rows of any length.
template <class Kernel>
static SmallVector<int64_t> findAlignedMemories(Kernel kernel) {
  SmallVector<int64_t> found;
  for (auto [number, memory] : llvm::enumerate(kernel.getMemories()))
    if (cast<MemRefType>(memory.getType()).getRank() == 4 &&
        llvm::any_of(memory.getUsers(), llvm::IsaPred<LoadOp, StoreOp, CombineOp, simt::CopyOp,
                                                      simt::CopyByThreadsOp, simt::StoreOp>))
      found.push_back(static_cast<int64_t>(number));
  return found;
}

struct ConvertTileToNVVM : sfa::impl::ConvertTileToNVVMPassBase<ConvertTileToNVVM> {
  using ConvertTileToNVVMPassBase::ConvertTileToNVVMPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    llvm::Expected<Chip> target = Chip::parse(chip);
    if (!target) {
      module.emitError() << llvm::toString(target.takeError());
      return signalPassFailure();
    }
    SmallVector<KernelOp> kernels(module.getOps<KernelOp>());
    SmallVector<Operation *> all;
    for (Operation &op : *module.getBody())
      if (isa<KernelOpInterface>(op))
        all.push_back(&op);
    if (all.empty())
      return;

    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    auto container = ::mlir::gpu::GPUModuleOp::create(builder, module.getLoc(), kernelModuleName);
    SymbolTable(module).insert(container);
    auto nvvmTarget = NVVM::NVVMTargetAttr::get(&getContext(), /*O=*/2, "nvptx64-nvidia-cuda",
                                                target->name, target->ptxFeature());
    container.setTargetsAttr(builder.getArrayAttr(nvvmTarget));
    module->setAttr(::mlir::gpu::GPUDialect::getContainerModuleAttrName(), builder.getUnitAttr());

    llvm::StringMap<LoweredKernel> lowered;
    for (Operation *op : all) {
      auto name = cast<SymbolOpInterface>(op).getNameAttr();
      auto kernel = dyn_cast<KernelOp>(op);
      FailureOr<LoweredKernel> done = kernel
                                          ? lowerTiles(kernel, container, *target)
                                          : lowerBlock(cast<simt::KernelOp>(op), container, *target);
      if (failed(done))
        return signalPassFailure();
      lowered[name] = *done;
    }
    SmallVector<LaunchOp> launches;
    module.walk([&](LaunchOp launch) { launches.push_back(launch); });
    for (LaunchOp launch : launches) {
      if (launch.getNumResults() != 0) {
        launch.emitOpError("is on tensors; bufferize before");
        return signalPassFailure();
      }
      auto found = lowered.find(launch.getKernel());
      if (found == lowered.end()) {
        launch.emitOpError("names a kernel that is not in the outermost module");
        return signalPassFailure();
      }
      lowerLaunch(launch, container, found->second);
    }
    for (KernelOp kernel : kernels)
      kernel.erase();
  }

  /// A kernel over tiles becomes a function in `container`; the kernel stays.
  static FailureOr<LoweredKernel> lowerTiles(KernelOp kernel, ::mlir::gpu::GPUModuleOp container,
                                             const Chip &chip) {
    sfa::gpu::KernelLowering lowering(kernel, chip);
    FailureOr<LLVM::LLVMFuncOp> function = lowering.run(container.getBody());
    if (failed(function))
      return failure();
    return LoweredKernel{*function, lowering.getResources(), findAlignedMemories(kernel)};
  }

  /// The program of a block moves to `container` and becomes a function.
  static FailureOr<LoweredKernel> lowerBlock(simt::KernelOp kernel,
                                             ::mlir::gpu::GPUModuleOp container,
                                             const Chip &chip) {
    SmallVector<int64_t> aligned = findAlignedMemories(kernel);
    kernel->moveBefore(container.getBody(), container.getBody()->end());
    FailureOr<simt::KernelResources> found = simt::lowerKernel(kernel, chip);
    if (failed(found))
      return failure();
    sfa::gpu::KernelResources resources;
    resources.numThreads = found->numThreads;
    resources.sharedBytes = found->sharedBytes;
    resources.isPersistent = found->isPersistent;
    for (size_t i = 0; i + 2 < found->tensorMaps.size(); i += 3)
      resources.tensorMaps.push_back({static_cast<unsigned>(found->tensorMaps[i]),
                                      found->tensorMaps[i + 1], found->tensorMaps[i + 2]});
    auto function = SymbolTable(container).lookup<LLVM::LLVMFuncOp>(found->name);
    return LoweredKernel{function, resources, aligned};
  }

  static void lowerLaunch(LaunchOp launch, ::mlir::gpu::GPUModuleOp container,
                          LoweredKernel kernel) {
    ImplicitLocOpBuilder builder(launch.getLoc(), launch);
    auto index = [&](int64_t value) -> Value {
      return arith::ConstantIndexOp::create(builder, value);
    };
    ::mlir::gpu::KernelDim3 grid{launch.getGridTile(), launch.getGridHead(),
                                 launch.getGridBatch()};
    ::mlir::gpu::KernelDim3 block{index(kernel.resources.numThreads), index(1), index(1)};
    Value shared = arith::ConstantIntOp::create(builder, builder.getI32Type(),
                                                kernel.resources.sharedBytes);
    auto symbol = SymbolRefAttr::get(container.getSymNameAttr(),
                                     FlatSymbolRefAttr::get(kernel.function.getSymNameAttr()));
    SmallVector<Value> memories(launch.getInputs());
    llvm::append_range(memories, launch.getOutputs());
    auto call = ::mlir::gpu::LaunchFuncOp::create(builder, symbol, grid, block, shared, memories);
    SmallVector<int64_t> maps;
    for (auto [memory, rows, heads] : kernel.resources.tensorMaps)
      maps.append({memory, rows, heads});
    if (!maps.empty())
      call->setAttr(tensorMapsAttrName, builder.getDenseI64ArrayAttr(maps));
    if (kernel.resources.isPersistent)
      call->setAttr(persistentAttrName, builder.getUnitAttr());
    call->setAttr(alignedAttrName, builder.getDenseI64ArrayAttr(kernel.alignedMemories));
    launch.erase();
  }
};
} // namespace
