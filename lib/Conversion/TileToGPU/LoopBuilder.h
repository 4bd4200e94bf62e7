//===- LoopBuilder.h - From the stages of a loop over tiles to a loop -*- C++ -* -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_TILETOGPU_LOOPBUILDER_H
#define SFA_CONVERSION_TILETOGPU_LOOPBUILDER_H

#include "dialects/GPU/GPU.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace sfa::simt {

/// Emits the stages of a `sfa_gpu.tile_loop`, in the order that a pipeline wants. Nothing here
/// knows what a stage computes: an operation that gives a pending result is issued, and an
/// `sfa_gpu.wait` is where it has to be there.
class LoopBuilder : public mlir::ImplicitLocOpBuilder {
public:
  using Value = mlir::Value;
  using ValueRange = mlir::ValueRange;
  using Values = llvm::SmallVector<Value>;

  explicit LoopBuilder(TileLoopOp loop) : ImplicitLocOpBuilder(loop.getLoc(), loop), loop(loop) {}

  TileLoopOp loop;

  template <class Op, class... Args>
  auto make(Args &&...args) {
    return Op::create(*this, std::forward<Args>(args)...);
  }

  //===--- Numbers ----------------------------------------------------------===//

  Value i1(bool value) { return make<mlir::arith::ConstantIntOp>(getI1Type(), value); }
  Value i32(int64_t value) { return make<mlir::arith::ConstantIntOp>(getI32Type(), value); }
  Value index(int64_t value) { return make<mlir::arith::ConstantIndexOp>(value); }
  Value add(Value a, Value b) { return make<mlir::arith::AddIOp>(a, b); }
  Value sub(Value a, Value b) { return make<mlir::arith::SubIOp>(a, b); }
  Value compare(mlir::arith::CmpIPredicate predicate, Value a, Value b) {
    return make<mlir::arith::CmpIOp>(predicate, a, b);
  }
  Value less(Value a, Value b) { return compare(mlir::arith::CmpIPredicate::slt, a, b); }
  Value atLeast(Value a, Value b) { return compare(mlir::arith::CmpIPredicate::sge, a, b); }
  Value equal(Value a, Value b) { return compare(mlir::arith::CmpIPredicate::eq, a, b); }
  Value both(Value a, Value b) { return make<mlir::arith::AndIOp>(a, b); }
  Value negate(Value a) { return make<mlir::arith::XOrIOp>(a, i1(true)); }
  Value toI32(Value value) { return make<mlir::arith::IndexCastOp>(getI32Type(), value); }
  Value toIndex(Value value) { return make<mlir::arith::IndexCastOp>(getIndexType(), value); }
  /// The keys of the loop, i32: bulk copies take no larger ones, and registers are few.
  struct Bounds {
    Value lower, upper, step;
  };
  Bounds bounds() {
    return {toI32(loop.getLower()), toI32(loop.getUpper()),
            i32(static_cast<int64_t>(loop.getStep()))};
  }

  //===--- Stages -----------------------------------------------------------===//

  size_t numStates() { return loop.getInits().size() - 1; }
  int64_t numStages() { return static_cast<int64_t>(loop.getStages()); }
  /// Of the probabilities.
  mlir::Type scoreType() {
    return llvm::cast<tile::TileType>(loop.getMask().getArgument(1).getType()).withoutFactors();
  }

  /// A stage whose operations are emitted part by part.
  class Stage {
  public:
    Stage(LoopBuilder &builder, mlir::Region &region, ValueRange arguments);
    /// A stage that gets its arguments later, by `bind`.
    Stage(LoopBuilder &builder, mlir::Region &region);
    void bind(ValueRange arguments) { mapping.map(block.getArguments(), arguments); }
    /// The operations before the first one that reads an argument: they may come early.
    void prepare();
    /// The operations up to the first one that is issued, and that one; none if nothing is issued.
    void issue();
    /// The operations before the first one that is issued.
    void beforeIssue();
    /// Up to the wait for what was issued, and the last use of a tile in shared memory.
    void finishReading();
    /// The others. What the stage yields.
    Values finish();
    /// What the stage yields behind its first value, where nothing is left to emit but the wait for
    /// that.
    Values yieldedBesidesWait();

    /// How many products may be under way behind the wait.
    int64_t pending = 0;
    /// A tile whose registers the issued product may take over.
    Value reuse;
    /// The first key of the tile at hand, an index; null where nothing of the stage may ask for it.
    Value firstKey;
    /// What the product that was issued gives; the left operand that it reads.
    Value issued, left;
    /// The tile that the last `sfa_gpu.pack` took.
    Value packed;

  private:
    void emit(mlir::Operation *op);
    void emitUntil(mlir::Operation *end);

    LoopBuilder &builder;
    mlir::Block &block;
    mlir::IRMapping mapping;
    mlir::Block::iterator next;
  };

  /// The tiles at a place of the rings for scores, or of values.
  Values scorePlaces(Value place);
  Value valuePlace(Value place);
  void awaitScores(Value position);
  void releaseScores(Value position);
  /// Gives the resident rings back where `condition` holds; always where it is null.
  void releaseResidents(Value condition);
  /// Mask and softmax of the tile whose first key is `key`, an index. Returns probabilities, state
  /// and extras.
  Values softmax(Value key, Value scores, ValueRange state, bool isFirst);
  void trim(Value key, Value tile);
  bool trims() { return !mlir::isa<YieldOp>(loop.getTrim().front().front()); }
  void load(Value key, Value place);

  /// scf.if without results.
  void when(Value condition, llvm::function_ref<void()> body);
  /// What the branch taken returns.
  Values choose(Value condition, mlir::TypeRange types, llvm::function_ref<Values()> thenBody,
                llvm::function_ref<Values()> elseBody);
  /// scf.for with values that it carries along.
  Values forEach(Value lower, Value upper, Value step, ValueRange inits,
                 llvm::function_ref<Values(Value, ValueRange)> body);
};

/// Tiles one after the other: nothing overlaps within a warpgroup (InSequence.cpp).
LoopBuilder::Values buildInSequence(LoopBuilder &builder);
/// The scores of a tile are under way during the softmax of the one before (Lookahead.cpp).
LoopBuilder::Values buildWithLookahead(LoopBuilder &builder);
/// Warps copy the tiles that come next while they compute (Multistage.cpp).
LoopBuilder::Values buildMultistage(LoopBuilder &builder);

} // namespace sfa::simt

#endif // SFA_CONVERSION_TILETOGPU_LOOPBUILDER_H
