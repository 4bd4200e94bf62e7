//===- TileDataOps.td - Operations that move tiles and change their form -*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_TILE_TILEDATAOPS_TD
#define DIALECTS_TILE_TILEDATAOPS_TD

include "dialects/Tile/TileOpBase.td"
include "mlir/Interfaces/InferTypeOpInterface.td"

def Tile_LoadOp : Tile_Op<"load", [AttrSizedOperandSegments, MemoryEffects<[MemRead]>]> {
  let summary = "read a tile of rows";
  let description = [{
    Reads rows `[row, row + rows)` of `memory[batch, head]`, all columns. Rows beyond the end of the memory are 0, and
    so are rows of the memory from `limit` on where that is given. Values need a limit where the rows of another
    sequence follow: the probability of a masked key is 0, but 0 times a NaN is no 0. Keys and queries do not: scores of masked
    keys are replaced whatever they are, and rows of other queries are not stored.

    With `heads H` the tile is of H heads from `head` on: rows `[row, row + P)` of each, one head after the other. P is
    `rows / H` where that is a whole number. Otherwise it is `rows` divided by the next power of two, and of the rows left
    over nobody knows what they hold.

    With `feature_major` the memory has the form of `#sfa.feature_major`, with as many tokens in a tile as the tile has rows, and its
    rows follow one another. `row` is a multiple of the rows of the tile.

    With `pages` the rows are those of sequence `batch`, whose pages a table names: row r of it is row `r % T` of `memory[table[batch,
    r / T], head]`, where T is the rows of the memory, a constant. Rows from `limit` on, which is given, are 0, and their pages are
    not looked for. A number that names no page counts as the first or the last one. There are rows of one head.

    Example:

    ```mlir
    %q = sfa_tile.load %memory[%b, %h, %row] : memref<1x8x?x128xbf16> -> !sfa_tile.tile<64x128xbf16>
    %v = sfa_tile.load %memory[%b, %h, %row] limit %end : memref<1x8x?x128xbf16> -> !sfa_tile.tile<64x128xbf16>
    %q = sfa_tile.load %memory[%b, %h, %row] heads 4 : memref<1x8x?x128xbf16> -> !sfa_tile.tile<64x128xbf16>
    %k = sfa_tile.load %memory[%b, %h, %row] feature_major : memref<1x8x?x8192xbf16> -> !sfa_tile.tile<64x128xbf16>
    %v = sfa_tile.load %memory[%s, %h, %row] pages %table : memref<?x?xi32> limit %end
      : memref<?x8x64x128xbf16> -> !sfa_tile.tile<128x128xbf16>
    ```
  }];
  let arguments = (ins Tile_Memory:$memory, Index:$batch, Index:$head, Index:$row,
      Optional<Tile_Table>:$pages, Optional<Index>:$limit, Tile_Heads:$heads, UnitAttr:$featureMajor);
  let results = (outs Tile_Matrix:$tile);
  let builders = [OpBuilder<(ins "::mlir::Type":$tile, "::mlir::Value":$memory, "::mlir::Value":$batch,
      "::mlir::Value":$head, "::mlir::Value":$row, "::mlir::Value":$limit, "uint64_t":$heads, "bool":$featureMajor), [{
    build($_builder, $_state, tile, memory, batch, head, row, /*pages=*/::mlir::Value(), limit, heads, featureMajor);
  }]>];
  let assemblyFormat = [{
    $memory `[` $batch `,` $head `,` $row `]` (`pages` $pages^ `:` type($pages))? (`limit` $limit^)? (`heads` $heads^)?
    (`feature_major` $featureMajor^)? attr-dict `:` type($memory) `->` qualified(type($tile))
  }];
  let hasVerifier = 1;
}

def Tile_LoadCodesOp : Tile_Op<"load_codes", [AttrSizedOperandSegments, MemoryEffects<[MemRead]>]> {
  let summary = "read a tile of codes";
  let description = [{
    Reads rows `[row, row + rows)` of the two memories that hold codes. Rows beyond the end hold the value 0. `heads` is
    that of `sfa_tile.load`, and so are `pages` and `limit`. Integers of 8 bits are multiplied by their scales where those are
    given, which gives codes of f32; `shared_by` says which rows share one (`#sfa.codes`).

    Example:

    ```mlir
    %q = sfa_tile.load_codes %values, %indices[%b, %h, %row]
      : memref<1x8x?x8xbf16>, memref<1x8x?x8xi8> -> !sfa_tile.codes<64x128xbf16, k = 8>
    %s = sfa_tile.load_codes %integers, %indices[%b, %h, %row] scales %scales : memref<1x8x?xf32> shared_by token
      : memref<1x8x?x8xi8>, memref<1x8x?x8xi8> -> !sfa_tile.codes<64x128xf32, k = 8>
    ```
  }];
  let arguments = (ins Tile_Memory:$values, Tile_Memory:$indices, Index:$batch, Index:$head, Index:$row,
    Optional<Tile_Table>:$pages, Optional<Index>:$limit, Optional<Tile_ScalesMemory>:$scales,
    OptionalAttr<SFA_ScalesAttr>:$sharedBy, Tile_Heads:$heads);
  let results = (outs Tile_CodesType:$codes);
  let builders = [OpBuilder<(ins "::mlir::Type":$codes, "::mlir::Value":$values, "::mlir::Value":$indices,
      "::mlir::Value":$batch, "::mlir::Value":$head, "::mlir::Value":$row, "::mlir::Value":$scales,
      "ScalesAttr":$sharedBy, "uint64_t":$heads), [{
    build($_builder, $_state, codes, values, indices, batch, head, row, /*pages=*/::mlir::Value(),
          /*limit=*/::mlir::Value(), scales, sharedBy, heads);
  }]>];
  let assemblyFormat = [{
    $values `,` $indices `[` $batch `,` $head `,` $row `]` (`pages` $pages^ `:` type($pages))? (`limit` $limit^)?
    (`scales` $scales^ `:` type($scales) `shared_by` `` $sharedBy)? (`heads` $heads^)? attr-dict
    `:` type($values) `,` type($indices) `->` qualified(type($codes))
  }];
  let hasVerifier = 1;
}

def Tile_LoadScalesOp : Tile_Op<"load_scales", [MemoryEffects<[MemRead]>]> {
  let summary = "read the scales of rows of 8-bit integers";
  let description = [{
    The scale of each of the rows `[row, row + rows)`, of which `shared_by` says which share one. Rows beyond the last
    scale have the scale 1. `heads` is that of `sfa_tile.load`.

    `together N` promises that of the rows of the tile each N, from the first on, have one scale.

    Example:

    ```mlir
    %f = sfa_tile.load_scales %scales[%b, %h, %row] shared_by tile together 128
      : memref<1x8x?xf32> -> !sfa_tile.tile<128xf32>
    ```
  }];
  let arguments = (ins Tile_ScalesMemory:$memory, Index:$batch, Index:$head, Index:$row, SFA_ScalesAttr:$sharedBy,
    DefaultValuedAttr<I64Attr, "1">:$together, Tile_Heads:$heads);
  let results = (outs Tile_RowVector:$scales);
  let assemblyFormat = [{
    $memory `[` $batch `,` $head `,` $row `]` `shared_by` `` $sharedBy (`together` $together^)?
    (`heads` $heads^)? attr-dict
    `:` type($memory) `->` qualified(type($scales))
  }];
  let hasVerifier = 1;
}

def Tile_QuantizeOp : Tile_Op<"quantize", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "round the values of codes to 8-bit integers with scales";
  let description = [{
    Does what `sfa.quantize` says for tile number `tile` of `values[batch, head]`: 128 rows, or all rows where the head
    shares a scale. Rows beyond the end are left out.

    Example:

    ```mlir
    sfa_tile.quantize %values[%b, %h, %t] to %integers, %scales shared_by token
      : memref<1x8x?x8xbf16>, memref<1x8x?x8xi8>, memref<1x8x?xf32>
    ```
  }];
  let arguments = (ins Tile_Memory:$values, Index:$batch, Index:$head, Index:$tile, Tile_Memory:$integers,
    Tile_ScalesMemory:$scales, SFA_ScalesAttr:$sharedBy);
  let assemblyFormat = [{
    $values `[` $batch `,` $head `,` $tile `]` `to` $integers `,` $scales `shared_by` `` $sharedBy attr-dict
    `:` type($values) `,` type($integers) `,` type($scales)
  }];
  let hasVerifier = 1;
}

def Tile_QuantizeCodesOp : Tile_Op<"quantize_codes", [Pure]> {
  let summary = "codes with their values rounded to 8-bit integers, and the scales";
  let description = [{
    Does what `sfa.quantize` says for the rows of a tile, each of which has its scale in the second result. With `shared_by tile`
    these are the 128 rows that share one; a head is more than a tile.

    The integers may belong to more features than the codes have, as `#sfa.dense` has more columns. No code names those.

    Example:

    ```mlir
    %integers, %scales = sfa_tile.quantize_codes %codes shared_by token
      : !sfa_tile.codes<128x64xbf16, k = 8> -> !sfa_tile.codes<128x64xi8, k = 8>, !sfa_tile.tile<128xf32>
    ```
  }];
  let arguments = (ins Tile_CodesType:$codes, SFA_ScalesAttr:$sharedBy);
  let results = (outs Tile_CodesType:$integers, Tile_RowVector:$scales);
  let assemblyFormat = [{
    $codes `shared_by` `` $sharedBy attr-dict
    `:` qualified(type($codes)) `->` qualified(type($integers)) `,` qualified(type($scales))
  }];
  let hasVerifier = 1;
}

def Tile_StoreScalesOp : Tile_Op<"store_scales", [MemoryEffects<[MemWrite]>]> {
  let summary = "write the scales of rows of 8-bit integers";
  let description = [{
    Writes the scales of the rows `[row, row + rows)`, of which `shared_by` says which share one. With `shared_by tile`
    these are 128 rows, from a multiple of 128 on, which have the same scale. Rows beyond the last scale are dropped.

    Example:

    ```mlir
    sfa_tile.store_scales %f, %scales[%b, %h, %row] shared_by tile : !sfa_tile.tile<128xf32>, memref<1x8x?xf32>
    ```
  }];
  let arguments = (ins
    Tile_RowVector:$scales, Tile_ScalesMemory:$memory, Index:$batch, Index:$head, Index:$row, SFA_ScalesAttr:$sharedBy);
  let assemblyFormat = [{
    $scales `,` $memory `[` $batch `,` $head `,` $row `]` `shared_by` `` $sharedBy attr-dict
    `:` qualified(type($scales)) `,` type($memory)
  }];
  let hasVerifier = 1;
}

def Tile_StoreOp : Tile_Op<"store", [MemoryEffects<[MemWrite]>]> {
  let summary = "write a tile of rows";
  let description = [{
    Writes rows `[row, row + rows)` of `memory[batch, head]`, rounding to its element type to nearest even. Rows beyond
    the end of the memory are dropped, and so are rows of the memory from `limit` on where that is given. `heads` is that
    of `sfa_tile.load`; rows left over are dropped.

    Example:

    ```mlir
    sfa_tile.store %o, %memory[%b, %h, %row] : !sfa_tile.tile<64x128xf32>, memref<1x8x?x128xbf16>
    sfa_tile.store %lse, %memory[%b, %h, %row] limit %end : !sfa_tile.tile<64xf32>, memref<1x8x?xf32>
    ```
  }];
  let arguments = (ins
    Tile_Numbers:$tile, Tile_Memory:$memory, Index:$batch, Index:$head, Index:$row, Optional<Index>:$limit,
    Tile_Heads:$heads);
  let assemblyFormat = [{
    $tile `,` $memory `[` $batch `,` $head `,` $row `]` (`limit` $limit^)? (`heads` $heads^)? attr-dict
    `:` qualified(type($tile)) `,` type($memory)
  }];
  let hasVerifier = 1;
}

def Tile_StoreFeatureMajorOp : Tile_Op<"store_feature_major", [MemoryEffects<[MemWrite]>]> {
  let summary = "write a tile of keys, feature by feature";
  let description = [{
    Writes the tile to a memory of the form of `#sfa.feature_major`, where `sfa_tile.load` with `feature_major` reads it. `row` is a
    multiple of the rows of the tile.

    Example:

    ```mlir
    sfa_tile.store_feature_major %k, %memory[%b, %h, %row] : !sfa_tile.tile<64x128xbf16>, memref<1x8x?x8192xbf16>
    ```
  }];
  let arguments = (ins Tile_Matrix:$tile, Tile_Memory:$memory, Index:$batch, Index:$head,
      Index:$row);
  let assemblyFormat = [{
    $tile `,` $memory `[` $batch `,` $head `,` $row `]` attr-dict `:` qualified(type($tile)) `,` type($memory)
  }];
  let hasVerifier = 1;
}

def Tile_LoadPostingsOp : Tile_Op<"load_postings", [MemoryEffects<[MemRead]>]> {
  let summary = "load the posting lists of a tile of keys";
  let description = [{
    The memory has the form of `#sfa.postings`, with as many tokens in a tile as there are rows, and its rows follow one another. `row`
    is a multiple of the rows.

    Example:

    ```mlir
    %lists = sfa_tile.load_postings %memory[%b, %h, %row] : memref<1x8x?x4384xi8> -> !sfa_tile.postings<128x64xbf16, k = 8>
    ```
  }];
  let arguments = (ins Tile_Memory:$memory, Index:$batch, Index:$head, Index:$row);
  let results = (outs Tile_PostingsType:$postings);
  let assemblyFormat = [{
    $memory `[` $batch `,` $head `,` $row `]` attr-dict `:` type($memory) `->` qualified(type($postings))
  }];
  let hasVerifier = 1;
}

def Tile_StorePostingsOp : Tile_Op<"store_postings", [MemoryEffects<[MemWrite]>]> {
  let summary = "write the posting lists of a tile of keys";
  let description = [{
    Writes them to a memory of the form of `#sfa.postings`, where `sfa_tile.load_postings` reads them. `row` is a multiple of the rows.

    Example:

    ```mlir
    sfa_tile.store_postings %lists, %memory[%b, %h, %row] : !sfa_tile.postings<128x64xbf16, k = 8>, memref<1x8x?x4384xi8>
    ```
  }];
  let arguments = (ins Tile_PostingsType:$postings, Tile_Memory:$memory, Index:$batch, Index:$head,
      Index:$row);
  let assemblyFormat = [{
    $postings `,` $memory `[` $batch `,` $head `,` $row `]` attr-dict `:` qualified(type($postings)) `,` type($memory)
  }];
  let hasVerifier = 1;
}

def Tile_ProbeOp : Tile_Op<"probe", [MemoryEffects<[MemWrite]>]> {
  let summary = "write a tile that lies between others, where a condition holds";
  let description = [{
    Writes all rows of the tile to rows `[row, row + rows)` of `memory[batch, head]`, as `sfa_tile.store` does, where the
    condition holds. It is there to look into a kernel, and stands where the tile is, also in a stage of a
    `sfa_tile.key_loop`. The condition is the same for all rows. Nothing else of the kernel changes but what a compiler does
    with the tile. `sfa-insert-probe` puts one into a kernel.

    Example:

    ```mlir
    sfa_tile.probe %p, %memory[%zero, %number, %zero] when %here : !sfa_tile.tile<64x128xf32>, memref<1x?x64x128xf32>
    ```
  }];
  let arguments = (ins
    Tile_Numbers:$tile, Tile_Memory:$memory, Index:$batch, Index:$head, Index:$row, I1:$condition);
  let assemblyFormat = [{
    $tile `,` $memory `[` $batch `,` $head `,` $row `]` `when` $condition attr-dict
    `:` qualified(type($tile)) `,` type($memory)
  }];
  let hasVerifier = 1;
}

def Tile_StoreCodesOp : Tile_Op<"store_codes", [MemoryEffects<[MemWrite]>]> {
  let summary = "write a tile of codes";
  let description = [{
    Writes rows `[row, row + rows)` of the two memories that hold codes. Rows beyond the end are dropped.

    Example:

    ```mlir
    sfa_tile.store_codes %codes, %values, %indices[%b, %h, %row]
      : !sfa_tile.codes<64x128xbf16, k = 8>, memref<1x8x?x8xbf16>, memref<1x8x?x8xi8>
    ```
  }];
  let arguments = (ins
    Tile_CodesType:$codes, Tile_Memory:$values, Tile_Memory:$indices, Index:$batch, Index:$head, Index:$row);
  let assemblyFormat = [{
    $codes `,` $values `,` $indices `[` $batch `,` $head `,` $row `]` attr-dict
    `:` qualified(type($codes)) `,` type($values) `,` type($indices)
  }];
  let hasVerifier = 1;
}

def Tile_AppendOp : Tile_Op<"append", [
    AttrSizedOperandSegments, MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "copy rows into pages";
  let description = [{
    Copies rows `[row, row + rows)` of each source, of `[batch, head]`, into the target of the same number, as `sfa.cache_append` says.
    Rows beyond the end are left out. All sources have as many rows, and all targets as many pages.

    Example:

    ```mlir
    sfa_tile.append %k, %v to %keys, %values [%b, %h, %row] rows 16 slots %slots : memref<?xi64>
      from memref<1x8x?x128xbf16>, memref<1x8x?x128xbf16> to memref<?x8x64x128xbf16>, memref<?x8x64x128xbf16>
    sfa_tile.append %k, %v to %keys, %values [%b, %h, %row] rows 16 pages %table, %lengths : memref<?x?xi32>, memref<?xi32>
      from memref<?x8x1x128xbf16>, memref<?x8x1x128xbf16> to memref<?x8x64x128xbf16>, memref<?x8x64x128xbf16>
    ```
  }];
  let arguments = (ins Variadic<Tile_Memory>:$sources, Variadic<Tile_Memory>:$targets, Index:$batch, Index:$head,
    Index:$row, Optional<Tile_Slots>:$slots, Optional<Tile_Table>:$pages, Optional<Tile_Offsets>:$lengths,
    ConfinedAttr<I64Attr, [IntPositive]>:$rows);
  let assemblyFormat = [{
    $sources `to` $targets `[` $batch `,` $head `,` $row `]` `rows` $rows (`slots` $slots^ `:` type($slots))?
    (`pages` $pages^ `,` $lengths `:` type($pages) `,` type($lengths))? attr-dict
    `from` type($sources) `to` type($targets)
  }];
  let hasVerifier = 1;
}

def Tile_FillOp : Tile_Op<"fill", [Pure]> {
  let summary = "a tile of one number";
  let description = [{
    A row vector in parts can be filled with 0 only.

    Example:

    ```mlir
    %m = sfa_tile.fill 0xFF800000 : !sfa_tile.tile<64xf32>   // -inf
    %l = sfa_tile.fill 0.0 : !sfa_tile.tile<64xf32, partial>
    ```
  }];
  let arguments = (ins F32Attr:$value);
  let results = (outs Tile_TileType:$tile);
  let assemblyFormat = "$value attr-dict `:` qualified(type($tile))";
  let hasVerifier = 1;
}

def Tile_TopkOp : Tile_Op<"topk", [Pure]> {
  let summary = "the k features of largest magnitude of every row";
  let description = [{
    Ties keep the lower feature, NaN ranks as the largest magnitude. With `two_four` only the two largest of every
    aligned group of four features are eligible.

    Example:

    ```mlir
    %codes = sfa_tile.topk %rows : !sfa_tile.tile<64x128xbf16> -> !sfa_tile.codes<64x128xbf16, k = 8>
    %sparse = sfa_tile.topk %rows two_four : !sfa_tile.tile<64x128xbf16> -> !sfa_tile.codes<64x128xbf16, k = 8>
    ```
  }];
  let arguments = (ins Tile_Matrix:$tile, UnitAttr:$two_four);
  let results = (outs Tile_CodesType:$codes);
  let assemblyFormat = [{
    $tile (`two_four` $two_four^)? attr-dict `:` qualified(type($tile)) `->` qualified(type($codes))
  }];
  let hasVerifier = 1;
}

/// An op that turns a tile of codes into another form of the same codes.
class Tile_CodesFormOp<string mnemonic> : Tile_Op<mnemonic, [Pure]> {
  let arguments = (ins Tile_CodesType:$codes);
  let assemblyFormat = "$codes attr-dict `:` qualified(type($codes)) `->` type(results)";
  let hasVerifier = 1;
}

def Tile_ExpandOp : Tile_CodesFormOp<"expand"> {
  let summary = "codes as a dense tile";
  let description = [{
    Example:

    ```mlir
    %k = sfa_tile.expand %codes : !sfa_tile.codes<128x128xbf16, k = 8> -> !sfa_tile.tile<128x128xbf16>
    ```
  }];
  let results = (outs Tile_Matrix:$tile);
}

def Tile_PostingsOp : Tile_CodesFormOp<"postings"> {
  let summary = "codes as posting lists by feature";
  let description = [{
    Example:

    ```mlir
    %lists = sfa_tile.postings %codes : !sfa_tile.codes<128x128xbf16, k = 8> -> !sfa_tile.postings<128x128xbf16, k = 8>
    ```
  }];
  let results = (outs Tile_PostingsType:$postings);
}

def Tile_SplitOp : Tile_CodesFormOp<"split"> {
  let summary = "codes as a 2:4 part and the surplus";
  let description = [{
    Of every aligned group of four features the first two non-zeros go to the 2:4 part, the others to the surplus. The
    sum of the two is the code: the split is exact.

    Example:

    ```mlir
    %part, %surplus = sfa_tile.split %codes : !sfa_tile.codes<64x128xbf16, k = 8>
      -> !sfa_tile.two_four<64x128xbf16, k = 8>, !sfa_tile.surplus<64x128xbf16, k = 8>
    ```
  }];
  let results = (outs Tile_TwoFourType:$part, Tile_SurplusType:$surplus);
}

#endif // DIALECTS_TILE_TILEDATAOPS_TD
