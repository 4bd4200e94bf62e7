//===- sfa-toy-compile.cpp - sfa-compile with one more dialect ------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
//   sfa-toy-compile FILE CHIP program|ptx
//
// Writes the program of the function @attention, as the runtime takes it, or its kernels.
//
//===----------------------------------------------------------------------===//

#include "test/ScoreOp/Toy.h"

#include "mlir/Parser/Parser.h"
#include "sfa/Passes.h"
#include "sfa/Target/CUDA/CompiledProgram.h"
#include "llvm/Support/InitLLVM.h"

using namespace mlir;

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  bool emitsPTX = argc == 4 && StringRef(argv[3]) == "ptx";
  if (!emitsPTX && (argc != 4 || StringRef(argv[3]) != "program")) {
    llvm::errs() << "usage: sfa-toy-compile FILE CHIP program|ptx\n";
    return 1;
  }
  DialectRegistry registry;
  sfa::registerDialects(registry);
  registry.insert<toy::ToyDialect>();
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(argv[1], &context);
  if (!module)
    return 1;
  llvm::ExitOnError orExit("sfa-toy-compile: ");
  sfa::Chip chip = orExit(sfa::Chip::parse(argv[2]));
  sfa::cuda::CompiledProgram program =
      orExit(sfa::cuda::compileProgram(*module, "attention", chip));
  llvm::outs() << (emitsPTX ? program.ptx : program.toJson() + "\n");
  return 0;
}
