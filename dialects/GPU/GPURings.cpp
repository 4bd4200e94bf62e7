//===- GPURings.cpp - Verifiers of rings and copies -----------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/GPU/GPU.h"
#include "mlir/IR/OpImplementation.h"
#include "sfa/Swizzle.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

int64_t RingOp::getStageBytes() {
  SharedType tile = getRing().getType().getTile();
  // A panel of ones has as many rows as the tile.
  return tile.getBytes() + (getOnes() ? tile.getRows() * swizzle::rowBytes : 0);
}

LogicalResult RingOp::verify() {
  if (getWriters().has_value() != getReaders().has_value())
    return emitOpError("is guarded by writers and readers, or not at all");
  if (getWriters() && (*getWriters() < 1 || *getReaders() < 1))
    return emitOpError() << "is guarded by " << *getWriters() << " writers, " << *getReaders()
                         << " readers; there is at least one of each";
  RingType type = getRing().getType();
  if (getOnes() && type.getTile().getForm() != TileForm::Swizzled)
    return emitOpError() << "has ones behind " << type.getTile()
                         << "; only swizzled tiles have panels";
  if (getOther() && getOther().getType() != type)
    return emitOpError() << "has the places of " << getOther().getType() << ", but is " << type;
  if (!getNeighbor())
    return success();
  RingType neighbor = getNeighbor().getType();
  auto definition = getNeighbor().getDefiningOp<RingOp>();
  if (getWriters() || (definition && !definition.getWriters()))
    return emitOpError("is beside another ring; that one is guarded and this one is not");
  if (neighbor.getStages() != type.getStages() || neighbor.getCopies() != type.getCopies())
    return emitOpError() << "is beside " << neighbor << ", but is " << type
                         << "; they need as many places";
  return success();
}

/// The operation that defines `ring`, or the rings of which it is one.
static RingOp findDefinition(Value ring) {
  if (auto selection = ring.getDefiningOp<RingOfOp>())
    ring = selection.getRings();
  return ring.getDefiningOp<RingOp>();
}

/// Diagnoses an operation on the barriers of a ring that has none.
static LogicalResult verifyGuard(Operation *op, Value ring) {
  RingOp definition = findDefinition(ring);
  if (definition && definition.getNeighbor())
    return op->emitOpError("is on a ring without barriers of its own; wait at the ring that it is "
                           "beside");
  if (definition && !definition.getWriters())
    return op->emitOpError("is on a ring without guards; add 'guarded by' to the ring");
  return success();
}

LogicalResult AcquireOp::verify() { return verifyGuard(*this, getRing()); }
LogicalResult AwaitOp::verify() { return verifyGuard(*this, getRing()); }
LogicalResult ReleaseOp::verify() { return verifyGuard(*this, getRing()); }
LogicalResult ArriveOp::verify() { return verifyGuard(*this, getRing()); }

LogicalResult RingOfOp::verify() {
  RingType rings = getRings().getType();
  if (rings.getCopies() == 1)
    return emitOpError() << "takes one of " << rings << "; that is one ring";
  return success();
}

LogicalResult PositionAfterOp::verify() {
  if (static_cast<int64_t>(getStages()) < 1)
    return emitOpError() << "is of rings of " << getStages() << " places; a ring has one at least";
  return success();
}

/// Diagnoses a tile that does not hold rows of the memory.
static LogicalResult verifyRows(Operation *op, MemRefType memory, SharedType tile, int64_t heads) {
  if (tile.getForm() == TileForm::FeatureMajor) {
    if (memory.getElementType() == tile.getElementType() && memory.getRank() == 4 &&
        memory.getShape().back() == tile.getRows() * tile.getColumns() && heads == 1)
      return success();
    return op->emitOpError() << "copies a tile of " << memory << " to " << tile
                             << "; they need the same elements, and as many in a row of the memory "
                                "(#sfa.feature_major) as in the tile";
  }
  if (tile.getForm() == TileForm::Postings) {
    if (memory.getElementType().isInteger(8) && memory.getRank() == 4 &&
        memory.getShape().back() == tile.getBytes() && heads == 1)
      return success();
    return op->emitOpError() << "copies posting lists of " << memory << " to " << tile
                             << "; a row of the memory (#sfa.postings) needs as many bytes, i8, as "
                                "the tile: "
                             << tile.getBytes();
  }
  bool isMatrix = tile.getShape().size() == 2;
  if (memory.getElementType() != tile.getElementType() || memory.getRank() != (isMatrix ? 4 : 3) ||
      (isMatrix && memory.getShape().back() != tile.getColumns()))
    return op->emitOpError() << "copies rows of " << memory << " to " << tile
                             << "; they need the same elements and number of columns";
  if (heads < 1 || ScheduleAttr::rowsOfHead(tile.getRows(), heads) == 0)
    return op->emitOpError() << "copies rows of " << heads << " heads to " << tile
                             << ", which has fewer rows";
  return success();
}

LogicalResult CopyOp::verify() {
  RingOp definition = findDefinition(getRing());
  bool isBeside = definition && definition.getNeighbor();
  if (!isBeside && failed(verifyGuard(*this, getRing())))
    return failure();
  if (getCount().has_value() != static_cast<bool>(getFirst()))
    return emitOpError("copies so many rows to those from one on, or all of them");
  int64_t rows = getRing().getType().getTile().getRows();
  auto count = static_cast<int64_t>(getCount().value_or(rows));
  if (count < 1 || count > rows || (getCount() && getHeads() != 1))
    return emitOpError() << "copies " << count << " rows of " << getHeads() << " heads to "
                         << getRing().getType().getTile() << "; allowed are 1 to " << rows
                         << " rows of one head";
  return verifyRows(*this, cast<MemRefType>(getMemory().getType()), getRing().getType().getTile(),
                    static_cast<int64_t>(getHeads()));
}

LogicalResult CopyByThreadsOp::verify() {
  if (getCount().has_value() != static_cast<bool>(getFirst()))
    return emitOpError("copies so many rows to those from one on, or all of them");
  return verifyRows(*this, cast<MemRefType>(getMemory().getType()), getTile().getType(),
                    static_cast<int64_t>(getHeads()));
}

LogicalResult StoreOp::verify() {
  auto tile = cast<tile::TileType>(getTile().getType());
  auto memory = cast<MemRefType>(getMemory().getType());
  if (!tile.getElementType().isF32() || memory.getRank() != (tile.isRowVector() ? 3 : 4) ||
      (!tile.isRowVector() && memory.getShape().back() != tile.getColumns()))
    return emitOpError() << "stores " << tile << " to " << memory
                         << "; f32 goes to rows of as many columns";
  return success();
}
