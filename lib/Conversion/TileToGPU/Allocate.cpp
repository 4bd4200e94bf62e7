//===- Allocate.cpp - Places in shared memory, and tensor maps -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/GPU/GPU.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "sfa/Passes.h"
#include "sfa/Swizzle.h"
#include "llvm/Support/MathExtras.h"

namespace sfa {
#define GEN_PASS_DEF_SFAGPUALLOCATEPASS
#include "sfa/Passes.h.inc"
} // namespace sfa

using namespace mlir;
using namespace sfa;
using namespace sfa::simt;

static constexpr int64_t barrierBytes = 8;

/// Gives each piece of shared memory of `kernel` its offset, in the order of the program.
static void allocateShared(KernelOp kernel) {
  Builder builder(kernel.getContext());
  int64_t end = 0;
  auto allocate = [&](int64_t bytes) {
    int64_t start = static_cast<int64_t>(llvm::alignTo(end, swizzle::alignment));
    end = start + bytes;
    return builder.getI64IntegerAttr(start);
  };
  SmallVector<RingOp> rings;
  kernel.walk([&](Operation *op) {
    if (auto order = dyn_cast<PointOrderOp>(op))
      order.setOffsetAttr(allocate(PointOrderOp::bytes));
    if (auto order = dyn_cast<SplitOrderOp>(op))
      order.setOffsetAttr(allocate(SplitOrderOp::bytes));
    if (auto marks = dyn_cast<MarksOp>(op))
      marks.setOffsetAttr(allocate(MarksOp::bytes));
    auto ring = dyn_cast<RingOp>(op);
    if (!ring)
      return;
    rings.push_back(ring);
    auto other = ring.getOther() ? ring.getOther().getDefiningOp<RingOp>() : RingOp();
    ring.setOffsetAttr(other ? other.getOffsetAttr()
                             : allocate(ring.getNumPlaces() * ring.getStageBytes()));
  });
  int64_t numBarriers = 0;
  for (RingOp ring : rings)
    numBarriers += ring.getNumBarriers();
  if (numBarriers != 0) {
    int64_t next = allocate(numBarriers * barrierBytes).getInt();
    for (RingOp ring : rings) {
      if (ring.getNumBarriers() == 0)
        continue;
      ring.setBarriersAttr(builder.getI64IntegerAttr(next));
      next += ring.getNumBarriers() * barrierBytes;
    }
  }
  kernel->setAttr(KernelOp::sharedBytesAttrName, builder.getI64IntegerAttr(end));
}

/// Lists the boxes that the copies of `kernel` take, each once.
static void listTensorMaps(KernelOp kernel) {
  SmallVector<std::array<int64_t, 3>> maps;
  kernel.walk([&](CopyOp copy) {
    auto memory = cast<BlockArgument>(copy.getMemory());
    SharedType tile = copy.getRing().getType().getTile();
    if (tile.getForm() != TileForm::Swizzled)
      return;
    int64_t rows = copy.getCount().value_or(tile.getRows());
    int64_t ofHead = ScheduleAttr::rowsOfHead(rows, static_cast<int64_t>(copy.getHeads()));
    std::array<int64_t, 3> map = {memory.getArgNumber(), ofHead, rows / ofHead};
    if (!llvm::is_contained(maps, map))
      maps.push_back(map);
  });
  SmallVector<int64_t> flat;
  for (const std::array<int64_t, 3> &map : maps)
    llvm::append_range(flat, map);
  if (!flat.empty())
    kernel->setAttr(KernelOp::tensorMapsAttrName,
                    DenseI64ArrayAttr::get(kernel.getContext(), flat));
}

/// Lists the memories of whose batches `kernel` asks.
static void listBatches(KernelOp kernel) {
  SmallVector<int64_t> memories;
  kernel.walk([&](memref::DimOp dim) {
    auto memory = dyn_cast<BlockArgument>(dim.getSource());
    if (!memory || dim.getConstantIndex() != 0 || cast<MemRefType>(memory.getType()).getRank() < 3)
      return;
    if (!llvm::is_contained(memories, memory.getArgNumber()))
      memories.push_back(memory.getArgNumber());
  });
  if (!memories.empty())
    kernel->setAttr(KernelOp::batchesAttrName,
                    DenseI64ArrayAttr::get(kernel.getContext(), memories));
}

namespace {
struct Allocate : sfa::impl::SFAGPUAllocatePassBase<Allocate> {
  using SFAGPUAllocatePassBase::SFAGPUAllocatePassBase;

  void runOnOperation() override {
    getOperation()->walk([](KernelOp kernel) {
      allocateShared(kernel);
      listTensorMaps(kernel);
      listBatches(kernel);
    });
  }
};
} // namespace
