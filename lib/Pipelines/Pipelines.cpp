//===- Pipelines.cpp - Pipelines: named sequences of passes from one stage to another -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Conversion/ConvertToLLVM/ToLLVMPass.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Conversion/VectorToSCF/VectorToSCF.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Bufferization/Pipelines/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "sfa/Passes.h"

using namespace mlir;

/// From sfa to bufferized launches of tile kernels; shared by all targets.
static void addTileStages(OpPassManager &manager, const std::string &chip = "") {
  manager.addPass(createCanonicalizerPass());
  if (!chip.empty()) {
    manager.addNestedPass<func::FuncOp>(sfa::createSFAUnrollLoopsPass());
    manager.addPass(createCanonicalizerPass());
  }
  manager.addPass(sfa::createSFAAssignSchedulePass({chip, /*explain=*/false, /*shapes=*/{}}));
  if (!chip.empty())
    manager.addPass(sfa::createSFADensifyOperandsPass());
  manager.addPass(sfa::createConvertSFAToTilePass());
  manager.addPass(sfa::createSFAMergeKernelsPass());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
}

static void addBufferization(OpPassManager &manager) {
  bufferization::OneShotBufferizePassOptions bufferize;
  bufferize.bufferizeFunctionBoundaries = true;
  bufferize.functionBoundaryTypeConversion = bufferization::LayoutMapOption::IdentityLayoutMap;
  // A launch in a loop writes into a memory of its own: what the loop carries may be its input.
  bufferize.allowReturnAllocsFromLoops = true;
  manager.addPass(bufferization::createOneShotBufferizePass(bufferize));
}

void sfa::buildSFAToCPUPipeline(OpPassManager &manager, const CPUPipelineOptions &options) {
  addTileStages(manager);
  addBufferization(manager);
  bufferization::buildBufferDeallocationPipeline(
      manager, bufferization::BufferDeallocationPipelineOptions());
  manager.addPass(createConvertBufferizationToMemRefPass());
  manager.addPass(createSFARequestResultsPass());

  ConvertTileToCPUPassOptions toCPU;
  toCPU.vectorBits = options.vectorBits;
  manager.addPass(createConvertTileToCPUPass(toCPU));
  // bf16 in integer arithmetic: AVX-512's conversion flushes subnormal numbers, older processors
  // have none.
  arith::ArithExpandOpsPassOptions expand;
  expand.includeBf16 = true;
  manager.addPass(arith::createArithExpandOpsPass(expand));
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  manager.addPass(createLoopInvariantCodeMotionPass());

  manager.addPass(createConvertVectorToSCFPass());
  manager.addPass(createSCFToControlFlowPass());
  manager.addPass(memref::createExpandStridedMetadataPass());
  manager.addPass(createLowerAffinePass());
  manager.addPass(createConvertToLLVMPass());
  manager.addPass(createReconcileUnrealizedCastsPass());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
}

void sfa::buildSFAToNVVMPipeline(OpPassManager &manager, const PTXPipelineOptions &options) {
  addTileStages(manager, options.chip);
  addBufferization(manager);
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());

  manager.addPass(createSFAGPUSpecializePass({options.chip}));
  manager.addPass(createSFAGPUPipelinePass());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createSFAGPUAllocatePass());
  manager.addPass(createConvertSFAGPUToNVVMPass({options.chip}));
  OpPassManager &kernels = manager.nest<gpu::GPUModuleOp>();
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(createCSEPass());
  kernels.addPass(createLoopInvariantCodeMotionPass());
  kernels.addPass(createSCFToControlFlowPass());
  kernels.addPass(createConvertToLLVMPass());
  kernels.addPass(createReconcileUnrealizedCastsPass());
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(createCSEPass());
}

void sfa::buildSFAToPTXPipeline(OpPassManager &manager, const PTXPipelineOptions &options) {
  buildSFAToNVVMPipeline(manager, options);
  manager.addPass(createSFAEmitPTXPass());
}

void sfa::registerPipelines() {
  PassPipelineRegistration<PTXPipelineOptions>(
      "sfa-to-nvvm", "From the sfa dialect to GPU kernels in the LLVM dialect",
      buildSFAToNVVMPipeline);
  PassPipelineRegistration<PTXPipelineOptions>(
      "sfa-to-ptx", "From the sfa dialect to PTX", buildSFAToPTXPipeline);
  PassPipelineRegistration<CPUPipelineOptions>(
      "sfa-to-cpu", "From the sfa dialect to the LLVM dialect for this machine",
      buildSFAToCPUPipeline);
}
