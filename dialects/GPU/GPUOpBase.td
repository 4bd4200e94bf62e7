//===- GPUOpBase.td - What all sfa_gpu operations share -*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_GPU_GPUOPBASE_TD
#define DIALECTS_GPU_GPUOPBASE_TD

include "dialects/GPU/GPUDialect.td"
include "dialects/Tile/TileOpBase.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class GPU_Op<string mnemonic, list<Trait> traits = []> : Op<GPU_Dialect, mnemonic, traits>;

/// An operation that `convert-sfa-gpu-to-nvvm` refuses, since no pattern turns it into instructions yet.
def GPU_NotLoweredYet : NativeOpTrait<"NotLoweredYet"> {
  let cppNamespace = "::sfa::simt";
}

/// One ring, not one for each of several warps.
def GPU_OneRing : Type<CPred<"::llvm::isa<::sfa::simt::RingType>($_self) && "
                             "::llvm::cast<::sfa::simt::RingType>($_self).getCopies() == 1">,
                       "one ring ('sfa_gpu.ring_of' gives that of a warp)", "::sfa::simt::RingType">;

/// A place of a ring is named by a position, or by its number (i32) where no barriers guard it.
def GPU_Place : AnyTypeOf<[GPU_PositionType, I32], "position or number of a place">;
/// What a matrix unit takes as its left operand.
def GPU_Left : AnyTypeOf<[GPU_SharedType, GPU_OperandType], "tile in shared memory or operand in registers">;
/// The same of products that form scores, which may be sparse.
def GPU_ScoreLeft : AnyTypeOf<[GPU_SharedType, GPU_OperandType, GPU_TwoFourType],
                              "tile in shared memory, operand in registers or 2:4 operand">;
/// What products under way read from registers.
def GPU_Kept : AnyTypeOf<[GPU_OperandType, GPU_TwoFourType], "operand">;

#endif // DIALECTS_GPU_GPUOPBASE_TD
