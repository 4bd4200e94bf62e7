//===- GPUOps.td - Operations of the sfa_gpu dialect -*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_GPU_GPUOPS_TD
#define DIALECTS_GPU_GPUOPS_TD

include "dialects/GPU/GPUCodeOps.td"
include "dialects/GPU/GPUFragmentOps.td"
include "dialects/GPU/GPUGroupOps.td"
include "dialects/GPU/GPUProductOps.td"
include "dialects/GPU/GPURingOps.td"
include "dialects/GPU/GPUStructureOps.td"

#endif // DIALECTS_GPU_GPUOPS_TD
