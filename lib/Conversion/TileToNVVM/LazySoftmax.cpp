//===- LazySoftmax.cpp - A softmax that rarely raises its references on a GPU -- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A row keeps the maximum of the first key tile that it sees as its reference, so the loop forms no
// maxima and scales no accumulators: an exponential and half a conversion for each score. That is
// exact as long as nothing overflows, since floating-point numbers have the same relative precision
// at any size.
//
// Sums: the accumulator has 8 columns more than the values, whose value is 1 for every key, so the
// matrix units add up the row sums, of the probabilities as they are rounded for the product. Rows
// that a few keys dominate, where the largest probability is not 1 as it is with an online softmax,
// stay exact. Sums of the probabilities before they are rounded are formed in lanes only where the
// log-sum-exp needs them.
//
// Guard: bf16 has the exponents of f32; references are raised by 8 binary orders, which leaves
// probabilities some 130 orders to grow and 110 to shrink. (By more orders the exponents of the
// largest probabilities would have more bits before the point and fewer behind it.) When the sums
// of a product are there, one tile later, rows whose tiles have added more than the guard's
// threshold raise their reference, and the accumulator and the probabilities at hand are scaled.
// Nobody asks in every tile but in those of the first stage of the ring, for the tiles since; f16,
// which has few exponents, asks always.
//
// That is late where scores grow by more than 60 orders from each tile to the next. So a warp looks
// at the maxima of a tile before its exponentials when the tile before it raised references by
// much, and at those of the second tile: scores that grow all along cost what they cost an online
// softmax.
//
// Where they begin to grow so fast after a while, and an accumulator is not finite in the end, the
// block computes its rows again with the full step for every tile: a second pass.
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"
#include "mlir/IR/Matchers.h"
#include <cmath>

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;
using namespace sfa::gpu;

static constexpr float infinity = std::numeric_limits<float>::infinity();
/// By how many binary orders a reference is raised at once: so that the factors of what there is
/// are no denormals.
static constexpr float mostOrders = 96.0f;

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
  auto powers = sum ? sum.getTile().getDefiningOp<Exp2Op>() : Exp2Op();
  if (choices.empty() || !powers || (*choices.begin()).thenBlock()->getOps<RowMaxOp>().empty())
    return guard.emitOpError(
        "has to guard row sums of probabilities and to decide an scf.if in the "
        "same block, whose first branch forms row maxima; a GPU supports no "
        "other use");
  // f16 has no exponents to spare.
  int raise = valueType.isBF16() ? 8 : 0;
  lazy = LazySoftmax{guard,
                     *choices.begin(),
                     powers,
                     static_cast<float>(raise),
                     std::ldexp(guard.getThreshold().convertToFloat(), -raise),
                     !kernel.getBody().getOps<LseOp>().empty()};
  isOptimistic = true;
  return success();
}

//===----------------------------------------------------------------------===//
// Columns of sums
//===----------------------------------------------------------------------===//

Value KernelLowering::halfOfOnes() {
  return emit.i32(valueType.isBF16() ? 0x3F803F80 : 0x3C003C00);
}

/// An accumulator with columns of sums, which are 0.
static Fragment addSumColumns(Emitter &emit, const Fragment &acc, int64_t repeats) {
  constexpr int64_t columns = KernelLowering::sumColumns;
  size_t blockSize = acc.elements.size() / repeats;
  Fragment wide{{}, acc.columns + columns};
  for (int64_t repeat = 0; repeat < repeats; ++repeat) {
    llvm::append_range(wide.elements, ArrayRef(acc.elements).slice(repeat * blockSize, blockSize));
    wide.elements.append(columns / 2, emit.f32(0.0f));
  }
  return wide;
}

/// The parts of such an accumulator.
static std::pair<Fragment, RowVector> splitSumColumns(const Fragment &wide) {
  constexpr int64_t columns = KernelLowering::sumColumns;
  Fragment acc{{}, wide.columns - columns};
  RowVector sums;
  size_t blockSize = acc.columns / 2;
  for (ArrayRef<Value> rest = wide.elements; !rest.empty();
       rest = rest.drop_front(blockSize + columns / 2)) {
    llvm::append_range(acc.elements, rest.take_front(blockSize));
    // All columns are the same; of the four numbers of a lane two are of each of its rows.
    sums.elements.append({rest[blockSize], rest[blockSize + 2]});
  }
  return {acc, sums};
}

//===----------------------------------------------------------------------===//
// Stages of the loop
//===----------------------------------------------------------------------===//

KernelLowering::State KernelLowering::initialLazyState(const State &state) {
  State lazyState = state;
  size_t numRows = state.max.elements.size();
  lazyState.acc = addSumColumns(emit, state.acc, geometry.repeats);
  lazyState.sum.elements.assign(numRows, emit.f32(lazy->threshold));
  if (lazy->hasLse)
    lazyState.laneSum = spread(state.sum);
  lazyState.pending.elements.assign(numRows, emit.f32(1.0f));
  lazyState.isPending = emit.i1(false);
  lazyState.looksNext = emit.i1(true);
  return lazyState;
}

Value KernelLowering::referenceRatio(Value before, Value after) {
  Value scale = emit.f32(lazy->powers.getScale().convertToFloat()), raise = emit.f32(lazy->raise);
  Value ratio = emit.exp2(emit.sub(emit.fma(before, scale, raise), emit.fma(after, scale, raise)));
  Value unset = emit.compare(arith::CmpFPredicate::OEQ, after, emit.f32(-infinity));
  return emit.select(unset, emit.f32(1.0f), ratio);
}

void KernelLowering::lookAtMaxima(State &state) {
  RowMaxOp rowMax = *lazy->choice.thenBlock()->getOps<RowMaxOp>().begin();
  lower(rowMax);
  RowVector before = state.max;
  state.max = rowVectors.at(rowMax.getResult());
  Value looks;
  for (auto [row, after] : llvm::enumerate(state.max.elements)) {
    Value factor = referenceRatio(before.elements[row], after);
    state.pending.elements[row] = factor;
    if (lazy->hasLse)
      state.laneSum.elements[row] = emit.mul(state.laneSum.elements[row], factor);
    Value much = emit.compare(arith::CmpFPredicate::OLT, factor,
                              emit.f32(std::exp2(-(valueType.isBF16() ? 16.0f : 4.0f))));
    // A row without a reference takes the maximum of the next tile.
    Value unset = emit.compare(arith::CmpFPredicate::OEQ, after, emit.f32(-infinity));
    much = emit.bitOr(much, unset);
    looks = looks ? emit.bitOr(looks, much) : much;
  }
  state.isPending = emit.i1(true);
  state.looksNext = emit.any(looks);
}

FailureOr<KernelLowering::Weights> KernelLowering::lowerLazySoftmax(KeyLoopOp loop, State &state) {
  Value reference = loop.getSoftmax().getArgument(1);
  rowVectors[reference] = state.max;
  // All but the accumulator, which products may be writing.
  State shape = state;
  shape.acc.elements.clear();
  auto withoutAcc = [&](State of) {
    of.acc.elements.clear();
    return flatten(of);
  };
  State looked = state, kept = state;
  bool isFirst = llvm::all_of(state.max.elements,
                              [](Value row) { return matchPattern(row, m_NegInfFloat()); });
  if (isFirst) {
    // There is nothing to scale yet.
    lookAtMaxima(looked);
    looked.pending = state.pending;
    looked.isPending = emit.i1(false);
    looked.looksNext = emit.i1(true);
  } else {
    Values results = emit.choose(
        emit.any(state.looksNext),
        [&] {
          lookAtMaxima(looked);
          return withoutAcc(looked);
        },
        [&] {
          kept.pending.elements.assign(kept.pending.elements.size(), emit.f32(1.0f));
          kept.isPending = emit.i1(false);
          return withoutAcc(kept);
        });
    looked = unflatten(shape, results);
  }
  looked.acc = state.acc;
  state = looked;

  rowVectors[reference] = state.max;
  lower(lazy->powers);
  if (lazy->hasLse) {
    lower(lazy->guard.getSum().getDefiningOp<RowSumOp>());
    state.laneSum = combine({state.laneSum, rowVectors.at(lazy->guard.getSum())},
                            [&](ArrayRef<Value> in) { return emit.add(in[0], in[1]); });
  }
  // The accumulator is scaled in `raiseReferences`.
  return Weights{fragments.at(lazy->powers.getResult()), RowVector(), emit.i1(false)};
}

void KernelLowering::raiseReferences(State &state, Fragment &probabilities, Value isDue) {
  if (!valueType.isBF16())
    isDue = emit.i1(true);
  float exponent = lazy->powers.getScale().convertToFloat();
  Value raise = emit.f32(lazy->raise), threshold = emit.f32(lazy->threshold),
        most = emit.f32(mostOrders), one = emit.f32(1.0f);
  RowVector sums = splitSumColumns(state.acc).second, limits = state.sum;
  size_t numProbabilities = probabilities.elements.size();
  auto pack = [&](const State &of, const Fragment &tile) {
    Values values = flatten(of);
    llvm::append_range(values, tile.elements);
    return values;
  };

  auto scaleRows = [&](const Fragment &tile, const Values &by) {
    Values scaled;
    for (auto [i, element] : llvm::enumerate(tile.elements))
      scaled.push_back(emit.mul(element, by[tile.rowOf(i)]));
    return scaled;
  };
  // The branch of rows that trip: their new references and by what they scale.
  auto raiseRows = [&](RowVector max) {
    Values factors;
    for (size_t row = 0; row < sums.elements.size(); ++row) {
      // What the tiles since have added, at the references that the scores at hand have.
      Value pending = state.pending.elements[row], &reference = max.elements[row];
      Value sum = emit.mul(sums.elements[row], pending);
      Value before = emit.mul(emit.sub(limits.elements[row], threshold), pending);
      Value partial = emit.sub(sum, before);
      Value trips = emit.compare(arith::CmpFPredicate::OGT, partial, threshold);
      // So that it becomes as much as one key at the reference.
      Value orders = emit.add(emit.log2(emit.max(partial, threshold)), raise);
      orders = emit.select(emit.compare(arith::CmpFPredicate::OLT, orders, most), orders, most);
      Value above = emit.fma(orders, emit.f32(1 / exponent), reference);
      factors.push_back(emit.select(trips, referenceRatio(reference, above), one));
      reference = emit.select(trips, above, reference);
    }
    Values results = factors;
    llvm::append_range(results, max.elements);
    llvm::append_range(results, scaleRows(probabilities, factors));
    return results;
  };
  // The branch of such rows, and of factors that are pending.
  auto scaleAll = [&](State raised, Value tripped) {
    size_t numRows = sums.elements.size();
    Values found = emit.choose(
        tripped, [&] { return raiseRows(raised.max); },
        [&] {
          Values same(numRows, one);
          llvm::append_range(same, raised.max.elements);
          llvm::append_range(same, probabilities.elements);
          return same;
        });
    ValueRange rest = found;
    ValueRange factors = rest.take_front(numRows);
    raised.max.elements = Values(rest.slice(numRows, numRows));
    Values accFactors;
    for (auto [row, factor] : llvm::enumerate(factors)) {
      accFactors.push_back(emit.mul(state.pending.elements[row], factor));
      raised.sum.elements[row] = emit.fma(sums.elements[row], accFactors.back(), threshold);
      if (lazy->hasLse)
        raised.laneSum.elements[row] = emit.mul(raised.laneSum.elements[row], factor);
    }
    raised.acc.elements = scaleRows(raised.acc, accFactors);
    raised.looksNext = emit.bitOr(raised.looksNext, tripped);
    Fragment scaled = probabilities;
    scaled.elements = Values(rest.drop_front(2 * numRows));
    return pack(raised, scaled);
  };

  // It is the same in all lanes: a ballot lets the assembler know.
  Value isPending = emit.any(state.isPending);
  Values results = emit.choose(
      emit.bitOr(isDue, isPending),
      [&] {
        Value someTrip;
        State current = state;
        for (auto [limit, sum, next] :
             llvm::zip_equal(limits.elements, sums.elements, current.sum.elements)) {
          Value trips = emit.compare(arith::CmpFPredicate::OGT, sum, limit);
          someTrip = someTrip ? emit.bitOr(someTrip, trips) : trips;
          // A number of its own: registers of the accumulator are not to be read during products.
          next = emit.add(sum, threshold);
        }
        Value tripped = emit.any(someTrip);
        return emit.choose(
            emit.bitOr(tripped, isPending), [&] { return scaleAll(current, tripped); },
            [&] { return pack(current, probabilities); });
      },
      [&] { return pack(state, probabilities); });
  ValueRange rest = results;
  probabilities.elements = Values(rest.take_back(numProbabilities));
  state = unflatten(state, rest.drop_back(numProbabilities));
}

//===----------------------------------------------------------------------===//
// End
//===----------------------------------------------------------------------===//

/// Whether some element is infinite or a NaN.
static Value someAreNotFinite(Emitter &emit, ValueRange elements) {
  // 0 x is 0 or a NaN.
  constexpr size_t numChains = 4;
  Emitter::Values chains(numChains, emit.f32(0.0f));
  for (auto [i, element] : llvm::enumerate(elements))
    chains[i % numChains] = emit.fma(element, emit.f32(0.0f), chains[i % numChains]);
  Value sum = emit.add(emit.add(chains[0], chains[1]), emit.add(chains[2], chains[3]));
  return emit.compare(arith::CmpFPredicate::UNO, sum, sum);
}

void KernelLowering::finishLazy(KeyLoopOp loop, const State &state) {
  overflows = someAreNotFinite(emit, state.acc.elements);
  auto [acc, sum] = splitSumColumns(state.acc);
  fragments[loop.getAcc()] = acc;
  rowVectors[loop.getMax()] = state.max;
  rowVectors[loop.getSum()] = sum;
  laneSum = state.laneSum;
}

LogicalResult KernelLowering::lowerFullStep(KeyLoopOp loop) {
  mapping.map(lazy->guard.getResult(), emit.i1(true));
  for (Operation &op : loop.getSoftmax().front().without_terminator())
    if (&op != lazy->choice && !isa<Exp2Op, RowSumOp, TripsOp>(op) && failed(lower(&op)))
      return failure();
  if (failed(lower(*lazy->choice.thenBlock())))
    return failure();
  for (auto [result, value] :
       llvm::zip_equal(lazy->choice.getResults(), lazy->choice.thenYield().getOperands()))
    setRegisters(result, registersOf(value, isSpread(value)), isSpread(value));
  return success();
}
