//===- MergeKernels.cpp - One kernel for all launches of the same code ----===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Tile/Tile.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OperationSupport.h"
#include "sfa/Passes.h"

namespace sfa {
#define GEN_PASS_DEF_SFAMERGEKERNELSPASS
#include "sfa/Passes.h.inc"
} // namespace sfa

using namespace mlir;
using namespace sfa::tile;

namespace {

/// Kernels are equal when nothing but their names and locations differs. Upstream's pass
/// duplicate-function-elimination compares functions, of func.func only, in the same way.
struct ByContent : llvm::DenseMapInfo<KernelOp> {
  static SmallVector<NamedAttribute> attributesBesideName(KernelOp kernel) {
    return llvm::filter_to_vector(kernel->getAttrs(), [](NamedAttribute attribute) {
      return attribute.getName() != SymbolTable::getSymbolAttrName();
    });
  }

  static unsigned getHashValue(const KernelOp constKernel) {
    KernelOp kernel = constKernel;
    llvm::hash_code hash = llvm::hash_value(kernel.getBody().front().getNumArguments());
    kernel.getBody().walk([&](Operation *op) {
      hash = llvm::hash_combine(hash, op->getName(), op->getAttrDictionary());
    });
    return hash;
  }

  static bool isEqual(KernelOp left, KernelOp right) {
    if (left == right)
      return true;
    if (left == getEmptyKey() || left == getTombstoneKey() || right == getEmptyKey() ||
        right == getTombstoneKey())
      return false;
    return attributesBesideName(left) == attributesBesideName(right) &&
           OperationEquivalence::isRegionEquivalentTo(&left.getBody(), &right.getBody(),
                                                      OperationEquivalence::IgnoreLocations);
  }
};

struct MergeKernels : sfa::impl::SFAMergeKernelsPassBase<MergeKernels> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    llvm::DenseSet<KernelOp, ByContent> distinct;
    llvm::DenseMap<StringAttr, StringAttr> representatives;
    SmallVector<KernelOp> duplicates;
    for (auto kernel : module.getOps<KernelOp>()) {
      auto [first, isNew] = distinct.insert(kernel);
      if (isNew)
        continue;
      KernelOp representative = *first;
      representatives[kernel.getSymNameAttr()] = representative.getSymNameAttr();
      duplicates.push_back(kernel);
    }
    if (duplicates.empty())
      return markAllAnalysesPreserved();
    module.walk([&](LaunchOp launch) {
      // A module within has kernels of its own.
      if (SymbolTable::getNearestSymbolTable(launch) != module)
        return;
      if (StringAttr name = representatives.lookup(launch.getKernelAttr().getAttr()))
        launch.setKernel(name);
    });
    for (KernelOp kernel : duplicates)
      kernel.erase();
  }
};

} // namespace
