//===- DecodeSchedule.cpp - The schedule of sfa.decode --------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What decides is how many bytes are on their way from memory: as many tiles are in flight as shared
// memory holds. Heads that read the same keys share a tile of 16 query rows.
//
//===----------------------------------------------------------------------===//

#include "sfa/Schedule/DecodeSchedule.h"

#include "sfa/Swizzle.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace sfa;

/// Rows of queries of a tile.
static constexpr int64_t queryRows = 16;

/// The largest divisor of `group` that a tile has rows for.
static int64_t choosePackedHeads(int64_t group) {
  int64_t packed = std::min(group, queryRows);
  while (group % packed != 0)
    --packed;
  return packed;
}

int64_t sfa::countMostSplits(int64_t keys, int64_t leastBlocks) {
  constexpr int64_t shortKeys = 4096, shortShare = 256, longKeys = 16384, blockKeys = 512, classes = 8,
                    most = 128;
  int64_t ofShort = llvm::divideCeil(std::min(keys, shortKeys), shortShare);
  if (keys <= shortKeys)
    return std::max<int64_t>(ofShort, 1);
  int64_t ofMiddle = std::max<int64_t>(llvm::divideCeil(std::min(keys, longKeys), blockKeys), ofShort);
  if (keys <= longKeys)
    return ofMiddle;
  int64_t ranks = llvm::divideCeil(llvm::divideCeil(keys, blockKeys), leastBlocks * classes);
  return std::clamp<int64_t>(ranks * classes, ofMiddle, most);
}

/// Bytes of shared memory that a kernel takes besides its tiles of keys, and for each of these.
static std::pair<int64_t, int64_t> getSharedBytes(DecodeOp op, int64_t kTile, int64_t warps) {
  auto inPanels = [](int64_t features) {
    return static_cast<int64_t>(llvm::alignTo(2 * features, swizzle::rowBytes));
  };
  auto aligned = [](int64_t bytes) {
    return static_cast<int64_t>(llvm::alignTo(bytes, swizzle::alignment));
  };
  auto key = cast<RankedTensorType>(op.getKey().getType());
  int64_t features = key.getDimSize(3), columns = op.getValue().getType().getDimSize(3);
  // The order of points, the queries, what warps merge through, barriers.
  constexpr int64_t orderBytes = 4 * 1025, barrierBytes = 1024, bytesOfLane = 4 * 32;
  int64_t fixed = aligned(orderBytes) + aligned(queryRows * inPanels(features)) +
                  aligned(warps / 2 * bytesOfLane * (columns / 2 + 4)) + barrierBytes;
  int64_t each = aligned(kTile * inPanels(columns));
  if (CodesAttr codes = getCodes(key)) {
    int64_t k = std::min(codes.getK(), features);
    fixed += aligned(warps * queryRows * inPanels(features));
    each += aligned(kTile * k * 2) + aligned(kTile * k);
  } else {
    each += aligned(kTile * inPanels(features));
  }
  return {fixed, each};
}

ResolvedSchedule sfa::chooseDecodeSchedule(DecodeOp op, const Device &device,
                                           const Schedule &given) {
  ResolvedSchedule schedule;
  schedule.strategy = Strategy::Dense;
  schedule.softmax = Softmax::Online;
  schedule.qTile = queryRows;
  auto key = cast<RankedTensorType>(op.getKey().getType());
  schedule.packedHeads =
      given.packedHeads.value_or(choosePackedHeads(op.getGroup()));
  int64_t pages = cast<RankedTensorType>(op.getTable().getType()).getDimSize(1);
  int64_t mostKeys = ShapedType::isDynamic(pages) ? std::numeric_limits<int32_t>::max()
                                                  : pages * op.getPageSize();
  schedule.splits = countMostSplits(mostKeys, op.getLeastBlocks());
  schedule.stages = schedule.consumers = 1;
  schedule.kTile = 128;
  if (device.isGpu) {
    schedule.grid = Grid::Persistent;
    schedule.lookahead = 0;
    // Of short rows a warp takes two products at once: it has as much to do for each tile besides.
    constexpr int64_t shortRow = 64, wideRow = 128, mostStages = 8;
    int64_t width = std::max(key.getDimSize(3), op.getValue().getType().getDimSize(3));
    // Blocks that copy themselves are two to a multiprocessor: one merges while the other reads.
    int64_t blocks = device.hasWarpgroups ? 1 : 2;
    schedule.consumers = given.consumers.value_or(width > wideRow || blocks > 1 ? 1 : 2);
    schedule.kTile = given.kTile.value_or(4 * 16 * schedule.consumers * (width > shortRow ? 1 : 2));
    auto [fixed, each] = getSharedBytes(op, schedule.kTile, 4 * schedule.consumers);
    schedule.stages = std::clamp<int64_t>((device.maxSharedBytes / blocks - fixed) / each, 1, mostStages);
  }
  return ResolvedSchedule(given, schedule);
}

void sfa::assignDecodeSchedule(DecodeOp op, const Device &device) {
  ScheduleAttr attribute = op.getScheduleAttr();
  Schedule given = attribute ? attribute.getSchedule() : Schedule();
  ResolvedSchedule chosen = chooseDecodeSchedule(op, device, given);
  op.setScheduleAttr(
      ScheduleAttr::get(op.getContext(), given.orElse(withoutDefaults(chosen, device))));
}
