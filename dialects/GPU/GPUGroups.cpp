//===- GPUGroups.cpp - Groups of warps and orders of splits ---------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/GPU/GPU.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace sfa::simt;

//===----------------------------------------------------------------------===//
// EachGroupOp
//===----------------------------------------------------------------------===//

// sfa_gpu.each_group (%number) of 1 warps [attributes {...}] { ... }
ParseResult EachGroupOp::parse(OpAsmParser &parser, OperationState &result) {
  OpAsmParser::Argument number;
  int64_t warps = 0;
  if (parser.parseLParen() || parser.parseArgument(number) || parser.parseRParen() ||
      parser.parseKeyword("of") || parser.parseInteger(warps) || parser.parseKeyword("warps"))
    return failure();
  Builder &builder = parser.getBuilder();
  number.type = builder.getI32Type();
  result.addAttribute(getWarpsAttrName(result.name), builder.getI64IntegerAttr(warps));
  Region *body = result.addRegion();
  if (parser.parseOptionalAttrDictWithKeyword(result.attributes) ||
      parser.parseRegion(*body, number))
    return failure();
  ensureTerminator(*body, builder, result.location);
  return success();
}

void EachGroupOp::print(OpAsmPrinter &printer) {
  printer << " (";
  printer.printOperand(getNumber());
  printer << ") of " << getWarps() << " warps";
  printer.printOptionalAttrDictWithKeyword((*this)->getAttrs(), {getWarpsAttrName()});
  printer << " ";
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false, /*printBlockTerminators=*/false);
}

void EachGroupOp::getAsmBlockArgumentNames(Region &region, OpAsmSetValueNameFn setName) {
  if (!region.empty() && region.getNumArguments() == 1)
    setName(region.getArgument(0), getWarps() == 1 ? "warp" : "group");
}

/// How many warps the role has that `op` is in, or the block; 0 where neither is known.
static int64_t countWarpsAround(Operation *op) {
  for (Region *region = op->getParentRegion(); region; region = region->getParentRegion()) {
    if (auto roles = dyn_cast<RolesOp>(region->getParentOp()))
      return region->getRegionNumber() < roles.getWarps().size()
                 ? roles.getWarps()[region->getRegionNumber()]
                 : 0;
    if (auto kernel = dyn_cast<KernelOp>(region->getParentOp()))
      return static_cast<int64_t>(kernel.getWarps());
  }
  return 0;
}

LogicalResult EachGroupOp::verify() {
  auto warps = static_cast<int64_t>(getWarps());
  int64_t around = countWarpsAround(*this);
  if (warps < 1 || around % warps != 0)
    return emitOpError() << "has groups of " << warps << " warps of a role of " << around
                         << "; the warps of a role are a multiple of those of a group";
  if ((*this)->getParentOfType<EachGroupOp>())
    return emitOpError("is in another sfa_gpu.each_group; groups have no groups of their own");
  if (getBody().getNumArguments() != 1 || !getNumber().getType().isInteger(32))
    return emitOpError("has a region that takes anything but one i32, the number of the group");
  if (getBody().front().getTerminator()->getNumOperands() != 0)
    return emitOpError("yields values; groups give none");
  return success();
}

//===----------------------------------------------------------------------===//
// Merging groups
//===----------------------------------------------------------------------===//

SharedType MergeRowsOp::getRoomFor(tile::TileType acc, int64_t groups) {
  // A lane has the elements of two rows of 16, their maxima and their sums.
  constexpr int64_t lanes = 32;
  int64_t numbers = acc.getRows() / 16 * (acc.getColumns() / 2 + 4);
  return SharedType::get(acc.getContext(), {std::max<int64_t>(groups / 2, 1), lanes * numbers},
                         acc.getElementType(), TileForm::Linear);
}

LogicalResult MergeRowsOp::verify() {
  auto group = (*this)->getParentOfType<EachGroupOp>();
  if (group && group.getWarps() != 1)
    return emitOpError() << "is in groups of " << group.getWarps() << " warps; allowed is 1";
  int64_t groups = countWarpsAround(group ? group : getOperation());
  if (groups < 1 || !llvm::isPowerOf2_64(groups))
    return emitOpError() << "merges " << groups << " groups; their number is a power of two";
  SharedType wanted = getRoomFor(getAcc().getType(), groups);
  if (getRoom().getType() != wanted)
    return emitOpError() << "has the room " << getRoom().getType() << "; " << groups
                         << " groups need " << wanted;
  return success();
}
