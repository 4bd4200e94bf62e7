//===- TileSoftmaxOps.td - Masking, softmax, accumulation and the epilogue -*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_TILE_TILESOFTMAXOPS_TD
#define DIALECTS_TILE_TILESOFTMAXOPS_TD

include "dialects/Tile/TileOpBase.td"

def Tile_MaskOp : Tile_Op<"mask", [Pure, AllTypesMatch<["scores", "result"]>]> {
  let summary = "set the scores of invisible keys to -inf";
  let description = [{
    The tile's first query is `row` of `n_q`, its first key `column` of `n_k`. Keys at or beyond `n_k` are invisible under
    every mask. A query at or beyond `n_q` sees what the mask lets it see; it is never stored.

    With `heads H` the rows of the tile are those of H heads, one head after the other: row r is query `row + r % P`,
    for the P of `sfa_tile.load`.

    Example:

    ```mlir
    %masked = sfa_tile.mask %s[%row, %column] of [%nq, %nk] by <causal> : !sfa_tile.tile<64x128xf32>
    %packed = sfa_tile.mask %s[%row, %column] of [%nq, %nk] by <causal> heads 4 : !sfa_tile.tile<64x128xf32>
    ```
  }];
  let arguments = (ins
    Tile_Matrix:$scores, Index:$row, Index:$column, Index:$numQueries, Index:$numKeys, SFA_MaskAttr:$mask,
    Tile_Heads:$heads);
  let results = (outs Tile_Matrix:$result);
  let assemblyFormat = [{
    $scores `[` $row `,` $column `]` `of` `[` $numQueries `,` $numKeys `]` `by` $mask (`heads` $heads^)? attr-dict
    `:` qualified(type($scores))
  }];
  let hasVerifier = 1;
}

def Tile_ScaleOp : Tile_Op<"scale", [Pure, AllTypesMatch<["tile", "result"]>]> {
  let summary = "multiply all elements by a number";
  let description = [{
    Example:

    ```mlir
    %scaled = sfa_tile.scale %s by -1.0 : !sfa_tile.tile<64x128xf32>
    ```
  }];
  let arguments = (ins Tile_TileType:$tile, F32Attr:$factor);
  let results = (outs Tile_TileType:$result);
  let assemblyFormat = "$tile `by` $factor attr-dict `:` qualified(type($tile))";
}

def Tile_RowMaxOp : Tile_Op<"row_max", [Pure, AllTypesMatch<["init", "result"]>]> {
  let summary = "the maximum of every row and an initial value";
  let description = [{
    A NaN may or may not show in the result; it shows in `exp2` of the same tile.

    Example:

    ```mlir
    %m1 = sfa_tile.row_max %s, %m : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>
    ```
  }];
  let arguments = (ins Tile_Matrix:$tile, Tile_RowVector:$init);
  let results = (outs Tile_RowVector:$result);
  let assemblyFormat = "$tile `,` $init attr-dict `:` qualified(type($tile)) `,` qualified(type($init))";
  let hasVerifier = 1;
}

def Tile_Exp2Op : Tile_Op<"exp2", [Pure, AllTypesMatch<["tile", "result"]>]> {
  let summary = "2 to the power of the scaled distance to a row's reference";
  let description = [{
    `exp2(scale * tile - scale * reference)`, f32, where a reference of -inf (a row that has seen no key yet) counts as
    0. -inf gives 0; values too small for a normal f32 may be flushed to 0. The tile may be a row vector as well.

    Example:

    ```mlir
    %p = sfa_tile.exp2 %s, %m scale 0.127 : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>
    %alpha = sfa_tile.exp2 %m, %m1 scale 0.127 : !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
    ```
  }];
  let arguments = (ins Tile_TileType:$tile, Tile_RowVector:$reference, F32Attr:$scale);
  let results = (outs Tile_TileType:$result);
  let assemblyFormat = "$tile `,` $reference `scale` $scale attr-dict `:` qualified(type($tile)) `,` qualified(type($reference))";
  let hasVerifier = 1;
}

def Tile_RowSumOp : Tile_Op<"row_sum", [Pure]> {
  let summary = "the sum of every row";
  let description = [{
    Example:

    ```mlir
    %sum = sfa_tile.row_sum %p : !sfa_tile.tile<64x128xf32> -> !sfa_tile.tile<64xf32>
    ```
  }];
  let arguments = (ins Tile_Matrix:$tile);
  let results = (outs Tile_RowVector:$result);
  let assemblyFormat = "$tile attr-dict `:` qualified(type($tile)) `->` qualified(type($result))";
  let hasVerifier = 1;
}

def Tile_FmaOp : Tile_Op<"fma", [Pure, SameOperandsAndResultType]> {
  let summary = "a * b + c of row vectors";
  let description = [{
    Example:

    ```mlir
    %l1 = sfa_tile.fma %l, %alpha, %sum : !sfa_tile.tile<64xf32>
    ```
  }];
  let arguments = (ins Tile_RowVector:$a, Tile_RowVector:$b, Tile_RowVector:$c);
  let results = (outs Tile_RowVector:$result);
  let assemblyFormat = "$a `,` $b `,` $c attr-dict `:` qualified(type($result))";
}

def Tile_AddOp : Tile_Op<"add", [Pure, SameOperandsAndResultType]> {
  let summary = "a + b of row vectors";
  let description = [{
    Example:

    ```mlir
    %l1 = sfa_tile.add %l, %sum : !sfa_tile.tile<64xf32>
    ```
  }];
  let arguments = (ins Tile_RowVector:$a, Tile_RowVector:$b);
  let results = (outs Tile_RowVector:$result);
  let assemblyFormat = "$a `,` $b attr-dict `:` qualified(type($result))";
}

def Tile_TripsOp : Tile_Op<"trips", [Pure, AllTypesMatch<["sum", "reference"]>]> {
  let summary = "the guard of the lazy softmax";
  let description = [{
    True when some row has no reference yet (-inf) or its partial sum is not at most `threshold`; a NaN trips too. A
    target that keeps a row's sum in parts may compare the parts.

    Example:

    ```mlir
    %tripped = sfa_tile.trips %sum, %m above 1.0e30 : !sfa_tile.tile<64xf32>
    ```
  }];
  let arguments = (ins Tile_RowVector:$sum, Tile_RowVector:$reference, F32Attr:$threshold);
  let results = (outs I1:$result);
  let assemblyFormat = "$sum `,` $reference `above` $threshold attr-dict `:` qualified(type($sum))";
}

def Tile_ScaleRowsOp : Tile_Op<"scale_rows", [Pure, AllTypesMatch<["tile", "result"]>]> {
  let summary = "multiply every row by its factor, under a condition";
  let description = [{
    The tile itself when the condition is false; the factors are then all 1.

    Example:

    ```mlir
    %acc1 = sfa_tile.scale_rows %acc, %alpha when %raised : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>
    ```
  }];
  let arguments = (ins Tile_Matrix:$tile, Tile_RowVector:$factors, I1:$condition);
  let results = (outs Tile_Matrix:$result);
  let assemblyFormat = "$tile `,` $factors `when` $condition attr-dict `:` qualified(type($tile)) `,` qualified(type($factors))";
  let hasVerifier = 1;
}

def Tile_AccumulateOp : Tile_Op<"accumulate", [Pure, AllTypesMatch<["acc", "result"]>]> {
  let summary = "acc + P V";
  let description = [{
    f32 accumulation. A target whose matrix units need it rounds P to the element type of V.

    Example:

    ```mlir
    %acc1 = sfa_tile.accumulate %acc, %p, %v
      : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<128x128xbf16>
    ```
  }];
  let arguments = (ins Tile_Matrix:$acc, Tile_Matrix:$probabilities, Tile_Matrix:$value);
  let results = (outs Tile_Matrix:$result);
  let assemblyFormat = [{
    $acc `,` $probabilities `,` $value attr-dict `:` qualified(type($acc)) `,` qualified(type($probabilities)) `,` qualified(type($value))
  }];
  let hasVerifier = 1;
}

def Tile_NormalizeOp : Tile_Op<"normalize", [Pure, AllTypesMatch<["acc", "result"]>]> {
  let summary = "divide every row by its sum; a row with sum 0 is 0";
  let description = [{
    Example:

    ```mlir
    %o = sfa_tile.normalize %acc, %l : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>
    ```
  }];
  let arguments = (ins Tile_Matrix:$acc, Tile_RowVector:$sum);
  let results = (outs Tile_Matrix:$result);
  let assemblyFormat = "$acc `,` $sum attr-dict `:` qualified(type($acc)) `,` qualified(type($sum))";
  let hasVerifier = 1;
}

def Tile_LseOp : Tile_Op<"lse", [Pure, SameOperandsAndResultType]> {
  let summary = "scale * reference + ln(sum); -inf for a row with sum 0";
  let description = [{
    Example:

    ```mlir
    %lse = sfa_tile.lse %m, %l scale 0.088 : !sfa_tile.tile<64xf32>
    ```
  }];
  let arguments = (ins Tile_RowVector:$reference, Tile_RowVector:$sum, F32Attr:$scale);
  let results = (outs Tile_RowVector:$result);
  let assemblyFormat = "$reference `,` $sum `scale` $scale attr-dict `:` qualified(type($result))";
}

def Tile_CombineOp : Tile_Op<"combine", [MemoryEffects<[MemRead]>]> {
  let summary = "read what the splits of the keys gave for rows, and combine it";
  let description = [{
    Attention over some of the keys of a row gives an output `O_i` and a natural log-sum-exp `LSE_i`; that of split i of
    `(batch, head)` is at head `head * splits + i` of the memories. With `heads H` the splits are those of H heads, one
    split after the other: at head `(head / H * splits + i) * H + head % H`. Over all the keys of the row

    ```
    m = max LSE_i,  w_i = exp(LSE_i - m),  O = sum w_i O_i / sum w_i,  LSE = m + ln(sum w_i)
    ```

    A row of which every `LSE_i` is -inf, having seen no key, has O = 0 and LSE = -inf. A NaN in one `LSE_i` shows in
    both. Rows beyond the end of the memories are undefined.

    Example:

    ```mlir
    %o, %lse = sfa_tile.combine %outputs, %sums[%b, %h, %row] of 8 splits
      : memref<1x128x?x64xf32>, memref<1x128x?xf32> -> !sfa_tile.tile<4x64xf32>, !sfa_tile.tile<4xf32>
    ```
  }];
  let arguments = (ins
    Tile_Memory:$outputs, Tile_Memory:$sums, Index:$batch, Index:$head, Index:$row, I64Attr:$splits,
    Tile_Heads:$heads);
  let results = (outs Tile_Matrix:$output, Tile_RowVector:$lse);
  let assemblyFormat = [{
    $outputs `,` $sums `[` $batch `,` $head `,` $row `]` `of` $splits `splits` (`heads` $heads^)? attr-dict
    `:` type($outputs) `,` type($sums) `->` qualified(type($output)) `,` qualified(type($lse))
  }];
  let hasVerifier = 1;
}

#endif // DIALECTS_TILE_TILESOFTMAXOPS_TD
