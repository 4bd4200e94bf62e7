//===- KernelLowering.cpp - The lowering of one kernel to threads of a GPU ---- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;
using namespace sfa::gpu;

CodePath::~CodePath() = default;

static constexpr StringLiteral sharedMemoryName = "sfa_shared";

KernelLowering::KernelLowering(KernelOp kernel, const Chip &chip)
    : kernel(kernel), chip(chip), emit(kernel.getLoc(), kernel.getContext()) {}

//===----------------------------------------------------------------------===//
// Kernel
//===----------------------------------------------------------------------===//

/// Diagnoses memories that kernels of a GPU cannot take.
static LogicalResult checkMemories(KernelOp kernel) {
  for (BlockArgument memory : kernel.getMemories()) {
    auto type = dyn_cast<MemRefType>(memory.getType());
    if (!type || (type.getRank() != 1 && type.getRank() != 3 && type.getRank() != 4))
      return kernel.emitOpError() << "takes " << memory.getType()
                                  << "; on a GPU memories have rank 1, 3 or 4";
  }
  return success();
}

/// Of how many heads `op` has rows; 1 where it has no rows of heads.
static int64_t headsOf(Operation *op) {
  return TypeSwitch<Operation *, int64_t>(op)
      .Case<LoadOp, LoadCodesOp, StoreOp, MaskOp>(
          [](auto ofHeads) { return static_cast<int64_t>(ofHeads.getHeads()); })
      .Default(int64_t(1));
}

LogicalResult KernelLowering::checkHeads() {
  int64_t warpRows = 16 * geometry.repeats;
  WalkResult result = kernel.walk([&](Operation *op) {
    int64_t heads = headsOf(op);
    if (heads == 1)
      return WalkResult::advance();
    if (!path || (isa<LoadOp>(op) && isa<KeyLoopOp>(op->getParentOp()))) {
      op->emitOpError() << "has rows of " << heads
                        << " heads; on a GPU only the tiles of queries and their results may";
      return WalkResult::interrupt();
    }
    int64_t rows = ScheduleAttr::rowsOfHead(geometry.qTile, heads);
    if (rows % warpRows == 0 || warpRows % rows == 0)
      return WalkResult::advance();
    op->emitOpError()
        << "has " << geometry.qTile << " rows of " << heads << " heads, " << rows
        << " of each; on a GPU a warp owns " << warpRows
        << " rows, those of one head or of several whole heads: choose another q_tile or "
           "another packed_heads";
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

LogicalResult KernelLowering::chooseGeometry() {
  Block &body = kernel.getBody().front();
  for (KeyLoopOp op : body.getOps<KeyLoopOp>())
    if (!keyLoop)
      keyLoop = op;
  if (!keyLoop)
    return checkHeads();
  for (RetryOp op : body.getOps<RetryOp>())
    retry = op;
  KeyLoopOp loop = keyLoop;
  geometry.qTile = loop.getAccType().getRows();
  geometry.kTile = loop.getStep();
  valueType = cast<TileType>(loop.getValueTile().getType()).getElementType();
  schedule = resolve(kernel.getScheduleAttr());
  if (schedule.strategy != Strategy::Dense)
    return kernel.emitOpError() << "has strategy = " << stringifyEnum(schedule.strategy)
                                << "; on a GPU only dense is there yet";
  if (retry && failed(checkRetry()))
    return failure();
  geometry.consumers = schedule.consumers;
  if (geometry.qTile % (64 * geometry.consumers) != 0)
    return kernel.emitOpError() << "has q_tile = " << geometry.qTile
                                << " and consumers = " << geometry.consumers
                                << "; a GPU needs q_tile to be a multiple of 64 consumers";
  if (geometry.kTile % 16 != 0)
    return kernel.emitOpError() << "has k_tile = " << geometry.kTile
                                << "; a GPU needs a multiple of 16";
  geometry.repeats = geometry.qTile / (64 * geometry.consumers);
  resources.isPersistent = chip.hasWarpgroups && schedule.grid == Grid::Persistent;
  path = chip.hasWarpgroups ? createWarpgroupPath(*this) : createWarpPath(*this);
  if (failed(path->check(geometry)))
    return failure();
  return checkHeads();
}

KeyLoopOp KernelLowering::retryLoop() {
  return *retry.getBody().front().getOps<KeyLoopOp>().begin();
}

bool KernelLowering::hasSumColumns() {
  return kernel
      .walk([](AccumulateOp op) {
        return op.hasSumColumns() ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}

LogicalResult KernelLowering::checkRetry() {
  KeyLoopOp again = retryLoop();
  auto loaded = [](KeyLoopOp loop) { return KeyLoopOp::getYielded(loop.getLoad()).getTypes(); };
  if (loaded(again) != loaded(keyLoop) || again.getStep() != keyLoop.getStep() ||
      again.getAccType().getRows() != keyLoop.getAccType().getRows())
    return again.emitOpError("has other tiles than the key loop before; on a GPU both loops use the "
                             "same shared memory");
  SmallVector<LoadOp> known = outerLoads(keyLoop);
  for (LoadOp load : outerLoads(again))
    if (!llvm::is_contained(known, load))
      return load.emitOpError("is read when points are computed again but not before, which a GPU "
                              "does not support");
  return success();
}

void KernelLowering::createFunction(Block *module) {
  emit.setInsertionPointToEnd(module);
  Type nothing = LLVM::LLVMVoidType::get(emit.getContext());
  function =
      emit.make<LLVM::LLVMFuncOp>(kernel.getSymName(), LLVM::LLVMFunctionType::get(nothing, {}));
  Block *entry = function.addEntryBlock(emit);
  emit.setInsertionPointToStart(entry);
  Location loc = kernel.getLoc();
  for (auto [number, argument] : llvm::enumerate(kernel.getMemories())) {
    Memory memory;
    memory.type = cast<MemRefType>(argument.getType());
    memory.number = number;
    memory.pointer = entry->addArgument(emit.globalPointer(), loc);
    for (Value *field : {&memory.rows, &memory.batchStride, &memory.headStride, &memory.rowStride})
      *field = entry->addArgument(emit.getI64Type(), loc);
    memories[argument] = memory;
  }
  if (isPersistent())
    for (int i = 0; i < 3; ++i)
      extents.push_back(entry->addArgument(emit.getI32Type(), loc));
}

Value KernelLowering::tensorMap(const Memory &memory, int64_t rows, int64_t heads) {
  // Parameters are bytes to the function; the launch encodes them.
  Block &entry = function.getBody().front();
  TensorMapBox wanted = {memory.number, rows, heads};
  for (auto [number, map] : llvm::enumerate(resources.tensorMaps))
    if (map == wanted)
      return entry.getArgument(numScalars() + number);
  resources.tensorMaps.push_back(wanted);
  return entry.addArgument(LLVM::LLVMPointerType::get(emit.getContext()), kernel.getLoc());
}

FailureOr<LLVM::LLVMFuncOp> KernelLowering::run(Block *module) {
  if (failed(checkMemories(kernel)) || failed(chooseGeometry()))
    return failure();
  createFunction(module);

  resources.numThreads = path ? path->numThreads(geometry) : rowKernelThreads;
  thread = emit.threadId();
  lane = emit.bitAnd(thread, 31);
  warp = emit.shiftRight(path ? emit.sub(thread, path->firstConsumer()) : thread, 5);
  if (path)
    warp = emit.uniform(warp);

  if (path && isPersistent() && pointsDiffer())
    chooseGroup();

  Block &entry = function.getBody().front();
  LogicalResult lowered = success();
  if (path)
    lowered = path->lowerKernel(keyLoop);
  else
    forEachPoint({}, [&](Value, ValueRange) {
      lowered = lowerRowKernel(*this);
      return Values();
    });
  if (failed(lowered))
    return failure();
  emit.setInsertionPointToEnd(&entry);
  emit.make<LLVM::ReturnOp>(ValueRange());

  if (resources.sharedBytes > chip.maxSharedBytes)
    return kernel.emitOpError() << "has tiles that do not fit: they need " << resources.sharedBytes
                                << " bytes of shared memory, " << chip.name << " has "
                                << chip.maxSharedBytes
                                << "; choose a smaller q_tile, k_tile or stages";

  function.setFunctionType(LLVM::LLVMFunctionType::get(
      LLVM::LLVMVoidType::get(emit.getContext()), SmallVector<Type>(entry.getArgumentTypes())));
  for (unsigned map = 0; map < resources.tensorMaps.size(); ++map) {
    auto bytes = LLVM::LLVMArrayType::get(emit.getI8Type(), 128);
    unsigned argument = numScalars() + map;
    function.setArgAttr(argument, LLVM::LLVMDialect::getByValAttrName(), TypeAttr::get(bytes));
    function.setArgAttr(argument, LLVM::LLVMDialect::getAlignAttrName(),
                        emit.getI64IntegerAttr(64));
    function.setArgAttr(argument, NVVM::NVVMDialect::getGridConstantAttrName(), emit.getUnitAttr());
  }
  function->setAttr(::mlir::gpu::GPUDialect::getKernelFuncAttrName(), emit.getUnitAttr());
  function->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(), emit.getUnitAttr());
  auto threads = static_cast<int32_t>(resources.numThreads);
  function->setAttr(NVVM::NVVMDialect::getReqntidAttrName(),
                    emit.getDenseI32ArrayAttr({threads, 1, 1}));
  function->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(), emit.getI32IntegerAttr(1));
  return function;
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
      .Case<FillOp, MaskOp, ScaleOp, RowMaxOp, RowSumOp, Exp2Op, FmaOp, AddOp, MulOp, TotalOp,
            MapRowsOp, AnyOp, ScaleRowsOp, NormalizeOp, LseOp, RowSumsOfOp, SplitSumsOp,
            NotFiniteOp, IsDueOp, DotOp, AccumulateOp, StoreOp, SequenceTileOp, arith::SelectOp>(
          [&](auto known) {
            lower(known);
            return success();
          })
      .Case([&](LoadOp load) { return lower(load); })
      .Case([&](scf::IfOp choice) { return lowerIf(choice); })
      .Case([&](memref::DimOp dim) -> LogicalResult {
        const Memory &source = memory(dim.getSource());
        std::optional<int64_t> index = dim.getConstantIndex();
        if (index == 2)
          mapping.map(dim.getResult(), emit.toIndex(source.rows));
        else if (index && !source.type.isDynamicDim(*index))
          mapping.map(dim.getResult(),
                      emit.make<arith::ConstantIndexOp>(source.type.getDimSize(*index)));
        else
          return dim.emitOpError("asks for a size that a kernel of a GPU does not know");
        return success();
      })
      .Default([&](Operation *other) -> LogicalResult {
        if (other->getNumRegions() != 0 || !isa<arith::ArithDialect>(other->getDialect()))
          return other->emitOpError("is not supported in a kernel on a GPU");
        emit.clone(*other, mapping);
        return success();
      });
}

//===----------------------------------------------------------------------===//
// Registers of values
//===----------------------------------------------------------------------===//

KernelLowering::Values KernelLowering::registersOf(Value value) {
  auto tile = dyn_cast<TileType>(value.getType());
  if (!tile)
    return {scalar(value)};
  if (!tile.isRowVector())
    return fragments.at(value).elements;
  return tile.isPartial() ? rowVectors.at(value).elements : rowsOf(value);
}

void KernelLowering::setRegisters(Value value, ValueRange registers) {
  auto tile = dyn_cast<TileType>(value.getType());
  if (!tile)
    mapping.map(value, registers.front());
  else if (tile.isRowVector())
    rowVectors[value] = {Values(registers), tile.isPartial()};
  else
    fragments[value] = {Values(registers), tile.getColumns()};
}

LogicalResult KernelLowering::lowerIf(scf::IfOp op) {
  if (matchPattern(scalar(op.getCondition()), m_One())) {
    if (failed(lower(*op.thenBlock())))
      return failure();
    for (auto [result, value] : llvm::zip_equal(op.getResults(), op.thenYield().getOperands()))
      setRegisters(result, registersOf(value));
    return success();
  }
  Region regions[2];
  Block *sources[] = {op.thenBlock(), op.elseBlock()};
  unsigned numResults = op.getNumResults();
  SmallVector<size_t> counts(numResults);
  SmallVector<Type> types;
  for (int branch : {0, 1}) {
    OpBuilder::InsertionGuard guard(emit);
    emit.createBlock(&regions[branch]);
    if (sources[branch] && failed(lower(*sources[branch])))
      return failure();
    Values yielded;
    for (unsigned i = 0; i < numResults; ++i) {
      Values registers = registersOf(sources[branch]->getTerminator()->getOperand(i));
      counts[i] = registers.size();
      llvm::append_range(yielded, registers);
    }
    if (branch == 0)
      llvm::append_range(types, ValueRange(yielded).getTypes());
    if (branch == 0 || numResults != 0 || sources[1])
      emit.make<scf::YieldOp>(yielded);
  }
  auto choice = emit.make<scf::IfOp>(types, scalar(op.getCondition()), /*addThenBlock=*/false,
                                     /*addElseBlock=*/false);
  choice.getThenRegion().takeBody(regions[0]);
  if (sources[1])
    choice.getElseRegion().takeBody(regions[1]);
  ValueRange results = choice.getResults();
  for (unsigned i = 0; i < numResults; ++i) {
    ValueRange registers = results.take_front(counts[i]);
    results = results.drop_front(counts[i]);
    setRegisters(op.getResult(i), registers);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value KernelLowering::address(const Memory &memory, Value batch, Value head, Value row) {
  Value element = emit.add(emit.mul(emit.toI64(batch), memory.batchStride),
                           emit.mul(emit.toI64(head), memory.headStride));
  element = emit.add(element, emit.mul(emit.toI64(row), memory.rowStride));
  return emit.offset(memory.pointer, element, memory.type.getElementType());
}

Value KernelLowering::rowsLeft(const Memory &memory, Value row, Value limit) {
  Value end = memory.rows;
  if (limit)
    end = emit.minSigned(end, emit.toI64(scalar(limit)));
  return emit.sub(end, emit.toI64(row));
}

Value KernelLowering::allocateShared(int64_t bytes) {
  OpBuilder::InsertionGuard guard(emit);
  if (!sharedMemory) {
    Block *module = function->getBlock();
    sharedMemory = nullptr;
    for (auto global : module->getOps<LLVM::GlobalOp>())
      if (global.getSymName() == sharedMemoryName)
        sharedMemory = global;
    if (!sharedMemory) {
      emit.setInsertionPointToStart(module);
      auto type = LLVM::LLVMArrayType::get(emit.getI8Type(), 0);
      sharedMemory = emit.make<LLVM::GlobalOp>(type, /*isConstant=*/false, LLVM::Linkage::External,
                                               sharedMemoryName, Attribute(), SharedTile::alignment,
                                               /*addrSpace=*/3);
    }
  }
  emit.setInsertionPointToStart(&function.getBody().front());
  Value base = emit.make<LLVM::AddressOfOp>(sharedMemory);
  int64_t start = llvm::alignTo(resources.sharedBytes, SharedTile::alignment);
  resources.sharedBytes = start + bytes;
  // What is too large is refused at the end.
  return emit.offset(base, std::min<int64_t>(start, int64_t(1) << 30));
}

//===----------------------------------------------------------------------===//
// Stages of the key loop
//===----------------------------------------------------------------------===//

KernelLowering::State KernelLowering::initialState(KeyLoopOp loop) {
  State state{fragments.at(loop.getAccInit()), {}};
  for (Value init : loop.getStateInits())
    state.further.push_back(registersOf(init));
  return state;
}

void KernelLowering::finish(KeyLoopOp loop, const State &state) {
  fragments[loop.getAcc()] = state.acc;
  for (auto [result, registers] : llvm::zip_equal(loop.getStates(), state.further))
    setRegisters(result, registers);
}

KernelLowering::Values KernelLowering::flatten(const State &state) {
  Values values = state.acc.elements;
  for (const Values &registers : state.further)
    llvm::append_range(values, registers);
  return values;
}

KernelLowering::State KernelLowering::unflatten(const State &shape, ValueRange values) {
  State state = shape;
  auto take = [&](Values &registers) {
    size_t count = registers.size();
    registers = Values(values.take_front(count));
    values = values.drop_front(count);
  };
  take(state.acc.elements);
  for (Values &registers : state.further)
    take(registers);
  return state;
}

static Value yielded(Region &stage, unsigned index) {
  return stage.front().getTerminator()->getOperand(index);
}

LogicalResult KernelLowering::lowerScores(KeyLoopOp loop, ArrayRef<SharedTile> keyTiles) {
  for (auto [argument, tile] : llvm::zip_equal(loop.getScore().getArguments(), keyTiles))
    sharedTiles[argument] = tile;
  return lower(loop.getScore().front());
}

LogicalResult KernelLowering::lowerMask(KeyLoopOp loop) {
  fragments[loop.getMask().getArgument(1)] = Fragment(fragments.at(yielded(loop.getScore(), 0)));
  if (failed(lower(loop.getMask().front())))
    return failure();
  fragments[loop.getSoftmax().getArgument(0)] = Fragment(fragments.at(yielded(loop.getMask(), 0)));
  return success();
}

FailureOr<KernelLowering::Weights> KernelLowering::lowerSoftmax(KeyLoopOp loop, Value key,
                                                                State &state, bool isFirst) {
  mapping.map(loop.getMask().getArgument(0), key);
  if (failed(lowerMask(loop)))
    return failure();
  setRegisters(loop.getSoftmaxStates(), state.further);
  mapping.map(loop.getIsFirst(), emit.i1(isFirst));
  if (failed(lower(loop.getSoftmax().front())))
    return failure();
  for (auto [next, registers] : llvm::zip_equal(loop.getNextSoftmaxStates(), state.further))
    registers = registersOf(next);
  Weights weights{fragments.at(loop.getProbabilities()), {}};
  for (Value extra : loop.getExtras())
    weights.extras.push_back(registersOf(extra));
  return weights;
}

LogicalResult KernelLowering::lowerAccumulate(KeyLoopOp loop, const Weights &weights,
                                              const SharedTile &valueTile, State &state,
                                              Value isFirstStage) {
  Region &accumulate = loop.getAccumulate();
  fragments[accumulate.getArgument(0)] = state.acc;
  fragments[accumulate.getArgument(1)] = weights.probabilities;
  sharedTiles[loop.getValueTile()] = valueTile;
  setRegisters(loop.getAccumulateStates(), state.further);
  setRegisters(loop.getExtraArguments(), weights.extras);
  isDue = isFirstStage;
  if (failed(lower(accumulate.front())))
    return failure();
  state.acc = fragments.at(yielded(accumulate, 0));
  for (auto [number, registers] : llvm::enumerate(state.further))
    registers = registersOf(yielded(accumulate, 1 + number));
  return success();
}

FailureOr<SmallVector<LoadOp>> KernelLowering::stageLoads(KeyLoopOp loop) {
  SmallVector<LoadOp> loads;
  for (Value tile : loop.getLoad().front().getTerminator()->getOperands()) {
    auto load = tile.getDefiningOp<LoadOp>();
    if (!load)
      return emitError(tile.getLoc())
             << "a key or value tile has to be loaded as it is on a GPU; densify codes before";
    if (load.getTile().getType().getColumns() % SharedTile::panelColumns != 0 ||
        load.getTile().getType().getElementType().getIntOrFloatBitWidth() != 16)
      return load.emitOpError() << "gives " << load.getTile().getType()
                                << "; a GPU needs f16 or bf16 and a multiple of "
                                << SharedTile::panelColumns << " columns";
    loads.push_back(load);
  }
  return loads;
}

SmallVector<LoadOp> KernelLowering::outerLoads(KeyLoopOp loop) {
  SmallVector<LoadOp> loads;
  for (LoadOp load : kernel.getBody().front().getOps<LoadOp>())
    if (llvm::any_of(load.getTile().getUsers(),
                     [&](Operation *user) { return loop->isProperAncestor(user); }))
      loads.push_back(load);
  return loads;
}

LogicalResult KernelLowering::lowerStageScalars(KeyLoopOp loop, Value key) {
  mapping.map(loop.getLoad().getArgument(0), key);
  for (Operation &op : loop.getLoad().front().without_terminator())
    if (!isa<LoadOp>(op) && failed(lower(&op)))
      return failure();
  return success();
}

LogicalResult KernelLowering::lower(LoadOp op) {
  // Those that the key loop reads are copied by it.
  for (Operation *user : op.getTile().getUsers())
    if (!user->getParentOfType<KeyLoopOp>())
      return user->emitOpError("reads a loaded tile outside of the key loop, which a GPU does not "
                               "support");
  TileType type = op.getTile().getType();
  if (type.getColumns() % SharedTile::panelColumns != 0 ||
      type.getElementType().getIntOrFloatBitWidth() != 16)
    return op.emitOpError() << "gives " << type << "; a GPU needs f16 or bf16 and a multiple of "
                            << SharedTile::panelColumns << " columns";
  return success();
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

void KernelLowering::lower(DotOp op) {
  fragments[op.getScores()] = path->dot(sharedTiles.at(op.getQuery()), sharedTiles.at(op.getKey()));
}

void KernelLowering::lower(AccumulateOp op) {
  fragments[op.getResult()] =
      path->accumulate(fragments.at(op.getAcc()), fragments.at(op.getProbabilities()),
                       sharedTiles.at(op.getValue()));
}

std::array<Value, 4> KernelLowering::packLeft(const Fragment &fragment, int64_t repeat,
                                              int64_t step) {
  size_t first = repeat * fragment.columns / 4 + 4 * step;
  std::array<Value, 4> packed;
  for (size_t pair = 0; pair < 4; ++pair) {
    size_t number = 2 * (first + pair);
    packed[pair] = emit.pack(fragment.elements[number], fragment.elements[number + 1], valueType);
  }
  return packed;
}
