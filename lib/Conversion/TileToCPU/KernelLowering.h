//===- KernelLowering.h - The lowering of one kernel: where its tiles live and how each operation
// computes -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_TILETOCPU_KERNELLOWERING_H
#define SFA_CONVERSION_TILETOCPU_KERNELLOWERING_H

#include "Emitter.h"
#include "dialects/Tile/Tile.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/DenseSet.h"

namespace sfa::cpu {

/// A tile of rows and columns in scratch memory, f32: integers are exact there, and rows that have
/// factors are multiplied by them. Rows are padded to whole vectors, and by one
/// more vector so that the rows of a column block do not fall on few cache sets. Elements beyond
/// the columns are 0.
///
/// A key tile is feature-major: element (feature, key), so that a row of it is a vector of keys.
struct MatrixBuffer {
  mlir::Value memory;
  int64_t rows, columns;
};

/// Codes, wherever they are: rows [first, first + rows) of memories with leading indices, of which
/// the first `valid` exist. Nothing is copied but codes of several heads in one tile. Values that
/// share scales are multiplied by them when they are read.
struct CodesView {
  mlir::Value values, features;
  llvm::SmallVector<mlir::Value, 2> leading;
  mlir::Value first, valid;
  int64_t rows, k;
  mlir::Value scales = nullptr;
  Scales sharedBy = Scales::Token;
};

/// Posting lists of a key tile (CSC): the pairs (key, value) of feature f are [starts[f], starts[f
/// + 1]).
struct PostingsBuffer {
  mlir::Value starts, keys, values;
};

/// Pairs (value, feature) of rows in scratch memory: of the 2:4 part all d/2 of a row, of the
/// surplus `counts` of it.
struct PairsBuffer {
  mlir::Value values, features, counts;
  int64_t width;
};

/// Lowers one kernel to a function `(context, index, scratch)` of one point of its grid; the launch
/// passes a context that holds the memories' descriptors and the sizes of the grid.
class KernelLowering {
public:
  KernelLowering(tile::KernelOp kernel, unsigned lanes, const mlir::LLVMTypeConverter &types);

  /// Emits the function beside the kernel; the kernel stays. Fails with a diagnostic.
  mlir::FailureOr<mlir::func::FuncOp> run();

  /// What the launch has to pass as the context: the descriptors, then grid heads and grid tiles as
  /// i64.
  static mlir::LLVM::LLVMStructType getContextType(tile::KernelOp kernel,
                                                   const mlir::LLVMTypeConverter &types);

private:
  using Value = mlir::Value;
  using ValueRange = mlir::ValueRange;

  //===--- Kernel and control flow (KernelLowering.cpp, KeyLoop.cpp) --------===//

  /// Diagnoses tiles that loops over whole vectors and register tiles would overrun, and those of
  /// another form than rows.
  mlir::LogicalResult checkTiles();
  /// Finds the tiles that are read as keys.
  mlir::LogicalResult findKeyTiles();
  mlir::LogicalResult lower(mlir::Block &block);
  mlir::LogicalResult lower(mlir::Operation *op);
  mlir::LogicalResult lowerIf(mlir::scf::IfOp op);
  mlir::LogicalResult lowerRetry(tile::RetryOp op);
  mlir::LogicalResult lowerKeyLoop(tile::KeyLoopOp op);
  /// Gives what a stage of the key loop yields to an argument of a later stage.
  void passToStage(mlir::OpOperand &yielded, mlir::BlockArgument argument);

  /// Scratch memory that lives as long as the kernel.
  Value allocate(llvm::ArrayRef<int64_t> shape, mlir::Type element);
  /// A matrix with any offset, as a block of rows has.
  mlir::MemRefType getMatrixType(int64_t rows, int64_t columns);
  MatrixBuffer allocateMatrix(int64_t rows, int64_t columns);
  Value allocateRows(int64_t rows, mlir::Type element = nullptr);
  /// Of a row vector; flags are i32.
  Value allocateRows(tile::TileType tile);

  Value scalar(Value value) { return mapping.lookup(value); }
  MatrixBuffer matrix(Value tile) { return matrices.at(tile); }

  //===--- Pages of a cache (Append.cpp) ------------------------------------===//

  void lower(tile::AppendOp op);
  /// Copies a row; `from` and `to` are where it begins without the column.
  void copyRow(Value source, mlir::ArrayRef<Value> from, Value target, mlir::ArrayRef<Value> to);

  //===--- Sequences of several lengths (Sequences.cpp) ---------------------===//

  void lower(tile::SequenceTileOp op);
  void lower(tile::SplitRangeOp op);
  /// The keys of a sequence of a cache, at least 0 and at most `limit`.
  Value lengthOf(Value lengths, Value sequence, Value limit);
  /// What of splits of classes a row is (Combine.cpp).
  void combineClasses(tile::CombineOp op);

  //===--- Blocks of query rows (RowBlocks.cpp) ---------------------------===//
  // The stages of the key loop after `load` work on a block of query rows at a time: a large query
  // tile shares the work of `load`, and the scores of a block stay in cache. Tiles of the block
  // have as many rows as the block; of a tile from outside the loop it sees its rows. A block that
  // sees no key of the tile is skipped.

  struct RowBlock {
    tile::KeyLoopOp loop;
    Value start;
    int64_t rows;
  };
  /// The rows of a block of `loop`; those of the whole tile where its stages cannot be split.
  int64_t getBlockRows(tile::KeyLoopOp loop);
  /// Whether some row of the block sees some key of the tile at hand; null when always.
  Value seesTile(tile::KeyLoopOp loop, Value key);
  /// The rows that a tile of the program has in the block at hand.
  int64_t rowsOf(tile::TileType tile) { return block ? block->rows : tile.getRows(); }
  bool isOutsideBlock(Value value);
  MatrixBuffer blockOf(MatrixBuffer matrix);
  Value blockOf(Value rowVector);
  MatrixBuffer rowMatrix(Value tile);
  Value rowVector(Value tile);
  CodesView rowCodes(Value codes);
  PairsBuffer rowPairs(Value pairs);

  /// True when nothing reads `operand`'s value after its owner.
  static bool isLastUse(mlir::OpOperand &operand);
  /// The buffer of `operand` where its owner may overwrite it, else a new one, filled with a copy
  /// when `copy`.
  MatrixBuffer takeMatrix(mlir::OpOperand &operand, bool copy);
  void copyMatrix(MatrixBuffer from, MatrixBuffer to);
  void copyRows(Value from, Value to, int64_t rows);

  //===--- Moving data (LoadStore.cpp, TopK.cpp, Transpose.cpp) -------------===//

  void lower(tile::LoadOp op);
  /// Where a row of a sequence is in a memory of pages: the page and the row of it.
  using PagedRow = std::tuple<Value, Value>;
  PagedRow rowOfPages(Value memory, Value pages, Value sequence, Value row);
  /// How many of `rows` rows from `row` on the sequence has, of those before `limit`, a value of the
  /// kernel.
  Value validRowsOfPages(Value memory, Value row, int64_t rows, Value limit);
  void loadCodesOfPages(tile::LoadCodesOp op);
  void lower(tile::LoadCodesOp op);
  void lower(tile::LoadScalesOp op);
  void lower(tile::StoreOp op);
  void lower(tile::ProbeOp op);
  /// Rounds row `row` of a tile to `memory[batch, head, target]`.
  void storeRow(Value tile, Value row, Value memory, Value batch, Value head, Value target);
  void lower(tile::StoreCodesOp op);
  void lower(tile::FillOp op);
  void lower(tile::ExpandOp op);
  void lower(tile::TopkOp op);
  void fillMatrix(MatrixBuffer matrix, float value);
  /// Calls `body` for each of the `heads` heads, from `head` on, that a tile has `rows` rows of, with
  /// the first of these rows.
  void forEachHead(uint64_t heads, Value head, int64_t rows,
                   llvm::function_ref<void(Value head, Value firstRow)> body);
  /// How many of `rows` rows from `row` on the memory has, those before `limit` where it is given.
  Value validRows(Value memory, Value row, int64_t rows, Value limit = nullptr);
  /// `to[column][row] = from[row][column]`, both padded to whole vectors.
  void transpose(MatrixBuffer from, MatrixBuffer to);
  /// The rows of `codes`, and those of the heads after its own, of `heads` in all: a copy, which has
  /// `rows` rows.
  CodesView copyHeads(CodesView codes, int64_t heads, int64_t rows);
  /// Which of the scales that rows share by `sharedBy` is that of token `token`.
  Value placeOfScale(Scales sharedBy, Value token);
  /// Value `t` of a row, f32.
  Value codeValue(const CodesView &codes, Value row, Value t);
  Value codeFeature(const CodesView &codes, Value row, Value t);

  //===--- Integers of 8 bits (Quantize.cpp) --------------------------------===//

  /// Rows [lower, upper) that share a scale, and value `t` of one of them.
  struct SharingRows {
    Value lower, upper;
    int64_t k;
    llvm::function_ref<Value(Value row, Value t)> load;
  };
  struct Scale {
    Value scale, isFinite;
  };
  void lower(tile::QuantizeOp op);
  void lower(tile::QuantizeCodesOp op);
  void lower(tile::StoreScalesOp op);
  Scale findScale(const SharingRows &rows, Scales sharedBy);
  /// The bits of the largest magnitude; they order like the magnitudes, with NaNs above infinity.
  Value findLargestBits(const SharingRows &rows);
  /// The squared errors of the values of row `row` with a vector of scales, f64: squares of small
  /// f32 are f64, and so are products of scales and integers.
  Value findErrors(const SharingRows &rows, Value row, Value scales);
  /// The integer for `value`, f32; 0 where the scale is not finite.
  Value toInteger(Value value, const Scale &scale);
  /// The first one of the candidates for the scale of a token that has the least error; `errorsOf`
  /// gives those of a vector of scales, and `largest` is the largest magnitude of the token.
  Value searchScale(llvm::function_ref<Value(Value scales)> errorsOf, Value largest);
  void lower(tile::DequantizeOp op);

  //===--- Scores and products (SparseScores.cpp, MatrixProduct.cpp) --------===//

  void lower(tile::DotOp op);
  void lower(tile::GatherDotOp op);
  void lower(tile::PostingsOp op);
  void lower(tile::ScatterDotOp op);
  void lower(tile::SplitOp op);
  void lower(tile::TwoFourDotOp op);
  void lower(tile::AccumulateOp op);
  /// Whether the product with the values multiplies the accumulator by the factors of `op`.
  static bool isScaledByProduct(tile::ScaleRowsOp op);
  /// C = A B, register-tiled; or C += A B; or, with `factors`, C = diag(factors) C + A B.
  void matrixProduct(MatrixBuffer a, MatrixBuffer b, MatrixBuffer c, bool accumulate,
                     Value factors = nullptr);
  /// For every row: scores[row, :] = (or +=) the sum over t < countOf(row) of
  /// value(row, t) * keys[feature(row, t), :].
  void
  sparseScores(MatrixBuffer scores, MatrixBuffer keys, bool accumulate,
               llvm::function_ref<Value(Value row)> countOf,
               llvm::function_ref<std::pair<Value, Value>(Value row, Value t)> valueAndFeature);

  //===--- Splits of the keys (Combine.cpp) ---------------------------------===//

  void lower(tile::CombineOp op);

  //===--- Softmax (Softmax.cpp, Exp2.cpp) ----------------------------------===//

  void lower(tile::MaskOp op);
  /// The query of row `i`, among those of a tile of one or several heads.
  Value positionOf(tile::MaskOp op, Value i);
  /// The first and the last query of the rows at hand.
  std::pair<Value, Value> positionRange(tile::MaskOp op);
  /// The columns [lower, upper) of a tile that its query at `position` sees, not clamped.
  std::pair<Value, Value> visibleColumns(tile::MaskOp op, Value column, Value position);
  void lower(tile::ScaleOp op);
  void lower(tile::RowMaxOp op);
  void lower(tile::RowSumOp op);
  void lower(tile::Exp2Op op);
  void lower(tile::ScaleRowsOp op);
  void lower(tile::RowSumsOfOp op);
  void lower(tile::SplitSumsOp op);
  void lower(tile::NotFiniteOp op);
  void lower(tile::NormalizeOp op);
  void lower(tile::LseOp op);
  /// A row's reference; 0 for a row that has seen no key.
  Value finiteReference(Value reference);
  /// The sum of the vectors of a row.
  Value sumRow(MatrixBuffer tile, llvm::function_ref<Value(Value column)> vectorAt);
  /// 2^x of a vector.
  Value exp2(Value x);

  //===--- Row vectors (RowVectors.cpp) -------------------------------------===//

  void lower(tile::FmaOp op);
  void lower(tile::AddOp op);
  void lower(tile::MulOp op);
  void lower(tile::TotalOp op);
  void lower(tile::MapRowsOp op);
  void lower(tile::AnyOp op);
  void lower(tile::IsDueOp op);
  void lower(tile::FirstKeyOp op);
  void lowerRowSelect(mlir::arith::SelectOp op);
  /// A new row vector, element by element from `inputs`.
  Value mapRows(int64_t rows, llvm::ArrayRef<Value> inputs,
                llvm::function_ref<Value(llvm::ArrayRef<Value>)> element);
  /// A vector of flags as i1, and back as they are in memory.
  Value isSet(Value flags);
  Value toMemory(Value flags);

  tile::KernelOp kernel;
  const mlir::LLVMTypeConverter &types;
  Emitter emit;
  mlir::func::FuncOp function;
  Value scratch;
  int64_t scratchBytes = 0;
  /// Those that had been given out before the key loop.
  int64_t scratchBytesBeforeLoop = 0;

  mlir::IRMapping mapping; // values that are no tiles
  std::optional<RowBlock> block;
  llvm::DenseSet<Value> keyTiles;
  llvm::DenseMap<Value, MatrixBuffer> matrices;
  llvm::DenseMap<Value, Value> rowVectors;
  llvm::DenseMap<Value, CodesView> codes;
  llvm::DenseMap<Value, PostingsBuffer> postings;
  llvm::DenseMap<Value, PairsBuffer> pairs;
};

/// Replaces a bufferized launch of `kernel`, lowered to `body`, by a call of
/// `sfa_cpu_parallel_for`.
void lowerLaunch(tile::LaunchOp launch, tile::KernelOp kernel, mlir::func::FuncOp body,
                 const mlir::LLVMTypeConverter &types);

/// The attribute of a lowered kernel that says how much scratch memory one point of its grid needs,
/// in bytes.
inline constexpr llvm::StringLiteral scratchBytesAttrName = "sfa.scratch_bytes";

} // namespace sfa::cpu

#endif // SFA_CONVERSION_TILETOCPU_KERNELLOWERING_H
