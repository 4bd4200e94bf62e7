//===- Tile.h - The sfa_tile dialect ----------------------------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_TILE_TILE_H
#define DIALECTS_TILE_TILE_H

#include "dialects/SFA/SFA.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/Tile/TileOpsDialect.h.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/Tile/TileOpsTypes.h.inc"

namespace sfa::tile {

class KeyLoopOp;

/// How many columns more than the values an accumulator may have: for the row sums of the
/// probabilities. Matrix units multiply by 8 columns at least.
inline constexpr int64_t sumColumns = 8;

/// The memories that the parameters of a kernel begin with, and the numbers behind them.
mlir::Block::BlockArgListType takeMemories(mlir::Block::BlockArgListType parameters);
mlir::Block::BlockArgListType dropMemories(mlir::Block::BlockArgListType parameters);

/// The five stages of a loop over key tiles in the assembly format.
mlir::ParseResult parseStages(mlir::OpAsmParser &parser, mlir::Region &load, mlir::Region &score,
                              mlir::Region &mask, mlir::Region &softmax, mlir::Region &accumulate);
void printStages(mlir::OpAsmPrinter &printer, KeyLoopOp loop, mlir::Region &load,
                 mlir::Region &score, mlir::Region &mask, mlir::Region &softmax,
                 mlir::Region &accumulate);

} // namespace sfa::tile

#include "dialects/Tile/TileInterfaces.h.inc"

#define GET_OP_CLASSES
#include "dialects/Tile/TileOps.h.inc"

#endif // DIALECTS_TILE_TILE_H
