//===- CostModel.cpp - The schedule of an op that gives none --------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Schedule/CostModel.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include <limits>
#include <numeric>

using namespace mlir;
using namespace sfa;

/// Real supports overlap more than uniform ones: up to this factor was measured on trained models.
static constexpr double overlapSkew = 4.4;

/// One multiply-add into a score at a position read from memory, against one of a whole vector.
static constexpr double scatteredAddCost = 16.0;

/// A multiply-add with an operand from the first-level cache, against one of the register-tiled
/// product.
static constexpr double unblockedCost = 1.5;

/// The non-zeros that a row of `type` keeps.
static double nonZeros(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  int64_t features = tensor.getDimSize(3);
  CodesAttr codes = getCodes(tensor);
  return static_cast<double>(codes ? std::min(codes.getK(), features) : features);
}

double sfa::estimateScoreCost(AttentionOp op, Strategy strategy) {
  auto features =
      static_cast<double>(cast<RankedTensorType>(op.getQuery().getType()).getDimSize(3));
  double query = nonZeros(op.getQuery().getType()), key = nonZeros(op.getKey().getType());
  switch (strategy) {
  case Strategy::Dense:
    return features;
  case Strategy::Gather:
    return unblockedCost * query;
  case Strategy::Scatter:
    return scatteredAddCost * std::min(overlapSkew * query * key / features, std::min(query, key));
  case Strategy::SparseMma:
    return unblockedCost * features / 2;
  }
  llvm_unreachable("a strategy without a case");
}

/// Sequences of each batch; none where nobody knows.
static std::optional<int64_t> numSequences(AttentionOp op) {
  if (!op.hasSequences())
    return 1;
  auto offsets = cast<RankedTensorType>(op.getSequences().front().getType());
  if (offsets.isDynamicDim(0))
    return std::nullopt;
  return offsets.getDimSize(0) - 1;
}

/// Tokens of `tensor` in each head, of sequences the mean: sizes do not say more than that. None
/// where nobody knows.
static std::optional<int64_t> numTokens(AttentionOp op, Value tensor) {
  int64_t tokens = cast<RankedTensorType>(tensor.getType()).getDimSize(2);
  std::optional<int64_t> sequences = numSequences(op);
  if (ShapedType::isDynamic(tokens) || !sequences)
    return std::nullopt;
  return llvm::divideCeil(tokens, *sequences);
}

static std::optional<int64_t> numQueries(AttentionOp op) { return numTokens(op, op.getQuery()); }

ScheduleAttr sfa::chooseSchedule(AttentionOp op) {
  Strategy best = Strategy::Dense;
  for (Strategy strategy : {Strategy::Gather, Strategy::Scatter, Strategy::SparseMma})
    if (op.whyNot(strategy).empty() &&
        estimateScoreCost(op, strategy) < estimateScoreCost(op, best))
      best = strategy;

  // A key and a value tile in f32 stay within a second-level cache of 512 KiB. A larger query tile
  // shares their loading among more queries; few queries leave too few tiles for all cores.
  auto query = cast<RankedTensorType>(op.getQuery().getType());
  int64_t width = query.getDimSize(3) + op.getValue().getType().getDimSize(3);
  int64_t kTile = width <= 512 ? 128 : 64, qTile = 128;
  auto given = op.getScheduleAttr();
  int64_t packedHeads = given ? given.getPackedHeadsOrDefault() : 1;
  if (std::optional<int64_t> ofHead = numQueries(op)) {
    int64_t queries = *ofHead * packedHeads;
    qTile = queries >= 2048 ? 256 : std::clamp<int64_t>(llvm::alignTo(queries, 8), 8, qTile);
  }
  qTile = static_cast<int64_t>(llvm::alignTo(qTile, std::lcm(int64_t(8), packedHeads)));

  auto chosen = ScheduleAttr::get(
      op.getContext(), best, Softmax::Online, qTile, kTile, /*stages=*/2,
      /*consumers=*/2, /*lookahead=*/{}, /*turns=*/{}, /*queries=*/{}, /*grid=*/{},
      /*splits=*/{}, /*packedHeads=*/{});
  return given ? given.orElse(chosen) : chosen;
}

/// Tiles of a kernel with the strategy dense.
namespace {
struct GpuTiles {
  int64_t qTile, kTile, consumers;

  /// Whether there are `queries` rows for each of `packedHeads` heads, and each warp, of which a
  /// consumer has four, has rows of one head or of several whole heads.
  bool haveRoomFor(int64_t queries, int64_t packedHeads) const {
    int64_t warpRows = std::max<int64_t>(qTile / (4 * consumers), 16);
    int64_t rows = ScheduleAttr::rowsOfHead(qTile, packedHeads);
    return rows != 0 && rows >= queries && (rows % warpRows == 0 || warpRows % rows == 0);
  }
};
} // namespace

static int64_t widthOf(AttentionOp op) {
  return std::max(cast<RankedTensorType>(op.getQuery().getType()).getDimSize(3),
                  op.getValue().getType().getDimSize(3));
}

/// Faster where values are bf16, whose exponents leave references room.
static Softmax chooseSoftmax(AttentionOp op, const Chip &chip) {
  bool isFaster = !chip.hasWarpgroups || widthOf(op) <= 128;
  return op.getValue().getType().getElementType().isBF16() && isFaster ? Softmax::Lazy
                                                                       : Softmax::Online;
}

static GpuTiles chooseGpuTiles(AttentionOp op, Softmax softmax, bool isSplit, int64_t packedHeads,
                               const Chip &chip) {
  int64_t width = widthOf(op);
  bool isLazy = softmax == Softmax::Lazy, hasWindow = op.getMaskOrNone().leftBound().has_value();
  bool hasLse = op.getLse() || isSplit;
  if (chip.hasWarpgroups) {
    // A thread has 240 registers beside two consumers, 160 beside three. The lazy softmax has
    // columns of sums; a window has two bounds to compare with, and splits have more bounds to
    // keep.
    if (width <= 64)
      return {192, (hasWindow || isSplit ? 112 : 128) - (isLazy ? 16 : 0), 3};
    if (width <= 128)
      return {128, 128, 2};
    return {128, isLazy || hasWindow || isSplit ? 64 : 80, 2};
  }
  // A thread has 255 registers, of which the accumulator of a warp with 32 rows takes dv, the
  // scores k_tile. Windows, sums in lanes and places of rows take some, too.
  if (width <= 64)
    return {128, isLazy || (op.hasSequences() && packedHeads > 1) ? 64 : 96, 1};
  if (width <= 128) {
    if (!isLazy)
      return {128, 64, 1};
    if (!hasLse && !op.hasSequences())
      return {128, 48, 1};
    return hasWindow && op.hasSequences() ? GpuTiles{64, 64, 1} : GpuTiles{128, 32, 1};
  }
  return {64, 32, 1};
}

/// `tiles`, or others that suit the queries of `packedHeads` heads.
static GpuTiles makeRoomFor(AttentionOp op, int64_t packedHeads, GpuTiles tiles, const Chip &chip) {
  // Few queries: what bounds them is reading the keys, and the fewest rows leave most time for
  // that.
  GpuTiles few{64, tiles.kTile, 1};
  std::optional<int64_t> queries = numQueries(op);
  if (queries && few.haveRoomFor(*queries, packedHeads))
    return few;
  // Warps of 16 rows, of which two consumers leave each thread as many registers as one.
  GpuTiles more{128, tiles.kTile, 2};
  // Twice the queries leave room in shared memory for shorter tiles of keys only.
  if (!chip.hasWarpgroups && widthOf(op) > 128)
    more.kTile = 16;
  // Who packs heads and does not say how many queries there are has few. One head has room
  // anywhere.
  constexpr int64_t fewQueries = 16;
  for (int64_t needed : {packedHeads > 1 ? queries.value_or(fewQueries) : 1, int64_t(1)})
    for (GpuTiles candidate : {tiles, more})
      if (candidate.haveRoomFor(needed, packedHeads))
        return candidate;
  return tiles;
}

/// A split with fewer keys, some four tiles, hardly gets going.
static constexpr int64_t leastKeysOfSplit = 512;

/// Shares of the keys for each multiprocessor, where sequences have any number of keys and few
/// queries: the longest sequence would be the last to end. What shares give, 8 bytes written and
/// read for a column, is to be little beside keys and values: so many keys to each row.
static constexpr int64_t sharesOfUnevenKeys = 32, leastKeysOfRow = 16;

/// Splits of the keys that give every multiprocessor work where query tiles alone would leave half
/// of them without; 1 where sizes are not known.
static int64_t chooseSplits(AttentionOp op, int64_t qTile, int64_t packedHeads, const Chip &chip) {
  auto query = cast<RankedTensorType>(op.getQuery().getType());
  std::optional<int64_t> queries = numQueries(op), keys = numTokens(op, op.getValue());
  if (!query.hasStaticShape() || !queries || !keys)
    return 1;
  int64_t positions = std::max<int64_t>(ScheduleAttr::rowsOfHead(qTile, packedHeads), 1);
  int64_t numTiles = query.getDimSize(0) * *numSequences(op) *
                     (query.getDimSize(1) / packedHeads) * llvm::divideCeil(*queries, positions);
  if (numTiles == 0)
    return 1;
  // What a query tile sees.
  int64_t numKeys = *keys;
  MaskAttr mask = op.getMaskOrNone();
  if (mask.leftBound() && mask.rightBound())
    numKeys = std::min(numKeys, *mask.leftBound() + *mask.rightBound() + positions);
  int64_t shares = chip.multiprocessors, leastKeys = leastKeysOfSplit;
  if (*numSequences(op) > 1 && *queries <= positions) {
    shares *= sharesOfUnevenKeys;
    leastKeys = std::max(leastKeys, leastKeysOfRow * *queries * packedHeads);
  }
  int64_t most = std::clamp<int64_t>(numKeys / leastKeys, 1, ScheduleAttr::maxSplits);
  return std::clamp<int64_t>(shares / numTiles, 1, most);
}

/// The most query heads of a group that a query tile of `tilesFor(heads)` has room for, with all of
/// their queries: each key is read once for all of them. 1 where sizes are not known.
static int64_t choosePackedHeads(AttentionOp op, function_ref<GpuTiles(int64_t)> tilesFor) {
  std::optional<int64_t> queries = numQueries(op);
  if (!queries)
    return 1;
  auto query = cast<RankedTensorType>(op.getQuery().getType());
  int64_t group = query.getDimSize(1) / op.getValue().getType().getDimSize(1);
  for (int64_t heads = std::min<int64_t>(group, ScheduleAttr::maxPackedHeads); heads > 1; --heads)
    if (group % heads == 0 && tilesFor(heads).haveRoomFor(*queries, heads))
      return heads;
  return 1;
}

/// Whether a thread has registers for its part of the queries beside accumulator, scores and
/// probabilities.
static bool fitInRegisters(AttentionOp op, const GpuTiles &tiles, ScheduleAttr given) {
  int64_t kTile = given ? given.getKTile().value_or(tiles.kTile) : tiles.kTile;
  int64_t features = cast<RankedTensorType>(op.getQuery().getType()).getDimSize(3);
  int64_t columns = op.getValue().getType().getDimSize(3);
  return tiles.consumers <= 2 && columns / 2 + kTile / 2 + kTile / 4 + features / 4 <= 192;
}

ScheduleAttr sfa::chooseSchedule(AttentionOp op, const Chip &chip) {
  auto given = op.getScheduleAttr();
  Softmax softmax = chooseSoftmax(op, chip);
  if (given)
    softmax = given.getSoftmax().value_or(softmax);
  auto chooseTiles = [&](bool isSplit, int64_t packedHeads) {
    GpuTiles tiles = chooseGpuTiles(op, softmax, isSplit, packedHeads, chip);
    // A consumer has 64 rows; who gives one of the two leaves the other to follow.
    if (given && given.getQTile() && !given.getConsumers())
      tiles.consumers = std::clamp<int64_t>(*given.getQTile() / 64, 1, 3);
    if (given && given.getConsumers() && !given.getQTile())
      tiles.qTile = 64 * *given.getConsumers();
    if (given && given.getQTile())
      tiles.qTile = *given.getQTile();
    if (given && given.getConsumers())
      tiles.consumers = *given.getConsumers();
    bool isFree = !given || (!given.getQTile() && !given.getConsumers());
    // Tiles of keys that are given may leave no room for more queries: nobody but who gives them
    // knows.
    if (given && !given.getPackedHeads() && (given.getKTile() || given.getStages()))
      isFree = false;
    if (isFree)
      tiles = makeRoomFor(op, packedHeads, tiles, chip);
    // Warps of 16 rows have registers for longer tiles of keys.
    if (!chip.hasWarpgroups && widthOf(op) <= 128 && tiles.qTile == 64 && tiles.consumers == 1)
      tiles.kTile = std::max<int64_t>(tiles.kTile, widthOf(op) <= 64 ? 128 : 64);
    return tiles;
  };
  int64_t packedHeads = given ? given.getPackedHeads().value_or(0) : 0;
  if (packedHeads == 0)
    packedHeads =
        choosePackedHeads(op, [&](int64_t heads) { return chooseTiles(/*isSplit=*/false, heads); });
  GpuTiles tiles = chooseTiles(/*isSplit=*/false, packedHeads);
  int64_t splits = given ? given.getSplits().value_or(0) : 0;
  if (splits == 0)
    splits = chooseSplits(op, tiles.qTile, packedHeads, chip);
  if (splits > 1)
    tiles = chooseTiles(/*isSplit=*/true, packedHeads);
  std::optional<int64_t> lookahead;
  std::optional<Turns> turns;
  std::optional<Queries> queries;
  std::optional<Grid> grid;
  if (chip.hasWarpgroups) {
    lookahead = given ? given.getLookahead().value_or(1) : 1;
    // Turns pay where products are short beside the softmax.
    bool isShort = widthOf(op) <= 64 || (softmax == Softmax::Online && widthOf(op) > 128);
    turns = tiles.consumers > 1 && *lookahead != 0 && isShort ? Turns::PingPong : Turns::Free;
    queries = fitInRegisters(op, tiles, given) ? Queries::Registers : Queries::Shared;
    // A block of its own for each tile lets the hardware balance sequences of any lengths; of
    // splits there are no more than multiprocessors.
    grid = op.hasSequences() || splits > 1 ? Grid::Tiles : Grid::Persistent;
  }
  auto chosen = ScheduleAttr::get(op.getContext(), Strategy::Dense, softmax, tiles.qTile,
                                  tiles.kTile, /*stages=*/2, tiles.consumers, lookahead, turns,
                                  queries, grid, splits > 1 ? std::optional(splits) : std::nullopt,
                                  packedHeads > 1 ? std::optional(packedHeads) : std::nullopt);
  return given ? given.orElse(chosen) : chosen;
}
