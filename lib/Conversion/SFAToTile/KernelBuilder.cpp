//===- KernelBuilder.cpp - What the kernels of all sfa operations share ---===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <numeric>

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;

//===----------------------------------------------------------------------===//
// KernelContext
//===----------------------------------------------------------------------===//

Value KernelContext::constant(int64_t value) const {
  return arith::ConstantIndexOp::create(builder, loc, value);
}

Value KernelContext::loadDense(const Operand &operand, int64_t rows, Value row, Value limit) const {
  if (operand.isCodes()) {
    assert(!limit && "codes have no limit");
    Value codes = loadCodes(operand, rows, row);
    auto type = TileType::get(builder.getContext(), {rows, operand.features()},
                              cast<CodesType>(codes.getType()).getElementType());
    return ExpandOp::create(builder, loc, type, codes);
  }
  auto memory = cast<MemRefType>(operand.memories[0].getType());
  bool isFeatureMajor = operand.isFeatureMajor();
  int64_t columns = isFeatureMajor ? operand.features() : memory.getDimSize(3);
  auto type = TileType::get(builder.getContext(), {rows, columns}, memory.getElementType());
  return LoadOp::create(builder, loc, type, operand.memories[0], batch, head, row, limit, heads,
                        isFeatureMajor);
}

Value KernelContext::loadPages(const Operand &operand, int64_t rows, Value row, Value table,
                               Value limit) const {
  Type element = operand.type.getElementType();
  auto type = TileType::get(builder.getContext(), {rows, operand.features()}, element);
  if (!operand.isCodes())
    return LoadOp::create(builder, loc, type, operand.memories[0], batch, head, row, table, limit,
                          /*heads=*/1, /*featureMajor=*/false);
  int64_t k = std::min(getCodes(operand.type).getK(), operand.features());
  auto codes = CodesType::get(builder.getContext(), rows, operand.features(), element, k);
  Value loaded = LoadCodesOp::create(builder, loc, codes, operand.memories[0], operand.memories[1],
                                     batch, head, row, table, limit, /*scales=*/Value(),
                                     /*sharedBy=*/ScalesAttr(), /*heads=*/1);
  return ExpandOp::create(builder, loc, type, loaded);
}

Value KernelContext::loadCodes(const Operand &operand, int64_t rows, Value row) const {
  int64_t k = std::min(getCodes(operand.type).getK(), operand.features());
  Type element = operand.type.getElementType();
  Value scales;
  ScalesAttr sharedBy;
  if (std::optional<Scales> shared = ::sfa::getScales(operand.type)) {
    element = builder.getF32Type();
    scales = operand.memories.back();
    sharedBy = ScalesAttr::get(builder.getContext(), *shared);
  }
  auto type = CodesType::get(builder.getContext(), rows, operand.features(), element, k);
  return LoadCodesOp::create(builder, loc, type, operand.memories[0], operand.memories[1], batch,
                             head, row, scales, sharedBy, heads);
}

Value KernelContext::loadPostings(const Operand &operand, int64_t rows, Value row) const {
  auto typeFor = [&](Type element, int64_t k) {
    return PostingsType::get(builder.getContext(), rows, operand.features(), element, k);
  };
  if (operand.arePostings()) {
    int64_t k = std::min(getPostings(operand.type).getK(), operand.features());
    return LoadPostingsOp::create(builder, loc, typeFor(operand.type.getElementType(), k),
                                  operand.memories[0], batch, head, row);
  }
  Value codes = loadCodes(operand, rows, row);
  auto type = cast<CodesType>(codes.getType());
  return PostingsOp::create(builder, loc, typeFor(type.getElementType(), type.getK()), codes);
}

Value KernelContext::loadScales(const Operand &operand, int64_t rows, Value row) const {
  auto type = TileType::get(builder.getContext(), {rows}, builder.getF32Type());
  Scales sharedBy = *::sfa::getScales(operand.type);
  int64_t together = 1;
  if (sharedBy == Scales::Head && heads == 1)
    together = rows;
  else if (sharedBy == Scales::Tile && areTilesAligned && rows <= tokensOfScale)
    together = std::gcd(rows, tokensOfScale); // of two scales at most
  return LoadScalesOp::create(builder, loc, type, operand.memories.back(), batch, head, row,
                              sharedBy, together, heads);
}

//===----------------------------------------------------------------------===//
// KernelBuilder
//===----------------------------------------------------------------------===//

MemRefType sfa::tile::getMemory(RankedTensorType tensor) {
  SmallVector<int64_t> strides(tensor.getRank(), ShapedType::kDynamic);
  strides.back() = 1;
  auto layout = StridedLayoutAttr::get(tensor.getContext(), ShapedType::kDynamic, strides);
  return MemRefType::get(tensor.getShape(), tensor.getElementType(), layout);
}

KernelBuilder::KernelBuilder(ConversionPatternRewriter &rewriter, SymbolTableCollection &symbols,
                             Operation *op, TypeRange operandTypes, ArrayRef<ValueRange> operands,
                             TypeRange resultTypes)
    : rewriter(rewriter), symbols(symbols), op(op),
      operandTypes(llvm::map_to_vector(operandTypes, llvm::CastTo<RankedTensorType>)),
      resultTypes(llvm::map_to_vector(resultTypes, llvm::CastTo<RankedTensorType>)),
      operands(operands) {}

KernelOp KernelBuilder::start(StringRef name, ScheduleAttr schedule, int64_t rows, int64_t heads,
                              ValueRange numbers) {
  scalars.assign(numbers.begin(), numbers.end());
  rowTile = rows;
  headsOfPoint = heads;
  SmallVector<Type> parameters;
  for (ValueRange operand : operands)
    for (Value physical : operand)
      parameters.push_back(getMemory(cast<RankedTensorType>(physical.getType())));
  for (RankedTensorType result : resultTypes)
    for (RankedTensorType physical : getPhysicalTensors(result))
      parameters.push_back(getMemory(physical));
  llvm::append_range(parameters, numbers.getTypes());

  SymbolTable &table = symbols.getSymbolTable(SymbolTable::getNearestSymbolTable(op));
  rewriter.setInsertionPointToEnd(&table.getOp()->getRegion(0).front());
  kernel = KernelOp::create(rewriter, op->getLoc(), name, parameters, schedule);
  table.insert(kernel);
  rewriter.setInsertionPoint(kernel.getBody().front().getTerminator());
  return kernel;
}

Operand KernelBuilder::inside(ArrayRef<RankedTensorType> types, unsigned index,
                              unsigned firstMemory) {
  for (RankedTensorType type : types.take_front(index))
    firstMemory += getPhysicalTensors(type).size();
  RankedTensorType type = types[index];
  return {type,
          ValueRange(kernel.getMemories()).slice(firstMemory, getPhysicalTensors(type).size())};
}

Operand KernelBuilder::result(unsigned index) {
  unsigned inputs = 0;
  for (ValueRange operand : operands)
    inputs += operand.size();
  return inside(resultTypes, index, inputs);
}

Value KernelBuilder::countTiles(Value tensor) {
  Location loc = op->getLoc();
  if (rowTile == allRows)
    return arith::ConstantIndexOp::create(rewriter, loc, 1);
  Value rows = tensor::DimOp::create(rewriter, loc, tensor, 2);
  return arith::CeilDivUIOp::create(rewriter, loc, rows,
                                    arith::ConstantIndexOp::create(rewriter, loc, rowTile));
}

PhysicalValues KernelBuilder::launch(Value offsets, int64_t tokensOfLast) {
  Location loc = op->getLoc();
  rewriter.setInsertionPoint(op);
  Value head = arith::ConstantIndexOp::create(rewriter, loc,
                                              resultTypes.front().getDimSize(1) / headsOfPoint);
  Value tiles = countTiles(operands.front().front());
  // One for each offset: at most two more than needed, of a sum that programs of GPUs can hold.
  if (offsets)
    tiles = arith::AddIOp::create(rewriter, loc, tiles,
                                  tensor::DimOp::create(rewriter, loc, offsets, 0));
  return launch(head, tiles, tokensOfLast);
}

PhysicalValues KernelBuilder::launchGrid(int64_t heads, int64_t tiles) {
  rewriter.setInsertionPoint(op);
  return launch(arith::ConstantIndexOp::create(rewriter, op->getLoc(), heads),
                arith::ConstantIndexOp::create(rewriter, op->getLoc(), tiles), /*tokensOfLast=*/1);
}

void KernelBuilder::launchInPlace(int64_t heads, unsigned updated) {
  Location loc = op->getLoc();
  rewriter.setInsertionPoint(op);
  SmallVector<Value> inputs;
  for (ValueRange operand : operands)
    llvm::append_range(inputs, operand);
  uint64_t updates = 0;
  for (ValueRange operand : ArrayRef(operands).take_back(updated))
    updates += operand.size();
  Value head = arith::ConstantIndexOp::create(rewriter, loc, heads);
  Value tiles = countTiles(inputs.front());
  Value batch = tensor::DimOp::create(rewriter, loc, inputs.front(), 0);
  LaunchOp::create(rewriter, loc, TypeRange(), kernel.getSymName(), batch, head, tiles, inputs,
                   /*outputs=*/ValueRange(), scalars, updates);
}

PhysicalValues KernelBuilder::launch(Value heads, Value tiles, int64_t tokensOfLast) {
  Location loc = op->getLoc();
  SmallVector<Value> inputs, outputs;
  for (ValueRange operand : operands)
    llvm::append_range(inputs, operand);

  Value rows = inputs.front();
  for (auto [number, result] : llvm::enumerate(resultTypes))
    for (RankedTensorType physical : getPhysicalTensors(result)) {
      SmallVector<Value> sizes;
      for (int64_t dim = 0; dim < 3; ++dim)
        if (physical.isDynamicDim(dim))
          sizes.push_back(tensor::DimOp::create(rewriter, loc, rows, dim));
      if (number + 1 == resultTypes.size() && tokensOfLast != 1 && physical.isDynamicDim(2))
        sizes.back() =
            arith::CeilDivUIOp::create(rewriter, loc, sizes.back(),
                                       arith::ConstantIndexOp::create(rewriter, loc, tokensOfLast));
      outputs.push_back(tensor::EmptyOp::create(rewriter, loc, physical, sizes));
    }

  Value batch = tensor::DimOp::create(rewriter, loc, rows, 0);
  auto launch = LaunchOp::create(rewriter, loc, ValueRange(outputs).getTypes(), kernel.getSymName(),
                                 batch, heads, tiles, inputs, outputs, scalars);

  PhysicalValues values;
  ValueRange results = launch.getResults();
  for (RankedTensorType result : resultTypes) {
    size_t count = getPhysicalTensors(result).size();
    values.emplace_back(results.take_front(count));
    results = results.drop_front(count);
  }
  return values;
}
