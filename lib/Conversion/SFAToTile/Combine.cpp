//===- Combine.cpp - The kernel that combines the splits of sfa.attention -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;

/// Rows that one point of the grid combines: few, since there are few rows where splits pay.
static constexpr int64_t rowsPerTile = 4;

SmallVector<Type> sfa::tile::getPartialTypes(AttentionOp op, int64_t splits) {
  auto output = cast<RankedTensorType>(op.getOutput().getType());
  SmallVector<int64_t> shape(output.getShape());
  shape[1] *= splits;
  Type f32 = Float32Type::get(op.getContext());
  return {RankedTensorType::get(shape, f32),
          RankedTensorType::get(ArrayRef(shape).drop_back(), f32)};
}

PhysicalValues sfa::tile::combineSplits(ConversionPatternRewriter &rewriter,
                                        SymbolTableCollection &symbols, AttentionOp op,
                                        const PhysicalValues &partial) {
  Location loc = op.getLoc();
  SmallVector<Type> types;
  SmallVector<ValueRange> operands;
  for (const SmallVector<Value> &values : partial) {
    types.push_back(values.front().getType());
    operands.emplace_back(values);
  }
  KernelBuilder builder(rewriter, symbols, op, types, operands, op->getResultTypes());
  KernelOp kernel = builder.start("combine", /*schedule=*/nullptr, rowsPerTile);
  Value batch = kernel.getCoordinates()[0], head = kernel.getCoordinates()[1];
  Value rows = arith::ConstantIndexOp::create(rewriter, loc, rowsPerTile);
  Value row = arith::MulIOp::create(rewriter, loc, kernel.getCoordinates()[2], rows);

  Type f32 = rewriter.getF32Type();
  Operand outputs = builder.operand(0), sums = builder.operand(1);
  auto combined = CombineOp::create(
      rewriter, loc, TileType::get(op.getContext(), {rowsPerTile, outputs.features()}, f32),
      TileType::get(op.getContext(), {rowsPerTile}, f32), outputs.memories[0], sums.memories[0],
      batch, head, row, resolve(op.getScheduleAttr()).splits,
      resolve(op.getScheduleAttr()).packedHeads);
  if (op.getLse())
    StoreOp::create(rewriter, loc, combined.getLse(), builder.result(1).memories[0], batch, head,
                    row, /*limit=*/Value());
  StoreOp::create(rewriter, loc, combined.getOutput(), builder.result(0).memories[0], batch, head,
                  row, /*limit=*/Value());
  return builder.launch();
}
