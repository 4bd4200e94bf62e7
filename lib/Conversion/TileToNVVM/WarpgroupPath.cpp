//===- WarpgroupPath.cpp - wgmma and bulk tensor copies: sm_90a ---------------- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "WarpgroupPath.h"

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
  ScheduleAttr schedule = kernel.kernel.getScheduleAttr();
  if (schedule && schedule.getLookahead() == 0 && schedule.getTurns() == Turns::PingPong)
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
  // A box has the rows of one head after those of another.
  auto heads = static_cast<int64_t>(load.getHeads());
  Value map = kernel.tensorMap(memory, tile.rows / heads, heads);
  Value row = emit.toI32(kernel.scalar(load.getRow())),
        head = emit.toI32(kernel.scalar(load.getHead())),
        batch = emit.toI32(kernel.scalar(load.getBatch()));
  Type clusterPointer = LLVM::LLVMPointerType::get(emit.getContext(), 7);
  arriveExpecting(emit, barrier, tile.bytes());
  for (int64_t column = 0; column < tile.columns; column += SharedTile::panelColumns) {
    Value panel = emit.offset(tile.base, column / SharedTile::panelColumns * tile.panelBytes());
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
              return KernelLowering::Values();
            });
}

void WarpgroupPath::emitProducer(KeyLoopOp loop, ArrayRef<LoadOp> queries,
                                 const RingPosition &start) {
  Value lower = kernel.scalar(loop.getLower()), upper = kernel.scalar(loop.getUpper());
  Value step = emit.make<arith::ConstantIndexOp>(loop.getStep());
  // A warp for each ring, so that keys do not wait until there is room for values.
  for (const Ring &ring : rings)
    emit.when(emit.equal(kernel.thread, emit.i32(&ring == &rings.front() ? 0 : 32)), [&] {
      if (&ring == &rings.front())
        for (LoadOp query : queries)
          startCopy(query, kernel.sharedTiles.at(query.getTile()), barriers->at(queryBarrier));
      emit.loop(lower, upper, step, {start.stage, start.parity}, [&](Value key, ValueRange in) {
        RingPosition at{in[0], in[1]};
        // Index arithmetic: what could fail has been refused.
        (void)kernel.lowerStageScalars(loop, key);
        waitFor(emit, empty(ring, at.stage), emit.bitXor(at.parity, 1));
        startCopy(ring.load, tileAt(ring, at.stage), full(ring, at.stage));
        RingPosition next = at.next(emit, stages);
        return KernelLowering::Values{next.stage, next.parity};
      });
    });
}

//===----------------------------------------------------------------------===//
// Consumers
//===----------------------------------------------------------------------===//

void WarpgroupPath::acquire(const Ring &ring, RingPosition position) {
  waitFor(emit, full(ring, position.stage), position.parity);
}

void WarpgroupPath::release(const Ring &ring, Value stage) {
  emit.when(emit.equal(kernel.lane, emit.i32(0)), [&] { arrive(emit, empty(ring, stage)); });
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
  Value left = describeRows(emit, query, emit.mul(consumer(), 64)), right = describeRows(emit, key);
  // One register in the loop, not one for each step.
  pin(emit, left);
  scores = {spent, key.rows};
  emitWgmmaFence(emit);
  for (int64_t step = 0; step < query.columns / 16; ++step) {
    // Four steps of 32 bytes in a panel.
    auto offset = [&](const SharedTile &tile) {
      return step / 4 * tile.panelBytes() + step % 4 * 32;
    };
    emitWgmma(emit, scores.elements, advance(emit, left, offset(query)),
              advance(emit, right, offset(key)), element, /*accumulates=*/step > 0,
              /*rightIsTransposed=*/false);
  }
  emitWgmmaCommit(emit);
}

Fragment WarpgroupPath::dot(const SharedTile &, const SharedTile &) {
  emitWgmmaWait(emit, pendingProducts, scores.elements);
  release(rings.front(), scorePosition.stage);
  return scores;
}

Fragment WarpgroupPath::accumulate(Fragment acc, const Fragment &probabilities,
                                   const SharedTile &value) {
  KernelLowering::Values left;
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

FailureOr<KernelLowering::State> WarpgroupPath::emitInSequence(KeyLoopOp loop,
                                                               KernelLowering::State state,
                                                               const RingPosition &start) {
  Value lower = kernel.scalar(loop.getLower()), upper = kernel.scalar(loop.getUpper());
  Value step = emit.make<arith::ConstantIndexOp>(loop.getStep());
  KernelLowering::Values carried = KernelLowering::flatten(state);
  size_t numState = carried.size(), numSpent = spent.size();
  llvm::append_range(carried, spent);
  carried.append({start.stage, start.parity});
  pendingProducts = 0;
  LogicalResult result = success();
  KernelLowering::Values results =
      emit.loop(lower, upper, step, carried, [&](Value key, ValueRange values) {
        KernelLowering::State after = KernelLowering::unflatten(state, values.take_front(numState));
        spent = KernelLowering::Values(values.slice(numState, numSpent));
        scorePosition =
            valuePosition = {values[numState + numSpent], values[numState + numSpent + 1]};
        limitValues(loop, key);
        issueScores(loop);
        auto weights = lowerTile(loop, key, after);
        SharedTile value = tileAt(rings.back(), valuePosition.stage);
        if (failed(weights) || failed(kernel.lowerAccumulate(loop, *weights, value, after))) {
          result = failure();
          return KernelLowering::Values(values);
        }
        emitWgmmaWait(emit, 0, after.acc.elements);
        release(rings.back(), valuePosition.stage);
        KernelLowering::Values next = KernelLowering::flatten(after);
        llvm::append_range(next, spent);
        RingPosition position = scorePosition.next(emit, stages);
        next.append({position.stage, position.parity});
        return next;
      });
  if (failed(result))
    return failure();
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
                                                            KernelLowering::State &state) {
  if (failed(kernel.lowerScores(loop, tileAt(rings.front(), scorePosition.stage))))
    return failure();
  return kernel.lowerSoftmax(loop, key, state);
}

LogicalResult WarpgroupPath::emitConsumers(KeyLoopOp loop) {
  KernelLowering::State initial = kernel.initialState(loop);
  ScheduleAttr schedule = kernel.kernel.getScheduleAttr();
  bool looksAhead = !schedule || schedule.getLookahead().value_or(1) == 1;
  takesTurns = looksAhead && kernel.geometry.consumers > 1 && schedule &&
               schedule.getTurns() == Turns::PingPong;
  spent.assign(kernel.geometry.kTile / 2, emit.f32(0.0f));
  waitFor(emit, barriers->at(queryBarrier), emit.i32(0));
  if (!looksAhead) {
    auto state = emitInSequence(loop, initial, RingPosition::start(emit));
    if (succeeded(state))
      kernel.finish(loop, *state);
    return state;
  }
  LogicalResult result = success();
  Value hasKeys = emit.less(kernel.scalar(loop.getLower()), kernel.scalar(loop.getUpper()));
  KernelLowering::Values results = emit.choose(
      hasKeys,
      [&] {
        auto state = emitWithLookahead(loop, initial);
        result = state;
        return KernelLowering::flatten(succeeded(state) ? *state : initial);
      },
      [&] { return KernelLowering::flatten(initial); });
  kernel.finish(loop, KernelLowering::unflatten(initial, results));
  return result;
}

LogicalResult WarpgroupPath::lowerKeyLoop(KeyLoopOp loop) {
  auto loads = kernel.stageLoads(loop);
  auto queries = kernel.outerLoads(loop);
  if (failed(loads) || failed(queries))
    return failure();
  if (loads->size() != 2)
    return loop.emitOpError("loads more than a key and a value tile, which the warpgroup path does "
                            "not support");
  for (LoadOp load : llvm::concat<LoadOp>(*queries, MutableArrayRef(*loads).drop_back()))
    if (load.getLimit())
      return load.emitOpError("has a limit, which the warpgroup path supports for values only");
  element = loads->back().getTile().getType().getElementType();
  ScheduleAttr schedule = kernel.kernel.getScheduleAttr();
  stages = schedule ? schedule.getStages().value_or(2) : 2;

  for (LoadOp load : *queries) {
    TileType type = load.getTile().getType();
    kernel.sharedTiles[load.getTile()] = kernel.allocateTile(type.getRows(), type.getColumns());
  }
  int64_t numBarriers = queryBarrier + 1;
  for (LoadOp load : *loads) {
    TileType type = load.getTile().getType();
    SharedTile tile{Value(), type.getRows(), type.getColumns()};
    // A panel of ones behind the values: see LazySoftmax.cpp.
    bool hasOnes = kernel.isOptimistic && load == loads->back();
    int64_t stageBytes = tile.bytes() + (hasOnes ? tile.panelBytes() : 0);
    tile.base = kernel.allocateShared(stages * stageBytes);
    rings.push_back({load, tile, stageBytes, numBarriers, numBarriers + stages});
    numBarriers += 2 * stages;
  }
  if (kernel.isOptimistic) {
    for (int64_t stage = 0; stage < stages; ++stage)
      fillOnes(tileAt(rings.back(), emit.i32(stage)));
    fenceStores(emit);
  }
  barriers.emplace(emit, kernel.allocateShared(numBarriers * BarrierArray::bytesEach));
  int64_t consumers = kernel.geometry.consumers;
  emit.when(emit.equal(kernel.thread, emit.i32(0)), [&] {
    barriers->init(queryBarrier, static_cast<int64_t>(queries->size()));
    for (const Ring &ring : rings)
      for (int64_t stage = 0; stage < stages; ++stage) {
        barriers->init(ring.firstFull + stage, 1);
        barriers->init(ring.firstEmpty + stage, 4 * consumers);
      }
    fenceInits(emit);
  });
  emit.barrier();

  // What is lowered after the loop belongs to the consumers, too.
  Value isProducer = emit.equal(emit.shiftRight(kernel.thread, 7), emit.i32(0));
  roles = emit.make<scf::IfOp>(isProducer, /*withElseRegion=*/true);
  // 64 K registers for all: what the producer gives up the consumers get.
  constexpr std::array<std::pair<uint32_t, uint32_t>, 4> registers = {
      {{0, 0}, {0, 0}, {24, 240}, {32, 160}}};
  auto [few, many] = registers[consumers];
  emit.setInsertionPoint(roles.thenYield());
  if (few)
    emit.make<NVVM::SetMaxRegisterOp>(few, NVVM::SetMaxRegisterAction::decrease);
  emitProducer(loop, *queries, RingPosition::start(emit));
  emit.setInsertionPoint(roles.elseYield());
  if (many)
    emit.make<NVVM::SetMaxRegisterOp>(many, NVVM::SetMaxRegisterAction::increase);
  return emitConsumers(loop);
}

LogicalResult WarpgroupPath::repeatKeyLoop(KeyLoopOp loop, Value condition,
                                           function_ref<LogicalResult()> rest) {
  auto start = [&] {
    // The rings go on where they are.
    Value lower = emit.toI32(kernel.scalar(loop.getLower())),
          upper = emit.toI32(kernel.scalar(loop.getUpper()));
    Value keys = emit.maxSigned(emit.sub(upper, lower), emit.i32(0));
    return RingPosition::after(emit, emit.div(emit.add(keys, loop.getStep() - 1), loop.getStep()),
                               stages);
  };
  {
    OpBuilder::InsertionGuard guard(emit);
    emit.setInsertionPoint(roles.thenYield());
    emit.when(anyOfBlock(emit, emit.i1(false)), [&] { emitProducer(loop, {}, start()); });
  }
  LogicalResult result = success();
  takesTurns = false;
  emit.when(anyOfBlock(emit, condition), [&] {
    spent.assign(kernel.geometry.kTile / 2, emit.f32(0.0f));
    auto state = emitInSequence(loop, kernel.initialState(loop), start());
    if (succeeded(state)) {
      kernel.finish(loop, *state);
      result = rest();
    } else {
      result = failure();
    }
  });
  return result;
}

std::unique_ptr<CodePath> sfa::gpu::createWarpgroupPath(KernelLowering &kernel) {
  return std::make_unique<WarpgroupPath>(kernel);
}
