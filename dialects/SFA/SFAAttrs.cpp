//===- SFAAttrs.cpp - Encoding, mask and schedule attributes --------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/SFA/SFA.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/SmallSet.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace sfa;

#include "dialects/SFA/SFAOpsEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/SFA/SFAOpsAttrs.cpp.inc"

void SFADialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/SFA/SFAOpsAttrs.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// CodesAttr
//===----------------------------------------------------------------------===//

/// 1040 products of 127 and 127 are less than 2^24.
static constexpr int64_t maxSummands = 1040;

LogicalResult CodesAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t k,
                                bool /*twoFour*/, std::optional<Scales> scales) {
  if (k < 1)
    return emitError() << "codes keep at least one feature: k is " << k << ", allowed is k >= 1";
  if (scales && k > maxSummands)
    return emitError() << "codes of 8-bit values keep at most " << maxSummands
                       << " features, so that their dot products are exact in f32: k is " << k;
  return success();
}

/// Diagnoses a tensor that neither codes nor 8-bit rows, `what`, can be.
static LogicalResult verifyRows(StringRef what, ArrayRef<int64_t> shape, Type elementType,
                                function_ref<InFlightDiagnostic()> emitError) {
  // The parser asks even when it could not read the element type and has said so.
  if (!elementType)
    return failure();
  if (shape.size() != 4)
    return emitError() << what << " are of shape [batch, heads, tokens, features], given is rank "
                       << shape.size();
  if (ShapedType::isDynamic(shape[3]))
    return emitError() << what << " need a static number of features (the last dimension)";
  if (shape[3] < 1 || shape[3] > 65536)
    return emitError() << what << " index 1 to 65536 features, given are " << shape[3];
  if (!elementType.isF32() && !elementType.isF16() && !elementType.isBF16())
    return emitError() << what << " hold f32, f16 or bf16 values, given is " << elementType;
  return success();
}

LogicalResult CodesAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                                        function_ref<InFlightDiagnostic()> emitError) const {
  if (failed(verifyRows("codes", shape, elementType, emitError)))
    return failure();
  if (getTwoFour() && shape[3] % 4 != 0)
    return emitError() << "2:4 codes have whole groups of four features, given are " << shape[3]
                       << " features; pad them to a multiple of 4 or leave 'two_four' out";
  if (getTwoFour() && getK() > shape[3] / 2)
    return emitError() << "2:4 codes hold at most two of every four features, " << shape[3] / 2
                       << " of " << shape[3] << ", but k is " << getK()
                       << "; lower k or leave 'two_four' out";
  return success();
}

CodesAttr sfa::getCodes(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor ? dyn_cast_or_null<CodesAttr>(tensor.getEncoding()) : nullptr;
}

LogicalResult DenseRowsAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                                            function_ref<InFlightDiagnostic()> emitError) const {
  return verifyRows("8-bit rows", shape, elementType, emitError);
}

LogicalResult FeatureMajorAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t tile) {
  if (tile >= granule && tile % granule == 0)
    return success();
  return emitError() << "feature-major tiles have a multiple of " << granule
                     << " tokens, given are " << tile;
}

LogicalResult FeatureMajorAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                                               function_ref<InFlightDiagnostic()> emitError) const {
  if (failed(verifyRows("feature-major tiles", shape, elementType, emitError)))
    return failure();
  if (!elementType.isF16() && !elementType.isBF16())
    return emitError() << "feature-major tiles hold f16 or bf16, given is " << elementType;
  return success();
}

RankedTensorType sfa::getWrittenOut(RankedTensorType codes) {
  Attribute encoding;
  if (std::optional<Scales> scales = getScales(codes))
    encoding = DenseRowsAttr::get(codes.getContext(), *scales);
  return RankedTensorType::get(codes.getShape(), codes.getElementType(), encoding);
}
FeatureMajorAttr sfa::getFeatureMajor(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor ? dyn_cast_or_null<FeatureMajorAttr>(tensor.getEncoding()) : nullptr;
}

LogicalResult PostingsAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t k,
                                   int64_t tile) {
  if (allow(tile, /*features=*/1, k))
    return success();
  return emitError() << description << "; given are k = " << k << " and tiles of " << tile
                     << " tokens";
}

LogicalResult PostingsAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                                           function_ref<InFlightDiagnostic()> emitError) const {
  if (failed(verifyRows("posting lists", shape, elementType, emitError)))
    return failure();
  if (!elementType.isF16() && !elementType.isBF16())
    return emitError() << "posting lists hold f16 or bf16, given is " << elementType;
  if (!allow(getTile(), shape[3], std::min(getK(), shape[3])))
    return emitError() << description << "; given are " << shape[3] << " features, k = " << getK()
                       << " and tiles of " << getTile() << " tokens";
  return success();
}

PostingsAttr sfa::getPostings(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor ? dyn_cast_or_null<PostingsAttr>(tensor.getEncoding()) : nullptr;
}

std::optional<int64_t> sfa::getKeyTile(Type type) {
  if (FeatureMajorAttr featureMajor = getFeatureMajor(type))
    return featureMajor.getTile();
  if (PostingsAttr postings = getPostings(type))
    return postings.getTile();
  return std::nullopt;
}

std::optional<Scales> sfa::getScales(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return std::nullopt;
  if (auto codes = dyn_cast_or_null<CodesAttr>(tensor.getEncoding()))
    return codes.getScales();
  if (auto rows = dyn_cast_or_null<DenseRowsAttr>(tensor.getEncoding()))
    return rows.getScales();
  return std::nullopt;
}

std::optional<int64_t> sfa::getTokensOfScale(Scales scales) {
  switch (scales) {
  case Scales::Tile:
    return tokensOfScale;
  case Scales::Token:
    return 1;
  case Scales::Head:
    return std::nullopt;
  }
  llvm_unreachable("a granularity of scales that nobody has heard of");
}

/// The tensor of the scales of `tensor`.
static RankedTensorType getTensorOfScales(RankedTensorType tensor, Scales scales) {
  SmallVector<int64_t> shape(tensor.getShape().drop_back());
  int64_t &tokens = shape.back();
  std::optional<int64_t> tokensEach = getTokensOfScale(scales);
  if (!tokensEach)
    tokens = 1;
  else if (!ShapedType::isDynamic(tokens))
    tokens = llvm::divideCeil(tokens, *tokensEach);
  return RankedTensorType::get(shape, Float32Type::get(tensor.getContext()));
}

bool sfa::isPhysicallySeveral(Type type) { return getNumPhysical(type) > 1; }

unsigned sfa::getNumPhysical(Type type) {
  return (getCodes(type) ? 2 : 1) + (getScales(type) ? 1 : 0);
}

SmallVector<RankedTensorType> sfa::getPhysicalTensors(RankedTensorType tensor) {
  if (std::optional<int64_t> tile = getKeyTile(tensor)) {
    SmallVector<int64_t> shape(tensor.getShape());
    if (!ShapedType::isDynamic(shape[2]))
      shape[2] = llvm::divideCeil(shape[2], *tile);
    Type element = tensor.getElementType();
    if (PostingsAttr postings = getPostings(tensor)) {
      int64_t k = std::min(postings.getK(), shape[3]);
      element = IntegerType::get(tensor.getContext(), 8);
      shape[3] = 2 * PostingsAttr::getHalfBytes(*tile, shape[3], k);
    } else {
      shape[3] *= *tile;
    }
    return {RankedTensorType::get(shape, element)};
  }
  if (!isPhysicallySeveral(tensor))
    return {tensor};
  CodesAttr codes = getCodes(tensor);
  std::optional<Scales> scales = getScales(tensor);
  int64_t features = tensor.getDimSize(3);
  SmallVector<int64_t> shape(tensor.getShape());
  if (codes)
    shape[3] = std::min(codes.getK(), features);
  else if (scales)
    shape[3] = static_cast<int64_t>(llvm::alignTo(features, 16));
  Type element = tensor.getElementType(), i8 = IntegerType::get(tensor.getContext(), 8);
  SmallVector<RankedTensorType> physical{RankedTensorType::get(shape, scales ? i8 : element)};
  if (codes)
    physical.push_back(RankedTensorType::get(
        shape, features <= 256 ? i8 : IntegerType::get(tensor.getContext(), 16)));
  if (scales)
    physical.push_back(getTensorOfScales(tensor, *scales));
  return physical;
}

//===----------------------------------------------------------------------===//
// Parameter lists
//===----------------------------------------------------------------------===//

/// The names of all cases of an enum, for messages.
template <class Enum>
static std::string allCases() {
  SmallVector<StringRef> names;
  for (uint32_t i = 0;; ++i) {
    StringRef name = stringifyEnum(static_cast<Enum>(i));
    if (name.empty())
      break;
    names.push_back(name);
  }
  return llvm::join(names, ", ");
}

template <class Enum>
static ParseResult parseCase(AsmParser &parser, StringRef what, std::optional<Enum> &result) {
  SMLoc loc = parser.getCurrentLocation();
  StringRef name;
  if (parser.parseKeyword(&name))
    return failure();
  result = symbolizeEnum<Enum>(name);
  if (!result)
    return parser.emitError(loc) << "unknown " << what << " '" << name << "', allowed are "
                                 << allCases<Enum>();
  return success();
}

static ParseResult parseInteger(AsmParser &parser, std::optional<int64_t> &result) {
  int64_t value;
  if (parser.parseInteger(value))
    return failure();
  result = value;
  return success();
}

/// Parses `key = value` pairs up to the closing `>`; `parseValue` parses the value of a key, or
/// returns std::nullopt when it knows no such key. `setFlag` returns whether a key is a flag, which
/// has no value.
static ParseResult parseParameters(
    AsmParser &parser, StringRef allowed,
    function_ref<std::optional<ParseResult>(StringRef)> parseValue,
    function_ref<bool(StringRef)> setFlag = [](StringRef) { return false; }) {
  llvm::SmallSet<StringRef, 8> seen;
  return parser.parseCommaSeparatedList([&]() -> ParseResult {
    SMLoc loc = parser.getCurrentLocation();
    StringRef key;
    if (parser.parseKeyword(&key))
      return failure();
    if (!seen.insert(key).second)
      return parser.emitError(loc) << "parameter '" << key << "' is given twice";
    if (setFlag(key))
      return success();
    if (parser.parseEqual())
      return failure();
    if (std::optional<ParseResult> result = parseValue(key))
      return *result;
    return parser.emitError(loc) << "unknown parameter '" << key << "', allowed are " << allowed;
  });
}

/// Parses the type of values that have scales: i8.
static ParseResult parseValues(AsmParser &parser, bool &given) {
  SMLoc loc = parser.getCurrentLocation();
  Type type;
  if (parser.parseType(type))
    return failure();
  if (!type.isSignlessInteger(8))
    return parser.emitError(loc) << "values are " << type
                                 << ", allowed is i8; leave 'values' out for others";
  given = true;
  return success();
}

Attribute CodesAttr::parse(AsmParser &parser, Type) {
  std::optional<int64_t> k;
  std::optional<Scales> scales;
  bool twoFour = false, hasValues = false;
  SMLoc loc = parser.getCurrentLocation();
  auto parseValue = [&](StringRef key) -> std::optional<ParseResult> {
    if (key == "k")
      return parseInteger(parser, k);
    if (key == "values")
      return parseValues(parser, hasValues);
    if (key == "scales")
      return parseCase(parser, "granularity of scales", scales);
    return std::nullopt;
  };
  auto setFlag = [&](StringRef key) {
    twoFour |= key == "two_four";
    return key == "two_four";
  };
  if (parser.parseLess() ||
      parseParameters(parser, "k, two_four, values, scales", parseValue, setFlag) ||
      parser.parseGreater())
    return {};
  if (!k) {
    parser.emitError(loc) << "codes need a k, such as #sfa.codes<k = 8, two_four>";
    return {};
  }
  if (hasValues != scales.has_value()) {
    parser.emitError(loc) << "8-bit values have scales: give 'values = i8' and 'scales' together, "
                             "such as #sfa.codes<k = 8, values = i8, scales = tile>";
    return {};
  }
  return parser.getChecked<CodesAttr>(loc, parser.getContext(), *k, twoFour, scales);
}

void CodesAttr::print(AsmPrinter &printer) const {
  printer << "<k = " << getK() << (getTwoFour() ? ", two_four" : "");
  if (getScales())
    printer << ", values = i8, scales = " << stringifyEnum(*getScales());
  printer << ">";
}

Attribute DenseRowsAttr::parse(AsmParser &parser, Type) {
  std::optional<Scales> scales;
  bool hasValues = false;
  SMLoc loc = parser.getCurrentLocation();
  auto parseValue = [&](StringRef key) -> std::optional<ParseResult> {
    if (key == "values")
      return parseValues(parser, hasValues);
    if (key == "scales")
      return parseCase(parser, "granularity of scales", scales);
    return std::nullopt;
  };
  if (parser.parseLess() || parseParameters(parser, "values, scales", parseValue) ||
      parser.parseGreater())
    return {};
  if (!hasValues || !scales) {
    parser.emitError(loc) << "dense rows with an encoding have 8-bit values and scales, such as "
                             "#sfa.dense<values = i8, scales = tile>";
    return {};
  }
  return get(parser.getContext(), *scales);
}

void DenseRowsAttr::print(AsmPrinter &printer) const {
  printer << "<values = i8, scales = " << stringifyEnum(getScales()) << ">";
}

//===----------------------------------------------------------------------===//
// MaskAttr
//===----------------------------------------------------------------------===//

LogicalResult MaskAttr::verify(function_ref<InFlightDiagnostic()> emitError, MaskKind kind,
                               std::optional<int64_t> left, std::optional<int64_t> right) {
  if (kind != MaskKind::Window && (left || right))
    return emitError() << "only a window mask has 'left' and 'right', given is a "
                       << stringifyEnum(kind) << " mask";
  constexpr int64_t maxBound = int64_t(1) << 40;
  for (std::optional<int64_t> bound : {left, right})
    if (bound && (*bound < 0 || *bound > maxBound))
      return emitError() << "a window bound is 0 to 2^40 keys, given is " << *bound
                         << "; leave it out for an unbounded side";
  return success();
}

Attribute MaskAttr::parse(AsmParser &parser, Type) {
  std::optional<MaskKind> kind;
  std::optional<int64_t> left, right;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() || parseCase(parser, "mask", kind))
    return {};
  if (succeeded(parser.parseOptionalComma()) &&
      parseParameters(parser, "left, right", [&](StringRef key) -> std::optional<ParseResult> {
        if (key == "left")
          return parseInteger(parser, left);
        if (key == "right")
          return parseInteger(parser, right);
        return std::nullopt;
      }))
    return {};
  if (parser.parseGreater())
    return {};
  return parser.getChecked<MaskAttr>(loc, parser.getContext(), *kind, left, right);
}

void MaskAttr::print(AsmPrinter &printer) const {
  printer << "<" << stringifyEnum(getKind());
  if (getLeft())
    printer << ", left = " << *getLeft();
  if (getRight())
    printer << ", right = " << *getRight();
  printer << ">";
}

std::optional<int64_t> MaskAttr::leftBound() const { return getLeft(); }

std::optional<int64_t> MaskAttr::rightBound() const {
  return getKind() == MaskKind::Causal ? 0 : getRight();
}

MaskAttr MaskAttr::simplified() const {
  if (getKind() != MaskKind::Window || getLeft() || (getRight() && *getRight() != 0))
    return *this;
  return get(getContext(), getRight() ? MaskKind::Causal : MaskKind::None, std::nullopt,
             std::nullopt);
}

//===----------------------------------------------------------------------===//
// ScheduleAttr
//===----------------------------------------------------------------------===//

LogicalResult ScheduleAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                   Schedule schedule) {
  LogicalResult result = success();
  forEachScheduleParameter([&](auto parameter) {
    if constexpr (std::is_same_v<decltype(parameter), ScheduleNumber>) {
      auto [keyword, least, most, given, value] = parameter;
      std::optional<int64_t> number = schedule.*given;
      if (failed(result) || !number || (*number >= least && *number <= most))
        return;
      result = emitError() << "'" << keyword << "' is " << *number << ", allowed is " << least
                           << (most == least + 1 ? " or " : " to ") << most;
    }
  });
  return result;
}

static ParseResult parseValue(AsmParser &parser, const ScheduleNumber &number, Schedule &schedule) {
  return parseInteger(parser, schedule.*number.given);
}

template <class Enum>
static ParseResult parseValue(AsmParser &parser, const ScheduleChoice<Enum> &choice,
                              Schedule &schedule) {
  return parseCase(parser, choice.what, schedule.*choice.given);
}

Attribute ScheduleAttr::parse(AsmParser &parser, Type) {
  Schedule schedule;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess())
    return {};
  if (succeeded(parser.parseOptionalGreater()))
    return get(parser.getContext(), schedule);
  SmallVector<StringRef> keywords;
  forEachScheduleParameter([&](auto parameter) { keywords.push_back(parameter.keyword); });
  auto parseParameter = [&](StringRef keyword) {
    std::optional<ParseResult> result;
    forEachScheduleParameter([&](auto parameter) {
      if (parameter.keyword == keyword)
        result = parseValue(parser, parameter, schedule);
    });
    return result;
  };
  if (parseParameters(parser, llvm::join(keywords, ", "), parseParameter) ||
      parser.parseGreater())
    return {};
  return parser.getChecked<ScheduleAttr>(loc, parser.getContext(), schedule);
}

void ScheduleAttr::print(AsmPrinter &printer) const {
  printer.getStream() << "<" << getSchedule() << ">";
}

ResolvedSchedule sfa::resolve(ScheduleAttr schedule) {
  return ResolvedSchedule(schedule ? schedule.getSchedule() : Schedule(), ResolvedSchedule());
}

int64_t ScheduleAttr::rowsOfHead(int64_t rows, int64_t packedHeads) {
  if (rows % packedHeads == 0)
    return rows / packedHeads;
  return rows / static_cast<int64_t>(llvm::PowerOf2Ceil(static_cast<uint64_t>(packedHeads)));
}

bool ScheduleAttr::isComplete() const {
  return getStrategy() && getSoftmax() && getQTile() && getKTile() && getStages() && getConsumers();
}

ScheduleAttr ScheduleAttr::orElse(ScheduleAttr other) const {
  return get(getContext(), getSchedule().orElse(other.getSchedule()));
}
