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

def Tile_ScaleOp : Tile_Op<"scale", [
    Pure, TypesMatchWith<"the result has the type of 'tile', of f32 where that has integers", "tile", "result",
                         "::llvm::cast<::sfa::tile::TileType>($_self).ofNumbers()">]> {
  let summary = "multiply all elements by a number";
  let description = [{
    Factors of rows stay what they are.

    Example:

    ```mlir
    %scaled = sfa_tile.scale %s by -1.0 : !sfa_tile.tile<64x128xf32>
    ```
  }];
  let arguments = (ins Tile_Numbers:$tile, F32Attr:$factor);
  let results = (outs Tile_Numbers:$result);
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

def Tile_Exp2Op : Tile_Op<"exp2", [
    Pure, TypesMatchWith<"the result has the type of 'tile', without factors", "tile", "result",
                         "::llvm::cast<::sfa::tile::TileType>($_self).withoutFactors()">]> {
  let summary = "2 to the power of the scaled distance to a row's raised reference";
  let description = [{
    `exp2(scale * tile - (scale * reference + raise))`, f32. What is subtracted is one rounded number for all elements of
    a row, so its error cancels where their ratios count. A reference of -inf (a row that has seen no key yet) is unset,
    and nothing is subtracted. -inf gives 0; values too small for a normal f32 may be flushed to 0. The tile may be a row
    vector as well.

    With `difference_first`, `exp2(scale * (tile - reference))`, which is exactly 1 for an element that is the reference.
    There is no raise then. A target may always form the difference first.

    Example:

    ```mlir
    %scale = arith.constant 0.127 : f32
    %p = sfa_tile.exp2 %s, %m scale %scale : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>
    %p = sfa_tile.exp2 %s, %m scale %scale raise 8.0 : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>
    %alpha = sfa_tile.exp2 %m, %m1 scale %scale difference_first : !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
    ```
  }];
  let arguments = (ins Tile_Numbers:$tile, Tile_RowVector:$reference, F32:$scale,
      DefaultValuedAttr<F32Attr, "0.0f">:$raise, UnitAttr:$differenceFirst);
  let results = (outs Tile_Numbers:$result);
  let assemblyFormat = [{
    $tile `,` $reference `scale` $scale (`raise` $raise^)? (`difference_first` $differenceFirst^)? attr-dict
    `:` qualified(type($tile)) `,` qualified(type($reference))
  }];
  let hasVerifier = 1;
}

def Tile_RowSumOp : Tile_Op<"row_sum", [Pure]> {
  let summary = "the sum of every row, in parts";
  let description = [{
    Example:

    ```mlir
    %sum = sfa_tile.row_sum %p : !sfa_tile.tile<64x128xf32> -> !sfa_tile.tile<64xf32, partial>
    ```
  }];
  let arguments = (ins Tile_Matrix:$tile);
  let results = (outs Tile_Partial:$result);
  let assemblyFormat = "$tile attr-dict `:` qualified(type($tile)) `->` qualified(type($result))";
  let hasVerifier = 1;
}

def Tile_ScaleRowsOp : Tile_Op<"scale_rows", [Pure, AllTypesMatch<["tile", "result"]>]> {
  let summary = "multiply every row by its factor";
  let description = [{
    With `mostly_ones` a target may look first whether some factor is not 1.

    Example:

    ```mlir
    %acc1 = sfa_tile.scale_rows %acc, %alpha mostly_ones : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>
    ```
  }];
  let arguments = (ins Tile_Matrix:$tile, Tile_RowVector:$factors, UnitAttr:$mostlyOnes);
  let results = (outs Tile_Matrix:$result);
  let assemblyFormat = [{
    $tile `,` $factors (`mostly_ones` $mostlyOnes^)? attr-dict
    `:` qualified(type($tile)) `,` qualified(type($factors))
  }];
  let hasVerifier = 1;
}

def Tile_AccumulateOp : Tile_Op<"accumulate", [Pure, AllTypesMatch<["acc", "result"]>]> {
  let summary = "acc + P V";
  let description = [{
    f32 accumulation. A target whose matrix units need it rounds P to the element type of V.

    The accumulator may have 8 columns more than V. Each of them gets the row sums of P, as it is rounded for the
    product: V counts as having 8 more columns of ones.

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
  let extraClassDeclaration = [{
    /// Whether the accumulator has columns of sums.
    bool hasSumColumns() { return getAcc().getType().getColumns() != getValue().getType().getColumns(); }
  }];
}

def Tile_RowSumsOfOp : Tile_Op<"row_sums_of", [Pure]> {
  let summary = "the row sums that an accumulator has in its last columns";
  let description = [{
    Reads the columns of `sfa_tile.accumulate` that are behind those of the values.

    Example:

    ```mlir
    %sums = sfa_tile.row_sums_of %acc : !sfa_tile.tile<64x136xf32> -> !sfa_tile.tile<64xf32>
    ```
  }];
  let arguments = (ins Tile_Matrix:$wide);
  let results = (outs Tile_RowVector:$sums);
  let assemblyFormat = "$wide attr-dict `:` qualified(type($wide)) `->` qualified(type($sums))";
  let hasVerifier = 1;
}

def Tile_SplitSumsOp : Tile_Op<"split_sums", [Pure]> {
  let summary = "an accumulator without its columns of row sums, and the row sums";
  let description = [{
    Example:

    ```mlir
    %acc, %sums = sfa_tile.split_sums %wide
      : !sfa_tile.tile<64x136xf32> -> !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>
    ```
  }];
  let arguments = (ins Tile_Matrix:$wide);
  let results = (outs Tile_Matrix:$acc, Tile_RowVector:$sums);
  let assemblyFormat = [{
    $wide attr-dict `:` qualified(type($wide)) `->` qualified(type($acc)) `,` qualified(type($sums))
  }];
  let hasVerifier = 1;
}

def Tile_NotFiniteOp : Tile_Op<"not_finite", [Pure]> {
  let summary = "whether some element is infinite or a NaN";
  let description = [{
    A target may say so for each part of the rows apart; see `sfa_tile.any`.

    Example:

    ```mlir
    %overflows = sfa_tile.not_finite %acc : !sfa_tile.tile<64x136xf32>
    ```
  }];
  let arguments = (ins Tile_Matrix:$tile);
  let results = (outs I1:$result);
  let assemblyFormat = "$tile attr-dict `:` qualified(type($tile))";
}

def Tile_IsDueOp : Tile_Op<"is_due", [Pure]> {
  let summary = "whether it is this tile's turn to look at what accumulates";
  let description = [{
    Inside the stage `accumulate`: true in one of every few key tiles, and at least once in as many tiles as are in
    flight. A target chooses which.

    Example:

    ```mlir
    %due = sfa_tile.is_due
    ```
  }];
  let results = (outs I1:$result);
  let assemblyFormat = "attr-dict";
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

def Tile_LseOp : Tile_Op<"lse", [Pure, AllTypesMatch<["reference", "sum", "result"]>]> {
  let summary = "scale * reference + ln(sum); -inf for a row with sum 0";
  let description = [{
    With `raise` (which may be 0) the scale is that of `sfa_tile.exp2`, for powers of 2, and the sum is one of exponentials
    that `exp2` gave with this raise: the result is `ln(2) * (scale * reference + raise) + ln(sum)`. The rounded number that
    the exponents have subtracted, `scale * reference + raise`, is the one that is added here, so that its error cancels.

    Example:

    ```mlir
    %lse = sfa_tile.lse %m, %l scale %scale : !sfa_tile.tile<64xf32>
    %lse = sfa_tile.lse %m, %l scale %scale_log2e raise 8.0 : !sfa_tile.tile<64xf32>
    ```
  }];
  let arguments = (ins Tile_RowVector:$reference, Tile_RowVector:$sum, F32:$scale,
      OptionalAttr<F32Attr>:$raise);
  let results = (outs Tile_RowVector:$result);
  let assemblyFormat = [{
    $reference `,` $sum `scale` $scale (`raise` $raise^)? attr-dict `:` qualified(type($result))
  }];
}

def Tile_CombineOp : Tile_Op<"combine", [AttrSizedOperandSegments, MemoryEffects<[MemRead]>]> {
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

    With `lengths` the batch is a sequence of a cache (`sfa_tile.split_range`), and has as many splits as its length says, `splits` at
    most; nothing else is read. Splits are of eight classes, that of split i is `i % 8`: those of a class are combined in their order,
    and then the classes.

    Example:

    ```mlir
    %o, %lse = sfa_tile.combine %outputs, %sums[%b, %h, %row] of 8 splits
      : memref<1x128x?x64xf32>, memref<1x128x?xf32> -> !sfa_tile.tile<4x64xf32>, !sfa_tile.tile<4xf32>
    %p, %l = sfa_tile.combine %outputs, %sums[%b, %h, %row] of 128 splits lengths %lengths limit %most : memref<?xi32>
      : memref<?x128x?x64xf32>, memref<?x128x?xf32> -> !sfa_tile.tile<4x64xf32>, !sfa_tile.tile<4xf32>
    ```
  }];
  let arguments = (ins
    Tile_Memory:$outputs, Tile_Memory:$sums, Index:$batch, Index:$head, Index:$row, I64Attr:$splits,
    Tile_Heads:$heads, Optional<Tile_Offsets>:$lengths, Optional<Index>:$limit, Tile_LeastBlocks:$blocks);
  let results = (outs Tile_Matrix:$output, Tile_RowVector:$lse);
  let assemblyFormat = [{
    $outputs `,` $sums `[` $batch `,` $head `,` $row `]` `of` $splits `splits` (`heads` $heads^)?
    (`lengths` $lengths^ `limit` $limit `:` type($lengths))? (`blocks` $blocks^)? attr-dict
    `:` type($outputs) `,` type($sums) `->` qualified(type($output)) `,` qualified(type($lse))
  }];
  let hasVerifier = 1;
}

#endif // DIALECTS_TILE_TILESOFTMAXOPS_TD
