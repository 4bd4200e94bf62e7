//===- Attention.cpp - The kernel of sfa.attention ------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelBuilder.h"
#include "Scaling.h"
#include "Softmaxes/Softmax.h"
#include "Strategies/Strategy.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;

static std::unique_ptr<ScoreStrategy> createStrategy(Strategy strategy) {
  switch (strategy) {
  case Strategy::Dense:
    return createDenseStrategy();
  case Strategy::Gather:
    return createGatherStrategy();
  case Strategy::Scatter:
    return createScatterStrategy();
  case Strategy::SparseMma:
    return createSparseMmaStrategy();
  }
  llvm_unreachable("a strategy without a case");
}

namespace {

/// Emits the body of one kernel.
class AttentionKernel {
public:
  AttentionKernel(OpBuilder &builder, AttentionOp op, KernelOp kernel)
      : builder(builder), loc(op.getLoc()), op(op), schedule(resolve(op.getScheduleAttr())),
        strategy(createStrategy(schedule.strategy)), mask(op.getMaskOrNone()),
        qTile(schedule.qTile), kTile(schedule.kTile), splits(schedule.splits),
        packedHeads(schedule.packedHeads), positions(ScheduleAttr::rowsOfHead(qTile, packedHeads)),
        kernel(kernel) {
    Type f32 = builder.getF32Type();
    MLIRContext *context = builder.getContext();
    if (!op.getScaleValue())
      scaling.emplace(op.getConstantScale());
    scoreType = TileType::get(context, {qTile, kTile}, f32);
    accType = TileType::get(context, {qTile, op.getValue().getType().getDimSize(3)}, f32);
  }

  void emit(const Operand &query, const Operand &key, const Operand &value, ValueRange offsets,
            Value output, Value lse);

private:
  template <class Op, class... Args>
  auto create(Args &&...args) {
    return Op::create(builder, loc, std::forward<Args>(args)...);
  }
  Value constant(int64_t value) { return create<arith::ConstantIndexOp>(value); }
  Value fill(float value, TileType type) {
    return create<FillOp>(type, builder.getF32FloatAttr(value));
  }

  /// The rows of the tile at hand: from `row` on of a sequence. Positions of queries and keys count
  /// from the beginning of the sequence, which is the only one where there are no offsets.
  struct Rows {
    Value row, numQueries, numKeys;
    /// Where the sequence begins and ends in the memories; null where it is all of them.
    Value queryBegin, queryEnd, keyBegin, keyEnd;
  };
  Rows findRows(const Operand &query, const Operand &key, ValueRange offsets);
  /// Where the row at `position` of a sequence is in memory.
  Value inMemory(Value begin, Value position) {
    return begin ? Value(create<arith::AddIOp>(begin, position)) : position;
  }

  /// The keys [lower, upper) that some query of the tile sees; lower is a multiple of the key tile.
  std::pair<Value, Value> keyRange(const Rows &rows);
  /// Of the keys [lower, upper) those of share `split`: whole key tiles, one more or less than in
  /// other shares, or none.
  std::pair<Value, Value> shareOf(std::pair<Value, Value> keys, Value split);

  /// Makes a stage of `loop` with these block arguments and leaves the builder in it.
  Block *startStage(Region &stage, TypeRange arguments);

  /// What the loop over key tiles and the epilogue are made of.
  struct Pass {
    const Operand &key, &value;
    KernelContext atKey;
    const Rows &rows;
    ValueRange queries;
    std::pair<Value, Value> keys;
    /// Where results go; the log-sum-exp may be null.
    Value output, lse, batch, head, firstRow;
  };
  KeyLoopOp emitLoop(const Pass &pass, const SoftmaxForm &softmax);
  /// The loop and the epilogue, and the same with what `softmax` falls back to where it fails.
  void emitPass(const Pass &pass, const SoftmaxForm &softmax);

  OpBuilder &builder;
  Location loc;
  AttentionOp op;
  ResolvedSchedule schedule;
  std::unique_ptr<ScoreStrategy> strategy;
  /// Empty where the kernel takes the scale.
  std::optional<Scaling> scaling;
  MaskAttr mask;
  int64_t qTile, kTile, splits;
  /// Heads that share a query tile, and how many queries of each are in it.
  int64_t packedHeads, positions;
  KernelOp kernel;
  TileType scoreType, accType;
};

AttentionKernel::Rows AttentionKernel::findRows(const Operand &query, const Operand &key,
                                                ValueRange offsets) {
  Value tile = kernel.getCoordinates()[2];
  Value numQueries = create<memref::DimOp>(query.memories[0], 2);
  Value numKeys = create<memref::DimOp>(key.memories[0], 2);
  if (offsets.empty())
    return {create<arith::MulIOp>(tile, constant(positions)), numQueries, numKeys, {}, {}, {}, {}};
  auto found = create<SequenceTileOp>(offsets[0], offsets[1], tile, positions, numQueries, numKeys);
  return {found.getRow(),
          create<arith::SubIOp>(found.getQueryEnd(), found.getQueryBegin()),
          create<arith::SubIOp>(found.getKeyEnd(), found.getKeyBegin()),
          found.getQueryBegin(),
          found.getQueryEnd(),
          found.getKeyBegin(),
          found.getKeyEnd()};
}

std::pair<Value, Value> AttentionKernel::keyRange(const Rows &rows) {
  auto [row, numQueries, numKeys] = std::tie(rows.row, rows.numQueries, rows.numKeys);
  Value zero = constant(0), lower = zero, upper = numKeys;
  // Query i is aligned with key i + shift: the last query with the last key.
  Value shift = create<arith::SubIOp>(numKeys, numQueries);
  if (std::optional<int64_t> right = mask.rightBound()) {
    Value end = create<arith::MinSIOp>(create<arith::AddIOp>(row, constant(positions)), numQueries);
    Value last = create<arith::AddIOp>(create<arith::AddIOp>(end, shift), constant(*right));
    upper = create<arith::MaxSIOp>(create<arith::MinSIOp>(upper, last), zero);
  }
  if (std::optional<int64_t> left = mask.leftBound()) {
    Value aligned = create<arith::AddIOp>(row, shift);
    Value first = create<arith::MaxSIOp>(create<arith::SubIOp>(aligned, constant(*left)), zero);
    lower = create<arith::SubIOp>(first, create<arith::RemUIOp>(first, constant(kTile)));
  }
  return {lower, upper};
}

std::pair<Value, Value> AttentionKernel::shareOf(std::pair<Value, Value> keys, Value split) {
  Value lower = keys.first, upper = keys.second;
  Value length = create<arith::MaxSIOp>(create<arith::SubIOp>(upper, lower), constant(0));
  Value tiles = create<arith::CeilDivUIOp>(length, constant(kTile));
  auto begin = [&](Value share) -> Value {
    Value tile = create<arith::DivUIOp>(create<arith::MulIOp>(tiles, share), constant(splits));
    return create<arith::AddIOp>(lower, create<arith::MulIOp>(tile, constant(kTile)));
  };
  Value next = begin(create<arith::AddIOp>(split, constant(1)));
  return {begin(split), create<arith::MinSIOp>(next, upper)};
}

Block *AttentionKernel::startStage(Region &stage, TypeRange arguments) {
  return builder.createBlock(&stage, {}, arguments, SmallVector<Location>(arguments.size(), loc));
}

KeyLoopOp AttentionKernel::emitLoop(const Pass &pass, const SoftmaxForm &softmax) {
  SmallVector<Value> inits = softmax.initialize();
  auto loop = create<KeyLoopOp>(ValueRange(inits).getTypes(), pass.keys.first, pass.keys.second,
                                kTile, inits);
  OpBuilder::InsertionGuard guard(builder);
  Type index = builder.getIndexType();

  Block *load = startStage(loop.getLoad(), index);
  Value firstKey = inMemory(pass.rows.keyBegin, load->getArgument(0));
  SmallVector<Value> loaded = strategy->loadKey(pass.atKey, pass.key, kTile, firstKey);
  Value values = pass.atKey.loadDense(pass.value, kTile, firstKey, pass.rows.keyEnd);
  SmallVector<Type> keyTypes(ValueRange(loaded).getTypes());
  loaded.push_back(values);
  create<YieldOp>(loaded);

  Block *score = startStage(loop.getScore(), keyTypes);
  Value scores = strategy->scores(pass.atKey, pass.queries, score->getArguments(), scoreType);
  if (scaling && scaling->factor)
    scores = create<ScaleOp>(cast<TileType>(scores.getType()).ofNumbers(), scores,
                             builder.getF32FloatAttr(*scaling->factor));
  create<YieldOp>(scores);
  // Their rows may have factors, those of the probabilities have none.
  Type scored = scores.getType();

  Block *masked = startStage(loop.getMask(), {index, scored});
  create<YieldOp>(
      Value(create<MaskOp>(scored, masked->getArgument(1), pass.rows.row, masked->getArgument(0),
                           pass.rows.numQueries, pass.rows.numKeys, mask, packedHeads)));

  softmax.emitStages(loop, scored, values.getType());
  return loop;
}

void AttentionKernel::emitPass(const Pass &pass, const SoftmaxForm &softmax) {
  KeyLoopOp loop = emitLoop(pass, softmax);
  auto store = [&](Value tile, Value memory) {
    create<StoreOp>(tile, memory, pass.batch, pass.head, pass.firstRow, pass.rows.queryEnd,
                    packedHeads);
  };
  Value fails = softmax.fails(loop.getResults());
  if (pass.lse)
    store(softmax.lse(loop.getResults()), pass.lse);
  store(softmax.output(loop.getResults()), pass.output);
  if (!fails)
    return;
  auto retry = create<RetryOp>(fails);
  OpBuilder::InsertionGuard guard(builder);
  builder.createBlock(&retry.getBody());
  emitPass(pass, *softmax.fallback());
  create<YieldOp>();
}

void AttentionKernel::emit(const Operand &query, const Operand &key, const Operand &value,
                           ValueRange offsets, Value output, Value lse) {
  Value batch = kernel.getCoordinates()[0], gridHead = kernel.getCoordinates()[1];
  auto times = [&](Value value, int64_t factor) {
    return factor == 1 ? value : Value(create<arith::MulIOp>(value, constant(factor)));
  };
  // The splits of a head are next to each other, or those of heads that share a query tile.
  Value head = splits == 1 ? gridHead : create<arith::DivUIOp>(gridHead, constant(splits));
  head = times(head, packedHeads);
  Value resultHead = splits == 1 ? head : times(gridHead, packedHeads);
  int64_t group = query.type.getDimSize(1) / key.type.getDimSize(1);
  Value keyHead = group == 1 ? head : create<arith::DivUIOp>(head, constant(group));
  KernelContext atQuery{builder, loc, batch, head, packedHeads},
      atKey{builder, loc, batch, keyHead, /*heads=*/1, /*areTilesAligned=*/offsets.empty()};
  // Rows of keys in tiles are whole tiles.
  Rows rows = findRows(query, getKeyTile(key.type) ? value : key, offsets);
  Value firstRow = inMemory(rows.queryBegin, rows.row);

  SmallVector<Value> queries = strategy->loadQuery(atQuery, query, qTile, firstRow);
  std::pair<Value, Value> keys = keyRange(rows);
  if (splits > 1)
    keys = shareOf(keys, create<arith::RemUIOp>(gridHead, constant(splits)));
  ScaleNumbers numbers(builder, loc, scaling, kernel.getScalars(), schedule.softmax, bool(lse));
  SoftmaxContext context{
      builder,          loc,             scoreType,  accType, op.getValue().getType().getElementType(),
      numbers.exponent, numbers.inverse, numbers.lse};
  emitPass({key, value, atKey, rows, queries, keys, output, lse, batch, resultHead, firstRow},
           *createSoftmax(schedule.softmax, context));
}

struct AttentionToTile : OpConversionPattern<AttentionOp> {
  AttentionToTile(const TypeConverter &types, MLIRContext *context, SymbolTableCollection &symbols)
      : OpConversionPattern(types, context), symbols(symbols) {}

  LogicalResult matchAndRewrite(AttentionOp op, OneToNOpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    ScheduleAttr given = op.getScheduleAttr();
    if (!given || !given.isComplete())
      return op.emitOpError("has no complete schedule; run sfa-assign-schedule before");
    ResolvedSchedule schedule = resolve(given);
    int64_t splits = schedule.splits, packedHeads = schedule.packedHeads;
    SmallVector<Type> results(op->getResultTypes());
    if (splits > 1)
      results = getPartialTypes(op.getOutput().getType(), splits);
    SmallVector<Value> scalars =
        foldScale(rewriter, op.getLoc(), op.getScaleValue(), schedule.softmax, /*hasLse=*/results.size() > 1);
    size_t numTensors = op->getNumOperands() - (op.getScaleValue() ? 1 : 0);
    KernelBuilder builder(rewriter, symbols, op,
                          TypeRange(op->getOperandTypes()).take_front(numTensors),
                          adaptor.getOperands().take_front(numTensors), results);
    std::string name =
        ("attention_" + stringifyEnum(schedule.strategy) + "_" +
         stringifyEnum(schedule.softmax) + (op.hasSequences() ? "_varlen" : "") +
         (packedHeads > 1 ? "_packed" : "") + (splits > 1 ? "_split" : ""))
            .str();
    KernelOp kernel = builder.start(
        name, given, ScheduleAttr::rowsOfHead(schedule.qTile, packedHeads), packedHeads, scalars);
    SmallVector<Value> offsets;
    if (op.hasSequences())
      offsets = {builder.operand(3).memories[0], builder.operand(4).memories[0]};
    AttentionKernel(rewriter, op, kernel)
        .emit(builder.operand(0), builder.operand(1), builder.operand(2), offsets,
              builder.result(0).memories[0],
              results.size() > 1 ? builder.result(1).memories[0] : Value());
    PhysicalValues values =
        builder.launch(op.hasSequences() ? adaptor.getOperands()[3].front() : Value());
    if (splits > 1)
      values = combineSplits(rewriter, symbols, op, schedule, values);
    rewriter.replaceOpWithMultiple(op, std::move(values));
    return success();
  }

  SymbolTableCollection &symbols;
};

} // namespace

void sfa::tile::populateAttentionPatterns(RewritePatternSet &patterns, const TypeConverter &types,
                                          SymbolTableCollection &symbols) {
  patterns.add<AttentionToTile>(types, patterns.getContext(), symbols);
}
