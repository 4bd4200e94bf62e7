//===- TileStructure.cpp - Kernels, launches and the loop over key tiles --===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Tile/Tile.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;

#include "dialects/Tile/TileInterfaces.cpp.inc"

//===----------------------------------------------------------------------===//
// KernelOp
//===----------------------------------------------------------------------===//

Block::BlockArgListType sfa::tile::takeMemories(Block::BlockArgListType parameters) {
  return parameters.take_while([](BlockArgument it) { return isa<MemRefType>(it.getType()); });
}

Block::BlockArgListType sfa::tile::dropMemories(Block::BlockArgListType parameters) {
  return parameters.drop_front(takeMemories(parameters).size());
}

void KernelOp::build(OpBuilder &builder, OperationState &state, StringRef name,
                     TypeRange parameters, ScheduleAttr schedule) {
  state.addAttribute(getSymNameAttrName(state.name), builder.getStringAttr(name));
  if (schedule)
    state.addAttribute(getScheduleAttrName(state.name), schedule);
  Region *body = state.addRegion();
  Block &block = body->emplaceBlock();
  block.addArguments(parameters, SmallVector<Location>(parameters.size(), state.location));
  for (int i = 0; i < 3; ++i)
    block.addArgument(builder.getIndexType(), state.location);
  ensureTerminator(*body, builder, state.location);
}

// sfa_tile.kernel @name(%memory: type, ...) grid(%b, %h, %t) [schedule <...>] [attributes {...}] {
// ... }
ParseResult KernelOp::parse(OpAsmParser &parser, OperationState &result) {
  StringAttr name;
  SmallVector<OpAsmParser::Argument> arguments, coordinates;
  if (parser.parseSymbolName(name, getSymNameAttrName(result.name), result.attributes) ||
      parser.parseArgumentList(arguments, OpAsmParser::Delimiter::Paren, /*allowType=*/true) ||
      parser.parseKeyword("grid"))
    return failure();
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseArgumentList(coordinates, OpAsmParser::Delimiter::Paren))
    return failure();
  if (coordinates.size() != 3)
    return parser.emitError(loc) << "a grid has 3 coordinates (batch, head, row tile), given are "
                                 << coordinates.size();
  for (OpAsmParser::Argument &coordinate : coordinates)
    coordinate.type = parser.getBuilder().getIndexType();
  if (succeeded(parser.parseOptionalKeyword("schedule"))) {
    ScheduleAttr schedule;
    if (parser.parseCustomAttributeWithFallback(schedule, Type(), getScheduleAttrName(result.name),
                                                result.attributes))
      return failure();
  }
  llvm::append_range(arguments, coordinates);
  Region *body = result.addRegion();
  if (parser.parseOptionalAttrDictWithKeyword(result.attributes) ||
      parser.parseRegion(*body, arguments))
    return failure();
  ensureTerminator(*body, parser.getBuilder(), result.location);
  return success();
}

void KernelOp::print(OpAsmPrinter &printer) {
  printer << " ";
  printer.printSymbolName(getSymName());
  printer << "(";
  llvm::interleaveComma(getParameters(), printer,
                        [&](BlockArgument it) { printer.printRegionArgument(it); });
  printer << ") grid(";
  llvm::interleaveComma(getCoordinates(), printer,
                        [&](BlockArgument coordinate) { printer.printOperand(coordinate); });
  printer << ")";
  if (ScheduleAttr schedule = getScheduleAttr()) {
    printer << " schedule ";
    printer.printStrippedAttrOrType(schedule);
  }
  printer.printOptionalAttrDictWithKeyword((*this)->getAttrs(),
                                           {getSymNameAttrName(), getScheduleAttrName()});
  printer << " ";
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false, /*printBlockTerminators=*/false);
}

/// What a kernel does with the parameter `argument`, as a name for it; empty where that is not
/// plain.
static std::string getParameterName(BlockArgument argument) {
  bool hasKeyLoop = llvm::any_of(*argument.getOwner(), llvm::IsaPred<KeyLoopOp>);
  StringRef rows = hasKeyLoop ? "query" : "source";
  auto isKeyTile = [](Operation *op) {
    auto loop = dyn_cast_or_null<KeyLoopOp>(op->getParentOp());
    return loop && op->getParentRegion() == &loop.getLoad();
  };
  auto isValueTile = [](Value tile) {
    return llvm::any_of(tile.getUses(), [](OpOperand &use) {
      auto yield = dyn_cast<YieldOp>(use.getOwner());
      return yield && use.getOperandNumber() > 0 &&
             use.getOperandNumber() + 1 == yield->getNumOperands();
    });
  };
  for (OpOperand &use : argument.getUses()) {
    Operation *user = use.getOwner();
    if (isa<LoadOp>(user)) {
      if (isKeyTile(user))
        return isValueTile(user->getResult(0)) ? "value" : "key";
      return rows.str();
    }
    StringRef tile = isKeyTile(user) ? "key" : rows;
    if (auto load = dyn_cast<LoadCodesOp>(user)) {
      if (argument == load.getScales())
        return (tile + "_scales").str();
      return (tile + (use.getOperandNumber() == 0 ? "_values" : "_indices")).str();
    }
    if (isa<LoadScalesOp>(user))
      return (tile + "_scales").str();
    if (auto quantize = dyn_cast<tile::QuantizeOp>(user)) {
      if (argument == quantize.getValues())
        return "source_values";
      return argument == quantize.getIntegers() ? "output_values" : "output_scales";
    }
    if (isa<SequenceTileOp>(user))
      return use.getOperandNumber() == 0 ? "query_offsets" : "key_offsets";
    if (isa<CombineOp>(user))
      return use.getOperandNumber() == 0 ? "partial_outputs" : "partial_sums";
    if (auto append = dyn_cast<AppendOp>(user)) {
      if (argument == append.getSlots())
        return "slots";
      if (argument == append.getPages())
        return "table";
      if (argument == append.getLengths())
        return "lengths";
      return llvm::is_contained(append.getSources(), argument) ? "source" : "pages";
    }
    if (isa<ProbeOp>(user))
      return "probe";
    if (isa<StoreOp>(user)) {
      auto type = dyn_cast<MemRefType>(argument.getType());
      return type && type.getRank() == 3 ? "lse" : "output";
    }
    if (isa<Exp2Op>(user))
      return "scale_log2e";
    if (isa<LseOp>(user))
      return "scale";
    if (isa<StoreScalesOp>(user))
      return "output_scales";
    if (isa<StoreCodesOp>(user))
      return use.getOperandNumber() == 1 ? "output_values" : "output_indices";
  }
  return "";
}

void KernelOp::getAsmBlockArgumentNames(Region &region, OpAsmSetValueNameFn setName) {
  if (region.empty() || region.getNumArguments() < 3)
    return;
  for (BlockArgument parameter : region.getArguments().drop_back(3))
    if (std::string name = getParameterName(parameter); !name.empty())
      setName(parameter, name);
  static constexpr StringLiteral names[] = {"batch", "head", "tile"};
  for (auto [coordinate, name] : llvm::zip_equal(region.getArguments().take_back(3), names))
    setName(coordinate, name);
}

LogicalResult KernelOp::verify() {
  Block::BlockArgListType arguments = getBody().getArguments();
  if (arguments.size() < 3 ||
      llvm::any_of(getCoordinates(), [](BlockArgument it) { return !it.getType().isIndex(); }))
    return emitOpError("ends its arguments with three coordinates of type index");
  for (BlockArgument scalar : getScalars())
    if (!scalar.getType().isF32())
      return emitOpError() << "takes memories and then numbers of type f32, given is "
                           << scalar.getType();
  for (BlockArgument memory : getMemories()) {
    auto type = cast<MemRefType>(memory.getType());
    if (type.getRank() == 4 && !type.isLastDimUnitStride())
      return emitOpError() << "needs the features of a row side by side, given is " << type;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// LaunchOp
//===----------------------------------------------------------------------===//

MutableOperandRange LaunchOp::getDpsInitsMutable() { return getOutputsMutable(); }

LogicalResult LaunchOp::verify() {
  if ((*this)->getParentOfType<KernelOp>())
    return emitOpError("is inside a kernel; a kernel cannot launch kernels");
  bool onTensors = llvm::any_of(getOperandTypes(), llvm::IsaPred<RankedTensorType>);
  for (Type type : llvm::concat<Type>(SmallVector<Type>(getInputs().getTypes()),
                                      SmallVector<Type>(getOutputs().getTypes())))
    if (onTensors ? !isa<RankedTensorType>(type) : !isa<MemRefType>(type))
      return emitOpError() << "takes either tensors or memories alone, given is also " << type;
  for (Type type : getOperandTypes())
    if (auto tensor = dyn_cast<RankedTensorType>(type); tensor && tensor.getEncoding())
      return emitOpError() << "takes tensors without an encoding, given is " << type
                           << "; codes are passed as their values and their indices";
  if (onTensors && getResultTypes() != TypeRange(getOutputs()))
    return emitOpError("returns one tensor for each output, of the same type");
  if (!onTensors && getNumResults() != 0)
    return emitOpError("on memories has no results");
  if (getUpdates() > getInputs().size())
    return emitOpError() << "updates " << getUpdates() << " inputs, but has "
                         << getInputs().size();
  return success();
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto kernel = dyn_cast_or_null<KernelOpInterface>(
      symbols.lookupNearestSymbolFrom(*this, getKernelAttr()));
  if (!kernel)
    return emitOpError() << "names no sfa_tile.kernel: " << getKernelAttr();
  SmallVector<Value> operands(getInputs());
  llvm::append_range(operands, getOutputs());
  if (operands.size() != kernel.getMemories().size())
    return emitOpError() << "has " << operands.size() << " operands, but the kernel takes "
                         << kernel.getMemories().size() << " memories";
  for (auto [operand, memory] : llvm::zip_equal(operands, kernel.getMemories())) {
    auto given = cast<ShapedType>(operand.getType()), expected = cast<ShapedType>(memory.getType());
    if (given.getElementType() != expected.getElementType() ||
        failed(verifyCompatibleShape(given, expected)))
      return emitOpError() << "passes " << given << " where the kernel takes " << expected;
  }
  if (getScalars().size() != kernel.getScalars().size())
    return emitOpError() << "has " << getScalars().size() << " scalars, but the kernel takes "
                         << kernel.getScalars().size();
  return success();
}

bool LaunchOp::isUpdated(OpOperand &operand) {
  if (getUpdates() == 0)
    return false;
  MutableOperandRange inputs = getInputsMutable();
  size_t number = operand.getOperandNumber(), first = inputs[0].getOperandNumber();
  return number < first + inputs.size() && number + getUpdates() >= first + inputs.size();
}

void LaunchOp::getEffects(SmallVectorImpl<MemoryEffects::EffectInstance> &effects) {
  for (OpOperand &input : getInputsMutable()) {
    if (isa<MemRefType>(input.get().getType()))
      effects.emplace_back(MemoryEffects::Read::get(), &input);
    // A tensor, too: it stands for a memory of the caller.
    if (isUpdated(input))
      effects.emplace_back(MemoryEffects::Write::get(), &input);
  }
  for (OpOperand &output : getOutputsMutable())
    if (isa<MemRefType>(output.get().getType()))
      effects.emplace_back(MemoryEffects::Write::get(), &output);
}

bool LaunchOp::bufferizesToMemoryRead(OpOperand &operand, const bufferization::AnalysisState &) {
  return !isDpsInit(&operand);
}

bool LaunchOp::bufferizesToMemoryWrite(OpOperand &operand, const bufferization::AnalysisState &) {
  return isDpsInit(&operand);
}

bufferization::AliasingValueList LaunchOp::getAliasingValues(OpOperand &operand,
                                                             const bufferization::AnalysisState &) {
  if (!isDpsInit(&operand))
    return {};
  return {{getTiedOpResult(&operand), bufferization::BufferRelation::Equivalent}};
}

LogicalResult LaunchOp::bufferize(RewriterBase &rewriter,
                                  const bufferization::BufferizationOptions &options,
                                  bufferization::BufferizationState &state) {
  auto kernel = SymbolTable::lookupNearestSymbolFrom<KernelOp>(*this, getKernelAttr());
  rewriter.setInsertionPoint(*this);
  SmallVector<Value> inputs, outputs, results;
  unsigned index = 0;
  for (OpOperand &operand : (*this)->getOpOperands()) {
    if (!isa<TensorType>(operand.get().getType()))
      continue;
    FailureOr<Value> buffer = bufferization::getBuffer(rewriter, operand.get(), options, state);
    if (failed(buffer))
      return failure();
    Value memory = memref::CastOp::create(rewriter, getLoc(),
                                          kernel.getMemories()[index++].getType(), *buffer);
    if (isDpsInit(&operand)) {
      outputs.push_back(memory);
      results.push_back(*buffer);
    } else {
      inputs.push_back(memory);
    }
  }
  LaunchOp::create(rewriter, getLoc(), TypeRange(), getKernelAttr(), getGridBatch(), getGridHead(),
                   getGridTile(), inputs, outputs, getScalars(), getUpdatesAttr());
  bufferization::replaceOpWithBufferizedValues(rewriter, *this, results);
  return success();
}

//===----------------------------------------------------------------------===//
// SequenceTileOp
//===----------------------------------------------------------------------===//

LogicalResult SequenceTileOp::verify() {
  int64_t rows = getRowsAttr().getInt();
  if (rows < 1)
    return emitOpError() << "has tiles of " << rows << " rows, allowed is 1 or more";
  return success();
}

void SequenceTileOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  static constexpr StringLiteral names[] = {"row", "query_begin", "query_end", "key_begin",
                                            "key_end"};
  for (auto [result, name] : llvm::zip_equal((*this)->getResults(), names))
    setName(result, name);
}

void SplitRangeOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  static constexpr StringLiteral names[] = {"length", "first", "count"};
  for (auto [result, name] : llvm::zip_equal((*this)->getResults(), names))
    setName(result, name);
}

//===----------------------------------------------------------------------===//
// KeyLoopOp
//===----------------------------------------------------------------------===//

static constexpr StringLiteral stageNames[] = {"load", "score", "mask", "softmax", "accumulate"};

ParseResult sfa::tile::parseStages(OpAsmParser &parser, Region &load, Region &score, Region &mask,
                                   Region &softmax, Region &accumulate) {
  Region *stages[] = {&load, &score, &mask, &softmax, &accumulate};
  for (auto [name, stage] : llvm::zip_equal(stageNames, stages))
    if (parser.parseKeyword(name) || parser.parseRegion(*stage)) {
      // Uses of a name elsewhere, which the parser connects before it refuses them, must not
      // outlive the stage that defines it.
      for (Region *parsed : stages) {
        parsed->dropAllReferences();
        for (Block &block : *parsed)
          block.dropAllDefinedValueUses();
      }
      return failure();
    }
  return success();
}

void sfa::tile::printStages(OpAsmPrinter &printer, KeyLoopOp, Region &load, Region &score,
                            Region &mask, Region &softmax, Region &accumulate) {
  Region *stages[] = {&load, &score, &mask, &softmax, &accumulate};
  llvm::interleave(
      llvm::zip_equal(stageNames, stages), printer.getStream(),
      [&](auto stage) {
        printer << std::get<0>(stage) << " ";
        printer.printRegion(*std::get<1>(stage));
      },
      " ");
}

/// A name that says what kind of state a value of this type is.
static StringRef getStateName(Type type) {
  auto tile = dyn_cast<TileType>(type);
  if (!tile)
    return "flag";
  return tile.isPartial() ? "sum" : "state";
}

/// Names of values that a loop carries: the first row vector is what online and lazy softmaxes call
/// the maxima.
static void nameStates(ValueRange states, OpAsmSetValueNameFn setName) {
  for (auto [number, state] : llvm::enumerate(states)) {
    StringRef name = getStateName(state.getType());
    setName(state, number == 0 && name == "state" ? "max" : name);
  }
}

void KeyLoopOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  if (getResults().empty())
    return;
  setName(getAcc(), "acc");
  nameStates(getStates(), setName);
}

void KeyLoopOp::getAsmBlockArgumentNames(Region &region, OpAsmSetValueNameFn setName) {
  static const SmallVector<StringRef> names[] = {
      {"first_key"}, {"key"}, {"first_key", "scores"}, {"scores"}, {"acc", "p", "v"}};
  unsigned number = region.getRegionNumber();
  if (number >= std::size(names))
    return;
  Block::BlockArgListType arguments = region.getArguments();
  for (auto [argument, name] : llvm::zip(arguments, names[number]))
    setName(argument, name);
  bool isSoftmax = &region == &getSoftmax();
  if ((!isSoftmax && &region != &getAccumulate()) || getInits().empty() ||
      arguments.size() < names[number].size() + getNumStates() + isSoftmax)
    return;
  arguments = arguments.drop_front(names[number].size());
  SmallVector<Value> states(arguments.take_front(getNumStates()));
  nameStates(states, setName);
  for (BlockArgument argument : arguments.drop_front(getNumStates())) {
    bool isFlag = !isa<TileType>(argument.getType());
    setName(argument, isSoftmax ? "is_first" : isFlag ? "flag" : "factors");
  }
}

/// Diagnoses a stage whose arguments or yielded values are not of the types that the stages around
/// it need.
static LogicalResult checkTypes(Operation *op, StringRef stage, StringRef what, TypeRange given,
                                TypeRange expected) {
  if (given == expected)
    return success();
  InFlightDiagnostic diagnostic = op->emitOpError() << "stage '" << stage << "' " << what << " (";
  llvm::interleaveComma(given, diagnostic);
  diagnostic << "), expected are (";
  llvm::interleaveComma(expected, diagnostic);
  return diagnostic << ")";
}

/// Whether a loop may carry `type` beside an accumulator of `rows` rows, or a stage may pass it on.
static bool isState(Type type, int64_t rows) {
  auto tile = dyn_cast<TileType>(type);
  return tile ? tile.isRowVector() && tile.getRows() == rows : type.isInteger(1);
}

LogicalResult KeyLoopOp::verify() {
  int64_t step = getStepAttr().getInt();
  if (step < 1)
    return emitOpError() << "has a step of " << step << " keys, allowed is 1 or more";
  auto acc = getInits().empty() ? TileType() : dyn_cast<TileType>(getInits().front().getType());
  if (!acc || acc.isRowVector() || !acc.getElementType().isF32())
    return emitOpError("carries an f32 matrix first, the accumulator");
  for (Type type : getStateInits().getTypes())
    if (!isState(type, acc.getRows()))
      return emitOpError() << "carries row vectors of the accumulator's " << acc.getRows()
                           << " rows and i1 beside it, given is " << type;
  return success();
}

LogicalResult KeyLoopOp::verifyRegions() {
  for (Region *stage : getRegions())
    if (!isa<YieldOp>(stage->front().getTerminator()))
      return emitOpError() << "ends each stage with sfa_tile.yield, given is "
                           << stage->front().getTerminator()->getName();
  auto yielded = [](Region &stage) { return stage.front().getTerminator()->getOperandTypes(); };
  Type index = IndexType::get(getContext()), flag = IntegerType::get(getContext(), 1);
  TileType acc = getAccType();
  TypeRange states = getStateInits().getTypes();

  TypeRange loaded = yielded(getLoad());
  if (loaded.size() < 2)
    return emitOpError("stage 'load' yields key tiles and then the value tile");
  auto value = dyn_cast<TileType>(loaded.back());
  if (!value || value.isRowVector() || value.getRows() != static_cast<int64_t>(getStep()))
    return emitOpError() << "stage 'load' yields " << loaded.back()
                         << " as its value tile, which has to have " << getStep()
                         << " rows, one a key";
  auto weightType =
      TileType::get(getContext(), {acc.getRows(), value.getRows()}, Float32Type::get(getContext()));
  // Scores may have factors of rows, their probabilities have none.
  Type scores = weightType;
  TypeRange scored = yielded(getScore());
  if (scored.size() == 1 && isa<TileType>(scored.front()) &&
      cast<TileType>(scored.front()).withoutFactors() == weightType)
    scores = scored.front();
  auto with = [&](ArrayRef<Type> first, TypeRange last = {}) {
    SmallVector<Type> types(first);
    llvm::append_range(types, states);
    llvm::append_range(types, last);
    return types;
  };
  TypeRange weights = yielded(getSoftmax());
  TypeRange extras = weights.drop_front(std::min(1 + states.size(), weights.size()));
  for (Type extra : extras)
    if (!isState(extra, acc.getRows()))
      return emitOpError() << "stage 'softmax' passes row vectors of " << acc.getRows()
                           << " rows and i1 to the stage 'accumulate', given is " << extra;

  struct Stage {
    StringRef name;
    Region &region;
    SmallVector<Type> arguments, results;
  } stages[] = {
      {stageNames[0], getLoad(), {index}, llvm::to_vector(loaded)},
      {stageNames[1], getScore(), llvm::to_vector(loaded.drop_back()), {scores}},
      {stageNames[2], getMask(), {index, scores}, {scores}},
      {stageNames[3], getSoftmax(), with(scores, flag), with(Type(weightType), extras)},
      {stageNames[4], getAccumulate(), with({acc, weightType, value}, extras), with(acc)},
  };
  for (Stage &stage : stages)
    if (failed(checkTypes(*this, stage.name, "takes", stage.region.getArgumentTypes(),
                          stage.arguments)) ||
        failed(checkTypes(*this, stage.name, "yields", yielded(stage.region), stage.results)))
      return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// RetryOp
//===----------------------------------------------------------------------===//

LogicalResult RetryOp::verifyRegions() {
  Block &kernel = *(*this)->getBlock();
  if ((*this)->getNextNode() != kernel.getTerminator())
    return emitOpError("has to be the last operation of its kernel");
  auto loops = kernel.getOps<KeyLoopOp>();
  if (loops.empty())
    return emitOpError("has to be behind the key loop of its kernel");
  if (!llvm::hasSingleElement(getBody().front().getOps<KeyLoopOp>()))
    return emitOpError("has to have one key loop, which computes the point again");
  Operation *loop = *loops.begin();
  WalkResult result = getBody().walk([&](Operation *op) {
    for (Value operand : op->getOperands()) {
      Operation *definition = operand.getDefiningOp();
      bool isBehind = definition && definition->getBlock() == &kernel &&
                      !definition->isBeforeInBlock(loop);
      if (!isBehind)
        continue;
      op->emitOpError() << "reads a value of " << definition->getName()
                        << ", which is not there when the point is computed again; values from "
                           "before the key loop are";
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}
