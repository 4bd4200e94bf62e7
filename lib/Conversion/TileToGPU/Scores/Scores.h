//===- Scores.h - How operations of tile programs form scores on a GPU -*- C++ -* -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_TILETOGPU_SCORES_SCORES_H
#define SFA_CONVERSION_TILETOGPU_SCORES_SCORES_H

#include "dialects/GPU/GPU.h"

namespace sfa::simt {

/// Attach the interface to the operation of one strategy.
void registerDense(mlir::MLIRContext &context);
void registerGather(mlir::MLIRContext &context);
void registerScatter(mlir::MLIRContext &context);
void registerSparseMma(mlir::MLIRContext &context);

/// Lets the score operations of the sfa_tile dialect say what they are on a GPU: one file of this
/// folder for each strategy.
void registerScores(mlir::DialectRegistry &registry);

} // namespace sfa::simt

#endif // SFA_CONVERSION_TILETOGPU_SCORES_SCORES_H
