//===- SFA.h - The sfa dialect ----------------------------------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_SFA_SFA_H
#define DIALECTS_SFA_SFA_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/TensorEncoding.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/SFA/Schedule.h"

#include "dialects/SFA/SFAOpsDialect.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/SFA/SFAOpsAttrs.h.inc"

namespace sfa {

/// The encoding of a tensor of codes; null for any other type.
CodesAttr getCodes(mlir::Type type);

/// Which numbers of a tensor of 8-bit integers, codes or dense rows, share a scale; nothing for any
/// other type.
std::optional<Scales> getScales(mlir::Type type);
/// Tokens that share a scale of 8-bit integers with scales = tile.
inline constexpr int64_t tokensOfScale = 128;
/// How many tokens, from a multiple of that number on, share a scale; nothing where all of a head
/// do.
std::optional<int64_t> getTokensOfScale(Scales scales);

/// What codes of type `codes` are written out as: dense rows, of 8-bit integers where their values
/// are.
mlir::RankedTensorType getWrittenOut(mlir::RankedTensorType codes);

/// The encoding of tiles of keys, feature by feature; null for any other type.
FeatureMajorAttr getFeatureMajor(mlir::Type type);
/// The encoding of tiles of keys as posting lists; null for any other type.
PostingsAttr getPostings(mlir::Type type);
/// How many tokens a tile has of a tensor of tiles of keys, of either form; nothing for any other
/// type.
std::optional<int64_t> getKeyTile(mlir::Type type);

/// Whether several tensors hold a value of type `type`.
bool isPhysicallySeveral(mlir::Type type);
/// The tensors that hold a tensor [b, h, n, d]: itself where it is dense; of codes the values [b,
/// h, n, min(k, d)] and the unsigned indices of the same shape; of 8-bit dense rows those. Behind
/// them the scales of 8-bit integers (`#sfa.codes`). Of tiles of keys what `#sfa.feature_major` and
/// `#sfa.postings` say.
llvm::SmallVector<mlir::RankedTensorType> getPhysicalTensors(mlir::RankedTensorType tensor);
/// How many these are.
unsigned getNumPhysical(mlir::Type type);

/// Why attention over `features` features cannot use `strategy`, and what to do about it; empty
/// when it can.
std::string whyNot(Strategy strategy, bool queryIsCodes, bool keyIsCodes, int64_t features);

/// The parameters of `schedule`, which may be null, each with a value: that of ResolvedSchedule
/// where it gives none.
ResolvedSchedule resolve(ScheduleAttr schedule);

} // namespace sfa

#define GET_OP_CLASSES
#include "dialects/SFA/SFAOps.h.inc"

#endif // DIALECTS_SFA_SFA_H
