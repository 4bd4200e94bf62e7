//===- WarpgroupPath.cpp - wgmma and bulk tensor copies: sm_90a ---------------- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The first warpgroup produces: one of its threads copies tiles into a ring in shared memory. The
// others consume: each owns 64 rows of the query tile. A tile of the ring has two mbarriers: "full",
// on which the bytes of a copy arrive, and "empty", on which every warp that consumes arrives when
// it has read the tile.
//
//===----------------------------------------------------------------------===//

#include "Barriers.h"
#include "KernelLowering.h"
#include "Wgmma.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;
using namespace sfa::gpu;

namespace {

class WarpgroupPath : public CodePath {
public:
  explicit WarpgroupPath(KernelLowering &kernel) : CodePath(kernel), emit(kernel.emit) {}

  int64_t numThreads(const Geometry &geometry) const override {
    return 128 * (geometry.consumers + 1);
  }
  int64_t firstConsumer() const override { return 128; }
  LogicalResult check(const Geometry &geometry) const override;
  LogicalResult lowerKeyLoop(KeyLoopOp loop) override;
  Fragment dot(const SharedTile &query, const SharedTile &key) override;
  Fragment accumulate(Fragment acc, const Fragment &probabilities,
                      const SharedTile &value) override;

private:
  /// One ring for each load of the stage `load`: keys, then the value.
  struct Ring {
    LoadOp load;
    SharedTile tiles; // the first stage
    int64_t firstFull, firstEmpty;
  };
  SharedTile tileAt(const Ring &ring, Value stage) {
    SharedTile tile = ring.tiles;
    tile.base = emit.offset(tile.base, emit.mul(stage, tile.bytes()), emit.getI8Type());
    return tile;
  }
  Value full(const Ring &ring, Value stage) {
    return barriers->at(emit.add(stage, ring.firstFull));
  }
  Value empty(const Ring &ring, Value stage) {
    return barriers->at(emit.add(stage, ring.firstEmpty));
  }
  /// Starts the copy of a load's tile, whose bytes arrive on `barrier`.
  void startCopy(LoadOp load, const SharedTile &tile, Value barrier);
  void emitProducer(KeyLoopOp loop, ArrayRef<LoadOp> queries);
  LogicalResult emitConsumers(KeyLoopOp loop);
  /// Waits for the current tile of a ring; gives it back.
  void acquire(const Ring &ring);
  void release(const Ring &ring);

  Emitter &emit;
  Type element;
  int64_t stages = 2;
  std::optional<BarrierArray> barriers;
  SmallVector<Ring> rings;
  /// The first barrier is that of the queries.
  static constexpr int64_t queryBarrier = 0;
  /// Of the consumers.
  RingPosition position;
  /// Of the value tile at hand, where its load has a limit: the rows before that, i64.
  Value numValueRows;
  /// Registers of scores that are not needed any more: the next scores take their place.
  KernelLowering::Values spent;
};

} // namespace

LogicalResult WarpgroupPath::check(const Geometry &geometry) const {
  auto refuse = [&] { return kernel.kernel.emitOpError(); };
  if (geometry.consumers > 3)
    return refuse() << "has consumers = " << geometry.consumers << "; " << kernel.chip.name
                    << " allows 1 to 3";
  if (geometry.repeats != 1)
    return refuse() << "has q_tile = " << geometry.qTile << " and consumers = "
                    << geometry.consumers << "; on " << kernel.chip.name
                    << " q_tile has to be 64 consumers";
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
  Value map = kernel.tensorMap(memory, tile.rows);
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

void WarpgroupPath::emitProducer(KeyLoopOp loop, ArrayRef<LoadOp> queries) {
  Value lower = kernel.scalar(loop.getLower()), upper = kernel.scalar(loop.getUpper());
  Value step = emit.make<arith::ConstantIndexOp>(loop.getStep());
  emit.when(emit.equal(kernel.thread, emit.i32(0)), [&] {
    for (LoadOp query : queries)
      startCopy(query, kernel.sharedTiles.at(query.getTile()), barriers->at(queryBarrier));
    RingPosition start = RingPosition::start(emit);
    emit.loop(lower, upper, step, {start.stage, start.parity}, [&](Value key, ValueRange in) {
      RingPosition at{in[0], in[1]};
      // Index arithmetic: what could fail has been refused.
      (void)kernel.lowerStageScalars(loop, key);
      for (const Ring &ring : rings) {
        waitFor(emit, empty(ring, at.stage), emit.bitXor(at.parity, 1));
        startCopy(ring.load, tileAt(ring, at.stage), full(ring, at.stage));
      }
      RingPosition next = at.next(emit, stages);
      return KernelLowering::Values{next.stage, next.parity};
    });
  });
}

//===----------------------------------------------------------------------===//
// Consumers
//===----------------------------------------------------------------------===//

void WarpgroupPath::acquire(const Ring &ring) {
  waitFor(emit, full(ring, position.stage), position.parity);
}

void WarpgroupPath::release(const Ring &ring) {
  emit.when(emit.equal(kernel.lane, emit.i32(0)),
            [&] { arrive(emit, empty(ring, position.stage)); });
}

Fragment WarpgroupPath::dot(const SharedTile &query, const SharedTile &key) {
  acquire(rings.front());
  Value firstRow = emit.mul(emit.shiftRight(kernel.warp, 2), 64);
  Value left = describeRows(emit, query, firstRow), right = describeRows(emit, key);
  Fragment scores{spent, key.rows};
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
  emitWgmmaWait(emit, 0, scores.elements);
  release(rings.front());
  return scores;
}

Fragment WarpgroupPath::accumulate(Fragment acc, const Fragment &probabilities,
                                   const SharedTile &value) {
  SmallVector<std::array<Value, 4>> left;
  for (int64_t step = 0; step < value.rows / 16; ++step)
    left.push_back(kernel.packLeft(probabilities, /*repeat=*/0, step));
  acquire(rings.back());
  if (numValueRows)
    clearRows(emit, value, numValueRows, kernel.thread);
  Value right = describeColumns(emit, value);
  emitWgmmaFence(emit);
  for (auto [step, registers] : llvm::enumerate(left))
    emitWgmma(emit, acc.elements, registers,
              advance(emit, right, static_cast<int64_t>(step) * 16 * SharedTile::rowBytes), element,
              /*accumulates=*/true, /*rightIsTransposed=*/true);
  emitWgmmaCommit(emit);
  emitWgmmaWait(emit, 0, acc.elements);
  release(rings.back());
  return acc;
}

/// The first value that a stage yields.
static Value yielded(Region &stage) { return stage.front().getTerminator()->getOperand(0); }

LogicalResult WarpgroupPath::emitConsumers(KeyLoopOp loop) {
  Value lower = kernel.scalar(loop.getLower()), upper = kernel.scalar(loop.getUpper());
  Value step = emit.make<arith::ConstantIndexOp>(loop.getStep());
  KernelLowering::State state = kernel.initialState(loop);
  spent.assign(kernel.geometry.kTile / 2, emit.f32(0.0f));
  position = RingPosition::start(emit);

  auto pack = [&](const KernelLowering::State &current) {
    KernelLowering::Values values = KernelLowering::flatten(current);
    llvm::append_range(values, spent);
    values.append({position.stage, position.parity});
    return values;
  };
  size_t numState = KernelLowering::flatten(state).size(), numSpent = spent.size();
  waitFor(emit, barriers->at(queryBarrier), emit.i32(0));
  LogicalResult result = success();
  KernelLowering::Values results =
      emit.loop(lower, upper, step, pack(state), [&](Value key, ValueRange values) {
        ValueRange registers = values.slice(numState, numSpent);
        spent.assign(registers.begin(), registers.end());
        position = {values[numState + numSpent], values[numState + numSpent + 1]};
        if (LoadOp load = rings.back().load; load.getLimit()) {
          // Index arithmetic: what could fail has been refused.
          (void)kernel.lowerStageScalars(loop, key);
          numValueRows = kernel.rowsLeft(load);
        }
        SmallVector<SharedTile> tiles;
        for (const Ring &ring : rings)
          tiles.push_back(tileAt(ring, position.stage));
        auto after =
            kernel.lowerRowStages(loop, key, ArrayRef(tiles).drop_back(), tiles.back(),
                                  KernelLowering::unflatten(state, values.take_front(numState)));
        if (failed(after)) {
          result = failure();
          return KernelLowering::Values(values);
        }
        // Probabilities have taken the place of scores where they are not packed.
        spent = kernel.fragments.at(yielded(loop.getSoftmax())).elements;
        if (spent.empty())
          spent = kernel.fragments.at(yielded(loop.getMask())).elements;
        position = position.next(emit, stages);
        return pack(*after);
      });
  kernel.finish(loop, KernelLowering::unflatten(state, ValueRange(results).take_front(numState)));
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
    Ring ring{load,
              {kernel.allocateShared(stages * type.getRows() * type.getColumns() * 2),
               type.getRows(), type.getColumns()},
              numBarriers,
              numBarriers + stages};
    numBarriers += 2 * stages;
    rings.push_back(ring);
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
  auto roles = emit.make<scf::IfOp>(isProducer, /*withElseRegion=*/true);
  // 64 K registers for all: what the producer gives up the consumers get.
  constexpr std::array<std::pair<uint32_t, uint32_t>, 4> registers = {
      {{0, 0}, {0, 0}, {24, 240}, {32, 160}}};
  auto [few, many] = registers[consumers];
  emit.setInsertionPoint(roles.thenYield());
  if (few)
    emit.make<NVVM::SetMaxRegisterOp>(few, NVVM::SetMaxRegisterAction::decrease);
  emitProducer(loop, *queries);
  emit.setInsertionPoint(roles.elseYield());
  if (many)
    emit.make<NVVM::SetMaxRegisterOp>(many, NVVM::SetMaxRegisterAction::increase);
  return emitConsumers(loop);
}

std::unique_ptr<CodePath> sfa::gpu::createWarpgroupPath(KernelLowering &kernel) {
  return std::make_unique<WarpgroupPath>(kernel);
}
