//===- Warpgroups.cpp - Warpgroups that copy and warpgroups that compute -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The first warpgroup produces: one of its threads copies key tiles into a ring in shared memory,
// one of another warp value tiles, one of a third the queries, so that none waits for the room of
// another. The other warpgroups consume: each owns 64 rows of the query tile. Rings go on from one
// point of the grid to the next.
//
// Points that have to be computed again are marked, and all roles go over the grid once more when
// they are through with the others: the second pass.
//
//===----------------------------------------------------------------------===//

#include "ProgramBuilder.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

namespace {

class Warpgroups {
public:
  Warpgroups(TileProgram &program, OpBuilder &builder) : program(program), b(program, builder) {}

  void run();

private:
  using Values = SmallVector<Value>;

  void makeRings();
  /// Calls `body` for each point that the block works on, or for those that are marked; it gets the
  /// round, the position of its queries and what is carried, and returns what is carried on.
  Values forEachPoint(bool isAgain, ValueRange carried,
                      function_ref<Values(Value, Value, ValueRange)> body);
  /// The copies of one pass. Takes and gives the positions of the rings.
  Values emitProducer(const TilePass &pass, bool isAgain, Values positions);
  /// The tiles of one pass and what is behind their loop. The same, of the one position that all
  /// rings have.
  Value emitConsumers(const TilePass &pass, bool isAgain, Value position);
  Value emitPoint(const TilePass &pass, bool isAgain, Value round, Value queryPosition,
                  Value position);
  /// `operands` are those of the resident loads, `split` codes that have been taken apart.
  TileLoopOp makeLoop(const TilePass &pass, bool isAgain, Value queryPosition, Value position,
                      ValueRange operands, ValueRange split);
  /// Emits `pass` in branches that are taken where some point is marked.
  void whenMarked(function_ref<void()> pass);
  ArrayRef<RingOp> residentsOf(bool isAgain) { return isAgain ? residentsAgain : residents; }
  /// scf.if without results.
  void when(Value condition, function_ref<void()> body);

  TileProgram &program;
  ProgramBuilder b;
  Value order, marks;
  /// Rings of the staged loads, and of the resident ones, whose second pass has barriers of its
  /// own.
  SmallVector<RingOp> rings, residents, residentsAgain;
  /// Where codes of queries are taken apart, and where those are that stay as they are.
  SmallVector<RingOp> rooms, roomsForCodes;
};

} // namespace

void Warpgroups::when(Value condition, function_ref<void()> body) {
  auto choice = b.make<scf::IfOp>(condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(choice.thenYield());
  body();
}

void Warpgroups::makeRings() {
  int64_t readers = 4 * program.consumers;
  const TilePass &pass = program.main;
  for (tile::LoadOp load : pass.residents)
    residents.push_back(b.makeRing(pass.copyOf(load).tile, /*stages=*/1, readers, /*ones=*/false));
  if (program.again)
    for (RingOp ring : residents)
      residentsAgain.push_back(b.make<RingOp>(ring.getRing().getType(), ring.getWritersAttr(),
                                              ring.getReadersAttr(), UnitAttr(), ring.getRing(),
                                              /*neighbor=*/Value(), IntegerAttr(), IntegerAttr()));
  for (tile::SplitOp split : pass.splits)
    rooms.push_back(b.makeRoomFor(split));
  roomsForCodes = b.makeRoomsForCodes(pass);
  b.makeRoomForScores(pass);
  // The product with the values has columns of sums where the accumulator has.
  tile::KeyLoopOp loop = pass.loop;
  bool hasSums = loop.getAccumulate()
                     .walk([](tile::AccumulateOp op) {
                       return op.hasSumColumns() ? WalkResult::interrupt() : WalkResult::advance();
                     })
                     .wasInterrupted();
  for (const TileCopy &copy : pass.staged) {
    bool isValue = &copy == &pass.values();
    rings.push_back(b.makeRing(copy.tile, program.stages, readers, isValue && hasSums));
  }
}

Warpgroups::Values Warpgroups::forEachPoint(bool isAgain, ValueRange carried,
                                            function_ref<Values(Value, Value, ValueRange)> body) {
  Type position = PositionType::get(b.getContext());
  Values inits(carried);
  if (isAgain)
    inits.push_back(b.make<StartOp>(position));
  auto points = b.make<ForPointsOp>(ValueRange(inits).getTypes(), order, inits);
  Type index = b.getIndexType();
  SmallVector<Type> types{b.getI32Type(), index, index, index};
  llvm::append_range(types, ValueRange(inits).getTypes());
  OpBuilder::InsertionGuard guard(b);
  b.createBlock(&points.getBody(), {}, types, SmallVector<Location>(types.size(), b.getLoc()));
  b.setPoint(points.getCoordinates());
  Value round = points.getRound();
  ValueRange in = points.getCarried();
  Values results;
  if (!isAgain) {
    Value queryPosition = b.make<PositionAfterOp>(position, round);
    results = body(round, queryPosition, in);
  } else {
    Value isMarked = b.make<IsMarkedOp>(b.getI1Type(), marks, round);
    auto choice = b.make<scf::IfOp>(in.getTypes(), isMarked, /*withElseRegion=*/true);
    b.setInsertionPointToStart(choice.thenBlock());
    Values next = body(round, in.back(), in.drop_back());
    next.push_back(b.make<AdvanceOp>(in.back().getType(), in.back(), 1));
    b.make<scf::YieldOp>(next);
    b.setInsertionPointToStart(choice.elseBlock());
    b.make<scf::YieldOp>(in);
    b.setInsertionPointAfter(choice);
    results.assign(choice.getResults().begin(), choice.getResults().end());
  }
  b.make<YieldOp>(results);
  Values behind(points.getResults());
  if (isAgain)
    behind.pop_back();
  return behind;
}

//===----------------------------------------------------------------------===//
// Producer
//===----------------------------------------------------------------------===//

Warpgroups::Values Warpgroups::emitProducer(const TilePass &pass, bool isAgain, Values positions) {
  // A warp for each ring and one for queries: keys do not wait until there is room for values, nor
  // those of the next point until its queries have room.
  tile::KeyLoopOp loop = pass.loop;
  Type positionType = PositionType::get(b.getContext());
  auto copy = [&](const TileCopy &tile, RingOp ring, Value position) {
    auto in = [&](Value value) { return b.mapping.lookup(value); };
    b.make<CopyOp>(in(tile.memory), in(tile.batch), in(tile.head), in(tile.row), tile.heads,
                   ring.getRing(), position,
                   /*count=*/IntegerAttr(), /*first=*/Value(), /*evictFirst=*/UnitAttr());
  };
  int64_t warp = 0;
  for (auto [tile, ring, position] : llvm::zip_equal(pass.staged, rings, positions)) {
    Value leads = b.make<IsLeaderOp>(b.getI1Type(), warp++);
    auto choice = b.make<scf::IfOp>(positionType, leads, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(choice.thenBlock());
    Values behind = forEachPoint(isAgain, position, [&](Value, Value, ValueRange in) {
      b.cloneOperations(pass.before, /*onlyNumbers=*/true, Value());
      Value lower = b.toI32(b.mapping.lookup(loop.getLower())),
            upper = b.toI32(b.mapping.lookup(loop.getUpper())),
            step = b.i32(static_cast<int64_t>(loop.getStep()));
      auto keys = b.make<scf::ForOp>(lower, upper, step, in);
      OpBuilder::InsertionGuard inLoop(b);
      b.setInsertionPointToStart(keys.getBody());
      Value at = keys.getRegionIterArgs().front();
      b.cloneStageNumbers(pass, b.toIndex(keys.getInductionVar()));
      b.make<AcquireOp>(ring.getRing(), at);
      copy(tile, ring, at);
      b.make<scf::YieldOp>(b.make<AdvanceOp>(positionType, at, program.stages).getResult());
      return Values(keys.getResults());
    });
    b.make<scf::YieldOp>(behind);
    b.setInsertionPointToStart(choice.elseBlock());
    b.make<scf::YieldOp>(position);
    position = choice.getResult(0);
  }
  if (pass.residents.empty())
    return positions;
  when(b.make<IsLeaderOp>(b.getI1Type(), warp), [&] {
    forEachPoint(isAgain, {}, [&](Value, Value queryPosition, ValueRange) {
      b.cloneOperations(pass.before, /*onlyNumbers=*/true, Value());
      for (RingOp ring : residentsOf(isAgain))
        b.make<AcquireOp>(ring.getRing(), queryPosition);
      for (auto [load, ring] : llvm::zip_equal(pass.residents, residentsOf(isAgain)))
        copy(pass.copyOf(load), ring, queryPosition);
      return Values();
    });
  });
  return positions;
}

//===----------------------------------------------------------------------===//
// Consumers
//===----------------------------------------------------------------------===//

TileLoopOp Warpgroups::makeLoop(const TilePass &pass, bool isAgain, Value queryPosition,
                                Value position, ValueRange operands, ValueRange split) {
  tile::KeyLoopOp source = pass.loop;
  bool looksAhead = !isAgain && program.lookahead == 1;
  Values scoreRings, residentRings, kept(split), inits;
  for (RingOp ring : ArrayRef(rings).drop_back())
    scoreRings.push_back(ring.getRing());
  for (auto [ring, operand] : llvm::zip_equal(residentsOf(isAgain), operands)) {
    RingOp resident = ring;
    if (isa<OperandType>(operand.getType()))
      kept.push_back(operand);
    else
      residentRings.push_back(resident.getRing());
  }
  for (Value init : source.getInits())
    inits.push_back(b.mapping.lookup(init));
  SmallVector<Type> types(ValueRange(inits).getTypes());
  types.push_back(position.getType());
  bool takesTurns = looksAhead && program.takesTurns && program.consumers > 1;
  return b.make<TileLoopOp>(
      types, b.mapping.lookup(source.getLower()), b.mapping.lookup(source.getUpper()),
      b.getI64IntegerAttr(static_cast<int64_t>(source.getStep())), scoreRings,
      rings.back().getRing(), position, residentRings,
      residentRings.empty() ? Value() : queryPosition, kept, inits,
      b.getI64IntegerAttr(program.stages), b.getI64IntegerAttr(looksAhead ? 1 : 0),
      takesTurns ? b.getUnitAttr() : UnitAttr());
}

Value Warpgroups::emitPoint(const TilePass &pass, bool isAgain, Value round, Value queryPosition,
                            Value position) {
  b.cloneOperations(pass.before, /*onlyNumbers=*/false, Value());
  for (RingOp ring : residentsOf(isAgain))
    b.make<AwaitOp>(ring.getRing(), queryPosition);
  Values operands, split;
  for (auto [op, room] : llvm::zip_equal(pass.splits, rooms))
    llvm::append_range(split, b.emitSplit(op, room));
  b.emitCodes(pass, roomsForCodes);
  for (auto [load, ring] : llvm::zip_equal(pass.residents, residentsOf(isAgain))) {
    RingOp resident = ring;
    tile::LoadOp tileLoad = load;
    Value tile =
        b.make<PlaceOp>(resident.getRing().getType().getTile(), resident.getRing(), queryPosition);
    ScoreOpInterface score = pass.score;
    std::optional<unsigned> left = score.getLeftOperand();
    if (program.hasQueriesInRegisters && left && score->getOperand(*left) == tileLoad.getTile()) {
      tile = b.make<LoadOperandOp>(getOperandType(tile.getType()), tile);
      b.make<ReleaseOp>(resident.getRing(), queryPosition, Value());
    }
    operands.push_back(tile);
  }
  TileLoopOp loop = makeLoop(pass, isAgain, queryPosition, position, operands, split);
  b.fillStages(pass, loop, operands, /*isAsynchronous=*/true);
  tile::KeyLoopOp source = pass.loop;
  for (auto [old, result] : llvm::zip(source.getResults(), loop.getResults()))
    b.mapping.map(old, result);

  // What is needed behind the loop is formed again, so that no registers hold it meanwhile. The
  // search for a sequence takes longer than registers are worth.
  Value lane = b.make<LaneOp>(b.getI32Type(), /*again=*/true);
  if (llvm::none_of(pass.before, llvm::IsaPred<tile::SequenceTileOp>)) {
    b.setPoint(b.make<PointAgainOp>(round, order).getResults());
    b.cloneOperations(pass.before, /*onlyNumbers=*/true, Value());
  }
  b.cloneOperations(pass.behind, /*onlyNumbers=*/false, lane);
  if (program.again && !isAgain) {
    Value some = b.make<tile::AnyOp>(b.getI1Type(), b.mapping.lookup(program.againCondition));
    when(some, [&] { b.make<MarkOp>(marks, round); });
  }
  return loop.getResults().back();
}

Value Warpgroups::emitConsumers(const TilePass &pass, bool isAgain, Value position) {
  return forEachPoint(isAgain, position,
                      [&](Value round, Value queryPosition, ValueRange in) {
                        return Values{emitPoint(pass, isAgain, round, queryPosition, in.front())};
                      })
      .front();
}

//===----------------------------------------------------------------------===//
// Roles
//===----------------------------------------------------------------------===//

void Warpgroups::whenMarked(function_ref<void()> pass) {
  // What consumers have marked is there for all.
  b.make<NVVM::BarrierOp>();
  when(b.make<IsMarkedOp>(b.getI1Type(), marks, Value()), pass);
}

void Warpgroups::run() {
  // 64 K registers for all: what the producer gives up the consumers get.
  constexpr std::array<std::pair<int64_t, int64_t>, 4> registers = {
      {{0, 0}, {0, 0}, {24, 240}, {32, 160}}};
  auto [few, many] = registers[program.consumers];
  int64_t consumerWarps = 4 * program.consumers;
  b.startKernel(/*warps=*/4 + consumerWarps, /*firstConsumer=*/4);
  if (program.isPersistent && pointsDiffer(program.main.loop))
    order = b.make<PointOrderOp>(PointOrderType::get(b.getContext()), IntegerAttr());
  makeRings();
  if (program.again)
    marks = b.make<MarksOp>(MarksType::get(b.getContext()), IntegerAttr());
  b.make<PrepareOp>();
  auto roles = b.make<RolesOp>(b.getStrArrayAttr({"producer", "consumers"}),
                               b.getDenseI64ArrayAttr({4, consumerWarps}),
                               b.getDenseI64ArrayAttr({few, many}), /*bodiesCount=*/2);
  Type position = PositionType::get(b.getContext());

  b.createBlock(&roles.getBodies()[0]);
  Values positions;
  for (size_t i = 0; i < rings.size(); ++i)
    positions.push_back(b.make<StartOp>(position));
  positions = emitProducer(program.main, /*isAgain=*/false, positions);
  if (program.again)
    whenMarked([&] { emitProducer(*program.again, /*isAgain=*/true, positions); });
  b.make<YieldOp>(ValueRange());

  b.createBlock(&roles.getBodies()[1]);
  Value start = b.make<StartOp>(position);
  start = emitConsumers(program.main, /*isAgain=*/false, start);
  if (program.again)
    whenMarked([&] { emitConsumers(*program.again, /*isAgain=*/true, start); });
  b.make<YieldOp>(ValueRange());
}

LogicalResult sfa::simt::specializeWarpgroups(TileProgram &program, OpBuilder &builder) {
  const TilePass &pass = program.main;
  if (pass.staged.size() != 2)
    return program.main.loop.emitOpError(
        "loads more than a key and a value tile, which the warpgroup path does not support");
  SmallVector<TileCopy> copies(ArrayRef(pass.staged).drop_back());
  for (tile::LoadOp load : pass.residents)
    copies.push_back(pass.copyOf(load));
  for (const TileCopy &copy : copies)
    if (copy.limit)
      return copy.load->emitOpError(
          "has a limit, which the warpgroup path supports for values only");
  Warpgroups(program, builder).run();
  return success();
}
