//===- Problem.cpp - What a schedule is chosen for: one attention ---------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Schedule/Problem.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/MathExtras.h"

#include <fmt/format.h>

using namespace mlir;
using namespace sfa;

static std::optional<int64_t> staticSize(RankedTensorType type, int64_t dim) {
  if (type.isDynamicDim(dim))
    return std::nullopt;
  return type.getDimSize(dim);
}

/// The non-zeros that a row of codes keeps.
static std::optional<int64_t> keptFeatures(RankedTensorType type) {
  int64_t features = type.getDimSize(3);
  if (CodesAttr codes = getCodes(type))
    return std::min(codes.getK(), features);
  if (PostingsAttr postings = getPostings(type))
    return std::min(postings.getK(), features);
  return std::nullopt;
}

static ElementType elementOf(Type type) {
  if (type.isF32())
    return ElementType::F32;
  return type.isBF16() ? ElementType::BF16 : ElementType::F16;
}

Problem Problem::of(AttentionOp op) {
  auto query = cast<RankedTensorType>(op.getQuery().getType());
  auto key = cast<RankedTensorType>(op.getKey().getType());
  RankedTensorType value = op.getValue().getType();
  MaskAttr mask = op.getMaskOrNone();
  Problem problem;
  problem.queryHeads = query.getDimSize(1);
  problem.keyHeads = value.getDimSize(1);
  problem.features = query.getDimSize(3);
  problem.valueFeatures = value.getDimSize(3);
  problem.queryCodes = keptFeatures(query);
  problem.keyCodes = keptFeatures(key);
  problem.keyScales = getScales(key);
  CodesAttr codes = getCodes(query);
  problem.isTwoFour = codes && codes.getTwoFour();
  problem.element = elementOf(value.getElementType());
  problem.hasLse = static_cast<bool>(op.getLse());
  problem.hasSequences = op.hasSequences();
  problem.leftBound = mask.leftBound();
  problem.rightBound = mask.rightBound();
  problem.batch = staticSize(query, 0);
  problem.queryTokens = staticSize(query, 2);
  problem.keyTokens = staticSize(value, 2);
  if (op.hasSequences()) {
    problem.numSequences = staticSize(cast<RankedTensorType>(op.getSequences()[0].getType()), 0);
    if (problem.numSequences)
      --*problem.numSequences;
  }
  return problem;
}

bool Problem::hasSizesOf(const Problem &other) const {
  auto sizes = [](const Problem &problem) {
    return std::tuple(problem.batch, problem.numSequences, problem.queryHeads, problem.keyHeads,
                      problem.queryTokens, problem.keyTokens);
  };
  return sizes(*this) == sizes(other);
}

/// `tokens` of each of `sequences`.
static std::optional<int64_t> meanOf(std::optional<int64_t> tokens,
                                     std::optional<int64_t> sequences) {
  if (!tokens || !sequences)
    return std::nullopt;
  return llvm::divideCeil(*tokens, *sequences);
}

std::optional<int64_t> Problem::numQueries() const { return meanOf(queryTokens, numSequences); }

std::optional<int64_t> Problem::numKeys() const { return meanOf(keyTokens, numSequences); }

//===----------------------------------------------------------------------===//
// Problems of calls
//===----------------------------------------------------------------------===//

/// The dimension `dim` of `value`, batch or tokens, as one of an argument of the function; none
/// where it does not come from one.
std::optional<ProblemOfCalls::Place> ProblemOfCalls::find(Value value, size_t dim) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isa<SparsifyOp, QuantizeOp, DensifyOp, FeatureMajorOp, PostingsOp, tensor::CastOp>(op))
      return std::nullopt;
    value = op->getOperand(0);
  }
  auto argument = cast<BlockArgument>(value);
  if (!isa<func::FuncOp>(argument.getOwner()->getParentOp()))
    return std::nullopt;
  size_t number = 0;
  for (BlockArgument before :
       argument.getOwner()->getArguments().take_front(argument.getArgNumber()))
    number += getNumPhysical(before.getType());
  return Place{number, dim};
}

ProblemOfCalls::ProblemOfCalls(AttentionOp op) : problem(Problem::of(op)) {
  batch = find(op.getQuery(), 0);
  queryTokens = find(op.getQuery(), 2);
  keyTokens = find(op.getValue(), 2);
  if (op.hasSequences())
    offsets = find(op.getSequences()[0], 0);
}

llvm::Expected<Problem> ProblemOfCalls::at(ArrayRef<ArrayRef<int64_t>> shapes) const {
  Problem result = problem;
  for (std::optional<Place> place : {batch, queryTokens, keyTokens, offsets})
    if (place && (place->argument >= shapes.size() || place->dim >= shapes[place->argument].size()))
      return llvm::createStringError(
          fmt::format("there is no dimension {} of argument {} among the {} shapes", place->dim,
                      place->argument, shapes.size()));
  auto hint = [&](std::optional<int64_t> &size, std::optional<Place> place, int64_t surplus = 0) {
    if (size || !place)
      return;
    size = shapes[place->argument][place->dim] - surplus;
    result.sizesAreHints = true;
  };
  hint(result.batch, batch);
  hint(result.queryTokens, queryTokens);
  hint(result.keyTokens, keyTokens);
  // s sequences have s + 1 offsets.
  hint(result.numSequences, offsets, /*surplus=*/1);
  if (result.numSequences && *result.numSequences < 1)
    return llvm::createStringError(
        "s sequences have s + 1 offsets, and at least 1 sequence is needed");
  return result;
}
