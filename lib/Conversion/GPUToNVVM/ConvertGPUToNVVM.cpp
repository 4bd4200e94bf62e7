//===- ConvertGPUToNVVM.cpp - All kernels and launches of a module --------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../RowKernels/RowFunction.h"
#include "GPUToNVVM.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/SymbolTable.h"
#include "sfa/Passes.h"

namespace sfa {
#define GEN_PASS_DEF_CONVERTSFAGPUTONVVMPASS
#include "sfa/Passes.h.inc"
} // namespace sfa

using namespace mlir;
using namespace sfa;
using sfa::simt::KernelResources;

static constexpr StringLiteral kernelModuleName = "sfa_kernels";

/// Whether `op` copies rows of a memory in one piece.
static bool isPackedCopy(Operation *op) {
  if (auto copy = dyn_cast<simt::CopyOp>(op))
    return copy.getRing().getType().getTile().getForm() == simt::TileForm::Linear;
  auto copy = dyn_cast<simt::CopyByThreadsOp>(op);
  return copy && copy.getTile().getType().getForm() == simt::TileForm::Linear;
}

/// Memories of which many rows are copied in one piece.
static SmallVector<int64_t> findPackedMemories(tile::KernelOpInterface kernel) {
  SmallVector<int64_t> found;
  for (auto [number, memory] : llvm::enumerate(kernel.getMemories()))
    if (llvm::any_of(memory.getUsers(), isPackedCopy))
      found.push_back(static_cast<int64_t>(number));
  return found;
}

/// Memories whose rows are read or written in pieces of 16 bytes: those of dense tiles, since on
/// every path some rows are loaded 16 bytes at a time, and a result takes what a later kernel may
/// load. Codes have rows of any length.
static SmallVector<int64_t> findAlignedMemories(tile::KernelOpInterface kernel) {
  SmallVector<int64_t> found;
  auto isOfRows = llvm::IsaPred<tile::LoadOp, tile::StoreOp, tile::StoreFeatureMajorOp,
                                tile::StorePostingsOp, tile::CombineOp, simt::CopyOp,
                                simt::CopyByThreadsOp, simt::StoreOp, tile::ProbeOp>;
  for (auto [number, memory] : llvm::enumerate(kernel.getMemories()))
    if (cast<MemRefType>(memory.getType()).getRank() == 4 &&
        llvm::any_of(memory.getUsers(), [&](Operation *user) {
          return isOfRows(user) && !isPackedCopy(user);
        }))
      found.push_back(static_cast<int64_t>(number));
  return found;
}

/// Emits the function of `op` at the end of `container`; a kernel over tiles stays.
static FailureOr<KernelResources> lowerKernel(tile::KernelOpInterface op,
                                              gpu::GPUModuleOp container, const Chip &chip) {
  Block *functions = container.getBody();
  if (auto block = dyn_cast<simt::KernelOp>(op.getOperation())) {
    block->moveBefore(functions, functions->end());
    return simt::lowerKernel(block, chip);
  }
  auto kernel = cast<tile::KernelOp>(op.getOperation());
  if (!kernel.getBody().getOps<tile::KeyLoopOp>().empty())
    return kernel.emitOpError("has a key loop; run sfa-gpu-specialize, sfa-gpu-pipeline and "
                              "sfa-gpu-allocate before");
  return simt::RowFunction(kernel).run(functions, chip);
}

namespace {

struct ConvertGPUToNVVM : sfa::impl::ConvertSFAGPUToNVVMPassBase<ConvertGPUToNVVM> {
  using ConvertSFAGPUToNVVMPassBase::ConvertSFAGPUToNVVMPassBase;

  struct LoweredKernel {
    KernelResources resources;
    SmallVector<int64_t> alignedMemories, packedMemories;
  };

  void runOnOperation() override {
    ModuleOp module = getOperation();
    llvm::Expected<Chip> target = Chip::parse(chip);
    if (!target) {
      module.emitError() << llvm::toString(target.takeError());
      return signalPassFailure();
    }
    SmallVector<tile::KernelOpInterface> kernels(module.getOps<tile::KernelOpInterface>());
    if (kernels.empty())
      return;

    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    auto container = gpu::GPUModuleOp::create(builder, module.getLoc(), kernelModuleName);
    SymbolTable(module).insert(container);
    auto nvvmTarget = NVVM::NVVMTargetAttr::get(&getContext(), /*O=*/2, "nvptx64-nvidia-cuda",
                                                target->name, target->ptxFeature());
    container.setTargetsAttr(builder.getArrayAttr(nvvmTarget));
    module->setAttr(gpu::GPUDialect::getContainerModuleAttrName(), builder.getUnitAttr());

    llvm::StringMap<LoweredKernel> lowered;
    SmallVector<tile::KernelOp> overTiles(module.getOps<tile::KernelOp>());
    for (tile::KernelOpInterface kernel : kernels) {
      StringAttr name = SymbolTable::getSymbolName(kernel);
      SmallVector<int64_t> aligned = findAlignedMemories(kernel), packed = findPackedMemories(kernel);
      FailureOr<KernelResources> resources = lowerKernel(kernel, container, *target);
      if (failed(resources))
        return signalPassFailure();
      lowered[name] = {*resources, aligned, packed};
    }
    SmallVector<tile::LaunchOp> launches;
    module.walk([&](tile::LaunchOp launch) { launches.push_back(launch); });
    for (tile::LaunchOp launch : launches) {
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
    for (tile::KernelOp kernel : overTiles)
      kernel.erase();
  }

  static void lowerLaunch(tile::LaunchOp launch, gpu::GPUModuleOp container, LoweredKernel kernel) {
    ImplicitLocOpBuilder builder(launch.getLoc(), launch);
    auto index = [&](int64_t value) -> Value {
      return arith::ConstantIndexOp::create(builder, value);
    };
    gpu::KernelDim3 grid{launch.getGridTile(), launch.getGridHead(), launch.getGridBatch()};
    gpu::KernelDim3 block{index(kernel.resources.numThreads), index(1), index(1)};
    Value shared =
        arith::ConstantIntOp::create(builder, builder.getI32Type(), kernel.resources.sharedBytes);
    auto symbol =
        SymbolRefAttr::get(container.getSymNameAttr(),
                           FlatSymbolRefAttr::get(kernel.resources.function.getSymNameAttr()));
    SmallVector<Value> operands(launch.getInputs());
    llvm::append_range(operands, launch.getOutputs());
    llvm::append_range(operands, launch.getScalars());
    auto call = gpu::LaunchFuncOp::create(builder, symbol, grid, block, shared, operands);
    if (!kernel.resources.tensorMaps.empty())
      call->setAttr(tensorMapsAttrName, builder.getDenseI64ArrayAttr(kernel.resources.tensorMaps));
    if (kernel.resources.isProgrammatic)
      call->setAttr(programmaticAttrName, builder.getUnitAttr());
    if (kernel.resources.isPersistent)
      call->setAttr(persistentAttrName, builder.getUnitAttr());
    if (!kernel.packedMemories.empty())
      call->setAttr(packedAttrName, builder.getDenseI64ArrayAttr(kernel.packedMemories));
    if (!kernel.resources.batches.empty())
      call->setAttr(batchesAttrName, builder.getDenseI64ArrayAttr(kernel.resources.batches));
    call->setAttr(alignedAttrName, builder.getDenseI64ArrayAttr(kernel.alignedMemories));
    launch.erase();
  }
};
} // namespace
