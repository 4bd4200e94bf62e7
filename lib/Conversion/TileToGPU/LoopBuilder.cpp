//===- LoopBuilder.cpp - From the stages of a loop over tiles to a loop -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LoopBuilder.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

using Values = LoopBuilder::Values;

//===----------------------------------------------------------------------===//
// Parts of a stage
//===----------------------------------------------------------------------===//

static bool isIssue(Operation &op) {
  return llvm::any_of(op.getResultTypes(), llvm::IsaPred<PendingType>) && !isa<SettledOp>(op);
}

LoopBuilder::Stage::Stage(LoopBuilder &builder, Region &region)
    : builder(builder), block(region.front()), next(block.begin()) {}

LoopBuilder::Stage::Stage(LoopBuilder &builder, Region &region, ValueRange arguments)
    : Stage(builder, region) {
  bind(arguments);
}

void LoopBuilder::Stage::prepare() {
  auto readsArgument = [&](Operation &op) {
    return llvm::any_of(op.getOperands(), [&](Value operand) {
      return llvm::is_contained(block.getArguments(), operand);
    });
  };
  auto found = llvm::find_if(block.without_terminator(), readsArgument);
  if (found != block.without_terminator().end())
    emitUntil(&*found);
}

void LoopBuilder::Stage::emit(Operation *op) {
  builder.setLoc(op->getLoc());
  if (auto key = dyn_cast<tile::FirstKeyOp>(op); key && firstKey) {
    mapping.map(key.getKey(), firstKey);
    return;
  }
  Operation *clone = builder.clone(*op, mapping);
  auto dot = dyn_cast<IssueDotOp>(clone);
  if (dot && reuse && IssueDotOp::mayReuse(reuse.getType(), dot.getResult().getType().getTile()))
    dot.getReuseMutable().assign(reuse);
  if (auto wait = dyn_cast<WaitOp>(clone))
    wait.setPending(static_cast<uint64_t>(pending));
  if (auto product = dyn_cast<IssueAccumulateOp>(clone))
    left = product.getLeft();
  if (auto pack = dyn_cast<PackOp>(clone))
    packed = pack.getTile();
  if (isIssue(*clone))
    issued = clone->getResult(0);
}

void LoopBuilder::Stage::emitUntil(Operation *end) {
  for (; next != block.end() && &*next != end; ++next)
    emit(&*next);
}

void LoopBuilder::Stage::beforeIssue() {
  auto found = llvm::find_if(block.without_terminator(), isIssue);
  if (found != block.without_terminator().end())
    emitUntil(&*found);
}

void LoopBuilder::Stage::issue() {
  auto found = llvm::find_if(block.without_terminator(), isIssue);
  if (found != block.without_terminator().end())
    emitUntil(found->getNextNode());
}

void LoopBuilder::Stage::finishReading() {
  Operation *last = nullptr;
  auto readsShared = [](Type type) { return isa<SharedType, PendingType>(type); };
  for (Operation &op : block.without_terminator())
    if (llvm::any_of(op.getOperandTypes(), readsShared))
      last = &op;
  if (last && (next == block.end() || !last->isBeforeInBlock(&*next)))
    emitUntil(last->getNextNode());
}

Values LoopBuilder::Stage::finish() {
  emitUntil(block.getTerminator());
  Values yielded;
  for (Value value : block.getTerminator()->getOperands())
    yielded.push_back(mapping.lookupOrDefault(value));
  return yielded;
}

Values LoopBuilder::Stage::yieldedBesidesWait() {
  for (; next != Block::iterator(block.getTerminator()); ++next)
    if (!isa<WaitOp>(*next))
      emit(&*next);
  Values yielded;
  for (Value value : llvm::drop_begin(block.getTerminator()->getOperands()))
    yielded.push_back(mapping.lookupOrDefault(value));
  return yielded;
}

//===----------------------------------------------------------------------===//
// Whole stages
//===----------------------------------------------------------------------===//

Values LoopBuilder::scorePlaces(Value place) {
  Values tiles;
  for (Value ring : loop.getScoreRings())
    tiles.push_back(make<PlaceOp>(cast<RingType>(ring.getType()).getTile(), ring, place));
  return tiles;
}

Value LoopBuilder::valuePlace(Value place) {
  Value ring = loop.getValueRing();
  return make<PlaceOp>(cast<RingType>(ring.getType()).getTile(), ring, place);
}

void LoopBuilder::awaitScores(Value position) {
  for (Value ring : loop.getScoreRings())
    make<AwaitOp>(ring, position);
}

void LoopBuilder::releaseScores(Value position) {
  for (Value ring : loop.getScoreRings())
    make<ReleaseOp>(ring, position, Value());
}

void LoopBuilder::releaseResidents(Value condition) {
  for (Value ring : loop.getResidents())
    make<ReleaseOp>(ring, loop.getResidentPosition(), condition);
}

Values LoopBuilder::softmax(Value key, Value scores, ValueRange state, bool isFirst) {
  Stage mask(*this, loop.getMask(), {key, scores});
  mask.firstKey = key;
  Values arguments{mask.finish().front()};
  llvm::append_range(arguments, state);
  arguments.push_back(i1(isFirst));
  Stage softmax(*this, loop.getSoftmax(), arguments);
  softmax.firstKey = key;
  return softmax.finish();
}

void LoopBuilder::trim(Value key, Value tile) {
  Stage(*this, loop.getTrim(), {key, tile}).finish();
}

void LoopBuilder::load(Value key, Value place) {
  Stage(*this, loop.getLoad(), {key, place}).finish();
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

void LoopBuilder::when(Value condition, function_ref<void()> body) {
  auto choice = make<scf::IfOp>(condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPoint(choice.thenYield());
  body();
}

Values LoopBuilder::choose(Value condition, TypeRange types, function_ref<Values()> thenBody,
                           function_ref<Values()> elseBody) {
  auto choice = make<scf::IfOp>(types, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(choice.thenBlock());
  make<scf::YieldOp>(thenBody());
  setInsertionPointToStart(choice.elseBlock());
  make<scf::YieldOp>(elseBody());
  return Values(choice.getResults());
}

Values LoopBuilder::forEach(Value lower, Value upper, Value step, ValueRange inits,
                            function_ref<Values(Value, ValueRange)> body) {
  auto loop = make<scf::ForOp>(lower, upper, step, inits);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(loop.getBody());
  Values results = body(loop.getInductionVar(), loop.getRegionIterArgs());
  make<scf::YieldOp>(results);
  return Values(loop.getResults());
}
