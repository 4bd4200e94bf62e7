//===- ProgramBuilder.cpp - The program of a block from parts of a tile program -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProgramBuilder.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

//===----------------------------------------------------------------------===//
// Kernel
//===----------------------------------------------------------------------===//

KernelOp ProgramBuilder::startKernel(int64_t warps, int64_t firstConsumer) {
  tile::KernelOp source = program.kernel;
  auto kernel = make<KernelOp>(source.getSymNameAttr(), getI64IntegerAttr(warps),
                               getI64IntegerAttr(firstConsumer), getI64IntegerAttr(warps),
                               program.isPersistent ? getUnitAttr() : UnitAttr());
  Block *body = createBlock(&kernel.getBody());
  for (BlockArgument parameter : source.getParameters())
    mapping.map(parameter, body->addArgument(parameter.getType(), parameter.getLoc()));
  make<ReturnOp>();
  setInsertionPoint(body->getTerminator());
  return kernel;
}

RingOp ProgramBuilder::makeRing(SharedType tile, int64_t stages, std::optional<int64_t> readers,
                                bool ones) {
  auto count = [&](std::optional<int64_t> number) {
    return number ? getI64IntegerAttr(*number) : IntegerAttr();
  };
  return make<RingOp>(RingType::get(getContext(), stages, tile),
                      count(readers ? std::optional<int64_t>(1) : std::nullopt), count(readers),
                      ones ? getUnitAttr() : UnitAttr(), /*other=*/Value(), /*neighbor=*/Value(),
                      IntegerAttr(), IntegerAttr());
}

RingOp ProgramBuilder::makeRoomFor(tile::SplitOp split) {
  tile::CodesType codes = split.getCodes().getType();
  return makeRoom(SharedType::get(getContext(), {codes.getRows(), codes.getFeatures()},
                                  codes.getElementType(), TileForm::Swizzled));
}

RingOp ProgramBuilder::makeRoom(SharedType shared) {
  return make<RingOp>(RingType::get(getContext(), /*stages=*/1, shared), IntegerAttr(),
                      IntegerAttr(), UnitAttr(), /*other=*/Value(), /*neighbor=*/Value(),
                      IntegerAttr(), IntegerAttr());
}

SmallVector<Value> ProgramBuilder::emitSplit(tile::SplitOp split, RingOp room) {
  auto load = split.getCodes().getDefiningOp<tile::LoadCodesOp>();
  assert(load && "codes of queries are loaded; see analyze");
  setLoc(split.getLoc());
  auto in = [&](Value value) { return mapping.lookup(value); };
  SharedType shared = room.getRing().getType().getTile();
  Value tile = make<PlaceOp>(shared, room.getRing(), i32(0));
  make<ExpandRowsOp>(in(load.getValues()), in(load.getIndices()), in(load.getBatch()),
                     in(load.getHead()), in(load.getRow()), load.getHeadsAttr(), tile);
  auto type = [&](bool inRegisters) {
    return TwoFourType::get(getContext(), shared.getRows(), shared.getColumns(),
                            shared.getElementType(), inRegisters);
  };
  auto parts = make<SplitTwoFourOp>(type(program.hasQueriesInRegisters), type(false), tile);
  mapping.map(split.getPart(), parts.getPart());
  mapping.map(split.getSurplus(), parts.getSurplus());
  SmallVector<Value> read{parts.getPart()};
  if (!split.getSurplus().use_empty())
    read.push_back(parts.getSurplus());
  return read;
}

CodesType ProgramBuilder::typeOfCodes(const TilePass &pass, tile::LoadCodesOp load) {
  tile::CodesType codes = load.getCodes().getType();
  SharedType keys = pass.staged.front().tile;
  constexpr int64_t elementBytes = 2;
  int64_t step = keys.getForm() == TileForm::Postings ? PostingsAttr::startBytes
                                                      : elementBytes * keys.getRows();
  return CodesType::get(getContext(), codes.getRows(), codes.getFeatures(), codes.getElementType(),
                        codes.getK(), step, program.hasQueriesInRegisters);
}

void ProgramBuilder::makeRoomForScores(const TilePass &pass) {
  ScoreOpInterface score = pass.score;
  int64_t warps = 4 * program.consumers;
  if (SharedType room = score.getRoom(pass.staged.front().tile, warps))
    scoreRoom = makeRoom(room);
}

SmallVector<RingOp> ProgramBuilder::makeRoomsForCodes(const TilePass &pass) {
  SmallVector<RingOp> rooms;
  if (!program.hasQueriesInRegisters)
    for (tile::LoadCodesOp load : pass.codes)
      rooms.push_back(makeRoom(typeOfCodes(pass, load).getRoom()));
  return rooms;
}

void ProgramBuilder::emitCodes(const TilePass &pass, ArrayRef<RingOp> rooms) {
  auto in = [&](Value value) { return mapping.lookup(value); };
  for (auto [number, op] : llvm::enumerate(pass.codes)) {
    tile::LoadCodesOp load = op;
    setLoc(load.getLoc());
    CodesType type = typeOfCodes(pass, load);
    Value room;
    if (!type.getInRegisters()) {
      RingOp ring = rooms[number];
      room = make<PlaceOp>(type.getRoom(), ring.getRing(), i32(0));
    }
    auto codes =
        make<LoadCodesOp>(type, in(load.getValues()), in(load.getIndices()), in(load.getBatch()),
                          in(load.getHead()), in(load.getRow()), load.getHeadsAttr(), room);
    mapping.map(load.getCodes(), codes.getCodes());
  }
}

//===----------------------------------------------------------------------===//
// Operations outside of loops
//===----------------------------------------------------------------------===//

static bool isOnTiles(Operation *op) {
  auto isTile = [](Type type) { return isa<tile::TileType>(type); };
  return llvm::any_of(op->getOperandTypes(), isTile) || llvm::any_of(op->getResultTypes(), isTile);
}

void ProgramBuilder::cloneOperation(Operation *op) {
  setLoc(op->getLoc());
  clone(*op, mapping);
}

void ProgramBuilder::cloneOperations(ArrayRef<Operation *> operations, bool onlyNumbers,
                                     Value lane) {
  for (Operation *op : operations) {
    if (isa<tile::LoadOp, tile::LoadCodesOp, tile::SplitOp>(op) || (onlyNumbers && isOnTiles(op)))
      continue;
    auto store = dyn_cast<tile::StoreOp>(op);
    if (!store) {
      cloneOperation(op);
      continue;
    }
    setLoc(op->getLoc());
    auto in = [&](Value value) { return value ? mapping.lookup(value) : Value(); };
    make<StoreOp>(in(store.getTile()), in(store.getMemory()), in(store.getBatch()),
                  in(store.getHead()), in(store.getRow()), in(store.getLimit()),
                  store.getHeadsAttr(), lane);
  }
}

void ProgramBuilder::cloneStageNumbers(const TilePass &pass, Value key) {
  tile::KeyLoopOp loop = pass.loop;
  mapping.map(loop.getLoad().getArgument(0), key);
  for (Operation &op : loop.getLoad().front().without_terminator())
    if (!isa<tile::LoadOp, tile::LoadPostingsOp, tile::LoadScalesOp>(op))
      cloneOperation(&op);
}

/// The scales that `scores` takes of its keys, of which `load` reads those of a tile.
static ColumnsType getKeyScales(tile::DequantizeOp scores, tile::LoadScalesOp load) {
  tile::TileType type = scores.getScores().getType();
  int64_t together = type.getColumnsOfFactor();
  // Integers stay what they are only where columns share a scale. Sequences begin anywhere: a tile
  // of theirs has the keys of two scales.
  if (type.getElementType().isF32())
    together = load.getSharedBy() == Scales::Tile && type.getColumns() <= tokensOfScale
                   ? ColumnsType::twoNumbers
                   : 1;
  return ColumnsType::get(scores.getContext(), type.getColumns(),
                          Float32Type::get(scores.getContext()), together);
}

void ProgramBuilder::startKeyScales(const TilePass &pass, tile::DequantizeOp scores) {
  tile::LoadScalesOp load = pass.keyScales;
  setLoc(load.getLoc());
  cloneStageNumbers(pass, make<tile::FirstKeyOp>(getIndexType()));
  ColumnsType type = getKeyScales(scores, load);
  if (type.getTogether() != 1) {
    mapping.map(load.getScales(), loadKeyScales(pass, scores));
    return;
  }
  // There are no registers for one of each column until they are used.
  auto in = [&](Value value) { return mapping.lookup(value); };
  make<PrefetchScalesOp>(in(load.getMemory()), in(load.getBatch()), in(load.getHead()),
                         in(load.getRow()), type.getSize());
}

Value ProgramBuilder::loadKeyScales(const TilePass &pass, tile::DequantizeOp scores) {
  tile::LoadScalesOp load = pass.keyScales;
  if (Value loaded = mapping.lookupOrNull(load.getScales()))
    return loaded;
  auto in = [&](Value value) { return mapping.lookup(value); };
  return make<LoadScalesOp>(getKeyScales(scores, load), in(load.getMemory()), in(load.getBatch()),
                            in(load.getHead()), in(load.getRow()), load.getSharedBy());
}

//===----------------------------------------------------------------------===//
// Stages
//===----------------------------------------------------------------------===//

Block *ProgramBuilder::startStage(Region &stage, TypeRange arguments) {
  return createBlock(&stage, {}, arguments, SmallVector<Location>(arguments.size(), getLoc()));
}

void ProgramBuilder::cloneStage(Region &from, Region &to) {
  mapping.map(from.getArguments(), to.getArguments());
  for (Operation &op : from.front().without_terminator())
    cloneOperation(&op);
  SmallVector<Value> yielded;
  for (Value value : tile::KeyLoopOp::getYielded(from))
    yielded.push_back(mapping.lookup(value));
  make<YieldOp>(yielded);
}

void ProgramBuilder::fillScore(const TilePass &pass, TileLoopOp loop, bool isAsynchronous) {
  tile::KeyLoopOp source = pass.loop;
  SmallVector<Type> tiles;
  for (Value ring : loop.getScoreRings())
    tiles.push_back(cast<RingType>(ring.getType()).getTile());
  Block *block = startStage(loop.getScore(), tiles);
  // What the stage gets, but for scales, is in rings.
  ValueRange staged = block->getArguments();
  for (auto [argument, loaded] :
       llvm::zip(source.getScore().getArguments(), tile::KeyLoopOp::getYielded(source.getLoad())))
    if (!loaded.getDefiningOp<tile::LoadScalesOp>()) {
      mapping.map(argument, staged.front());
      staged = staged.drop_front();
    }
  for (auto scales : source.getScore().front().getOps<tile::DequantizeOp>())
    startKeyScales(pass, scales);
  for (Operation &op : source.getScore().front().without_terminator()) {
    if (auto scales = dyn_cast<tile::DequantizeOp>(op)) {
      setLoc(op.getLoc());
      Value keys = loadKeyScales(pass, scales);
      mapping.map(scales.getScores(), make<DequantizeOp>(scales.getScores().getType(),
                                                         mapping.lookup(scales.getProduct()),
                                                         mapping.lookup(scales.getRows()), keys)
                                          .getScores());
      continue;
    }
    auto score = dyn_cast<ScoreOpInterface>(op);
    if (!score) {
      cloneOperation(&op);
      continue;
    }
    setLoc(op.getLoc());
    SmallVector<Value> operands;
    for (Value operand : op.getOperands())
      operands.push_back(mapping.lookup(operand));
    if (scoreRoom)
      operands.push_back(
          make<PlaceOp>(scoreRoom.getRing().getType().getTile(), scoreRoom.getRing(), i32(0)));
    auto type = cast<tile::TileType>(op.getResult(0).getType());
    mapping.map(op.getResult(0), score.emitScores(*this, operands, type, isAsynchronous));
  }
  make<YieldOp>(mapping.lookup(tile::KeyLoopOp::getYielded(source.getScore()).front()));
}

void ProgramBuilder::fillTrim(const TilePass &pass, TileLoopOp loop) {
  Type value = cast<RingType>(loop.getValueRing().getType()).getTile();
  Block *block = startStage(loop.getTrim(), {getIndexType(), value});
  const TileCopy &values = pass.values();
  // Warps that copy themselves leave rows out.
  if (values.limit && loop.getPosition()) {
    cloneStageNumbers(pass, block->getArgument(0));
    Value two = make<arith::ConstantIndexOp>(2);
    Value end = make<memref::DimOp>(mapping.lookup(values.memory), two);
    end = make<arith::MinSIOp>(end, mapping.lookup(values.limit));
    Value rows = make<arith::SubIOp>(end, mapping.lookup(values.row));
    make<ClearRowsOp>(block->getArgument(1), rows);
  }
  make<YieldOp>(ValueRange());
}

void ProgramBuilder::fillAccumulate(const TilePass &pass, TileLoopOp loop, bool isAsynchronous) {
  tile::KeyLoopOp source = pass.loop;
  Region &from = source.getAccumulate();
  SmallVector<Type> types(from.getArgumentTypes());
  types[2] = cast<RingType>(loop.getValueRing().getType()).getTile();
  types.push_back(getI1Type());
  Block *block = startStage(loop.getAccumulate(), types);
  mapping.map(from.getArguments(), block->getArguments().drop_back());
  from.walk([&](tile::IsDueOp due) { mapping.map(due.getResult(), block->getArguments().back()); });
  for (Operation &op : from.front().without_terminator()) {
    if (isa<tile::IsDueOp>(op))
      continue;
    auto product = dyn_cast<tile::AccumulateOp>(op);
    if (!product) {
      cloneOperation(&op);
      continue;
    }
    setLoc(op.getLoc());
    Value acc = mapping.lookup(product.getAcc()), p = mapping.lookup(product.getProbabilities()),
          value = mapping.lookup(product.getValue());
    if (!isAsynchronous) {
      mapping.map(product.getResult(), make<AccumulateOp>(acc, p, value).getResult());
      continue;
    }
    auto tile = cast<tile::TileType>(p.getType());
    auto operand = OperandType::get(getContext(), tile.getRows(), tile.getColumns(),
                                    cast<SharedType>(value.getType()).getElementType());
    Value left = make<PackOp>(operand, p);
    Value pending = make<IssueAccumulateOp>(getPendingType(acc.getType()), acc, left, value);
    mapping.map(product.getResult(), make<WaitOp>(pending, 0).getResult(0));
  }
  SmallVector<Value> yielded;
  for (Value value : tile::KeyLoopOp::getYielded(from))
    yielded.push_back(mapping.lookup(value));
  make<YieldOp>(yielded);
}

void ProgramBuilder::fillStages(const TilePass &pass, TileLoopOp loop, ValueRange residents,
                                bool isAsynchronous) {
  OpBuilder::InsertionGuard guard(*this);
  tile::KeyLoopOp source = pass.loop;
  for (auto [load, tile] : llvm::zip_equal(pass.residents, residents)) {
    tile::LoadOp resident = load;
    mapping.map(resident.getTile(), tile);
  }
  if (loop.getLoad().empty()) {
    startStage(loop.getLoad(), {getIndexType(), getI32Type()});
    make<YieldOp>(ValueRange());
  }
  fillScore(pass, loop, isAsynchronous);
  for (auto [from, to] : {std::pair<Region *, Region *>{&source.getMask(), &loop.getMask()},
                          {&source.getSoftmax(), &loop.getSoftmax()}}) {
    startStage(*to, from->getArgumentTypes());
    cloneStage(*from, *to);
  }
  fillTrim(pass, loop);
  fillAccumulate(pass, loop, isAsynchronous);
}
