//===- KernelLowering.h - The lowering of one kernel to threads of a GPU -*- C++ -*- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_TILETONVVM_KERNELLOWERING_H
#define SFA_CONVERSION_TILETONVVM_KERNELLOWERING_H

#include "Fragments.h"
#include "dialects/Tile/Tile.h"
#include "mlir/IR/IRMapping.h"
#include "sfa/Target/Chip.h"
#include "llvm/ADT/DenseMap.h"

#include <memory>

namespace sfa::gpu {

class KernelLowering;

/// What differs between generations of GPUs: how tiles reach shared memory, how they are multiplied
/// and how the loop over key tiles is spread over warps.
class CodePath {
public:
  explicit CodePath(KernelLowering &kernel) : kernel(kernel) {}
  virtual ~CodePath();

  /// Threads of a block, and the first of them that computes.
  virtual int64_t numThreads(const Geometry &geometry) const = 0;
  virtual int64_t firstConsumer() const = 0;
  /// Diagnoses schedules that the path cannot honour.
  virtual mlir::LogicalResult check(const Geometry &geometry) const = 0;
  /// Lowers a kernel with this key loop: for the points of the grid that the block works on what is
  /// before the loop, the loop, and what is behind it in the warps that own its results.
  virtual mlir::LogicalResult lowerKernel(tile::KeyLoopOp loop) = 0;
  /// S = Q K^T. A path that has issued the product before waits for it.
  virtual Fragment dot(const SharedTile &query, const SharedTile &key) = 0;
  /// acc + P V; may be under way when the path waits for it itself.
  virtual Fragment accumulate(Fragment acc, const Fragment &probabilities,
                              const SharedTile &value) = 0;

protected:
  KernelLowering &kernel;
};

/// mma.sync and cp.async: sm_80 and everything since.
std::unique_ptr<CodePath> createWarpPath(KernelLowering &kernel);
/// wgmma and bulk tensor copies: sm_90a.
std::unique_ptr<CodePath> createWarpgroupPath(KernelLowering &kernel);

/// Of bulk tensor copies: the number of a memory, and the box, which is 64 columns wide.
struct TensorMapBox {
  unsigned memory;
  int64_t rows, heads;

  bool operator==(const TensorMapBox &other) const {
    return memory == other.memory && rows == other.rows && heads == other.heads;
  }
};

/// What a launch has to know of a kernel.
struct KernelResources {
  int64_t numThreads = 0, sharedBytes = 0;
  /// Whether a launch has as many blocks as there are multiprocessors, at most, and the kernel
  /// takes the extents of its grid.
  bool isPersistent = false;
  llvm::SmallVector<TensorMapBox> tensorMaps;
};

/// Lowers one kernel to a function of one thread, in the llvm, nvvm, arith and scf dialects.
class KernelLowering {
public:
  using Value = mlir::Value;
  using ValueRange = mlir::ValueRange;
  using Values = Emitter::Values;

  KernelLowering(tile::KernelOp kernel, const Chip &chip);

  /// Emits the function at the end of `module`; the kernel stays. Fails with a diagnostic.
  mlir::FailureOr<mlir::LLVM::LLVMFuncOp> run(mlir::Block *module);

  const KernelResources &getResources() const { return resources; }

  //===--- For code paths -------------------------------------------------===//

  tile::KernelOp kernel;
  const Chip &chip;
  Emitter emit;
  ResolvedSchedule schedule;
  Geometry geometry = {};
  /// Of value tiles; probabilities are rounded to it.
  mlir::Type valueType;
  /// What computes points again, and its key loop; null where the kernel has none.
  tile::RetryOp retry;
  tile::KeyLoopOp retryLoop();
  /// Whether a key loop of the kernel accumulates row sums: products with 1.
  bool hasSumColumns();
  /// Two numbers 1 of the type of the values.
  Value halfOfOnes();
  /// Of the block; the number of a warp among those that compute; lane, lane / 4 and lane % 4.
  Value thread, warp, lane, g, t;
  mlir::IRMapping mapping; // values that are no tiles
  llvm::DenseMap<Value, Fragment> fragments;
  llvm::DenseMap<Value, RowVector> rowVectors;
  llvm::DenseMap<Value, SharedTile> sharedTiles;
  /// Of flags of rows, where they are known together: whether one holds in the lane.
  llvm::DenseMap<Value, Value> someOfRows;

  Value scalar(Value value) { return mapping.lookup(value); }
  const Memory &memory(Value value) { return memories.find(value)->second; }
  /// Whose first row is `row` of `memory[batch, head]`.
  Value address(const Memory &memory, Value batch, Value head, Value row);

  /// How many rows from `row` on `memory` has, those before `limit` where it is not null; i64.
  Value rowsLeft(const Memory &memory, Value row, Value limit);
  /// The same for a load whose operands have been lowered.
  Value rowsLeft(tile::LoadOp load) {
    return rowsLeft(memory(load.getMemory()), scalar(load.getRow()), load.getLimit());
  }

  /// Of a tile whose rows are those of `heads` heads, P of each (ScheduleAttr::rowsOfHead): the
  /// number of a head and one of its P rows; i32. The head is null where there is one only.
  struct RowOfHead {
    Value head, row;
  };
  /// The place of the first row of the warp, which has rows of one head or of several whole heads.
  RowOfHead firstRowOfWarp(uint64_t heads);
  /// The place of the lane's row `number`.
  RowOfHead rowOfLane(size_t number, uint64_t heads);
  /// Whether a warp has rows of several of `heads` heads.
  bool sharesWarp(uint64_t heads) const;

  /// A piece of the block's shared memory, aligned to 1024 bytes.
  Value allocateShared(int64_t bytes);
  SharedTile allocateTile(int64_t rows, int64_t columns) {
    return {allocateShared(rows * columns * 2), rows, columns};
  }
  /// The parameter that holds the tensor map of boxes of `rows` rows of each of `heads` heads of
  /// `memory`.
  Value tensorMap(const Memory &memory, int64_t rows, int64_t heads = 1);

  //===--- Grid (Grid.cpp) --------------------------------------------------===//

  /// Whether a block works on several points of the grid.
  bool isPersistent() const { return resources.isPersistent; }
  /// Emits `body` for each point of the grid that the block works on, one after the other, with
  /// values that it carries along. `round` (i32) counts them.
  Values forEachPoint(ValueRange init,
                      llvm::function_ref<Values(Value round, ValueRange carried)> body);
  /// Forms what is known of the point of `round` from before the loop once more, so that nothing
  /// but the round has to be kept in registers meanwhile.
  void enterPointAgain(tile::KeyLoopOp loop, Value round);
  /// The operations before a key loop, of its kernel and then of `retry` where it is in there; and
  /// those behind it but for `retry`. For the point at hand.
  mlir::LogicalResult lowerBefore(tile::KeyLoopOp loop);
  mlir::LogicalResult lowerBehind(tile::KeyLoopOp loop);
  /// The operations before a key loop in its block.
  mlir::LogicalResult lowerUntil(tile::KeyLoopOp loop);

  mlir::LogicalResult lower(mlir::Block &block);
  /// What the key loop carries: the accumulator, and the registers of each further value. An i1 is
  /// that of a warp.
  struct State {
    Fragment acc;
    llvm::SmallVector<Values> further;
  };
  /// As a list of values, and back.
  static Values flatten(const State &state);
  static State unflatten(const State &shape, ValueRange values);
  State initialState(tile::KeyLoopOp loop);
  void finish(tile::KeyLoopOp loop, const State &state);
  //===--- Stages of the key loop, for one key tile -------------------------===//

  mlir::LogicalResult lowerScores(tile::KeyLoopOp loop, llvm::ArrayRef<SharedTile> keyTiles);
  /// What the softmax of a key tile leaves for the product with its values.
  struct Weights {
    Fragment probabilities;
    /// The registers of each of the extras.
    llvm::SmallVector<Values> extras;
  };
  /// Takes the scores of the key tile at `key`, and gives `state` the next one. `isFirst`: whether
  /// the tile is known to be the first one of the loop.
  mlir::FailureOr<Weights> lowerSoftmax(tile::KeyLoopOp loop, Value key, State &state,
                                        bool isFirst);
  /// `isFirstStage`: whether the value tile is in the first place of its ring, where it is due.
  mlir::LogicalResult lowerAccumulate(tile::KeyLoopOp loop, const Weights &weights,
                                      const SharedTile &valueTile, State &state,
                                      Value isFirstStage);
  /// The loads whose tiles the stage `load` yields, in order.
  mlir::FailureOr<llvm::SmallVector<tile::LoadOp>> stageLoads(tile::KeyLoopOp loop);
  /// The loads before the loop whose tiles its stages read: queries.
  llvm::SmallVector<tile::LoadOp> outerLoads(tile::KeyLoopOp loop);
  /// Lowers what the stage `load` computes besides loading, for the key tile at `key`.
  mlir::LogicalResult lowerStageScalars(tile::KeyLoopOp loop, Value key);

  /// What a matrix unit takes as its left operand: 16 columns of probabilities from 16 `step` on,
  /// of block `repeat` of rows.
  std::array<Value, 4> packLeft(const Fragment &fragment, int64_t repeat, int64_t step);

private:
  //===--- Kernel and control flow (KernelLowering.cpp) ---------------------===//

  mlir::LogicalResult chooseGeometry();
  /// Diagnoses a `retry` whose tiles are not those of the key loop.
  mlir::LogicalResult checkRetry();
  /// Of the kernel without parameters for memories: those of the grid, and tensor maps.
  unsigned numScalars() const {
    return static_cast<unsigned>(5 * memories.size() + extents.size());
  }
  /// Diagnoses tiles of several heads that do not give each warp rows of one head.
  mlir::LogicalResult checkHeads();
  void createFunction(mlir::Block *module);
  mlir::LogicalResult lower(mlir::Operation *op);
  mlir::LogicalResult lowerIf(mlir::scf::IfOp op);
  /// Where the point at hand is in the grid; i32.
  void setPoint(Value batch, Value head, Value tile);
  /// Of heads of all batches.
  void setPoint(Value tile, Value head);
  /// Sets g and t of lane `number`.
  void placeLane(Value number);
  /// The point of a block that works on one.
  void enterOwnPoint(bool isAgain);
  struct Point {
    Value tile, head, exists;
  };
  /// Of a persistent grid the block's point of `round`: heads are those of all batches.
  Point pointOf(Value round);
  Value numRounds();
  /// Of a persistent grid whose points differ: decides how many heads are worked on at once.
  void chooseGroup();
  /// Whether tiles of queries differ in the keys that they see.
  bool pointsDiffer();
  /// From the scores that the stage `score` yields to those that the stage `softmax` gets.
  mlir::LogicalResult lowerMask(tile::KeyLoopOp loop);
  /// The registers of a tile or a scalar, one after the other.
  Values registersOf(Value value);
  void setRegisters(Value value, ValueRange registers);
  void setRegisters(llvm::ArrayRef<mlir::BlockArgument> values,
                    llvm::ArrayRef<Values> registers) {
    for (auto [value, list] : llvm::zip_equal(values, registers))
      setRegisters(value, list);
  }

  //===--- Softmax (Softmax.cpp) --------------------------------------------===//

  void lower(tile::FillOp op);
  void lower(tile::MaskOp op);
  void lower(tile::ScaleOp op);
  void lower(tile::RowMaxOp op);
  void lower(tile::RowSumOp op);
  void lower(tile::Exp2Op op);
  void lower(tile::ScaleRowsOp op);
  void lower(tile::NormalizeOp op);
  void lower(tile::LseOp op);
  void lower(tile::RowSumsOfOp op);
  void lower(tile::SplitSumsOp op);
  void lower(tile::NotFiniteOp op);

  //===--- Row vectors (RowVectors.cpp) -------------------------------------===//

  void lower(tile::FmaOp op);
  void lower(tile::AddOp op);
  void lower(tile::MulOp op);
  void lower(tile::TotalOp op);
  void lower(tile::MapRowsOp op);
  void lower(tile::AnyOp op);
  void lower(tile::IsDueOp op) { mapping.map(op.getResult(), isDue); }
  void lower(mlir::arith::SelectOp op);
  /// The numbers of rows, the same in all lanes of a row.
  Values rowsOf(Value rows);
  /// An operation of the program of a row.
  void lowerOfRow(mlir::Operation &op);
  /// The same combination of the numbers of each row.
  void combine(Value result, llvm::ArrayRef<Values> vectors,
               llvm::function_ref<Value(llvm::ArrayRef<Value>)> body);

  //===--- Sequences of several lengths (Sequences.cpp) ---------------------===//

  void lower(tile::SequenceTileOp op);

  //===--- Products (the code path), epilogue (Epilogue.cpp) ----------------===//

  void lower(tile::DotOp op);
  void lower(tile::AccumulateOp op);
  mlir::LogicalResult lower(tile::LoadOp op);
  void lower(tile::StoreOp op);

  std::unique_ptr<CodePath> path;
  mlir::LLVM::LLVMFuncOp function;
  mlir::LLVM::GlobalOp sharedMemory;
  llvm::DenseMap<Value, Memory> memories;
  tile::KeyLoopOp keyLoop;
  /// Of a persistent grid: tiles, heads and batches; i32.
  Values extents;
  /// Of one whose points differ: where in shared memory the number of heads that are worked on at
  /// once and the number of those of the tail are, i32. They are there for all after the first
  /// barrier of the block.
  Value groupPlace;
  /// For the value tile at hand: what `sfa_tile.is_due` says.
  Value isDue;
  KernelResources resources;
};

/// Makes the rows of `tile` from `numRows` (i64) on 0, for one warpgroup before its product with
/// the tile that a bulk tensor copy brought (Sequences.cpp); its threads meet at the named barrier
/// `barrier` (i32). Warpgroups may do so at once.
void clearRows(Emitter &emit, const SharedTile &tile, mlir::Value numRows, mlir::Value thread,
               mlir::Value barrier);

/// Lowers the body of a kernel without a key loop: rows that come from memory, change their form
/// and go to memory (RowKernel.cpp).
mlir::LogicalResult lowerRowKernel(KernelLowering &lowering);
/// The same of one that selects the k features of largest magnitude (TopK.cpp).
mlir::LogicalResult lowerTopkKernel(KernelLowering &lowering);
/// The same of one that combines what the splits of the keys gave (Combine.cpp).
mlir::LogicalResult lowerCombineKernel(KernelLowering &lowering);
/// Threads of a block of such kernels.
inline constexpr int64_t rowKernelThreads = 128;

} // namespace sfa::gpu

#endif // SFA_CONVERSION_TILETONVVM_KERNELLOWERING_H
