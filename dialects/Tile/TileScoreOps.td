//===- TileScoreOps.td - Operations that form a tile of scores, one for each strategy -*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_TILE_TILESCOREOPS_TD
#define DIALECTS_TILE_TILESCOREOPS_TD

include "dialects/Tile/TileOpBase.td"

/// S = Q K^T for one tile; the operand types say how.
class Tile_ScoreOp<string mnemonic, Type queryType, Type keyType> : Tile_Op<mnemonic, [Pure]> {
  let arguments = (ins queryType:$query, keyType:$key);
  let results = (outs Tile_Matrix:$scores);
  let assemblyFormat = "$query `,` $key attr-dict `:` qualified(type($query)) `,` qualified(type($key)) `->` qualified(type($scores))";
  let hasVerifier = 1;
}

def Tile_DotOp : Tile_ScoreOp<"dot", Tile_Matrix, Tile_Matrix> {
  let summary = "scores of a dense query tile and a dense key tile (strategy dense)";
  let description = [{
    `S = Q K^T` with f32 accumulation. Tiles of i8 give i32, the exact product.

    Example:

    ```mlir
    %s = sfa_tile.dot %q, %k : !sfa_tile.tile<64x128xbf16>, !sfa_tile.tile<128x128xbf16> -> !sfa_tile.tile<64x128xf32>
    ```
  }];
}

def Tile_DequantizeOp : Tile_Op<"dequantize", [Pure]> {
  let summary = "scores of 8-bit queries and keys from the product of their integers";
  let description = [{
    Multiplies element (i, j) by `rows[i] * columns[j]`: the scales of query i and of key j, which are positive. The result says
    how many columns have one factor in each row, and whether its elements are the integers still; then the columns that share a
    factor have one scale.

    Example:

    ```mlir
    %s = sfa_tile.dequantize %product rows %f columns %g : !sfa_tile.tile<64x128xi32>, !sfa_tile.tile<64xf32>,
      !sfa_tile.tile<128xf32> -> !sfa_tile.tile<64x128xf32, scaled>
    ```
  }];
  let arguments = (ins Tile_Matrix:$product, Tile_RowVector:$rows, Tile_RowVector:$columns);
  let results = (outs Tile_Matrix:$scores);
  let assemblyFormat = [{
    $product `rows` $rows `columns` $columns attr-dict
    `:` qualified(type($product)) `,` qualified(type($rows)) `,` qualified(type($columns)) `->` qualified(type($scores))
  }];
  let hasVerifier = 1;
}

def Tile_GatherDotOp : Tile_ScoreOp<"gather_dot", Tile_CodesType, Tile_Matrix> {
  let summary = "scores of query codes and a dense key tile (strategy gather)";
  let description = [{
    For each non-zero (value, feature) of a query: `S[i, :] += value * K[:, feature]`. Cost: k scaled rows a query.

    Example:

    ```mlir
    %s = sfa_tile.gather_dot %q, %k
      : !sfa_tile.codes<64x128xbf16, k = 8>, !sfa_tile.tile<128x128xbf16> -> !sfa_tile.tile<64x128xf32>
    ```
  }];
}

def Tile_ScatterDotOp : Tile_ScoreOp<"scatter_dot", Tile_CodesType, Tile_PostingsType> {
  let summary = "scores of query codes and posting lists (strategy scatter)";
  let description = [{
    For each non-zero (value, feature) of a query the feature's list is walked: `S[i, row] += value * key value`. Cost:
    the real overlap of the supports.

    Example:

    ```mlir
    %s = sfa_tile.scatter_dot %q, %lists
      : !sfa_tile.codes<64x128xbf16, k = 8>, !sfa_tile.postings<128x128xbf16, k = 8> -> !sfa_tile.tile<64x128xf32>
    ```
  }];
}

def Tile_TwoFourDotOp : Tile_Op<"two_four_dot", [Pure]> {
  let summary = "scores of a query tile in two parts and a dense key tile (strategy sparse_mma)";
  let description = [{
    The 2:4 part is a product over d/2 stored values a query, the work of a sparse tensor core. The scores of the surplus are
    added, where it is given: queries that have two non-zeros in every aligned group of four features at most have none.

    Example:

    ```mlir
    %s = sfa_tile.two_four_dot %part, %k
      : !sfa_tile.two_four<64x128xbf16, k = 8>, !sfa_tile.tile<128x128xbf16> -> !sfa_tile.tile<64x128xf32>
    %all = sfa_tile.two_four_dot %part, %k surplus(%surplus : !sfa_tile.surplus<64x128xbf16, k = 8>)
      : !sfa_tile.two_four<64x128xbf16, k = 8>, !sfa_tile.tile<128x128xbf16> -> !sfa_tile.tile<64x128xf32>
    ```
  }];
  let arguments = (ins Tile_TwoFourType:$query, Tile_Matrix:$key,
      Optional<Tile_SurplusType>:$surplus);
  let results = (outs Tile_Matrix:$scores);
  let assemblyFormat = [{
    $query `,` $key (`surplus` `(` $surplus^ `:` qualified(type($surplus)) `)`)? attr-dict
    `:` qualified(type($query)) `,` qualified(type($key)) `->` qualified(type($scores))
  }];
  let hasVerifier = 1;
}

#endif // DIALECTS_TILE_TILESCOREOPS_TD
