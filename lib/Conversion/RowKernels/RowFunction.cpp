//===- RowFunction.cpp - Kernels without a loop over keys -----------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RowFunction.h"

#include "../GPUToNVVM/Instructions/SharedTile.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

/// Diagnoses memories that kernels of a GPU cannot take.
static LogicalResult checkMemories(tile::KernelOp kernel) {
  for (BlockArgument memory : kernel.getMemories()) {
    auto type = dyn_cast<MemRefType>(memory.getType());
    if (!type || type.getRank() < 1 || type.getRank() > 4)
      return kernel.emitOpError() << "takes " << memory.getType()
                                  << "; on a GPU memories have rank 1 to 4";
  }
  return success();
}

/// Diagnoses tiles with rows of several heads.
static LogicalResult checkHeads(tile::KernelOp kernel) {
  for (Operation &op : kernel.getBody().front()) {
    auto heads = TypeSwitch<Operation *, uint64_t>(&op)
                     .Case<tile::LoadOp, tile::LoadCodesOp, tile::StoreOp, tile::MaskOp>(
                         [](auto ofHeads) { return ofHeads.getHeads(); })
                     .Default(uint64_t(1));
    if (heads != 1)
      return op.emitOpError() << "has rows of " << heads
                              << " heads; on a GPU only the tiles of queries and their results may";
  }
  return success();
}

void RowFunction::createFunction(Block *module) {
  emit.setInsertionPointToEnd(module);
  SmallVector<Type> parameters;
  for (size_t i = 0; i < kernel.getMemories().size(); ++i)
    Memory::appendTypes(emit.getContext(), parameters);
  for (auto append : kernel.getBody().getOps<tile::AppendOp>())
    for (Value target : append.getTargets()) {
      memoriesWithBatches.push_back(cast<BlockArgument>(target).getArgNumber());
      parameters.push_back(emit.getI64Type());
    }
  function = emit.make<LLVM::LLVMFuncOp>(
      kernel.getSymName(),
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(emit.getContext()), parameters));
  Block *entry = function.addEntryBlock(emit);
  ValueRange rest = entry->getArguments();
  for (BlockArgument memory : kernel.getMemories()) {
    memories.try_emplace(memory, memory.getType(), rest.take_front(Memory::numRegisters));
    rest = rest.drop_front(Memory::numRegisters);
  }
  for (auto [memory, batches] : llvm::zip_equal(memoriesWithBatches, rest))
    numBatches[kernel.getMemories()[memory]] = batches;
  emit.setInsertionPointToStart(entry);
  setKernelAttributes(function, rowKernelThreads);
}

void RowFunction::waitForKernelBefore() {
  if (!waitsForKernels)
    return;
  isProgrammatic = true;
  emit.make<NVVM::GriddepcontrolOp>(NVVM::GridDepActionKind::launch_dependents);
  emit.make<NVVM::GriddepcontrolOp>(NVVM::GridDepActionKind::wait);
}

Value RowFunction::allocateShared(int64_t bytes) {
  OpBuilder::InsertionGuard guard(emit);
  LLVM::GlobalOp shared = getSharedMemory(emit, function->getBlock(), kernel.getLoc());
  emit.setInsertionPointToStart(&function.getBody().front());
  Value base = emit.make<LLVM::AddressOfOp>(shared);
  int64_t start = llvm::alignTo(sharedBytes, SharedTile::alignment);
  sharedBytes = start + bytes;
  // What is too large is refused at the end.
  return emit.offset(base, std::min<int64_t>(start, int64_t(1) << 30));
}

FailureOr<KernelResources> RowFunction::run(Block *module, const Chip &chip) {
  if (failed(checkMemories(kernel)) || failed(checkHeads(kernel)))
    return failure();
  createFunction(module);
  waitsForKernels = chip.hasWarpgroups;
  thread = emit.threadId();
  lane = emit.bitAnd(thread, 31);
  warp = emit.shiftRight(thread, 5);
  mapping.map(kernel.getCoordinates(), getBlockPoint(emit, /*isAgain=*/false));
  if (failed(lowerRowKernel(*this)))
    return failure();
  emit.setInsertionPointToEnd(&function.getBody().front());
  emit.make<LLVM::ReturnOp>(ValueRange());
  if (sharedBytes > chip.maxSharedBytes)
    return kernel.emitOpError() << "has tiles that do not fit: they need " << sharedBytes
                                << " bytes of shared memory, " << chip.name << " has "
                                << chip.maxSharedBytes << "; choose smaller tiles";
  return KernelResources{function, rowKernelThreads, sharedBytes, /*isPersistent=*/false,
                         isProgrammatic, memoriesWithBatches};
}
