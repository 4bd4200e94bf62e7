//===- LazySoftmax.cpp - The guard of the lazy softmax on a GPU --------------- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Of a tile
//
//   %p = exp2(%scores - %max)
//   %trips = sfa_tile.trips row_sum(%p), %max
//   scf.if %trips { the full step, from %scores } else { %p goes on }
//
// probabilities take the registers of their scores, and where the guard trips the scores are formed
// again. Scores that grow along the sequence would pay for that in every tile, so a tile behind one
// that raised a reference by much is wary: it takes the full step at once.
//
//   X, trips = wary ? (S, true) : trips(exp2(S)) ? (S formed again, true) : (exp2(S), false)
//   P        = trips ? full step(X) : X
//
// The accumulator has 8 columns more than the values, whose value is 1 for every key: the matrix
// units add up the row sums there, of the probabilities as they are rounded for the product. So
// rows that a few keys dominate, where the largest probability is not 1 as it is with an online
// softmax, stay exact. Sums of the probabilities before they are rounded are formed in lanes only
// where the log-sum-exp needs them.
//
// The guard looks at those sums, or, where there are none, at exponents: all references are raised
// by some binary orders, the probabilities that it lets pass are then below 2, and one bit tells.
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"
#include "mlir/IR/Matchers.h"
#include <cmath>

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;
using namespace sfa::gpu;

/// A tile is wary when the one before it has raised the reference of some row by this factor. It is
/// small beside what a guard lets pass, so that scores that grow slower trip in few tiles only.
static constexpr float waryFactor = 16.0f;

LogicalResult KernelLowering::findGuard(KeyLoopOp loop) {
  Block &softmax = loop.getSoftmax().front();
  auto guards = softmax.getOps<TripsOp>();
  if (guards.empty())
    return success();
  TripsOp guard = *guards.begin();
  auto choices = llvm::make_filter_range(softmax.getOps<scf::IfOp>(), [&](scf::IfOp choice) {
    return choice.getCondition() == guard.getResult() && choice.elseBlock();
  });
  auto sum = guard.getSum().getDefiningOp<RowSumOp>();
  if (choices.empty() || !sum || !sum.getTile().getDefiningOp<Exp2Op>())
    return guard.emitOpError("has to guard row sums of probabilities and to decide an scf.if with "
                             "two branches in the same block; a GPU supports no other use");
  lazy = LazySoftmax{guard, *choices.begin(), std::nullopt};
  int orders;
  float mantissa = std::frexp(guard.getThreshold().convertToFloat(), &orders);
  bool needsSums = !kernel.getBody().getOps<LseOp>().empty() || valueType.isF16();
  if (!needsSums && mantissa == 0.5f && orders > 2)
    lazy->raise = static_cast<float>(orders - 2);
  return success();
}

Fragment KernelLowering::addSumColumns(const Fragment &acc) {
  size_t blockSize = acc.elements.size() / geometry.repeats;
  Fragment wide{{}, acc.columns + sumColumns};
  for (int64_t repeat = 0; repeat < geometry.repeats; ++repeat) {
    llvm::append_range(wide.elements, ArrayRef(acc.elements).slice(repeat * blockSize, blockSize));
    wide.elements.append(sumColumns / 2, emit.f32(0.0f));
  }
  return wide;
}

std::pair<Fragment, RowVector> KernelLowering::splitSumColumns(const Fragment &wide) {
  Fragment acc{{}, wide.columns - sumColumns};
  RowVector sums;
  size_t blockSize = acc.columns / 2;
  for (ArrayRef<Value> rest = wide.elements; !rest.empty();
       rest = rest.drop_front(blockSize + sumColumns / 2)) {
    llvm::append_range(acc.elements, rest.take_front(blockSize));
    // All columns are the same; of the four numbers of a lane two are of each of its rows.
    sums.elements.append({rest[blockSize], rest[blockSize + 2]});
  }
  return {acc, sums};
}

Value KernelLowering::halfOfOnes() {
  return emit.i32(valueType.isBF16() ? 0x3F803F80 : 0x3C003C00);
}

/// Whether some f32 that is not negative is 2 or more, or a NaN.
static Value someReachTwo(Emitter &emit, ValueRange elements) {
  Value bits;
  for (Value element : elements) {
    Value word = emit.bitcast(emit.getI32Type(), element);
    bits = bits ? emit.bitOr(bits, word) : word;
  }
  constexpr int64_t highestExponentBit = int64_t(1) << 30;
  return emit.compare(arith::CmpIPredicate::ne, emit.bitAnd(bits, highestExponentBit), emit.i32(0));
}

void KernelLowering::lower(TripsOp op) {
  if (lazy->raise) {
    // A row without a reference has raised it to infinity, and trips.
    auto powers = op.getSum().getDefiningOp<RowSumOp>().getTile();
    mapping.map(op.getResult(),
                path->any(someReachTwo(emit, fragments.at(powers).elements)));
    return;
  }
  // Parts are compared, not their sum: no shuffles.
  RowVector sum = rowVectors.at(op.getSum()), reference = gather(rowVectors.at(op.getReference()));
  Value threshold = emit.f32(op.getThreshold().convertToFloat()), trips;
  for (auto [part, max] : llvm::zip_equal(sum.elements, reference.elements)) {
    Value above = emit.compare(arith::CmpFPredicate::UGT, part, threshold);
    Value unset = emit.compare(arith::CmpFPredicate::OEQ, max,
                               emit.f32(-std::numeric_limits<float>::infinity()));
    Value row = emit.bitOr(above, unset);
    trips = trips ? emit.bitOr(trips, row) : row;
  }
  mapping.map(op.getResult(), path->any(trips));
}

LogicalResult KernelLowering::lowerLazySoftmax(KeyLoopOp loop, State &state) {
  Region &softmax = loop.getSoftmax();
  TripsOp guard = lazy->guard;
  scf::IfOp choice = lazy->choice;
  Value scores = softmax.getArgument(0), sums = guard.getSum();
  Value powers = sums.getDefiningOp<RowSumOp>().getTile();
  auto isAttempt = [&](Operation &op) { return isa<Exp2Op, RowSumOp, TripsOp>(op); };
  for (Operation &op : softmax.front().without_terminator())
    if (&op != choice && !isAttempt(op) && failed(lower(&op)))
      return failure();

  // Rows without references trip for sure.
  if (llvm::all_of(rowVectors.at(softmax.getArgument(1)).elements,
                   [](Value row) { return matchPattern(row, m_NegInfFloat()); })) {
    mapping.map(guard.getResult(), emit.i1(true));
    state.wary = emit.i1(false);
    if (failed(lower(*choice.thenBlock())))
      return failure();
    for (auto [result, value] :
         llvm::zip_equal(choice.getResults(), choice.thenYield().getOperands()))
      setRegisters(result, registersOf(value, isSpread(value)), isSpread(value));
    return success();
  }

  LogicalResult result = success();
  auto emitOrFail = [&](LogicalResult emitted) {
    if (failed(emitted))
      result = failure();
    return succeeded(result);
  };
  Fragment masked = fragments.at(scores);
  size_t numElements = masked.elements.size(), numSums = state.sum.elements.size();
  Values tried = emit.choose(
      state.wary,
      [&] {
        Values registers = masked.elements;
        registers.append(numSums, emit.f32(0.0f));
        registers.push_back(emit.i1(true));
        return registers;
      },
      [&] {
        for (Operation &op : softmax.front().without_terminator())
          if (isAttempt(op))
            emitOrFail(lower(&op));
        Fragment attempt = fragments.at(powers);
        Value trips = scalar(guard.getResult());
        Values registers = emit.choose(
            trips,
            [&] {
              emitOrFail(path->formScoresAgain(loop, attempt)) && emitOrFail(lowerMask(loop));
              return fragments.at(scores).elements;
            },
            [&] { return attempt.elements; });
        llvm::append_range(registers, rowVectors.at(sums).elements);
        registers.push_back(trips);
        return registers;
      });
  ArrayRef<Value> left = tried;
  Fragment registers{Values(left.take_front(numElements)), masked.columns};
  RowVector laneSums{Values(left.slice(numElements, numSums)), /*isSpread=*/true};
  Value trips = left.back();
  mapping.map(guard.getResult(), trips);

  // Sums stay spread.
  Operation *yield = softmax.front().getTerminator();
  auto staysSpread = [&](Value value) { return value == yield->getOperand(2); };
  auto flatten = [&](Operation *branch, Value wary) {
    Values values;
    for (auto [value, of] : llvm::zip_equal(branch->getOperands(), choice.getResults()))
      llvm::append_range(values, registersOf(value, staysSpread(of)));
    values.push_back(wary);
    return values;
  };
  Values results = emit.choose(
      trips,
      [&] {
        fragments[scores] = registers;
        emitOrFail(lower(*choice.thenBlock()));
        Value factors, raisesMuch;
        for (auto [value, of] :
             llvm::zip_equal(choice.thenYield().getOperands(), choice.getResults()))
          if (of == yield->getOperand(3))
            factors = value;
        for (Value factor : gather(rowVectors.at(factors)).elements) {
          Value row = emit.compare(arith::CmpFPredicate::OLT, factor, emit.f32(1 / waryFactor));
          raisesMuch = raisesMuch ? emit.bitOr(raisesMuch, row) : row;
        }
        return flatten(choice.thenYield(), path->any(raisesMuch));
      },
      [&] {
        fragments[powers] = registers;
        rowVectors[sums] = laneSums;
        emitOrFail(lower(*choice.elseBlock()));
        return flatten(choice.elseYield(), emit.i1(false));
      });
  ValueRange rest = results;
  for (Value of : choice.getResults()) {
    auto tile = cast<TileType>(of.getType());
    size_t count = !tile.isRowVector() ? numElements
                   : staysSpread(of)   ? numSums
                                       : static_cast<size_t>(2 * geometry.repeats);
    setRegisters(of, rest.take_front(count), staysSpread(of));
    rest = rest.drop_front(count);
  }
  state.wary = rest.front();
  return result;
}
