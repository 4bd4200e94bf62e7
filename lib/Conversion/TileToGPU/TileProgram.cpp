//===- TileProgram.cpp - What a kernel over tiles consists of -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TileProgram.h"

#include "sfa/Swizzle.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

/// The one operation that forms the scores of `loop`.
static FailureOr<ScoreOpInterface> findScore(tile::KeyLoopOp loop) {
  ScoreOpInterface found;
  for (Operation &op : loop.getScore().front()) {
    auto score = dyn_cast<ScoreOpInterface>(op);
    if (!score)
      continue;
    if (found)
      return op.emitOpError("is the second operation that forms scores in stage 'score'; a GPU "
                            "supports one");
    found = score;
  }
  if (!found)
    return loop.emitOpError("has no operation that forms scores on a GPU in stage 'score'; "
                            "sfa_tile.dot is one");
  return found;
}

static LogicalResult checkLoad(tile::LoadOp load) {
  tile::TileType type = load.getTile().getType();
  unsigned width = type.getElementType().getIntOrFloatBitWidth();
  // Rows are whole pieces of 16 bytes.
  bool isWhole = width == 16 || (width == 8 && type.getColumns() % 16 == 0);
  if (GpuFeatures::allow(type.getColumns()) && isWhole)
    return success();
  return load.emitOpError() << "gives " << type << "; " << GpuFeatures::description;
}

TileCopy::TileCopy(tile::LoadOp load, TileForm form)
    : load(load), memory(load.getMemory()), batch(load.getBatch()), head(load.getHead()),
      row(load.getRow()), limit(load.getLimit()), heads(load.getHeadsAttr()) {
  tile::TileType type = load.getTile().getType();
  tile = SharedType::get(load.getContext(), type.getShape(), type.getElementType(), form);
}

TileCopy::TileCopy(tile::LoadPostingsOp load)
    : load(load), memory(load.getMemory()), batch(load.getBatch()), head(load.getHead()),
      row(load.getRow()), heads(Builder(load).getI64IntegerAttr(1)) {
  tile::PostingsType type = load.getPostings().getType();
  tile = SharedType::get(load.getContext(), {type.getRows(), type.getFeatures(), type.getK()},
                         type.getElementType(), TileForm::Postings);
}

TileForm TilePass::formOf(Value tile) const {
  ScoreOpInterface op = score;
  for (OpOperand &operand : op->getOpOperands())
    if (operand.get() == tile)
      return op.getTileForm(operand.getOperandNumber());
  return TileForm::Swizzled;
}

TileForm TilePass::stagedForm(size_t number) const {
  tile::KeyLoopOp source = loop;
  Region &stage = source.getScore();
  return number < stage.getNumArguments() ? formOf(stage.getArgument(number)) : TileForm::Swizzled;
}

/// The pass of `loop`; `before` are the operations of the kernel before it.
static FailureOr<TilePass> analyzePass(tile::KeyLoopOp loop, ArrayRef<Operation *> before) {
  TilePass pass;
  pass.loop = loop;
  llvm::append_range(pass.before, before);
  for (Operation &op : llvm::make_range(std::next(Block::iterator(loop)), loop->getBlock()->end()))
    if (!op.hasTrait<OpTrait::IsTerminator>() && !isa<tile::RetryOp>(op))
      pass.behind.push_back(&op);
  FailureOr<ScoreOpInterface> score = findScore(loop);
  if (failed(score))
    return failure();
  pass.score = *score;

  for (auto [number, tile] : llvm::enumerate(tile::KeyLoopOp::getYielded(loop.getLoad()))) {
    if (auto scales = tile.getDefiningOp<tile::LoadScalesOp>(); scales && !pass.keyScales) {
      pass.keyScales = scales;
      continue;
    }
    // Nothing but sfa_tile.scatter_dot takes lists.
    if (auto lists = tile.getDefiningOp<tile::LoadPostingsOp>()) {
      pass.staged.emplace_back(lists);
      continue;
    }
    auto load = tile.getDefiningOp<tile::LoadOp>();
    if (!load)
      return emitError(tile.getLoc())
             << "a key or value tile has to be loaded as it is on a GPU; sfa-densify-operands "
                "writes codes out before";
    if (failed(checkLoad(load)))
      return failure();
    TileForm form = pass.stagedForm(number);
    bool isFeatureMajor = form == TileForm::FeatureMajor;
    if (isFeatureMajor != load.getFeatureMajor())
      return load.emitOpError() << "loads keys "
                                << (isFeatureMajor ? "row by row" : "feature-major") << ", but "
                                << (*score)->getName() << " does not read them so on a "
                                << "GPU; sfa-densify-operands gives each strategy its form";
    pass.staged.emplace_back(load, form);
  }
  for (Operation *op : pass.before) {
    if (auto codes = dyn_cast<tile::LoadCodesOp>(op))
      if (llvm::any_of(codes->getUsers(), [&](Operation *user) { return loop->isAncestor(user); }))
        pass.codes.push_back(codes);
    if (auto split = dyn_cast<tile::SplitOp>(op))
      pass.splits.push_back(split);
    auto load = dyn_cast<tile::LoadOp>(op);
    if (!load)
      continue;
    bool isRead = false;
    for (Operation *user : load.getTile().getUsers()) {
      if (!user->getParentOfType<tile::KeyLoopOp>())
        return user->emitOpError("reads a loaded tile outside of the key loop, which a GPU does "
                                 "not support");
      isRead |= loop->isProperAncestor(user);
    }
    if (failed(checkLoad(load)))
      return failure();
    if (isRead)
      pass.residents.push_back(load);
  }
  return pass;
}

static SmallVector<Operation *> operationsBefore(tile::KeyLoopOp loop) {
  SmallVector<Operation *> before;
  for (Operation &op : llvm::make_range(loop->getBlock()->begin(), Block::iterator(loop)))
    before.push_back(&op);
  return before;
}

/// Diagnoses a second pass that needs other tiles than the first.
static LogicalResult checkAgain(const TilePass &first, const TilePass &again) {
  auto typesOf = [](ArrayRef<TileCopy> copies) {
    return llvm::map_to_vector(copies, [](const TileCopy &copy) { return copy.tile; });
  };
  tile::KeyLoopOp loop = again.loop, main = first.loop;
  if (typesOf(again.staged) != typesOf(first.staged) || loop.getStep() != main.getStep() ||
      loop.getAccType().getRows() != main.getAccType().getRows())
    return loop.emitOpError("has other tiles than the key loop before; on a GPU both loops use the "
                            "same shared memory");
  for (tile::LoadOp load : again.residents)
    if (!llvm::is_contained(first.residents, load))
      return load.emitOpError("is read when points are computed again but not before, which a GPU "
                              "does not support");
  return success();
}

//===----------------------------------------------------------------------===//
// Rows of heads
//===----------------------------------------------------------------------===//

/// Of how many heads `op` has rows; 1 where it has no rows of heads.
static int64_t headsOf(Operation *op) {
  return TypeSwitch<Operation *, int64_t>(op)
      .Case<tile::LoadOp, tile::LoadCodesOp, tile::LoadScalesOp, tile::StoreOp, tile::MaskOp>(
          [](auto ofHeads) { return static_cast<int64_t>(ofHeads.getHeads()); })
      .Default(int64_t(1));
}

/// Diagnoses tiles of several heads that do not give each warp, which owns `warpRows` rows of
/// `qTile`, rows of one head or of several whole heads.
static LogicalResult checkHeads(tile::KernelOp kernel, int64_t qTile, int64_t warpRows) {
  WalkResult result = kernel.walk([&](Operation *op) {
    int64_t heads = headsOf(op);
    if (heads == 1)
      return WalkResult::advance();
    if (isa<tile::LoadOp, tile::LoadScalesOp>(op) && isa<tile::KeyLoopOp>(op->getParentOp())) {
      op->emitOpError() << "has rows of " << heads
                        << " heads; on a GPU only the tiles of queries and their results may";
      return WalkResult::interrupt();
    }
    int64_t rows = ScheduleAttr::rowsOfHead(qTile, heads);
    if (rows % warpRows == 0 || warpRows % rows == 0)
      return WalkResult::advance();
    op->emitOpError() << "has " << qTile << " rows of " << heads << " heads, " << rows
                      << " of each; on a GPU a warp owns " << warpRows
                      << " rows, those of one head or of several whole heads: choose another "
                         "q_tile or another packed_heads";
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

bool sfa::simt::pointsDiffer(tile::KeyLoopOp loop) {
  return llvm::any_of(loop.getMask().front().getOps<tile::MaskOp>(), [](tile::MaskOp op) {
    return op.getMask().rightBound().has_value() != op.getMask().leftBound().has_value();
  });
}

/// Diagnoses a strategy that GPUs do not have for the operands of `kernel`.
static LogicalResult checkStrategy(tile::KernelOp kernel, Strategy strategy) {
  WalkResult found = kernel.walk([](tile::LoadCodesOp codes) {
    return codes.getScales() ? WalkResult::interrupt() : WalkResult::advance();
  });
  if (found.wasInterrupted())
    return kernel.emitOpError()
           << "has strategy = " << stringifyEnum(strategy)
           << " and reads 8-bit codes; on a GPU they need strategy = dense, for which "
              "sfa-densify-operands writes them out as rows of integers";
  return success();
}

/// Diagnoses schedules that no GPU, or not `chip`, can honour.
static LogicalResult checkSchedule(TileProgram &program, const Chip &chip) {
  auto refuse = [&] { return program.kernel.emitOpError(); };
  int64_t qTile = program.qTile(), consumers = program.consumers;
  if (qTile % (64 * consumers) != 0)
    return refuse() << "has q_tile = " << qTile << " and consumers = " << consumers
                    << "; a GPU needs q_tile to be a multiple of 64 consumers";
  if (program.kTile() % 16 != 0)
    return refuse() << "has k_tile = " << program.kTile() << "; a GPU needs a multiple of 16";
  if (!chip.hasWarpgroups) {
    if (consumers > 8)
      return refuse() << "has consumers = " << consumers << "; a block has at most 8 warpgroups";
    return success();
  }
  if (consumers > 3)
    return refuse() << "has consumers = " << consumers << "; " << chip.name << " allows 1 to 3";
  if (qTile != 64 * consumers)
    return refuse() << "has q_tile = " << qTile << " and consumers = " << consumers << "; on "
                    << chip.name << " q_tile has to be 64 consumers";
  if (program.hasQueriesInRegisters &&
      program.main.staged.front().tile.getForm() == TileForm::Postings)
    return refuse() << "has queries = registers and strategy = scatter, which has its codes in "
                       "shared memory: choose queries = shared";
  if (program.lookahead == 0 && program.takesTurns)
    return refuse() << "has lookahead = 0 and turns = ping_pong; consumers take turns with "
                       "lookahead = 1 only";
  if (program.kTile() > 256)
    return refuse() << "has k_tile = " << program.kTile() << "; " << chip.name
                    << " allows at most 256";
  return success();
}

FailureOr<TileProgram> sfa::simt::analyze(tile::KernelOp kernel, const Chip &chip) {
  TileProgram program;
  program.kernel = kernel;
  tile::KeyLoopOp loop = *kernel.getBody().getOps<tile::KeyLoopOp>().begin();
  ResolvedSchedule schedule = resolve(kernel.getScheduleAttr());
  if (failed(checkStrategy(kernel, schedule.strategy)))
    return failure();
  FailureOr<TilePass> main = analyzePass(loop, operationsBefore(loop));
  if (failed(main))
    return failure();
  program.main = *main;
  auto retries = kernel.getBody().getOps<tile::RetryOp>();
  if (!retries.empty()) {
    tile::RetryOp retry = *retries.begin();
    tile::KeyLoopOp second = *retry.getBody().getOps<tile::KeyLoopOp>().begin();
    SmallVector<Operation *> before = program.main.before;
    llvm::append_range(before, operationsBefore(second));
    FailureOr<TilePass> again = analyzePass(second, before);
    if (failed(again) || failed(checkAgain(program.main, *again)))
      return failure();
    program.again = *again;
    program.againCondition = retry.getCondition();
  }

  program.consumers = schedule.consumers;
  program.stages = schedule.stages;
  program.lookahead = schedule.lookahead;
  program.takesTurns = schedule.turns == Turns::PingPong;
  program.hasQueriesInRegisters = chip.hasWarpgroups && schedule.queries == Queries::Registers;
  program.isPersistent = chip.hasWarpgroups && schedule.grid == Grid::Persistent;
  if (failed(checkSchedule(program, chip)) ||
      failed(checkHeads(kernel, program.qTile(), program.qTile() / (4 * program.consumers))))
    return failure();
  return program;
}
