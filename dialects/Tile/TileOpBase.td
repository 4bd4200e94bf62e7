//===- TileOpBase.td - What all sfa_tile operations share --*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_TILE_TILEOPBASE_TD
#define DIALECTS_TILE_TILEOPBASE_TD

include "dialects/SFA/SFAAttrs.td"
include "dialects/Tile/TileDialect.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Tile_Op<string mnemonic, list<Trait> traits = []> : Op<Tile_Dialect, mnemonic, traits>;

/// Types named by a C++ class, with a description for messages.
def Tile_Matrix : Type<CPred<"::llvm::isa<::sfa::tile::TileType>($_self) && "
                             "!::llvm::cast<::sfa::tile::TileType>($_self).isRowVector()">,
                       "tile of rows and columns", "::sfa::tile::TileType">;
class Tile_Rows<string condition, string description>
    : Type<CPred<"::llvm::isa<::sfa::tile::TileType>($_self) && "
                 "::llvm::cast<::sfa::tile::TileType>($_self).isRowVector() && " # condition>,
           description, "::sfa::tile::TileType">;
def Tile_RowVector : Tile_Rows<"!::llvm::cast<::sfa::tile::TileType>($_self).isPartial() && "
                               "!::llvm::cast<::sfa::tile::TileType>($_self).isFlags()",
                               "tile of one number a row">;
def Tile_Partial : Tile_Rows<"::llvm::cast<::sfa::tile::TileType>($_self).isPartial()",
                             "tile of one number a row, in parts">;
def Tile_RowSums : Tile_Rows<"!::llvm::cast<::sfa::tile::TileType>($_self).isFlags()",
                             "tile of one number a row, in parts or not">;
def Tile_RowElements : Tile_Rows<"!::llvm::cast<::sfa::tile::TileType>($_self).isPartial()",
                                 "tile of one number or flag a row">;
def Tile_Flags : Tile_Rows<"::llvm::cast<::sfa::tile::TileType>($_self).isFlags()", "tile of one flag a row">;
def Tile_Numbers : Type<CPred<"::llvm::isa<::sfa::tile::TileType>($_self) && "
                              "!::llvm::cast<::sfa::tile::TileType>($_self).isPartial() && "
                              "!::llvm::cast<::sfa::tile::TileType>($_self).isFlags()">,
                        "tile of numbers, not in parts", "::sfa::tile::TileType">;
/// An operand of the type of another, but not in parts.
class Tile_WholeOf<string rows, string whole>
    : TypesMatchWith<"'" # whole # "' has the type of '" # rows # "', not in parts", rows, whole,
                     "::llvm::cast<::sfa::tile::TileType>($_self).getWhole()">;
def Tile_Memory : MemRefRankOf<[F32, F16, BF16, I8, I16], [3, 4]>;
def Tile_ScalesMemory : MemRefRankOf<[F32], [3]>;
/// How many heads, one after the other, the rows of a tile are of.
def Tile_Heads : DefaultValuedAttr<I64Attr, "1">;
def Tile_Offsets : MemRefRankOf<[I32], [1]>;
/// How many blocks of 512 keys a share of a long sequence has at least.
def Tile_LeastBlocks : DefaultValuedAttr<ConfinedAttr<I64Attr, [IntPositive]>, "1">;
/// The numbers of the pages of sequences.
def Tile_Table : MemRefRankOf<[I32], [2]>;
/// Where tokens go in the pages of a cache.
def Tile_Slots : MemRefRankOf<[I64], [1]>;

#endif // DIALECTS_TILE_TILEOPBASE_TD
