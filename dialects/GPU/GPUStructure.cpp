//===- GPUStructure.cpp - Kernels, roles, points and the loop over tiles --===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/GPU/GPU.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace sfa::simt;

#define GET_OP_CLASSES
#include "dialects/GPU/GPUOps.cpp.inc"

//===----------------------------------------------------------------------===//
// KernelOp
//===----------------------------------------------------------------------===//

/// Parses `keyword N` into an attribute.
static ParseResult parseCount(OpAsmParser &parser, StringRef keyword, StringAttr name,
                              OperationState &result) {
  int64_t value = 0;
  if (parser.parseKeyword(keyword) || parser.parseInteger(value))
    return failure();
  result.addAttribute(name, parser.getBuilder().getI64IntegerAttr(value));
  return success();
}

// sfa_gpu.kernel @name(%memory: type, ...) warps 12 consumers 4 to 12 [persistent]
//     [attributes {...}] { ... }
ParseResult KernelOp::parse(OpAsmParser &parser, OperationState &result) {
  StringAttr name;
  SmallVector<OpAsmParser::Argument> arguments;
  if (parser.parseSymbolName(name, getSymNameAttrName(result.name), result.attributes) ||
      parser.parseArgumentList(arguments, OpAsmParser::Delimiter::Paren, /*allowType=*/true) ||
      parseCount(parser, "warps", getWarpsAttrName(result.name), result) ||
      parseCount(parser, "consumers", getFirstConsumerAttrName(result.name), result) ||
      parseCount(parser, "to", getEndOfConsumersAttrName(result.name), result))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("persistent")))
    result.addAttribute(getPersistentAttrName(result.name), parser.getBuilder().getUnitAttr());
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
  llvm::interleaveComma(getBody().getArguments(), printer,
                        [&](BlockArgument it) { printer.printRegionArgument(it); });
  printer << ") warps " << getWarps() << " consumers " << getFirstConsumer() << " to "
          << getEndOfConsumers();
  if (getPersistent())
    printer << " persistent";
  printer.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(), {getSymNameAttrName(), getWarpsAttrName(), getFirstConsumerAttrName(),
                            getEndOfConsumersAttrName(), getPersistentAttrName()});
  printer << " ";
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false, /*printBlockTerminators=*/false);
}

void KernelOp::getAsmBlockArgumentNames(Region &region, OpAsmSetValueNameFn setName) {
  if (region.empty())
    return;
  for (BlockArgument argument : region.getArguments()) {
    for (Operation *user : argument.getUsers())
      if (isa<StoreOp>(user))
        setName(argument, cast<MemRefType>(argument.getType()).getRank() == 3 ? "lse" : "output");
      else if (isa<CopyOp, CopyByThreadsOp>(user))
        setName(argument, "input");
      else if (isa<tile::ProbeOp>(user))
        setName(argument, "probe");
      else if (isa<tile::Exp2Op>(user))
        setName(argument, "scale_log2e");
      else if (isa<tile::LseOp>(user))
        setName(argument, "scale");
  }
}

LogicalResult KernelOp::verify() {
  for (BlockArgument scalar : getScalars())
    if (!scalar.getType().isF32())
      return emitOpError() << "takes memories and then numbers of type f32, given is "
                           << scalar.getType();
  for (BlockArgument memory : getMemories()) {
    auto type = cast<MemRefType>(memory.getType());
    bool isTable = type.getRank() == 2 && type.getElementType().isInteger(32);
    if (!isTable && type.getRank() != 1 && type.getRank() != 3 && type.getRank() != 4)
      return emitOpError() << "takes " << memory.getType()
                           << "; on a GPU memories have rank 1, 3 or 4, or rank 2 and i32";
  }
  auto warps = static_cast<int64_t>(getWarps());
  if (warps < 1 || warps > 32)
    return emitOpError() << "has " << warps << " warps; a block has 1 to 32";
  auto first = static_cast<int64_t>(getFirstConsumer()),
       end = static_cast<int64_t>(getEndOfConsumers());
  if (first < 0 || first >= end || end > warps)
    return emitOpError() << "has consumers " << first << " to " << end << " of " << warps
                         << " warps; they are a range of the warps, and there is one at least";
  return success();
}

//===----------------------------------------------------------------------===//
// RolesOp
//===----------------------------------------------------------------------===//

// sfa_gpu.roles producer warps 4 registers 24 { ... } consumers warps 8 { ... }
ParseResult RolesOp::parse(OpAsmParser &parser, OperationState &result) {
  SmallVector<Attribute> names;
  SmallVector<int64_t> warps, registers;
  StringRef name;
  while (succeeded(parser.parseOptionalKeyword(&name))) {
    int64_t number = 0, count = 0;
    if (parser.parseKeyword("warps") || parser.parseInteger(number) ||
        (succeeded(parser.parseOptionalKeyword("registers")) && parser.parseInteger(count)) ||
        parser.parseRegion(*result.addRegion()))
      return failure();
    names.push_back(parser.getBuilder().getStringAttr(name));
    warps.push_back(number);
    registers.push_back(count);
  }
  Builder &builder = parser.getBuilder();
  result.addAttribute(getNamesAttrName(result.name), builder.getArrayAttr(names));
  result.addAttribute(getWarpsAttrName(result.name), builder.getDenseI64ArrayAttr(warps));
  result.addAttribute(getRegistersAttrName(result.name), builder.getDenseI64ArrayAttr(registers));
  return parser.parseOptionalAttrDict(result.attributes);
}

void RolesOp::print(OpAsmPrinter &printer) {
  for (auto [name, warps, registers, body] :
       llvm::zip(getNames(), getWarps(), getRegisters(), getBodies())) {
    printer << " " << cast<StringAttr>(name).getValue() << " warps " << warps;
    if (registers)
      printer << " registers " << registers;
    printer << " ";
    printer.printRegion(body, /*printEntryBlockArgs=*/false);
  }
  printer.printOptionalAttrDict((*this)->getAttrs(),
                                {getNamesAttrName(), getWarpsAttrName(), getRegistersAttrName()});
}

LogicalResult RolesOp::verify() {
  size_t count = getBodies().size();
  if (count < 2 || getNames().size() != count || getWarps().size() != count ||
      getRegisters().size() != count)
    return emitOpError() << "has " << count
                         << " bodies; there are two roles at least, each with a name, warps and "
                            "registers";
  int64_t sum = 0;
  // The registers of the warpgroup that the last role shares with the next one.
  int64_t shared = 0;
  for (auto [warps, registers] : llvm::zip(getWarps(), getRegisters())) {
    if (warps < 1)
      return emitOpError() << "has a role of " << warps << " warps; a role has one at least";
    if (registers != 0 && (registers % 8 != 0 || registers < 24 || registers > 256))
      return emitOpError() << "gives a thread " << registers
                           << " registers; allowed are multiples of 8 from 24 to 256";
    if (sum % 4 != 0 && registers != shared)
      return emitOpError() << "gives warps " << sum << " to " << sum + warps << " " << registers
                           << " registers and warps before them " << shared
                           << "; the four warps of a warpgroup have the same";
    shared = registers;
    sum += warps;
  }
  if (sum % 4 != 0 && shared != 0)
    return emitOpError() << "gives registers to warps behind the last whole warpgroup; the block "
                            "has "
                         << sum << " warps";
  auto kernel = (*this)->getParentOfType<KernelOp>();
  if (kernel && sum != static_cast<int64_t>(kernel.getWarps()))
    return emitOpError() << "has roles of " << sum << " warps, but the block has "
                         << kernel.getWarps();
  for (Region &body : getBodies())
    if (auto yield = dyn_cast<YieldOp>(body.front().getTerminator());
        !yield || yield.getNumOperands() != 0 || body.getNumArguments() != 0)
      return emitOpError("has a role that takes or yields values; a role does neither");
  return success();
}

//===----------------------------------------------------------------------===//
// ForPointsOp
//===----------------------------------------------------------------------===//

// sfa_gpu.for_points (%round, %b, %h, %t) [in %order] [carry (%p = %start) : (types)] { ... }
ParseResult ForPointsOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &builder = parser.getBuilder();
  SmallVector<OpAsmParser::Argument> arguments, carried;
  SmallVector<OpAsmParser::UnresolvedOperand> inits;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseArgumentList(arguments, OpAsmParser::Delimiter::Paren))
    return failure();
  if (arguments.size() != 4)
    return parser.emitError(loc) << "a point has 4 numbers (round, batch, head, row tile), given "
                                    "are "
                                 << arguments.size();
  arguments[0].type = builder.getI32Type();
  for (int i : {1, 2, 3})
    arguments[i].type = builder.getIndexType();
  if (succeeded(parser.parseOptionalKeyword("in"))) {
    OpAsmParser::UnresolvedOperand order;
    if (parser.parseOperand(order) ||
        parser.resolveOperand(order, PointOrderType::get(builder.getContext()), result.operands))
      return failure();
  }
  if (succeeded(parser.parseOptionalKeyword("carry"))) {
    SMLoc carryLoc = parser.getCurrentLocation();
    if (parser.parseAssignmentList(carried, inits) || parser.parseColon() || parser.parseLParen() ||
        parser.parseTypeList(result.types) || parser.parseRParen() ||
        parser.resolveOperands(inits, result.types, carryLoc, result.operands))
      return failure();
    for (auto [argument, type] : llvm::zip_equal(carried, result.types))
      argument.type = type;
    llvm::append_range(arguments, carried);
  }
  auto hasOrder = static_cast<int32_t>(result.operands.size() - inits.size());
  result.getOrAddProperties<Properties>().operandSegmentSizes = {
      hasOrder, static_cast<int32_t>(inits.size())};
  return failure(parser.parseRegion(*result.addRegion(), arguments) ||
                 parser.parseOptionalAttrDict(result.attributes));
}

void ForPointsOp::print(OpAsmPrinter &printer) {
  printer << " (";
  llvm::interleaveComma(getBody().getArguments().take_front(4), printer,
                        [&](BlockArgument argument) { printer.printOperand(argument); });
  printer << ")";
  if (getOrder())
    printer << " in " << getOrder();
  if (!getInits().empty()) {
    printer << " carry (";
    llvm::interleaveComma(llvm::zip_equal(getCarried(), getInits()), printer, [&](auto pair) {
      printer << std::get<0>(pair) << " = " << std::get<1>(pair);
    });
    printer << ") : (" << getInits().getTypes() << ")";
  }
  printer << " ";
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
  printer.printOptionalAttrDict((*this)->getAttrs(), {getOperandSegmentSizeAttr()});
}

void ForPointsOp::getAsmBlockArgumentNames(Region &region, OpAsmSetValueNameFn setName) {
  static constexpr StringLiteral names[] = {"round", "batch", "head", "tile"};
  if (region.empty() || region.getNumArguments() < 4)
    return;
  for (auto [argument, name] : llvm::zip_equal(region.getArguments().take_front(4), names))
    setName(argument, name);
}

/// Diagnoses a region whose arguments or yielded values are not of these types.
static LogicalResult verifyStage(Operation *op, StringRef name, Region &region, TypeRange arguments,
                                 TypeRange results) {
  if (region.getArgumentTypes() != arguments)
    return op->emitOpError() << "has " << name << " arguments of types ("
                             << region.getArgumentTypes() << "), expected are (" << arguments
                             << ")";
  auto yield = dyn_cast<YieldOp>(region.front().getTerminator());
  if (!yield || yield.getOperandTypes() != results)
    return op->emitOpError() << "yields other types from " << name << " than (" << results << ")";
  return success();
}

LogicalResult ForPointsOp::verifyRegions() {
  Builder builder(getContext());
  Type index = builder.getIndexType();
  SmallVector<Type> arguments{builder.getI32Type(), index, index, index};
  llvm::append_range(arguments, getInits().getTypes());
  return verifyStage(*this, "point", getBody(), arguments, getResultTypes());
}

//===----------------------------------------------------------------------===//
// TileLoopOp
//===----------------------------------------------------------------------===//

void TileLoopOp::getAsmBlockArgumentNames(Region &region, OpAsmSetValueNameFn setName) {
  if (region.empty())
    return;
  auto name = [&](unsigned number, StringRef argument) {
    if (number < region.getNumArguments())
      setName(region.getArgument(number), argument);
  };
  if (&region == &getLoad() || &region == &getMask() || &region == &getTrim())
    name(0, "first_key");
  if (&region == &getScore())
    name(0, "k");
  if (&region == &getMask())
    name(1, "s");
  if (&region == &getSoftmax())
    name(0, "s");
  if (&region == &getTrim())
    name(1, "v");
  if (&region == &getAccumulate()) {
    name(0, "acc");
    name(1, "p");
    name(2, "v");
  }
}

LogicalResult TileLoopOp::verifyRegions() {
  Builder builder(getContext());
  Type index = builder.getIndexType();
  if (getInits().empty() || !isa<tile::TileType>(getInits().front().getType()))
    return emitOpError("carries no accumulator");
  SmallVector<Type> expected(getInits().getTypes());
  if (getPosition())
    expected.push_back(getPosition().getType());
  if (getResultTypes() != TypeRange(expected))
    return emitOpError() << "gives (" << getResultTypes() << "), expected are (" << expected << ")";
  if (!getResidents().empty() && !getResidentPosition())
    return emitOpError("has resident rings, but no position in them");
  auto stages = static_cast<int64_t>(getStages());
  for (Value ring :
       llvm::concat<Value>(SmallVector<Value>(getScoreRings()), SmallVector<Value>{getValueRing()}))
    if (cast<RingType>(ring.getType()).getStages() != stages)
      return emitOpError() << "has " << stages << " stages, but reads " << ring.getType();
  if (getLookahead() > 1)
    return emitOpError() << "has lookahead " << getLookahead() << ", allowed is 0 or 1";
  if (getTurns() && getLookahead() == 0)
    return emitOpError("has turns without lookahead; consumers take turns with lookahead 1 only");

  Type acc = getInits().front().getType();
  SmallVector<Type> state(getInits().drop_front().getTypes());
  SmallVector<Type> scoreTiles;
  for (Value ring : getScoreRings())
    scoreTiles.push_back(cast<RingType>(ring.getType()).getTile());
  Type value = cast<RingType>(getValueRing().getType()).getTile();

  Region &score = getScore(), &softmax = getSoftmax(), &accumulate = getAccumulate();
  auto yieldedBy = [](Region &region) -> SmallVector<Type> {
    auto yield = dyn_cast<YieldOp>(region.front().getTerminator());
    return yield ? SmallVector<Type>(yield.getOperandTypes()) : SmallVector<Type>();
  };
  SmallVector<Type> scores = yieldedBy(score);
  if (scores.size() != 1 || !isa<tile::TileType>(scores.front()))
    return emitOpError("yields from score anything but one tile of scores");
  SmallVector<Type> ofSoftmax = yieldedBy(softmax);
  if (ofSoftmax.size() < 1 + state.size())
    return emitOpError() << "yields " << ofSoftmax.size()
                         << " values from softmax, expected are probabilities and " << state.size()
                         << " values of the state at least";
  SmallVector<Type> extras(llvm::drop_begin(ofSoftmax, 1 + state.size()));
  SmallVector<Type> softmaxArguments = scores;
  llvm::append_range(softmaxArguments, state);
  softmaxArguments.push_back(builder.getI1Type());
  SmallVector<Type> softmaxResults{ofSoftmax.front()};
  llvm::append_range(softmaxResults, state);
  llvm::append_range(softmaxResults, extras);
  SmallVector<Type> accumulateArguments{acc, ofSoftmax.front(), value};
  llvm::append_range(accumulateArguments, state);
  llvm::append_range(accumulateArguments, extras);
  accumulateArguments.push_back(builder.getI1Type());
  SmallVector<Type> accumulateResults{acc};
  llvm::append_range(accumulateResults, state);
  return success(
      succeeded(verifyStage(*this, "load", getLoad(), {index, builder.getI32Type()}, {})) &&
      succeeded(verifyStage(*this, "score", score, scoreTiles, scores)) &&
      succeeded(verifyStage(*this, "mask", getMask(), {index, scores.front()}, scores)) &&
      succeeded(verifyStage(*this, "softmax", softmax, softmaxArguments, softmaxResults)) &&
      succeeded(verifyStage(*this, "trim", getTrim(), {index, value}, {})) &&
      succeeded(
          verifyStage(*this, "accumulate", accumulate, accumulateArguments, accumulateResults)));
}
