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
  return success();
}

/// Diagnoses an operation on the barriers of a ring that has none.
static LogicalResult verifyGuard(Operation *op, Value ring) {
  auto definition = ring.getDefiningOp<RingOp>();
  if (definition && !definition.getWriters())
    return op->emitOpError("is on a ring without guards; add 'guarded by' to the ring");
  return success();
}

LogicalResult AcquireOp::verify() { return verifyGuard(*this, getRing()); }
LogicalResult AwaitOp::verify() { return verifyGuard(*this, getRing()); }
LogicalResult ReleaseOp::verify() { return verifyGuard(*this, getRing()); }

/// Diagnoses a tile that does not hold rows of the memory.
static LogicalResult verifyRows(Operation *op, MemRefType memory, SharedType tile, int64_t heads) {
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
  if (failed(verifyGuard(*this, getRing())))
    return failure();
  return verifyRows(*this, cast<MemRefType>(getMemory().getType()), getRing().getType().getTile(),
                    static_cast<int64_t>(getHeads()));
}

LogicalResult CopyByThreadsOp::verify() {
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
