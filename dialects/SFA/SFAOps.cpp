//===- SFAOps.cpp - Verifiers and shape inference of the sfa operations ---===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Checks.h"
#include "dialects/SFA/SFA.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace mlir;
using namespace sfa;

/// A scale is a constant or a value.
static ParseResult parseScale(OpAsmParser &parser,
                              std::optional<OpAsmParser::UnresolvedOperand> &value,
                              FloatAttr &constant) {
  OpAsmParser::UnresolvedOperand operand;
  OptionalParseResult parsed = parser.parseOptionalOperand(operand);
  if (!parsed.has_value())
    return parser.parseAttribute(constant, parser.getBuilder().getF64Type());
  value = operand;
  return *parsed;
}

static void printScale(OpAsmPrinter &printer, Operation *, Value value, FloatAttr constant) {
  if (value)
    printer << value;
  if (constant)
    printer.printAttributeWithoutType(constant);
}

#define GET_OP_CLASSES
#include "dialects/SFA/SFAOps.cpp.inc"

//===----------------------------------------------------------------------===//
// SparsifyOp
//===----------------------------------------------------------------------===//

LogicalResult SparsifyOp::verify() {
  RankedTensorType source = getSource().getType(), codes = getCodes().getType();
  if (failed(checkTensor(*this, "source", source)) || failed(checkTensor(*this, "result", codes)) ||
      failed(checkElementType(*this, "result", codes, source.getElementType(), "the source")))
    return failure();
  for (int64_t dim = 0; dim < 4; ++dim)
    if (failed(checkDim(*this, "result", codes, dim, source.getDimSize(dim), "the source")))
      return failure();
  if (getScales(codes) == Scales::Head)
    return emitOpError() << "rounds values with scales = tile or token, given is " << codes
                         << "; use sfa.quantize for scales = head, which needs all rows before";
  RankedTensorType expected = getWrittenOut(codes);
  if (getDense() && getDense().getType() != expected)
    return emitOpError() << "dense result has type " << getDense().getType() << ", expected is "
                         << expected << ", as the codes written out";
  return success();
}

LogicalResult SparsifyOp::reifyResultShapes(OpBuilder &builder,
                                            ReifiedRankedShapedTypeDims &shapes) {
  shapes.assign((*this)->getNumResults(), tensor::getMixedSizes(builder, getLoc(), getSource()));
  return success();
}

//===----------------------------------------------------------------------===//
// QuantizeOp
//===----------------------------------------------------------------------===//

LogicalResult QuantizeOp::verify() {
  RankedTensorType codes = getCodes().getType(), quantized = getQuantized().getType();
  if (failed(checkTensor(*this, "codes", codes)) ||
      failed(checkTensor(*this, "result", quantized)) ||
      failed(checkElementType(*this, "result", quantized, codes.getElementType(), "the codes")))
    return failure();
  for (int64_t dim = 0; dim < 4; ++dim)
    if (failed(checkDim(*this, "result", quantized, dim, codes.getDimSize(dim), "the codes")))
      return failure();
  CodesAttr from = ::sfa::getCodes(codes), to = ::sfa::getCodes(quantized);
  if (from.getScales() || !to.getScales())
    return emitOpError() << "makes codes with 8-bit values of others, given are " << codes
                         << " and " << quantized;
  if (from.getK() != to.getK() || from.getTwoFour() != to.getTwoFour())
    return emitOpError() << "changes the values of codes only, given are " << codes << " and "
                         << quantized << "; k and two_four have to agree";
  return success();
}

LogicalResult QuantizeOp::reifyResultShapes(OpBuilder &builder,
                                            ReifiedRankedShapedTypeDims &shapes) {
  shapes.assign(1, tensor::getMixedSizes(builder, getLoc(), getCodes()));
  return success();
}

//===----------------------------------------------------------------------===//
// DensifyOp
//===----------------------------------------------------------------------===//

LogicalResult DensifyOp::inferReturnTypes(MLIRContext *, std::optional<Location>, Adaptor adaptor,
                                          SmallVectorImpl<Type> &results) {
  auto codes = dyn_cast<RankedTensorType>(adaptor.getCodes().getType());
  if (!codes)
    return failure();
  results.push_back(adaptor.getQuantized()
                        ? getWrittenOut(codes)
                        : RankedTensorType::get(codes.getShape(), codes.getElementType()));
  return success();
}

LogicalResult DensifyOp::verify() {
  RankedTensorType codes = getCodes().getType();
  if (getQuantized() && !getScales(codes))
    return emitOpError() << "makes 8-bit rows of codes with 8-bit values, given is " << codes
                         << "; leave 'quantized' out or use sfa.quantize before";
  return checkTensor(*this, "codes", codes);
}

LogicalResult DensifyOp::reifyResultShapes(OpBuilder &builder,
                                           ReifiedRankedShapedTypeDims &shapes) {
  shapes.assign(1, tensor::getMixedSizes(builder, getLoc(), getCodes()));
  return success();
}

//===----------------------------------------------------------------------===//
// FeatureMajorOp
//===----------------------------------------------------------------------===//

/// Diagnoses tiles of keys, `result`, that do not hold what `source`, named `name`, holds.
static LogicalResult checkTiles(Operation *op, StringRef name, RankedTensorType source,
                                RankedTensorType result) {
  std::string theSource = ("the " + name).str();
  if (failed(checkTensor(op, name, source)) || failed(checkTensor(op, "result", result)) ||
      failed(checkElementType(op, "result", result, source.getElementType(), theSource)))
    return failure();
  for (int64_t dim = 0; dim < 4; ++dim)
    if (failed(checkDim(op, "result", result, dim, source.getDimSize(dim), theSource)))
      return failure();
  if (getScales(source))
    return op->emitOpError() << "keeps the values as they are, given is " << source
                             << "; use sfa.densify for 8-bit values before";
  return success();
}

LogicalResult FeatureMajorOp::verify() {
  return checkTiles(*this, "source", cast<RankedTensorType>(getSource().getType()),
                    getResult().getType());
}

LogicalResult FeatureMajorOp::reifyResultShapes(OpBuilder &builder,
                                                ReifiedRankedShapedTypeDims &shapes) {
  shapes.assign(1, tensor::getMixedSizes(builder, getLoc(), getSource()));
  return success();
}

//===----------------------------------------------------------------------===//
// PostingsOp
//===----------------------------------------------------------------------===//

LogicalResult PostingsOp::verify() {
  RankedTensorType codes = getCodes().getType(), result = getResult().getType();
  if (failed(checkTiles(*this, "codes", codes, result)))
    return failure();
  if (sfa::getCodes(codes).getK() != sfa::getPostings(result).getK())
    return emitOpError() << "changes the form of codes only, given are " << codes << " and "
                         << result << "; k has to agree";
  return success();
}

LogicalResult PostingsOp::reifyResultShapes(OpBuilder &builder,
                                            ReifiedRankedShapedTypeDims &shapes) {
  shapes.assign(1, tensor::getMixedSizes(builder, getLoc(), getCodes()));
  return success();
}

//===----------------------------------------------------------------------===//
// AttentionOp
//===----------------------------------------------------------------------===//

MaskAttr AttentionOp::getMaskOrNone() {
  if (MaskAttr mask = getMaskAttr())
    return mask;
  return MaskAttr::get(getContext(), MaskKind::None, std::nullopt, std::nullopt);
}

bool AttentionOp::allowsScaleValue(double scale) {
  auto folded = static_cast<float>(scale * llvm::numbers::log2e);
  return scale > 0 && std::isnormal(static_cast<float>(scale)) && std::isnormal(folded);
}

double AttentionOp::getConstantScale() {
  assert(!getScaleValue() && "the scale is no constant");
  if (std::optional<APFloat> scale = getScale())
    return scale->convertToDouble();
  int64_t features = cast<RankedTensorType>(getQuery().getType()).getDimSize(3);
  return 1.0 / std::sqrt(static_cast<double>(features));
}

std::string AttentionOp::whyNot(Strategy strategy) {
  auto query = cast<RankedTensorType>(getQuery().getType());
  Type key = getKey().getType();
  return ::sfa::whyNot(strategy, bool(::sfa::getCodes(query)),
                       ::sfa::getCodes(key) || getPostings(key), query.getDimSize(3));
}

std::string sfa::whyNot(Strategy strategy, bool queryIsCodes, bool keyIsCodes, int64_t features) {
  switch (strategy) {
  case Strategy::Dense:
    return "";
  case Strategy::Gather:
    return queryIsCodes ? "" : "it needs the query as codes; sparsify the query";
  case Strategy::Scatter:
    return queryIsCodes && keyIsCodes ? "" : "it needs query and key as codes; sparsify both";
  case Strategy::SparseMma:
    if (!queryIsCodes)
      return "it needs the query as codes; sparsify the query";
    if (features % 4 != 0)
      return "2:4 sparsity needs a number of features that is a multiple of 4, given are " +
             std::to_string(features);
    return "";
  }
  llvm_unreachable("a strategy without a case");
}

/// Diagnoses a schedule in which the heads that share a query tile do not fit the group or the
/// tile.
static LogicalResult checkPackedHeads(AttentionOp op, int64_t group) {
  ScheduleAttr schedule = op.getScheduleAttr();
  int64_t heads = resolve(schedule).packedHeads;
  if (group % heads != 0)
    return op.emitOpError() << "has packed_heads = " << heads << ", but " << group << " query head"
                            << (group == 1 ? "" : "s")
                            << " to a head of the key; packed_heads has to divide that";
  if (schedule && schedule.getQTile() && ScheduleAttr::rowsOfHead(*schedule.getQTile(), heads) == 0)
    return op.emitOpError() << "has packed_heads = " << heads
                            << " and q_tile = " << *schedule.getQTile()
                            << "; q_tile has to be a multiple of packed_heads, or the next power "
                               "of two at least";
  return success();
}

/// Diagnoses offsets of sequences that do not fit each other or the query.
static LogicalResult checkSequences(AttentionOp op, RankedTensorType query) {
  if (!op.hasSequences())
    return success();
  OperandRange offsets = op.getSequences();
  if (offsets.size() != 2)
    return op.emitOpError() << "takes the offsets of sequences of the query and of the key, given "
                            << (offsets.size() == 1 ? "is " : "are ") << offsets.size() << " tensor"
                            << (offsets.size() == 1 ? "" : "s")
                            << "; give one twice where they are the same";
  if (query.getDimSize(0) != 1)
    return op.emitOpError() << "has sequences, whose tokens follow one another in a batch of 1, "
                               "given is a query of type "
                            << query;
  int64_t sizes[2];
  for (auto [size, tensor] : llvm::zip_equal(sizes, offsets)) {
    size = cast<RankedTensorType>(tensor.getType()).getDimSize(0);
    if (!ShapedType::isDynamic(size) && size < 2)
      return op.emitOpError() << "has " << size
                              << " offsets of sequences; s sequences have s + 1 offsets, and at "
                                 "least 1 sequence is needed";
  }
  if (!compatible(sizes[0], sizes[1]))
    return op.emitOpError() << "has " << sizes[0] << " offsets of sequences of the query but "
                            << sizes[1] << " of the key; they have to be as many";
  return success();
}

/// Diagnoses a key in tiles that the schedule does not read.
static LogicalResult checkKeyTiles(AttentionOp op) {
  Type key = op.getKey().getType();
  std::optional<int64_t> tile = getKeyTile(key);
  if (!tile)
    return success();
  bool areLists = static_cast<bool>(getPostings(key));
  Strategy strategy = areLists ? Strategy::Scatter : Strategy::Gather;
  StringRef tiles = areLists ? "tiles of posting lists" : "feature-major tiles";
  ScheduleAttr schedule = op.getScheduleAttr();
  if (!schedule || schedule.getStrategy() != strategy || schedule.getKTile() != tile)
    return op.emitOpError() << "has a key in " << tiles << " of " << *tile
                            << " tokens, which need a schedule with strategy = "
                            << stringifyEnum(strategy) << " and k_tile = " << *tile;
  if (op.hasSequences())
    return op.emitOpError() << "has sequences and a key in " << tiles
                            << ", where sequences cannot begin anywhere; leave the key as it is";
  return success();
}

LogicalResult AttentionOp::verify() {
  auto query = cast<RankedTensorType>(getQuery().getType());
  auto key = cast<RankedTensorType>(getKey().getType());
  auto value = cast<RankedTensorType>(getValue().getType());
  auto output = cast<RankedTensorType>(getOutput().getType());

  std::pair<StringRef, RankedTensorType> tensors[] = {
      {"query", query}, {"key", key}, {"value", value}, {"output", output}};
  for (auto [name, type] : tensors)
    if (failed(checkTensor(*this, name, type)) ||
        failed(checkElementType(*this, name, type, query.getElementType(), "the query")) ||
        failed(checkDim(*this, name, type, 0, query.getDimSize(0), "the query")))
      return failure();

  if (getScales(query).has_value() != getScales(key).has_value())
    return emitOpError() << "has a query of type " << query << " and a key of type " << key
                         << "; both have 8-bit values or neither: use sfa.quantize for the other";
  int64_t queryHeads = query.getDimSize(1), keyHeads = key.getDimSize(1);
  if (queryHeads % keyHeads != 0)
    return emitOpError() << "query has " << queryHeads << " heads, which is not a multiple of the "
                         << keyHeads << " heads of the key";
  if (failed(checkDim(*this, "key", key, 3, query.getDimSize(3), "the query")) ||
      failed(checkDim(*this, "value", value, 0, key.getDimSize(0), "the key")) ||
      failed(checkDim(*this, "value", value, 1, keyHeads, "the key")) ||
      failed(checkDim(*this, "value", value, 2, key.getDimSize(2), "the key")) ||
      failed(checkDim(*this, "output", output, 1, queryHeads, "the query")) ||
      failed(checkDim(*this, "output", output, 2, query.getDimSize(2), "the query")) ||
      failed(checkDim(*this, "output", output, 3, value.getDimSize(3), "the value")))
    return failure();
  if (Value lse = getLse())
    for (int64_t dim = 0; dim < 3; ++dim)
      if (failed(checkDim(*this, "lse", cast<RankedTensorType>(lse.getType()), dim,
                          query.getDimSize(dim), "the query")))
        return failure();

  if (failed(checkSequences(*this, query)) || failed(checkKeyTiles(*this)))
    return failure();
  if (getScale() && getScaleValue())
    return emitOpError("has two scales, a constant and a value; give one");
  if (std::optional<APFloat> scale = getScale(); scale && !scale->isFinite())
    return emitOpError("scale has to be a finite number");
  // Each has a point of its own in the grid.
  constexpr int64_t maxGridHeads = 65535;
  ScheduleAttr schedule = getScheduleAttr();
  if (int64_t splits = resolve(schedule).splits;
      splits > 1 && queryHeads > maxGridHeads / splits)
    return emitOpError() << "has " << queryHeads << " heads in " << splits
                         << " splits; heads times splits may be at most " << maxGridHeads;
  if (failed(checkPackedHeads(*this, queryHeads / keyHeads)))
    return failure();
  if (schedule && schedule.getStrategy())
    if (std::string reason = whyNot(*schedule.getStrategy()); !reason.empty())
      return emitOpError() << "cannot use strategy '" << stringifyEnum(*schedule.getStrategy())
                           << "': " << reason;
  return success();
}

LogicalResult AttentionOp::reifyResultShapes(OpBuilder &builder,
                                             ReifiedRankedShapedTypeDims &shapes) {
  SmallVector<OpFoldResult> rows;
  for (int64_t dim = 0; dim < 3; ++dim)
    rows.push_back(sizeOf(builder, getLoc(), getQuery(), dim));
  if (getLse())
    shapes.assign(2, rows);
  else
    shapes.assign(1, rows);
  shapes[0].push_back(sizeOf(builder, getLoc(), getValue(), 3));
  return success();
}
