//===- Combine.cpp - The kernel that combines what splits of the keys gave ---===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::tile;

/// Rows that one point of the grid combines: few, since there are few rows where splits pay.
static constexpr int64_t rowsOfTile = 4;

SmallVector<Type> sfa::tile::getPartialTypes(Type result, int64_t splits) {
  auto output = cast<RankedTensorType>(result);
  SmallVector<int64_t> shape(output.getShape());
  shape[1] *= splits;
  Type f32 = Float32Type::get(result.getContext());
  return {RankedTensorType::get(shape, f32),
          RankedTensorType::get(ArrayRef(shape).drop_back(), f32)};
}

PhysicalValues sfa::tile::combineSplits(ConversionPatternRewriter &rewriter,
                                        SymbolTableCollection &symbols, Operation *op,
                                        ResolvedSchedule schedule, const PhysicalValues &partial,
                                        const CacheOperands &cache) {
  Location loc = op->getLoc();
  // A sequence of a cache may have many splits, and few rows: a point has one.
  int64_t rowsPerTile = cache.lengths ? 1 : rowsOfTile;
  SmallVector<Type> types;
  SmallVector<ValueRange> operands;
  for (const SmallVector<Value> &values : partial) {
    types.push_back(values.front().getType());
    operands.emplace_back(values);
  }
  if (cache.lengths)
    for (const Value &value : {std::cref(cache.lengths), std::cref(cache.table)}) {
      types.push_back(value.getType());
      operands.emplace_back(value);
    }
  KernelBuilder builder(rewriter, symbols, op, types, operands, op->getResultTypes());
  KernelOp kernel = builder.start("combine", /*schedule=*/nullptr, rowsPerTile);
  Value batch = kernel.getCoordinates()[0], head = kernel.getCoordinates()[1];
  Value rows = arith::ConstantIndexOp::create(rewriter, loc, rowsPerTile);
  Value row = arith::MulIOp::create(rewriter, loc, kernel.getCoordinates()[2], rows);

  Type f32 = rewriter.getF32Type();
  Operand outputs = builder.operand(0), sums = builder.operand(1);
  Value lengths, limit;
  if (cache.lengths) {
    lengths = builder.operand(2).memories[0];
    limit = mostTokens(rewriter, loc, builder.operand(3).memories[0], cache.pageSize);
  }
  auto combined = CombineOp::create(
      rewriter, loc, TileType::get(op->getContext(), {rowsPerTile, outputs.features()}, f32),
      TileType::get(op->getContext(), {rowsPerTile}, f32), outputs.memories[0], sums.memories[0],
      batch, head, row, schedule.splits, schedule.packedHeads, lengths, limit,
      static_cast<uint64_t>(cache.leastBlocks));
  if (op->getNumResults() > 1)
    StoreOp::create(rewriter, loc, combined.getLse(), builder.result(1).memories[0], batch, head,
                    row, /*limit=*/Value());
  StoreOp::create(rewriter, loc, combined.getOutput(), builder.result(0).memories[0], batch, head,
                  row, /*limit=*/Value());
  return builder.launch();
}

Value sfa::tile::mostTokens(OpBuilder &builder, Location loc, Value table, int64_t pageSize) {
  Value pages = memref::DimOp::create(builder, loc, table, 1);
  return arith::MulIOp::create(builder, loc, pages,
                               arith::ConstantIndexOp::create(builder, loc, pageSize));
}
