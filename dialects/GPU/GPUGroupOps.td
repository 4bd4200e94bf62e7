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
    GPU_NotLoweredYet, RecursiveMemoryEffects, SingleBlockImplicitTerminator<"::sfa::simt::YieldOp">,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmBlockArgumentNames"]>]> {
  let summary = "what each group of so many warps of a role does on its own";
  let description = [{
    The warps of the role, those of the block where there are no roles, form groups of `warps` one after the other, and each group runs
    the region. Fragments in it are those of the group: a group of one warp owns all rows of a tile. The block argument is the
    number of the group in its role. Groups do not wait for each other but at rings and at barriers of the role.

    Products under way are those of warpgroups, so a region that issues some has groups of whole warpgroups. Not lowered yet.

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

def GPU_SplitOrderOp : GPU_Op<"split_order", [GPU_NotLoweredYet, MemoryEffects<[MemRead, MemWrite, MemAlloc]>]> {
  let summary = "an order of points that are splits of the keys of sequences, whose lengths are in memory";
  let description = [{
    A sequence of n keys has `ceil(n / S)` points for each head, where S is the smallest of `base`, `2 base`, `4 base`, ... with which
    they are at most `most`. So S follows from the sequence's own length, and neither other sequences nor the number of blocks change
    the order of its sums. A block takes every P-th point, of P blocks, with the head fastest. The batch of a
    point is the sequence, its row tile the number of the split.

    All threads of the block read the lengths and leave the number of splits before each sequence in shared memory; there are at most
    `sequences` of them. Not lowered yet.

    Example:

    ```mlir
    %order = sfa_gpu.split_order %lengths by 512 most 128 sequences 511 : memref<?xi32> -> !sfa_gpu.point_order
    ```
  }];
  let arguments = (ins Tile_Offsets:$lengths, I64Attr:$base, I64Attr:$most, I64Attr:$sequences, OptionalAttr<I64Attr>:$offset);
  let results = (outs GPU_PointOrderType:$order);
  let assemblyFormat = [{
    $lengths `by` $base `most` $most `sequences` $sequences (`at` $offset^)? attr-dict `:` type($lengths) `->` type($order)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Of each sequence the splits before it and its length (8 bytes), and of the last one those behind it.
    int64_t getBytes() { return 8 * (static_cast<int64_t>(getSequences()) + 1); }
  }];
}

def GPU_SplitRangeOp : GPU_Op<"split_range", [GPU_NotLoweredYet, MemoryEffects<[MemRead]>]> {
  let summary = "the keys of a split, and how many splits its sequence has";
  let description = [{
    The keys are `[first, end)` of the sequence that the point's batch names. The order is one of `sfa_gpu.split_order`. Not lowered yet.

    Example:

    ```mlir
    %first, %end, %splits = sfa_gpu.split_range %sequence, %split in %order
    ```
  }];
  let arguments = (ins Index:$sequence, Index:$split, GPU_PointOrderType:$order);
  let results = (outs Index:$first, Index:$end, Index:$splits);
  let assemblyFormat = "$sequence `,` $split `in` $order attr-dict";
  let hasVerifier = 1;
}

#endif // DIALECTS_GPU_GPUGROUPOPS_TD
