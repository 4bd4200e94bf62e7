//===- GPU.h - The sfa_gpu dialect ------------------------------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_GPU_GPU_H
#define DIALECTS_GPU_GPU_H

#include "dialects/Tile/Tile.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "sfa/Swizzle.h"
#include "llvm/Support/MathExtras.h"

#include "dialects/GPU/GPUOpsDialect.h.inc"
#include "dialects/GPU/GPUEnums.h.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/GPU/GPUOpsTypes.h.inc"

#include "dialects/GPU/GPUInterfaces.h.inc"

namespace sfa::simt {

/// The result of a product that leaves a tile of type `tile`.
inline PendingType getPendingType(mlir::Type tile) {
  return PendingType::get(tile.getContext(), llvm::cast<tile::TileType>(tile));
}

/// A tile in shared memory of type `shared`, in registers.
inline OperandType getOperandType(mlir::Type shared) {
  auto tile = llvm::cast<SharedType>(shared);
  int64_t columns = OperandType::roundUp(tile.getColumns(), tile.getElementType());
  return OperandType::get(shared.getContext(), tile.getRows(), columns, tile.getElementType());
}

/// Marks operations that no pattern turns into instructions yet.
template <class ConcreteOp>
class NotLoweredYet : public mlir::OpTrait::TraitBase<ConcreteOp, NotLoweredYet> {};

} // namespace sfa::simt

#define GET_OP_CLASSES
#include "dialects/GPU/GPUOps.h.inc"

#endif // DIALECTS_GPU_GPU_H
