//===- GPUProductOps.td - Products on matrix units and what surrounds them -*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_GPU_GPUPRODUCTOPS_TD
#define DIALECTS_GPU_GPUPRODUCTOPS_TD

include "dialects/GPU/GPUOpBase.td"

// Products are not pure: their order is what a schedule is about. They touch shared memory that copies fill.

//===----------------------------------------------------------------------===//
// Products that finish before the next operation (mma.sync)
//===----------------------------------------------------------------------===//

def GPU_DotOp : GPU_Op<"dot", [AttrSizedOperandSegments, MemoryEffects<[MemRead]>]> {
  let summary = "a b^T on the matrix units of a warp";
  let description = [{
    The rows of both operands are contiguous in shared memory. f32 accumulation. The product of 8-bit integers is
    one of i32. Of a 2:4 operand half of the elements are
    multiplied; where there is a surplus, its products with the slices of 32 columns where it has elements are added.

    With `from %first` the product is that with the rows of the right operand from a multiple of 8 on, as many as the result has columns:
    those of one of several groups of warps.

    Example:

    ```mlir
    %s = sfa_gpu.dot %q, %k
      : !sfa_gpu.shared<128x64xbf16, swizzled>, !sfa_gpu.shared<64x64xbf16, swizzled> -> !sfa_tile.tile<128x64xf32>
    %mine = sfa_gpu.dot %q, %k from %first
      : !sfa_gpu.operand<16x64xbf16>, !sfa_gpu.shared<128x64xbf16, swizzled> -> !sfa_tile.tile<16x16xf32>
    ```
  }];
  let arguments = (ins GPU_ScoreLeft:$left, GPU_SharedType:$right, Optional<Index>:$first,
      Optional<GPU_TwoFourType>:$surplus);
  let results = (outs Tile_Matrix:$result);
  let builders = [OpBuilder<
      (ins "::mlir::Type":$result, "::mlir::Value":$left, "::mlir::Value":$right), [{
    build($_builder, $_state, result, left, right, /*first=*/::mlir::Value(), /*surplus=*/::mlir::Value());
  }]>];
  let assemblyFormat = [{
    $left `,` $right (`from` $first^)? (`surplus` `(` $surplus^ `:` qualified(type($surplus)) `)`)? attr-dict
    `:` qualified(type($left)) `,` qualified(type($right)) `->` qualified(type($result))
  }];
  let hasVerifier = 1;
}

def GPU_AccumulateOp : GPU_Op<"accumulate", [AllTypesMatch<["acc", "result"]>, MemoryEffects<[MemRead]>]> {
  let summary = "acc + a b on the matrix units of a warp";
  let description = [{
    The left operand is in registers; a fragment is rounded to the elements of the right one. That one is summed over its rows. Where the accumulator has more columns than the
    right operand, these get the row sums of the left one, as `sfa_tile.accumulate` says. `from %first` is that of `sfa_gpu.dot`, with as
    many rows as the left operand has columns.

    Example:

    ```mlir
    %acc1 = sfa_gpu.accumulate %acc, %p, %v
      : !sfa_tile.tile<128x64xf32>, !sfa_tile.tile<128x64xf32>, !sfa_gpu.shared<64x64xbf16, swizzled>
    %acc2 = sfa_gpu.accumulate %acc, %p, %v from %first
      : !sfa_tile.tile<16x64xf32>, !sfa_tile.tile<16x16xf32>, !sfa_gpu.shared<128x64xbf16, swizzled>
    ```
  }];
  let arguments = (ins
    Tile_Matrix:$acc, AnyTypeOf<[Tile_Matrix, GPU_OperandType]>:$left, GPU_SharedType:$right, Optional<Index>:$first);
  let results = (outs Tile_Matrix:$result);
  let builders = [OpBuilder<(ins "::mlir::Value":$acc, "::mlir::Value":$left, "::mlir::Value":$right), [{
    build($_builder, $_state, acc.getType(), acc, left, right, /*first=*/::mlir::Value());
  }]>];
  let assemblyFormat = [{
    $acc `,` $left `,` $right (`from` $first^)? attr-dict `:` qualified(type($acc)) `,` qualified(type($left)) `,` qualified(type($right))
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Products under way (wgmma)
//===----------------------------------------------------------------------===//

def GPU_IssueDotOp
    : GPU_Op<"issue_dot", [AttrSizedOperandSegments, MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "start a b^T on the matrix units of a warpgroup";
  let description = [{
    The result takes the registers of `reuse`, whose value nobody reads any more; they may have been f32 or i32. The operands have to stay as they are
    until the product has been waited for. 8-bit integers, 2:4 operands and their surplus are those of `sfa_gpu.dot`.

    Example:

    ```mlir
    %next = sfa_gpu.issue_dot %q, %k reuse(%spent)
      : !sfa_gpu.operand<128x64xbf16>, !sfa_gpu.shared<128x64xbf16, swizzled> -> !sfa_gpu.pending<128x128xf32>
    ```
  }];
  let arguments = (ins GPU_ScoreLeft:$left, GPU_SharedType:$right,
      Optional<GPU_TwoFourType>:$surplus, Optional<Tile_Matrix>:$reuse);
  let results = (outs GPU_PendingType:$result);
  let assemblyFormat = [{
    $left `,` $right (`surplus` `(` $surplus^ `:` qualified(type($surplus)) `)`)?
    (`reuse` `(` $reuse^ `:` qualified(type($reuse)) `)`)? attr-dict `:` qualified(type($left)) `,` qualified(type($right)) `->`
    qualified(type($result))
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Whether a product with this result may take over registers of type `registers`.
    static bool mayReuse(::mlir::Type registers, ::sfa::tile::TileType result);
  }];
}

def GPU_IssueAccumulateOp : GPU_Op<"issue_accumulate", [
    MemoryEffects<[MemRead, MemWrite]>,
    TypesMatchWith<"the result is the accumulator", "acc", "result", "getPendingType($_self)">]> {
  let summary = "start acc + a b on the matrix units of a warpgroup";
  let description = [{
    As `sfa_gpu.accumulate`. The result takes the registers of the accumulator. The registers of the left operand have to stay
    as they are until the product has been waited for; `sfa_gpu.keep` behind the wait says so to the assembler. A left operand in
    shared memory is not lowered yet.

    Example:

    ```mlir
    %sum = sfa_gpu.issue_accumulate %acc, %p, %v
      : !sfa_tile.tile<128x64xf32>, !sfa_gpu.operand<128x128xbf16>, !sfa_gpu.shared<128x64xbf16, swizzled>
    ```
  }];
  let arguments = (ins Tile_Matrix:$acc, GPU_Left:$left, GPU_SharedType:$right);
  let results = (outs GPU_PendingType:$result);
  let assemblyFormat = [{
    $acc `,` $left `,` $right attr-dict `:` qualified(type($acc)) `,` qualified(type($left)) `,` qualified(type($right))
  }];
  let hasVerifier = 1;
}

def GPU_SettledOp : GPU_Op<"settled", [
    Pure, TypesMatchWith<"the result is of the tile", "tile", "result", "getPendingType($_self)">]> {
  let summary = "a tile where a loop carries the result of a product";
  let description = [{
    The product is over. `sfa_gpu.wait` gives the tile back.

    Example:

    ```mlir
    %first = sfa_gpu.settled %acc : !sfa_tile.tile<128x64xf32>
    ```
  }];
  let arguments = (ins Tile_Matrix:$tile);
  let results = (outs GPU_PendingType:$result);
  let assemblyFormat = "$tile attr-dict `:` qualified(type($tile))";
}

def GPU_WaitOp : GPU_Op<"wait", [
    MemoryEffects<[MemRead, MemWrite]>, DeclareOpInterfaceMethods<InferTypeOpInterface>]> {
  let summary = "wait for products";
  let description = [{
    Waits until at most `pending` of the products that the warpgroup has issued are under way, and gives the tiles of those that
    are not. A tile among the operands is the same one behind the wait: what reads the result is not moved before it.

    Example:

    ```mlir
    %s = sfa_gpu.wait pending 1 (%next) : !sfa_gpu.pending<128x128xf32>
    %acc, %p1 = sfa_gpu.wait pending 0 (%sum, %p) : !sfa_gpu.pending<128x64xf32>, !sfa_tile.tile<128x128xf32>
    ```
  }];
  let arguments = (ins Variadic<AnyTypeOf<[GPU_PendingType, Tile_Matrix]>>:$products, I64Attr:$pending);
  let results = (outs Variadic<Tile_Matrix>:$tiles);
  let assemblyFormat = "`pending` $pending `(` $products `)` attr-dict `:` qualified(type($products))";
}

def GPU_KeepOp : GPU_Op<"keep", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "until here registers hold the operands of products that were under way";
  let description = [{
    The assembler takes the registers of a left operand for free as soon as the product has been issued (seen with CUDA 13.0),
    although the product reads them until it has been waited for (PTX ISA, "wgmma.wait_group").

    Example:

    ```mlir
    sfa_gpu.keep %p, %q : !sfa_gpu.operand<128x128xbf16>, !sfa_gpu.operand<128x64xbf16>
    ```
  }];
  let arguments = (ins Variadic<GPU_Kept>:$operands);
  let assemblyFormat = "$operands attr-dict `:` qualified(type($operands))";
}

//===----------------------------------------------------------------------===//
// Operands in registers
//===----------------------------------------------------------------------===//

def GPU_PackOp : GPU_Op<"pack", [Pure]> {
  let summary = "a fragment, rounded, as the left operand of a product";
  let description = [{
    Rounds to nearest even. The operand is formed here, not again and not later.

    Example:

    ```mlir
    %left = sfa_gpu.pack %p : !sfa_tile.tile<128x128xf32> -> !sfa_gpu.operand<128x128xbf16>
    ```
  }];
  let arguments = (ins Tile_Matrix:$tile);
  let results = (outs GPU_OperandType:$result);
  let assemblyFormat = "$tile attr-dict `:` qualified(type($tile)) `->` qualified(type($result))";
  let hasVerifier = 1;
}

def GPU_LoadOperandOp : GPU_Op<"load_operand", [
    MemoryEffects<[MemRead]>,
    TypesMatchWith<"the result is of the tile", "tile", "result", "getOperandType($_self)">]> {
  let summary = "a tile in shared memory as the left operand of products";
  let description = [{
    Each warp loads its own rows (`ldmatrix`).

    Example:

    ```mlir
    %q = sfa_gpu.load_operand %tile : !sfa_gpu.shared<128x64xbf16, swizzled>
    ```
  }];
  let arguments = (ins GPU_SharedType:$tile);
  let results = (outs GPU_OperandType:$result);
  let assemblyFormat = "$tile attr-dict `:` qualified(type($tile))";
  let hasVerifier = 1;
}

def GPU_NoOperandOp : GPU_Op<"no_operand", [Pure]> {
  let summary = "an operand that no product has read: where a loop begins to carry one";
  let description = [{
    Example:

    ```mlir
    %none = sfa_gpu.no_operand : !sfa_gpu.operand<128x128xbf16>
    ```
  }];
  let results = (outs GPU_OperandType:$result);
  let assemblyFormat = "attr-dict `:` qualified(type($result))";
}

//===----------------------------------------------------------------------===//
// Turns
//===----------------------------------------------------------------------===//

def GPU_AwaitTurnOp : GPU_Op<"await_turn", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "wait until the warpgroup before has passed the turn to this one";
  let description = [{
    Example:

    ```mlir
    sfa_gpu.await_turn
    ```
  }];
  let assemblyFormat = "attr-dict";
}

def GPU_PassTurnOp : GPU_Op<"pass_turn", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "pass the turn to the warpgroup behind this one";
  let description = [{
    Each `pass_turn` meets one `sfa_gpu.await_turn` of the next warpgroup; the last one passes to the first. Where a condition is
    given, the turn is passed only where it holds.

    Example:

    ```mlir
    sfa_gpu.pass_turn when %somebody_waits
    ```
  }];
  let arguments = (ins Optional<I1>:$condition);
  let assemblyFormat = "(`when` $condition^)? attr-dict";
}

#endif // DIALECTS_GPU_GPUPRODUCTOPS_TD
