//===- KernelFunction.cpp - What the functions of all kernels share --------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelFunction.h"

#include "SharedTile.h"
#include "Wgmma.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"

using namespace mlir;
using namespace sfa::simt;

static constexpr StringLiteral sharedMemoryName = "sfa_shared";

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

void Memory::appendTypes(MLIRContext *context, SmallVectorImpl<Type> &types) {
  types.push_back(LLVM::LLVMPointerType::get(context, /*addressSpace=*/1));
  types.append(numRegisters - 1, IntegerType::get(context, 64));
}

Value Memory::address(Emitter &emit, Value batch, Value head, Value row) const {
  Value element =
      emit.add(emit.mul(emit.toI64(batch), batchStride), emit.mul(emit.toI64(head), headStride));
  element = emit.add(element, emit.mul(emit.toI64(row), rowStride));
  return emit.offset(pointer, element, type.getElementType());
}

Value Memory::elementsTo(Emitter &emit, Value row, Value headsBehind) const {
  Value element = emit.mul(row, rowStride);
  if (headsBehind)
    element = emit.add(element, emit.mul(emit.toI64(headsBehind), headStride));
  return element;
}

Value Memory::rowsLeft(Emitter &emit, Value row, Value limit) const {
  Value end = rows;
  if (limit)
    end = emit.minSigned(end, emit.toI64(limit));
  return emit.sub(end, emit.toI64(row));
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

LLVM::GlobalOp sfa::simt::getSharedMemory(OpBuilder &builder, Block *module, Location loc) {
  for (auto global : module->getOps<LLVM::GlobalOp>())
    if (global.getSymName() == sharedMemoryName)
      return global;
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(module);
  auto type = LLVM::LLVMArrayType::get(builder.getI8Type(), 0);
  return LLVM::GlobalOp::create(builder, loc, type, /*isConstant=*/false, LLVM::Linkage::External,
                                sharedMemoryName, Attribute(), SharedTile::alignment,
                                /*addrSpace=*/3);
}

Emitter::Values sfa::simt::getBlockPoint(Emitter &emit, bool isAgain) {
  // The last row tiles first: they have the most keys under a causal mask.
  Type i32 = emit.getI32Type();
  Value last = emit.sub(emit.make<NVVM::GridDimXOp>(i32), 1);
  Value tile = emit.sub(last, emit.make<NVVM::BlockIdXOp>(i32));
  Value head = emit.make<NVVM::BlockIdYOp>(i32), batch = emit.make<NVVM::BlockIdZOp>(i32);
  if (isAgain)
    for (Value *number : {&tile, &head, &batch})
      pin(emit, *number);
  return {emit.toIndex(batch), emit.toIndex(head), emit.toIndex(tile)};
}

void sfa::simt::setKernelAttributes(LLVM::LLVMFuncOp function, int64_t numThreads) {
  Builder builder(function.getContext());
  function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(), builder.getUnitAttr());
  function->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(), builder.getUnitAttr());
  auto threads = static_cast<int32_t>(numThreads);
  function->setAttr(NVVM::NVVMDialect::getReqntidAttrName(),
                    builder.getDenseI32ArrayAttr({threads, 1, 1}));
  function->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(), builder.getI32IntegerAttr(1));
}
