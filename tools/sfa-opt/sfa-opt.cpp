//===- sfa-opt.cpp - The compiler on the command line ---------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Bufferization/Pipelines/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"
#include "sfa/Passes.h"
#include "tools/Common/Version.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  sfa::registerDialects(registry);
  sfa::registerSFAPasses();
  sfa::registerPipelines();
  mlir::registerTransformsPasses();
  // What the pipelines go through behind the passes of this project, so that each can be run alone.
  mlir::registerConvertToLLVMPass();
  mlir::registerReconcileUnrealizedCastsPass();
  mlir::registerSCFToControlFlowPass();
  mlir::memref::registerMemRefPasses();
  mlir::bufferization::registerBufferizationPasses();
  mlir::bufferization::registerBufferizationPipelines();
  sfa::setVersionPrinter();
  return mlir::failed(mlir::MlirOptMain(
      argc, argv, "sfa-opt: the FlashSFA compiler, pass by pass\n\nThe whole way to the CPU: sfa-opt --sfa-to-cpu FILE.mlir\n", registry));
}
