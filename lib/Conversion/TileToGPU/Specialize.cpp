//===- Specialize.cpp - Kernels over tiles become programs of a block -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TileProgram.h"
#include "sfa/Passes.h"

namespace sfa {
#define GEN_PASS_DEF_SFAGPUSPECIALIZEPASS
#include "sfa/Passes.h.inc"
} // namespace sfa

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

namespace {
struct Specialize : sfa::impl::SFAGPUSpecializePassBase<Specialize> {
  using SFAGPUSpecializePassBase::SFAGPUSpecializePassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    llvm::Expected<Chip> target = Chip::parse(chip);
    if (!target) {
      module.emitError() << llvm::toString(target.takeError());
      return signalPassFailure();
    }
    for (auto kernel : llvm::make_early_inc_range(module.getOps<tile::KernelOp>())) {
      if (kernel.getBody().getOps<tile::KeyLoopOp>().empty())
        continue;
      OpBuilder builder(kernel);
      if (readsCache(kernel)) {
        if (failed(specializeCache(kernel, *target, builder)))
          return signalPassFailure();
        kernel.erase();
        continue;
      }
      FailureOr<TileProgram> program = analyze(kernel, *target);
      if (failed(program))
        return signalPassFailure();
      LogicalResult specialized = target->hasWarpgroups ? specializeWarpgroups(*program, builder)
                                                        : specializeWarps(*program, builder);
      if (failed(specialized))
        return signalPassFailure();
      kernel.erase();
    }
  }
};
} // namespace
