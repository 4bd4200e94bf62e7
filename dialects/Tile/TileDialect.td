//===- TileDialect.td - The sfa_tile dialect and its types -*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_TILE_TILEDIALECT_TD
#define DIALECTS_TILE_TILEDIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/OpBase.td"

def Tile_Dialect : Dialect {
  let name = "sfa_tile";
  let cppNamespace = "::sfa::tile";
  let summary = "one kernel as a program over tiles";
  let description = [{
    A kernel reads tiles of the operands from memory, computes on tiles, and writes tiles back. The dialect holds what a
    schedule does to the arithmetic: tile sizes, the order of key tiles, the strategy for the scores, masks and the form
    of the softmax. It knows no threads, no memory levels and no layouts: those are the business of a target's lowering
    (`convert-tile-to-cpu` for the CPU), so that one program runs, and is tested, on every target.

    Tiles are values. A kernel is called once for every point of its grid (batch, head, row tile); points are
    independent of each other.
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect", "::sfa::SFADialect"];
  let useDefaultTypePrinterParser = 1;
  let extraClassDeclaration = [{
    void registerTypes();
  }];
}

class Tile_Type<string name, string typeMnemonic> : TypeDef<Tile_Dialect, name> {
  let mnemonic = typeMnemonic;
}

def Tile_TileType : Tile_Type<"Tile", "tile"> {
  let summary = "a dense tile: rows, or rows of columns";
  let description = [{
    Two static dimensions of f32, f16 or bf16: `!sfa_tile.tile<64x128xf32>`; of i8 where a product takes integers, and of
    i32 where it gives them. Or one, a row vector, which has one element
    for each row: `!sfa_tile.tile<64xf32>`. A target may hold the elements in a wider type.

    Row vectors come in three kinds: numbers, as above; flags, `!sfa_tile.tile<64xi1>`; and numbers in parts,
    `!sfa_tile.tile<64xf32, partial>`, where the number of a row is the sum of parts, as many as a target likes.
    `sfa_tile.total` adds the parts up.

    In `!sfa_tile.tile<64x128xf32, scaled>` every number is the product of one in the tile and of the factor of its row,
    which is positive; in `!sfa_tile.tile<64x112xf32, scaled 16>` rows have a factor for each 16 columns. The numbers in the tile may be
    integers, of i32, of magnitude 2^22 at most. A target may hold both, so that nobody multiplies all the numbers: `sfa_tile.dequantize` gives such a
    tile, and `sfa_tile.mask`, `sfa_tile.scale`, `sfa_tile.row_max` and `sfa_tile.exp2` take it.
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$shape, "::mlir::Type":$elementType, "bool":$partial,
      "int64_t":$columnsOfFactor);
  let builders = [
    TypeBuilder<(ins "::llvm::ArrayRef<int64_t>":$shape, "::mlir::Type":$elementType), [{
      return $_get($_ctxt, shape, elementType, /*partial=*/false, /*columnsOfFactor=*/0);
    }]>,
    TypeBuilder<(ins "::llvm::ArrayRef<int64_t>":$shape, "::mlir::Type":$elementType, "bool":$partial), [{
      return $_get($_ctxt, shape, elementType, partial, /*columnsOfFactor=*/0);
    }]>
  ];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    int64_t getRows() const { return getShape()[0]; }
    int64_t getColumns() const { return getShape()[1]; }
    bool isRowVector() const { return getShape().size() == 1; }
    /// Row vectors whose numbers are sums of parts.
    bool isPartial() const { return getPartial(); }
    /// Matrices whose rows have factors.
    bool isScaled() const { return getColumnsOfFactor() != 0; }
    int64_t getNumFactorsOfRow() const { return isScaled() ? getColumns() / getColumnsOfFactor() : 0; }
    /// The same matrix with a factor for each `columns` of a row.
    TileType withFactors(int64_t columns) const {
      return get(getContext(), getShape(), getElementType(), /*partial=*/false, columns);
    }
    /// The same tile, of f32 where its elements are i32.
    TileType ofNumbers() const {
      if (!getElementType().isInteger(32))
        return *this;
      return get(getContext(), getShape(), ::mlir::Float32Type::get(getContext()), false, getColumnsOfFactor());
    }
    /// The tile of the products with the factors; this one where there are none.
    TileType withoutFactors() const {
      if (!isScaled())
        return *this;
      return get(getContext(), getShape(), ::mlir::Float32Type::get(getContext()));
    }
    /// Row vectors of i1.
    bool isFlags() const { return isRowVector() && getElementType().isInteger(1); }
    /// The same numbers without parts.
    TileType getWhole() const { return get(getContext(), getShape(), getElementType()); }
  }];
}

class Tile_CodesLikeType<string name, string typeMnemonic> : Tile_Type<name, typeMnemonic> {
  let parameters = (ins "int64_t":$rows, "int64_t":$features, "::mlir::Type":$elementType, "int64_t":$k);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Tile_CodesType : Tile_CodesLikeType<"Codes", "codes"> {
  let summary = "a tile of codes: k pairs (value, feature) a row";
  let description = "For each of the rows k values and their ascending features: `!sfa_tile.codes<64x128xf32, k = 8>`.";
}

def Tile_PostingsType : Tile_CodesLikeType<"Postings", "postings"> {
  let summary = "a tile of codes by feature: for each feature the rows that hold it";
  let description = [{
    The posting lists of the paper (CSC by feature): for every feature the list of pairs (row, value), ascending by row:
    `!sfa_tile.postings<128x128xf32, k = 8>`. A list may be as long as the tile.
  }];
}

def Tile_TwoFourType : Tile_CodesLikeType<"TwoFour", "two_four"> {
  let summary = "the 2:4 part of a tile of codes";
  let description = [{
    For every row and aligned group of four features two values and their places in the group, the form that sparse
    tensor cores read: `!sfa_tile.two_four<64x128xf32, k = 8>`.
  }];
}

def Tile_SurplusType : Tile_CodesLikeType<"Surplus", "surplus"> {
  let summary = "what of a tile of codes does not fit 2:4";
  let description = [{
    For every row the pairs (value, feature) beyond the second in their aligned group of four features, and their
    number: `!sfa_tile.surplus<64x128xf32, k = 8>`.
  }];
}

#endif // DIALECTS_TILE_TILEDIALECT_TD
