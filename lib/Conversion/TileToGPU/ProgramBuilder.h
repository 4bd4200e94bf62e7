//===- ProgramBuilder.h - The program of a block from parts of a tile program -*- C++ -* -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_TILETOGPU_PROGRAMBUILDER_H
#define SFA_CONVERSION_TILETOGPU_PROGRAMBUILDER_H

#include "TileProgram.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace sfa::simt {

/// Builds the program of a block from parts of a tile program.
class ProgramBuilder : public mlir::ImplicitLocOpBuilder {
public:
  using Value = mlir::Value;
  using ValueRange = mlir::ValueRange;

  ProgramBuilder(TileProgram &program, mlir::OpBuilder &builder)
      : ImplicitLocOpBuilder(program.kernel.getLoc(), builder), program(program) {}

  template <class Op, class... Args>
  auto make(Args &&...args) {
    return Op::create(*this, std::forward<Args>(args)...);
  }
  Value i32(int64_t value) { return make<mlir::arith::ConstantIntOp>(getI32Type(), value); }
  Value toI32(Value index) { return make<mlir::arith::IndexCastOp>(getI32Type(), index); }
  Value toIndex(Value number) { return make<mlir::arith::IndexCastOp>(getIndexType(), number); }

  /// What values of the tile program are in this one: memories, numbers, tiles.
  mlir::IRMapping mapping;

  /// Starts the kernel, at the insertion point: memories are mapped, the builder is in its body.
  KernelOp startKernel(int64_t warps, int64_t firstConsumer);
  /// Maps the coordinates of the grid.
  void setPoint(ValueRange coordinates) {
    mapping.map(program.kernel.getCoordinates(), coordinates);
  }
  /// Clones operations but loads. Stores become those of fragments, by lane `lane`. With
  /// `onlyNumbers` operations on tiles are left out.
  void cloneOperations(llvm::ArrayRef<mlir::Operation *> operations, bool onlyNumbers, Value lane);
  /// The numbers that the stage `load` forms for the tile whose first key is `key`.
  void cloneStageNumbers(const TilePass &pass, Value key);
  /// In the stage `score`: starts to load the scales that `scores` takes of the keys of the tile at
  /// hand, and gives them.
  void startKeyScales(const TilePass &pass, tile::DequantizeOp scores);
  Value loadKeyScales(const TilePass &pass, tile::DequantizeOp scores);
  /// The rings of a pass's tiles in shared memory.
  RingOp makeRing(SharedType tile, int64_t stages, std::optional<int64_t> readers, bool ones);
  /// Shared memory in which codes of queries are taken apart.
  RingOp makeRoomFor(tile::SplitOp split);
  /// Takes codes of queries apart there, and returns what products read.
  llvm::SmallVector<Value> emitSplit(tile::SplitOp split, RingOp room);
  /// Shared memory for the codes of queries that the loop reads as they are; none where they are in
  /// registers.
  llvm::SmallVector<RingOp> makeRoomsForCodes(const TilePass &pass);
  /// Shared memory in which `pass`, and a second one, form scores; none where they need none.
  void makeRoomForScores(const TilePass &pass);
  /// Loads these codes, there.
  void emitCodes(const TilePass &pass, llvm::ArrayRef<RingOp> rooms);

  /// The stages of `pass` in `loop`. `residents` are the tiles of `pass.residents`, or operands in
  /// registers.
  void fillStages(const TilePass &pass, TileLoopOp loop, ValueRange residents, bool isAsynchronous);

  TileProgram &program;

private:
  void fillScore(const TilePass &pass, TileLoopOp loop, bool isAsynchronous);
  void fillTrim(const TilePass &pass, TileLoopOp loop);
  void fillAccumulate(const TilePass &pass, TileLoopOp loop, bool isAsynchronous);
  /// Clones the operations of `from` to the block of `to`, whose arguments are there.
  void cloneStage(mlir::Region &from, mlir::Region &to);
  mlir::Block *startStage(mlir::Region &stage, mlir::TypeRange arguments);
  RingOp makeRoom(SharedType shared);
  CodesType typeOfCodes(const TilePass &pass, tile::LoadCodesOp load);
  void cloneOperation(mlir::Operation *op);

  RingOp scoreRoom;
};

} // namespace sfa::simt

#endif // SFA_CONVERSION_TILETOGPU_PROGRAMBUILDER_H
