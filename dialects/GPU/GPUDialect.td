//===- GPUDialect.td - The sfa_gpu dialect, its types and interfaces -*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_GPU_GPUDIALECT_TD
#define DIALECTS_GPU_GPUDIALECT_TD

include "dialects/GPU/GPUEnums.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/OpBase.td"

def GPU_Dialect : Dialect {
  let name = "sfa_gpu";
  let cppNamespace = "::sfa::simt";
  let summary = "the program of one block of a GPU";
  let description = [{
    A kernel of this dialect says what the warps of one block do: which of them copy tiles and which compute, which rings
    of tiles in shared memory stand between them, which products are under way at the same time, and who waits for what.
    `sfa-gpu-specialize` makes it from a `sfa_tile.kernel`, `sfa-gpu-pipeline` orders its loops, and
    `convert-sfa-gpu-to-nvvm` turns each operation into instructions. A person can print the program after each of these
    passes, edit it, and go on.

    What a program computes stays in `sfa_tile` operations. Here a `sfa_tile.tile` of f32 is a *fragment*: its
    elements are in the registers of the warps that compute (the kernel's *consumers*), in the layout in which matrix
    units leave their results. A row vector has the same number in the four lanes of a row, or a part of it in each where it is
    `partial`. An `i1` is one for each warp.

    Inside `sfa_gpu.each_group` a fragment belongs to the warps of one group: where a group is one warp, that warp owns all of its
    rows. A tile that has fewer than 16 rows for a warp is no fragment of matrix units; its rows are spread over the lanes of
    a warp by columns.

    A *ring* holds tiles in shared memory, `stages` of them. One role fills its places and another reads them. A *position*
    names the place that is next, and carries the parity of the barriers of that place. A *point* is a point of the
    kernel's grid: a batch, a head and a tile of query rows.

    An operation whose page says that it is not lowered yet can be written, verified and printed; `convert-sfa-gpu-to-nvvm`
    refuses it.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect", "::mlir::NVVM::NVVMDialect",
    "::mlir::scf::SCFDialect", "::sfa::tile::TileDialect"
  ];
  let useDefaultTypePrinterParser = 1;
  let extraClassDeclaration = [{
    void registerTypes();
  }];
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

class GPU_Type<string name, string typeMnemonic> : TypeDef<GPU_Dialect, name> {
  let mnemonic = typeMnemonic;
}

def GPU_SharedType : GPU_Type<"Shared", "shared"> {
  let summary = "a tile in shared memory";
  let description = [{
    A matrix or a vector, and the form in which it lies there:

    | form | layout |
    |---|---|
    | `swizzled` | panels of 64 columns of 16 bits, or of 128 columns of 8 bits, each row after row in 128 bytes, of which the 16-byte chunk c is at `c ^ (row % 8)`: the 128-byte swizzle of bulk tensor copies and of matrix units |
    | `linear` | row after row |
    | `feature_major` | column after column of 16-bit elements, the rows of each in the order that `#sfa.feature_major` says |
    | `postings` | two halves of posting lists as `#sfa.postings` says; the dimensions are rows, which are keys, features and k |

    Example: `!sfa_gpu.shared<128x64xbf16, swizzled>`, `!sfa_gpu.shared<128xf32, linear>`, `!sfa_gpu.shared<128x64x8xbf16, postings>`.
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$shape, "::mlir::Type":$elementType, "TileForm":$form);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    int64_t getRows() const { return getShape()[0]; }
    int64_t getColumns() const { return getShape().size() >= 2 ? getShape()[1] : 1; }
    /// Of one of the two halves of posting lists.
    int64_t getHalfBytes() const { return PostingsAttr::getHalfBytes(getShape()[0], getShape()[1], getShape()[2]); }
    /// Whether it is a tile of keys that some kernel has put in this form in memory, in one piece.
    bool isOnePiece() const {
      return getForm() == ::sfa::simt::TileForm::FeatureMajor || getForm() == ::sfa::simt::TileForm::Postings;
    }
    int64_t getBytes() const {
      if (getForm() == ::sfa::simt::TileForm::Postings)
        return 2 * getHalfBytes();
      int64_t rowBytes = getColumns() * getElementType().getIntOrFloatBitWidth() / 8;
      // Swizzled rows take whole panels.
      if (getForm() == ::sfa::simt::TileForm::Swizzled)
        rowBytes = ::llvm::alignTo(rowBytes, ::sfa::swizzle::rowBytes);
      return getRows() * rowBytes;
    }
  }];
}

def GPU_RingType : GPU_Type<"Ring", "ring"> {
  let summary = "places for tiles in shared memory, used one after the other";
  let description = [{
    `!sfa_gpu.ring<2 of 128x64xbf16, swizzled>` has places for two tiles. `!sfa_gpu.ring<8 x 2 of 64x128xbf16, swizzled>` is eight
    such rings, one for each of eight warps or groups of warps; `sfa_gpu.ring_of` gives one of them. Each has barriers and positions of
    its own, so its warp waits for nobody but those that fill its places.
  }];
  let parameters = (ins "int64_t":$stages, "SharedType":$tile, "int64_t":$copies);
  let builders = [
    TypeBuilder<(ins "int64_t":$stages, "SharedType":$tile), [{
      return $_get($_ctxt, stages, tile, /*copies=*/1);
    }]>
  ];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The type of one of the rings.
    RingType getOne() const { return get(getContext(), getStages(), getTile()); }
  }];
}

def GPU_ColumnsType : GPU_Type<"Columns", "columns"> {
  let summary = "one number for each column of a fragment";
  let description = [{
    A thread has the numbers of the columns of which it has elements. `!sfa_gpu.columns<64xf32>` goes with fragments of 64 columns, as
    `!sfa_tile.tile<128xf32>`, a row vector, goes with fragments of 128 rows. `sfa_gpu.load_shared` loads it, and
    `sfa_gpu.map_elements` reads it.

    In `!sfa_gpu.columns<64xf32, together 16>` each 16 columns have one number, and a thread has all of the four. In
    `!sfa_gpu.columns<64xf32, two>` there are two numbers, one for the first columns and one for the others, and how many the first
    are.
  }];
  let parameters = (ins "int64_t":$size, "::mlir::Type":$elementType, "int64_t":$together);
  let builders = [
    TypeBuilder<(ins "int64_t":$size, "::mlir::Type":$elementType), [{
      return $_get($_ctxt, size, elementType, /*together=*/1);
    }]>
  ];
  let extraClassDeclaration = [{
    /// `together` where there are two numbers.
    static constexpr int64_t twoNumbers = 0;
    bool isTwo() const { return getTogether() == twoNumbers; }
    /// Whether neighbours may differ.
    bool differ() const { return getTogether() <= 1; }
  }];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def GPU_PositionType : GPU_Type<"Position", "position"> {
  let summary = "the next place of a ring, and the parity of its barriers";
}

def GPU_OperandType : GPU_Type<"Operand", "operand"> {
  let summary = "a matrix in registers, as the left operand of a product";
  let description = [{
    Pairs of 16-bit elements, or four of 8 bits, in the layout that matrix units read: `!sfa_gpu.operand<128x64xbf16>`.
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$columns, "::mlir::Type":$elementType);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// `columns` rounded up to whole products, which take 32 bytes of a row.
    static int64_t roundUp(int64_t columns, ::mlir::Type elementType) {
      return ::llvm::alignTo(columns, 256 / elementType.getIntOrFloatBitWidth());
    }
    /// How many registers hold 16 rows of it in the lanes of a warp.
    int64_t getNumRegisters() const { return getColumns() * getElementType().getIntOrFloatBitWidth() / 64; }
  }];
}

def GPU_TwoFourType : GPU_Type<"TwoFour", "two_four"> {
  let summary = "a matrix with two non-zeros in every aligned four columns at most, as the left "
                "operand of a sparse product";
  let description = [{
    Half of the elements, and for each group of four columns the places of its two (PTX ISA, "sparse matrix storage"). The
    places are in registers; the elements are there, too, in `!sfa_gpu.two_four<128x64xbf16, registers>`, or in shared memory
    in `!sfa_gpu.two_four<128x64xbf16, shared>`. One in shared memory knows in which slices of 32 columns it has non-zeros at all.
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$columns, "::mlir::Type":$elementType,
      "bool":$inRegisters);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// A sparse product takes so many columns at once.
    static constexpr int64_t sliceColumns = 32;
    int64_t getNumSlices() const { return ::llvm::divideCeil(getColumns(), sliceColumns); }
    /// The places of two slices are in one register.
    int64_t getNumPlaceRegisters() const { return (getNumSlices() + 1) / 2; }
  }];
}

def GPU_CodesType : GPU_Type<"Codes", "codes"> {
  let summary = "codes of the rows of fragments";
  let description = [{
    `!sfa_gpu.codes<128x64xbf16, k = 8, step = 256, registers>`: k pairs of a value and a feature, of 64, for each of 128 rows, as words:
    the value in the low half, and in the high half the feature times `step`. That is how many bytes there are from what a tile of keys
    has of a feature to what it has of the next one: 256 in a feature-major tile of 128 keys, 2 in the starts of posting lists. All
    features take at most 64 KiB. The pairs that only fill up a row are zeros. A thread has the words of the rows of which it has
    elements; with `shared` in place of `registers` they are in shared memory.
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$columns, "::mlir::Type":$elementType,
      "int64_t":$k, "int64_t":$step, "bool":$inRegisters);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Words that are loaded at once, and the words of a row in shared memory: some more than k, so that the rows that a warp reads
    /// at a time begin at different banks.
    static constexpr int64_t wordsAtOnce = 4;
    static int64_t getRowWords(int64_t k) { return ::llvm::alignTo(k, wordsAtOnce) + wordsAtOnce; }
    /// The shared memory that holds the words.
    SharedType getRoom() const;
  }];
}

def GPU_PendingType : GPU_Type<"Pending", "pending"> {
  let summary = "the result of a product that may be under way";
  let description = [{
    Nobody reads it before `sfa_gpu.wait` has given the tile: `!sfa_gpu.pending<128x128xf32>`.
  }];
  let parameters = (ins "::sfa::tile::TileType":$tile);
  let hasCustomAssemblyFormat = 1;
}

def GPU_PointOrderType : GPU_Type<"PointOrder", "point_order"> {
  let summary = "how the points of the grid are dealt out to blocks";
}

def GPU_MarksType : GPU_Type<"Marks", "marks"> {
  let summary = "a mark for each point of the block that has to be computed again";
}

#endif // DIALECTS_GPU_GPUDIALECT_TD
