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
    Gives every `sfa.attention` a complete `#sfa.schedule`. Parameters that are given stay, by the operation or by the
    environment variable `SFA_SCHEDULE`; the others come from the database of tuned schedules, or where nothing like the
    problem was measured from the cost model. `explain` says which, in a remark. For a GPU it gives `splits` where sizes are known and query tiles would leave half of the GPU idle, and
    `packed_heads` where the queries of several heads of a group fit into one tile. Does not change what is computed;
    another strategy, or another number of splits, rounds differently.

    Sizes that types leave open may be given as hints by the shapes of the arguments of the function, as the JIT does for
    each call. A program serves all sizes, so numbers of splits are then powers of two.
  }];
  let options = [
    Option<"chip", "chip", "std::string", /*default=*/"\"\"",
           "The GPU to choose for, such as sm_90a; empty is the CPU">,
    Option<"explain", "explain", "bool", /*default=*/"false", "Say in a remark why a schedule was chosen">,
    ListOption<"shapes", "shapes", "std::string",
               "Shapes of the arguments of every function, as hints: 1x32x1x128,1x8x4096x128,1x8x4096x128; codes are two">,
  ];
}

def SFAUnrollLoopsPass : Pass<"sfa-unroll-loops", "::mlir::func::FuncOp"> {
  let summary = "Unroll the loops around sfa operations, where their bounds are known";
  let description = [{
    A program for a GPU is a list of launches, without a loop. So each `scf.for` that holds operations of the `sfa` dialect and
    goes around a known number of times, up to 1024, becomes as many copies of its body. Other loops stay: they are refused
    when the program is written. Equal operations of the copies share a kernel afterwards (`sfa-merge-kernels`). Does not change
    what is computed.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect"];
}

def SFADensifyOperandsPass : Pass<"sfa-densify-operands"> {
  let summary = "Write operands of attention out in the form that kernels of a GPU read";
  let description = [{
    Codes that an `sfa.attention` with the strategy `dense` would expand once for every tile are densified once for all:
    by the `sfa.sparsify` that makes them, which gets a dense result, or by an `sfa.densify` where they come from
    elsewhere. `sparse_mma` reads queries as codes, and keys of it are densified. The keys of `gather` become feature-major tiles, those
    of `scatter` posting lists.
    Before, an `sfa.quantize` of what an `sfa.sparsify` makes for nobody else becomes part of it, where a row has 32 values at most
    and its scale is its own or that of 128 tokens: one pass over rows gives rows of 8-bit integers. Numbers stay what they are.
    For targets that copy tiles without passing them through registers.
  }];
}

def ConvertSFAToTilePass : Pass<"convert-sfa-to-tile", "::mlir::ModuleOp"> {
  let summary = "Lower sfa operations to kernels over tiles and their launches";
  let description = [{
    Every operation of the `sfa` dialect becomes a `sfa_tile.kernel` and a `sfa_tile.launch` on tensors; an
    `sfa.attention` with more than one of the `splits` becomes two, of which the second combines what the first gives. A tensor of
    codes becomes its two physical tensors, also in the signatures of functions. An `sfa.attention` needs a complete
    schedule: run `sfa-assign-schedule` before.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::scf::SCFDialect",
                           "::mlir::tensor::TensorDialect", "::sfa::tile::TileDialect"];
}

def SFAInsertProbePass : Pass<"sfa-insert-probe", "::mlir::ModuleOp"> {
  let summary = "Return what a kernel has between its inputs and its outputs";
  let description = [{
    Gives a `sfa_tile.kernel` with a key loop an output more, which the function that launches it returns behind the others: an
    array of f32 [1, key tiles, rows of the tile, columns of the tile] with what one point of the grid has for each key tile, or
    [1, key tiles, rows] of a number a row. `value` is one of

    | `value` | what |
    |---|---|
    | `scores` | what the stage `score` yields |
    | `masked` | what the stage `mask` yields |
    | `probabilities` | what the stage `softmax` yields first: numerators of probabilities |
    | `state0`, `state1`, ... | the state that it yields; of an online softmax the maxima |

    Key tiles are counted from the first one that the point sees. Those that it does not see are not written: nobody knows what
    they hold. Of a kernel that computes points again the first pass is probed. Stands behind `convert-sfa-to-tile`; does
    not change what else is computed.
  }];
  let options = [
    Option<"kernel", "kernel", "std::string", /*default=*/"\"\"", "Name of the kernel; needed where several have a key loop">,
    Option<"value", "value", "std::string", /*default=*/"\"probabilities\"", "scores, masked, probabilities, state0, ...">,
    ListOption<"point", "point", "int64_t", "Batch, head and row tile of the point: three numbers">,
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::tensor::TensorDialect", "::sfa::tile::TileDialect"];
}

def SFAMergeKernelsPass : Pass<"sfa-merge-kernels", "::mlir::ModuleOp"> {
  let summary = "Compile kernels with the same code once";
  let description = [{
    Of several `sfa_tile.kernel` of the module that differ in nothing but their names, the first stays, and all launches name
    it. `convert-sfa-to-tile` makes a kernel for each operation; the layers of a model have the same ones. Does not change
    what is computed.
  }];
}

def SFARequestResultsPass : Pass<"sfa-request-results", "::mlir::ModuleOp"> {
  let summary = "Write the results of public functions into memory of the caller";
  let description = [{
    For the CPU, behind bufferization. A public function that nothing in the module calls, and whose results all are buffers of
    numbers, returns nothing any more. It asks for the memory of each of its results instead, where it would allocate it:

    ```mlir
    func.func private @sfa_cpu_result(%number: index, %sizes: memref<?xindex>) -> memref<?xi8> attributes {llvm.emit_c_interface}
    ```

    The caller, who sees the sizes that the function has computed, answers with memory of his own, or ends the call with an error
    when the sizes are not those that he expects. What is returned but not allocated by the function itself, such as an argument,
    is copied.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::memref::MemRefDialect"];
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

def SFAGPUSpecializePass : Pass<"sfa-gpu-specialize", "::mlir::ModuleOp"> {
  let summary = "Give the work of a kernel over tiles to the warps of a block";
  let description = [{
    Every `sfa_tile.kernel` with a key loop becomes a `sfa_gpu.kernel`. On `sm_90a` a warpgroup copies tiles into rings in
    shared memory and others compute; on all other chips all warps do both. The loop over key tiles becomes a
    `sfa_gpu.tile_loop`, whose stages hold what a tile needs. Points that have to be computed again become a second pass of
    all roles over the grid. Does not change what is computed.
  }];
  let options = [
    Option<"chip", "chip", "std::string", /*default=*/"\"sm_80\"",
           "sm_80, sm_86, sm_87, sm_89, sm_90, sm_90a, sm_100 or sm_120">,
  ];
  let dependentDialects = ["::sfa::simt::GPUDialect"];
}

def SFAGPUPipelinePass : Pass<"sfa-gpu-pipeline", "::mlir::ModuleOp"> {
  let summary = "Order the stages of loops over tiles";
  let description = [{
    Every `sfa_gpu.tile_loop` becomes an `scf.for`, by its attributes: tiles one after the other; with lookahead, where the
    scores of a tile are under way during the softmax of the tile before, and with turns; or, where the warps copy
    themselves, with the tiles that come next on their way. Does not change what is computed.
  }];
  let dependentDialects = ["::sfa::simt::GPUDialect"];
}

def SFAGPUAllocatePass : Pass<"sfa-gpu-allocate", "::mlir::ModuleOp"> {
  let summary = "Give rings, barriers and marks their places in shared memory";
  let description = [{
    Also lists the tensor maps that the copies of a kernel need: see `sfa_gpu.kernel`.
  }];
  let dependentDialects = ["::sfa::simt::GPUDialect"];
}

def ConvertSFAGPUToNVVMPass : Pass<"convert-sfa-gpu-to-nvvm", "::mlir::ModuleOp"> {
  let summary = "Lower programs of a block, and kernels that only move rows, to threads of a GPU";
  let description = [{
    Every `sfa_gpu.kernel`, whose shared memory has been allocated, becomes an `llvm.func` of one thread in the
    `gpu.module @sfa_kernels`, in the llvm, nvvm, arith and scf dialects: each operation becomes instructions. So does every
    `sfa_tile.kernel` without a key loop; those with one go through `sfa-gpu-specialize` before. Every `sfa_tile.launch`
    becomes a `gpu.launch_func`. Expects bufferized launches.

    For each memory a function takes its address, its rows and its strides of batch, head and row (i64, in elements);
    after them the tensor maps of bulk copies, which the attribute `sfa.tensor_maps` of the launch lists as triples
    (number of the memory, rows and heads of a box of 64 columns). The attribute `sfa.aligned` lists the memories whose
    strides have to be multiples of 16 bytes: those of dense rows.

    The unit attribute `sfa.persistent` makes the grid of a launch one of work items, which at most as many blocks as
    the device has multiprocessors share. Its kernel takes the sizes of the grid in x, y and z (i32) before tensor maps. The attribute
    `sfa.packed` lists memories whose rows have to follow one another, and whose other strides have to be multiples of 16 bytes;
    `sfa.programmatic` says that the kernel waits for the one before it itself, and may begin early; `sfa.batches` lists memories of which the kernel takes the number of batches (i64), behind those sizes.
  }];
  let options = [
    Option<"chip", "chip", "std::string", /*default=*/"\"sm_80\"",
           "sm_80, sm_86, sm_87, sm_89, sm_90, sm_90a, sm_100 or sm_120">,
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::NVVM::NVVMDialect", "::mlir::scf::SCFDialect"];
}

def SFAEmitPTXPass : Pass<"sfa-emit-ptx", "::mlir::ModuleOp"> {
  let summary = "Compile gpu.modules in the LLVM dialect to PTX";
  let description = [{
    Every `gpu.module` with an `#nvvm.target` becomes a `gpu.binary` of the same name that holds PTX.
  }];
  let dependentDialects = ["::mlir::gpu::GPUDialect"];
}

#endif // SFA_PASSES_TD
