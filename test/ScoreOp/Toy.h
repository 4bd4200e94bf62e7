//===- Toy.h - A dialect with a score operation of its own ------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TEST_SCOREOP_TOY_H
#define TEST_SCOREOP_TOY_H

#include "dialects/GPU/GPU.h"

#include "test/ScoreOp/ToyOpsDialect.h.inc"

#define GET_OP_CLASSES
#include "test/ScoreOp/ToyOps.h.inc"

#endif // TEST_SCOREOP_TOY_H
