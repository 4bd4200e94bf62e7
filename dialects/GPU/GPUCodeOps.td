//===- GPUCodeOps.td - Codes in shared memory -*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_GPU_GPUCODEOPS_TD
#define DIALECTS_GPU_GPUCODEOPS_TD

include "dialects/GPU/GPUOpBase.td"

//===----------------------------------------------------------------------===//
// Codes of queries
//===----------------------------------------------------------------------===//

def GPU_ExpandRowsOp : GPU_Op<"expand_rows", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "write codes in memory to the rows of a dense tile";
  let description = [{
    Each warp of the consumers writes its own rows of the tile, zeros and the values of codes `[row, row + rows)` of
    `[batch, head]`; it may read them behind it. Rows beyond the end of the memory are 0. `heads` is that of `sfa_tile.load`. A pair whose
    feature is not below the number of columns is left out.

    Example:

    ```mlir
    sfa_gpu.expand_rows %values, %features[%b, %h, %row] to %tile
      : memref<1x8x?x8xbf16>, memref<1x8x?x8xi8>, !sfa_gpu.shared<128x64xbf16, swizzled>
    ```
  }];
  let arguments = (ins Tile_Memory:$values, Tile_Memory:$features, Index:$batch, Index:$head,
      Index:$row, Tile_Heads:$heads, GPU_SharedType:$tile);
  let assemblyFormat = [{
    $values `,` $features `[` $batch `,` $head `,` $row `]` (`heads` $heads^)? `to` $tile attr-dict
    `:` type($values) `,` type($features) `,` qualified(type($tile))
  }];
  let hasVerifier = 1;
}

def GPU_SplitTwoFourOp : GPU_Op<"split_two_four", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "a tile in shared memory as the sum of two 2:4 operands";
  let description = [{
    Of every aligned four columns the first two non-zeros go to the first operand, the others to the surplus, so the sum of the
    two is the tile, exactly. What is in shared memory of the two takes the place of the tile: of each slice of 32 columns the
    first operand has the first half, the surplus the second. Each warp takes its own rows apart. With warpgroups,
    the warps of one meet behind it, and know in which slices some row of them has a surplus.

    Example:

    ```mlir
    %part, %surplus = sfa_gpu.split_two_four %tile : !sfa_gpu.shared<128x64xbf16, swizzled>
      -> !sfa_gpu.two_four<128x64xbf16, registers>, !sfa_gpu.two_four<128x64xbf16, shared>
    ```
  }];
  let arguments = (ins GPU_SharedType:$tile);
  let results = (outs GPU_TwoFourType:$part, GPU_TwoFourType:$surplus);
  let assemblyFormat = "$tile attr-dict `:` qualified(type($tile)) `->` qualified(type($part)) `,` "
                       "qualified(type($surplus))";
  let hasVerifier = 1;
}

def GPU_LoadCodesOp : GPU_Op<"load_codes", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "the codes of the rows of fragments, from memory";
  let description = [{
    Each warp loads the codes of its own rows, of `[row, row + rows)` of `[batch, head]`. Rows beyond the end of the memory have only
    zeros. `heads` is that of `sfa_tile.load`. A pair whose feature is not below the number of features is left out. Codes in shared
    memory need a room there, of which each warp writes and reads its own rows.

    Example:

    ```mlir
    %q = sfa_gpu.load_codes %values, %features[%b, %h, %row]
      : memref<1x8x?x8xbf16>, memref<1x8x?x8xi8> -> !sfa_gpu.codes<128x64xbf16, k = 8, keys = 128, registers>
    %s = sfa_gpu.load_codes %values, %features[%b, %h, %row] to %room : !sfa_gpu.shared<128x12xi32, linear>
      : memref<1x8x?x8xbf16>, memref<1x8x?x8xi8> -> !sfa_gpu.codes<128x64xbf16, k = 8, keys = 128, shared>
    ```
  }];
  let arguments = (ins Tile_Memory:$values, Tile_Memory:$features, Index:$batch, Index:$head,
      Index:$row, Tile_Heads:$heads, Optional<GPU_SharedType>:$room);
  let results = (outs GPU_CodesType:$codes);
  let assemblyFormat = [{
    $values `,` $features `[` $batch `,` $head `,` $row `]` (`heads` $heads^)?
    (`to` $room^ `:` qualified(type($room)))? attr-dict
    `:` type($values) `,` type($features) `->` qualified(type($codes))
  }];
  let hasVerifier = 1;
}

def GPU_GatherDotOp : GPU_Op<"gather_dot", [MemoryEffects<[MemRead]>]> {
  let summary = "scores of codes and of a feature-major tile of keys";
  let description = [{
    For each pair of a row its value times the feature's elements of all keys is added to the row of the result, in f32. The lanes of
    a warp load what they multiply themselves, 16 bytes at a time, and have read the tile behind it.

    Example:

    ```mlir
    %s = sfa_gpu.gather_dot %q, %k : !sfa_gpu.codes<128x64xbf16, k = 8, keys = 128, registers>, !sfa_gpu.shared<128x64xbf16, feature_major>
      -> !sfa_tile.tile<128x128xf32>
    ```
  }];
  let arguments = (ins GPU_CodesType:$codes, GPU_SharedType:$keys);
  let results = (outs Tile_Matrix:$result);
  let assemblyFormat =
      "$codes `,` $keys attr-dict `:` qualified(type($codes)) `,` qualified(type($keys)) `->` "
      "qualified(type($result))";
  let hasVerifier = 1;
}

def GPU_ScatterDotOp : GPU_Op<"scatter_dot", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "scores of codes and of the posting lists of a tile of keys";
  let description = [{
    For each pair of a row the list of its feature is walked: the pair's value times that of an entry is added to the score of the
    entry's key, in f32. Two lanes of a warp own a row, each with the keys of one half of the tile. The scores of a warp are in the room
    meanwhile, where each lane has a bank of its own: element (key of the half, lane). All lanes of a warp have read the tile behind it.

    Example:

    ```mlir
    %s = sfa_gpu.scatter_dot %q, %k, %room : !sfa_gpu.codes<128x64xbf16, k = 8, step = 2, shared>,
      !sfa_gpu.shared<128x64x8xbf16, postings>, !sfa_gpu.shared<512x32xf32, linear> -> !sfa_tile.tile<128x128xf32>
    ```
  }];
  let arguments = (ins GPU_CodesType:$codes, GPU_SharedType:$lists, GPU_SharedType:$room);
  let results = (outs Tile_Matrix:$result);
  let assemblyFormat =
      "$codes `,` $lists `,` $room attr-dict `:` qualified(type($codes)) `,` qualified(type($lists)) `,` "
      "qualified(type($room)) `->` qualified(type($result))";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The room that `warps` warps need for their scores of `lists`.
    static SharedType getRoomFor(SharedType lists, int64_t warps);
  }];
}

//===----------------------------------------------------------------------===//
// Scales of 8-bit integers
//===----------------------------------------------------------------------===//

def GPU_LoadScalesOp : GPU_Op<"load_scales", [MemoryEffects<[MemRead]>]> {
  let summary = "the scales of the keys of a tile, from memory";
  let description = [{
    The scales of the keys `[row, row + columns)` of `[batch, head]`. Keys beyond the end of the memory have the scale 1. `shared_by` is
    that of `sfa_tile.load_scales`. Columns that have one number together share a scale; where these are not all columns, or where the
    columns have two numbers, the tile has keys of two scales at most.

    Example:

    ```mlir
    %one = sfa_gpu.load_scales %scales[%b, %h, %key] shared_by tile
      : memref<1x8x?xf32> -> !sfa_gpu.columns<128xf32, together 128>
    %each = sfa_gpu.load_scales %scales[%b, %h, %key] shared_by token : memref<1x8x?xf32> -> !sfa_gpu.columns<128xf32>
    ```
  }];
  let arguments = (ins Tile_ScalesMemory:$memory, Index:$batch, Index:$head, Index:$row, SFA_ScalesAttr:$sharedBy);
  let results = (outs GPU_ColumnsType:$scales);
  let assemblyFormat = [{
    $memory `[` $batch `,` $head `,` $row `]` `shared_by` `` $sharedBy attr-dict `:` type($memory) `->` qualified(type($scales))
  }];
  let hasVerifier = 1;
}

def GPU_PrefetchScalesOp : GPU_Op<"prefetch_scales", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "bring the scales of the keys of a tile near";
  let description = [{
    Those that `sfa_gpu.load_scales` of the same operands reads, of `columns` keys, one for each. Nobody waits for them.

    Example:

    ```mlir
    sfa_gpu.prefetch_scales %scales[%b, %h, %key] columns 128 : memref<1x8x?xf32>
    ```
  }];
  let arguments = (ins Tile_ScalesMemory:$memory, Index:$batch, Index:$head, Index:$row, I64Attr:$columns);
  let assemblyFormat = "$memory `[` $batch `,` $head `,` $row `]` `columns` $columns attr-dict `:` type($memory)";
}

def GPU_DequantizeOp : GPU_Op<"dequantize", [Pure]> {
  let summary = "scores of 8-bit queries and keys from the product of their integers";
  let description = [{
    As `sfa_tile.dequantize`; the scales of the keys are those of `sfa_gpu.load_scales`. Where columns have one together, the elements
    stay as they are, and the factors of the result are the products of the scales. Otherwise the elements are multiplied by those of
    the columns.

    Example:

    ```mlir
    %s = sfa_gpu.dequantize %product rows %f keys %g : !sfa_tile.tile<128x64xi32>, !sfa_tile.tile<128xf32>,
      !sfa_gpu.columns<64xf32, together 64> -> !sfa_tile.tile<128x64xf32, scaled>
    ```
  }];
  let arguments = (ins Tile_Matrix:$product, Tile_RowVector:$rows, GPU_ColumnsType:$keys);
  let results = (outs Tile_Matrix:$scores);
  let assemblyFormat = [{
    $product `rows` $rows `keys` $keys attr-dict
    `:` qualified(type($product)) `,` qualified(type($rows)) `,` qualified(type($keys)) `->` qualified(type($scores))
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Codes of keys
//===----------------------------------------------------------------------===//

// Codes are staged as two tiles, values and features, each with k columns a row.

def GPU_ExpandCodesOp : GPU_Op<"expand_codes", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "write rows of codes to a dense tile that holds zeros";
  let description = [{
    The codes of rows `[first, first + 16)` go to the rows `[place, place + 16)` of the dense tile, a multiple of 8, each value to the column
    of its feature; zeros and features beyond the columns are left out. The warps of the group (`sfa_gpu.each_group`), which is one
    warp, meet behind it, so that all lanes may read the tile. Features are as many as the dense tile has columns, at most 256, in i8.

    Example:

    ```mlir
    sfa_gpu.expand_codes %values, %features[%first] to %dense[%place]
      : !sfa_gpu.shared<64x8xbf16, linear>, !sfa_gpu.shared<64x8xi8, linear>, !sfa_gpu.shared<128x128xbf16, swizzled>
    ```
  }];
  let arguments = (ins GPU_SharedType:$values, GPU_SharedType:$features, Index:$first, GPU_SharedType:$dense, Index:$place);
  let assemblyFormat = [{
    $values `,` $features `[` $first `]` `to` $dense `[` $place `]` attr-dict
    `:` qualified(type($values)) `,` qualified(type($features)) `,` qualified(type($dense))
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Rows that are expanded at once: the columns of a product of 16-bit elements, twice.
    static constexpr int64_t rows = 16;
  }];
}

def GPU_ClearCodesOp : GPU_Op<"clear_codes", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "write zeros to a dense tile where codes were expanded";
  let description = [{
    The tile is zero again behind it, for fewer stores than all of its elements. The features are those of `sfa_gpu.expand_codes`;
    the lanes of the warp meet before it, since they may still read the tile.

    Example:

    ```mlir
    sfa_gpu.clear_codes %features[%first] in %dense[%place]
      : !sfa_gpu.shared<64x8xi8, linear>, !sfa_gpu.shared<128x128xbf16, swizzled>
    ```
  }];
  let arguments = (ins GPU_SharedType:$features, Index:$first, GPU_SharedType:$dense, Index:$place);
  let assemblyFormat = [{
    $features `[` $first `]` `in` $dense `[` $place `]` attr-dict `:` qualified(type($features)) `,` qualified(type($dense))
  }];
  let hasVerifier = 1;
}

def GPU_LookupDotOp : GPU_Op<"lookup_dot", [GPU_NotLoweredYet, MemoryEffects<[MemRead]>]> {
  let summary = "scores of codes by a table of the queries in shared memory";
  let description = [{
    The table has the queries as its columns: row f holds their elements of feature f. The score of a query and a row of codes is
    the sum of `value * table[feature, query]` over its k pairs, in f32. The queries are the rows of the result, the codes its
    columns. Not lowered yet.

    Example:

    ```mlir
    %s = sfa_gpu.lookup_dot %table, %values, %features
      : !sfa_gpu.shared<128x16xf32, linear>, !sfa_gpu.shared<64x8xbf16, linear>, !sfa_gpu.shared<64x8xi8, linear>
      -> !sfa_tile.tile<16x64xf32>
    ```
  }];
  let arguments = (ins GPU_SharedType:$table, GPU_SharedType:$values, GPU_SharedType:$features);
  let results = (outs Tile_Matrix:$result);
  let assemblyFormat = [{
    $table `,` $values `,` $features attr-dict `:` qualified(type($table)) `,` qualified(type($values)) `,`
    qualified(type($features)) `->` qualified(type($result))
  }];
  let hasVerifier = 1;
}

#endif // DIALECTS_GPU_GPUCODEOPS_TD
