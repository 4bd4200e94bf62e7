//===- RequestResults.cpp - Results in memory that the caller gives -------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Upstream's buffer-results-to-out-params makes results arguments. Their sizes would have to be
// known, or trusted, before the call; here the function says what they are.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "sfa/Passes.h"

namespace sfa {
#define GEN_PASS_DEF_SFAREQUESTRESULTSPASS
#include "sfa/Passes.h.inc"
} // namespace sfa

using namespace mlir;

/// See sfa/Target/CPU/Executable.h; the C interface of MLIR has a prefix to its name.
static constexpr StringLiteral requestName = "sfa_cpu_result";

namespace {
struct RequestResults : sfa::impl::SFARequestResultsPassBase<RequestResults> {
  void runOnOperation() override {
    auto isBuffer = [](Type type) {
      auto memory = dyn_cast<MemRefType>(type);
      return memory && memory.getLayout().isIdentity() && memory.getElementType().isIntOrFloat();
    };
    SmallVector<func::FuncOp> functions;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (function.isPublic() && !function.isExternal() && function.getNumResults() != 0 &&
          llvm::all_of(function.getResultTypes(), isBuffer) &&
          SymbolTable::symbolKnownUseEmpty(function, getOperation()))
        functions.push_back(function);
    for (func::FuncOp function : functions)
      requestResults(function);
  }

private:
  func::FuncOp getRequest();
  Value request(ImplicitLocOpBuilder &builder, unsigned number, MemRefType type,
                ArrayRef<OpFoldResult> sizes);
  void requestResults(func::FuncOp function);
};
} // namespace

func::FuncOp RequestResults::getRequest() {
  ModuleOp module = getOperation();
  if (auto function = module.lookupSymbol<func::FuncOp>(requestName))
    return function;
  OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
  auto sizes = MemRefType::get({ShapedType::kDynamic}, builder.getIndexType());
  auto bytes = MemRefType::get({ShapedType::kDynamic}, builder.getI8Type());
  auto function =
      func::FuncOp::create(builder, module.getLoc(), requestName,
                           builder.getFunctionType({builder.getIndexType(), sizes}, bytes));
  function.setPrivate();
  function->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(), builder.getUnitAttr());
  return function;
}

/// The memory for a result of these sizes.
Value RequestResults::request(ImplicitLocOpBuilder &builder, unsigned number, MemRefType type,
                              ArrayRef<OpFoldResult> sizes) {
  auto index = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(builder, value);
  };
  auto arrayType = MemRefType::get({type.getRank()}, builder.getIndexType());
  Value array = memref::AllocaOp::create(builder, arrayType);
  SmallVector<Value> dynamicSizes;
  for (auto [dim, size] : llvm::enumerate(sizes)) {
    Value value = getValueOrCreateConstantIndexOp(builder, builder.getLoc(), size);
    memref::StoreOp::create(builder, value, array, index(dim));
    if (type.isDynamicDim(dim))
      dynamicSizes.push_back(value);
  }
  func::FuncOp callee = getRequest();
  Value any = memref::CastOp::create(builder, callee.getArgumentTypes()[1], array);
  auto call = func::CallOp::create(builder, callee, ValueRange{index(number), any});
  return memref::ViewOp::create(builder, type, call.getResult(0), index(0), dynamicSizes);
}

void RequestResults::requestResults(func::FuncOp function) {
  function.walk([&](func::ReturnOp op) {
    for (auto [number, returned] : llvm::enumerate(op.getOperands())) {
      Value root = returned;
      while (auto cast = root.getDefiningOp<memref::CastOp>())
        root = cast.getSource();
      // In another block it may run several times, and what it gives be needed side by side.
      auto allocation = root.getDefiningOp<memref::AllocOp>();
      if (allocation && allocation->getBlock() == &function.front()) {
        ImplicitLocOpBuilder builder(allocation.getLoc(), allocation);
        MemRefType type = allocation.getType();
        Value memory = request(builder, number, type, allocation.getMixedSizes());
        allocation.replaceAllUsesWith(memory);
        allocation.erase();
        continue;
      }
      // Everything else, also what has been returned already. The call frees what is left.
      ImplicitLocOpBuilder builder(op.getLoc(), op);
      auto type = cast<MemRefType>(returned.getType());
      SmallVector<OpFoldResult> sizes = memref::getMixedSizes(builder, builder.getLoc(), returned);
      memref::CopyOp::create(builder, returned, request(builder, number, type, sizes));
    }
    op->setOperands({});
  });
  if (function.getResAttrsAttr())
    function.removeResAttrsAttr();
  function.setType(FunctionType::get(&getContext(), function.getArgumentTypes(), {}));
}
