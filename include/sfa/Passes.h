//===- Passes.h - All passes and pipelines of the compiler ------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_PASSES_H
#define SFA_PASSES_H

#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassOptions.h"

namespace sfa {

#define GEN_PASS_DECL
#include "sfa/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "sfa/Passes.h.inc"

struct CPUPipelineOptions : mlir::PassPipelineOptions<CPUPipelineOptions> {
  Option<unsigned> vectorBits{
      *this, "vector-bits",
      llvm::cl::desc("Width of a vector register in bits: 128, 256 or 512; 0 asks the machine"),
      llvm::cl::init(0)};
};

/// From the sfa dialect to the LLVM dialect for this machine: `--sfa-to-cpu`.
void buildSFAToCPUPipeline(mlir::OpPassManager &manager, const CPUPipelineOptions &options);

struct PTXPipelineOptions : mlir::PassPipelineOptions<PTXPipelineOptions> {
  Option<std::string> chip{
      *this, "chip",
      llvm::cl::desc("sm_80, sm_86, sm_87, sm_89, sm_90, sm_90a, sm_100 or sm_120"),
      llvm::cl::init("sm_80")};
};

/// From the sfa dialect to a host function that launches kernels in a `gpu.module` in the LLVM
/// dialect: `--sfa-to-nvvm`.
void buildSFAToNVVMPipeline(mlir::OpPassManager &manager, const PTXPipelineOptions &options);

/// The same with the kernels as PTX in a `gpu.binary`: `--sfa-to-ptx`.
void buildSFAToPTXPipeline(mlir::OpPassManager &manager, const PTXPipelineOptions &options);

/// Of a gpu.launch_func: the tensor maps that its kernel takes, see convert-sfa-gpu-to-nvvm.
inline constexpr llvm::StringLiteral tensorMapsAttrName = "sfa.tensor_maps";
/// Of a gpu.launch_func: the memories of which its kernel takes many rows in one piece.
inline constexpr llvm::StringLiteral packedAttrName = "sfa.packed";
/// Of a gpu.launch_func: the memories of which its kernel takes the number of batches.
inline constexpr llvm::StringLiteral batchesAttrName = "sfa.batches";
/// Of a gpu.launch_func: its kernel may begin before the one before it has ended.
inline constexpr llvm::StringLiteral programmaticAttrName = "sfa.programmatic";
/// Of a gpu.launch_func: its grid is one of work items, which the blocks of its kernel share.
inline constexpr llvm::StringLiteral persistentAttrName = "sfa.persistent";
/// Of a gpu.launch_func: the memories whose strides have to be multiples of 16 bytes.
inline constexpr llvm::StringLiteral alignedAttrName = "sfa.aligned";

/// Makes all pipelines known to the command line.
void registerPipelines();

/// Adds all dialects that the pipelines read or produce, with the interfaces that they need.
void registerDialects(mlir::DialectRegistry &registry);

} // namespace sfa

#endif // SFA_PASSES_H
