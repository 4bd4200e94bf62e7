//===- GPUDialect.cpp - Registration and types of the sfa_gpu dialect -----===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/GPU/GPU.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "sfa/Swizzle.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace sfa::simt;

#include "dialects/GPU/GPUOpsDialect.cpp.inc"
#include "dialects/GPU/GPUEnums.cpp.inc"

#include "dialects/GPU/GPUInterfaces.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/GPU/GPUOpsTypes.cpp.inc"

void GPUDialect::initialize() {
  registerTypes();
  addOperations<
#define GET_OP_LIST
#include "dialects/GPU/GPUOps.cpp.inc"
      >();
}

void GPUDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/GPU/GPUOpsTypes.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// Tiles in shared memory
//===----------------------------------------------------------------------===//

LogicalResult SharedType::verify(function_ref<InFlightDiagnostic()> emitError,
                                 ArrayRef<int64_t> shape, Type elementType, TileForm form) {
  if (form != TileForm::Postings && (shape.empty() || shape.size() > 2))
    return emitError() << "a tile in shared memory is a vector or a matrix, given are "
                       << shape.size() << " dimensions";
  for (int64_t size : shape)
    if (size < 1)
      return emitError() << "a dimension of a tile is at least 1, given is " << size;
  if (!elementType.isIntOrFloat() || elementType.getIntOrFloatBitWidth() % 8 != 0)
    return emitError() << "a tile in shared memory holds numbers of whole bytes, given is "
                       << elementType;
  if (form == TileForm::FeatureMajor &&
      (shape.size() != 2 || shape[0] % FeatureMajorAttr::granule != 0 ||
       (!elementType.isF16() && !elementType.isBF16())))
    return emitError() << "a feature-major tile has a multiple of " << FeatureMajorAttr::granule
                       << " rows, the keys, of f16 or bf16";
  if (form == TileForm::Postings &&
      (shape.size() != 3 || !PostingsAttr::allow(shape[0], shape[1], shape[2]) ||
       (!elementType.isF16() && !elementType.isBF16())))
    return emitError() << PostingsAttr::description
                       << "; their shape is tokens, features and k, of f16 or bf16";
  if (form != TileForm::Swizzled)
    return success();
  int64_t bytes = elementType.getIntOrFloatBitWidth() / 8;
  if (shape.size() != 2 || bytes > 2 || shape[1] * bytes % swizzle::chunkBytes != 0)
    return emitError() << "a swizzled tile has rows of 16-bit elements and a multiple of "
                       << swizzle::chunkBytes / 2 << " columns, or of 8-bit elements and a multiple of "
                       << swizzle::chunkBytes;
  return success();
}

/// `128x64xbf16, swizzled`
static FailureOr<SharedType> parseTile(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<int64_t> shape;
  Type elementType;
  if (parser.parseDimensionList(shape, /*allowDynamic=*/false) || parser.parseType(elementType) ||
      parser.parseComma())
    return failure();
  SMLoc formLoc = parser.getCurrentLocation();
  StringRef keyword;
  if (parser.parseKeyword(&keyword))
    return failure();
  std::optional<TileForm> form = symbolizeTileForm(keyword);
  if (!form)
    return parser.emitError(formLoc)
           << "unknown form '" << keyword
           << "' of a tile, allowed are swizzled, linear, feature_major, postings";
  auto type = parser.getChecked<SharedType>(loc, parser.getContext(), ArrayRef<int64_t>(shape),
                                            elementType, *form);
  if (!type)
    return failure();
  return type;
}

static void printTile(AsmPrinter &printer, SharedType tile) {
  printer.printDimensionList(tile.getShape());
  printer << "x" << tile.getElementType() << ", " << stringifyTileForm(tile.getForm());
}

Type SharedType::parse(AsmParser &parser) {
  if (parser.parseLess())
    return {};
  FailureOr<SharedType> type = parseTile(parser);
  if (failed(type) || parser.parseGreater())
    return {};
  return *type;
}

void SharedType::print(AsmPrinter &printer) const {
  printer << "<";
  printTile(printer, *this);
  printer << ">";
}

//===----------------------------------------------------------------------===//
// Rings, operands, products
//===----------------------------------------------------------------------===//

LogicalResult RingType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t stages,
                               SharedType, int64_t copies) {
  if (stages < 1)
    return emitError() << "a ring has at least one place, given are " << stages;
  if (copies < 1 || copies > 32)
    return emitError() << "there are " << copies << " rings, one for each of several warps; a block "
                       << "has 1 to 32";
  return success();
}

/// `<2 of 128x64xbf16, swizzled>`, or `<8 x 2 of ...>` for eight of them.
Type RingType::parse(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  int64_t stages = 0, copies = 1;
  if (parser.parseLess() || parser.parseInteger(stages))
    return {};
  if (succeeded(parser.parseOptionalKeyword("x"))) {
    copies = stages;
    if (parser.parseInteger(stages))
      return {};
  }
  if (parser.parseKeyword("of"))
    return {};
  FailureOr<SharedType> tile = parseTile(parser);
  if (failed(tile) || parser.parseGreater())
    return {};
  return parser.getChecked<RingType>(loc, parser.getContext(), stages, *tile, copies);
}

void RingType::print(AsmPrinter &printer) const {
  printer << "<";
  if (getCopies() != 1)
    printer << getCopies() << " x ";
  printer << getStages() << " of ";
  printTile(printer, getTile());
  printer << ">";
}

LogicalResult ColumnsType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t size,
                                  Type elementType, int64_t together) {
  if (together < 0 || (together > 1 && (together % 8 != 0 || size % together != 0)))
    return emitError() << "columns have one number each, or one for a multiple of 8 that divides "
                          "them, given is one for "
                       << together << " of " << size;
  if (size < 8 || size % 8 != 0 || !elementType.isF32())
    return emitError() << "numbers of columns are f32 for a multiple of 8 columns, given are "
                       << size << " of " << elementType;
  return success();
}

Type ColumnsType::parse(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<int64_t> shape;
  Type elementType;
  if (parser.parseLess() || parser.parseDimensionList(shape, /*allowDynamic=*/false) ||
      parser.parseType(elementType))
    return {};
  int64_t together = 1;
  if (succeeded(parser.parseOptionalComma())) {
    if (succeeded(parser.parseOptionalKeyword("two")))
      together = twoNumbers;
    else if (parser.parseKeyword("together") || parser.parseInteger(together))
      return {};
  }
  if (parser.parseGreater())
    return {};
  if (shape.size() != 1) {
    parser.emitError(loc) << "numbers of columns have one dimension, given are " << shape.size();
    return {};
  }
  return parser.getChecked<ColumnsType>(loc, parser.getContext(), shape[0], elementType, together);
}

void ColumnsType::print(AsmPrinter &printer) const {
  printer << "<" << getSize() << "x" << getElementType();
  if (isTwo())
    printer << ", two";
  else if (getTogether() != 1)
    printer << ", together " << getTogether();
  printer << ">";
}

LogicalResult OperandType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t rows,
                                  int64_t columns, Type elementType) {
  if (!elementType.isF16() && !elementType.isBF16() && !elementType.isSignlessInteger(8))
    return emitError() << "an operand in registers holds f16, bf16 or i8, given is " << elementType;
  if (rows < 16 || rows % 16 != 0 || columns < 16 || columns != roundUp(columns, elementType))
    return emitError() << "an operand in registers has multiples of 16 rows and of "
                       << roundUp(1, elementType) << " columns, given are " << rows << " and "
                       << columns;
  return success();
}

Type OperandType::parse(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<int64_t> shape;
  Type elementType;
  if (parser.parseLess() || parser.parseDimensionList(shape, /*allowDynamic=*/false) ||
      parser.parseType(elementType) || parser.parseGreater())
    return {};
  if (shape.size() != 2) {
    parser.emitError(loc) << "an operand has rows and columns, given are " << shape.size()
                          << " dimensions";
    return {};
  }
  return parser.getChecked<OperandType>(loc, parser.getContext(), shape[0], shape[1], elementType);
}

void OperandType::print(AsmPrinter &printer) const {
  printer << "<" << getRows() << "x" << getColumns() << "x" << getElementType() << ">";
}

static StringRef placeName(bool inRegisters) { return inRegisters ? "registers" : "shared"; }

/// Whether `what` is in registers; otherwise it is in shared memory.
static FailureOr<bool> parsePlace(AsmParser &parser, StringRef what) {
  SMLoc loc = parser.getCurrentLocation();
  StringRef place;
  if (parser.parseKeyword(&place))
    return failure();
  for (bool inRegisters : {true, false})
    if (place == placeName(inRegisters))
      return inRegisters;
  return parser.emitError(loc) << "unknown place '" << place << "' of " << what
                               << ", allowed are registers, shared";
}

LogicalResult TwoFourType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t rows,
                                  int64_t columns, Type elementType, bool) {
  if (!elementType.isF16() && !elementType.isBF16())
    return emitError() << "a 2:4 operand holds f16 or bf16, given is " << elementType;
  if (rows < 16 || rows % 16 != 0 || columns < 8 || columns % 8 != 0)
    return emitError() << "a 2:4 operand has a multiple of 16 rows and of 8 columns, given are "
                       << rows << " and " << columns;
  return success();
}

/// `<128x64xbf16, registers>`
Type TwoFourType::parse(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<int64_t> shape;
  Type elementType;
  if (parser.parseLess() || parser.parseDimensionList(shape, /*allowDynamic=*/false) ||
      parser.parseType(elementType) || parser.parseComma())
    return {};
  FailureOr<bool> inRegisters = parsePlace(parser, "a 2:4 operand");
  if (failed(inRegisters) || parser.parseGreater())
    return {};
  if (shape.size() != 2) {
    parser.emitError(loc) << "a 2:4 operand has rows and columns, given are " << shape.size()
                          << " dimensions";
    return {};
  }
  return parser.getChecked<TwoFourType>(loc, parser.getContext(), shape[0], shape[1], elementType,
                                        *inRegisters);
}

void TwoFourType::print(AsmPrinter &printer) const {
  printer << "<" << getRows() << "x" << getColumns() << "x" << getElementType() << ", "
          << placeName(getInRegisters()) << ">";
}

LogicalResult CodesType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t rows,
                                int64_t columns, Type elementType, int64_t k, int64_t step,
                                bool inRegisters) {
  if (!elementType.isF16() && !elementType.isBF16())
    return emitError() << "codes of fragments hold f16 or bf16, given is " << elementType;
  if (rows < 16 || rows % 16 != 0 || columns < 1 || columns > 256)
    return emitError() << "codes of fragments have a multiple of 16 rows and 1 to 256 features, "
                          "given are "
                       << rows << " and " << columns;
  int64_t most = inRegisters ? FeatureMajorAttr::mostCodes : columns;
  if (k < 1 || k > most)
    return emitError() << "codes of fragments have 1 to " << most << " pairs a row "
                       << (inRegisters ? "in registers" : "in shared memory")
                       << ", given are k = " << k;
  constexpr int64_t mostBytes = 65536;
  if (step < 1 || columns * step > mostBytes)
    return emitError() << "codes of fragments are for tiles whose features take at most "
                       << mostBytes << " bytes, given are " << columns
                       << " features and step = " << step;
  return success();
}

/// `<128x64xbf16, k = 8, step = 256, registers>`
Type CodesType::parse(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<int64_t> shape;
  Type elementType;
  int64_t k = 0, step = 0;
  if (parser.parseLess() || parser.parseDimensionList(shape, /*allowDynamic=*/false) ||
      parser.parseType(elementType) || parser.parseComma() || parser.parseKeyword("k") ||
      parser.parseEqual() || parser.parseInteger(k) || parser.parseComma() ||
      parser.parseKeyword("step") || parser.parseEqual() || parser.parseInteger(step) ||
      parser.parseComma())
    return {};
  FailureOr<bool> inRegisters = parsePlace(parser, "codes");
  if (failed(inRegisters) || parser.parseGreater())
    return {};
  if (shape.size() != 2) {
    parser.emitError(loc) << "codes have rows and features, given are " << shape.size()
                          << " dimensions";
    return {};
  }
  return parser.getChecked<CodesType>(loc, parser.getContext(), shape[0], shape[1], elementType, k,
                                      step, *inRegisters);
}

SharedType CodesType::getRoom() const {
  return SharedType::get(getContext(), {getRows(), getRowWords(getK())},
                         IntegerType::get(getContext(), 32), TileForm::Linear);
}

void CodesType::print(AsmPrinter &printer) const {
  printer << "<" << getRows() << "x" << getColumns() << "x" << getElementType()
          << ", k = " << getK() << ", step = " << getStep() << ", " << placeName(getInRegisters())
          << ">";
}

Type PendingType::parse(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<int64_t> shape;
  Type elementType;
  if (parser.parseLess() || parser.parseDimensionList(shape, /*allowDynamic=*/false) ||
      parser.parseType(elementType) || parser.parseGreater())
    return {};
  auto tile = parser.getChecked<sfa::tile::TileType>(loc, parser.getContext(),
                                                     ArrayRef<int64_t>(shape), elementType);
  return tile ? PendingType::get(parser.getContext(), tile) : PendingType();
}

void PendingType::print(AsmPrinter &printer) const {
  printer << "<";
  printer.printDimensionList(getTile().getShape());
  printer << "x" << getTile().getElementType() << ">";
}
