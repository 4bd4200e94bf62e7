//===- Decode.cpp - The kernel of sfa.decode ------------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A point of the grid is a sequence, a tile of query rows, and a share of the sequence's keys. The
// rows are those of several heads of a KV group, since they read the same keys. Shares follow from
// the length of the sequence (`sfa_tile.split_range`): those that it does not have find no keys.
//
//===----------------------------------------------------------------------===//

#include "KernelBuilder.h"
#include "Scaling.h"
#include "Softmaxes/Softmax.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;

namespace {

/// Emits the body of one kernel.
class DecodeKernel {
public:
  DecodeKernel(OpBuilder &builder, DecodeOp op, KernelOp kernel)
      : builder(builder), loc(op.getLoc()), op(op), schedule(resolve(op.getScheduleAttr())),
        kernel(kernel),
        positions(ScheduleAttr::rowsOfHead(schedule.qTile, schedule.packedHeads)) {}

  struct Operands {
    Operand query, key, value;
    Value table, lengths, output, lse;
  };
  void emit(const Operands &operands);

private:
  template <class Op, class... Args>
  auto create(Args &&...args) {
    return Op::create(builder, loc, std::forward<Args>(args)...);
  }
  Value constant(int64_t value) { return create<arith::ConstantIndexOp>(value); }
  Value add(Value a, Value b) { return create<arith::AddIOp>(a, b); }
  Value sub(Value a, Value b) { return create<arith::SubIOp>(a, b); }
  Value mul(Value a, int64_t b) {
    return b == 1 ? a : Value(create<arith::MulIOp>(a, constant(b)));
  }
  Value div(Value a, int64_t b) {
    return b == 1 ? a : Value(create<arith::DivUIOp>(a, constant(b)));
  }
  Value rem(Value a, int64_t b) {
    return b == 1 ? constant(0) : Value(create<arith::RemUIOp>(a, constant(b)));
  }

  /// Makes a stage of the loop with these block arguments and leaves the builder in it.
  Block *startStage(Region &stage, TypeRange arguments) {
    return builder.createBlock(&stage, {}, arguments, SmallVector<Location>(arguments.size(), loc));
  }
  /// The key that is number `number` of the share whose first one is `first`.
  Value keyOfShare(Value first, Value number) {
    return add(add(first, number),
               mul(div(number, blockKeys), (numClasses - 1) * blockKeys));
  }
  /// `count`, or 0 where no query of the tile at `row` sees a key of the share.
  Value inWindow(Value first, Value count, Value row, Value numQueries, Value length);
  KeyLoopOp emitLoop(const Operands &operands, const KernelContext &atKey, Value query, Value row,
                     Value numQueries, SplitRangeOp share, Value count, const SoftmaxForm &softmax,
                     TileType scoreType, const std::optional<Scaling> &scaling);

  static constexpr int64_t blockKeys = 512, numClasses = 8;

  OpBuilder &builder;
  Location loc;
  DecodeOp op;
  ResolvedSchedule schedule;
  KernelOp kernel;
  /// Queries of each head in a tile.
  int64_t positions;
};

} // namespace

Value DecodeKernel::inWindow(Value first, Value count, Value row, Value numQueries, Value length) {
  std::optional<uint64_t> left = op.getLeft();
  if (!left)
    return count;
  Value aligned = add(row, sub(length, numQueries));
  Value firstSeen = sub(aligned, constant(static_cast<int64_t>(*left)));
  Value one = constant(1), zero = constant(0);
  Value last = keyOfShare(first, create<arith::MaxSIOp>(sub(count, one), zero));
  Value isSeen = create<arith::CmpIOp>(arith::CmpIPredicate::sge, last, firstSeen);
  return create<arith::SelectOp>(isSeen, count, zero);
}

KeyLoopOp DecodeKernel::emitLoop(const Operands &operands, const KernelContext &atKey, Value query,
                                 Value row, Value numQueries, SplitRangeOp share, Value count,
                                 const SoftmaxForm &softmax, TileType scoreType,
                                 const std::optional<Scaling> &scaling) {
  SmallVector<Value> inits = softmax.initialize();
  auto loop = create<KeyLoopOp>(ValueRange(inits).getTypes(), constant(0), count, schedule.kTile,
                                inits);
  OpBuilder::InsertionGuard guard(builder);
  Type index = builder.getIndexType();

  Block *load = startStage(loop.getLoad(), index);
  Value key = keyOfShare(share.getFirst(), load->getArgument(0));
  Value keys = atKey.loadPages(operands.key, schedule.kTile, key, operands.table, share.getLength());
  Value values =
      atKey.loadPages(operands.value, schedule.kTile, key, operands.table, share.getLength());
  create<YieldOp>(ValueRange{keys, values});

  Block *score = startStage(loop.getScore(), keys.getType());
  Value scores = create<DotOp>(scoreType, query, score->getArgument(0));
  if (scaling && scaling->factor)
    scores = create<ScaleOp>(scoreType, scores, builder.getF32FloatAttr(*scaling->factor));
  create<YieldOp>(scores);

  Block *masked = startStage(loop.getMask(), {index, scoreType});
  Value column = keyOfShare(share.getFirst(), masked->getArgument(0));
  std::optional<int64_t> left;
  if (std::optional<uint64_t> given = op.getLeft())
    left = static_cast<int64_t>(*given);
  auto mask = left ? MaskAttr::get(op.getContext(), MaskKind::Window, left, /*right=*/0)
                   : MaskAttr::get(op.getContext(), MaskKind::Causal, {}, {});
  create<YieldOp>(Value(create<MaskOp>(scoreType, masked->getArgument(1), row, column, numQueries,
                                       share.getLength(), mask, schedule.packedHeads)));

  softmax.emitStages(loop, scoreType, values.getType());
  return loop;
}

void DecodeKernel::emit(const Operands &operands) {
  int64_t packedHeads = schedule.packedHeads;
  int64_t group = operands.query.type.getDimSize(1) / operands.key.type.getDimSize(1);
  int64_t tilesOfHead = llvm::divideCeil(operands.query.type.getDimSize(2), positions);
  Value sequence = kernel.getCoordinates()[0], split = kernel.getCoordinates()[2];
  // The tiles of a head are next to each other.
  Value packed = div(kernel.getCoordinates()[1], tilesOfHead);
  Value row = mul(rem(kernel.getCoordinates()[1], tilesOfHead), positions);
  Value head = mul(packed, packedHeads);
  Value resultHead = head;
  if (schedule.splits > 1)
    resultHead = mul(add(mul(packed, schedule.splits), split), packedHeads);
  KernelContext atQuery{builder, loc, sequence, head, packedHeads},
      atKey{builder, loc, sequence, div(head, group)};

  Value query = atQuery.loadDense(operands.query, schedule.qTile, row);
  Value most = mostTokens(builder, loc, operands.table, op.getPageSize());
  auto share = create<SplitRangeOp>(builder.getIndexType(), builder.getIndexType(),
                                    builder.getIndexType(), operands.lengths, sequence, split, most,
                                    static_cast<uint64_t>(op.getLeastBlocks()));
  Value numQueries = constant(operands.query.type.getDimSize(2));
  Value count = inWindow(share.getFirst(), share.getCount(), row, numQueries, share.getLength());

  std::optional<Scaling> scaling;
  if (!op.getScaleValue())
    scaling.emplace(op.getConstantScale());
  // What splits are combined by.
  bool hasLse = operands.lse != nullptr;
  ScaleNumbers numbers(builder, loc, scaling, kernel.getScalars(), schedule.softmax, hasLse);
  Type f32 = builder.getF32Type();
  auto scoreType = TileType::get(op.getContext(), {schedule.qTile, schedule.kTile}, f32);
  auto accType =
      TileType::get(op.getContext(), {schedule.qTile, operands.value.features()}, f32);
  SoftmaxContext context{
      builder,          loc,             scoreType,  accType, op.getValue().getType().getElementType(),
      numbers.exponent, numbers.inverse, numbers.lse};
  std::unique_ptr<SoftmaxForm> softmax = createSoftmax(schedule.softmax, context);
  KeyLoopOp loop = emitLoop(operands, atKey, query, row, numQueries, share, count, *softmax,
                            scoreType, scaling);
  auto store = [&](Value tile, Value memory) {
    create<StoreOp>(tile, memory, sequence, resultHead, row, /*limit=*/Value(), packedHeads);
  };
  if (hasLse)
    store(softmax->lse(loop.getResults()), operands.lse);
  store(softmax->output(loop.getResults()), operands.output);
}

namespace {

struct DecodeToTile : OpConversionPattern<DecodeOp> {
  DecodeToTile(const TypeConverter &types, MLIRContext *context, SymbolTableCollection &symbols)
      : OpConversionPattern(types, context), symbols(symbols) {}

  LogicalResult matchAndRewrite(DecodeOp op, OneToNOpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    ScheduleAttr given = op.getScheduleAttr();
    if (!given || !given.isComplete())
      return op.emitOpError("has no complete schedule; run sfa-assign-schedule before");
    ResolvedSchedule schedule = resolve(given);
    RankedTensorType query = op.getQuery().getType();
    if (query.isDynamicDim(2))
      return op.emitOpError() << "has a query of type " << query
                              << "; the number of new tokens has to be static";
    SmallVector<Type> results(op->getResultTypes());
    if (schedule.splits > 1)
      results = getPartialTypes(op.getOutput().getType(), schedule.splits);
    SmallVector<Value> scalars = foldScale(rewriter, op.getLoc(), op.getScaleValue(),
                                           schedule.softmax, /*hasLse=*/results.size() > 1);
    constexpr size_t numTensors = 5;
    KernelBuilder builder(rewriter, symbols, op,
                          TypeRange(op->getOperandTypes()).take_front(numTensors),
                          adaptor.getOperands().take_front(numTensors), results);
    bool isCodes = static_cast<bool>(getCodes(op.getKey().getType()));
    std::string name = std::string("decode_") + (isCodes ? "codes" : "dense") +
                       (schedule.splits > 1 ? "_split" : "");
    int64_t positions = ScheduleAttr::rowsOfHead(schedule.qTile, schedule.packedHeads);
    KernelOp kernel = builder.start(name, given, positions, schedule.packedHeads, scalars);
    DecodeKernel(rewriter, op, kernel)
        .emit({builder.operand(0), builder.operand(1), builder.operand(2),
               builder.operand(3).memories[0], builder.operand(4).memories[0],
               builder.result(0).memories[0],
               results.size() > 1 ? builder.result(1).memories[0] : Value()});
    int64_t tilesOfHead = llvm::divideCeil(query.getDimSize(2), positions);
    PhysicalValues values = builder.launchGrid(
        query.getDimSize(1) / schedule.packedHeads * tilesOfHead, schedule.splits);
    if (schedule.splits > 1)
      values = combineSplits(
          rewriter, symbols, op, schedule, values,
          {adaptor.getLengths().front(), adaptor.getTable().front(), op.getPageSize(),
           op.getLeastBlocks()});
    rewriter.replaceOpWithMultiple(op, std::move(values));
    return success();
  }

  SymbolTableCollection &symbols;
};

} // namespace

void sfa::tile::populateDecodePatterns(RewritePatternSet &patterns, const TypeConverter &types,
                                       SymbolTableCollection &symbols) {
  patterns.add<DecodeToTile>(types, patterns.getContext(), symbols);
}
