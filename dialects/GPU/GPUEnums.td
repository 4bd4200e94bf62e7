//===- GPUEnums.td - Enumerations of the sfa_gpu dialect -*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_GPU_GPUENUMS_TD
#define DIALECTS_GPU_GPUENUMS_TD

include "mlir/IR/EnumAttr.td"

def GPU_TileForm : I32EnumAttr<"TileForm", "how a tile lies in shared memory", [
    I32EnumAttrCase<"Swizzled", 0, "swizzled">,
    I32EnumAttrCase<"Linear", 1, "linear">,
    I32EnumAttrCase<"FeatureMajor", 2, "feature_major">,
    I32EnumAttrCase<"Postings", 3, "postings">
  ]> {
  let cppNamespace = "::sfa::simt";
  let genSpecializedAttr = 0;
}

#endif // DIALECTS_GPU_GPUENUMS_TD
