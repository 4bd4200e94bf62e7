//===- Lazy.cpp - The lazy softmax: references are rarely raised ----------===//
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
// Sums: the accumulator has columns of row sums (`sfa_tile.accumulate`), which matrix units add up,
// of the probabilities as they are rounded for the product. Rows that a few keys dominate, where
// the largest probability is not 1 as it is with an online softmax, stay exact. Sums of the
// probabilities before they are rounded are formed only where the log-sum-exp needs them.
//
// Guard: bf16 has the exponents of f32; references are raised by 8 binary orders, which leaves
// probabilities some 130 orders to grow and 110 to shrink. (By more orders the exponents of the
// largest probabilities would have more bits before the point and fewer behind it; f32, which has
// more bits to lose, does without.) When the
// sums of a product are there, one tile later, rows whose tiles have added more than the guard's
// threshold raise their reference, and the accumulator and the probabilities at hand are scaled.
// Nobody asks in every tile but where `sfa_tile.is_due`, for the tiles since; f16, which has few
// exponents, asks always.
//
// That is late where scores grow by more than 60 orders from each tile to the next. So the rows'
// maxima of a tile are looked at before its exponentials when the tile before it raised references
// by much, and in the second tile: scores that grow all along cost what they cost an online
// softmax.
//
// Where they begin to grow so fast after a while, and an accumulator is not finite in the end, the
// point is computed again with the online softmax.
//
//===----------------------------------------------------------------------===//

#include "Softmax.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace sfa::tile;

static constexpr float unset = -std::numeric_limits<float>::infinity();
/// By how many binary orders a reference is raised at once: so that the factors of what there is
/// are no denormals.
static constexpr float mostOrders = 96.0f;
static constexpr float ln2 = 0.693147180559945309f;

namespace {

/// What the type that holds probabilities allows.
struct Limits {
  /// Binary orders by which references are above the maxima.
  float raise;
  /// What the tiles of a row may add to its sum before its reference is raised.
  float threshold;
  /// A factor below which maxima have grown so much that those of the next tile are looked at, too.
  float muchGrowth;
  /// Whether sums are compared in every tile.
  bool isAlwaysDue;
  /// Whether a score and its reference are subtracted before they are scaled: exponents of -8 and
  /// less, which raised references give, have too few bits behind the point for probabilities of
  /// f32.
  bool differenceFirst;

  explicit Limits(Type valueType) {
    bool isF16 = valueType.isF16(), isF32 = valueType.isF32();
    raise = valueType.isBF16() ? 8.0f : 0.0f;
    threshold = isF16 ? 0x1p8f : std::ldexp(0x1p20f, static_cast<int>(-raise));
    muchGrowth = isF16 ? 0x1p-4f : 0x1p-16f;
    isAlwaysDue = isF16;
    differenceFirst = isF32;
  }
};

/// Arithmetic on the elements of one row.
struct RowBuilder : ImplicitLocOpBuilder {
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  Value f32(float value) { return arith::ConstantOp::create(*this, getF32FloatAttr(value)); }
  Value add(Value a, Value b) { return arith::AddFOp::create(*this, a, b); }
  Value sub(Value a, Value b) { return arith::SubFOp::create(*this, a, b); }
  Value mul(Value a, Value b) { return arith::MulFOp::create(*this, a, b); }
  Value negate(Value a) { return arith::NegFOp::create(*this, a); }
  Value max(Value a, Value b) { return arith::MaxNumFOp::create(*this, a, b); }
  Value fma(Value a, Value b, Value c) { return math::FmaOp::create(*this, a, b, c); }
  Value exp2(Value a) { return math::Exp2Op::create(*this, a); }
  Value log2(Value a) { return math::Log2Op::create(*this, a); }
  Value either(Value a, Value b) { return arith::OrIOp::create(*this, a, b); }
  Value select(Value condition, Value a, Value b) {
    return arith::SelectOp::create(*this, condition, a, b);
  }
  Value compare(arith::CmpFPredicate predicate, Value a, Value b) {
    return arith::CmpFOp::create(*this, predicate, a, b);
  }
  Value isLess(Value a, Value b) { return compare(arith::CmpFPredicate::OLT, a, b); }
  Value isGreater(Value a, Value b) { return compare(arith::CmpFPredicate::OGT, a, b); }
  Value isUnset(Value reference) {
    return compare(arith::CmpFPredicate::OEQ, reference, f32(unset));
  }
};

class Lazy : public SoftmaxForm {
public:
  explicit Lazy(const SoftmaxContext &context)
      : SoftmaxForm(context), limits(context.valueType),
        wideType(TileType::get(
            context.builder.getContext(),
            {context.outputType.getRows(), context.outputType.getColumns() + sumColumns},
            context.builder.getF32Type())) {}

  Values initialize() const override {
    TileType rows = context.rowType();
    State state{context.fill(unset, rows),
                context.fill(limits.threshold, rows),
                context.hasLse() ? context.fill(0.0f, context.partialType()) : Value(),
                context.fill(1.0f, rows),
                flag(false),
                flag(true)};
    Values values = state.values();
    values.insert(values.begin(), context.fill(0.0f, wideType));
    return values;
  }

  Values probabilities(Value scores, ValueRange values, Value isFirst) const override;
  Values accumulate(Value acc, Value probabilities, Value valueTile, ValueRange values,
                    ValueRange) const override;

  Value fails(ValueRange results) const override {
    return context.create<NotFiniteOp>(results.front());
  }
  Value lse(ValueRange results) const override {
    State state = unpack(results.drop_front());
    Value sum = context.create<TotalOp>(context.rowType(), state.unroundedSum);
    if (limits.differenceFirst)
      return context.create<LseOp>(context.rowType(), state.max, sum, context.lseScale,
                                   /*raise=*/FloatAttr());
    return context.create<LseOp>(context.rowType(), state.max, sum, context.exponent,
                                 context.attribute(limits.raise));
  }
  Value output(ValueRange results) const override {
    auto split =
        context.create<SplitSumsOp>(context.outputType, context.rowType(), results.front());
    return context.create<NormalizeOp>(context.outputType, split.getAcc(), split.getSums());
  }
  std::unique_ptr<SoftmaxForm> fallback() const override { return createOnlineSoftmax(context); }

private:
  struct State {
    /// The reference of a row; the sum beyond which it is raised.
    Value max, limit;
    /// The sum of the probabilities before they were rounded; null without a log-sum-exp.
    Value unroundedSum;
    /// What the accumulator has to be multiplied with since the reference has been raised.
    Value pending;
    /// Whether it is not 1 for some row, and whether the next tile is to be looked at.
    Value isPending, looksNext;

    Values values() const {
      Values values = {max, limit};
      if (unroundedSum)
        values.push_back(unroundedSum);
      values.append({pending, isPending, looksNext});
      return values;
    }
  };
  State unpack(ValueRange values) const {
    ValueRange rest = values.drop_front(context.hasLse() ? 3 : 2);
    return {values[0], values[1], context.hasLse() ? values[2] : Value(),
            rest[0],   rest[1],   rest[2]};
  }

  Value flag(bool value) const { return context.create<arith::ConstantIntOp>(value, 1); }
  Value any(Value flags) const { return context.create<AnyOp>(context.builder.getI1Type(), flags); }
  Value either(Value a, Value b) const { return context.create<arith::OrIOp>(a, b); }
  Value scaleRows(Value tile, Value factors) const {
    return context.create<ScaleRowsOp>(tile.getType(), tile, factors, /*mostlyOnes=*/false);
  }
  /// `sfa_tile.map_rows` of the program that `body` emits.
  ResultRange mapRows(ValueRange inputs, TypeRange results,
                      function_ref<Values(RowBuilder &, ValueRange)> body) const;
  /// scf.if whose branches yield what the bodies return, values of `types`.
  ResultRange choose(Value condition, TypeRange types, function_ref<Values()> thenBody,
                     function_ref<Values()> elseBody) const;

  /// In a row program: 2 to the power of what the scaled reference has sunk by, and the same with
  /// an error of f32 however much that is.
  Value referenceRatio(RowBuilder &row, Value before, Value after) const;
  Value exactRatio(RowBuilder &row, Value before, Value after) const;
  /// Raises references to the maxima of the scores at hand.
  State lookAtMaxima(Value scores, State state) const;

  /// What raising references changes.
  struct Raised {
    Value acc, probabilities;
    State state;

    Values values() const {
      Values values = {acc, state.max, state.limit};
      if (state.unroundedSum)
        values.push_back(state.unroundedSum);
      values.append({state.looksNext, probabilities});
      return values;
    }
    Raised with(ValueRange values) const {
      Raised other = *this;
      other.acc = values[0];
      other.state.max = values[1];
      other.state.limit = values[2];
      if (state.unroundedSum)
        other.state.unroundedSum = values[3];
      other.state.looksNext = values.drop_back().back();
      other.probabilities = values.back();
      return other;
    }
  };
  /// Scales by what is pending, and raises the references of rows that trip where some do.
  Raised scaleAll(Raised at, Value sums, Value limit, Value tripped) const;
  /// The rows whose tiles have added too much: the factors of what there is, then the references.
  ResultRange raiseRows(const State &state, Value sums, Value limit) const;

  Limits limits;
  TileType wideType;
};

} // namespace

ResultRange Lazy::mapRows(ValueRange inputs, TypeRange results,
                          function_ref<Values(RowBuilder &, ValueRange)> body) const {
  auto map = context.create<MapRowsOp>(results, inputs);
  SmallVector<Type> types;
  for (Type type : inputs.getTypes())
    types.push_back(cast<TileType>(type).getElementType());
  OpBuilder::InsertionGuard guard(context.builder);
  Block *block = context.builder.createBlock(&map.getBody(), {}, types,
                                             SmallVector<Location>(types.size(), context.loc));
  RowBuilder row(context.loc, context.builder);
  row.setInsertionPointToStart(block);
  YieldOp::create(row, context.loc, body(row, block->getArguments()));
  return map.getResults();
}

ResultRange Lazy::choose(Value condition, TypeRange types, function_ref<Values()> thenBody,
                         function_ref<Values()> elseBody) const {
  auto choice = context.create<scf::IfOp>(types, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(context.builder);
  context.builder.setInsertionPointToStart(choice.thenBlock());
  context.create<scf::YieldOp>(thenBody());
  context.builder.setInsertionPointToStart(choice.elseBlock());
  context.create<scf::YieldOp>(elseBody());
  return choice.getResults();
}

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

Value Lazy::exactRatio(RowBuilder &row, Value before, Value after) const {
  // The difference of the references and what its rounding has lost (Knuth's TwoSum); the product
  // with the scale and what that has lost.
  Value scale = context.exponent;
  Value difference = row.sub(before, after), part = row.sub(difference, before);
  Value lost = row.sub(row.sub(before, row.sub(difference, part)), row.add(after, part));
  Value exponent = row.mul(difference, scale);
  Value rest = row.fma(lost, scale, row.fma(difference, scale, row.negate(exponent)));
  Value power = row.exp2(exponent);
  // Nothing is lost where a row had no reference; its power is 0.
  Value exact = row.fma(power, row.mul(rest, row.f32(ln2)), power);
  return row.select(row.isUnset(before), power, exact);
}

Value Lazy::referenceRatio(RowBuilder &row, Value before, Value after) const {
  Value scale = context.exponent, raise = row.f32(limits.raise);
  Value ratio;
  if (limits.differenceFirst)
    ratio = exactRatio(row, before, after);
  else
    ratio = row.exp2(row.sub(row.fma(before, scale, raise), row.fma(after, scale, raise)));
  return row.select(row.isUnset(after), row.f32(1.0f), ratio);
}

Lazy::State Lazy::lookAtMaxima(Value scores, State state) const {
  TileType rows = context.rowType();
  Value max = context.create<RowMaxOp>(rows, scores, state.max);
  ResultRange found = mapRows({state.max, max}, {rows, context.flagsType()},
                              [&](RowBuilder &row, ValueRange in) -> Values {
                                Value factor = referenceRatio(row, in[0], in[1]);
                                Value much = row.isLess(factor, row.f32(limits.muchGrowth));
                                // A row without a reference takes the maximum of the next tile.
                                return {factor, row.either(much, row.isUnset(in[1]))};
                              });
  state.max = max;
  state.pending = found[0];
  if (context.hasLse())
    state.unroundedSum =
        context.create<MulOp>(context.partialType(), state.unroundedSum, state.pending);
  state.isPending = flag(true);
  state.looksNext = any(found[1]);
  return state;
}

SoftmaxForm::Values Lazy::probabilities(Value scores, ValueRange values, Value isFirst) const {
  State state = unpack(values);
  auto changed = [](const State &of) {
    Values values = of.values();
    values.erase(values.begin() + 1); // The limit stays.
    return values;
  };
  Values before = changed(state);
  TypeRange types = ValueRange(before).getTypes();
  ResultRange results = choose(
      any(state.looksNext), types, [&] { return changed(lookAtMaxima(scores, state)); },
      [&] {
        State kept = state;
        kept.pending = context.fill(1.0f, context.rowType());
        kept.isPending = flag(false);
        return changed(kept);
      });
  Values looked(results);
  looked.insert(looked.begin() + 1, state.limit);
  State next = unpack(looked);
  // Behind the first tile there is nothing to scale yet, and the second one is looked at.
  auto unlessFirst = [&](Value first, Value &otherwise) {
    otherwise = context.create<arith::SelectOp>(isFirst, first, otherwise);
  };
  unlessFirst(state.pending, next.pending);
  unlessFirst(flag(false), next.isPending);
  unlessFirst(flag(true), next.looksNext);

  Value probabilities = context.create<Exp2Op>(
      context.scoreType, scores, next.max, context.exponent, context.attribute(limits.raise),
      limits.differenceFirst ? context.builder.getUnitAttr() : UnitAttr());
  if (context.hasLse())
    next.unroundedSum = context.create<AddOp>(
        context.partialType(), next.unroundedSum,
        Value(context.create<RowSumOp>(context.partialType(), probabilities)));
  Values yielded = next.values();
  yielded.insert(yielded.begin(), probabilities);
  return yielded;
}

//===----------------------------------------------------------------------===//
// Accumulator
//===----------------------------------------------------------------------===//

ResultRange Lazy::raiseRows(const State &state, Value sums, Value limit) const {
  TileType rows = context.rowType();
  return mapRows({sums, state.pending, limit, state.max}, {rows, rows},
                 [&](RowBuilder &row, ValueRange in) -> Values {
                   Value pending = in[1], reference = in[3];
                   Value threshold = row.f32(limits.threshold), most = row.f32(mostOrders);
                   // What the tiles since have added, at the references that the scores at hand
                   // have.
                   Value sum = row.mul(in[0], pending);
                   Value before = row.mul(row.sub(in[2], threshold), pending);
                   Value partial = row.sub(sum, before);
                   Value trips = row.isGreater(partial, threshold);
                   // So that it becomes as much as one key at the reference.
                   Value orders =
                       row.add(row.log2(row.max(partial, threshold)), row.f32(limits.raise));
                   orders = row.select(row.isLess(orders, most), orders, most);
                   Value above = row.fma(orders, context.inverse, reference);
                   Value factor =
                       row.select(trips, referenceRatio(row, reference, above), row.f32(1.0f));
                   return {factor, row.select(trips, above, reference)};
                 });
}

Lazy::Raised Lazy::scaleAll(Raised at, Value sums, Value limit, Value tripped) const {
  TileType rows = context.rowType();
  ResultRange found = choose(
      tripped, {rows, rows, context.scoreType},
      [&]() -> Values {
        ResultRange raised = raiseRows(at.state, sums, limit);
        return {raised[0], raised[1], scaleRows(at.probabilities, raised[0])};
      },
      [&]() -> Values { return {context.fill(1.0f, rows), at.state.max, at.probabilities}; });
  Value factors = found[0];
  at.state.max = found[1];
  at.probabilities = found[2];
  ResultRange scaled =
      mapRows({at.state.pending, factors, sums}, {rows, rows},
              [&](RowBuilder &row, ValueRange in) -> Values {
                Value accFactor = row.mul(in[0], in[1]);
                return {accFactor, row.fma(in[2], accFactor, row.f32(limits.threshold))};
              });
  at.state.limit = scaled[1];
  if (context.hasLse())
    at.state.unroundedSum =
        context.create<MulOp>(context.partialType(), at.state.unroundedSum, factors);
  at.acc = scaleRows(at.acc, scaled[0]);
  at.state.looksNext = either(at.state.looksNext, tripped);
  return at;
}

SoftmaxForm::Values Lazy::accumulate(Value acc, Value probabilities, Value valueTile,
                                     ValueRange values, ValueRange) const {
  Raised at{acc, probabilities, unpack(values)};
  Values before = at.values();
  TypeRange types = ValueRange(before).getTypes();
  Value limit = at.state.limit;
  Value isDue =
      limits.isAlwaysDue ? flag(true) : context.create<IsDueOp>(context.builder.getI1Type());
  Value sums = context.create<RowSumsOfOp>(context.rowType(), acc);
  Value isPending = any(at.state.isPending);
  ResultRange results = choose(
      either(isDue, isPending), types,
      [&] {
        ResultRange compared = mapRows({sums, limit}, {context.flagsType(), context.rowType()},
                                       [&](RowBuilder &row, ValueRange in) -> Values {
                                         Value trips = row.isGreater(in[0], in[1]);
                                         return {trips, row.add(in[0], row.f32(limits.threshold))};
                                       });
        Value tripped = any(compared[0]);
        at.state.limit = compared[1];
        return Values(choose(
            either(tripped, isPending), types,
            [&] { return scaleAll(at, sums, limit, tripped).values(); },
            [&] { return at.values(); }));
      },
      [&] { return before; });
  at = at.with(results);
  Values next = at.state.values();
  next.insert(next.begin(),
              Value(context.create<AccumulateOp>(wideType, at.acc, at.probabilities, valueTile)));
  return next;
}

std::unique_ptr<SoftmaxForm> sfa::tile::createLazySoftmax(const SoftmaxContext &context) {
  return std::make_unique<Lazy>(context);
}
