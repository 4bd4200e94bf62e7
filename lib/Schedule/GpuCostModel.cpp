//===- GpuCostModel.cpp - The schedules of a GPU --------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Schedule/CostModel.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace sfa;

namespace {
/// The choice for one problem. Tiles depend on the softmax, on splits and on packed heads, and the
/// latter two on tiles, so they are chosen more than once.
class GpuChoice {
public:
  GpuChoice(const Problem &problem, const Device &device, const Schedule &given)
      : problem(problem), device(device), given(given), width(problem.width()),
        hasWindow(problem.leftBound.has_value()) {}

  ResolvedSchedule run();

private:
  /// Tiles of queries and keys, and consumers.
  struct Tiles {
    int64_t qTile, kTile, consumers;
  };

  Strategy chooseStrategy() const;
  Softmax chooseSoftmax() const;
  Tiles usualTiles(bool isSplit, int64_t packedHeads) const;
  Tiles tilesOfIntegers(bool isSplit) const;
  Tiles makeRoomFor(int64_t packedHeads, Tiles tiles) const;
  int64_t keysToGather(Tiles tiles) const;
  int64_t keysToScatter(Tiles tiles) const;
  bool codesFitInRegisters(const Tiles &tiles) const;
  Tiles chooseTiles(bool isSplit, int64_t packedHeads) const;
  /// A schedule with these tiles, to ask for what it takes.
  ResolvedSchedule withTiles(const Tiles &tiles) const;
  bool haveRoom(const Tiles &tiles, int64_t packedHeads, int64_t numQueries) const;
  /// What the keys of all query tiles become: shares that blocks of their own work on.
  struct Shares {
    int64_t splits = 1;
    /// Absent where nobody knows, or where there are more blocks than run at once anyway.
    std::optional<int64_t> keysOfSplit;
  };

  int64_t choosePackedHeads() const;
  Shares shareKeys(const Tiles &tiles, int64_t packedHeads) const;
  int64_t blocksOfMultiprocessor(const Tiles &tiles) const;
  bool fitInRegisters(const Tiles &tiles) const;

  const Problem &problem;
  const Device &device;
  const Schedule &given;
  int64_t width;
  bool hasWindow;
  Strategy strategy = Strategy::Dense;
  Softmax softmax = Softmax::Online;
};
} // namespace

/// The rows of the smallest tile.
static constexpr int64_t fewestRows = 64;

/// Sparse products take half as many steps, but read as much of the keys for each, so that they
/// leave less of shared memory to the softmax beside them: with 256 features, where products are
/// what bounds a kernel, codes took 3 to 6% less time than expanded ones on an H100; with 64 and
/// 128, 2 to 20% more.
Strategy GpuChoice::chooseStrategy() const {
  constexpr int64_t manyFeatures = 256;
  bool isFaster = device.hasWarpgroups && problem.queryCodes && !problem.keyScales &&
                  problem.features >= manyFeatures;
  return isFaster ? Strategy::SparseMma : Strategy::Dense;
}

/// Faster where values are bf16, whose exponents leave references room. With many features products
/// are what takes long, but those of 8-bit integers take half as long.
Softmax GpuChoice::chooseSoftmax() const {
  bool isFaster = !device.hasWarpgroups || width <= 128 || problem.keyScales;
  return problem.isBF16() && isFaster ? Softmax::Lazy : Softmax::Online;
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

/// Of 8-bit integers. Tiles whose keys share a scale leave more registers than others, and have the
/// keys of one scale, or half of them. Splits, windows and sequences have bounds to keep.
GpuChoice::Tiles GpuChoice::tilesOfIntegers(bool isSplit) const {
  bool eachHasOne = problem.keyScales == Scales::Token;
  bool shareScales = !eachHasOne && !problem.hasSequences;
  if (width <= 64) {
    if (eachHasOne && (isSplit || hasWindow))
      return {192, 64, 3};
    if (isSplit || !shareScales)
      return {192, hasWindow ? 80 : 96, 3};
    return {192, hasWindow && problem.hasLse ? 96 : 128, 3};
  }
  // What the accumulator of the values leaves.
  if (problem.valueFeatures <= 128) {
    if (!eachHasOne)
      return {128, 128, 2};
    return {128, problem.hasSequences ? 80 : 96, 2};
  }
  return {128, eachHasOne && problem.hasLse ? 32 : 64, 2};
}

GpuChoice::Tiles GpuChoice::usualTiles(bool isSplit, int64_t packedHeads) const {
  bool isLazy = softmax == Softmax::Lazy, hasLse = problem.hasLse || isSplit;
  if (device.hasWarpgroups) {
    if (problem.keyScales)
      return tilesOfIntegers(isSplit);
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
    return {128, isLazy || (problem.hasSequences && packedHeads > 1) ? 64 : 96, 1};
  if (width <= 128 && strategy == Strategy::Gather)
    return {64, FeatureMajorAttr::granule, 1}; // no shorter tiles of keys
  if (width <= 128) {
    if (!isLazy)
      return {128, 64, 1};
    if (!hasLse && !problem.hasSequences)
      return {128, 48, 1};
    return hasWindow && problem.hasSequences ? Tiles{64, 64, 1} : Tiles{128, 32, 1};
  }
  return {64, 32, 1};
}

ResolvedSchedule GpuChoice::withTiles(const Tiles &tiles) const {
  ResolvedSchedule schedule;
  schedule.strategy = strategy;
  schedule.softmax = softmax;
  schedule.qTile = tiles.qTile;
  schedule.kTile = given.kTile.value_or(tiles.kTile);
  schedule.consumers = tiles.consumers;
  schedule.stages = given.stages.value_or(schedule.stages);
  return schedule;
}

bool GpuChoice::haveRoom(const Tiles &tiles, int64_t packedHeads, int64_t numQueries) const {
  return haveRoomFor(withTiles(tiles), packedHeads, numQueries);
}

/// `tiles`, or others that suit the queries of `packedHeads` heads.
GpuChoice::Tiles GpuChoice::makeRoomFor(int64_t packedHeads, Tiles tiles) const {
  // Few queries: what bounds them is reading the keys, and the fewest rows leave most time for
  // that.
  Tiles few{fewestRows, tiles.kTile, 1};
  std::optional<int64_t> queries = problem.numQueries();
  if (queries && haveRoom(few, packedHeads, *queries))
    return few;
  // Warps of 16 rows, of which two consumers leave each thread as many registers as one.
  Tiles more{128, tiles.kTile, 2};
  // Twice the queries leave room in shared memory for shorter tiles of keys only.
  if (!device.hasWarpgroups && width > 128)
    more.kTile = 16;
  // Who packs heads and does not say how many queries there are has few. One head has room
  // anywhere.
  constexpr int64_t fewQueries = 16;
  // Rows beyond the queries take time, too, so the smaller of the two goes first where it is
  // enough.
  if (packedHeads > 1 && queries && more.qTile < tiles.qTile &&
      haveRoom(more, packedHeads, *queries))
    return more;
  for (int64_t needed : {packedHeads > 1 ? queries.value_or(fewQueries) : 1, int64_t(1)})
    for (Tiles candidate : {tiles, more})
      if (haveRoom(candidate, packedHeads, needed))
        return candidate;
  return tiles;
}

/// Feature-major tiles have multiples of 64 keys, whose scores a thread holds.
int64_t GpuChoice::keysToGather(Tiles tiles) const {
  constexpr int64_t granule = FeatureMajorAttr::granule;
  tiles.kTile = std::max(tiles.kTile / granule * granule, granule);
  auto fit = [&] {
    BlockResources resources = getBlockResources(problem, device, withTiles(tiles));
    return resources.tileRegisters + BlockResources::reservedRegisters <=
           resources.registersOfThread;
  };
  while (tiles.kTile > granule && !fit())
    tiles.kTile -= granule;
  return tiles.kTile;
}

/// Posting lists and the scores that are formed of them take more of shared memory than rows do.
int64_t GpuChoice::keysToScatter(Tiles tiles) const {
  constexpr int64_t granule = PostingsAttr::granule;
  auto fit = [&] {
    return PostingsAttr::allow(tiles.kTile, problem.features, *problem.keyCodes) &&
           getBlockResources(problem, device, withTiles(tiles)).sharedBytes <=
               device.maxSharedBytes;
  };
  while (tiles.kTile > granule && !fit())
    tiles.kTile -= granule;
  return tiles.kTile;
}

/// Whether a thread has registers for its codes to gather by, which take twice as many when they
/// are unpacked before the loop.
bool GpuChoice::codesFitInRegisters(const Tiles &tiles) const {
  constexpr int64_t fewCodes = 8, reserved = 40;
  ResolvedSchedule schedule = withTiles(tiles);
  schedule.queries = Queries::Registers;
  BlockResources resources = getBlockResources(problem, device, schedule);
  return *problem.queryCodes <= fewCodes &&
         resources.tileRegisters + reserved <= resources.registersOfThread;
}

GpuChoice::Tiles GpuChoice::chooseTiles(bool isSplit, int64_t packedHeads) const {
  Tiles tiles = usualTiles(isSplit, packedHeads);
  // A consumer has 64 rows; who gives one of the two leaves the other to follow.
  if (given.qTile && !given.consumers)
    tiles.consumers = std::clamp<int64_t>(*given.qTile / 64, 1, 3);
  if (given.consumers && !given.qTile)
    tiles.qTile = 64 * *given.consumers;
  if (given.qTile)
    tiles.qTile = *given.qTile;
  if (given.consumers)
    tiles.consumers = *given.consumers;
  bool isFree = !given.qTile && !given.consumers;
  // Tiles of keys that are given may leave no room for more queries: nobody but who gives them
  // knows.
  if (!given.packedHeads && (given.kTile || given.stages))
    isFree = false;
  if (isFree)
    tiles = makeRoomFor(packedHeads, tiles);
  // Warps of 16 rows have registers for longer tiles of keys.
  if (!device.hasWarpgroups && width <= 128 && tiles.qTile == 64 && tiles.consumers == 1)
    tiles.kTile = std::max<int64_t>(tiles.kTile, width <= 64 ? 128 : 64);
  if (strategy == Strategy::Gather)
    tiles.kTile = keysToGather(tiles);
  if (strategy == Strategy::Scatter)
    tiles.kTile = keysToScatter(tiles);
  return tiles;
}

//===----------------------------------------------------------------------===//
// Few queries
//===----------------------------------------------------------------------===//

/// With at least so many keys for each block, what a larger tile saves in reading keys is more than
/// what its rows cost: measured on an H100 with 64 to 256 features, where blocks of 64 rows were
/// faster up to 1125 keys and slower from 2048 on.
static constexpr int64_t manyKeysOfSplit = 1536;

/// Query heads of a group that share a tile with all of their queries, so that each key is read
/// once for all of them: the most that there is room for, but no more than there is in the fewest
/// rows where blocks have few keys anyway. 1 where sizes are not known.
int64_t GpuChoice::choosePackedHeads() const {
  std::optional<int64_t> queries = problem.numQueries();
  if (!queries)
    return 1;
  int64_t most = 1;
  for (int64_t heads : ScheduleSpace(problem, device).packedHeads()) {
    Tiles tiles = chooseTiles(/*isSplit=*/false, heads);
    if (!haveRoom(tiles, heads, *queries))
      continue;
    most = std::max(most, heads);
    if (tiles.qTile == fewestRows) {
      std::optional<int64_t> keys = shareKeys(tiles, heads).keysOfSplit;
      return keys && *keys < manyKeysOfSplit ? heads : most;
    }
  }
  return most;
}

/// A split with fewer keys, some two tiles, hardly gets going.
static constexpr int64_t leastKeysOfSplit = 256;

/// Where sequences have any number of keys and few queries, the longest would be the last to end:
/// shares of the keys for each multiprocessor, and the keys of one. What shares give, 8 bytes
/// written and read for a column, is to be little beside keys and values: so many keys to each row.
static constexpr int64_t sharesOfUnevenKeys = 32, leastUnevenKeys = 512, leastKeysOfRow = 16;

/// How many blocks of few rows run on a multiprocessor at once where warps copy for themselves:
/// while one waits for its keys, the other computes. Warpgroups that copy need no second block.
int64_t GpuChoice::blocksOfMultiprocessor(const Tiles &tiles) const {
  if (device.hasWarpgroups || tiles.qTile > fewestRows)
    return 1;
  // More than two were no faster.
  constexpr int64_t most = 2;
  int64_t bytes = getBlockResources(problem, device, withTiles(tiles)).sharedBytes;
  int64_t fitting = device.sharedBytesOfMultiprocessor / (bytes + Device::sharedBytesOfSystem);
  return std::clamp<int64_t>(fitting, 1, most);
}

/// Splits of the keys that give every multiprocessor work where query tiles alone would leave half
/// of them without, and the keys of a split; none where sizes are not known.
GpuChoice::Shares GpuChoice::shareKeys(const Tiles &tiles, int64_t packedHeads) const {
  std::optional<int64_t> queries = problem.numQueries(), keys = problem.numKeys();
  if (!problem.batch || !queries || !keys)
    return {};
  int64_t positions = std::max<int64_t>(ScheduleAttr::rowsOfHead(tiles.qTile, packedHeads), 1);
  int64_t numTiles = *problem.batch * *problem.numSequences * (problem.queryHeads / packedHeads) *
                     llvm::divideCeil(*queries, positions);
  // What a query tile sees.
  int64_t numKeys = *keys;
  if (problem.leftBound && problem.rightBound)
    numKeys = std::min(numKeys, *problem.leftBound + *problem.rightBound + positions);
  if (numTiles == 0)
    return {};
  int64_t shares = device.multiprocessors, leastKeys = leastKeysOfSplit;
  bool isUneven = *problem.numSequences > 1 && *queries <= positions;
  if (isUneven) {
    shares *= sharesOfUnevenKeys;
    leastKeys = std::max(leastUnevenKeys, leastKeysOfRow * *queries * packedHeads);
  } else {
    shares *= blocksOfMultiprocessor(tiles);
  }
  int64_t most = std::clamp<int64_t>(numKeys / leastKeys, 1, Schedule::maxSplits);
  int64_t splits = std::clamp<int64_t>(shares / numTiles, 1, most);
  // A program serves all sizes, so few of them are compiled while the number of keys grows. What
  // else is chosen by splits is the same for sizes that are known.
  auto rounded = static_cast<int64_t>(llvm::bit_floor<uint64_t>(splits));
  bool runAtOnce = !isUneven && numTiles * rounded <= shares;
  return {problem.sizesAreHints ? rounded : splits,
          runAtOnce ? std::optional<int64_t>(numKeys / rounded) : std::nullopt};
}

//===----------------------------------------------------------------------===//
// The whole schedule
//===----------------------------------------------------------------------===//

/// Whether a thread has registers for its part of the queries beside accumulator, scores and
/// probabilities.
bool GpuChoice::fitInRegisters(const Tiles &tiles) const {
  ResolvedSchedule schedule = withTiles(tiles);
  schedule.queries = Queries::Registers;
  // Operands that products under way read stay where they are, which takes twice the usual reserve.
  constexpr int64_t most = 192;
  return tiles.consumers <= 2 && getBlockResources(problem, device, schedule).tileRegisters <= most;
}

ResolvedSchedule GpuChoice::run() {
  strategy = given.strategy.value_or(chooseStrategy());
  softmax = given.softmax.value_or(chooseSoftmax());
  int64_t packedHeads = given.packedHeads ? *given.packedHeads : choosePackedHeads();
  Tiles tiles = chooseTiles(/*isSplit=*/false, packedHeads);
  int64_t splits = given.splits ? *given.splits : shareKeys(tiles, packedHeads).splits;
  if (splits > 1)
    tiles = chooseTiles(/*isSplit=*/true, packedHeads);

  ResolvedSchedule chosen;
  chosen.strategy = strategy;
  chosen.softmax = softmax;
  chosen.qTile = tiles.qTile;
  chosen.kTile = tiles.kTile;
  chosen.consumers = tiles.consumers;
  chosen.splits = splits;
  chosen.packedHeads = packedHeads;
  if (device.hasWarpgroups) {
    // Turns pay where products are short beside the softmax.
    bool isShort = width <= 64 || (softmax == Softmax::Online && width > 128);
    bool looksAhead = given.lookahead.value_or(chosen.lookahead) != 0;
    chosen.turns = tiles.consumers > 1 && looksAhead && isShort ? Turns::PingPong : Turns::Free;
    // Beside the surplus and the columns of sums of a lazy softmax there are too few.
    bool areScarce = strategy == Strategy::SparseMma && softmax == Softmax::Lazy;
    bool fit = strategy == Strategy::Gather ? codesFitInRegisters(tiles)
                                            : fitInRegisters(tiles) && !areScarce;
    // A loop over codes cannot index registers.
    fit &= strategy != Strategy::Scatter;
    chosen.queries = fit ? Queries::Registers : Queries::Shared;
    // A block of its own for each tile lets the hardware balance sequences of any lengths; of
    // splits there are no more than multiprocessors.
    chosen.grid = problem.hasSequences || splits > 1 ? Grid::Tiles : Grid::Persistent;
  }
  return ResolvedSchedule(given, chosen);
}

ResolvedSchedule sfa::chooseForGpu(const Problem &problem, const Device &device,
                                   const Schedule &given) {
  return GpuChoice(problem, device, given).run();
}
