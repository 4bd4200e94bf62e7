//===- GPUFragments.cpp - Verifiers of operations on fragments and codes ---===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/GPU/GPU.h"
#include "dialects/Tile/ScalarProgram.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

//===----------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------===//

LogicalResult LoadSharedOp::verify() {
  SharedType from = getTile().getType();
  Type result = getResult().getType();
  auto tile = dyn_cast<tile::TileType>(result);
  bool isMatrix = tile && !tile.isRowVector();
  int64_t size = tile ? tile.getRows() : cast<ColumnsType>(result).getSize();
  if (tile && !tile.getElementType().isF32())
    return emitOpError() << "gives " << tile << "; what is loaded becomes f32";
  if (isMatrix != (from.getShape().size() == 2) ||
      (isMatrix && tile.getColumns() != from.getColumns()))
    return emitOpError() << "loads " << result << " of " << from
                         << "; a matrix gives rows of all its columns, a vector gives a row "
                            "vector or numbers of columns";
  if (size > from.getRows() || (!getFirst() && !isMatrix && size != from.getRows()))
    return emitOpError() << "loads " << size << " of " << from.getRows() << " elements or rows"
                         << (size > from.getRows() ? "; there are no more"
                                                   : "; say from which on, or load all of them");
  return success();
}

LogicalResult StoreSharedOp::verify() {
  tile::TileType fragment = getFragment().getType();
  SharedType tile = getTile().getType();
  if (getCount().has_value() != getFrom().has_value())
    return emitOpError("stores so many rows from one on, or all of them");
  auto count = static_cast<int64_t>(getCount().value_or(fragment.getRows())),
       from = static_cast<int64_t>(getFrom().value_or(0));
  if (count < 1 || from < 0 || from + count > fragment.getRows())
    return emitOpError() << "stores rows " << from << " to " << from + count << " of " << fragment
                         << ", which has " << fragment.getRows();
  if (fragment.isRowVector() != (tile.getShape().size() == 1) ||
      (fragment.isRowVector() && getTransposed()))
    return emitOpError() << "stores " << fragment << " to " << tile
                         << (getTransposed() ? " transposed" : "")
                         << "; fragments go to matrices, row vectors to vectors";
  if (fragment.isRowVector())
    return count <= tile.getRows() ? success()
                                   : emitOpError() << "stores " << count << " numbers to " << tile;
  int64_t rows = getTransposed() ? tile.getColumns() : tile.getRows(),
          columns = getTransposed() ? tile.getRows() : tile.getColumns();
  if (count > rows || fragment.getColumns() != columns)
    return emitOpError() << "stores " << count << " rows of " << fragment.getColumns()
                         << " columns to " << tile << (getTransposed() ? " transposed" : "")
                         << ", which takes " << rows << " rows of " << columns << " columns";
  return success();
}

//===----------------------------------------------------------------------===//
// Elements and columns
//===----------------------------------------------------------------------===//

/// Diagnoses an input that does not go with fragments of the type of the results.
static LogicalResult verifyInput(MapElementsOp op, Type input, tile::TileType result) {
  if (auto columns = dyn_cast<ColumnsType>(input)) {
    if (columns.getSize() == result.getColumns())
      return success();
  } else {
    auto tile = cast<tile::TileType>(input);
    bool fits = tile.getRows() == result.getRows() &&
                (tile.isRowVector() || tile.getColumns() == result.getColumns());
    if (fits && (tile.getElementType().isF32() || tile.getElementType().isInteger(32)))
      return success();
  }
  return op.emitOpError() << "takes " << input << " for elements of " << result
                          << "; allowed are fragments of f32 of its size, row vectors of its rows "
                             "and numbers of its columns";
}

LogicalResult MapElementsOp::verifyRegions() {
  if (getNumResults() == 0)
    return emitOpError("gives nothing; it gives one fragment at least");
  auto result = cast<tile::TileType>(getResult(0).getType());
  for (Type type : getResultTypes())
    if (type != result || !result.getElementType().isF32())
      return emitOpError() << "gives " << type << "; all results are fragments of f32 of one size";
  for (Type input : getOperandTypes())
    if (failed(verifyInput(*this, input, result)))
      return failure();
  Block &body = getBody().front();
  auto isF32 = [](Type type) { return type.isF32(); };
  auto elementOf = [](Type input) -> Type {
    if (auto tile = dyn_cast<tile::TileType>(input))
      return tile.getElementType();
    return cast<ColumnsType>(input).getElementType();
  };
  auto yield = dyn_cast<YieldOp>(body.getTerminator());
  if (!llvm::equal(body.getArgumentTypes(), llvm::map_range(getOperandTypes(), elementOf)) ||
      !yield || yield.getNumOperands() != getNumResults() ||
      !llvm::all_of(yield.getOperandTypes(), isF32))
    return emitOpError() << "has " << getNumOperands() << " inputs and " << getNumResults()
                         << " results; its region takes an element of each input and yields an "
                            "f32 for each result";
  return tile::verifyScalarProgram(*this, body);
}

LogicalResult JoinColumnsOp::verify() {
  tile::TileType result = getResult().getType();
  int64_t columns = 0;
  for (Value value : getParts()) {
    auto part = cast<tile::TileType>(value.getType());
    if (part.getRows() != result.getRows() || part.getElementType() != result.getElementType())
      return emitOpError() << "joins " << part << " to " << result
                           << "; they need the same rows and elements";
    columns += part.getColumns();
  }
  if (columns != result.getColumns())
    return emitOpError() << "joins parts of " << columns << " columns to " << result;
  return success();
}

LogicalResult ReduceAddOp::verify() {
  auto tile = cast<tile::TileType>(getTile().getType());
  auto memory = cast<MemRefType>(getMemory().getType());
  if (!tile.getElementType().isF32() || !memory.getElementType().isF32() ||
      memory.getRank() != (tile.isRowVector() ? 3 : 4) ||
      (!tile.isRowVector() && memory.getShape().back() != tile.getColumns()))
    return emitOpError() << "adds " << tile << " to " << memory
                         << "; f32 is added to rows of f32 of as many columns";
  return success();
}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

/// Diagnoses `features`, codes of whose rows go to those of `dense`.
static LogicalResult verifyFeatures(Operation *op, SharedType features, int64_t numFeatures) {
  unsigned width = numFeatures <= 256 ? 8 : 16;
  if (features.getShape().size() == 2 && features.getElementType().isInteger(width) &&
      features.getForm() == TileForm::Linear && features.getColumns() <= numFeatures)
    return success();
  return op->emitOpError() << "has features in " << features << "; those of " << numFeatures
                           << " features are linear rows of i" << width;
}

/// Diagnoses codes of which values and features are not alike.
static LogicalResult verifyCodes(Operation *op, SharedType values, SharedType features,
                                 int64_t numFeatures) {
  if (failed(verifyFeatures(op, features, numFeatures)))
    return failure();
  if (values.getShape() != features.getShape() || values.getForm() != TileForm::Linear)
    return op->emitOpError() << "has values in " << values << " and features in " << features
                             << "; codes have as many of both, in linear rows";
  return success();
}

LogicalResult LoadCodesOp::verify() {
  auto values = cast<MemRefType>(getValues().getType()),
       features = cast<MemRefType>(getFeatures().getType());
  CodesType codes = getCodes().getType();
  if (values.getRank() != 4 || features.getRank() != 4 ||
      values.getShape().back() != codes.getK() || features.getShape().back() != codes.getK() ||
      values.getElementType() != codes.getElementType() || !features.getElementType().isInteger(8))
    return emitOpError() << "loads codes of " << values << " and " << features << " as " << codes
                         << "; both memories have k columns, of the elements of the codes and of "
                            "i8";
  if (codes.getInRegisters() == static_cast<bool>(getRoom()))
    return emitOpError() << "loads " << codes << (getRoom() ? " to a room" : " without a room")
                         << "; codes in shared memory have one";
  if (getRoom() && getRoom().getType() != codes.getRoom())
    return emitOpError() << "loads " << codes << " to " << getRoom().getType() << "; their room is "
                         << codes.getRoom();
  auto heads = static_cast<int64_t>(getHeads());
  if (heads < 1 || ScheduleAttr::rowsOfHead(codes.getRows(), heads) == 0)
    return emitOpError() << "loads rows of " << heads << " heads as " << codes
                         << ", which has fewer rows";
  return success();
}

LogicalResult GatherDotOp::verify() {
  CodesType codes = getCodes().getType();
  SharedType keys = getKeys().getType();
  auto result = tile::TileType::get(getContext(), {codes.getRows(), keys.getRows()},
                                    Float32Type::get(getContext()));
  constexpr int64_t elementBytes = 2;
  if (keys.getForm() == TileForm::FeatureMajor && keys.getColumns() == codes.getColumns() &&
      keys.getElementType() == codes.getElementType() &&
      codes.getStep() == elementBytes * keys.getRows() && getResult().getType() == result)
    return success();
  return emitOpError() << "forms " << getResult().getType() << " of " << codes << " and " << keys
                       << "; codes go with a feature-major tile of as many features and of step / "
                       << elementBytes
                       << " keys, and give f32 for each of their rows and of these keys";
}

LogicalResult ScatterDotOp::verify() {
  CodesType codes = getCodes().getType();
  SharedType lists = getLists().getType(), room = getRoom().getType();
  auto result = tile::TileType::get(getContext(), {codes.getRows(), lists.getRows()},
                                    Float32Type::get(getContext()));
  if (lists.getForm() != TileForm::Postings || lists.getColumns() != codes.getColumns() ||
      lists.getElementType() != codes.getElementType() ||
      codes.getStep() != PostingsAttr::startBytes || codes.getInRegisters() ||
      getResult().getType() != result)
    return emitOpError() << "forms " << getResult().getType() << " of " << codes << " and " << lists
                         << "; codes in shared memory, with step = " << PostingsAttr::startBytes
                         << ", go with posting lists of as many features, and give f32 for each of "
                            "their rows and of these keys";
  int64_t warps = std::max<int64_t>(room.getRows() / (lists.getRows() / 2), 1);
  if (room == getRoomFor(lists, warps))
    return success();
  return emitOpError() << "has the room " << room << "; for each warp it needs "
                       << getRoomFor(lists, /*warps=*/1);
}

SharedType ScatterDotOp::getRoomFor(SharedType lists, int64_t warps) {
  constexpr int64_t lanes = PostingsAttr::scoreRowBytes / 4;
  return SharedType::get(lists.getContext(), {warps * lists.getRows() / 2, lanes},
                         Float32Type::get(lists.getContext()), TileForm::Linear);
}

LogicalResult ExpandRowsOp::verify() {
  auto values = cast<MemRefType>(getValues().getType()),
       features = cast<MemRefType>(getFeatures().getType());
  SharedType tile = getTile().getType();
  if (values.getRank() != 4 || features.getRank() != 4 ||
      values.getShape().back() != features.getShape().back() ||
      values.getElementType() != tile.getElementType() ||
      tile.getElementType().getIntOrFloatBitWidth() != 16 ||
      !features.getElementType().isInteger(8) || tile.getForm() != TileForm::Swizzled)
    return emitOpError() << "expands codes of " << values << " and " << features << " to " << tile
                         << "; both memories have k columns, of 16-bit elements as a swizzled "
                            "tile has and of i8";
  constexpr int64_t mostColumns = 256; // what an i8 can name
  if (tile.getColumns() > mostColumns)
    return emitOpError() << "expands codes to " << tile << "; allowed are " << mostColumns
                         << " columns at most";
  auto heads = static_cast<int64_t>(getHeads());
  if (heads < 1 || ScheduleAttr::rowsOfHead(tile.getRows(), heads) == 0)
    return emitOpError() << "expands rows of " << heads << " heads to " << tile
                         << ", which has fewer rows";
  return success();
}

LogicalResult SplitTwoFourOp::verify() {
  SharedType tile = getTile().getType();
  TwoFourType part = getPart().getType(), surplus = getSurplus().getType();
  auto fits = [&](TwoFourType type) {
    return type.getRows() == tile.getRows() && type.getColumns() == tile.getColumns() &&
           type.getElementType() == tile.getElementType();
  };
  if (tile.getForm() != TileForm::Swizzled || !fits(part) || !fits(surplus) ||
      surplus.getInRegisters())
    return emitOpError() << "splits " << tile << " into " << part << " and " << surplus
                         << "; a swizzled tile has operands of its shape, the surplus in shared "
                            "memory";
  return success();
}

LogicalResult ExpandCodesOp::verify() {
  SharedType values = getValues().getType(), dense = getDense().getType();
  if (failed(verifyCodes(*this, values, getFeatures().getType(), dense.getColumns())))
    return failure();
  if (dense.getElementType() != values.getElementType() || dense.getRows() < rows ||
      values.getRows() < rows)
    return emitOpError() << "expands " << values << " to " << dense
                         << "; that needs the same elements, and at least " << rows << " rows";
  return success();
}

LogicalResult ClearCodesOp::verify() {
  return verifyFeatures(*this, getFeatures().getType(), getDense().getType().getColumns());
}

LogicalResult LookupDotOp::verify() {
  SharedType table = getTable().getType(), values = getValues().getType();
  tile::TileType result = getResult().getType();
  if (failed(verifyCodes(*this, values, getFeatures().getType(), table.getRows())))
    return failure();
  if (table.getShape().size() != 2 || !result.getElementType().isF32() ||
      result.getRows() != table.getColumns() || result.getColumns() != values.getRows())
    return emitOpError() << "gives " << result << "; the scores of " << values << " by " << table
                         << " are a tile of " << table.getColumns() << "x" << values.getRows()
                         << "xf32";
  return success();
}

//===----------------------------------------------------------------------===//
// Scales of 8-bit integers
//===----------------------------------------------------------------------===//

LogicalResult LoadScalesOp::verify() {
  ColumnsType columns = getScales().getType();
  int64_t together = columns.getTogether(), size = columns.getSize();
  bool fits = together == 1 || getSharedBy() == Scales::Head;
  // Tiles that are no longer than what shares a scale have keys of two at most.
  if (getSharedBy() == Scales::Tile)
    fits |= size <= tokensOfScale && (columns.isTwo() || tokensOfScale % together == 0);
  if (!fits)
    return emitOpError() << "gives " << columns << " of scales shared by "
                         << stringifyEnum(getSharedBy()) << "; only those of a head, and those of "
                         << "tiles of at most " << tokensOfScale
                         << " keys, may have fewer numbers than columns";
  return success();
}

LogicalResult DequantizeOp::verify() {
  tile::TileType product = getProduct().getType(), scores = getScores().getType();
  ColumnsType keys = getKeys().getType();
  // Elements that are multiplied by the scales of their columns are integers no more.
  bool differ = keys.differ();
  auto expected =
      tile::TileType::get(getContext(), product.getShape(),
                          differ ? Type(Float32Type::get(getContext())) : product.getElementType())
          .withFactors(differ ? product.getColumns() : keys.getTogether());
  if (!product.getElementType().isInteger(32) || scores != expected)
    return emitOpError() << "makes " << expected << " of a product of i32, given are " << product
                         << " and " << scores;
  if (getRows().getType().getRows() != product.getRows() || keys.getSize() != product.getColumns())
    return emitOpError() << "takes scales of the " << product.getRows() << " rows and "
                         << product.getColumns() << " columns of the product, given are "
                         << getRows().getType() << " and " << keys;
  return success();
}
