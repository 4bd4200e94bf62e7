//===- GPUStructureOps.td - Kernels, roles, points and the loop over tiles -*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_GPU_GPUSTRUCTUREOPS_TD
#define DIALECTS_GPU_GPUSTRUCTUREOPS_TD

include "dialects/GPU/GPUOpBase.td"
include "dialects/Tile/TileInterfaces.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

def GPU_KernelOp : GPU_Op<"kernel", [
    IsolatedFromAbove, Symbol, Tile_KernelOpInterface,
    SingleBlockImplicitTerminator<"::sfa::simt::ReturnOp">,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmBlockArgumentNames"]>]> {
  let summary = "what the warps of a block do";
  let description = [{
    The arguments are memories, as those of `sfa_tile.kernel`, or tables of i32 in two dimensions, as the page table of a cache, and
    behind them numbers, f32. A block has `warps` warps. Warps `[C, C + N)` are its consumers: fragments are theirs, each owns an equal share of the rows.

    A `persistent` kernel has at most a block for each multiprocessor, and each works on several points of the grid. The
    others have a block for each point.

    `sfa-gpu-allocate` adds `shared_bytes`, the shared memory of a block, and `tensor_maps`: for each tensor map that copies
    need the number of a memory, and the rows and heads of a box. It also adds `batches`: the memories of whose batches the kernel asks.

    Example:

    ```mlir
    sfa_gpu.kernel @attention(%query: memref<1x8x?x64xbf16>, %output: memref<1x8x?x64xbf16>)
        warps 12 consumers 4 to 12 persistent {
      ...
    }
    ```
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name, I64Attr:$warps, I64Attr:$firstConsumer, I64Attr:$endOfConsumers, UnitAttr:$persistent);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Block::BlockArgListType getMemories() { return tile::takeMemories(getBody().getArguments()); }
    ::mlir::Block::BlockArgListType getScalars() { return tile::dropMemories(getBody().getArguments()); }
    int64_t getNumConsumers() { return getEndOfConsumers() - getFirstConsumer(); }
    static constexpr ::llvm::StringLiteral sharedBytesAttrName = "shared_bytes", tensorMapsAttrName = "tensor_maps",
                                               batchesAttrName = "batches";
  }];
}

def GPU_ReturnOp : GPU_Op<"return", [Terminator, Pure, HasParent<"KernelOp">]> {
  let summary = "the end of a kernel";
  let description = "Implicit at the end of a `sfa_gpu.kernel`.";
  let assemblyFormat = "attr-dict";
}

def GPU_YieldOp : GPU_Op<"yield", [
    Terminator, Pure, ReturnLike, ParentOneOf<["RolesOp", "EachGroupOp", "ForPointsOp", "TileLoopOp", "MapElementsOp"]>]> {
  let summary = "the end of a role, of a group, of a point, of a stage or of an element";
  let description = [{
    Implicit at the end of `sfa_gpu.each_group`.

    Example:

    ```mlir
    sfa_gpu.yield %p : !sfa_gpu.position
    ```
  }];
  let arguments = (ins Variadic<AnyType>:$values);
  let builders = [OpBuilder<(ins), "build($_builder, $_state, ::mlir::ValueRange());">];
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
}

//===----------------------------------------------------------------------===//
// Roles
//===----------------------------------------------------------------------===//

def GPU_RolesOp : GPU_Op<"roles", [RecursiveMemoryEffects]> {
  let summary = "what different warps of the block do";
  let description = [{
    The first role is that of the first warps, and so on; together they have all warps of the block. `registers` is how many
    a thread of the role has from then on (PTX ISA, "setmaxnreg"): a multiple of 8, the same for the four warps of a warpgroup. Roles
    that share a warpgroup and have registers are not lowered yet.

    Example:

    ```mlir
    sfa_gpu.roles producer warps 4 registers 24 {
      ...
    } consumers warps 8 registers 240 {
      ...
    }
    ```
  }];
  let arguments = (ins StrArrayAttr:$names, DenseI64ArrayAttr:$warps, DenseI64ArrayAttr:$registers);
  let regions = (region VariadicRegion<SizedRegion<1>>:$bodies);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
}

def GPU_IsLeaderOp : GPU_Op<"is_leader", [Pure]> {
  let summary = "whether this is the first thread of a warp of the block";
  let description = [{
    Example:

    ```mlir
    %copies = sfa_gpu.is_leader 1
    ```
  }];
  let arguments = (ins I64Attr:$warp);
  let results = (outs I1:$result);
  let assemblyFormat = "$warp attr-dict";
}

def GPU_ConsumerOp : GPU_Op<"consumer", [Pure]> {
  let summary = "the number of the warpgroup among those of the consumers";
  let description = [{
    Example:

    ```mlir
    %number = sfa_gpu.consumer : i32
    ```
  }];
  let results = (outs I32:$number);
  let assemblyFormat = "attr-dict `:` type($number)";
}

def GPU_LaneOp : GPU_Op<"lane", [Pure]> {
  let summary = "the number of the thread in its warp";
  let description = [{
    With `again` the number is formed here once more, so that no register holds it meanwhile.

    Example:

    ```mlir
    %lane = sfa_gpu.lane again : i32
    ```
  }];
  let arguments = (ins UnitAttr:$again);
  let results = (outs I32:$number);
  let assemblyFormat = "(`again` $again^)? attr-dict `:` type($number)";
}

def GPU_AnyOfBlockOp : GPU_Op<"any_of_block", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "whether a condition holds in some thread of the block; all of them meet here";
  let description = [{
    Example:

    ```mlir
    %again = sfa_gpu.any_of_block %overflows
    ```
  }];
  let arguments = (ins I1:$condition);
  let results = (outs I1:$result);
  let assemblyFormat = "$condition attr-dict";
}

//===----------------------------------------------------------------------===//
// Points of the grid
//===----------------------------------------------------------------------===//

def GPU_PointOrderOp : GPU_Op<"point_order", [MemoryEffects<[MemWrite, MemAlloc]>]> {
  let summary = "decide how the points of a persistent grid are dealt out, where their costs rise with the row tile";
  let description = [{
    Heads are worked on in groups whose tiles fall from the longest to the shortest and rise again, so that blocks end
    at the same time and the keys of few heads are read at once. How many heads a group has depends on the grid: all
    threads compute the number and leave it in shared memory.

    Example:

    ```mlir
    %order = sfa_gpu.point_order : !sfa_gpu.point_order
    ```
  }];
  let arguments = (ins OptionalAttr<I64Attr>:$offset);
  let results = (outs GPU_PointOrderType:$order);
  let assemblyFormat = "(`at` $offset^)? attr-dict `:` type($order)";
  let extraClassDeclaration = "static constexpr int64_t bytes = 8;";
}

def GPU_ForPointsOp : GPU_Op<"for_points", [
    SingleBlock, AttrSizedOperandSegments, RecursiveMemoryEffects, AllTypesMatch<["inits", "results"]>,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmBlockArgumentNames"]>]> {
  let summary = "the points of the grid that the block works on, one after the other";
  let description = [{
    The block arguments are the number of the round (i32), the point's batch, head and row tile, and the values that are
    carried from one point to the next. With an order, points are dealt out as it says; otherwise all points cost the same.
    A kernel that is not persistent has one point, in round 0.

    Example:

    ```mlir
    %end = sfa_gpu.for_points (%round, %b, %h, %t) in %order carry (%p = %start) : (!sfa_gpu.position) {
      ...
      sfa_gpu.yield %next : !sfa_gpu.position
    }
    ```
  }];
  let arguments = (ins Optional<GPU_PointOrderType>:$order, Variadic<AnyType>:$inits);
  let results = (outs Variadic<AnyType>:$results);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::BlockArgument getRound() { return getBody().getArgument(0); }
    /// Batch, head and row tile.
    ::mlir::Block::BlockArgListType getCoordinates() { return getBody().getArguments().slice(1, 3); }
    ::mlir::Block::BlockArgListType getCarried() { return getBody().getArguments().drop_front(4); }
  }];
}

def GPU_PointAgainOp : GPU_Op<"point_again", [Pure]> {
  let summary = "the point of a round once more, so that no registers hold it meanwhile";
  let description = [{
    Nobody knows that this is the point that `sfa_gpu.for_points` gave: the assembler forms it from the round again.

    Example:

    ```mlir
    %b, %h, %t = sfa_gpu.point_again %round in %order
    ```
  }];
  let arguments = (ins I32:$round, Optional<GPU_PointOrderType>:$order);
  let results = (outs Index:$batch, Index:$head, Index:$tile);
  let assemblyFormat = "$round (`in` $order^)? attr-dict";
}

//===----------------------------------------------------------------------===//
// The loop over tiles, before it is pipelined
//===----------------------------------------------------------------------===//

def GPU_TileLoopOp : GPU_Op<"tile_loop", [
    AttrSizedOperandSegments, RecursiveMemoryEffects,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmBlockArgumentNames"]>]> {
  let summary = "the loop of consumers over tiles of keys, in stages";
  let description = [{
    The loop of `sfa_tile.key_loop`, whose tiles are in rings, from a position on that all of them share. Its results are those of the
    loop, and behind them the position. `sfa-gpu-pipeline` makes an `scf.for` of it: what is issued ahead of what, who waits where and
    who has its turn is decided there, by the attributes.

    | stage | gets | yields |
    |---|---|---|
    | `load` | number of the first key, place in the rings | nothing: it starts the copies of a tile, where the consumers copy themselves |
    | `score` | tiles at a place of the score rings | scores |
    | `mask` | number of the first key, scores | scores |
    | `trim` | number of the first key, tile of values | nothing: it clears rows of another sequence, where there may be some |
    | `softmax` | scores, state, whether this is known to be the first tile | probabilities, state, what `accumulate` wants besides |
    | `accumulate` | accumulator, probabilities, tile of values, state, that, and whether the tile is in the first place | accumulator, state |

    `resident` rings hold what all tiles need; they are given back when the last scores are there. `kept` operands are read by each
    product for the scores. Only the last tile needs `trim`. With `lookahead 1` the scores of a tile are under way during
    the softmax of the tile before. With `turns` the consumers issue their products one after the other.

    Example:

    ```mlir
    %acc, %max, %sum, %end = sfa_gpu.tile_loop %lower to %upper step 128 scores(%keys) values(%values) from %p
        init(%acc0, %max0, %sum0) lookahead 1 ...
    ```
  }];
  let arguments = (ins Index:$lower, Index:$upper, I64Attr:$step,
      Variadic<GPU_RingType>:$scoreRings, GPU_RingType:$valueRing,
      Optional<GPU_PositionType>:$position, Variadic<GPU_RingType>:$residents,
      Optional<GPU_PositionType>:$residentPosition, Variadic<GPU_Kept>:$kept,
      Variadic<AnyType>:$inits, I64Attr:$stages, I64Attr:$lookahead, UnitAttr:$turns);
  let results = (outs Variadic<AnyType>:$results);
  let regions = (region
    SizedRegion<1>:$load, SizedRegion<1>:$score, SizedRegion<1>:$mask, SizedRegion<1>:$softmax,
    SizedRegion<1>:$trim, SizedRegion<1>:$accumulate);
  let assemblyFormat = [{
    $lower `to` $upper `step` $step `scores` `(` $scoreRings `)` `values` `(` $valueRing `)` (`from` $position^)?
    (`resident` `(` $residents^ `)` `at` $residentPosition)? (`kept` `(` $kept^ `)`)?
    `init` `(` $inits `)` `stages` $stages `lookahead` $lookahead (`turns` $turns^)? attr-dict-with-keyword
    `:` functional-type(operands, results)
    `load` $load `score` $score `mask` $mask `softmax` $softmax `trim` $trim
    `accumulate` $accumulate
  }];
  let hasRegionVerifier = 1;
}

#endif // DIALECTS_GPU_GPUSTRUCTUREOPS_TD
