//===- Ldmatrix.cpp - Operands of matrix units from shared memory ------------- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ldmatrix.h"

#include "Emitted.h"
#include "dialects/GPU/Layouts.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace sfa::simt;

Value sfa::simt::matrixAddress(Emitter &emit, const SharedTile &tile, Value laneRow,
                               Value laneChunk, int64_t firstRow, int64_t firstChunk) {
  Value swizzled = sfa::swizzle::placeOfChunk(Emitted(emit, laneChunk), Emitted(emit, laneRow));
  Value offset = emit.add(emit.mul(laneRow, SharedTile::rowBytes), emit.mul(swizzled, 16));
  offset = emit.bitXor(offset, firstChunk % 8 * 16);
  return emit.offset(emit.offset(tile.base, offset, emit.getI8Type()),
                     firstChunk / 8 * tile.panelBytes() + firstRow * SharedTile::rowBytes);
}

std::array<Value, 4> sfa::simt::loadMatrices(Emitter &emit, Value address, bool transpose) {
  Type i32 = emit.getI32Type();
  auto type = LLVM::LLVMStructType::getLiteral(emit.getContext(), {i32, i32, i32, i32});
  auto shape = NVVM::LdStMatrixShapeAttr::get(emit.getContext(), 8, 8);
  Value loaded = emit.make<NVVM::LdMatrixOp>(
      type, address, emit.getI32IntegerAttr(4),
      NVVM::MMALayoutAttr::get(emit.getContext(),
                               transpose ? NVVM::MMALayout::col : NVVM::MMALayout::row),
      shape, NVVM::LdStMatrixEltTypeAttr::get(emit.getContext(), NVVM::LdStMatrixEltType::B16));
  std::array<Value, 4> matrices;
  for (int64_t i = 0; i < 4; ++i)
    matrices[i] = emit.make<LLVM::ExtractValueOp>(loaded, i);
  return matrices;
}

std::array<Value, 4> sfa::simt::loadLeft(Emitter &emit, const SharedTile &tile, Value lane,
                                         Value firstRow, int64_t step) {
  Value row = emit.add(firstRow, rowOfLeft(Emitted(emit, lane)));
  Value chunk = chunkOfLeft(Emitted(emit, lane));
  return loadMatrices(emit, matrixAddress(emit, tile, row, chunk, 0, 2 * step),
                      /*transpose=*/false);
}
