//===- UnrollLoops.cpp - Copies of a body in place of a loop --------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/SFA/SFA.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Utils/Utils.h"
#include "sfa/Passes.h"

namespace sfa {
#define GEN_PASS_DEF_SFAUNROLLLOOPSPASS
#include "sfa/Passes.h.inc"
} // namespace sfa

using namespace mlir;

/// The most launches that one operation may become.
static constexpr uint64_t maxIterations = 1024;

static bool holdsOperations(scf::ForOp loop) {
  return loop
      .walk([](Operation *op) {
        return isa_and_nonnull<sfa::SFADialect>(op->getDialect()) ? WalkResult::interrupt()
                                                                  : WalkResult::advance();
      })
      .wasInterrupted();
}

namespace {
struct UnrollLoops : sfa::impl::SFAUnrollLoopsPassBase<UnrollLoops> {
  void runOnOperation() override {
    // Inner ones first: their copies are copied.
    SmallVector<scf::ForOp> loops;
    getOperation().walk([&](scf::ForOp loop) {
      if (holdsOperations(loop))
        loops.push_back(loop);
    });
    // How many times an operation of a loop is there when the loops around it are unrolled, too.
    llvm::DenseMap<Operation *, uint64_t> copies;
    for (scf::ForOp loop : llvm::reverse(loops)) {
      std::optional<APInt> count = loop.getStaticTripCount();
      if (!count || count->getActiveBits() > 32)
        continue;
      auto around = loop->getParentOfType<scf::ForOp>();
      uint64_t outer = around && copies.contains(around) ? copies[around] : 1;
      copies[loop] = outer * count->getZExtValue();
    }
    for (scf::ForOp loop : loops)
      if (copies.contains(loop) && copies[loop] <= maxIterations)
        (void)loopUnrollFull(loop);
  }
};
} // namespace
