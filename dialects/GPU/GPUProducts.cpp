//===- GPUProducts.cpp - Verifiers of products ----------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/GPU/GPU.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

namespace {
/// Rows, columns and elements of a factor.
struct Factor {
  int64_t rows, columns;
  Type element;
};
} // namespace

static Factor getFactor(Type type) {
  if (auto tile = dyn_cast<tile::TileType>(type))
    return {tile.getRows(), tile.getColumns(), tile.getElementType()};
  if (auto operand = dyn_cast<OperandType>(type))
    return {operand.getRows(), operand.getColumns(), operand.getElementType()};
  if (auto sparse = dyn_cast<TwoFourType>(type))
    return {sparse.getRows(), sparse.getColumns(), sparse.getElementType()};
  auto shared = cast<SharedType>(type);
  return {shared.getRows(), shared.getColumns(), shared.getElementType()};
}

/// The shape of what a product takes of `right`: all rows, or `rows` from one on.
static FailureOr<SharedType> takeRows(Operation *op, SharedType right, Value first, int64_t rows) {
  if (!first)
    return right;
  if (rows % 16 != 0 || rows > right.getRows())
    return op->emitOpError() << "takes " << rows << " rows of " << right
                             << "; allowed are multiples of 16, as many as there are at most";
  return SharedType::get(op->getContext(), {rows, right.getColumns()}, right.getElementType(),
                         right.getForm());
}

static LogicalResult verifyDot(Operation *op, Type leftType, Type rightType, Value surplus,
                               tile::TileType result) {
  if (surplus) {
    auto more = cast<TwoFourType>(surplus.getType()), part = dyn_cast<TwoFourType>(leftType);
    if (!part || more.getInRegisters() || more.getRows() != part.getRows() ||
        more.getColumns() != part.getColumns() || more.getElementType() != part.getElementType())
      return op->emitOpError() << "adds a surplus of " << more << " to " << leftType
                               << "; it belongs to a 2:4 operand of the same shape, and is in "
                                  "shared memory";
  }
  Factor left = getFactor(leftType), right = getFactor(rightType);
  if (!left.element.isF16() && !left.element.isBF16() && !left.element.isInteger(8))
    return op->emitOpError() << "multiplies " << leftType << "; matrix units take f16, bf16 or i8";
  // Registers hold zeros in place of the columns of a product that are not there.
  bool isInRegisters = isa<OperandType>(leftType);
  int64_t columns =
      isInRegisters ? OperandType::roundUp(right.columns, right.element) : right.columns;
  if (left.element != right.element || left.columns != columns)
    return op->emitOpError() << "multiplies " << leftType << " with the transpose of " << rightType
                             << "; they need the same elements and number of columns";
  MLIRContext *context = op->getContext();
  Type sums = left.element.isInteger(8) ? Type(IntegerType::get(context, 32))
                                        : Type(Float32Type::get(context));
  auto expected = tile::TileType::get(context, {left.rows, right.rows}, sums);
  if (result != expected)
    return op->emitOpError() << "gives " << result << "; the product of " << leftType
                             << " with the transpose of " << rightType << " is " << expected;
  return success();
}

static LogicalResult verifyAccumulate(Operation *op, tile::TileType acc, Type leftType,
                                      SharedType right) {
  Factor left = getFactor(leftType);
  if (!right.getElementType().isF16() && !right.getElementType().isBF16())
    return op->emitOpError() << "multiplies with " << right
                             << "; here matrix units take f16 or bf16";
  bool isRounded = isa<tile::TileType>(leftType);
  if ((!isRounded && left.element != right.getElementType()) || left.columns != right.getRows())
    return op->emitOpError() << "multiplies " << leftType << " with " << right
                             << "; they need the same elements, and the columns of the one are "
                                "the rows of the other";
  int64_t more = acc.getColumns() - right.getColumns();
  if (acc.getRows() != left.rows || (more != 0 && more != tile::sumColumns))
    return op->emitOpError() << "adds to " << acc << "; the product of " << leftType << " with "
                             << right << " has " << left.rows << " rows and " << right.getColumns()
                             << " columns, or " << tile::sumColumns << " more for row sums";
  return success();
}

/// Diagnoses a product under way in groups that are no warpgroups.
static LogicalResult verifyWarpgroup(Operation *op) {
  auto group = op->getParentOfType<EachGroupOp>();
  if (!group || group.getWarps() % 4 == 0)
    return success();
  return op->emitOpError() << "is a product of a warpgroup in groups of " << group.getWarps()
                           << " warps; allowed are multiples of 4";
}

LogicalResult DotOp::verify() {
  tile::TileType result = getResult().getType();
  FailureOr<SharedType> right =
      takeRows(*this, getRight().getType(), getFirst(), result.getColumns());
  if (failed(right))
    return failure();
  return verifyDot(*this, getLeft().getType(), *right, getSurplus(), result);
}

LogicalResult AccumulateOp::verify() {
  FailureOr<SharedType> right = takeRows(*this, getRight().getType(), getFirst(),
                                         getFactor(getLeft().getType()).columns);
  if (failed(right))
    return failure();
  return verifyAccumulate(*this, getAcc().getType(), getLeft().getType(), *right);
}

bool IssueDotOp::mayReuse(Type registers, tile::TileType result) {
  auto tile = dyn_cast<tile::TileType>(registers);
  auto is32Bits = [](tile::TileType type) {
    return type.getElementType().isF32() || type.getElementType().isInteger(32);
  };
  return tile && !tile.isScaled() && tile.getShape() == result.getShape() && is32Bits(tile) &&
         is32Bits(result);
}

LogicalResult IssueDotOp::verify() {
  tile::TileType result = getResult().getType().getTile();
  if (getReuse() && !mayReuse(getReuse().getType(), result))
    return emitOpError() << "reuses the registers of " << getReuse().getType() << " for " << result
                         << "; the two have to have as many elements of 32 bits";
  if (failed(verifyWarpgroup(*this)))
    return failure();
  return verifyDot(*this, getLeft().getType(), getRight().getType(), getSurplus(), result);
}

LogicalResult IssueAccumulateOp::verify() {
  if (failed(verifyWarpgroup(*this)))
    return failure();
  return verifyAccumulate(*this, getAcc().getType(), getLeft().getType(), getRight().getType());
}

LogicalResult WaitOp::inferReturnTypes(MLIRContext *, std::optional<Location>, ValueRange operands,
                                       DictionaryAttr, OpaqueProperties, RegionRange,
                                       SmallVectorImpl<Type> &inferred) {
  for (Type type : operands.getTypes()) {
    auto pending = dyn_cast<PendingType>(type);
    inferred.push_back(pending ? pending.getTile() : type);
  }
  return success();
}

LogicalResult PackOp::verify() {
  tile::TileType tile = getTile().getType();
  OperandType result = getResult().getType();
  if (!tile.getElementType().isF32() || tile.getRows() != result.getRows() ||
      tile.getColumns() != result.getColumns())
    return emitOpError() << "packs " << tile << " to " << result
                         << "; it takes f32 and keeps rows and columns";
  return success();
}

LogicalResult LoadOperandOp::verify() {
  if (getTile().getType().getForm() != TileForm::Swizzled)
    return emitOpError() << "loads " << getTile().getType()
                         << "; operands are loaded from swizzled tiles";
  return success();
}
