//===- ScalarProgram.h - Programs for each row or element -------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_TILE_SCALARPROGRAM_H
#define DIALECTS_TILE_SCALARPROGRAM_H

#include "mlir/IR/Operation.h"

namespace sfa::tile {

/// Diagnoses an operation in `body`, the region of `op`, that is not one on numbers of a row or of
/// an element: allowed are those of `arith` and some of `math`, on f32 and i1.
mlir::LogicalResult verifyScalarProgram(mlir::Operation *op, mlir::Block &body);

} // namespace sfa::tile

#endif // DIALECTS_TILE_SCALARPROGRAM_H
