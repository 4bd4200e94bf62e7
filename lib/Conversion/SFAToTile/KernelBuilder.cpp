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
  auto type = TileType::get(builder.getContext(), {rows, operand.features()},
                            operand.type.getElementType());
  if (operand.isCodes()) {
    assert(!limit && "codes have no limit");
    return ExpandOp::create(builder, loc, type, loadCodes(operand, rows, row));
  }
  return LoadOp::create(builder, loc, type, operand.memories[0], batch, head, row, limit);
}

Value KernelContext::loadCodes(const Operand &operand, int64_t rows, Value row) const {
  int64_t k = std::min(getCodes(operand.type).getK(), operand.features());
  auto type = CodesType::get(builder.getContext(), rows, operand.features(),
                             operand.type.getElementType(), k);
  return LoadCodesOp::create(builder, loc, type, operand.memories[0], operand.memories[1], batch,
                             head, row);
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

SmallVector<RankedTensorType> sfa::tile::getPhysicalTensors(RankedTensorType tensor) {
  if (!getCodes(tensor))
    return {tensor};
  PhysicalCodes codes = getPhysicalCodes(tensor);
  return {codes.values, codes.indices};
}

KernelBuilder::KernelBuilder(ConversionPatternRewriter &rewriter, SymbolTableCollection &symbols,
                             Operation *op, ArrayRef<ValueRange> operands)
    : rewriter(rewriter), symbols(symbols), op(op), operands(operands) {
  for (Type result : op->getResultTypes())
    outputs.push_back(getPhysicalTensors(cast<RankedTensorType>(result)));
}

KernelOp KernelBuilder::start(StringRef name, ScheduleAttr schedule, int64_t rows) {
  rowTile = rows;
  SmallVector<Type> memories;
  for (ValueRange operand : operands)
    for (Value physical : operand)
      memories.push_back(getMemory(cast<RankedTensorType>(physical.getType())));
  for (ArrayRef<RankedTensorType> output : outputs)
    llvm::append_range(memories, llvm::map_range(output, getMemory));

  SymbolTable &table = symbols.getSymbolTable(SymbolTable::getNearestSymbolTable(op));
  rewriter.setInsertionPointToEnd(&table.getOp()->getRegion(0).front());
  kernel = KernelOp::create(rewriter, op->getLoc(), name, memories, schedule);
  table.insert(kernel);
  rewriter.setInsertionPoint(kernel.getBody().front().getTerminator());
  return kernel;
}

/// How many memories all of `groups` have.
template <class Groups>
static size_t countMemories(const Groups &groups) {
  size_t count = 0;
  for (const auto &group : groups)
    count += group.size();
  return count;
}

Operand KernelBuilder::operand(unsigned index) {
  return {cast<RankedTensorType>(op->getOperand(index).getType()),
          ValueRange(kernel.getMemories())
              .slice(countMemories(ArrayRef(operands).take_front(index)), operands[index].size())};
}

Operand KernelBuilder::result(unsigned index) {
  size_t first = countMemories(operands) + countMemories(ArrayRef(outputs).take_front(index));
  return {cast<RankedTensorType>(op->getResult(index).getType()),
          ValueRange(kernel.getMemories()).slice(first, outputs[index].size())};
}

void KernelBuilder::launch(Value offsets) {
  Location loc = op->getLoc();
  rewriter.setInsertionPoint(op);
  SmallVector<Value> inputs, targets;
  for (ValueRange operand : operands)
    llvm::append_range(inputs, operand);

  // The sizes of the first three dimensions of all outputs are those of the first operand.
  Value rows = inputs.front();
  for (ArrayRef<RankedTensorType> output : outputs)
    for (RankedTensorType physical : output) {
      SmallVector<Value> sizes;
      for (int64_t dim = 0; dim < 3; ++dim)
        if (physical.isDynamicDim(dim))
          sizes.push_back(tensor::DimOp::create(rewriter, loc, rows, dim));
      targets.push_back(tensor::EmptyOp::create(rewriter, loc, physical, sizes));
    }

  Value batch = tensor::DimOp::create(rewriter, loc, rows, 0);
  Value head = tensor::DimOp::create(rewriter, loc, rows, 1);
  Value tokens = tensor::DimOp::create(rewriter, loc, rows, 2);
  Value tile = arith::ConstantIndexOp::create(rewriter, loc, rowTile);
  Value tiles = arith::CeilDivUIOp::create(rewriter, loc, tokens, tile);
  // One for each offset: at most two more than needed, of a sum that programs of GPUs can hold.
  if (offsets)
    tiles = arith::AddIOp::create(rewriter, loc, tiles,
                                  tensor::DimOp::create(rewriter, loc, offsets, 0));
  auto launch = LaunchOp::create(rewriter, loc, ValueRange(targets).getTypes(), kernel.getSymName(),
                                 batch, head, tiles, inputs, targets);

  SmallVector<SmallVector<Value>> replacements;
  ValueRange results = launch.getResults();
  for (ArrayRef<RankedTensorType> output : outputs) {
    replacements.emplace_back(results.take_front(output.size()));
    results = results.drop_front(output.size());
  }
  rewriter.replaceOpWithMultiple(op, std::move(replacements));
}
