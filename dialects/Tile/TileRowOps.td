//===- TileRowOps.td - Arithmetic on row vectors -----------*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_TILE_TILEROWOPS_TD
#define DIALECTS_TILE_TILEROWOPS_TD

include "dialects/Tile/TileOpBase.td"

def Tile_FmaOp : Tile_Op<"fma", [
    Pure, AllTypesMatch<["a", "c", "result"]>, Tile_WholeOf<"result", "b">]> {
  let summary = "a * b + c of row vectors";
  let description = [{
    a and c may be in parts, b is not: the parts of a sum are multiplied by the factor of their row.

    Example:

    ```mlir
    %l1 = sfa_tile.fma %l, %alpha, %sum : !sfa_tile.tile<64xf32, partial>
    ```
  }];
  let arguments = (ins Tile_RowSums:$a, Tile_RowVector:$b, Tile_RowSums:$c);
  let results = (outs Tile_RowSums:$result);
  let assemblyFormat = "$a `,` $b `,` $c attr-dict `:` qualified(type($result))";
}

def Tile_AddOp : Tile_Op<"add", [Pure, SameOperandsAndResultType]> {
  let summary = "a + b of row vectors";
  let description = [{
    Example:

    ```mlir
    %l1 = sfa_tile.add %l, %sum : !sfa_tile.tile<64xf32, partial>
    ```
  }];
  let arguments = (ins Tile_RowSums:$a, Tile_RowSums:$b);
  let results = (outs Tile_RowSums:$result);
  let assemblyFormat = "$a `,` $b attr-dict `:` qualified(type($result))";
}

def Tile_MulOp : Tile_Op<"mul", [
    Pure, AllTypesMatch<["rows", "result"]>, Tile_WholeOf<"rows", "factors">]> {
  let summary = "multiply the number of every row, in parts or not, by its factor";
  let description = [{
    Example:

    ```mlir
    %l1 = sfa_tile.mul %l, %alpha : !sfa_tile.tile<64xf32, partial>
    ```
  }];
  let arguments = (ins Tile_RowSums:$rows, Tile_RowVector:$factors);
  let results = (outs Tile_RowSums:$result);
  let assemblyFormat = "$rows `,` $factors attr-dict `:` qualified(type($rows))";
}

def Tile_TotalOp : Tile_Op<"total", [Pure, Tile_WholeOf<"parts", "result">]> {
  let summary = "add up the parts of every row's number";
  let description = [{
    Example:

    ```mlir
    %sum = sfa_tile.total %parts : !sfa_tile.tile<64xf32, partial> -> !sfa_tile.tile<64xf32>
    ```
  }];
  let arguments = (ins Tile_Partial:$parts);
  let results = (outs Tile_RowVector:$result);
  let assemblyFormat = "$parts attr-dict `:` qualified(type($parts)) `->` qualified(type($result))";
}

def Tile_MapRowsOp : Tile_Op<"map_rows", [
    Pure, SingleBlockImplicitTerminator<"::sfa::tile::YieldOp">]> {
  let summary = "the same scalar program for each row";
  let description = [{
    The region gets the elements of one row and yields those of the results. It uses operations of `arith` and
    `math.exp2`, `math.log2` and `math.fma` on f32 and i1, and no value from outside but scalars. Flags are i1.

    Exponentials and logarithms are as exact as those of `sfa_tile.exp2` and `sfa_tile.lse`: powers too small for a normal f32 may
    be flushed to 0, and on a GPU they are approximations.

    Example:

    ```mlir
    %m1, %trips = sfa_tile.map_rows(%m, %sums) : (!sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>)
        -> (!sfa_tile.tile<64xf32>, !sfa_tile.tile<64xi1>) {
    ^bb0(%reference: f32, %sum: f32):
      %above = arith.cmpf ogt, %sum, %limit : f32
      %raised = arith.select %above, %sum, %reference : f32
      sfa_tile.yield %raised, %above : f32, i1
    }
    ```
  }];
  let arguments = (ins Variadic<Tile_RowElements>:$inputs);
  let results = (outs Variadic<Tile_RowElements>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "`(` $inputs `)` `:` functional-type($inputs, $results) attr-dict-with-keyword $body";
  let hasRegionVerifier = 1;
}

def Tile_AnyOp : Tile_Op<"any", [Pure]> {
  let summary = "whether a flag holds for some row";
  let description = [{
    A target may hold i1 of a tile program for parts of the rows apart (on a GPU for each warp): what a program does
    under such a condition is right for each row, whatever the others do. `any` of an i1 makes it the same for all rows
    of a part.

    Example:

    ```mlir
    %some = sfa_tile.any %flags : !sfa_tile.tile<64xi1>
    %same = sfa_tile.any %some : i1
    ```
  }];
  let arguments = (ins AnyTypeOf<[Tile_Flags, I1]>:$flags);
  let results = (outs I1:$result);
  let assemblyFormat = "$flags attr-dict `:` qualified(type($flags))";
  let hasFolder = 1;
}

#endif // DIALECTS_TILE_TILEROWOPS_TD
