//===- SplitRange.h - The shares of the keys of a sequence ------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_SEQUENCETILE_SPLITRANGE_H
#define SFA_CONVERSION_SEQUENCETILE_SPLITRANGE_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace sfa::tile {

/// Where a share begins and how many keys it has; the numbers have the type of the length.
struct SplitRange {
  mlir::Value first, count;
};

/// Share `split` of a sequence of `length` keys, not negative; see `sfa_tile.split_range`. Both are
/// of the same type, index or an integer. Shares of long sequences have `leastBlocks` blocks at least.
SplitRange emitSplitRange(mlir::ImplicitLocOpBuilder &builder, mlir::Value length,
                          mlir::Value split, int64_t leastBlocks);
/// How many shares the sequence has; behind the last one there may be some that `emitSplitRange`
/// finds empty, but they are less than eight.
mlir::Value emitSplitCount(mlir::ImplicitLocOpBuilder &builder, mlir::Value length,
                           int64_t leastBlocks);

} // namespace sfa::tile

#endif // SFA_CONVERSION_SEQUENCETILE_SPLITRANGE_H
