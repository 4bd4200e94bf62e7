//===- Bindings.h - The tensors of a launch, checked ------------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_RUNTIME_LIB_BINDINGS_H
#define SFA_RUNTIME_LIB_BINDINGS_H

#include "ParsedProgram.h"

namespace sfa::runtime::impl {

/// A buffer of a program for one launch. The first three members are what kernels take.
struct Binding {
  uint64_t address;
  int64_t rows;
  /// Of batches, heads and rows, in elements.
  int64_t strides[3];

  int64_t shape[SFA_MAX_RANK];
  bool isEmpty;
  /// Of an argument that is a number; it has nothing else.
  double number;
};

/// The buffers of a program for one call, in the order of ParsedProgram::buffer. Lives on the stack
/// and is filled in order: arguments, results, temporaries.
class Bindings {
public:
  explicit Bindings(const ParsedProgram &program) : program(program) {}

  /// Types and shapes of arguments only: enough for those who ask for sizes.
  void bindShapes(const sfa_tensor *arguments, int32_t count);

  /// The arguments as kernels take them.
  void bindArguments(const sfa_tensor *arguments, int32_t count);
  void bindResults(const sfa_tensor *results, int32_t count);
  void bindTemporaries(void *workspace, size_t workspaceBytes);

  /// The bytes of all temporaries, each at a multiple of SFA_WORKSPACE_ALIGNMENT.
  size_t workspaceBytes() const;

  /// A size for these arguments.
  int64_t evaluate(const Expression &expression) const {
    return expression.evaluate([this](int argument) { return buffers[argument].shape; });
  }

  /// The rounded product of a number that a kernel takes, whose inverse it may be.
  float product(const Scalar &scalar) const {
    return static_cast<float>(buffers[scalar.argument].number * scalar.factor);
  }
  float evaluate(const Scalar &scalar) const {
    return scalar.isInverse ? 1.0f / product(scalar) : product(scalar);
  }

  const Binding &operator[](size_t index) const { return buffers[index]; }

private:
  enum Role { Argument, Result };
  static const char *name(Role role) { return role == Argument ? "argument" : "result"; }

  void requireCount(Role role, const void *tensors, int32_t count, size_t wanted) const;
  void bindShape(Role role, size_t index, const BufferType &type, const sfa_tensor &tensor,
                 Binding &binding) const;
  void bindMemory(Role role, size_t index, const BufferType &type, const sfa_tensor &tensor,
                  Binding &binding) const;
  void bindNumber(size_t index, const sfa_tensor &tensor, Binding &binding) const;
  /// The bytes of a contiguous temporary, whose shape it writes, rounded up to the alignment.
  int64_t layOut(size_t index, int64_t (&shape)[SFA_MAX_RANK]) const;

  const ParsedProgram &program;
  Binding buffers[maxBuffers];
};

} // namespace sfa::runtime::impl

#endif // SFA_RUNTIME_LIB_BINDINGS_H
