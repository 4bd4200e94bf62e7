//===- RowBlocks.cpp - Blocks of query rows within an iteration of the key loop -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::cpu;

/// A block's scores (72 KiB with 128 keys) stay in the second-level cache, and a panel of the value
/// tile is read into the first-level cache once for all its rows. Fewer rows measured slower.
static constexpr int64_t preferredRows = 128;

/// True when `op`, in a stage after `load`, does the same for every row: what it reads of a key
/// tile or of the value tile comes as an argument of the stage, everything else has a row for each
/// query.
static bool isRowWise(Operation *op) {
  return TypeSwitch<Operation *, bool>(op)
      .Case<DotOp, GatherDotOp, ScatterDotOp, TwoFourDotOp>(
          [](auto dot) { return isa<BlockArgument>(dot.getKey()); })
      .Case([](DequantizeOp scores) {
        return isa<BlockArgument>(scores.getColumns()) && !isa<BlockArgument>(scores.getRows());
      })
      .Case([](AccumulateOp product) { return isa<BlockArgument>(product.getValue()); })
      .Case<MaskOp, ScaleOp, RowMaxOp, RowSumOp, Exp2Op, FmaOp, AddOp, MulOp, TotalOp, MapRowsOp,
            AnyOp, ScaleRowsOp, RowSumsOfOp, SplitSumsOp, NotFiniteOp, IsDueOp, ProbeOp, FirstKeyOp,
            YieldOp, scf::IfOp, scf::YieldOp>([](Operation *) { return true; })
      .Case([](FillOp fill) { return cast<TileType>(fill.getTile().getType()).isRowVector(); })
      .Default([](Operation *other) { return !isa_and_nonnull<TileDialect>(other->getDialect()); });
}

int64_t KernelLowering::getBlockRows(KeyLoopOp loop) {
  int64_t rows = loop.getAccType().getRows();
  if (rows % preferredRows != 0)
    return rows;
  for (Region *stage :
       {&loop.getScore(), &loop.getMask(), &loop.getSoftmax(), &loop.getAccumulate()}) {
    WalkResult result = stage->walk([](Operation *op) {
      return isRowWise(op) ? WalkResult::advance() : WalkResult::interrupt();
    });
    if (result.wasInterrupted())
      return rows;
  }
  return preferredRows;
}

Value KernelLowering::seesTile(KeyLoopOp loop, Value key) {
  auto masks = loop.getMask().getOps<MaskOp>();
  if (masks.empty() || !llvm::hasSingleElement(masks))
    return {};
  MaskOp mask = *masks.begin();
  // Only a mask of the tile's own queries and keys.
  for (Value bound : {mask.getRow(), mask.getNumQueries(), mask.getNumKeys()})
    if (loop->isAncestor(bound.getParentBlock()->getParentOp()))
      return {};
  if (mask.getColumn() != loop.getMask().getArgument(0))
    return {};
  auto [first, last] = positionRange(mask);
  Value upper = visibleColumns(mask, key, last).second;
  Value lower = visibleColumns(mask, key, first).first;
  Value columns = emit.index(mask.getScores().getType().getColumns());
  Value sees =
      emit.make<arith::AndIOp>(emit.compare(arith::CmpIPredicate::sgt, upper, emit.index(0)),
                               emit.compare(arith::CmpIPredicate::slt, lower, columns));
  // Rows beyond the last query are never stored.
  Value exists = emit.compare(arith::CmpIPredicate::slt, emit.add(scalar(mask.getRow()), first),
                              scalar(mask.getNumQueries()));
  return emit.make<arith::AndIOp>(sees, exists);
}

bool KernelLowering::isOutsideBlock(Value value) {
  return block && !block->loop->isAncestor(value.getParentBlock()->getParentOp());
}

/// Rows [start, start + rows) of a memory whose rows are its first dimension.
static Value rowsFrom(Emitter &emit, Value memory, Value start, int64_t rows) {
  auto type = cast<MemRefType>(memory.getType());
  SmallVector<OpFoldResult> offsets(type.getRank(), emit.getIndexAttr(0)),
      strides(type.getRank(), emit.getIndexAttr(1)), sizes;
  for (int64_t size : type.getShape())
    sizes.push_back(emit.getIndexAttr(size));
  offsets[0] = start;
  sizes[0] = emit.getIndexAttr(rows);
  return emit.make<memref::SubViewOp>(memory, offsets, sizes, strides);
}

MatrixBuffer KernelLowering::blockOf(MatrixBuffer matrix) {
  if (block->rows == matrix.rows)
    return matrix;
  return {rowsFrom(emit, matrix.memory, block->start, block->rows), block->rows, matrix.columns};
}

Value KernelLowering::blockOf(Value rowVector) {
  // A block that is no multiple of the lanes is the whole tile.
  auto padded = static_cast<int64_t>(llvm::alignTo(block->rows, emit.lanes));
  if (cast<MemRefType>(rowVector.getType()).getDimSize(0) == padded)
    return rowVector;
  return rowsFrom(emit, rowVector, block->start, padded);
}

MatrixBuffer KernelLowering::rowMatrix(Value tile) {
  return isOutsideBlock(tile) ? blockOf(matrix(tile)) : matrix(tile);
}

Value KernelLowering::rowVector(Value tile) {
  Value whole = rowVectors.at(tile);
  return isOutsideBlock(tile) ? blockOf(whole) : whole;
}

CodesView KernelLowering::rowCodes(Value value) {
  CodesView view = codes.at(value);
  if (!isOutsideBlock(value) || block->rows == view.rows)
    return view;
  Value rest = emit.maxIndex(emit.sub(view.valid, block->start), emit.index(0));
  view.first = emit.add(view.first, block->start);
  view.valid = emit.minIndex(rest, emit.index(block->rows));
  view.rows = block->rows;
  return view;
}

PairsBuffer KernelLowering::rowPairs(Value value) {
  PairsBuffer buffer = pairs.at(value);
  if (!isOutsideBlock(value))
    return buffer;
  for (Value *memory : {&buffer.values, &buffer.features, &buffer.counts})
    if (*memory)
      *memory = rowsFrom(emit, *memory, block->start, block->rows);
  return buffer;
}
