//===- GPUGroupOps.td - Groups of warps, and points that follow from lengths -*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_GPU_GPUGROUPOPS_TD
#define DIALECTS_GPU_GPUGROUPOPS_TD

include "dialects/GPU/GPUOpBase.td"
include "mlir/IR/OpAsmInterface.td"

//===----------------------------------------------------------------------===//
// Groups of warps
//===----------------------------------------------------------------------===//

def GPU_EachGroupOp : GPU_Op<"each_group", [
    RecursiveMemoryEffects, SingleBlockImplicitTerminator<"::sfa::simt::YieldOp">,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmBlockArgumentNames"]>]> {
  let summary = "what each group of so many warps of a role does on its own";
  let description = [{
    The warps of the role, those of the block where there are no roles, form groups of `warps` one after the other, and each group runs
    the region. Fragments in it are those of the group: a group of one warp owns all rows of a tile. The block argument is the
    number of the group in its role. Groups do not wait for each other but at rings and at barriers of the role.

    Products under way are those of warpgroups, so a region that issues some has groups of whole warpgroups. Lowered are groups of one
    warp of the consumers.

    Example, eight consumers with a ring each:

    ```mlir
    sfa_gpu.each_group (%warp) of 1 warps {
      %mine = sfa_gpu.ring_of %keys[%warp] : !sfa_gpu.ring<8 x 2 of 64x128xbf16, swizzled>
      ...
    }
    ```
  }];
  let arguments = (ins I64Attr:$warps);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::BlockArgument getNumber() { return getBody().getArgument(0); }
  }];
}

def GPU_BarrierOp : GPU_Op<"barrier", [GPU_NotLoweredYet, MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "the warps of a role, or of a group, wait for each other";
  let description = [{
    Those of the innermost `sfa_gpu.each_group`, otherwise those of the role, otherwise those of the block. What they have stored to
    shared memory before, all of them see behind it. `of_role` means the role inside a group as well; each warp of the role has to
    come there as often as the others. Not lowered yet.

    Example:

    ```mlir
    sfa_gpu.barrier
    sfa_gpu.barrier of_role
    ```
  }];
  let arguments = (ins UnitAttr:$ofRole);
  let assemblyFormat = "(`of_role` $ofRole^)? attr-dict";
}

//===----------------------------------------------------------------------===//
// Points that follow from lengths in memory
//===----------------------------------------------------------------------===//

def GPU_SplitOrderOp : GPU_Op<"split_order", [MemoryEffects<[MemRead, MemWrite, MemAlloc]>]> {
  let summary = "an order of points that are shares of the keys of sequences, whose lengths are in memory";
  let description = [{
    A sequence has as many points for each head as it has shares (`sfa_tile.split_range`), which follow from its own length, at most
    what the pages of its row of the table hold. A block takes every P-th point, of P blocks, with the head fastest. The batch of a point is the sequence, its row tile the
    number of the share.

    One warp reads the lengths and leaves the number of shares before each sequence in shared memory; of more than 1024 sequences
    those before groups of as many. The threads of the block meet behind it.

    Example:

    ```mlir
    %order = sfa_gpu.split_order %lengths, %table pages of 64 : memref<?xi32>, memref<?x?xi32> -> !sfa_gpu.point_order
    ```
  }];
  let arguments = (ins Tile_Offsets:$lengths, Tile_Table:$table, I64Attr:$pageSize, Tile_LeastBlocks:$blocks,
      OptionalAttr<I64Attr>:$offset);
  let results = (outs GPU_PointOrderType:$order);
  let assemblyFormat = [{
    $lengths `,` $table `pages` `of` $pageSize (`blocks` $blocks^)? (`at` $offset^)? attr-dict `:` type($lengths) `,` type($table) `->` type($order)
  }];
  let extraClassDeclaration = [{
    /// Of each group of sequences the shares before it (4 bytes), and of the last one those behind it.
    static constexpr int64_t maxGroups = 1024, bytes = 4 * (maxGroups + 1);
  }];
}

def GPU_MergeRowsOp : GPU_Op<"merge_rows", [
    MemoryEffects<[MemRead, MemWrite]>, AllTypesMatch<["acc", "mergedAcc"]>, AllTypesMatch<["max", "mergedMax"]>,
    AllTypesMatch<["sum", "mergedSum"]>]> {
  let summary = "one online softmax of rows of which each group of a role has seen other keys";
  let description = [{
    Each group of one warp (`sfa_gpu.each_group`) has an accumulator, maxima and sums in parts of the same rows. Groups are added up in pairs,
    the upper half to the lower one until one is left: an order that does not depend on time. `scale` is the factor of the scores in
    the exponent of 2. Group 0 has the result; what others get means nothing. All groups of the role have to come here; the room is
    theirs until they meet again.

    Example, eight groups of which four write at first:

    ```mlir
    %o, %m, %l = sfa_gpu.merge_rows %acc, %max, %sum scale %s through %room
      : !sfa_tile.tile<16x128xf32>, !sfa_tile.tile<16xf32>, !sfa_tile.tile<16xf32, partial>, !sfa_gpu.shared<4x2304xf32, linear>
    ```
  }];
  let arguments = (ins Tile_Matrix:$acc, Tile_RowVector:$max, Tile_Partial:$sum, F32:$scale, GPU_SharedType:$room);
  let results = (outs Tile_Matrix:$mergedAcc, Tile_RowVector:$mergedMax, Tile_Partial:$mergedSum);
  let assemblyFormat = [{
    $acc `,` $max `,` $sum `scale` $scale `through` $room attr-dict
    `:` qualified(type($acc)) `,` qualified(type($max)) `,` qualified(type($sum)) `,` qualified(type($room))
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The room that `groups` groups need: what a lane has of its rows, for each of half of them.
    static SharedType getRoomFor(::sfa::tile::TileType acc, int64_t groups);
  }];
}

#endif // DIALECTS_GPU_GPUGROUPOPS_TD
