//===- TileStructureOps.td - Kernels, launches and the loop over key tiles -*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_TILE_TILESTRUCTUREOPS_TD
#define DIALECTS_TILE_TILESTRUCTUREOPS_TD

include "dialects/Tile/TileInterfaces.td"
include "dialects/Tile/TileOpBase.td"
include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"

def Tile_KernelOp : Tile_Op<"kernel", [
    IsolatedFromAbove, Symbol, Tile_KernelOpInterface, SingleBlockImplicitTerminator<"::sfa::tile::ReturnOp">,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmBlockArgumentNames"]>]> {
  let summary = "a kernel: what one point of a grid does";
  let description = [{
    The arguments are memories with any stride but one element between the features of a row, and behind them numbers, f32; the
    three coordinates name the point of the grid: batch, query head, tile of rows.

    Example:

    ```mlir
    sfa_tile.kernel @densify(%values: memref<1x8x?x8xbf16>, %indices: memref<1x8x?x8xi8>, %out: memref<1x8x?x128xbf16>)
        grid(%b, %h, %t) {
      %c64 = arith.constant 64 : index
      %row = arith.muli %t, %c64 : index
      ...
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, OptionalAttr<SFA_ScheduleAttr>:$schedule);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let skipDefaultBuilders = 1;
  let builders = [OpBuilder<(ins "::llvm::StringRef":$name, "::mlir::TypeRange":$parameters,
      "ScheduleAttr":$schedule)>];
  let extraClassDeclaration = [{
    /// The memories, then the numbers.
    ::mlir::Block::BlockArgListType getParameters() { return getBody().getArguments().drop_back(3); }
    ::mlir::Block::BlockArgListType getMemories() { return takeMemories(getParameters()); }
    ::mlir::Block::BlockArgListType getScalars() { return dropMemories(getParameters()); }
    /// Batch, query head and row tile.
    ::mlir::Block::BlockArgListType getCoordinates() { return getBody().getArguments().take_back(3); }
  }];
}

def Tile_ReturnOp : Tile_Op<"return", [Terminator, Pure, HasParent<"KernelOp">]> {
  let summary = "the end of a kernel";
  let description = "Implicit at the end of a `sfa_tile.kernel`.";
  let assemblyFormat = "attr-dict";
}

def Tile_LaunchOp : Tile_Op<"launch", [
    AttrSizedOperandSegments, DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    DeclareOpInterfaceMethods<DestinationStyleOpInterface, ["getDpsInitsMutable"]>,
    DeclareOpInterfaceMethods<BufferizableOpInterface,
      ["bufferizesToMemoryRead", "bufferizesToMemoryWrite", "getAliasingValues", "bufferize"]>]> {
  let summary = "run a kernel on all points of a grid";
  let description = [{
    Destination-passing style: the kernel's last memories are the outputs. On tensors the results are the outputs'
    new values; after bufferization there are none. Scalars are the numbers that the kernel takes. With `updates N` the kernel
    writes the last N inputs in place. These are memories of the caller: nothing copies them, and no result stands for them.

    Example:

    ```mlir
    %dense = sfa_tile.launch @densify grid(%b, %h, %t) ins(%values, %indices : tensor<1x8x?x8xbf16>, tensor<1x8x?x8xi8>)
      outs(%init : tensor<1x8x?x128xbf16>) -> tensor<1x8x?x128xbf16>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Index:$gridBatch, Index:$gridHead,
      Index:$gridTile, Variadic<AnyType>:$inputs, Variadic<AnyType>:$outputs,
      Variadic<F32>:$scalars, DefaultValuedAttr<ConfinedAttr<I64Attr, [IntNonNegative]>, "0">:$updates);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $kernel `grid` `(` $gridBatch `,` $gridHead `,` $gridTile `)`
    `ins` `(` ($inputs^ `:` type($inputs))? `)` `outs` `(` ($outputs^ `:` type($outputs))? `)`
    (`scalars` `(` $scalars^ `)`)? (`updates` $updates^)? attr-dict
    (`->` type($results)^)?
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Whether the kernel writes this operand, an input, in place.
    bool isUpdated(::mlir::OpOperand &operand);
  }];
}

def Tile_SequenceTileOp : Tile_Op<"sequence_tile", [
    MemoryEffects<[MemRead]>, DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "the sequence and the rows of a row tile, where tokens are those of several sequences";
  let description = [{
    Sequence s has the queries `[query_offsets[s], query_offsets[s + 1])` and the keys `[key_offsets[s], key_offsets[s +
    1])` of memories with `numQueries` and `numKeys` rows. Row tiles of R rows do not cross sequences. Those of sequence
    s are `[first(s), first(s + 1))` with `first(s) = query_offsets[s] / R + s`: no fewer than its queries need, since
    `ceil((b - a) / R) <= floor(b / R) - floor(a / R) + 1`, and found without sums over the sequences before it. So
    `numQueries / R` (rounded down) and one for each sequence are enough tiles for all.

    The results are the tile's first row within its sequence, and where the queries and the keys of the sequence begin
    and end in the memories. A tile that its sequence does not need begins after the last query, and has no keys.

    Offsets are not trusted: one below 0 counts as 0, one beyond the rows as their number, and a sequence that ends
    before it begins is empty.

    Example:

    ```mlir
    %row, %query_begin, %query_end, %key_begin, %key_end =
      sfa_tile.sequence_tile %query_offsets, %key_offsets[%tile] by 128 of [%nq, %nk] : memref<?xi32>, memref<?xi32>
    ```
  }];
  let arguments = (ins
    Tile_Offsets:$queryOffsets, Tile_Offsets:$keyOffsets, Index:$tile, I64Attr:$rows, Index:$numQueries,
    Index:$numKeys);
  let results = (outs Index:$row, Index:$queryBegin, Index:$queryEnd, Index:$keyBegin, Index:$keyEnd);
  let assemblyFormat = [{
    $queryOffsets `,` $keyOffsets `[` $tile `]` `by` $rows `of` `[` $numQueries `,` $numKeys `]` attr-dict
    `:` type($queryOffsets) `,` type($keyOffsets)
  }];
  let hasVerifier = 1;
}

def Tile_SplitRangeOp : Tile_Op<"split_range", [
    MemoryEffects<[MemRead]>, DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "the keys of a share of a sequence of a cache";
  let description = [{
    The sequence has `lengths[sequence]` keys, at least 0 and at most `limit`. What its shares are follows from that number alone;
    `sfa.decode` says how. The results are the number of keys of the sequence, the first key of the share and how many keys the share
    has, 0 where there is no such share. Its keys are not all neighbors: key i of the share is key

    ```
    first + i + (i / 512) * 7 * 512
    ```

    of the sequence, since the blocks of 512 keys of a share are every eighth one of the sequence. `blocks` is how many a share has at
    least in a sequence of more than 16384 keys, 1, 2 or 4.

    Example:

    ```mlir
    %length, %first, %count = sfa_tile.split_range %lengths[%b, %t] limit %most : memref<?xi32>
    %l, %f, %c = sfa_tile.split_range %lengths[%b, %t] limit %most blocks 4 : memref<?xi32>
    ```
  }];
  let arguments = (ins Tile_Offsets:$lengths, Index:$sequence, Index:$split, Index:$limit, Tile_LeastBlocks:$blocks);
  let results = (outs Index:$length, Index:$first, Index:$count);
  let assemblyFormat = [{
    $lengths `[` $sequence `,` $split `]` `limit` $limit (`blocks` $blocks^)? attr-dict `:` type($lengths)
  }];
}

def Tile_KeyLoopOp : Tile_Op<"key_loop", [
    SingleBlock, RecursiveMemoryEffects,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmBlockArgumentNames", "getAsmResultNames"]>,
    RangedTypesMatchWith<"the results have the types of 'init'", "inits", "results", "$_self">]> {
  let summary = "the loop over key tiles, in stages";
  let description = [{
    Runs over key tiles `[lower, upper)` in steps of `step` keys and carries the output accumulator and any further state
    of the rows: row vectors, in parts or not, and i1 (see `sfa_tile.any`). What the state means is the business of the
    stages `softmax` and `accumulate`; an online softmax has maxima and sums. One iteration is five stages, each a
    region, so that a target can pipeline them and give them to different warps without finding them first:

    | stage | gets | yields |
    |---|---|---|
    | `load` | first key | key tiles, then the value tile |
    | `score` | key tiles | scores |
    | `mask` | first key, scores | scores |
    | `softmax` | scores, state, whether this is the first tile (i1) | probabilities, state, extras |
    | `accumulate` | accumulator, probabilities, value tile, state, extras | accumulator, state |

    Extras are what `accumulate` wants to know besides, such as the factors of the old accumulator: row vectors and i1.
    The last argument of `softmax` is true only where a target knows that this is the first tile of the loop, so that the
    state is that of `init`; a target that does not know says false.

    The stages keep the state of a row that sees no key of the tile as it is, or what they change of it has no effect on
    the row's result, so that a target may skip such rows.

    Example (types of the block arguments left out):

    ```mlir
    %acc, %max, %sum = sfa_tile.key_loop %lower to %upper step 128 init(%acc0, %m0, %l0)
        : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32, partial>
    load {
    ^bb0(%j: index):
      %k = sfa_tile.load %keys[%b, %h, %j] ...
      %v = sfa_tile.load %values[%b, %h, %j] ...
      sfa_tile.yield %k, %v
    } score {
    ^bb0(%k):
      %s = sfa_tile.dot %q, %k ...
      sfa_tile.yield %s
    } mask {...} softmax {
    ^bb0(%s, %m, %l, %is_first: i1):
      ...
      sfa_tile.yield %p, %m1, %l1, %factors
    } accumulate {
    ^bb0(%acc, %p, %v, %m, %l, %factors):
      ...
      sfa_tile.yield %acc1, %m, %l
    }
    ```
  }];
  let arguments = (ins Index:$lower, Index:$upper, I64Attr:$step, Variadic<AnyTypeOf<[Tile_TileType, I1]>>:$inits);
  let results = (outs Variadic<AnyTypeOf<[Tile_TileType, I1]>>:$results);
  let regions = (region
    SizedRegion<1>:$load, SizedRegion<1>:$score, SizedRegion<1>:$mask, SizedRegion<1>:$softmax,
    SizedRegion<1>:$accumulate);
  let assemblyFormat = [{
    $lower `to` $upper `step` $step `init` `(` $inits `)` attr-dict-with-keyword `:` qualified(type($inits))
    custom<Stages>($load, $score, $mask, $softmax, $accumulate)
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Value getAccInit() { return getInits().front(); }
    ::mlir::ValueRange getStateInits() { return getInits().drop_front(); }
    ::mlir::Value getAcc() { return getResults().front(); }
    ::mlir::ResultRange getStates() { return getResults().drop_front(); }
    TileType getAccType() { return ::llvm::cast<TileType>(getAccInit().getType()); }
    unsigned getNumStates() { return getInits().size() - 1; }
    /// What a stage yields.
    static ::mlir::OperandRange getYielded(::mlir::Region &stage) {
      return stage.front().getTerminator()->getOperands();
    }
    using Arguments = ::mlir::Block::BlockArgListType;
    /// Arguments of the stage `softmax`.
    ::mlir::BlockArgument getScores() { return getSoftmax().getArgument(0); }
    Arguments getSoftmaxStates() { return getSoftmax().getArguments().slice(1, getNumStates()); }
    ::mlir::BlockArgument getIsFirst() { return getSoftmax().getArguments().back(); }
    /// What it yields.
    ::mlir::Value getProbabilities() { return getYielded(getSoftmax()).front(); }
    ::mlir::OperandRange getNextSoftmaxStates() { return getYielded(getSoftmax()).slice(1, getNumStates()); }
    ::mlir::OperandRange getExtras() { return getYielded(getSoftmax()).drop_front(1 + getNumStates()); }
    /// Arguments of the stage `accumulate` behind the accumulator, the probabilities and the value tile.
    ::mlir::BlockArgument getValueTile() { return getAccumulate().getArgument(2); }
    Arguments getAccumulateStates() { return getAccumulate().getArguments().slice(3, getNumStates()); }
    Arguments getExtraArguments() { return getAccumulate().getArguments().drop_front(3 + getNumStates()); }
  }];
}

def Tile_FirstKeyOp : Tile_Op<"first_key", [Pure]> {
  let summary = "the first key of the tile at hand";
  let description = [{
    Inside the stages `mask` and `softmax`, which a target runs one right after the other for a tile.

    Example:

    ```mlir
    %key = sfa_tile.first_key
    ```
  }];
  let results = (outs Index:$key);
  let assemblyFormat = "attr-dict";
  let hasVerifier = 1;
}

def Tile_RetryOp : Tile_Op<"retry", [
    SingleBlockImplicitTerminator<"::sfa::tile::YieldOp">, HasParent<"KernelOp">, RecursiveMemoryEffects]> {
  let summary = "compute the point of the grid again, from the beginning, where a condition holds";
  let description = [{
    The region sees the values from before the key loop, runs a key loop of its own and stores again what the kernel has
    stored for the point. A target may do so after other points of the grid. It is the last operation of a kernel.

    Example:

    ```mlir
    sfa_tile.retry when %overflows {
      %acc, %max, %sum = sfa_tile.key_loop ...
      ...
      sfa_tile.store %o, %output[%b, %h, %row] ...
    }
    ```
  }];
  let arguments = (ins I1:$condition);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "`when` $condition attr-dict-with-keyword $body";
  let hasRegionVerifier = 1;
}

def Tile_YieldOp : Tile_Op<"yield", [
    Terminator, Pure, ReturnLike, ParentOneOf<["KeyLoopOp", "MapRowsOp", "RetryOp"]>]> {
  let summary = "the results of a stage, or of a row";
  let description = [{
    Implicit at the end of a `sfa_tile.retry`.

    Example:

    ```mlir
    sfa_tile.yield %k, %v : !sfa_tile.tile<128x128xf32>, !sfa_tile.tile<128x128xf32>
    ```
  }];
  let arguments = (ins Variadic<AnyType>:$values);
  let builders = [OpBuilder<(ins), "build($_builder, $_state, ::mlir::ValueRange());">];
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
}

#endif // DIALECTS_TILE_TILESTRUCTUREOPS_TD
