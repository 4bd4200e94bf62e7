//===- SFACacheOps.cpp - Verifiers of the operations on a paged cache -----===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Checks.h"
#include "mlir/IR/Builders.h"
#include <cmath>

using namespace mlir;
using namespace sfa;

double DecodeOp::getConstantScale() {
  if (std::optional<APFloat> scale = getScale())
    return scale->convertToDouble();
  return 1.0 / std::sqrt(static_cast<double>(getQuery().getType().getDimSize(3)));
}

int64_t DecodeOp::getGroup() {
  return getQuery().getType().getDimSize(1) /
         cast<RankedTensorType>(getKey().getType()).getDimSize(1);
}

/// Diagnoses keys and values that are not pages of one cache; `name` is that of the values.
static LogicalResult checkPages(Operation *op, RankedTensorType key, RankedTensorType value,
                                StringRef name = "value") {
  int64_t size = key.getDimSize(2);
  if (!DecodeOp::allowsPageSize(size))
    return op->emitOpError() << "has pages of " << (ShapedType::isDynamic(size) ? "any number of"
                                                                                : Twine(size))
                             << " tokens, key of type " << key
                             << "; a page has 16, 32, 64 or 128";
  for (int64_t dim : {0, 1, 2})
    if (failed(checkDim(op, name, value, dim, key.getDimSize(dim), "the key")))
      return failure();
  return success();
}

LogicalResult DecodeOp::verify() {
  RankedTensorType query = getQuery().getType(), value = getValue().getType(),
                   output = getOutput().getType();
  auto key = cast<RankedTensorType>(getKey().getType());
  std::pair<StringRef, RankedTensorType> tensors[] = {
      {"query", query}, {"key", key}, {"value", value}, {"output", output}};
  for (auto [name, type] : tensors)
    if (failed(checkTensor(*this, name, type)) ||
        failed(checkElementType(*this, name, type, query.getElementType(), "the query")))
      return failure();
  if (failed(checkPages(*this, key, value)) ||
      failed(checkDim(*this, "key", key, 3, query.getDimSize(3), "the query")))
    return failure();
  int64_t queryHeads = query.getDimSize(1), keyHeads = key.getDimSize(1);
  if (queryHeads % keyHeads != 0)
    return emitOpError() << "query has " << queryHeads << " heads, which is not a multiple of the "
                         << keyHeads << " heads of the key";
  for (int64_t dim : {0, 1, 2})
    if (failed(checkDim(*this, "output", output, dim, query.getDimSize(dim), "the query")))
      return failure();
  if (failed(checkDim(*this, "output", output, 3, value.getDimSize(3), "the value")))
    return failure();
  if (Value lse = getLse())
    for (int64_t dim : {0, 1, 2})
      if (failed(checkDim(*this, "lse", cast<RankedTensorType>(lse.getType()), dim,
                          query.getDimSize(dim), "the query")))
        return failure();
  for (auto [name, tensor] : {std::pair<StringRef, Value>{"table", getTable()},
                              {"lengths", getLengths()}})
    if (failed(checkDim(*this, name, cast<RankedTensorType>(tensor.getType()), 0,
                        query.getDimSize(0), "the query")))
      return failure();
  if (std::optional<uint64_t> left = getLeft(); left && static_cast<int64_t>(*left) < 0)
    return emitOpError() << "has a window of " << static_cast<int64_t>(*left)
                         << " keys before a query; it has to be 0 or more";
  if (getScale() && getScaleValue())
    return emitOpError("has two scales, a constant and a value; give one");
  if (std::optional<APFloat> scale = getScale(); scale && !scale->isFinite())
    return emitOpError("scale has to be a finite number");
  return success();
}

LogicalResult DecodeOp::reifyResultShapes(OpBuilder &builder,
                                          ReifiedRankedShapedTypeDims &shapes) {
  SmallVector<OpFoldResult> rows;
  for (int64_t dim = 0; dim < 3; ++dim)
    rows.push_back(sizeOf(builder, getLoc(), getQuery(), dim));
  shapes.assign(getLse() ? 2 : 1, rows);
  shapes[0].push_back(sizeOf(builder, getLoc(), getValue(), 3));
  return success();
}

//===----------------------------------------------------------------------===//
// CacheAppendOp
//===----------------------------------------------------------------------===//

bool CacheAppendOp::selectsFeatures() {
  return ::sfa::getCodes(getKeyPages().getType()) && !::sfa::getCodes(getKey().getType());
}

/// Diagnoses keys whose codes are not those of the pages.
static LogicalResult checkCodes(CacheAppendOp op, RankedTensorType key, RankedTensorType pages) {
  CodesAttr given = ::sfa::getCodes(key), wanted = ::sfa::getCodes(pages);
  for (auto [name, type] : {std::pair<StringRef, RankedTensorType>{"key", key}, {"key pages", pages}})
    if (::sfa::getScales(type))
      return op.emitOpError() << name << " has type " << type
                              << "; codes of 8 bits are not supported in a cache yet";
  if (given && !wanted)
    return op.emitOpError() << "writes codes, " << key << ", to dense pages, " << pages
                            << "; write them out with sfa.densify before";
  if (given && given.getK() != wanted.getK())
    return op.emitOpError() << "key has codes of " << given.getK() << " features, expected are "
                            << wanted.getK() << ", as in the key pages";
  return success();
}

LogicalResult CacheAppendOp::verify() {
  auto key = cast<RankedTensorType>(getKey().getType()),
       keyPages = cast<RankedTensorType>(getKeyPages().getType());
  RankedTensorType value = getValue().getType(), valuePages = getValuePages().getType();
  std::pair<StringRef, RankedTensorType> tensors[] = {
      {"key", key}, {"value", value}, {"key pages", keyPages}, {"value pages", valuePages}};
  for (auto [name, type] : tensors)
    if (failed(checkTensor(*this, name, type)) ||
        failed(checkElementType(*this, name, type, key.getElementType(), "the key")))
      return failure();
  if (failed(checkPages(*this, keyPages, valuePages, "value pages")) ||
      failed(checkCodes(*this, key, keyPages)))
    return failure();
  for (int64_t dim : {0, 1, 2})
    if (failed(checkDim(*this, "value", value, dim, key.getDimSize(dim), "the key")))
      return failure();
  for (int64_t dim : {1, 3})
    if (failed(checkDim(*this, "key pages", keyPages, dim, key.getDimSize(dim), "the key")) ||
        failed(checkDim(*this, "value pages", valuePages, dim, value.getDimSize(dim), "the value")))
      return failure();

  if (static_cast<bool>(getSlots()) == static_cast<bool>(getTable()))
    return emitOpError("needs the places of the tokens: either slots, or pages");
  if (Value slots = getSlots()) {
    if (!compatible(key.getDimSize(0), 1))
      return emitOpError() << "has a batch of " << key.getDimSize(0)
                           << "; with slots it has to be 1, with the tokens of all sequences";
    int64_t given = cast<RankedTensorType>(slots.getType()).getDimSize(0);
    if (!compatible(given, key.getDimSize(2)))
      return emitOpError() << "has " << given << " slots for " << key.getDimSize(2)
                           << " tokens; each token needs one";
    return success();
  }
  for (auto [name, tensor] : {std::pair<StringRef, Value>{"table", getTable()},
                              {"lengths", getLengths()}})
    if (failed(checkDim(*this, name, cast<RankedTensorType>(tensor.getType()), 0,
                        key.getDimSize(0), "the key")))
      return failure();
  return success();
}
