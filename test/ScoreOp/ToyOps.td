//===- ToyOps.td - A score operation of another dialect -*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TEST_SCOREOP_TOYOPS_TD
#define TEST_SCOREOP_TOYOPS_TD

include "dialects/GPU/GPUInterfaces.td"
include "dialects/GPU/GPUOpBase.td"

def Toy_Dialect : Dialect {
  let name = "toy";
  let cppNamespace = "::toy";
  let summary = "scores without matrix units";
  let dependentDialects = ["::sfa::simt::GPUDialect"];
}

def Toy_Factor : AnyTypeOf<[Tile_Matrix, GPU_SharedType], "tile, or tile in shared memory">;

def Toy_DotOp : Op<Toy_Dialect, "dot", [
    MemoryEffects<[MemRead]>, DeclareOpInterfaceMethods<GPU_ScoreOpInterface>]> {
  let summary = "scores by multiply-adds of each thread";
  let description = [{
    As `sfa_tile.dot`, whose place it may take in the stage `score`: `S = Q K^T` with f32 accumulation. It stays what it is
    down to the program of a block, where its operands are in shared memory.

    Example:

    ```mlir
    %s = toy.dot %q, %k : !sfa_tile.tile<128x64xbf16>, !sfa_tile.tile<64x64xbf16> -> !sfa_tile.tile<128x64xf32>
    ```
  }];
  let arguments = (ins Toy_Factor:$query, Toy_Factor:$key);
  let results = (outs Tile_Matrix:$scores);
  let assemblyFormat = [{
    $query `,` $key attr-dict `:` qualified(type($query)) `,` qualified(type($key)) `->` qualified(type($scores))
  }];
  let hasVerifier = 1;
}

#endif // TEST_SCOREOP_TOYOPS_TD
