//===- GPUFragmentOps.td - Fragments: shared memory, elements, columns, sums in memory -*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_GPU_GPUFRAGMENTOPS_TD
#define DIALECTS_GPU_GPUFRAGMENTOPS_TD

include "dialects/GPU/GPUOpBase.td"

// None of these operations is lowered yet. They are what backward passes and decoding need beside products and rings.

class GPU_FragmentOp<string mnemonic, list<Trait> traits> : GPU_Op<mnemonic, !listconcat([GPU_NotLoweredYet], traits)>;

//===----------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------===//

def GPU_LoadSharedOp : GPU_FragmentOp<"load_shared", [MemoryEffects<[MemRead]>]> {
  let summary = "a fragment, or numbers for its rows or columns, from shared memory";
  let description = [{
    A matrix gives a fragment of its rows `[first, first + rows)`; `first` is 0 where it is not given. A vector gives a row vector,
    of which each warp has the numbers of its own rows, or `!sfa_gpu.columns`, of which each thread has those of its columns. The
    elements become f32.

    The tile is read here: the place of a ring may be given back behind it, and what is computed from the result stands behind
    the waits before it. Not lowered yet.

    Example:

    ```mlir
    %lse = sfa_gpu.load_shared %l : !sfa_gpu.shared<64xf32, linear> -> !sfa_gpu.columns<64xf32>
    %delta = sfa_gpu.load_shared %d : !sfa_gpu.shared<128xf32, linear> -> !sfa_tile.tile<128xf32>
    %part = sfa_gpu.load_shared %partials[%row] : !sfa_gpu.shared<32x128xf32, linear> -> !sfa_tile.tile<4x128xf32>
    ```
  }];
  let arguments = (ins GPU_SharedType:$tile, Optional<Index>:$first);
  let results = (outs AnyTypeOf<[Tile_Numbers, GPU_ColumnsType], "tile of numbers, or numbers of columns">:$result);
  let assemblyFormat = [{
    $tile (`[` $first^ `]`)? attr-dict `:` qualified(type($tile)) `->` qualified(type($result))
  }];
  let hasVerifier = 1;
}

def GPU_StoreSharedOp : GPU_FragmentOp<"store_shared", [MemoryEffects<[MemWrite]>]> {
  let summary = "write rows of a fragment, or of a row vector, to a tile in shared memory";
  let description = [{
    Rows `[M, M + N)` of the fragment, all of them without `rows N from M`, go to the rows of the tile from `first` on, from 0 on
    without it. With `transposed` they go to columns: element (i, j) to row j. The elements are rounded to those of the tile, to
    nearest even.

    Warps that read the tile wait for `sfa_gpu.arrive` of those that write it, or meet them at `sfa_gpu.barrier`. Products that read it
    need a fence between the stores and that (`nvvm.fence.proxy`), since they read by another path (PTX ISA, "Async proxy"). Not
    lowered yet.

    Example:

    ```mlir
    sfa_gpu.store_shared %o rows 4 from 8 to %partials[%row] : !sfa_tile.tile<16x128xf32>, !sfa_gpu.shared<32x128xf32, linear>
    sfa_gpu.store_shared %ds to %tile transposed : !sfa_tile.tile<128x64xf32>, !sfa_gpu.shared<64x128xbf16, swizzled>
    ```
  }];
  let arguments = (ins
    Tile_Numbers:$fragment, OptionalAttr<I64Attr>:$count, OptionalAttr<I64Attr>:$from, GPU_SharedType:$tile,
    Optional<Index>:$first, UnitAttr:$transposed);
  let assemblyFormat = [{
    $fragment (`rows` $count^ `from` $from)? `to` $tile (`[` $first^ `]`)? (`transposed` $transposed^)? attr-dict
    `:` qualified(type($fragment)) `,` qualified(type($tile))
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Elements and columns
//===----------------------------------------------------------------------===//

def GPU_MapElementsOp : GPU_FragmentOp<"map_elements", [Pure]> {
  let summary = "the same scalar program for each element of fragments";
  let description = [{
    As `sfa_tile.map_rows`, for each element: the region gets the elements at one row and column of the fragments, the number of the row
    from row vectors and that of the column from `!sfa_gpu.columns`, and yields the elements of the results. It uses operations of
    `arith` and `math.exp2`, `math.log2` and `math.fma` on f32, i32 and i1, and no value from outside but scalars. Not lowered yet.

    Example, the probabilities of a backward pass of which keys are the rows:

    ```mlir
    %p = sfa_gpu.map_elements(%s, %lse) : (!sfa_tile.tile<128x64xf32>, !sfa_gpu.columns<64xf32>)
        -> !sfa_tile.tile<128x64xf32> {
    ^bb0(%score: f32, %l: f32):
      %negative = arith.negf %l : f32
      %exponent = math.fma %score, %scale, %negative : f32
      %probability = math.exp2 %exponent : f32
      sfa_gpu.yield %probability : f32
    }
    ```
  }];
  let arguments = (ins Variadic<AnyTypeOf<[Tile_Numbers, GPU_ColumnsType], "tile of numbers, or numbers of columns">>:$inputs);
  let results = (outs Variadic<Tile_Matrix>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "`(` $inputs `)` `:` functional-type($inputs, $results) attr-dict-with-keyword $body";
  let hasRegionVerifier = 1;
}

def GPU_MaskTransposedOp : GPU_FragmentOp<"mask_transposed", [Pure, AllTypesMatch<["scores", "result"]>]> {
  let summary = "set the scores of invisible keys to -inf where keys are the rows";
  let description = [{
    `sfa_tile.mask` of the transposed tile: its first row is key `key` of `n_k`, its first column query `query` of `n_q`. Not lowered
    yet.

    Example:

    ```mlir
    %masked = sfa_gpu.mask_transposed %s[%key, %query] of [%nk, %nq] by <causal> : !sfa_tile.tile<128x64xf32>
    ```
  }];
  let arguments = (ins
    Tile_Matrix:$scores, Index:$key, Index:$query, Index:$numKeys, Index:$numQueries, SFA_MaskAttr:$mask);
  let results = (outs Tile_Matrix:$result);
  let assemblyFormat = [{
    $scores `[` $key `,` $query `]` `of` `[` $numKeys `,` $numQueries `]` `by` $mask attr-dict `:` qualified(type($scores))
  }];
}

def GPU_JoinColumnsOp : GPU_Op<"join_columns", [Pure]> {
  let summary = "the columns of fragments, one after the other";
  let description = [{
    No register is moved: a thread has the elements of all of them. A warp that expands the codes of a few keys at a time joins their
    scores so.

    Example:

    ```mlir
    %s = sfa_gpu.join_columns %s0, %s1 : !sfa_tile.tile<16x16xf32>, !sfa_tile.tile<16x16xf32> -> !sfa_tile.tile<16x32xf32>
    ```
  }];
  let arguments = (ins Variadic<Tile_Matrix>:$parts);
  let results = (outs Tile_Matrix:$result);
  let assemblyFormat = "$parts attr-dict `:` qualified(type($parts)) `->` qualified(type($result))";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

def GPU_ReduceAddOp : GPU_FragmentOp<"reduce_add", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "add the rows of a fragment to memory, where other blocks add theirs";
  let description = [{
    Each element is added in memory (PTX ISA, "red"). The order in which blocks add is not known, so that results may differ in their
    last bits from run to run. The operands are those of `sfa_gpu.store`, and the memory holds f32. Not lowered yet.

    Example:

    ```mlir
    sfa_gpu.reduce_add %dq, %memory[%b, %h, %row] limit %end by %lane : !sfa_tile.tile<128x64xf32>, memref<1x8x?x64xf32>
    ```
  }];
  let arguments = (ins
    Tile_TileType:$tile, Tile_Memory:$memory, Index:$batch, Index:$head, Index:$row, Optional<Index>:$limit, I32:$lane);
  let assemblyFormat = [{
    $tile `,` $memory `[` $batch `,` $head `,` $row `]` (`limit` $limit^)? `by` $lane attr-dict
    `:` qualified(type($tile)) `,` type($memory)
  }];
  let hasVerifier = 1;
}

#endif // DIALECTS_GPU_GPUFRAGMENTOPS_TD
