//===- Cache.cpp - Warps that have some keys of each tile of a cache ------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Few queries against many keys: what counts is that memory is read without a pause. Warps of the
// first warpgroup produce: a thread for each memory copies tiles of keys from the pages that the
// table names into a ring. The others consume: each warp is a group of its own, which has all rows of
// queries, 16, and an equal share of the keys of each tile. It has an online softmax of what it has
// seen; behind the keys of a point these are merged, and one warp stores the result. Producers are at
// the next point meanwhile.
//
// Where a chip has no bulk copies, each warp copies its own keys, by `cp.async`: nobody waits for
// anybody before the merge. A block has one point of the grid then.
//
// Codes of keys lie in shared memory as they are in memory. A warp writes 16 of them at a time to a
// dense tile of its own, multiplies, and clears what it has written.
//
//===----------------------------------------------------------------------===//

#include "ProgramBuilder.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

namespace {

/// Rows of queries: as many as a warp multiplies at once.
constexpr int64_t queryRows = 16;

/// A tile of rows of a cache that is copied to shared memory.
struct PagedCopy {
  Value memory;
  SharedType tile;
};

/// The parts of the tile program.
struct CacheKernel {
  tile::KernelOp kernel;
  tile::KeyLoopOp loop;
  SmallVector<Operation *> before, behind;
  tile::LoadOp query, value;
  /// Of dense keys the load; of codes the load and what expands them.
  tile::LoadOp denseKey;
  tile::LoadCodesOp codes;
  tile::SplitRangeOp share;
  ResolvedSchedule schedule;

  int64_t warps() const { return 4 * schedule.consumers; }
  int64_t keysOfWarp() const { return schedule.kTile / warps(); }
};

class CacheProgram {
public:
  CacheProgram(CacheKernel &source, TileProgram &program, const Chip &chip, OpBuilder &builder)
      : source(source), b(program, builder), hasBulkCopies(chip.hasWarpgroups) {}

  void run();

private:
  using Values = SmallVector<Value>;

  int64_t pageSize() const {
    return cast<MemRefType>(source.value.getMemory().getType()).getDimSize(2);
  }
  /// Whether one point alone reads the keys of a share: no other has rows of the same KV head.
  bool isReadOnce() {
    auto heads = [](Value memory) { return cast<MemRefType>(memory.getType()).getDimSize(1); };
    int64_t group = heads(source.query.getMemory()) / heads(source.value.getMemory());
    int64_t queries = cast<MemRefType>(source.query.getMemory().getType()).getDimSize(2);
    int64_t rows = ScheduleAttr::rowsOfHead(queryRows, source.schedule.packedHeads);
    return source.schedule.packedHeads == group && queries <= rows;
  }
  /// Keys that one copy brings.
  int64_t keysOfPiece() const { return std::min(pageSize(), source.schedule.kTile); }
  int64_t numPieces() const { return source.schedule.kTile / keysOfPiece(); }

  SharedType shared(ArrayRef<int64_t> shape, Type element, TileForm form) {
    return SharedType::get(b.getContext(), shape, element, form);
  }
  RingOp makeRing(SharedType tile, int64_t stages, int64_t writers, int64_t readers);
  Value placeOf(RingOp ring, Value position) {
    return b.make<PlaceOp>(ring.getRing().getType().getTile(), ring.getRing(), position);
  }
  void await(RingOp ring, Value position) {
    if (hasBulkCopies)
      b.make<AwaitOp>(ring.getRing(), position);
  }
  void release(RingOp ring, Value position) {
    if (hasBulkCopies)
      b.make<ReleaseOp>(ring.getRing(), position, Value());
  }
  Value add(Value x, Value y) { return b.make<arith::AddIOp>(x, y); }
  Value index(int64_t value) { return b.make<arith::ConstantIndexOp>(value); }
  /// scf.if without results.
  void when(Value condition, function_ref<void()> body, function_ref<void()> otherwise = nullptr);
  Values forEachPoint(ValueRange carried, function_ref<Values(Value round, ValueRange)> body);
  /// The numbers that the stage `load` forms for the tile whose number among the keys of the share is
  /// `number`.
  void cloneNumbersOfTile(Value number);

  void makeRings();
  void runWithRoles();
  void emitProducer(const PagedCopy &copy, RingOp ring, int64_t warp);
  void emitQueries(int64_t warp);
  void emitConsumers();
  /// The tiles of a point: the states behind them, and, of rings with guards, the position.
  Values emitTiles(Value query, ValueRange carried);
  Values emitTilesByThreads(Value query);
  /// Starts the copies of the warp's keys of a tile to place `place`.
  void copyByThreads(Value number, Value place);
  Value loadQueriesByThreads();
  Values emitTile(Value number, ValueRange states, Value position, Value query);
  Value emitScores(Value position, Value query);
  /// Clones a stage; scores have the keys of a warp in place of those of a tile.
  Values cloneStage(Region &stage, bool isOnScores);

  CacheKernel &source;
  ProgramBuilder b;
  const bool hasBulkCopies;
  Value order;
  SmallVector<PagedCopy> copies;
  SmallVector<RingOp> rings;
  RingOp queries, denseRoom, mergeRoom;
  /// Of the group of consumers at hand: its number, and the first of its keys in a tile and of its
  /// rows in the room.
  Value group, firstKey, firstRow;
};

} // namespace

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

static LogicalResult checkSchedule(CacheKernel &source) {
  const ResolvedSchedule &schedule = source.schedule;
  tile::KernelOp kernel = source.kernel;
  if (schedule.qTile != queryRows)
    return kernel.emitOpError() << "has q_tile = " << schedule.qTile << "; on a GPU a cache needs "
                                << queryRows;
  if (!llvm::isPowerOf2_64(schedule.consumers) || schedule.consumers > 2)
    return kernel.emitOpError() << "has consumers = " << schedule.consumers
                                << "; on a GPU a cache needs 1 or 2";
  if (schedule.kTile % (16 * source.warps()) != 0 || 256 % schedule.kTile != 0)
    return kernel.emitOpError() << "has k_tile = " << schedule.kTile << "; with consumers = "
                                << schedule.consumers << " a cache needs a multiple of "
                                << 16 * source.warps() << " that divides 256";
  if (schedule.softmax != Softmax::Online || schedule.strategy != Strategy::Dense)
    return kernel.emitOpError("has another softmax than online, or another strategy than dense; on "
                              "a GPU a cache has no others");
  return success();
}

static FailureOr<CacheKernel> findParts(tile::KernelOp kernel) {
  CacheKernel source;
  source.kernel = kernel;
  source.loop = *kernel.getBody().getOps<tile::KeyLoopOp>().begin();
  source.share = *kernel.getBody().getOps<tile::SplitRangeOp>().begin();
  source.schedule = resolve(kernel.getScheduleAttr());
  Operation *loop = source.loop;
  for (Operation &op : kernel.getBody().front().without_terminator()) {
    if (&op == loop)
      continue;
    (op.isBeforeInBlock(loop) ? source.before : source.behind).push_back(&op);
    if (auto load = dyn_cast<tile::LoadOp>(op))
      source.query = load;
  }
  OperandRange loaded = tile::KeyLoopOp::getYielded(source.loop.getLoad());
  if (loaded.size() != 2 || !source.query)
    return kernel.emitOpError("loads anything but queries, keys and values of a cache");
  source.denseKey = loaded[0].getDefiningOp<tile::LoadOp>();
  if (auto expand = loaded[0].getDefiningOp<tile::ExpandOp>())
    source.codes = expand.getCodes().getDefiningOp<tile::LoadCodesOp>();
  source.value = loaded[1].getDefiningOp<tile::LoadOp>();
  if ((!source.denseKey && !source.codes) || !source.value)
    return kernel.emitOpError("has keys or values that are not loaded from pages");
  for (tile::LoadOp load : {source.query, source.value, source.denseKey})
    if (load && (!GpuFeatures::allow(load.getTile().getType().getColumns()) ||
                 load.getTile().getType().getElementType().getIntOrFloatBitWidth() != 16))
      return load.emitOpError() << "gives " << load.getTile().getType() << "; "
                                << GpuFeatures::description;
  if (failed(checkSchedule(source)))
    return failure();
  return source;
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

void CacheProgram::when(Value condition, function_ref<void()> body,
                        function_ref<void()> otherwise) {
  auto choice = b.make<scf::IfOp>(condition, /*withElseRegion=*/static_cast<bool>(otherwise));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(choice.thenYield());
  body();
  if (!otherwise)
    return;
  b.setInsertionPoint(choice.elseYield());
  otherwise();
}

CacheProgram::Values CacheProgram::forEachPoint(ValueRange carried,
                                                function_ref<Values(Value, ValueRange)> body) {
  auto points = b.make<ForPointsOp>(carried.getTypes(), order, carried);
  Type index = b.getIndexType();
  SmallVector<Type> types{b.getI32Type(), index, index, index};
  llvm::append_range(types, carried.getTypes());
  OpBuilder::InsertionGuard guard(b);
  b.createBlock(&points.getBody(), {}, types, SmallVector<Location>(types.size(), b.getLoc()));
  b.setPoint(points.getCoordinates());
  Values results = body(points.getRound(), points.getCarried());
  b.make<YieldOp>(results);
  return Values(points.getResults());
}

void CacheProgram::cloneNumbersOfTile(Value number) {
  Region &load = source.loop.getLoad();
  b.mapping.map(load.getArgument(0), number);
  for (Operation &op : load.front().without_terminator())
    if (isa<arith::ArithDialect>(op.getDialect()))
      b.clone(op, b.mapping);
}

//===----------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------===//

RingOp CacheProgram::makeRing(SharedType tile, int64_t stages, int64_t writers, int64_t readers) {
  auto count = [&](int64_t number) {
    return number ? b.getI64IntegerAttr(number) : IntegerAttr();
  };
  return b.make<RingOp>(RingType::get(b.getContext(), stages, tile), count(writers), count(readers),
                        UnitAttr(), /*other=*/Value(), /*neighbor=*/Value(), IntegerAttr(),
                        IntegerAttr());
}

void CacheProgram::makeRings() {
  int64_t warps = source.warps(), keys = source.schedule.kTile;
  tile::TileType queryTile = source.query.getTile().getType();
  Type element = queryTile.getElementType();
  int64_t features = queryTile.getColumns();
  int64_t guards = hasBulkCopies ? 1 : 0;
  queries = makeRing(shared({queryRows, features}, element, TileForm::Swizzled), /*stages=*/1,
                     /*writers=*/guards, /*readers=*/guards * warps);
  if (source.codes) {
    int64_t k = source.codes.getCodes().getType().getK();
    copies.push_back({source.codes.getValues(), shared({keys, k}, element, TileForm::Linear)});
    copies.push_back(
        {source.codes.getIndices(), shared({keys, k}, b.getI8Type(), TileForm::Linear)});
    denseRoom = makeRing(shared({ExpandCodesOp::rows * warps, features}, element,
                                TileForm::Swizzled),
                         /*stages=*/1, 0, 0);
  } else {
    copies.push_back(
        {source.denseKey.getMemory(), shared({keys, features}, element, TileForm::Swizzled)});
  }
  int64_t columns = source.value.getTile().getType().getColumns();
  copies.push_back(
      {source.value.getMemory(), shared({keys, columns}, element, TileForm::Swizzled)});
  for (const PagedCopy &copy : copies)
    rings.push_back(
        makeRing(copy.tile, source.schedule.stages, guards * numPieces(), guards * warps));
  mergeRoom =
      makeRing(MergeRowsOp::getRoomFor(source.loop.getAccType(), warps), /*stages=*/1, 0, 0);
}

//===----------------------------------------------------------------------===//
// Producers
//===----------------------------------------------------------------------===//

void CacheProgram::emitProducer(const PagedCopy &copy, RingOp ring, int64_t warp) {
  auto in = [&](Value value) { return b.mapping.lookup(value); };
  Type positionType = PositionType::get(b.getContext());
  int64_t keys = source.schedule.kTile, pieceKeys = keysOfPiece();
  when(b.make<IsLeaderOp>(b.getI1Type(), warp), [&] {
    Value start = b.make<StartOp>(positionType);
    Value numPages = b.make<memref::DimOp>(in(copy.memory), index(0));
    Value lastPage = b.make<arith::SubIOp>(b.toI32(numPages), b.i32(1));
    forEachPoint(start, [&](Value, ValueRange carried) {
      b.cloneOperations(source.before, /*onlyNumbers=*/true, Value());
      Value count = b.toI32(in(source.loop.getUpper()));
      auto tiles = b.make<scf::ForOp>(b.i32(0), count, b.i32(keys), carried);
      OpBuilder::InsertionGuard inLoop(b);
      b.setInsertionPointToStart(tiles.getBody());
      Value at = tiles.getRegionIterArgs().front();
      cloneNumbersOfTile(b.toIndex(tiles.getInductionVar()));
      Value key = in(source.value.getRow()), length = in(source.value.getLimit());
      Value table = in(source.value.getPages()), sequence = in(source.value.getBatch()),
            head = in(source.value.getHead());
      // Numbers of pages are on their way before the place is free.
      Values exist, pages;
      Value size = index(pageSize()), first = b.make<arith::DivUIOp>(key, size);
      for (int64_t piece = 0; piece < numPieces(); ++piece) {
        Value row = add(key, index(piece * pieceKeys));
        Value exists = b.make<arith::CmpIOp>(arith::CmpIPredicate::slt, row, length);
        Value isAny = b.make<arith::CmpIOp>(arith::CmpIPredicate::sge, lastPage, b.i32(0));
        exist.push_back(b.make<arith::AndIOp>(exists, isAny));
        Value entry = add(first, index(piece));
        entry = b.make<arith::SelectOp>(exists, entry, first);
        Value page = b.make<memref::LoadOp>(table, ValueRange{sequence, entry});
        page = b.make<arith::MaxSIOp>(b.make<arith::MinSIOp>(page, lastPage), b.i32(0));
        pages.push_back(b.toIndex(page));
      }
      Value inPage = pageSize() > pieceKeys ? Value(b.make<arith::RemUIOp>(key, size)) : index(0);
      b.make<AcquireOp>(ring.getRing(), at);
      for (int64_t piece = 0; piece < numPieces(); ++piece)
        when(
            exist[piece],
            [&] {
              b.make<CopyOp>(in(copy.memory), pages[piece], head, inPage, b.getI64IntegerAttr(1),
                             ring.getRing(), at, b.getI64IntegerAttr(pieceKeys),
                             index(piece * pieceKeys),
                             isReadOnce() ? b.getUnitAttr() : UnitAttr());
            },
            [&] { b.make<ArriveOp>(ring.getRing(), at); });
      b.make<scf::YieldOp>(
          b.make<AdvanceOp>(positionType, at, source.schedule.stages).getResult());
      return Values(tiles.getResults());
    });
  });
}

void CacheProgram::emitQueries(int64_t warp) {
  auto in = [&](Value value) { return b.mapping.lookup(value); };
  when(b.make<IsLeaderOp>(b.getI1Type(), warp), [&] {
    forEachPoint({}, [&](Value round, ValueRange) {
      Value position =
          b.make<PositionAfterOp>(PositionType::get(b.getContext()), round);
      b.cloneOperations(source.before, /*onlyNumbers=*/true, Value());
      b.make<AcquireOp>(queries.getRing(), position);
      tile::LoadOp load = source.query;
      b.make<CopyOp>(in(load.getMemory()), in(load.getBatch()), in(load.getHead()),
                     in(load.getRow()), load.getHeadsAttr(), queries.getRing(), position,
                     IntegerAttr(), Value(), UnitAttr());
      return Values();
    });
  });
}

//===----------------------------------------------------------------------===//
// Consumers
//===----------------------------------------------------------------------===//

Value CacheProgram::emitScores(Value position, Value query) {
  Type f32 = b.getF32Type();
  int64_t keys = source.keysOfWarp();
  auto typeOf = [&](int64_t columns) {
    return tile::TileType::get(b.getContext(), {queryRows, columns}, f32);
  };
  if (!source.codes) {
    await(rings[0], position);
    Value scores = b.make<DotOp>(typeOf(keys), query, placeOf(rings[0], position), firstKey,
                                 /*surplus=*/Value());
    release(rings[0], position);
    return scores;
  }
  for (RingOp ring : ArrayRef(rings).take_front(2))
    await(ring, position);
  Value values = placeOf(rings[0], position), features = placeOf(rings[1], position);
  Value room = placeOf(denseRoom, b.i32(0));
  Values parts;
  for (int64_t key = 0; key < keys; key += ExpandCodesOp::rows) {
    Value first = add(firstKey, index(key));
    b.make<ExpandCodesOp>(values, features, first, room, firstRow);
    parts.push_back(b.make<DotOp>(typeOf(ExpandCodesOp::rows), query, room, firstRow,
                                  /*surplus=*/Value()));
    b.make<ClearCodesOp>(features, first, room, firstRow);
  }
  for (RingOp ring : ArrayRef(rings).take_front(2))
    release(ring, position);
  return parts.size() == 1 ? parts.front() : b.make<JoinColumnsOp>(typeOf(keys), parts);
}

CacheProgram::Values CacheProgram::cloneStage(Region &stage, bool isOnScores) {
  for (Operation &op : stage.front().without_terminator()) {
    if (isa<tile::DotOp>(op))
      continue;
    if (auto product = dyn_cast<tile::AccumulateOp>(op)) {
      auto in = [&](Value value) { return b.mapping.lookup(value); };
      Value acc = in(product.getAcc());
      b.mapping.map(product.getResult(),
                    b.make<AccumulateOp>(acc.getType(), acc, in(product.getProbabilities()),
                                         in(product.getValue()), firstKey));
      continue;
    }
    Operation *clone = b.clone(op, b.mapping);
    for (Value result : clone->getResults())
      if (auto type = dyn_cast<tile::TileType>(result.getType());
          isOnScores && type && !type.isRowVector())
        result.setType(tile::TileType::get(b.getContext(), {queryRows, source.keysOfWarp()},
                                           type.getElementType()));
  }
  Values yielded;
  for (Value value : tile::KeyLoopOp::getYielded(stage))
    yielded.push_back(b.mapping.lookup(value));
  return yielded;
}

CacheProgram::Values CacheProgram::emitTile(Value number, ValueRange states, Value position,
                                            Value query) {
  tile::KeyLoopOp loop = source.loop;
  auto in = [&](Value value) { return b.mapping.lookup(value); };
  for (auto product : loop.getScore().front().getOps<tile::DotOp>())
    b.mapping.map(product.getResult(), emitScores(position, query));
  Value scores = cloneStage(loop.getScore(), /*isOnScores=*/true).front();

  b.mapping.map(loop.getMask().getArgument(0), add(number, firstKey));
  b.mapping.map(loop.getMask().getArgument(1), scores);
  b.mapping.map(loop.getScores(), cloneStage(loop.getMask(), /*isOnScores=*/true).front());
  b.mapping.map(loop.getSoftmaxStates(), states.drop_front());
  b.mapping.map(loop.getIsFirst(), b.make<arith::ConstantIntOp>(b.getI1Type(), 0));
  Values weights = cloneStage(loop.getSoftmax(), /*isOnScores=*/true);

  RingOp ring = rings.back();
  await(ring, position);
  Value values = placeOf(ring, position);
  cloneNumbersOfTile(number);
  Value left = b.make<arith::SubIOp>(in(source.value.getLimit()), in(source.value.getRow()));
  b.make<ClearRowsOp>(values, left, b.getI64IntegerAttr(source.keysOfWarp()), firstKey);
  Region &accumulate = loop.getAccumulate();
  b.mapping.map(accumulate.getArgument(0), states.front());
  b.mapping.map(accumulate.getArgument(1), weights.front());
  b.mapping.map(accumulate.getArgument(2), values);
  b.mapping.map(accumulate.getArguments().drop_front(3), ArrayRef(weights).drop_front());
  Values next = cloneStage(accumulate, /*isOnScores=*/false);
  release(ring, position);
  return next;
}

void CacheProgram::emitConsumers() {
  auto groups = b.make<EachGroupOp>(b.getI64IntegerAttr(1));
  b.createBlock(&groups.getBody(), {}, b.getI32Type(), b.getLoc());
  group = groups.getNumber();
  auto times = [&](int64_t factor) -> Value {
    return b.make<arith::MulIOp>(b.toIndex(group), index(factor));
  };
  firstKey = times(source.keysOfWarp());
  firstRow = times(ExpandCodesOp::rows);
  if (denseRoom)
    b.make<ClearRowsOp>(placeOf(denseRoom, b.i32(0)), index(0),
                        b.getI64IntegerAttr(ExpandCodesOp::rows), firstRow);
  tile::KeyLoopOp loop = source.loop;
  auto in = [&](Value value) { return b.mapping.lookup(value); };
  Values start;
  if (hasBulkCopies)
    start.push_back(b.make<StartOp>(PositionType::get(b.getContext())));
  forEachPoint(start, [&](Value round, ValueRange carried) {
    b.cloneOperations(source.before, /*onlyNumbers=*/false, Value());
    Value query;
    if (hasBulkCopies) {
      Value position = b.make<PositionAfterOp>(PositionType::get(b.getContext()), round);
      await(queries, position);
      Value tile = placeOf(queries, position);
      query = b.make<LoadOperandOp>(getOperandType(cast<SharedType>(tile.getType())), tile);
      release(queries, position);
    } else {
      query = loadQueriesByThreads();
    }
    Values states = hasBulkCopies ? emitTiles(query, carried) : emitTilesByThreads(query);
    auto exponents = loop.getSoftmax().front().getOps<tile::Exp2Op>();
    Value scale = in((*exponents.begin()).getScale());
    auto merged = b.make<MergeRowsOp>(states[0], states[1], states[2], scale,
                                      placeOf(mergeRoom, b.i32(0)));
    b.mapping.map(loop.getResults(), merged.getResults());
    Value isFirst = b.make<arith::CmpIOp>(arith::CmpIPredicate::eq, group, b.i32(0));
    when(isFirst, [&] {
      Value lane = b.make<LaneOp>(b.getI32Type(), /*again=*/false);
      b.cloneOperations(source.behind, /*onlyNumbers=*/false, lane);
    });
    return Values(llvm::drop_begin(states, 3));
  });
  b.make<YieldOp>(ValueRange());
}

CacheProgram::Values CacheProgram::emitTiles(Value query, ValueRange carried) {
  auto in = [&](Value value) { return b.mapping.lookup(value); };
  tile::KeyLoopOp loop = source.loop;
  Values inits;
  for (Value init : loop.getInits())
    inits.push_back(in(init));
  llvm::append_range(inits, carried);
  auto tiles = b.make<scf::ForOp>(b.i32(0), b.toI32(in(loop.getUpper())),
                                  b.i32(source.schedule.kTile), inits);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(tiles.getBody());
  ValueRange states = tiles.getRegionIterArgs().drop_back();
  Value position = tiles.getRegionIterArgs().back();
  Values next = emitTile(b.toIndex(tiles.getInductionVar()), states, position, query);
  next.push_back(b.make<AdvanceOp>(position.getType(), position, source.schedule.stages));
  b.make<scf::YieldOp>(next);
  return Values(tiles.getResults());
}

//===----------------------------------------------------------------------===//
// Warps that copy themselves
//===----------------------------------------------------------------------===//

Value CacheProgram::loadQueriesByThreads() {
  auto in = [&](Value value) { return b.mapping.lookup(value); };
  Value tile = placeOf(queries, b.i32(0));
  tile::LoadOp load = source.query;
  b.make<CopyByThreadsOp>(in(load.getMemory()), in(load.getBatch()), in(load.getHead()),
                          in(load.getRow()), Value(), load.getHeadsAttr(), tile);
  b.make<NVVM::CpAsyncCommitGroupOp>();
  b.make<NVVM::CpAsyncWaitGroupOp>(0u);
  b.make<NVVM::BarrierOp>();
  return b.make<LoadOperandOp>(getOperandType(cast<SharedType>(tile.getType())), tile);
}

void CacheProgram::copyByThreads(Value number, Value place) {
  auto in = [&](Value value) { return b.mapping.lookup(value); };
  cloneNumbersOfTile(number);
  Value key = add(in(source.value.getRow()), firstKey), length = in(source.value.getLimit());
  Value numPages = b.make<memref::DimOp>(in(source.value.getMemory()), index(0));
  Value exists = b.make<arith::AndIOp>(
      b.make<arith::CmpIOp>(arith::CmpIPredicate::slt, key, length),
      b.make<arith::CmpIOp>(arith::CmpIPredicate::sgt, numPages, index(0)));
  when(exists, [&] {
    // Keys that a warp has next to each other, and that a page has, too.
    int64_t together = std::min(source.keysOfWarp(), pageSize());
    for (int64_t first = 0; first < source.keysOfWarp(); first += together) {
      Value row = add(key, index(first)), size = index(pageSize());
      Value last = b.make<arith::SubIOp>(length, index(1));
      // Behind the last key the last page is copied once more: nobody reads that.
      Value there = b.make<arith::MinSIOp>(row, last);
      Value entry = b.make<arith::DivUIOp>(there, size);
      Value page = b.make<memref::LoadOp>(in(source.value.getPages()),
                                          ValueRange{in(source.value.getBatch()), entry});
      Value lastPage = b.make<arith::SubIOp>(b.toI32(numPages), b.i32(1));
      page = b.toIndex(b.make<arith::MaxSIOp>(b.make<arith::MinSIOp>(page, lastPage), b.i32(0)));
      Value inPage = b.make<arith::RemUIOp>(row, size);
      for (auto [copy, ring] : llvm::zip_equal(copies, rings))
        b.make<CopyByThreadsOp>(in(copy.memory), page, in(source.value.getHead()), inPage, Value(),
                                b.getI64IntegerAttr(1), placeOf(ring, place),
                                b.getI64IntegerAttr(together), add(firstKey, index(first)));
    }
  });
}

CacheProgram::Values CacheProgram::emitTilesByThreads(Value query) {
  auto in = [&](Value value) { return b.mapping.lookup(value); };
  tile::KeyLoopOp loop = source.loop;
  int64_t stages = source.schedule.stages, keys = source.schedule.kTile;
  Value count = b.toI32(in(loop.getUpper()));
  // A group of copies for each tile, an empty one behind the last.
  auto startTile = [&](Value number, Value place) {
    when(b.make<arith::CmpIOp>(arith::CmpIPredicate::slt, number, count),
         [&] { copyByThreads(b.toIndex(number), place); });
    b.make<NVVM::CpAsyncCommitGroupOp>();
  };
  for (int64_t stage = 0; stage + 1 < stages; ++stage)
    startTile(b.i32(stage * keys), b.i32(stage));
  Values inits;
  for (Value init : loop.getInits())
    inits.push_back(in(init));
  inits.push_back(b.i32(0));
  auto tiles = b.make<scf::ForOp>(b.i32(0), count, b.i32(keys), inits);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(tiles.getBody());
  Value number = tiles.getInductionVar(), place = tiles.getRegionIterArgs().back();
  Value isZero = b.make<arith::CmpIOp>(arith::CmpIPredicate::eq, place, b.i32(0));
  Value before = b.make<arith::SubIOp>(place, b.i32(1));
  Value free = b.make<arith::SelectOp>(isZero, b.i32(stages - 1), before);
  // The lanes have read the tile before this one.
  b.make<NVVM::SyncWarpOp>(b.i32(-1));
  startTile(b.make<arith::AddIOp>(number, b.i32((stages - 1) * keys)), free);
  b.make<NVVM::CpAsyncWaitGroupOp>(static_cast<uint32_t>(stages - 1));
  b.make<NVVM::SyncWarpOp>(b.i32(-1));
  Values next =
      emitTile(b.toIndex(number), tiles.getRegionIterArgs().drop_back(), place, query);
  Value following = b.make<arith::AddIOp>(place, b.i32(1));
  Value wraps = b.make<arith::CmpIOp>(arith::CmpIPredicate::eq, following, b.i32(stages));
  next.push_back(b.make<arith::SelectOp>(wraps, b.i32(0), following));
  b.make<scf::YieldOp>(next);
  return Values(tiles.getResults().drop_back());
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

void CacheProgram::run() {
  if (hasBulkCopies)
    return runWithRoles();
  b.startKernel(/*warps=*/source.warps(), /*firstConsumer=*/0);
  makeRings();
  emitConsumers();
}

void CacheProgram::runWithRoles() {
  // Registers of all threads are 64 K: the producers give up what the consumers get.
  auto [few, many] = source.schedule.consumers == 1 ? std::pair<int64_t, int64_t>(0, 0)
                                                    : std::pair<int64_t, int64_t>(104, 200);
  b.startKernel(/*warps=*/4 + source.warps(), /*firstConsumer=*/4);
  auto in = [&](Value value) { return b.mapping.lookup(value); };
  makeRings();
  b.make<PrepareOp>();
  // The kernel begins while the one before it ends, and reads and writes no memory before that has. What
  // comes behind it does the same.
  b.make<NVVM::GriddepcontrolOp>(NVVM::GridDepActionKind::wait);
  b.make<NVVM::GriddepcontrolOp>(NVVM::GridDepActionKind::launch_dependents);
  order = b.make<SplitOrderOp>(PointOrderType::get(b.getContext()), in(source.share.getLengths()),
                               in(source.value.getPages()), b.getI64IntegerAttr(pageSize()),
                               source.share.getBlocksAttr(), IntegerAttr());
  auto roles = b.make<RolesOp>(b.getStrArrayAttr({"producer", "consumers"}),
                               b.getDenseI64ArrayAttr({4, source.warps()}),
                               b.getDenseI64ArrayAttr({few, many}), /*bodiesCount=*/2);
  b.createBlock(&roles.getBodies()[0]);
  int64_t warp = 0;
  for (auto [copy, ring] : llvm::zip_equal(copies, rings))
    emitProducer(copy, ring, warp++);
  emitQueries(warp);
  b.make<YieldOp>(ValueRange());
  Block *consumers = b.createBlock(&roles.getBodies()[1]);
  emitConsumers();
  b.setInsertionPointToEnd(consumers);
  b.make<YieldOp>(ValueRange());
}

bool sfa::simt::readsCache(tile::KernelOp kernel) {
  return !kernel.getBody().getOps<tile::SplitRangeOp>().empty();
}

LogicalResult sfa::simt::specializeCache(tile::KernelOp kernel, const Chip &chip,
                                         OpBuilder &builder) {
  FailureOr<CacheKernel> source = findParts(kernel);
  if (failed(source))
    return failure();
  TileProgram program;
  program.kernel = kernel;
  program.isPersistent = chip.hasWarpgroups;
  CacheProgram(*source, program, chip, builder).run();
  return success();
}
