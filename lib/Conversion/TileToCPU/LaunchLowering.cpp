//===- LaunchLowering.cpp - Launches become calls of the parallel loop of the CPU runtime -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelLowering.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace sfa::tile;
using namespace sfa::cpu;

/// `void sfa_cpu_parallel_for(int64_t count, int64_t scratchBytes, void (*body)(void *, int64_t,
/// void *), void *)`; see sfa/Target/CPU/ParallelFor.h.
static func::FuncOp getParallelFor(ModuleOp module, FunctionType body) {
  constexpr StringLiteral name = "sfa_cpu_parallel_for";
  if (auto function = module.lookupSymbol<func::FuncOp>(name))
    return function;
  OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
  Type i64 = builder.getI64Type(), pointer = LLVM::LLVMPointerType::get(module.getContext());
  auto function =
      func::FuncOp::create(builder, module.getLoc(), name,
                           builder.getFunctionType({i64, i64, body, pointer}, TypeRange()));
  function.setPrivate();
  return function;
}

void sfa::cpu::lowerLaunch(LaunchOp launch, KernelOp kernel, func::FuncOp body,
                           const LLVMTypeConverter &types) {
  ImplicitLocOpBuilder builder(launch.getLoc(), launch);
  auto module = launch->getParentOfType<ModuleOp>();
  Type i64 = builder.getI64Type(), pointer = LLVM::LLVMPointerType::get(builder.getContext());

  SmallVector<Value> fields;
  SmallVector<Value> memories(launch.getInputs());
  llvm::append_range(memories, launch.getOutputs());
  for (auto [memory, parameter] : llvm::zip_equal(memories, kernel.getMemories())) {
    if (memory.getType() != parameter.getType())
      memory = memref::CastOp::create(builder, parameter.getType(), memory);
    fields.push_back(
        UnrealizedConversionCastOp::create(builder, types.convertType(memory.getType()), memory)
            .getResult(0));
  }
  llvm::append_range(fields, launch.getScalars());
  auto toI64 = [&](Value value) -> Value {
    return arith::IndexCastOp::create(builder, i64, value);
  };
  Value count = arith::MulIOp::create(
      builder, arith::MulIOp::create(builder, launch.getGridBatch(), launch.getGridHead()),
      launch.getGridTile());
  fields.push_back(toI64(launch.getGridHead()));
  fields.push_back(toI64(launch.getGridTile()));

  auto contextType = KernelLowering::getContextType(kernel, types);
  Value context;
  {
    // At the start of the function, so that a launch in a loop does not grow the stack.
    OpBuilder::InsertionGuard guard(builder);
    auto function = launch->getParentOfType<func::FuncOp>();
    builder.setInsertionPointToStart(&function.getBody().front());
    Value one = LLVM::ConstantOp::create(builder, i64, builder.getI64IntegerAttr(1));
    context = LLVM::AllocaOp::create(builder, pointer, contextType, one);
  }
  for (auto [number, field] : llvm::enumerate(fields)) {
    Value address = LLVM::GEPOp::create(builder, pointer, contextType, context,
                                        ArrayRef<LLVM::GEPArg>{0, static_cast<int32_t>(number)});
    LLVM::StoreOp::create(builder, field, address);
  }
  auto scratchBytes = body->getAttrOfType<IntegerAttr>(scratchBytesAttrName);
  Value bytes = arith::ConstantOp::create(builder, scratchBytes);
  Value callee = func::ConstantOp::create(builder, body.getFunctionType(), body.getSymName());
  func::CallOp::create(builder, getParallelFor(module, body.getFunctionType()),
                       ValueRange{toI64(count), bytes, callee, context});
  launch.erase();
}
