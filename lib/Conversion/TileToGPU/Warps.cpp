//===- Warps.cpp - Warps that all copy and compute -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// All warps of a block copy tiles to shared memory, by `cp.async`, and compute. A block has one
// point of the grid.
//
//===----------------------------------------------------------------------===//

#include "ProgramBuilder.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

namespace {

class Warps {
public:
  Warps(TileProgram &program, OpBuilder &builder) : program(program), b(program, builder) {}

  void run();

private:
  void emitPass(const TilePass &pass, Value round);
  void fillLoad(const TilePass &pass, TileLoopOp loop);
  void copy(const TileCopy &copy, Value tile);

  TileProgram &program;
  ProgramBuilder b;
  SmallVector<RingOp> rings;
  /// Tiles that the whole loop needs.
  SmallVector<Value> residents;
};

} // namespace

void Warps::copy(const TileCopy &copy, Value tile) {
  auto in = [&](Value value) { return value ? b.mapping.lookup(value) : Value(); };
  b.make<CopyByThreadsOp>(in(copy.memory), in(copy.batch), in(copy.head), in(copy.row),
                          in(copy.limit), copy.heads, tile);
}

void Warps::fillLoad(const TilePass &pass, TileLoopOp loop) {
  OpBuilder::InsertionGuard guard(b);
  Type index = b.getIndexType(), place = b.getI32Type();
  Block *block = b.createBlock(&loop.getLoad(), {}, {index, place}, {b.getLoc(), b.getLoc()});
  b.cloneStageNumbers(pass, block->getArgument(0));
  for (auto [load, ring] : llvm::zip_equal(pass.staged, rings)) {
    RingOp staged = ring;
    copy(load, b.make<PlaceOp>(staged.getRing().getType().getTile(), staged.getRing(),
                               block->getArgument(1)));
  }
  b.make<YieldOp>(ValueRange());
}

void Warps::emitPass(const TilePass &pass, Value round) {
  tile::KeyLoopOp source = pass.loop;
  SmallVector<Value> scoreRings, inits;
  for (RingOp ring : ArrayRef(rings).drop_back())
    scoreRings.push_back(ring.getRing());
  for (Value init : source.getInits())
    inits.push_back(b.mapping.lookup(init));
  auto loop = b.make<TileLoopOp>(
      ValueRange(inits).getTypes(), b.mapping.lookup(source.getLower()),
      b.mapping.lookup(source.getUpper()),
      b.getI64IntegerAttr(static_cast<int64_t>(source.getStep())), scoreRings,
      rings.back().getRing(), /*position=*/Value(), /*residents=*/ValueRange(),
      /*residentPosition=*/Value(), /*kept=*/ValueRange(), inits,
      b.getI64IntegerAttr(program.stages), b.getI64IntegerAttr(0), /*turns=*/UnitAttr());
  fillLoad(pass, loop);
  b.fillStages(pass, loop, residents, /*isAsynchronous=*/false);
  for (auto [old, result] : llvm::zip_equal(source.getResults(), loop.getResults()))
    b.mapping.map(old, result);

  // What is needed behind the loop is formed again, so that no registers hold it meanwhile. The
  // search for a sequence takes longer than registers are worth.
  Value lane = b.make<LaneOp>(b.getI32Type(), /*again=*/true);
  if (llvm::none_of(pass.before, llvm::IsaPred<tile::SequenceTileOp>)) {
    b.setPoint(b.make<PointAgainOp>(round, /*order=*/Value()).getResults());
    b.cloneOperations(pass.before, /*onlyNumbers=*/true, Value());
  }
  b.cloneOperations(pass.behind, /*onlyNumbers=*/false, lane);
}

void Warps::run() {
  b.startKernel(/*warps=*/4 * program.consumers, /*firstConsumer=*/0);
  const TilePass &pass = program.main;
  SmallVector<RingOp> residentRings;
  for (tile::LoadOp load : pass.residents)
    residentRings.push_back(
        b.makeRing(pass.copyOf(load).tile, /*stages=*/1, std::nullopt, /*ones=*/false));
  SmallVector<RingOp> rooms;
  for (tile::SplitOp split : pass.splits)
    rooms.push_back(b.makeRoomFor(split));
  SmallVector<RingOp> roomsForCodes = b.makeRoomsForCodes(pass);
  b.makeRoomForScores(pass);
  for (const TileCopy &copy : pass.staged)
    rings.push_back(b.makeRing(copy.tile, program.stages, std::nullopt, /*ones=*/false));

  auto points = b.make<ForPointsOp>(TypeRange(), /*order=*/Value(), ValueRange());
  Type index = b.getIndexType();
  SmallVector<Type> types{b.getI32Type(), index, index, index};
  b.createBlock(&points.getBody(), {}, types, SmallVector<Location>(types.size(), b.getLoc()));
  b.setPoint(points.getCoordinates());
  b.cloneOperations(pass.before, /*onlyNumbers=*/false, Value());
  Value zero = b.i32(0);
  for (auto [load, ring] : llvm::zip_equal(pass.residents, residentRings)) {
    RingOp resident = ring;
    residents.push_back(
        b.make<PlaceOp>(resident.getRing().getType().getTile(), resident.getRing(), zero));
    copy(pass.copyOf(load), residents.back());
  }
  for (auto [split, room] : llvm::zip_equal(pass.splits, rooms))
    b.emitSplit(split, room);
  b.emitCodes(pass, roomsForCodes);
  Value round = points.getRound();
  emitPass(pass, round);
  if (program.again) {
    Value some = b.make<AnyOfBlockOp>(b.getI1Type(), b.mapping.lookup(program.againCondition));
    auto choice = b.make<scf::IfOp>(some, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(choice.thenYield());
    // Operations before the loop of the first pass are there.
    SmallVector<Operation *> before(program.again->before);
    llvm::erase_if(before, [&](Operation *op) { return llvm::is_contained(pass.before, op); });
    b.cloneOperations(before, /*onlyNumbers=*/false, Value());
    emitPass(*program.again, round);
  }
  b.make<YieldOp>(ValueRange());
}

LogicalResult sfa::simt::specializeWarps(TileProgram &program, OpBuilder &builder) {
  Warps(program, builder).run();
  return success();
}
