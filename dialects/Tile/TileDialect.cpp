//===- TileDialect.cpp - Registration and types of the sfa_tile dialect ---===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Tile/Tile.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace sfa::tile;

#include "dialects/Tile/TileOpsDialect.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/Tile/TileOpsTypes.cpp.inc"

void TileDialect::initialize() {
  registerTypes();
  addOperations<
#define GET_OP_LIST
#include "dialects/Tile/TileOps.cpp.inc"
      >();
}

void TileDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/Tile/TileOpsTypes.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

/// The most rows or columns of a tile: the most features of a code.
static constexpr int64_t maxSize = 65536;

static LogicalResult verifyElementType(function_ref<InFlightDiagnostic()> emitError, Type type) {
  if (type.isF32() || type.isF16() || type.isBF16() || type.isSignlessInteger(8))
    return success();
  return emitError() << "a tile holds f32, f16, bf16 or i8, given is " << type;
}

LogicalResult TileType::verify(function_ref<InFlightDiagnostic()> emitError,
                               ArrayRef<int64_t> shape, Type elementType, bool partial,
                               int64_t columnsOfFactor) {
  if (shape.empty() || shape.size() > 2)
    return emitError() << "a tile has one or two dimensions, given are " << shape.size();
  for (int64_t size : shape)
    if (size < 1 || size > maxSize)
      return emitError() << "a dimension of a tile is 1 to " << maxSize << ", given is " << size;
  if (partial && (shape.size() != 1 || !elementType.isF32()))
    return emitError() << "a tile in parts has one f32 a row, given are " << shape.size()
                       << " dimensions of " << elementType;
  bool mayHaveFactors = elementType.isF32() || elementType.isSignlessInteger(32);
  if (columnsOfFactor != 0 && (shape.size() != 2 || !mayHaveFactors))
    return emitError() << "a tile with factors is a matrix of f32 or i32, given are "
                       << shape.size() << " dimensions of " << elementType;
  if (columnsOfFactor < 0 || (columnsOfFactor > 0 && shape[1] % columnsOfFactor != 0))
    return emitError() << "a tile has a factor for as many columns as divide it, given are "
                       << columnsOfFactor << " of " << shape[1];
  if (shape.size() == 2)
    return elementType.isSignlessInteger(32) ? success()
                                             : verifyElementType(emitError, elementType);
  if (elementType.isF32() || elementType.isF16() || elementType.isBF16() ||
      elementType.isInteger(1))
    return success();
  return emitError() << "a row vector holds f32, f16, bf16 or flags of i1, given is "
                     << elementType;
}

Type TileType::parse(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<int64_t> shape;
  Type elementType;
  if (parser.parseLess() || parser.parseDimensionList(shape, /*allowDynamic=*/false) ||
      parser.parseType(elementType))
    return {};
  bool partial = false;
  int64_t columnsOfFactor = 0;
  if (succeeded(parser.parseOptionalComma())) {
    partial = succeeded(parser.parseOptionalKeyword("partial"));
    if (!partial && failed(parser.parseOptionalKeyword("scaled"))) {
      parser.emitError(parser.getCurrentLocation(), "expected 'partial' or 'scaled'");
      return {};
    }
    // All columns where no number is given.
    columnsOfFactor = partial ? 0 : shape.back();
    OptionalParseResult given;
    if (!partial)
      given = parser.parseOptionalInteger(columnsOfFactor);
    if (given.has_value() && failed(*given))
      return {};
  }
  if (parser.parseGreater())
    return {};
  return parser.getChecked<TileType>(loc, parser.getContext(), ArrayRef<int64_t>(shape),
                                     elementType, partial, columnsOfFactor);
}

void TileType::print(AsmPrinter &printer) const {
  printer << "<";
  printer.printDimensionList(getShape());
  printer << "x" << getElementType() << (isPartial() ? ", partial" : "")
          << (isScaled() ? ", scaled" : "");
  if (getNumFactorsOfRow() > 1)
    printer << " " << getColumnsOfFactor();
  printer << ">";
}

/// The types of codes in their various forms print and parse alike: `<rows x features x type, k =
/// k>`.
template <class CodesLike>
static Type parseCodesLike(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<int64_t> shape;
  Type elementType;
  int64_t k;
  if (parser.parseLess() || parser.parseDimensionList(shape, /*allowDynamic=*/false) ||
      parser.parseType(elementType) || parser.parseComma() || parser.parseKeyword("k") ||
      parser.parseEqual() || parser.parseInteger(k) || parser.parseGreater())
    return {};
  if (shape.size() != 2) {
    parser.emitError(loc) << "expected rows x features, given are " << shape.size()
                          << " dimensions";
    return {};
  }
  return parser.getChecked<CodesLike>(loc, parser.getContext(), shape[0], shape[1], elementType, k);
}

template <class CodesLike>
static void printCodesLike(CodesLike type, AsmPrinter &printer) {
  printer << "<" << type.getRows() << "x" << type.getFeatures() << "x" << type.getElementType()
          << ", k = " << type.getK() << ">";
}

static LogicalResult verifyCodesLike(function_ref<InFlightDiagnostic()> emitError, int64_t rows,
                                     int64_t features, Type elementType, int64_t k) {
  for (int64_t size : {rows, features})
    if (size < 1 || size > maxSize)
      return emitError() << "a dimension of a tile is 1 to " << maxSize << ", given is " << size;
  if (k < 1 || k > features)
    return emitError() << "k is " << k << ", allowed is 1 to " << features
                       << ", the number of features";
  return verifyElementType(emitError, elementType);
}

#define SFA_TILE_CODES_LIKE(CodesLike)                                                             \
  Type CodesLike::parse(AsmParser &parser) { return parseCodesLike<CodesLike>(parser); }           \
  void CodesLike::print(AsmPrinter &printer) const { printCodesLike(*this, printer); }             \
  LogicalResult CodesLike::verify(function_ref<InFlightDiagnostic()> emitError, int64_t rows,      \
                                  int64_t features, Type elementType, int64_t k) {                 \
    return verifyCodesLike(emitError, rows, features, elementType, k);                             \
  }

SFA_TILE_CODES_LIKE(CodesType)
SFA_TILE_CODES_LIKE(PostingsType)
SFA_TILE_CODES_LIKE(TwoFourType)
SFA_TILE_CODES_LIKE(SurplusType)
#undef SFA_TILE_CODES_LIKE
