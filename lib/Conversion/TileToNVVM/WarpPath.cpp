//===- WarpPath.cpp - mma.sync and cp.async: sm_80 and everything since -------- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// All warps compute. While they work on one key tile, the next ones are on their way to shared
// memory: one group of asynchronous copies for each, one barrier an iteration.
//
//===----------------------------------------------------------------------===//

#include "Barriers.h"
#include "KernelLowering.h"
#include "Ldmatrix.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;
using namespace sfa::gpu;

namespace {

class WarpPath : public CodePath {
public:
  explicit WarpPath(KernelLowering &kernel) : CodePath(kernel), emit(kernel.emit) {}

  int64_t numThreads(const Geometry &geometry) const override { return 128 * geometry.consumers; }
  int64_t firstConsumer() const override { return 0; }
  LogicalResult check(const Geometry &geometry) const override;
  LogicalResult lowerKernel(KeyLoopOp loop) override;
  Fragment dot(const SharedTile &query, const SharedTile &key) override;
  Fragment accumulate(Fragment acc, const Fragment &probabilities,
                      const SharedTile &value) override;

private:
  LogicalResult lowerPoint(KeyLoopOp loop);
  /// Starts copies of rows [row, row + tile.rows) of the load's memory; rows beyond its end and its
  /// limit are 0.
  void startCopy(LoadOp load, const SharedTile &tile);
  /// 16 bytes from chunk `chunk` of row `row`.
  Value chunkAddress(const SharedTile &tile, Value row, Value chunk);
  /// Chunks 2 `step` and 2 `step` + 1 of 16 rows from `firstRow` on as right operands of two
  /// products of 8 columns; rows are columns of the operand.
  std::array<Value, 4> loadRight(const SharedTile &tile, int64_t firstRow, int64_t step);
  /// Rows [16 step, 16 step + 16), chunks 2 pair and 2 pair + 1, as right operands of two products
  /// of 8 columns.
  std::array<Value, 4> loadRightTransposed(const SharedTile &tile, int64_t step, int64_t pair);
  /// acc[0..4) += left right.
  void multiply(MutableArrayRef<Value> acc, ArrayRef<Value> left, ArrayRef<Value> right);

  /// All key tiles, one after the other. The queries are there, or will be with the first of them.
  LogicalResult emitLoop(KeyLoopOp loop);

  Emitter &emit;
  Type element;
  /// What the stage `load` loads, and for each load the first tile of its ring.
  SmallVector<LoadOp> loads;
  SmallVector<SharedTile> ring;
  int64_t stages = 2;
};

} // namespace

LogicalResult WarpPath::check(const Geometry &geometry) const {
  if (numThreads(geometry) > 1024)
    return kernel.kernel.emitOpError()
           << "has consumers = " << geometry.consumers << "; a block has at most 8 warpgroups";
  return success();
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

Value WarpPath::chunkAddress(const SharedTile &tile, Value row, Value chunk) {
  // A panel has 8 chunks in a row.
  Value panel = emit.shiftRight(chunk, 3);
  Value swizzled = emit.bitXor(emit.bitAnd(chunk, 7), emit.bitAnd(row, 7));
  Value offset = emit.add(emit.mul(panel, tile.panelBytes()),
                          emit.add(emit.mul(row, SharedTile::rowBytes), emit.mul(swizzled, 16)));
  return emit.offset(tile.base, offset, emit.getI8Type());
}

void WarpPath::startCopy(LoadOp load, const SharedTile &tile) {
  const Memory &memory = kernel.memory(load.getMemory());
  Value first = emit.toI64(kernel.scalar(load.getRow()));
  Value base =
      kernel.address(memory, kernel.scalar(load.getBatch()), kernel.scalar(load.getHead()), first);
  Value rowsLeft = kernel.rowsLeft(load);
  int64_t chunksInRow = tile.columns / SharedTile::chunkElements;
  int64_t threads = numThreads(kernel.geometry), rowsAtOnce = threads / chunksInRow;
  Value chunk = emit.rem(kernel.thread, chunksInRow), start = emit.div(kernel.thread, chunksInRow);
  Type type = memory.type.getElementType();
  Value column = emit.mul(chunk, SharedTile::chunkElements);
  auto heads = static_cast<int64_t>(load.getHeads());
  int64_t rowsOfHead = ScheduleAttr::rowsOfHead(tile.rows, heads);
  for (int64_t turn = 0; turn * rowsAtOnce < tile.rows; ++turn) {
    Value row = emit.add(start, turn * rowsAtOnce);
    Value rowOfHead = emit.toI64(heads == 1 ? row : emit.rem(row, rowsOfHead));
    Value exists = emit.less(rowOfHead, rowsLeft);
    Value head = heads == 1 ? emit.i32(0) : emit.div(row, rowsOfHead);
    if (rowsOfHead * heads < tile.rows) {
      exists = emit.bitAnd(exists, emit.less(head, emit.i32(heads)));
      head = emit.select(exists, head, emit.i32(0));
    }
    // The address of a row that does not exist is not formed, and nothing is read.
    Value element =
        emit.add(emit.mul(emit.select(exists, rowOfHead, emit.i64(0)), memory.rowStride),
                 emit.toI64(column));
    if (heads > 1)
      element = emit.add(element, emit.mul(emit.toI64(head), memory.headStride));
    Value source = emit.offset(base, element, type);
    Value size = emit.select(exists, emit.i32(16), emit.i32(0));
    auto copy = [&] {
      emit.make<NVVM::CpAsyncOp>(chunkAddress(tile, row, chunk), source, 16,
                                 NVVM::LoadCacheModifierKind::CG, size);
    };
    // The last turn of a tile with few rows.
    if ((turn + 1) * rowsAtOnce > tile.rows)
      emit.when(emit.less(row, emit.i32(tile.rows)), copy);
    else
      copy();
  }
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

std::array<Value, 4> WarpPath::loadRight(const SharedTile &tile, int64_t firstRow, int64_t step) {
  // Matrices: both chunks of rows 0 to 7, then of rows 8 to 15.
  Value half = emit.shiftLeft(emit.shiftRight(kernel.lane, 4), 3);
  Value row = emit.add(emit.bitAnd(kernel.lane, 7), half);
  Value chunk = emit.bitAnd(emit.shiftRight(kernel.lane, 3), 1);
  return loadMatrices(emit, matrixAddress(emit, tile, row, chunk, firstRow, 2 * step),
                      /*transpose=*/false);
}

std::array<Value, 4> WarpPath::loadRightTransposed(const SharedTile &tile, int64_t step,
                                                   int64_t pair) {
  // Matrices: rows 0 to 7 and 8 to 15 of the first chunk, then of the second.
  Value row = emit.bitAnd(kernel.lane, 15), chunk = emit.shiftRight(kernel.lane, 4);
  return loadMatrices(emit, matrixAddress(emit, tile, row, chunk, 16 * step, 2 * pair),
                      /*transpose=*/true);
}

void WarpPath::multiply(MutableArrayRef<Value> acc, ArrayRef<Value> left, ArrayRef<Value> right) {
  bool isBF16 = element.isBF16();
  auto operands = [&](ArrayRef<Value> registers) {
    KernelLowering::Values values;
    for (Value value : registers)
      values.push_back(isBF16 ? value : emit.bitcast(VectorType::get(2, element), value));
    return values;
  };
  SmallVector<Type> f32(4, emit.getF32Type());
  auto type = LLVM::LLVMStructType::getLiteral(emit.getContext(), f32);
  NVVM::MMATypes kind = isBF16 ? NVVM::MMATypes::bf16 : NVVM::MMATypes::f16;
  KernelLowering::Values lefts = operands(left), rights = operands(right), sums(acc);
  Value product = emit.make<NVVM::MmaOp>(type, ValueRange(lefts), ValueRange(rights),
                                         ValueRange(sums), ArrayRef<int64_t>{16, 8, 16},
                                         std::nullopt, std::nullopt, std::array{kind, kind},
                                         std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
  for (int64_t i = 0; i < 4; ++i)
    acc[i] = emit.make<LLVM::ExtractValueOp>(product, i);
}

Fragment WarpPath::dot(const SharedTile &query, const SharedTile &key) {
  int64_t repeats = kernel.geometry.repeats;
  Fragment scores{KernelLowering::Values(repeats * key.rows / 2, emit.f32(0.0f)), key.rows};
  MutableArrayRef<Value> elements(scores.elements);
  Value firstRow = emit.mul(kernel.warp, 16 * repeats);
  for (int64_t step = 0; step < query.columns / 16; ++step) {
    SmallVector<std::array<Value, 4>> left;
    for (int64_t repeat = 0; repeat < repeats; ++repeat)
      left.push_back(loadLeft(emit, query, kernel.lane, emit.add(firstRow, 16 * repeat), step));
    for (int64_t row = 0; row < key.rows; row += 16) {
      std::array<Value, 4> right = loadRight(key, row, step);
      for (int64_t repeat = 0; repeat < repeats; ++repeat)
        for (int64_t half : {0, 1})
          multiply(elements.slice(repeat * key.rows / 2 + (row / 8 + half) * 4, 4), left[repeat],
                   ArrayRef(right).slice(2 * half, 2));
    }
  }
  return scores;
}

Fragment WarpPath::accumulate(Fragment acc, const Fragment &probabilities,
                              const SharedTile &value) {
  int64_t repeats = kernel.geometry.repeats;
  MutableArrayRef<Value> elements(acc.elements);
  bool hasSums = acc.columns != value.columns;
  Value ones = hasSums ? kernel.halfOfOnes() : Value();
  for (int64_t step = 0; step < value.rows / 16; ++step) {
    SmallVector<std::array<Value, 4>> left;
    for (int64_t repeat = 0; repeat < repeats; ++repeat)
      left.push_back(kernel.packLeft(probabilities, repeat, step));
    for (int64_t pair = 0; pair < value.columns / 16; ++pair) {
      std::array<Value, 4> right = loadRightTransposed(value, step, pair);
      for (int64_t repeat = 0; repeat < repeats; ++repeat)
        for (int64_t half : {0, 1})
          multiply(elements.slice(repeat * acc.columns / 2 + (2 * pair + half) * 4, 4),
                   left[repeat], ArrayRef(right).slice(2 * half, 2));
    }
    if (hasSums)
      for (int64_t repeat = 0; repeat < repeats; ++repeat)
        multiply(elements.slice((repeat + 1) * acc.columns / 2 - 4, 4), left[repeat], {ones, ones});
  }
  return acc;
}

//===----------------------------------------------------------------------===//
// Loop
//===----------------------------------------------------------------------===//

LogicalResult WarpPath::lowerKernel(KeyLoopOp loop) {
  LogicalResult result = success();
  kernel.forEachPoint({}, [&](Value, ValueRange) {
    result = lowerPoint(loop);
    return KernelLowering::Values();
  });
  return result;
}

LogicalResult WarpPath::lowerPoint(KeyLoopOp loop) {
  if (failed(kernel.lowerBefore(loop)))
    return failure();
  auto stageLoads = kernel.stageLoads(loop);
  if (failed(stageLoads))
    return failure();
  loads = *stageLoads;
  element = loads.back().getTile().getType().getElementType();
  stages = kernel.schedule.stages;

  for (LoadOp load : kernel.outerLoads(loop)) {
    TileType type = load.getTile().getType();
    SharedTile tile = kernel.allocateTile(type.getRows(), type.getColumns());
    kernel.sharedTiles[load.getTile()] = tile;
    startCopy(load, tile);
  }
  // A ring of stages, each with a tile for every load.
  for (LoadOp load : loads) {
    TileType type = load.getTile().getType();
    ring.push_back({kernel.allocateShared(stages * type.getRows() * type.getColumns() * 2),
                    type.getRows(), type.getColumns()});
  }
  auto emitPass = [&](KeyLoopOp pass) {
    return success(succeeded(emitLoop(pass)) && succeeded(kernel.lowerBehind(pass)));
  };
  LogicalResult result = emitPass(loop);
  if (failed(result) || !kernel.retry)
    return result;
  KeyLoopOp again = kernel.retryLoop();
  stageLoads = kernel.stageLoads(again);
  if (failed(stageLoads))
    return failure();
  loads = *stageLoads;
  Value fails = kernel.scalar(kernel.retry.getCondition());
  emit.when(anyOfBlock(emit, fails), [&] {
    result = kernel.lowerUntil(again);
    if (succeeded(result))
      result = emitPass(again);
  });
  return result;
}

LogicalResult WarpPath::emitLoop(KeyLoopOp loop) {
  auto tilesOf = [&](Value stage) {
    SmallVector<SharedTile> tiles;
    for (SharedTile tile : ring) {
      tile.base = emit.offset(tile.base, emit.mul(stage, tile.bytes()), emit.getI8Type());
      tiles.push_back(tile);
    }
    return tiles;
  };
  Value lower = kernel.scalar(loop.getLower()), upper = kernel.scalar(loop.getUpper());
  Value step = emit.make<arith::ConstantIndexOp>(loop.getStep());
  LogicalResult result = success();
  // One group for each key tile, an empty one beyond the last.
  auto startTile = [&](Value key, Value stage) {
    emit.when(emit.less(key, upper), [&] {
      if (failed(kernel.lowerStageScalars(loop, key))) {
        result = failure();
        return;
      }
      for (auto [load, tile] : llvm::zip_equal(loads, tilesOf(stage)))
        startCopy(load, tile);
    });
    emit.make<NVVM::CpAsyncCommitGroupOp>();
  };
  Value ahead = lower;
  for (int64_t stage = 0; stage + 1 < stages; ++stage) {
    startTile(ahead, emit.i32(stage));
    ahead = emit.add(ahead, step);
  }

  KernelLowering::State state = kernel.initialState(loop);
  // The stage that holds the tile at hand.
  KernelLowering::Values carried = KernelLowering::flatten(state);
  carried.push_back(emit.i32(0));
  KernelLowering::Values results =
      emit.loop(lower, upper, step, carried, [&](Value key, ValueRange values) {
        Value stage = values.back();
        auto next = [&](Value number) {
          Value following = emit.add(number, 1);
          return emit.select(emit.equal(following, emit.i32(stages)), emit.i32(0), following);
        };
        Value free = emit.equal(stage, emit.i32(0));
        free = emit.select(free, emit.i32(stages - 1), emit.sub(stage, 1));
        Value aheadKey =
            emit.add(key, emit.make<arith::ConstantIndexOp>((stages - 1) * loop.getStep()));
        if (stages == 1) {
          // Nobody reads the only stage any more when all are here.
          emit.barrier();
          startTile(key, stage);
          emit.make<NVVM::CpAsyncWaitGroupOp>(0u);
          emit.barrier();
        } else {
          // This tile is here for all; the one before it has been read by all.
          emit.make<NVVM::CpAsyncWaitGroupOp>(static_cast<uint32_t>(stages - 2));
          emit.barrier();
          startTile(aheadKey, free);
        }
        SmallVector<SharedTile> tiles = tilesOf(stage);
        KernelLowering::State after = KernelLowering::unflatten(state, values.drop_back());
        FailureOr<KernelLowering::Weights> weights = failure();
        if (succeeded(kernel.lowerScores(loop, ArrayRef(tiles).drop_back())))
          weights = kernel.lowerSoftmax(loop, key, after, /*isFirst=*/false);
        if (failed(weights) || failed(kernel.lowerAccumulate(loop, *weights, tiles.back(), after,
                                                             emit.equal(stage, emit.i32(0))))) {
          result = failure();
          return KernelLowering::Values(values);
        }
        KernelLowering::Values carriedOn = KernelLowering::flatten(after);
        carriedOn.push_back(next(stage));
        return carriedOn;
      });
  kernel.enterPointAgain(loop, emit.i32(0));
  kernel.finish(loop, KernelLowering::unflatten(state, ValueRange(results).drop_back()));
  return result;
}

std::unique_ptr<CodePath> sfa::gpu::createWarpPath(KernelLowering &kernel) {
  return std::make_unique<WarpPath>(kernel);
}
