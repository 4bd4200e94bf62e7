//===- KernelLowering.cpp - The lowering of one kernel: where its tiles live -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"
#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;
using namespace sfa::cpu;

/// More would hardly be tiles: a second-level cache has 0.25 to 2 MiB.
static constexpr int64_t maxScratchBytes = int64_t(16) << 20;

/// Every machine's vectors and register tiles divide these.
static constexpr int64_t queryGranule = 8, keyGranule = 16;

KernelLowering::KernelLowering(KernelOp kernel, unsigned lanes, const LLVMTypeConverter &types)
    : kernel(kernel), types(types), emit(kernel.getLoc(), kernel.getContext(), lanes) {}

LLVM::LLVMStructType KernelLowering::getContextType(KernelOp kernel,
                                                    const LLVMTypeConverter &types) {
  SmallVector<Type> fields;
  for (BlockArgument parameter : kernel.getParameters())
    fields.push_back(types.convertType(parameter.getType()));
  fields.append(2, IntegerType::get(kernel.getContext(), 64));
  return LLVM::LLVMStructType::getLiteral(kernel.getContext(), fields);
}

LogicalResult KernelLowering::checkTiles() {
  if (auto schedule = kernel.getScheduleAttr()) {
    std::tuple<StringRef, std::optional<int64_t>, int64_t> sizes[] = {
        {"q_tile", schedule.getQTile(), queryGranule}, {"k_tile", schedule.getKTile(), keyGranule}};
    for (auto [name, size, granule] : sizes)
      if (size && *size % granule != 0)
        return kernel.emitOpError()
               << "has " << name << " = " << *size << "; the CPU needs a multiple of " << granule;
  }
  // Scores have a row for each query and a column for each key.
  auto check = [&](Operation *op, TileType scores) -> LogicalResult {
    if (scores.getRows() % queryGranule == 0 && scores.getColumns() % keyGranule == 0)
      return success();
    return op->emitOpError() << "has scores of type " << scores << "; the CPU needs a multiple of "
                             << queryGranule << " queries and of " << keyGranule << " keys";
  };
  auto refuse = [](Operation *op) -> LogicalResult {
    return op->emitOpError("is on feature-major tiles in memory, which only GPUs have; leave out "
                           "sfa.feature_major: the CPU transposes tiles of rows");
  };
  auto refuseLists = [](Operation *op) -> LogicalResult {
    return op->emitOpError(
        "is on posting lists in memory, which only GPUs have; leave out "
        "sfa.postings: the CPU forms the lists of a tile when it loads its codes");
  };
  WalkResult result = kernel.walk([&](Operation *op) {
    LogicalResult checked =
        TypeSwitch<Operation *, LogicalResult>(op)
            .Case([&](LoadOp load) { return load.getFeatureMajor() ? refuse(load) : success(); })
            .Case([&](StoreFeatureMajorOp store) { return refuse(store); })
            .Case<LoadPostingsOp, StorePostingsOp>([&](auto lists) { return refuseLists(lists); })
            .Case<DotOp, GatherDotOp, ScatterDotOp, TwoFourDotOp, MaskOp>(
                [&](auto score) { return check(score, score.getScores().getType()); })
            .Case<RowMaxOp, RowSumOp>([&](auto row) { return check(row, row.getTile().getType()); })
            .Case([&](AccumulateOp sum) { return check(sum, sum.getProbabilities().getType()); })
            .Default(success());
    return failed(checked) ? WalkResult::interrupt() : WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

FailureOr<func::FuncOp> KernelLowering::run() {
  if (failed(checkTiles()) || failed(findKeyTiles()))
    return failure();

  emit.setInsertionPoint(kernel);
  Type pointer = LLVM::LLVMPointerType::get(emit.getContext()), i64 = emit.getI64Type();
  function = emit.make<func::FuncOp>(kernel.getSymName(),
                                     emit.getFunctionType({pointer, i64, pointer}, TypeRange()));
  function.setPrivate();
  Block *entry = function.addEntryBlock();
  emit.setInsertionPointToStart(entry);
  Value context = entry->getArgument(0);
  scratch = entry->getArgument(2);

  LLVM::LLVMStructType contextType = getContextType(kernel, types);
  auto field = [&](int32_t number) -> Value {
    Value address =
        emit.make<LLVM::GEPOp>(pointer, contextType, context, ArrayRef<LLVM::GEPArg>{0, number});
    return emit.make<LLVM::LoadOp>(contextType.getBody()[number], address);
  };
  auto numParameters = static_cast<int32_t>(kernel.getParameters().size());
  for (auto [number, parameter] : llvm::enumerate(kernel.getParameters())) {
    Value value = field(number);
    if (value.getType() != parameter.getType())
      value = emit.make<UnrealizedConversionCastOp>(parameter.getType(), value).getResult(0);
    mapping.map(parameter, value);
  }

  // Points run in order of their index: the last row tiles first, which have the most keys under a
  // causal mask.
  auto toIndex = [&](Value value) {
    return emit.make<arith::IndexCastOp>(emit.getIndexType(), value);
  };
  Value index = toIndex(entry->getArgument(1));
  Value heads = toIndex(field(numParameters)), tiles = toIndex(field(numParameters + 1));
  Value head = emit.make<arith::RemUIOp>(index, heads);
  Value rest = emit.make<arith::DivUIOp>(index, heads);
  Value batch = emit.make<arith::DivUIOp>(rest, tiles);
  Value tile = emit.make<arith::RemUIOp>(rest, tiles);
  Value lastFirst = emit.sub(emit.sub(tiles, emit.index(1)), tile);
  mapping.map(kernel.getCoordinates(), ArrayRef<Value>{batch, head, lastFirst});

  if (failed(lower(kernel.getBody().front())))
    return failure();
  emit.make<func::ReturnOp>();

  if (scratchBytes > maxScratchBytes)
    return kernel.emitOpError() << "has tiles that do not fit: they need " << scratchBytes
                                << " bytes of scratch memory, allowed are " << maxScratchBytes
                                << "; choose a smaller q_tile or k_tile";
  function->setAttr(scratchBytesAttrName, emit.getI64IntegerAttr(scratchBytes));
  return function;
}

LogicalResult KernelLowering::findKeyTiles() {
  SmallVector<Value> work;
  kernel.walk([&](Operation *op) {
    TypeSwitch<Operation *>(op).Case<DotOp, GatherDotOp, TwoFourDotOp>(
        [&](auto dot) { work.push_back(dot.getKey()); });
  });
  // A block argument of the stage `score` is what the stage `load` yields.
  auto isScoreArgument = [](Value value) {
    auto argument = dyn_cast<BlockArgument>(value);
    auto loop = argument ? dyn_cast<KeyLoopOp>(argument.getOwner()->getParentOp()) : nullptr;
    return loop && argument.getParentRegion() == &loop.getScore();
  };
  while (!work.empty()) {
    Value value = work.pop_back_val();
    if (!keyTiles.insert(value).second)
      continue;
    if (isScoreArgument(value)) {
      auto argument = cast<BlockArgument>(value);
      auto loop = cast<KeyLoopOp>(argument.getOwner()->getParentOp());
      work.push_back(loop.getLoad().front().getTerminator()->getOperand(argument.getArgNumber()));
    } else if (!value.getDefiningOp<LoadOp>() && !value.getDefiningOp<ExpandOp>()) {
      return emitError(value.getLoc()) << "a key tile has to be loaded or expanded on the CPU";
    }
  }

  // Key tiles are feature-major: nothing else may read them.
  for (Value tile : keyTiles)
    for (OpOperand &use : tile.getUses()) {
      Operation *user = use.getOwner();
      bool isKey =
          TypeSwitch<Operation *, bool>(user)
              .Case<DotOp, GatherDotOp, TwoFourDotOp>(
                  [&](auto dot) { return &use == &dot.getKeyMutable(); })
              .Case([&](YieldOp yield) {
                auto loop = dyn_cast<KeyLoopOp>(yield->getParentOp());
                return loop && yield->getParentRegion() == &loop.getLoad() &&
                       use.getOperandNumber() + 1 < yield.getNumOperands() &&
                       keyTiles.contains(loop.getScore().getArgument(use.getOperandNumber()));
              })
              .Default(false);
      if (!isKey)
        return user->emitOpError(
            "reads a tile that is also a key tile, which the CPU does not support; "
            "load it twice");
    }
  return success();
}

LogicalResult KernelLowering::lower(Block &block) {
  for (Operation &op : block.without_terminator())
    if (failed(lower(&op)))
      return failure();
  return success();
}

LogicalResult KernelLowering::lower(Operation *op) {
  emit.setLoc(op->getLoc());
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case<LoadOp, LoadCodesOp, LoadScalesOp, StoreOp, StoreCodesOp, FillOp, ExpandOp, TopkOp,
            tile::QuantizeOp, QuantizeCodesOp, StoreScalesOp, DotOp, DequantizeOp, GatherDotOp,
            tile::PostingsOp, ScatterDotOp, SplitOp, TwoFourDotOp, AccumulateOp, MaskOp, ScaleOp,
            RowMaxOp, RowSumOp, Exp2Op, FmaOp, AddOp, MulOp, TotalOp, MapRowsOp, AnyOp, ScaleRowsOp,
            RowSumsOfOp, SplitSumsOp, NotFiniteOp, IsDueOp, NormalizeOp, LseOp, CombineOp,
            SequenceTileOp, SplitRangeOp, ProbeOp, FirstKeyOp, AppendOp>([&](auto tileOp) {
        lower(tileOp);
        return success();
      })
      .Case([&](KeyLoopOp loop) { return lowerKeyLoop(loop); })
      .Case([&](scf::IfOp choice) { return lowerIf(choice); })
      .Case([&](RetryOp retry) { return lowerRetry(retry); })
      .Default([&](Operation *other) -> LogicalResult {
        if (other->getNumRegions() != 0 || isa_and_nonnull<TileDialect>(other->getDialect()))
          return other->emitOpError("is not supported in a kernel on the CPU");
        if (auto select = dyn_cast<arith::SelectOp>(other))
          if (auto tile = dyn_cast<TileType>(select.getType()); tile && tile.isRowVector()) {
            lowerRowSelect(select);
            return success();
          }
        SmallVector<Type> types(other->getOperandTypes());
        llvm::append_range(types, other->getResultTypes());
        for (Type type : types)
          if (isa<TileDialect>(type.getDialect()))
            return other->emitOpError() << "takes or returns " << type
                                        << ", which the CPU supports for sfa_tile operations only";
        emit.clone(*other, mapping);
        return success();
      });
}

LogicalResult KernelLowering::lowerIf(scf::IfOp op) {
  // Row vectors are small: each result gets its own buffer. A matrix is the buffer that the branch
  // taken yields, which both may have.
  for (Value result : op.getResults()) {
    auto tile = dyn_cast<TileType>(result.getType());
    if (tile && tile.isRowVector())
      rowVectors[result] = allocateRows(tile);
    else if (!tile && isa<TileDialect>(result.getType().getDialect()))
      return op.emitOpError() << "returns " << result.getType()
                              << ", which the CPU does not support";
  }
  // What the branches yield: of matrices the memory, nothing of row vectors.
  bool hasElse = !op.getElseRegion().empty();
  Region regions[2];
  SmallVector<Value> yielded[2];
  for (int branch = 0; branch < 1 + hasElse; ++branch) {
    OpBuilder::InsertionGuard guard(emit);
    emit.createBlock(&regions[branch]);
    Block *from = branch == 0 ? op.thenBlock() : op.elseBlock();
    if (failed(lower(*from)))
      return failure();
    for (auto [result, value] :
         llvm::zip_equal(op.getResults(), from->getTerminator()->getOperands())) {
      auto tile = dyn_cast<TileType>(value.getType());
      if (tile && tile.isRowVector())
        copyRows(rowVector(value), rowVectors[result], rowsOf(tile));
      else
        yielded[branch].push_back(tile ? rowMatrix(value).memory : scalar(value));
    }
  }
  SmallVector<bool> isShared;
  for (size_t number = 0; number < yielded[0].size(); ++number)
    isShared.push_back(isa<MemRefType>(yielded[0][number].getType()) &&
                       yielded[0][number] == yielded[1][number]);
  SmallVector<Type> types;
  for (int branch = 0; branch < 1 + hasElse; ++branch) {
    OpBuilder::InsertionGuard guard(emit);
    emit.setInsertionPointToEnd(&regions[branch].front());
    SmallVector<Value> values;
    auto memory = yielded[branch].begin();
    auto shared = isShared.begin();
    for (Value result : op.getResults()) {
      auto tile = dyn_cast<TileType>(result.getType());
      if (tile && tile.isRowVector())
        continue;
      Value value = *memory++;
      if (*shared++)
        continue;
      values.push_back(tile ? emit.make<memref::CastOp>(
                                  getMatrixType(rowsOf(tile), tile.getColumns()), value)
                            : value);
    }
    if (branch == 0)
      llvm::append_range(types, ValueRange(values).getTypes());
    emit.make<scf::YieldOp>(values);
  }
  auto choice = emit.make<scf::IfOp>(types, scalar(op.getCondition()), /*addThenBlock=*/false,
                                     /*addElseBlock=*/false);
  choice.getThenRegion().takeBody(regions[0]);
  if (hasElse)
    choice.getElseRegion().takeBody(regions[1]);

  auto lowered = choice.getResults().begin();
  size_t number = 0;
  for (Value result : op.getResults()) {
    auto tile = dyn_cast<TileType>(result.getType());
    if (tile && tile.isRowVector())
      continue;
    Value value = isShared[number] ? yielded[0][number] : *lowered++;
    ++number;
    if (tile)
      matrices[result] = {value, rowsOf(tile), tile.getColumns()};
    else
      mapping.map(result, value);
  }
  return success();
}

LogicalResult KernelLowering::lowerRetry(RetryOp op) {
  // Of the first pass nothing is needed any more but what was there before its loop.
  int64_t firstPassBytes = std::exchange(scratchBytes, scratchBytesBeforeLoop);
  LogicalResult result = success();
  emit.when(scalar(op.getCondition()), [&] { result = lower(op.getBody().front()); });
  scratchBytes = std::max(scratchBytes, firstPassBytes);
  return result;
}

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

Value KernelLowering::allocate(ArrayRef<int64_t> shape, Type element) {
  OpBuilder::InsertionGuard guard(emit);
  emit.setInsertionPointToStart(&function.getBody().front());
  constexpr int64_t alignment = 64;
  auto type = MemRefType::get(shape, element);
  // Scratch memory that is too large is refused at the end.
  auto offset = static_cast<int32_t>(std::min(scratchBytes, maxScratchBytes));
  Value address = emit.make<LLVM::GEPOp>(scratch.getType(), emit.getI8Type(), scratch,
                                         ArrayRef<LLVM::GEPArg>{offset});
  Value descriptor = MemRefDescriptor::fromStaticShape(emit, emit.getLoc(), types, type, address);
  scratchBytes +=
      llvm::alignTo(type.getNumElements() * type.getElementTypeBitWidth() / 8, alignment);
  return emit.make<UnrealizedConversionCastOp>(type, descriptor).getResult(0);
}

/// The distance of two rows of a matrix.
static int64_t getRowStride(int64_t columns, int64_t lanes) {
  return static_cast<int64_t>(llvm::alignTo(columns, lanes)) + lanes;
}

MemRefType KernelLowering::getMatrixType(int64_t rows, int64_t columns) {
  int64_t stride = getRowStride(columns, emit.lanes);
  auto layout = StridedLayoutAttr::get(emit.getContext(), ShapedType::kDynamic, {stride, 1});
  return MemRefType::get({rows, stride}, emit.getF32Type(), layout);
}

MatrixBuffer KernelLowering::allocateMatrix(int64_t rows, int64_t columns) {
  return {allocate({rows, getRowStride(columns, emit.lanes)}, emit.getF32Type()), rows, columns};
}

Value KernelLowering::allocateRows(int64_t rows, Type element) {
  return allocate({static_cast<int64_t>(llvm::alignTo(rows, emit.lanes))},
                  element ? element : emit.getF32Type());
}

Value KernelLowering::allocateRows(TileType tile) {
  return allocateRows(rowsOf(tile), tile.isFlags() ? emit.getI32Type() : Type());
}

bool KernelLowering::isLastUse(OpOperand &operand) {
  Value value = operand.get();
  for (Operation *op = operand.getOwner();; op = op->getParentOp()) {
    for (OpOperand &use : value.getUses()) {
      Operation *user = op->getBlock()->findAncestorOpInBlock(*use.getOwner());
      bool sameOp = user == op && (use.getOwner() != operand.getOwner() || &use == &operand);
      if (user && !sameOp && !user->isBeforeInBlock(op))
        return false;
    }
    if (op->getBlock() == value.getParentBlock())
      return true;
    if (!isa<scf::IfOp>(op->getParentOp()))
      return false; // in a loop the next iteration reads it
  }
}

MatrixBuffer KernelLowering::takeMatrix(OpOperand &operand, bool copy) {
  MatrixBuffer given = rowMatrix(operand.get());
  if (isLastUse(operand))
    return given;
  MatrixBuffer fresh = allocateMatrix(given.rows, given.columns);
  if (copy)
    copyMatrix(given, fresh);
  return fresh;
}

void KernelLowering::copyMatrix(MatrixBuffer from, MatrixBuffer to) {
  emit.loop(0, from.rows, 1, [&](Value row) {
    emit.loop(0, from.columns, emit.lanes, [&](Value column) {
      emit.storeVector(emit.loadVector(from.memory, {row, column}), to.memory, {row, column});
    });
  });
}

void KernelLowering::copyRows(Value from, Value to, int64_t rows) {
  if (from == to)
    return;
  emit.loop(0, rows, emit.lanes,
            [&](Value row) { emit.storeVector(emit.loadVector(from, row), to, row); });
}
