//===- Passes.td - All passes of the compiler, in the order in which they run -*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_PASSES_TD
#define SFA_PASSES_TD

include "mlir/Pass/PassBase.td"

def SFAAssignSchedulePass : Pass<"sfa-assign-schedule"> {
  let summary = "Choose the parameters that schedules leave open";
  let description = [{
    Gives every `sfa.attention` a complete `#sfa.schedule`. Parameters that are given stay; the others come from the cost
    model. Does not change what is computed; another strategy rounds differently.
  }];
}

def ConvertSFAToTilePass : Pass<"convert-sfa-to-tile", "::mlir::ModuleOp"> {
  let summary = "Lower sfa operations to kernels over tiles and their launches";
  let description = [{
    Every operation of the `sfa` dialect becomes a `sfa_tile.kernel` and a `sfa_tile.launch` on tensors. A tensor of
    codes becomes its two physical tensors, also in the signatures of functions. An `sfa.attention` needs a complete
    schedule: run `sfa-assign-schedule` before.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect",
                           "::sfa::tile::TileDialect"];
}

def ConvertTileToCPUPass : Pass<"convert-tile-to-cpu", "::mlir::ModuleOp"> {
  let summary = "Lower kernels over tiles to loops and vectors for the CPU";
  let description = [{
    Every `sfa_tile.kernel` becomes a function of one point of its grid and of scratch memory for its tiles, every
    `sfa_tile.launch` a call of `sfa_cpu_parallel_for`, which runs all points on all cores. Tiles are held in f32.
    Strategies do the work that their names say. Expects bufferized launches.
  }];
  let options = [
    Option<"vectorBits", "vector-bits", "unsigned", /*default=*/"0",
           "Width of a vector register in bits: 128, 256 or 512; 0 asks the machine">,
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect"];
}

#endif // SFA_PASSES_TD
