//===- WarpgroupPath.cpp - wgmma and bulk tensor copies: sm_90a ---------------- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "WarpgroupPath.h"

#include "Ldmatrix.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;
using namespace sfa::gpu;

LogicalResult WarpgroupPath::check(const Geometry &geometry) const {
  auto refuse = [&] { return kernel.kernel.emitOpError(); };
  if (geometry.consumers > 3)
    return refuse() << "has consumers = " << geometry.consumers << "; " << kernel.chip.name
                    << " allows 1 to 3";
  if (geometry.repeats != 1)
    return refuse() << "has q_tile = " << geometry.qTile
                    << " and consumers = " << geometry.consumers << "; on " << kernel.chip.name
                    << " q_tile has to be 64 consumers";
  if (kernel.schedule.lookahead == 0 && kernel.schedule.turns == Turns::PingPong)
    return refuse() << "has lookahead = 0 and turns = ping_pong; consumers take turns with "
                       "lookahead = 1 only";
  if (geometry.kTile > 256)
    return refuse() << "has k_tile = " << geometry.kTile << "; " << kernel.chip.name
                    << " allows at most 256";
  return success();
}

//===----------------------------------------------------------------------===//
// Producer
//===----------------------------------------------------------------------===//

void WarpgroupPath::startCopy(LoadOp load, const SharedTile &tile, Value barrier) {
  const Memory &memory = kernel.memory(load.getMemory());
  // A box has the rows of one head after those of another. Rows that are left over are those of the
  // next heads, or 0.
  int64_t rows = ScheduleAttr::rowsOfHead(tile.rows, static_cast<int64_t>(load.getHeads()));
  Value map = kernel.tensorMap(memory, rows, tile.rows / rows);
  Value row = emit.toI32(kernel.scalar(load.getRow())),
        head = emit.toI32(kernel.scalar(load.getHead())),
        batch = emit.toI32(kernel.scalar(load.getBatch()));
  Type clusterPointer = LLVM::LLVMPointerType::get(emit.getContext(), 7);
  // One register from one point to the next, not one for each panel.
  Value base = emit.make<LLVM::PtrToIntOp>(emit.getI32Type(), tile.base);
  pin(emit, base);
  base = emit.make<LLVM::IntToPtrOp>(tile.base.getType(), base);
  arriveExpecting(emit, barrier, tile.bytes());
  for (int64_t column = 0; column < tile.columns; column += SharedTile::panelColumns) {
    Value panel = emit.offset(base, column / SharedTile::panelColumns * tile.panelBytes());
    emit.make<NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp>(
        emit.make<LLVM::AddrSpaceCastOp>(clusterPointer, panel).getResult(), map,
        ValueRange{emit.i32(column), row, head, batch}, barrier, ValueRange(), Value(), Value(),
        NVVM::TMALoadMode::TILE, /*isCTAOnly=*/false, NVVM::CTAGroupKindAttr(), Value());
  }
}

void WarpgroupPath::fillOnes(const SharedTile &value) {
  constexpr int64_t bytesEach = 16;
  Value half = kernel.halfOfOnes();
  auto type = VectorType::get(bytesEach / 4, emit.getI32Type());
  Value ones = emit.make<LLVM::UndefOp>(type);
  for (int64_t word = 0; word < bytesEach / 4; ++word)
    ones = emit.make<LLVM::InsertElementOp>(ones, half, emit.i32(word));
  Value step = emit.i32(numThreads(kernel.geometry) * bytesEach);
  emit.loop(emit.mul(kernel.thread, bytesEach), emit.i32(value.panelBytes()), step, {},
            [&](Value at, ValueRange) {
              emit.store(ones,
                         emit.offset(value.base, emit.add(at, value.bytes()), emit.getI8Type()),
                         bytesEach);
              return Values();
            });
}

WarpgroupPath::Values WarpgroupPath::emitProducer(KeyLoopOp loop, ValueRange start) {
  // A warp for each ring and one for queries: keys do not wait until there is room for values, nor
  // those of the next point until its queries have room.
  Values behind;
  auto isWarp = [&](int64_t number) { return emit.equal(kernel.thread, emit.i32(32 * number)); };
  int64_t number = 0;
  for (const Ring &ring : rings) {
    ValueRange position = start.slice(2 * number, 2);
    auto copyTiles = [&] {
      return forEachPoint(position, [&](Value, Value, ValueRange in) {
        // Index arithmetic: what could fail has been refused.
        (void)kernel.lowerBefore(loop);
        Bounds keys = boundsOf(loop);
        return emit.loop(keys.lower, keys.upper, keys.step, in, [&](Value key, ValueRange carried) {
          RingPosition at{carried[0], carried[1]};
          (void)kernel.lowerStageScalars(loop, emit.toIndex(key));
          waitFor(emit, empty(ring, at.stage), emit.bitXor(at.parity, 1));
          startCopy(ring.load, tileAt(ring, at.stage), full(ring, at.stage));
          RingPosition next = at.next(emit, stages);
          return Values{next.stage, next.parity};
        });
      });
    };
    llvm::append_range(behind,
                       emit.choose(isWarp(number++), copyTiles, [&] { return Values(position); }));
  }
  emit.when(isWarp(number), [&] {
    forEachPoint({}, [&](Value, Value parity, ValueRange) {
      (void)kernel.lowerBefore(loop);
      waitFor(emit, emptyQueries(), emit.bitXor(parity, 1));
      for (LoadOp query : queries)
        startCopy(query, kernel.sharedTiles.at(query.getTile()), fullQueries());
      return Values();
    });
  });
  return behind;
}

//===----------------------------------------------------------------------===//
// Points of the grid
//===----------------------------------------------------------------------===//

Value WarpgroupPath::markOf(Value round) {
  return emit.offset(marks, emit.bitAnd(round, numMarks - 1), emit.getI8Type());
}

void WarpgroupPath::markPoint(Value round) {
  Value one = emit.make<arith::ConstantIntOp>(emit.getI8Type(), 1);
  emit.store(one, markOf(round));
  emit.store(one, emit.offset(marks, numMarks));
}

WarpgroupPath::Values
WarpgroupPath::forEachPoint(ValueRange init, function_ref<Values(Value, Value, ValueRange)> body) {
  // All rounds before one of the first pass have taken their turns.
  if (!isSecondPass)
    return kernel.forEachPoint(
        init, [&](Value round, ValueRange in) { return body(round, emit.bitAnd(round, 1), in); });
  Values carried(init);
  carried.push_back(emit.i32(0));
  Values behind = kernel.forEachPoint(carried, [&](Value round, ValueRange in) {
    Value mark = emit.load(emit.getI8Type(), markOf(round));
    Value isMarked = emit.compare(arith::CmpIPredicate::ne, mark, emit.like(mark, 0));
    return emit.choose(
        isMarked,
        [&] {
          Values next = body(round, in.back(), in.drop_back());
          next.push_back(emit.bitXor(in.back(), 1));
          return next;
        },
        [&] { return Values(in); });
  });
  behind.pop_back();
  return behind;
}

//===----------------------------------------------------------------------===//
// Consumers
//===----------------------------------------------------------------------===//

WarpgroupPath::Bounds WarpgroupPath::boundsOf(KeyLoopOp loop) {
  return {emit.toI32(kernel.scalar(loop.getLower())), emit.toI32(kernel.scalar(loop.getUpper())),
          emit.i32(loop.getStep())};
}

void WarpgroupPath::acquire(const Ring &ring, RingPosition position) {
  waitFor(emit, full(ring, position.stage), position.parity);
}

void WarpgroupPath::release(const Ring &ring, Value stage) {
  arriveWhere(emit, emit.equal(kernel.lane, emit.i32(0)), empty(ring, stage));
}

void WarpgroupPath::loadQueries(KeyLoopOp loop) {
  auto dot = *loop.getScore().getOps<DotOp>().begin();
  const SharedTile &query = kernel.sharedTiles.at(dot.getQuery());
  queryOperands.clear();
  for (int64_t step = 0; step < query.columns / 16; ++step)
    llvm::append_range(queryOperands,
                       loadLeft(emit, query, kernel.lane, emit.mul(kernel.warp, 16), step));
  pin(emit, queryOperands);
  arriveWhere(emit, emit.equal(kernel.lane, emit.i32(0)), emptyQueries());
}

void WarpgroupPath::releaseQueries(Value condition) {
  if (!queryOperands.empty())
    return;
  arriveWhere(emit, emit.bitAnd(condition, emit.equal(kernel.lane, emit.i32(0))), emptyQueries());
}

void WarpgroupPath::awaitTurn() {
  if (takesTurns)
    emit.make<NVVM::BarrierOp>(Type(), turnBarrier(consumer()), emit.i32(turnThreads),
                               NVVM::BarrierReductionAttr(), Value());
}

void WarpgroupPath::passTurn() {
  if (!takesTurns)
    return;
  Value following = emit.add(consumer(), 1);
  Value wraps = emit.equal(following, emit.i32(kernel.geometry.consumers));
  Value next = emit.select(wraps, emit.i32(0), following);
  emit.make<NVVM::BarrierArriveOp>(turnBarrier(next), emit.i32(turnThreads));
}

void WarpgroupPath::issueScores(KeyLoopOp loop) {
  acquire(rings.front(), scorePosition);
  awaitTurn();
  multiplyScores(loop);
}

void WarpgroupPath::multiplyScores(KeyLoopOp loop) {
  auto dot = *loop.getScore().getOps<DotOp>().begin();
  const SharedTile &query = kernel.sharedTiles.at(dot.getQuery());
  SharedTile key = tileAt(rings.front(), scorePosition.stage);
  Value left, right = describeRows(emit, key);
  if (queryOperands.empty()) {
    left = describeRows(emit, query, emit.mul(consumer(), 64));
    // One register in the loop, not one for each step.
    pin(emit, left);
  }
  scores = {spent, key.rows};
  emitWgmmaFence(emit);
  for (int64_t step = 0; step < query.columns / 16; ++step) {
    // Four steps of 32 bytes in a panel.
    auto offset = [&](const SharedTile &tile) {
      return step / 4 * tile.panelBytes() + step % 4 * 32;
    };
    Values operands = queryOperands.empty()
                          ? Values{advance(emit, left, offset(query))}
                          : Values(ArrayRef<Value>(queryOperands).slice(4 * step, 4));
    emitWgmma(emit, scores.elements, operands, advance(emit, right, offset(key)), element,
              /*accumulates=*/step > 0, /*rightIsTransposed=*/false);
  }
  emitWgmmaCommit(emit);
}

Fragment WarpgroupPath::dot(const SharedTile &, const SharedTile &) {
  emitWgmmaWait(emit, pendingProducts, scores.elements);
  if (takesTurns)
    emit.when(givesTurn, [&] { passTurn(); });
  release(rings.front(), scorePosition.stage);
  releaseQueries(isLastTile);
  return scores;
}

Fragment WarpgroupPath::accumulate(Fragment acc, const Fragment &probabilities,
                                   const SharedTile &value) {
  Values left;
  for (int64_t step = 0; step < value.rows / 16; ++step)
    llvm::append_range(left, kernel.packLeft(probabilities, /*repeat=*/0, step));
  pin(emit, left);
  spent = probabilities.elements;
  if (issueAhead)
    issueAhead();
  acquire(rings.back(), valuePosition);
  if (numValueRows)
    clearRows(emit, value, numValueRows, kernel.thread,
              emit.add(consumer(), firstWarpgroupBarrier));
  Value right = describeColumns(emit, value);
  emitWgmmaFence(emit);
  // A product has 256 columns at most: more than that are two halves, the first of full panels.
  constexpr int64_t maxColumns = 256;
  int64_t firstColumns = acc.columns <= maxColumns ? acc.columns : value.columns / 2;
  MutableArrayRef<Value> first = MutableArrayRef(acc.elements).take_front(firstColumns / 2),
                         second = MutableArrayRef(acc.elements).drop_front(firstColumns / 2);
  int64_t secondPanels = firstColumns / SharedTile::panelColumns * value.panelBytes();
  for (int64_t step = 0; step < value.rows / 16; ++step) {
    ArrayRef<Value> operands = ArrayRef<Value>(left).slice(4 * step, 4);
    int64_t offset = step * 16 * SharedTile::rowBytes;
    auto multiply = [&](MutableArrayRef<Value> columns, int64_t bytes) {
      emitWgmma(emit, columns, operands, advance(emit, right, bytes), element,
                /*accumulates=*/true, /*rightIsTransposed=*/true);
    };
    multiply(first, offset);
    if (!second.empty())
      multiply(second, secondPanels + offset);
  }
  emitWgmmaCommit(emit);
  leftOperands = left;
  return acc;
}

FailureOr<KernelLowering::State>
WarpgroupPath::emitInSequence(KeyLoopOp loop, KernelLowering::State state, RingPosition &position) {
  Bounds keys = boundsOf(loop);
  releaseQueries(emit.compare(arith::CmpIPredicate::sge, keys.lower, keys.upper));
  Values carried = KernelLowering::flatten(state);
  size_t numState = carried.size(), numSpent = spent.size();
  llvm::append_range(carried, spent);
  carried.append({position.stage, position.parity});
  pendingProducts = 0;
  LogicalResult result = success();
  Values results =
      emit.loop(keys.lower, keys.upper, keys.step, carried, [&](Value first, ValueRange values) {
        KernelLowering::State after = KernelLowering::unflatten(state, values.take_front(numState));
        spent = Values(values.slice(numState, numSpent));
        scorePosition =
            valuePosition = {values[numState + numSpent], values[numState + numSpent + 1]};
        isLastTile =
            emit.compare(arith::CmpIPredicate::sge, emit.add(first, keys.step), keys.upper);
        Value key = emit.toIndex(first);
        limitValues(loop, key);
        issueScores(loop);
        auto weights = lowerTile(loop, key, after, /*isFirst=*/false);
        SharedTile value = tileAt(rings.back(), valuePosition.stage);
        Value isFirstStage = emit.equal(valuePosition.stage, emit.i32(0));
        if (failed(weights) ||
            failed(kernel.lowerAccumulate(loop, *weights, value, after, isFirstStage))) {
          result = failure();
          return Values(values);
        }
        emitWgmmaWait(emit, 0, after.acc.elements);
        if (!queryOperands.empty())
          keepUntilHere(emit, queryOperands, always, fullQueries());
        release(rings.back(), valuePosition.stage);
        Values next = KernelLowering::flatten(after);
        llvm::append_range(next, spent);
        RingPosition following = scorePosition.next(emit, stages);
        next.append({following.stage, following.parity});
        return next;
      });
  if (failed(result))
    return failure();
  position = {results[numState + numSpent], results[numState + numSpent + 1]};
  return KernelLowering::unflatten(state, ValueRange(results).take_front(numState));
}

void WarpgroupPath::limitValues(KeyLoopOp loop, Value key) {
  LoadOp load = rings.back().load;
  if (!load.getLimit())
    return;
  // Index arithmetic: what could fail has been refused.
  (void)kernel.lowerStageScalars(loop, key);
  numValueRows = kernel.rowsLeft(load);
}

FailureOr<KernelLowering::Weights> WarpgroupPath::lowerTile(KeyLoopOp loop, Value key,
                                                            KernelLowering::State &state,
                                                            bool isFirst) {
  if (failed(kernel.lowerScores(loop, tileAt(rings.front(), scorePosition.stage))))
    return failure();
  return kernel.lowerSoftmax(loop, key, state, isFirst);
}

FailureOr<KernelLowering::State> WarpgroupPath::emitLoop(KeyLoopOp loop, RingPosition &position) {
  KernelLowering::State initial = kernel.initialState(loop);
  Value rows = kernel.memory(kernel.kernel.getMemories().front()).rows;
  always = emit.compare(arith::CmpIPredicate::sge, rows, emit.i64(0));
  spent.assign(kernel.geometry.kTile / 2, emit.f32(0.0f));
  bool looksAhead = !isSecondPass && kernel.schedule.lookahead == 1;
  takesTurns =
      looksAhead && kernel.geometry.consumers > 1 && kernel.schedule.turns == Turns::PingPong;
  if (!looksAhead)
    return emitInSequence(loop, initial, position);
  LogicalResult result = success();
  auto flatten = [](const KernelLowering::State &state, RingPosition at) {
    Values values = KernelLowering::flatten(state);
    values.append({at.stage, at.parity});
    return values;
  };
  Value hasKeys = emit.less(kernel.scalar(loop.getLower()), kernel.scalar(loop.getUpper()));
  Values results = emit.choose(
      hasKeys,
      [&] {
        RingPosition behind = position;
        auto state = emitWithLookahead(loop, initial, behind);
        result = state;
        return flatten(succeeded(state) ? *state : initial, behind);
      },
      [&] {
        releaseQueries(emit.i1(true));
        return flatten(initial, position);
      });
  if (failed(result))
    return failure();
  ValueRange values = results;
  position = {values[values.size() - 2], values.back()};
  return KernelLowering::unflatten(initial, values.drop_back(2));
}

FailureOr<RingPosition> WarpgroupPath::consumePoint(KeyLoopOp loop, Value round, Value queryParity,
                                                    RingPosition position) {
  if (failed(kernel.lowerBefore(loop)))
    return failure();
  waitFor(emit, fullQueries(), queryParity);
  if (kernel.schedule.queries == Queries::Registers)
    loadQueries(loop);
  auto state = emitLoop(loop, position);
  if (failed(state))
    return failure();
  kernel.enterPointAgain(loop, round);
  kernel.finish(loop, *state);
  if (failed(kernel.lowerBehind(loop)))
    return failure();
  if (kernel.retry && !isSecondPass)
    emit.when(emit.any(kernel.scalar(kernel.retry.getCondition())), [&] { markPoint(round); });
  return position;
}

FailureOr<WarpgroupPath::Values> WarpgroupPath::emitConsumers(KeyLoopOp loop, ValueRange start) {
  LogicalResult result = success();
  Values behind = forEachPoint(start, [&](Value round, Value queryParity, ValueRange in) {
    auto position = consumePoint(loop, round, queryParity, {in[0], in[1]});
    result = position;
    return succeeded(position) ? Values{position->stage, position->parity} : Values(in);
  });
  if (failed(result))
    return failure();
  return behind;
}

LogicalResult WarpgroupPath::prepare(KeyLoopOp loop) {
  auto loads = kernel.stageLoads(loop);
  if (failed(loads))
    return failure();
  queries = kernel.outerLoads(loop);
  if (loads->size() != 2)
    return loop.emitOpError("loads more than a key and a value tile, which the warpgroup path does "
                            "not support");
  for (LoadOp load : llvm::concat<LoadOp>(queries, MutableArrayRef(*loads).drop_back()))
    if (load.getLimit())
      return load.emitOpError("has a limit, which the warpgroup path supports for values only");
  element = loads->back().getTile().getType().getElementType();
  stages = kernel.schedule.stages;

  for (LoadOp load : queries) {
    TileType type = load.getTile().getType();
    kernel.sharedTiles[load.getTile()] = kernel.allocateTile(type.getRows(), type.getColumns());
  }
  int64_t numBarriers = numQueryBarriers;
  for (LoadOp load : *loads) {
    TileType type = load.getTile().getType();
    SharedTile tile{Value(), type.getRows(), type.getColumns()};
    // A panel of ones behind the values, for the row sums.
    bool hasOnes = kernel.hasSumColumns() && load == loads->back();
    int64_t stageBytes = tile.bytes() + (hasOnes ? tile.panelBytes() : 0);
    tile.base = kernel.allocateShared(stages * stageBytes);
    rings.push_back({load, tile, stageBytes, numBarriers, numBarriers + stages});
    numBarriers += 2 * stages;
  }
  if (kernel.hasSumColumns()) {
    for (int64_t stage = 0; stage < stages; ++stage)
      fillOnes(tileAt(rings.back(), emit.i32(stage)));
    fenceStores(emit);
  }
  if (kernel.retry) {
    marks = kernel.allocateShared(numMarks + 4);
    emit.loop(emit.mul(kernel.thread, 4), emit.i32(numMarks + 4),
              emit.i32(4 * numThreads(kernel.geometry)), {}, [&](Value at, ValueRange) {
                emit.store(emit.i32(0), emit.offset(marks, at, emit.getI8Type()));
                return Values();
              });
  }
  barriers.emplace(emit, kernel.allocateShared(numBarriers * BarrierArray::bytesEach));
  int64_t consumerWarps = 4 * kernel.geometry.consumers;
  emit.when(emit.equal(kernel.thread, emit.i32(0)), [&] {
    for (int64_t barrier = 0; barrier < numQueryBarriers; barrier += 2) {
      barriers->init(barrier, static_cast<int64_t>(queries.size()));
      barriers->init(barrier + 1, consumerWarps);
    }
    for (const Ring &ring : rings)
      for (int64_t stage = 0; stage < stages; ++stage) {
        barriers->init(ring.firstFull + stage, 1);
        barriers->init(ring.firstEmpty + stage, consumerWarps);
      }
    fenceInits(emit);
  });
  emit.barrier();
  return success();
}

LogicalResult WarpgroupPath::lowerKernel(KeyLoopOp loop) {
  if (failed(prepare(loop)))
    return failure();
  // Rings go on from one pass to the next.
  Values producer(2 * rings.size(), emit.i32(0)), consumers(2, emit.i32(0));
  Value isProducer = emit.equal(emit.shiftRight(kernel.thread, 7), emit.i32(0));
  auto roles = emit.make<scf::IfOp>(isProducer, /*withElseRegion=*/true);
  // 64 K registers for all: what the producer gives up the consumers get.
  constexpr std::array<std::pair<uint32_t, uint32_t>, 4> registers = {
      {{0, 0}, {0, 0}, {24, 240}, {32, 160}}};
  if (auto [few, many] = registers[kernel.geometry.consumers]; few) {
    emit.setInsertionPoint(roles.thenYield());
    emit.make<NVVM::SetMaxRegisterOp>(few, NVVM::SetMaxRegisterAction::decrease);
    emit.setInsertionPoint(roles.elseYield());
    emit.make<NVVM::SetMaxRegisterOp>(many, NVVM::SetMaxRegisterAction::increase);
  }
  if (failed(emitPass(loop, producer, consumers, roles)))
    return failure();
  if (!kernel.retry)
    return success();
  isSecondPass = true;
  KeyLoopOp again = kernel.retryLoop();
  auto loads = kernel.stageLoads(again);
  if (failed(loads))
    return failure();
  for (auto [ring, load] : llvm::zip_equal(rings, *loads))
    ring.load = load;
  return emitPass(again, producer, consumers, roles);
}

LogicalResult WarpgroupPath::emitPass(KeyLoopOp loop, Values &producer, Values &consumers,
                                      scf::IfOp roles) {
  auto whenNeeded = [&](function_ref<void()> pass) {
    if (!isSecondPass)
      return pass();
    // What consumers have marked is there for all.
    emit.barrier();
    Value some = emit.load(emit.getI8Type(), emit.offset(marks, numMarks));
    emit.when(emit.any(emit.compare(arith::CmpIPredicate::ne, some, emit.like(some, 0))), pass);
  };
  emit.setInsertionPoint(roles.thenYield());
  whenNeeded([&] { producer = emitProducer(loop, producer); });
  emit.setInsertionPoint(roles.elseYield());
  LogicalResult result = success();
  whenNeeded([&] {
    auto behind = emitConsumers(loop, consumers);
    result = behind;
    if (succeeded(behind))
      consumers = *behind;
  });
  return result;
}

std::unique_ptr<CodePath> sfa::gpu::createWarpgroupPath(KernelLowering &kernel) {
  return std::make_unique<WarpgroupPath>(kernel);
}
