//===- NotLowered.cpp - What a program may say that has no instructions yet -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Patterns are written for what the passes before this one emit. A program that a person has
// written may say more; it is refused before the first pattern runs, so that no pattern meets it.
//
//===----------------------------------------------------------------------===//

#include "NotLowered.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

/// Whether patterns know where the elements of `tile` are.
static bool isKnown(SharedType tile) {
  unsigned width = tile.getElementType().getIntOrFloatBitWidth();
  return tile.getForm() == TileForm::Swizzled && (width == 16 || width == 8);
}

/// The same for copies, which take tiles in one piece as they are.
static bool isCopied(SharedType tile) { return isKnown(tile) || tile.isOnePiece(); }

static bool isKnown(Type type) {
  auto tile = dyn_cast<SharedType>(type);
  return !tile || isKnown(tile);
}

/// Says what of `op` is not lowered yet, in the words that follow its name, or nothing.
static StringRef findWhatIsNotLowered(Operation *operation) {
  if (operation->hasTrait<NotLoweredYet>())
    return "is not lowered yet";
  StringRef tiles = "is on a tile that is not swizzled or has elements of 32 bits, which is not "
                    "lowered yet";
  return TypeSwitch<Operation *, StringRef>(operation)
      .Case([](RingOp op) {
        if (op.getNeighbor())
          return "is beside another ring, which is not lowered yet";
        return op.getRing().getType().getCopies() == 1
                   ? ""
                   : "is a ring for each of several warps, which is not lowered yet";
      })
      .Case([](PositionAfterOp op) {
        return op.getStages() == 1 ? ""
                                   : "is in a ring of several places, which is not lowered yet";
      })
      .Case([&](CopyOp op) -> StringRef {
        if (op.getRing().getType().getTile().getForm() == TileForm::Linear &&
            op.getRing().getType().getTile().getShape().size() == 2)
          return "";
        return isCopied(op.getRing().getType().getTile()) ? "" : tiles;
      })
      .Case([](EachGroupOp op) {
        return op.getWarps() == 1 ? "" : "has groups of several warps, which is not lowered yet";
      })
      .Case([&](CopyByThreadsOp op) -> StringRef {
        if (op.getCount() && op.getTile().getType().getForm() == TileForm::Linear)
          return "";
        return isCopied(op.getTile().getType()) ? "" : tiles;
      })
      .Case<DotOp, IssueDotOp>([&](auto op) {
        return isKnown(op.getLeft().getType()) && isKnown(op.getRight().getType()) ? "" : tiles;
      })
      .Case([&](AccumulateOp op) { return isKnown(op.getRight().getType()) ? "" : tiles; })
      .Case([&](IssueAccumulateOp op) -> StringRef {
        if (isa<SharedType>(op.getLeft().getType()))
          return "has its left operand in shared memory, which is not lowered yet";
        return isKnown(op.getRight().getType()) ? "" : tiles;
      })
      .Case([](RolesOp op) {
        for (auto [warps, registers] : llvm::zip(op.getWarps(), op.getRegisters()))
          if (registers != 0 && warps % 4 != 0)
            return "gives registers to roles that share a warpgroup, which is not lowered yet";
        return "";
      })
      .Default([](Operation *) { return ""; });
}

LogicalResult sfa::simt::refuseWhatIsNotLowered(KernelOp kernel) {
  WalkResult result = kernel.walk<WalkOrder::PreOrder>([](Operation *op) {
    StringRef what = findWhatIsNotLowered(op);
    if (what.empty())
      return WalkResult::advance();
    op->emitOpError(what);
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}
