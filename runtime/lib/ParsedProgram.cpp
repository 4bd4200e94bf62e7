//===- ParsedProgram.cpp - A compiled program in memory -------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ParsedProgram.h"

#include <fmt/format.h>

using namespace sfa::runtime::impl;

const char *sfa::runtime::impl::typeName(int32_t dtype) {
  switch (dtype) {
  case SFA_DTYPE_F16:
    return "f16";
  case SFA_DTYPE_BF16:
    return "bf16";
  case SFA_DTYPE_F32:
    return "f32";
  case SFA_DTYPE_I8:
    return "i8";
  case SFA_DTYPE_U8:
    return "u8";
  case SFA_DTYPE_U16:
    return "u16";
  case SFA_DTYPE_I32:
    return "i32";
  case SFA_DTYPE_I64:
    return "i64";
  case SFA_DTYPE_F64:
    return "f64";
  }
  return "no type";
}

int64_t sfa::runtime::impl::typeBytes(int32_t dtype) {
  switch (dtype) {
  case SFA_DTYPE_I8:
  case SFA_DTYPE_U8:
    return 1;
  case SFA_DTYPE_F16:
  case SFA_DTYPE_BF16:
  case SFA_DTYPE_U16:
    return 2;
  case SFA_DTYPE_F32:
  case SFA_DTYPE_I32:
    return 4;
  default:
    return 8;
  }
}

std::string sfa::runtime::impl::toString(const BufferType &type) {
  std::string text = fmt::format("{}, shape [", typeName(type.dtype));
  for (int32_t axis = 0; axis < type.rank; ++axis) {
    if (axis)
      text += ", ";
    const Expression &size = type.shape[axis];
    text += size.kind == Expression::Fixed ? fmt::format("{}", size.value) : "?";
  }
  return text + "]";
}

std::string sfa::runtime::impl::toString(const int64_t *shape, int32_t rank) {
  return fmt::format("[{}]", fmt::join(shape, shape + rank, ", "));
}

std::string Architecture::name() const {
  return fmt::format("sm_{}{}{}", major, minor, isExact ? "a" : "");
}

const BufferType &ParsedProgram::buffer(size_t index) const {
  if (index < arguments.size())
    return arguments[index];
  index -= arguments.size();
  return index < results.size() ? results[index] : temporaries[index - results.size()];
}

void sfa::runtime::impl::replaceImage(ParsedProgram &program, Architecture architecture,
                                      Image image) {
  program.architecture = architecture;
  program.chipName = architecture.name();
  program.image = std::move(image);
}
