//===- GPURingOps.td - Rings of tiles in shared memory and copies -*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_GPU_GPURINGOPS_TD
#define DIALECTS_GPU_GPURINGOPS_TD

include "dialects/GPU/GPUOpBase.td"

//===----------------------------------------------------------------------===//
// Rings
//===----------------------------------------------------------------------===//

def GPU_RingOp : GPU_Op<"ring", [AttrSizedOperandSegments, MemoryEffects<[MemAlloc]>]> {
  let summary = "places for tiles in shared memory";
  let description = [{
    With `guarded by W writers, R readers` each place has two barriers (mbarriers): the bytes of copies arrive on *full*, which W
    copies of a tile arrive at; R warps that have read the place arrive on *empty*. A ring without guards is for warps that
    meet at barriers of the block.

    `ones` puts a panel of ones behind each tile, which the product reads for the columns of row sums (`sfa_tile.accumulate`).
    `same_places %other` gives the ring the memory of another one, and barriers of its own. `beside %other` does the opposite: the
    ring has places of its own, and the barriers are those of a guarded ring of as many places. One position names the places of
    both, copies to both arrive at the same barriers, and who waits for a place of the other ring has that of this one, too. The
    writers of the other ring are all copies for a place of both.

    A ring for each of several warps, and a ring beside another one, are not lowered yet.

    `sfa-gpu-allocate` decides where the places and the barriers are in shared memory, in bytes: `at` and `barriers_at`.

    Example:

    ```mlir
    %keys = sfa_gpu.ring guarded by 1 writers, 8 readers : !sfa_gpu.ring<2 of 128x64xbf16, swizzled>
    %queries = sfa_gpu.ring guarded by 2 writers, 8 readers : !sfa_gpu.ring<3 of 64x128xbf16, swizzled>
    %lse = sfa_gpu.ring beside %queries : !sfa_gpu.ring<3 of 64x128xbf16, swizzled> : !sfa_gpu.ring<3 of 64xf32, linear>
    ```
  }];
  let arguments = (ins
    OptionalAttr<I64Attr>:$writers, OptionalAttr<I64Attr>:$readers, UnitAttr:$ones, Optional<GPU_RingType>:$other,
    Optional<GPU_RingType>:$neighbor, OptionalAttr<I64Attr>:$offset, OptionalAttr<I64Attr>:$barriers);
  let results = (outs GPU_RingType:$ring);
  let assemblyFormat = [{
    (`guarded` `by` $writers^ `writers` `,` $readers `readers`)? (`ones` $ones^)? (`same_places` $other^ `:` qualified(type($other)))?
    (`beside` $neighbor^ `:` qualified(type($neighbor)))? (`at` $offset^)? (`barriers_at` $barriers^)? attr-dict `:` qualified(type($ring))
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Of one place, with its panel of ones.
    int64_t getStageBytes();
    /// How many places there are, of all copies of the ring.
    int64_t getNumPlaces() { return getRing().getType().getStages() * getRing().getType().getCopies(); }
    /// How many barriers there are: two for each place of a guarded ring.
    int64_t getNumBarriers() { return getWriters() ? 2 * getNumPlaces() : 0; }
  }];
}

def GPU_RingOfOp : GPU_Op<"ring_of", [
    Pure, GPU_NotLoweredYet,
    TypesMatchWith<"the result is one of the rings", "rings", "ring", "::llvm::cast<RingType>($_self).getOne()">]> {
  let summary = "the ring of one warp, or of one group of warps";
  let description = [{
    The number is at least 0 and less than that of the rings, and those that meet at the ring's barriers use the same. Not lowered yet.

    Example:

    ```mlir
    %mine = sfa_gpu.ring_of %keys[%warp] : !sfa_gpu.ring<8 x 2 of 64x128xbf16, swizzled>
    ```
  }];
  let arguments = (ins GPU_RingType:$rings, I32:$number);
  let results = (outs GPU_OneRing:$ring);
  let assemblyFormat = "$rings `[` $number `]` attr-dict `:` qualified(type($rings))";
  let hasVerifier = 1;
}

def GPU_PrepareOp : GPU_Op<"prepare", [MemoryEffects<[MemWrite]>]> {
  let summary = "make the barriers, ones and marks of the kernel ready for all threads of the block";
  let description = [{
    Stands once in a kernel, behind its rings and before its roles.

    Example:

    ```mlir
    sfa_gpu.prepare
    ```
  }];
  let assemblyFormat = "attr-dict";
}

def GPU_StartOp : GPU_Op<"start", [Pure]> {
  let summary = "the position of the first place, before its first use";
  let description = [{
    Example:

    ```mlir
    %p = sfa_gpu.start : !sfa_gpu.position
    ```
  }];
  let results = (outs GPU_PositionType:$position);
  let assemblyFormat = "attr-dict `:` type($position)";
}

def GPU_PositionAfterOp : GPU_Op<"position_after", [Pure]> {
  let summary = "the position after so many uses of a ring of one place, or of several";
  let description = [{
    After `uses` of `stages` places the next place is `uses % stages`. A warp that uses its ring for every eighth tile of a block
    knows its position from the number of the tile. More than one place is not lowered yet.

    Example:

    ```mlir
    %p = sfa_gpu.position_after %round : !sfa_gpu.position
    %p = sfa_gpu.position_after %uses of 2 : !sfa_gpu.position
    ```
  }];
  let arguments = (ins I32:$uses, DefaultValuedAttr<I64Attr, "1">:$stages);
  let results = (outs GPU_PositionType:$position);
  let assemblyFormat = "$uses (`of` $stages^)? attr-dict `:` type($position)";
  let hasVerifier = 1;
}

class GPU_StepOp<string mnemonic> : GPU_Op<mnemonic, [Pure, AllTypesMatch<["position", "result"]>]> {
  let arguments = (ins GPU_PositionType:$position, I64Attr:$stages);
  let results = (outs GPU_PositionType:$result);
  let assemblyFormat = "$position `of` $stages attr-dict `:` type($position)";
}

def GPU_AdvanceOp : GPU_StepOp<"advance"> {
  let summary = "the position behind this one, in rings of so many places";
  let description = [{
    Example:

    ```mlir
    %next = sfa_gpu.advance %p of 2 : !sfa_gpu.position
    ```
  }];
}

def GPU_StepBackOp : GPU_StepOp<"step_back"> {
  let summary = "the place before this one, to be given back";
  let description = [{
    Its parity is not known: nobody waits at it.

    Example:

    ```mlir
    %before = sfa_gpu.step_back %p of 2 : !sfa_gpu.position
    ```
  }];
}

def GPU_IsFirstPlaceOp : GPU_Op<"is_first_place", [Pure]> {
  let summary = "whether a position names the first place of its ring";
  let description = [{
    Example:

    ```mlir
    %due = sfa_gpu.is_first_place %p : !sfa_gpu.position
    ```
  }];
  let arguments = (ins GPU_Place:$position);
  let results = (outs I1:$result);
  let assemblyFormat = "$position attr-dict `:` type($position)";
}

def GPU_PlaceOp : GPU_Op<"place", [
    Pure, TypesMatchWith<"the tile is one of the ring", "ring", "tile", "::llvm::cast<RingType>($_self).getTile()">]> {
  let summary = "the tile at a place of a ring";
  let description = [{
    Example:

    ```mlir
    %k = sfa_gpu.place %keys[%p : !sfa_gpu.position] : !sfa_gpu.ring<2 of 128x64xbf16, swizzled>
    ```
  }];
  let arguments = (ins GPU_OneRing:$ring, GPU_Place:$position);
  let results = (outs GPU_SharedType:$tile);
  let assemblyFormat = "$ring `[` $position `:` type($position) `]` attr-dict `:` qualified(type($ring))";
}

class GPU_GuardOp<string mnemonic> : GPU_Op<mnemonic, [MemoryEffects<[MemRead, MemWrite]>]> {
  let hasVerifier = 1;
}

def GPU_AcquireOp : GPU_GuardOp<"acquire"> {
  let summary = "wait until a place has been read, to fill it";
  let description = [{
    Example:

    ```mlir
    sfa_gpu.acquire %keys[%p] : !sfa_gpu.ring<2 of 128x64xbf16, swizzled>
    ```
  }];
  let arguments = (ins GPU_OneRing:$ring, GPU_PositionType:$position);
  let assemblyFormat = "$ring `[` $position `]` attr-dict `:` qualified(type($ring))";
}

def GPU_AwaitOp : GPU_GuardOp<"await"> {
  let summary = "wait until a place has been filled, to read it";
  let description = [{
    Example:

    ```mlir
    sfa_gpu.await %keys[%p] : !sfa_gpu.ring<2 of 128x64xbf16, swizzled>
    ```
  }];
  let arguments = (ins GPU_OneRing:$ring, GPU_PositionType:$position);
  let assemblyFormat = "$ring `[` $position `]` attr-dict `:` qualified(type($ring))";
}

def GPU_ReleaseOp : GPU_GuardOp<"release"> {
  let summary = "give a place back that the warp has read";
  let description = [{
    Where a condition is given, the place is given back only where it holds.

    Example:

    ```mlir
    sfa_gpu.release %queries[%p] when %is_last : !sfa_gpu.ring<1 of 128x64xbf16, swizzled>
    ```
  }];
  let arguments = (ins GPU_OneRing:$ring, GPU_PositionType:$position, Optional<I1>:$condition);
  let assemblyFormat = "$ring `[` $position `]` (`when` $condition^)? attr-dict `:` qualified(type($ring))";
}

def GPU_ArriveOp : GPU_Op<"arrive", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "say that a writer has filled its part of a place, or has nothing to copy there";
  let description = [{
    The thread arrives at the barrier *full* as one of the writers. Its stores to the place (`sfa_gpu.store_shared`) are seen by those
    that wait for it. A writer without a copy for a place, as behind the end of a sequence, arrives as well.

    Example:

    ```mlir
    sfa_gpu.arrive %partials[%p] : !sfa_gpu.ring<2 of 32x128xf32, linear>
    ```
  }];
  let arguments = (ins GPU_OneRing:$ring, GPU_PositionType:$position);
  let assemblyFormat = "$ring `[` $position `]` attr-dict `:` qualified(type($ring))";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

def GPU_CopyOp : GPU_Op<"copy", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "start a bulk tensor copy of rows into a place that has been acquired, by one thread";
  let description = [{
    Rows `[row, row + rows)` of `memory[batch, head]`, of several heads as `sfa_tile.load` says. Rows beyond the end of the
    memory are 0. The bytes arrive on the barrier *full* of the place (PTX ISA, "cp.async.bulk.tensor").

    A feature-major tile, or one of posting lists, is a row of a memory of the form of `#sfa.feature_major` or `#sfa.postings`, whose rows
    follow one another, and is copied as it is (PTX ISA, "cp.async.bulk"). `row` is the number of its first key.

    `rows N at %first` copies N rows only, to rows `[first, first + N)` of the place, whose other rows stay as they are: several
    copies fill a place, each one of its writers. The batch may be the number of a page of a cache, read from its page table.
    `evict_first` tells the second-level cache that nobody reads these rows again.

    A linear tile is copied in one piece: its rows follow one another in the memory as well, and are a multiple of 16 bytes.

    Example:

    ```mlir
    sfa_gpu.copy %key[%b, %h, %row] to %keys[%p] : memref<1x8x?x64xbf16>, !sfa_gpu.ring<2 of 128x64xbf16, swizzled>
    sfa_gpu.copy %pages[%page, %h, %zero] to %mine[%p] rows 16 at %first evict_first
      : memref<?x8x16x128xbf16>, !sfa_gpu.ring<2 of 64x128xbf16, swizzled>
    ```
  }];
  let arguments = (ins
    Tile_Memory:$memory, Index:$batch, Index:$head, Index:$row, Tile_Heads:$heads, GPU_OneRing:$ring,
    GPU_PositionType:$position, OptionalAttr<I64Attr>:$count, Optional<Index>:$first, UnitAttr:$evictFirst);
  let assemblyFormat = [{
    $memory `[` $batch `,` $head `,` $row `]` (`heads` $heads^)? `to` $ring `[` $position `]` (`rows` $count^ `at` $first)?
    (`evict_first` $evictFirst^)? attr-dict `:` type($memory) `,` qualified(type($ring))
  }];
  let hasVerifier = 1;
}

def GPU_CopyByThreadsOp : GPU_Op<"copy_by_threads", [AttrSizedOperandSegments, MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "start a copy of rows to shared memory by all threads of the block";
  let description = [{
    Each thread copies pieces of 16 bytes (PTX ISA, "cp.async"). Feature-major tiles and those of posting lists are those of
    `sfa_gpu.copy`. Rows beyond the end of the memory, and those of the memory from `limit` on, are 0. `heads` is that of `sfa_tile.load`. Groups of copies are closed and waited for by
    `nvvm.cp.async.commit.group` and `nvvm.cp.async.wait.group`.

    `rows N at %first` copies N rows of one head, all of which the memory has, to rows `[first, first + N)` of the tile, by the warp that is
    a group of its own. Then the tile may be linear; its rows follow one another in the memory as well.

    Example:

    ```mlir
    sfa_gpu.copy_by_threads %value[%b, %h, %row] limit %end to %v
      : memref<1x8x?x64xbf16>, !sfa_gpu.shared<64x64xbf16, swizzled>
    sfa_gpu.copy_by_threads %value[%page, %h, %row] to %v rows 16 at %first
      : memref<?x8x64x64xbf16>, !sfa_gpu.shared<64x64xbf16, swizzled>
    ```
  }];
  let arguments = (ins
    Tile_Memory:$memory, Index:$batch, Index:$head, Index:$row, Optional<Index>:$limit, Tile_Heads:$heads,
    GPU_SharedType:$tile, OptionalAttr<I64Attr>:$count, Optional<Index>:$first);
  let builders = [OpBuilder<(ins "::mlir::Value":$memory, "::mlir::Value":$batch, "::mlir::Value":$head,
      "::mlir::Value":$row, "::mlir::Value":$limit, "::mlir::IntegerAttr":$heads, "::mlir::Value":$tile), [{
    build($_builder, $_state, memory, batch, head, row, limit, heads, tile, /*count=*/::mlir::IntegerAttr(),
          /*first=*/::mlir::Value());
  }]>];
  let assemblyFormat = [{
    $memory `[` $batch `,` $head `,` $row `]` (`limit` $limit^)? (`heads` $heads^)? `to` $tile (`rows` $count^ `at` $first)?
    attr-dict `:` type($memory) `,` qualified(type($tile))
  }];
  let hasVerifier = 1;
}

def GPU_ClearRowsOp : GPU_Op<"clear_rows", [MemoryEffects<[MemWrite]>]> {
  let summary = "make the rows of a tile from a number on 0, before the product of the warpgroup";
  let description = [{
    Bulk copies know no ends but those of the tensor: rows of the next sequence come along. The warps of the warpgroup meet
    where there is something to clear; several warpgroups may clear the same rows at once.

    With `rows N at %begin` these are rows `[begin, begin + N)` only, those of a group of one warp, which clears them itself.

    Example:

    ```mlir
    sfa_gpu.clear_rows %v from %rows_left : !sfa_gpu.shared<128x64xbf16, swizzled>
    sfa_gpu.clear_rows %v from %rows_left rows 16 at %mine : !sfa_gpu.shared<128x64xbf16, swizzled>
    ```
  }];
  let arguments = (ins GPU_SharedType:$tile, Index:$first, OptionalAttr<I64Attr>:$count, Optional<Index>:$begin);
  let builders = [OpBuilder<(ins "::mlir::Value":$tile, "::mlir::Value":$first), [{
    build($_builder, $_state, tile, first, /*count=*/::mlir::IntegerAttr(), /*begin=*/::mlir::Value());
  }]>];
  let assemblyFormat = "$tile `from` $first (`rows` $count^ `at` $begin)? attr-dict `:` qualified(type($tile))";
}

def GPU_StoreOp : GPU_Op<"store", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "write the rows of a fragment to memory";
  let description = [{
    As `sfa_tile.store`. `lane` is the number of the lane: it decides which rows and columns a thread has.

    Example:

    ```mlir
    sfa_gpu.store %o, %output[%b, %h, %row] limit %end by %lane : !sfa_tile.tile<128x64xf32>, memref<1x8x?x64xbf16>
    ```
  }];
  let arguments = (ins
    Tile_TileType:$tile, Tile_Memory:$memory, Index:$batch, Index:$head, Index:$row, Optional<Index>:$limit,
    Tile_Heads:$heads, I32:$lane);
  let assemblyFormat = [{
    $tile `,` $memory `[` $batch `,` $head `,` $row `]` (`limit` $limit^)? (`heads` $heads^)? `by` $lane attr-dict
    `:` qualified(type($tile)) `,` type($memory)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Marks
//===----------------------------------------------------------------------===//

def GPU_MarksOp : GPU_Op<"marks", [MemoryEffects<[MemAlloc]>]> {
  let summary = "shared memory for marks of points, none of which is set";
  let description = [{
    There is a byte for each round, modulo their number: one that is marked in vain is computed again, which does no harm.

    Example:

    ```mlir
    %marks = sfa_gpu.marks : !sfa_gpu.marks
    ```
  }];
  let arguments = (ins OptionalAttr<I64Attr>:$offset);
  let results = (outs GPU_MarksType:$marks);
  let assemblyFormat = "(`at` $offset^)? attr-dict `:` type($marks)";
  let extraClassDeclaration = [{
    static constexpr int64_t numRounds = 1024;
    /// One mark for each round, and one that says whether there are any.
    static constexpr int64_t bytes = numRounds + 4;
  }];
}

def GPU_MarkOp : GPU_Op<"mark", [MemoryEffects<[MemWrite]>]> {
  let summary = "mark the point of a round";
  let description = [{
    Example:

    ```mlir
    sfa_gpu.mark %marks[%round] : !sfa_gpu.marks
    ```
  }];
  let arguments = (ins GPU_MarksType:$marks, I32:$round);
  let assemblyFormat = "$marks `[` $round `]` attr-dict `:` type($marks)";
}

def GPU_IsMarkedOp : GPU_Op<"is_marked", [MemoryEffects<[MemRead]>]> {
  let summary = "whether the point of a round is marked, or some point";
  let description = [{
    Example:

    ```mlir
    %this = sfa_gpu.is_marked %marks[%round] : !sfa_gpu.marks
    %some = sfa_gpu.is_marked %marks : !sfa_gpu.marks
    ```
  }];
  let arguments = (ins GPU_MarksType:$marks, Optional<I32>:$round);
  let results = (outs I1:$result);
  let assemblyFormat = "$marks (`[` $round^ `]`)? attr-dict `:` type($marks)";
}

#endif // DIALECTS_GPU_GPURINGOPS_TD
