//===- sfa-toy-opt.cpp - sfa-opt with one more dialect --------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/ScoreOp/Toy.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"
#include "sfa/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  sfa::registerDialects(registry);
  registry.insert<toy::ToyDialect>();
  sfa::registerSFAPasses();
  sfa::registerPipelines();
  mlir::registerTransformsPasses();
  mlir::registerConvertToLLVMPass();
  mlir::registerReconcileUnrealizedCastsPass();
  mlir::registerSCFToControlFlowPass();
  mlir::bufferization::registerBufferizationPasses();
  return mlir::failed(mlir::MlirOptMain(argc, argv, "sfa-opt with the dialect toy\n", registry));
}
