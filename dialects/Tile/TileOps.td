//===- TileOps.td - Operations of the sfa_tile dialect -----*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_TILE_TILEOPS_TD
#define DIALECTS_TILE_TILEOPS_TD

include "dialects/Tile/TileDataOps.td"
include "dialects/Tile/TileRowOps.td"
include "dialects/Tile/TileScoreOps.td"
include "dialects/Tile/TileSoftmaxOps.td"
include "dialects/Tile/TileStructureOps.td"

#endif // DIALECTS_TILE_TILEOPS_TD
