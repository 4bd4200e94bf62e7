//===- TileOps.cpp - Verifiers of the operations on tiles -----------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Tile/ScalarProgram.h"
#include "dialects/Tile/Tile.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace sfa::tile;

#define GET_OP_CLASSES
#include "dialects/Tile/TileOps.cpp.inc"

/// Diagnoses two sizes that have to agree.
static LogicalResult checkEqual(Operation *op, const Twine &first, int64_t firstSize,
                                const Twine &second, int64_t secondSize) {
  if (firstSize == secondSize)
    return success();
  return op->emitOpError() << first << " is " << firstSize << " but " << second << " is "
                           << secondSize << "; they have to be equal";
}

/// A tile of rows of `columns` elements of `elementType` against the memory that holds the rows.
static LogicalResult checkMemory(Operation *op, MemRefType memory, int64_t columns,
                                 Type elementType) {
  if (memory.getRank() != 4)
    return op->emitOpError() << "needs a memory [batch, heads, tokens, columns], given is rank "
                             << memory.getRank();
  if (elementType && memory.getElementType() != elementType)
    return op->emitOpError() << "needs a memory of " << elementType << ", given is "
                             << memory.getElementType();
  if (memory.isDynamicDim(3))
    return op->emitOpError() << "needs a memory with a static number of columns, given is "
                             << memory;
  return checkEqual(op, "the last dimension of the memory", memory.getDimSize(3),
                    "the number of columns of the tile", columns);
}

static LogicalResult checkCodesMemory(Operation *op, MemRefType values, MemRefType indices,
                                      CodesType codes, Type valueType = nullptr) {
  Type index = IntegerType::get(op->getContext(), codes.getFeatures() <= 256 ? 8 : 16);
  if (failed(checkMemory(op, values, codes.getK(), valueType ? valueType : codes.getElementType())))
    return failure();
  return checkMemory(op, indices, codes.getK(), index);
}

/// `rows` rows of a tile, which are those of `heads` heads of `memory`.
static LogicalResult checkHeads(Operation *op, int64_t heads, int64_t rows, MemRefType memory) {
  if (heads < 1)
    return op->emitOpError() << "has rows of " << heads << " heads, allowed is 1 or more";
  if (sfa::ScheduleAttr::rowsOfHead(rows, heads) == 0)
    return op->emitOpError() << "has a tile of " << rows << " rows of " << heads
                             << " heads; the rows have to be a multiple of the heads, or the next "
                                "power of two at least";
  if (memory && !memory.isDynamicDim(1) && memory.getDimSize(1) < heads)
    return op->emitOpError() << "has rows of " << heads << " heads, but a memory of "
                             << memory.getDimSize(1);
  return success();
}

/// A memory that holds `tile` feature by feature.
static LogicalResult checkFeatureMajor(Operation *op, MemRefType memory, TileType tile) {
  if (failed(checkMemory(op, memory, memory.getShape().back(), tile.getElementType())))
    return failure();
  return checkEqual(op, "the last dimension of the memory", memory.getDimSize(3),
                    "the number of elements of the tile", tile.getRows() * tile.getColumns());
}

/// Rows of a sequence whose pages a table names, of `memory`.
static LogicalResult checkPages(Operation *op, Value pages, Value limit, int64_t heads,
                                MemRefType memory) {
  if (!pages)
    return success();
  if (!limit)
    return op->emitOpError("has pages and no limit; the pages behind it are not looked for");
  if (heads != 1)
    return op->emitOpError() << "has pages and rows of " << heads << " heads, allowed is 1";
  if (memory.getRank() != 4 || memory.isDynamicDim(2) || memory.getDimSize(2) < 1)
    return op->emitOpError() << "has pages of a number of rows that is not known, in " << memory;
  return success();
}

LogicalResult LoadOp::verify() {
  TileType tile = getTile().getType();
  if (getPages() && getFeatureMajor())
    return emitOpError("loads a feature-major tile from pages; pages have rows");
  if (failed(checkPages(*this, getPages(), getLimit(), getHeadsAttr().getInt(),
                        getMemory().getType())))
    return failure();
  if (getFeatureMajor()) {
    if (getHeads() != 1 || getLimit())
      return emitOpError("loads a feature-major tile, which has rows of one head and no limit");
    return checkFeatureMajor(*this, getMemory().getType(), tile);
  }
  if (failed(checkHeads(*this, getHeadsAttr().getInt(), tile.getRows(), getMemory().getType())))
    return failure();
  return checkMemory(*this, getMemory().getType(), tile.getColumns(), tile.getElementType());
}

LogicalResult LoadCodesOp::verify() {
  if (failed(checkPages(*this, getPages(), getLimit(), getHeadsAttr().getInt(),
                        getValues().getType())))
    return failure();
  if (getLimit() && !getPages())
    return emitOpError("has a limit but no pages; rows beyond the end have codes of value 0");
  if (failed(checkHeads(*this, getHeadsAttr().getInt(), getCodes().getType().getRows(),
                        getValues().getType())))
    return failure();
  if (getScales().operator bool() != getSharedBy().has_value())
    return emitOpError("has scales that rows share by 'shared_by', or neither");
  CodesType codes = getCodes().getType();
  Type integer = IntegerType::get(getContext(), 8);
  if (getScales() && !codes.getElementType().isF32())
    return emitOpError() << "gives codes of f32 with scales, given is " << codes;
  return checkCodesMemory(*this, getValues().getType(), getIndices().getType(), codes,
                          getScales() ? integer : Type());
}

LogicalResult AppendOp::verify() {
  if (getSources().empty() || getSources().size() != getTargets().size())
    return emitOpError() << "has " << getSources().size() << " sources and " << getTargets().size()
                         << " targets; each source needs a target, and at least 1 is needed";
  if (static_cast<bool>(getSlots()) == static_cast<bool>(getPages()))
    return emitOpError("needs the places of the rows: either slots, or pages");
  auto pageSize = cast<MemRefType>(getTargets().front().getType()).getShape()[2];
  for (auto [source, target] : llvm::zip_equal(getSources(), getTargets())) {
    auto from = cast<MemRefType>(source.getType()), to = cast<MemRefType>(target.getType());
    if (from.getRank() != 4 || to.getRank() != 4 || from.isDynamicDim(3) ||
        from.getDimSize(3) != to.getDimSize(3) || from.getElementType() != to.getElementType())
      return emitOpError() << "copies rows of " << from << " to " << to
                           << "; both need rows of the same type and of a number of columns that is known";
    if (to.isDynamicDim(2) || to.getDimSize(2) != pageSize)
      return emitOpError() << "has pages of a number of rows that is not known, or of several, in "
                           << to;
  }
  return success();
}

LogicalResult LoadScalesOp::verify() {
  TileType scales = getScales().getType();
  if (!scales.getElementType().isF32())
    return emitOpError() << "gives scales of f32, given is " << scales;
  int64_t together = getTogetherAttr().getInt();
  if (together < 1 || scales.getRows() % together != 0)
    return emitOpError() << "promises one scale for each " << together << " of " << scales.getRows()
                         << " rows; the number has to divide the rows";
  return checkHeads(*this, getHeadsAttr().getInt(), scales.getRows(), getMemory().getType());
}

LogicalResult QuantizeOp::verify() {
  MemRefType values = getValues().getType(), integers = getIntegers().getType();
  if (values.getRank() != 4 || isa<IntegerType>(values.getElementType()))
    return emitOpError() << "takes values [batch, heads, tokens, k] of f32, f16 or bf16, given is "
                         << values;
  if (values.isDynamicDim(3))
    return emitOpError() << "needs a static k, the last dimension of the values, given is "
                         << values;
  return checkMemory(*this, integers, values.getDimSize(3), IntegerType::get(getContext(), 8));
}

/// Rows of a tile that share scales by `sharedBy`: a tile's are 128, a head's are more than a tile.
static LogicalResult checkSharing(Operation *op, sfa::Scales sharedBy, TileType scales) {
  if (!scales.getElementType().isF32())
    return op->emitOpError() << "has scales of f32, given is " << scales;
  if (sharedBy == sfa::Scales::Head)
    return op->emitOpError("has scales of rows that share them by token or tile, given is head, "
                           "whose rows are more than a tile; use sfa_tile.quantize");
  if (sharedBy == sfa::Scales::Tile && scales.getRows() != sfa::tokensOfScale)
    return op->emitOpError() << "is shared_by tile with " << scales.getRows()
                             << " rows; those that share a scale are " << sfa::tokensOfScale;
  return success();
}

LogicalResult QuantizeCodesOp::verify() {
  CodesType codes = getCodes().getType(), integers = getIntegers().getType();
  if (!integers.getElementType().isInteger(8) || isa<IntegerType>(codes.getElementType()))
    return emitOpError() << "rounds values of f32, f16 or bf16 to i8, given are " << codes
                         << " and " << integers;
  if (failed(checkEqual(*this, "the number of rows", codes.getRows(), "that of the result",
                        integers.getRows())) ||
      failed(checkEqual(*this, "the number of rows", codes.getRows(), "that of the scales",
                        getScales().getType().getRows())) ||
      failed(checkEqual(*this, "k", codes.getK(), "that of the result", integers.getK())))
    return failure();
  if (integers.getFeatures() < codes.getFeatures())
    return emitOpError() << "has codes of " << codes.getFeatures() << " features but integers of "
                         << integers.getFeatures() << "; they need as many or more";
  return checkSharing(*this, getSharedBy(), getScales().getType());
}

LogicalResult StoreScalesOp::verify() {
  return checkSharing(*this, getSharedBy(), getScales().getType());
}

LogicalResult FillOp::verify() {
  auto tile = cast<TileType>(getTile().getType());
  if (tile.isFlags())
    return emitOpError("gives numbers, given is a tile of flags; form them in sfa_tile.map_rows");
  if (tile.isPartial() && !getValue().isPosZero())
    return emitOpError() << "fills a tile in parts with " << getValue().convertToFloat()
                         << ", allowed is 0 only";
  return success();
}

/// A memory that takes the rows of `tile`.
static LogicalResult checkTarget(Operation *op, TileType tile, MemRefType memory) {
  if (isa<IntegerType>(memory.getElementType()) || isa<IntegerType>(tile.getElementType())) {
    if (tile.getElementType().isInteger(8) && memory.getElementType().isInteger(8))
      return checkMemory(op, memory, tile.getColumns(), nullptr);
    return op->emitOpError() << "needs a tile of numbers and a memory of f32, f16 or bf16, or both "
                                "of i8, given are "
                             << tile << " and a memory of " << memory.getElementType();
  }
  if (!tile.isRowVector())
    return checkMemory(op, memory, tile.getColumns(), nullptr);
  if (memory.getRank() != 3)
    return op->emitOpError()
           << "of a row vector needs a memory [batch, heads, tokens], given is rank "
           << memory.getRank();
  return success();
}

LogicalResult StoreOp::verify() {
  TileType tile = getTile().getType();
  MemRefType memory = getMemory().getType();
  if (failed(checkHeads(*this, getHeadsAttr().getInt(), tile.getRows(), memory)))
    return failure();
  return checkTarget(*this, tile, memory);
}

LogicalResult StoreFeatureMajorOp::verify() {
  return checkFeatureMajor(*this, getMemory().getType(), getTile().getType());
}

/// A memory that holds `lists`.
static LogicalResult checkPostings(Operation *op, MemRefType memory, PostingsType lists) {
  using sfa::PostingsAttr;
  int64_t rows = lists.getRows(), features = lists.getFeatures(), k = lists.getK();
  if (!PostingsAttr::allow(rows, features, k) ||
      lists.getElementType().getIntOrFloatBitWidth() != 16)
    return op->emitOpError() << "is on " << lists << "; in memory " << PostingsAttr::description
                             << ", of f16 or bf16";
  if (failed(
          checkMemory(op, memory, memory.getShape().back(), IntegerType::get(op->getContext(), 8))))
    return failure();
  return checkEqual(op, "the last dimension of the memory", memory.getDimSize(3),
                    "the number of bytes of the posting lists",
                    2 * PostingsAttr::getHalfBytes(rows, features, k));
}

LogicalResult LoadPostingsOp::verify() {
  return checkPostings(*this, getMemory().getType(), getPostings().getType());
}

LogicalResult StorePostingsOp::verify() {
  return checkPostings(*this, getMemory().getType(), getPostings().getType());
}

LogicalResult ProbeOp::verify() {
  return checkTarget(*this, getTile().getType(), getMemory().getType());
}

LogicalResult StoreCodesOp::verify() {
  return checkCodesMemory(*this, getValues().getType(), getIndices().getType(),
                          getCodes().getType());
}

//===----------------------------------------------------------------------===//
// Forms of codes
//===----------------------------------------------------------------------===//

/// Two forms of the same rows of codes.
template <class First, class Second>
static LogicalResult checkSameCodes(Operation *op, First first, Second second) {
  if (failed(checkEqual(op, "the number of rows", first.getRows(), "that of the result",
                        second.getRows())) ||
      failed(checkEqual(op, "the number of features", first.getFeatures(), "that of the result",
                        second.getFeatures())) ||
      failed(checkEqual(op, "k", first.getK(), "that of the result", second.getK())))
    return failure();
  if (first.getElementType() != second.getElementType())
    return op->emitOpError() << "changes the element type from " << first.getElementType() << " to "
                             << second.getElementType();
  return success();
}

/// Codes and the same rows as a dense tile.
static LogicalResult checkSameRows(Operation *op, CodesType codes, TileType tile) {
  if (failed(checkEqual(op, "the number of rows of the codes", codes.getRows(), "that of the tile",
                        tile.getRows())))
    return failure();
  if (codes.getElementType() != tile.getElementType())
    return op->emitOpError() << "has codes of " << codes.getElementType() << " but a tile of "
                             << tile.getElementType();
  return checkEqual(op, "the number of features of the codes", codes.getFeatures(),
                    "the number of columns of the tile", tile.getColumns());
}

LogicalResult TopkOp::verify() {
  CodesType codes = getCodes().getType();
  if (failed(checkSameRows(*this, codes, getTile().getType())))
    return failure();
  int64_t features = codes.getFeatures();
  if (getTwoFour() && (features % 4 != 0 || codes.getK() > features / 2))
    return emitOpError() << "keeps " << codes.getK() << " of " << features
                         << " features; two_four needs a multiple of 4 features and at most half "
                            "of them";
  return success();
}

LogicalResult ExpandOp::verify() {
  return checkSameRows(*this, getCodes().getType(), getTile().getType());
}

LogicalResult PostingsOp::verify() {
  return checkSameCodes(*this, getCodes().getType(), getPostings().getType());
}

LogicalResult SplitOp::verify() {
  CodesType codes = getCodes().getType();
  if (codes.getFeatures() % 4 != 0)
    return emitOpError() << "needs a number of features that is a multiple of 4, given are "
                         << codes.getFeatures();
  if (failed(checkSameCodes(*this, codes, getPart().getType())))
    return failure();
  return checkSameCodes(*this, codes, getSurplus().getType());
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

static int64_t getFeatures(Type type) {
  if (auto tile = dyn_cast<TileType>(type))
    return tile.getColumns();
  if (auto codes = dyn_cast<CodesType>(type))
    return codes.getFeatures();
  if (auto postings = dyn_cast<PostingsType>(type))
    return postings.getFeatures();
  if (auto part = dyn_cast<TwoFourType>(type))
    return part.getFeatures();
  return cast<SurplusType>(type).getFeatures();
}

static int64_t getRows(Type type) {
  if (auto tile = dyn_cast<TileType>(type))
    return tile.getRows();
  if (auto codes = dyn_cast<CodesType>(type))
    return codes.getRows();
  if (auto postings = dyn_cast<PostingsType>(type))
    return postings.getRows();
  if (auto part = dyn_cast<TwoFourType>(type))
    return part.getRows();
  return cast<SurplusType>(type).getRows();
}

static LogicalResult checkScores(Operation *op, Type query, Type key, TileType scores) {
  auto isIntegers = [](Type type) {
    auto tile = dyn_cast<TileType>(type);
    return tile && tile.getElementType().isInteger(8);
  };
  if (isIntegers(query) != isIntegers(key))
    return op->emitOpError() << "multiplies integers by integers or numbers by numbers, given are "
                             << query << " and " << key;
  Type wanted = Float32Type::get(op->getContext());
  if (isIntegers(query))
    wanted = IntegerType::get(op->getContext(), 32);
  if (scores.getElementType() != wanted || scores.isScaled())
    return op->emitOpError() << "forms " << wanted << " scores, given is " << scores;
  if (failed(checkEqual(op, "the number of features of the query", getFeatures(query),
                        "that of the key", getFeatures(key))) ||
      failed(checkEqual(op, "the number of queries", getRows(query),
                        "the number of rows of the scores", scores.getRows())))
    return failure();
  return checkEqual(op, "the number of keys", getRows(key), "the number of columns of the scores",
                    scores.getColumns());
}

LogicalResult DotOp::verify() {
  return checkScores(*this, getQuery().getType(), getKey().getType(), getScores().getType());
}
LogicalResult DequantizeOp::verify() {
  TileType product = getProduct().getType();
  if (!product.getElementType().isInteger(32))
    return emitOpError() << "takes products of integers, i32, given is " << product;
  TileType scores = getScores().getType();
  if (!scores.isScaled() || scores.getShape() != product.getShape())
    return emitOpError() << "gives a tile with factors of the shape of the product, given are "
                         << scores << " and " << product;
  if (failed(checkEqual(*this, "the number of rows of the product", product.getRows(),
                        "that of the scales of rows", getRows().getType().getRows())))
    return failure();
  return checkEqual(*this, "the number of columns of the product", product.getColumns(),
                    "that of the scales of columns", getColumns().getType().getRows());
}
LogicalResult GatherDotOp::verify() {
  return checkScores(*this, getQuery().getType(), getKey().getType(), getScores().getType());
}
LogicalResult ScatterDotOp::verify() {
  return checkScores(*this, getQuery().getType(), getKey().getType(), getScores().getType());
}
LogicalResult TwoFourDotOp::verify() {
  if (getSurplus() &&
      failed(checkScores(*this, getSurplus().getType(), getKey().getType(), getScores().getType())))
    return failure();
  return checkScores(*this, getQuery().getType(), getKey().getType(), getScores().getType());
}

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

static LogicalResult checkRows(Operation *op, TileType tile, TileType rows) {
  return checkEqual(op, "the number of rows of the tile", tile.getRows(), "that of the row vector",
                    rows.getRows());
}

LogicalResult MaskOp::verify() {
  return checkHeads(*this, getHeadsAttr().getInt(), getScores().getType().getRows(), nullptr);
}
LogicalResult RowMaxOp::verify() {
  return checkRows(*this, getTile().getType(), getInit().getType());
}
LogicalResult RowSumOp::verify() {
  return checkRows(*this, getTile().getType(), getResult().getType());
}
LogicalResult ScaleRowsOp::verify() {
  return checkRows(*this, getTile().getType(), getFactors().getType());
}
LogicalResult NormalizeOp::verify() {
  return checkRows(*this, getAcc().getType(), getSum().getType());
}

LogicalResult Exp2Op::verify() {
  if (getDifferenceFirst() && !getRaise().isPosZero())
    return emitOpError() << "has difference_first and raise = " << getRaise().convertToFloat()
                         << "; a difference that comes first has no raise";
  return checkRows(*this, getTile().getType(), getReference().getType());
}

LogicalResult AccumulateOp::verify() {
  TileType acc = getAcc().getType(), p = getProbabilities().getType(), v = getValue().getType();
  if (failed(checkEqual(*this, "the number of rows of the accumulator", acc.getRows(),
                        "that of the probabilities", p.getRows())) ||
      failed(checkEqual(*this, "the number of columns of the probabilities", p.getColumns(),
                        "the number of rows of the value", v.getRows())))
    return failure();
  if (acc.getColumns() == v.getColumns() || acc.getColumns() == v.getColumns() + sumColumns)
    return success();
  return emitOpError() << "the number of columns of the accumulator is " << acc.getColumns()
                       << " but that of the value is " << v.getColumns()
                       << "; they have to be equal, or the accumulator has " << sumColumns
                       << " more for row sums";
}

/// A tile with columns of sums, and the row vector that they are.
static LogicalResult checkWide(Operation *op, TileType wide, TileType sums) {
  if (wide.getColumns() <= sumColumns)
    return op->emitOpError() << "takes an accumulator with " << sumColumns
                             << " columns of row sums behind others, given are "
                             << wide.getColumns() << " columns";
  return checkRows(op, wide, sums);
}

LogicalResult RowSumsOfOp::verify() {
  return checkWide(*this, getWide().getType(), getSums().getType());
}

LogicalResult SplitSumsOp::verify() {
  TileType wide = getWide().getType(), acc = getAcc().getType();
  if (failed(checkWide(*this, wide, getSums().getType())) ||
      failed(checkEqual(*this, "the number of rows of the tile", wide.getRows(),
                        "that of the accumulator", acc.getRows())))
    return failure();
  return checkEqual(*this, "the number of columns without those of the sums",
                    wide.getColumns() - sumColumns, "that of the accumulator", acc.getColumns());
}

LogicalResult IsDueOp::verify() {
  auto loop = (*this)->getParentOfType<KeyLoopOp>();
  if (!loop || !loop.getAccumulate().isAncestor((*this)->getParentRegion()))
    return emitOpError("is in no stage 'accumulate' of sfa_tile.key_loop; only there tiles are due");
  return success();
}

LogicalResult FirstKeyOp::verify() {
  // The stages of other loops over tiles are those that a target has made of these.
  auto loop = (*this)->getParentOfType<KeyLoopOp>();
  Region *region = (*this)->getParentRegion();
  bool isIn = loop ? loop.getMask().isAncestor(region) || loop.getSoftmax().isAncestor(region)
                   : !isa<KernelOp>((*this)->getParentOp());
  if (!isIn)
    return emitOpError("is in no stage 'mask' or 'softmax' of sfa_tile.key_loop; only there it is "
                       "known which tile is at hand");
  return success();
}

//===----------------------------------------------------------------------===//
// Row vectors
//===----------------------------------------------------------------------===//

LogicalResult sfa::tile::verifyScalarProgram(Operation *op, Block &body) {
  auto isScalar = [](Type type) { return type.isF32() || type.isInteger(1) || type.isInteger(32); };
  for (Operation &inner : body.without_terminator()) {
    StringRef name = inner.getName().getStringRef();
    bool isKnown = name.starts_with("arith.") || name == "math.exp2" || name == "math.log2" ||
                   name == "math.fma";
    if (!isKnown || !llvm::all_of(inner.getOperandTypes(), isScalar) ||
        !llvm::all_of(inner.getResultTypes(), isScalar))
      return inner.emitOpError("is not supported in ")
             << op->getName()
             << "; allowed are arith, math.exp2, math.log2 and math.fma on f32, i32 and i1";
  }
  return success();
}

LogicalResult MapRowsOp::verifyRegions() {
  Block &body = getBody().front();
  auto elementsOf = [](TypeRange tiles) {
    return llvm::map_to_vector(
        tiles, [](Type tile) { return cast<TileType>(tile).getElementType(); });
  };
  SmallVector<Type> tiles(getOperandTypes());
  llvm::append_range(tiles, getResultTypes());
  for (Type tile : tiles) {
    int64_t rows = cast<TileType>(tile).getRows();
    if (rows != cast<TileType>(tiles.front()).getRows())
      return emitOpError() << "maps tiles of the same number of rows, given are " << tiles.front()
                           << " and " << tile;
    Type element = cast<TileType>(tile).getElementType();
    if (!element.isF32() && !element.isInteger(1))
      return emitOpError() << "maps tiles of f32 or i1, given is " << tile;
  }
  auto check = [&](StringRef what, TypeRange given, TypeRange expected) -> LogicalResult {
    if (given == expected)
      return success();
    InFlightDiagnostic diagnostic = emitOpError() << "its region " << what << " (";
    llvm::interleaveComma(given, diagnostic);
    diagnostic << "), expected are (";
    llvm::interleaveComma(expected, diagnostic);
    return diagnostic << "), the elements of a row";
  };
  if (failed(check("takes", body.getArgumentTypes(), elementsOf(getOperandTypes()))) ||
      failed(check("yields", body.getTerminator()->getOperandTypes(),
                   elementsOf(getResultTypes()))))
    return failure();
  return verifyScalarProgram(*this, body);
}

OpFoldResult AnyOp::fold(FoldAdaptor adaptor) {
  // A constant is the same for all rows.
  return adaptor.getFlags() ? OpFoldResult(getFlags()) : OpFoldResult();
}

LogicalResult CombineOp::verify() {
  TileType output = getOutput().getType();
  Type f32 = Float32Type::get(getContext());
  if (failed(checkMemory(*this, getOutputs().getType(), output.getColumns(), f32)) ||
      failed(checkRows(*this, output, getLse().getType())))
    return failure();
  MemRefType sums = getSums().getType();
  if (sums.getRank() != 3 || sums.getElementType() != f32)
    return emitOpError() << "needs sums [batch, heads, tokens] of f32, given is " << sums;
  if (output.getElementType() != f32 || getLse().getType().getElementType() != f32)
    return emitOpError() << "gives tiles of f32, given are " << output << " and "
                         << getLse().getType();
  int64_t splits = getSplitsAttr().getInt();
  if (splits < 1 || splits > Schedule::maxSplits)
    return emitOpError() << "combines " << splits << " splits, allowed is 1 to "
                         << Schedule::maxSplits;
  if (static_cast<bool>(getLengths()) != static_cast<bool>(getLimit()))
    return emitOpError("has the lengths of sequences and their limit, or neither");
  int64_t heads = getHeadsAttr().getInt();
  if (heads < 1)
    return emitOpError() << "has splits of " << heads << " heads, allowed is 1 or more";
  for (MemRefType memory : {getOutputs().getType(), sums})
    if (!memory.isDynamicDim(1) && memory.getDimSize(1) % (splits * heads) != 0) {
      InFlightDiagnostic diagnostic = emitOpError() << "has memories of " << memory.getDimSize(1)
                                                    << " heads, which is not a multiple of the "
                                                    << splits << " splits";
      if (heads > 1)
        diagnostic << " of " << heads << " heads";
      return diagnostic;
    }
  return success();
}
