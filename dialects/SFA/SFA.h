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

/// The two tensors that hold a tensor of codes [b, h, n, d]: values [b, h, n, min(k, d)] and
/// unsigned indices of the same shape.
struct PhysicalCodes {
  mlir::RankedTensorType values;
  mlir::RankedTensorType indices;
};
PhysicalCodes getPhysicalCodes(mlir::RankedTensorType codes);

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
