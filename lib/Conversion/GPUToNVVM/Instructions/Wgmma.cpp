//===- Wgmma.cpp - Instructions of the matrix unit of a warpgroup ------------- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Wgmma.h"

#include <fmt/format.h>
#include <string>

using namespace mlir;
using namespace sfa::simt;

//===----------------------------------------------------------------------===//
// Descriptors (PTX ISA, "Matrix-Descriptor Format")
//===----------------------------------------------------------------------===//

/// In the high half: the swizzle, and the distance of two groups of 8 rows in units of 16 bytes.
static constexpr int64_t swizzle128 = int64_t(1) << 30;
static constexpr int64_t highHalf = swizzle128 | 8 * SharedTile::rowBytes / 16;

/// The low half of a descriptor: where it starts, in units of 16 bytes, and its leading dimension.
static Value describe(Emitter &emit, Value pointer, int64_t leadingDimension) {
  Value address = emit.make<LLVM::PtrToIntOp>(emit.getI32Type(), pointer);
  return emit.bitOr(emit.shiftRight(emit.bitAnd(address, 0x3FFFF), 4),
                    emit.i32(leadingDimension << 16));
}

Value sfa::simt::describeRows(Emitter &emit, const SharedTile &tile, Value firstRow) {
  Value pointer = tile.base;
  if (firstRow)
    pointer = emit.offset(pointer, emit.mul(firstRow, SharedTile::rowBytes), emit.getI8Type());
  // The leading dimension is not used by swizzled rows.
  return describe(emit, pointer, 1);
}

Value sfa::simt::describeColumns(Emitter &emit, const SharedTile &tile) {
  return describe(emit, tile.base, tile.panelBytes() / 16);
}

Value sfa::simt::advance(Emitter &emit, Value descriptor, int64_t bytes) {
  return emit.add(descriptor, bytes / 16);
}

/// Both halves of a descriptor.
static Value completeDescriptor(Emitter &emit, Value low) {
  return emit.bitOr(emit.make<arith::ExtUIOp>(emit.getI64Type(), low), emit.i64(highHalf << 32));
}

//===----------------------------------------------------------------------===//
// Instructions
//===----------------------------------------------------------------------===//

/// Inline assembly whose results, f32 or i32, take the place of its first operands, `tied`.
static void emitTied(Emitter &emit, const std::string &text, MutableArrayRef<Value> tied,
                     ArrayRef<Value> others, const std::string &otherConstraints) {
  std::string constraints;
  for (Value value : tied)
    constraints += value.getType().isF32() ? "=f," : "=r,";
  for (size_t i = 0; i < tied.size(); ++i)
    constraints += fmt::format("{}{}", i, i + 1 < tied.size() ? "," : "");
  constraints += otherConstraints;
  Emitter::Values operands(tied.begin(), tied.end());
  llvm::append_range(operands, others);
  Type result = tied.front().getType();
  if (tied.size() > 1)
    result = LLVM::LLVMStructType::getLiteral(emit.getContext(),
                                              SmallVector<Type>(ValueRange(tied).getTypes()));
  auto assembly = emit.make<LLVM::InlineAsmOp>(
      result, operands, text, constraints, /*has_side_effects=*/true, /*is_align_stack=*/false,
      LLVM::TailCallKind::None,
      LLVM::AsmDialectAttr::get(emit.getContext(), LLVM::AsmDialect::AD_ATT), ArrayAttr());
  if (tied.size() == 1) {
    tied.front() = assembly.getResult(0);
    return;
  }
  for (auto [i, value] : llvm::enumerate(tied))
    value = emit.make<LLVM::ExtractValueOp>(assembly.getResult(0), static_cast<int64_t>(i));
}

/// "{$first,...,$(first + count - 1)}"
static std::string registerList(size_t first, size_t count) {
  std::string list = "{";
  for (size_t i = 0; i < count; ++i)
    list += fmt::format("{}${}", i ? "," : "", first + i);
  return list + "}";
}

void sfa::simt::emitWgmma(Emitter &emit, MutableArrayRef<Value> acc, ArrayRef<Value> left,
                          Value right, Type element, bool accumulates, bool rightIsTransposed) {
  bool isInRegisters = left.size() == 4;
  size_t next = 2 * acc.size();
  std::string leftText = isInRegisters ? registerList(next, 4) : fmt::format("${}", next);
  // Integers have no signs of factors and no transposition.
  std::string kind = "k32.s32.s8.s8", rest;
  if (!element.isInteger(8)) {
    std::string type = element.isBF16() ? "bf16" : "f16";
    kind = fmt::format("k16.f32.{}.{}", type, type);
    rest = fmt::format(", 1, 1{}, {}", isInRegisters ? "" : ", 0", rightIsTransposed ? 1 : 0);
  }
  std::string text = fmt::format(
      "{{ .reg .pred p; setp.ne.b32 p, {}, 0; wgmma.mma_async.sync.aligned.m64n{}{} {}, {}, ${}, "
      "p{}; }}",
      accumulates ? 1 : 0, 2 * acc.size(), kind, registerList(0, acc.size()), leftText,
      next + left.size(), rest);
  Emitter::Values others(left);
  if (!isInRegisters)
    others.front() = completeDescriptor(emit, others.front());
  others.push_back(completeDescriptor(emit, right));
  emitTied(emit, text, acc, others, isInRegisters ? ",r,r,r,r,l" : ",l,l");
}

void sfa::simt::emitSparseWgmma(Emitter &emit, MutableArrayRef<Value> acc, ArrayRef<Value> left,
                                Value places, int64_t selector, Value right, Type element,
                                bool accumulates, Value condition) {
  bool isInRegisters = left.size() == 4;
  size_t next = 2 * acc.size();
  std::string leftText = isInRegisters ? registerList(next, 4) : fmt::format("${}", next);
  next += left.size();
  std::string type = element.isBF16() ? "bf16" : "f16";
  // A branch with a fence of its own: the assembler makes all products wait for each other where it
  // has to put one behind a predicate.
  std::string when = condition ? fmt::format("setp.ne.b32 q, ${}, 0; @!q bra.uni behind; "
                                             "wgmma.fence.sync.aligned; ",
                                             next + 2)
                               : std::string();
  std::string text = fmt::format(
      "{{ .reg .pred p, q; setp.ne.b32 p, {}, 0; {}wgmma.mma_async.sp.sync.aligned.m64n{}k32.f32."
      "{}.{} {}, {}, ${}, ${}, {}, p, 1, 1{}, 0; {}}}",
      accumulates ? 1 : 0, when, 2 * acc.size(), type, type, registerList(0, acc.size()), leftText,
      next, next + 1, selector, isInRegisters ? "" : ", 0", condition ? "behind: " : "");
  Emitter::Values others(left);
  if (!isInRegisters)
    others.front() = completeDescriptor(emit, others.front());
  others.append({completeDescriptor(emit, right), places});
  std::string constraints = isInRegisters ? ",r,r,r,r,l,r" : ",l,l,r";
  if (condition) {
    others.push_back(condition);
    constraints += ",r";
  }
  emitTied(emit, text, acc, others, constraints);
}

void sfa::simt::pin(Emitter &emit, MutableArrayRef<Value> registers) {
  emitTied(emit, "// operands", registers, {}, "");
}

void sfa::simt::emitWgmmaFence(Emitter &emit) { emit.make<NVVM::WgmmaFenceAlignedOp>(); }

void sfa::simt::emitWgmmaCommit(Emitter &emit) { emit.make<NVVM::WgmmaGroupSyncAlignedOp>(); }

void sfa::simt::emitWgmmaWait(Emitter &emit, unsigned pending, MutableArrayRef<Value> acc) {
  emitTied(emit, fmt::format("wgmma.wait_group.sync.aligned {};", pending), acc, {}, "");
}

void sfa::simt::keepUntilHere(Emitter &emit, ArrayRef<Value> registers, Value always,
                              Value anywhere) {
  // One branch for all, and an address for each: the last store to an address would be the only
  // one.
  std::string text = "{ @$0 bra.uni kept;", constraints = "b,r";
  Emitter::Values operands{always, anywhere};
  for (size_t i = 0; i < registers.size(); i += 4)
    text += fmt::format(" st.shared.v4.b32 [$1+{}], {};", 4 * i, registerList(2 + i, 4));
  for (Value value : registers) {
    operands.push_back(value);
    constraints += ",r";
  }
  emit.make<LLVM::InlineAsmOp>(
      TypeRange(), operands, text + " kept: }", constraints,
      /*has_side_effects=*/true, /*is_align_stack=*/false, LLVM::TailCallKind::None,
      LLVM::AsmDialectAttr::get(emit.getContext(), LLVM::AsmDialect::AD_ATT), ArrayAttr());
}
