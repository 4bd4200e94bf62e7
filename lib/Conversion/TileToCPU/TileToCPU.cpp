//===- TileToCPU.cpp - Lower kernels over tiles to loops and vectors for the CPU -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Tile/Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "sfa/Passes.h"

namespace sfa {
#define GEN_PASS_DEF_CONVERTTILETOCPUPASS
#include "sfa/Passes.h.inc"
} // namespace sfa

namespace {
struct ConvertTileToCPU : sfa::impl::ConvertTileToCPUPassBase<ConvertTileToCPU> {
  using ConvertTileToCPUPassBase::ConvertTileToCPUPassBase;
  void runOnOperation() override {}
};
} // namespace
