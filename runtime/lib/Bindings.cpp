//===- Bindings.cpp - The tensors of a launch, checked --------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Bindings.h"

#include "Error.h"

#include <algorithm>
#include <cstring>

using namespace sfa::runtime::impl;

/// TMA and vector loads take addresses that are multiples of this.
static constexpr uint64_t dataAlignment = 16;

/// The row-major strides of a shape; false where they or the number of elements do not fit.
static bool getContiguousStrides(const int64_t *shape, int32_t rank, int64_t *strides) {
  int64_t stride = 1;
  for (int32_t axis = rank - 1; axis >= 0; --axis) {
    strides[axis] = stride;
    if (__builtin_mul_overflow(stride, std::max<int64_t>(shape[axis], 1), &stride))
      return false;
  }
  return true;
}

/// Rank 4 is [batch, head, row, column], rank 3 [batch, head, row], rank 2 [batch, row], rank 1 [row].
static void setKernelView(int32_t rank, const int64_t *strides, Binding &binding) {
  if (rank == 1) {
    binding.rows = binding.shape[0];
    binding.strides[0] = binding.strides[1] = 0;
    binding.strides[2] = strides[0];
    return;
  }
  if (rank == 2) {
    binding.rows = binding.shape[1];
    binding.strides[0] = strides[0];
    binding.strides[1] = 0;
    binding.strides[2] = strides[1];
    return;
  }
  binding.rows = binding.shape[2];
  std::copy_n(strides, 3, binding.strides);
}

void Bindings::requireCount(Role role, const void *tensors, int32_t count, size_t wanted) const {
  if (count < 0 || static_cast<size_t>(count) != wanted)
    fail(SFA_ERROR_INVALID_ARGUMENT, "{} {}s were given; the program has {}", count, name(role),
         wanted);
  if (wanted != 0 && !tensors)
    fail(SFA_ERROR_INVALID_ARGUMENT, "the {}s are NULL; the program has {}", name(role), wanted);
}

void Bindings::bindShape(Role role, size_t index, const BufferType &type, const sfa_tensor &tensor,
                         Binding &binding) const {
  if (tensor.dtype != type.dtype) {
    if (tensor.dtype < SFA_DTYPE_F16 || tensor.dtype > SFA_DTYPE_I8)
      fail(SFA_ERROR_INVALID_ARGUMENT,
           "{} {} has dtype {}, which is no sfa_dtype; the program has {} there", name(role), index,
           tensor.dtype, toString(type));
    fail(SFA_ERROR_INVALID_ARGUMENT, "{} {} has type {}; the program has {} there", name(role),
         index, typeName(tensor.dtype), toString(type));
  }
  if (tensor.rank != type.rank)
    fail(SFA_ERROR_INVALID_ARGUMENT, "{} {} has rank {}; the program has {} there", name(role),
         index, tensor.rank, toString(type));
  if (!tensor.shape && type.rank != 0)
    fail(SFA_ERROR_INVALID_ARGUMENT, "the shape of {} {} is NULL; it has to point to {} sizes",
         name(role), index, type.rank);
  binding.isEmpty = false;
  for (int32_t axis = 0; axis < type.rank; ++axis) {
    int64_t size = tensor.shape[axis];
    const Expression &expected = type.shape[axis];
    if (size < 0)
      fail(SFA_ERROR_INVALID_ARGUMENT, "{} {} has shape {}; sizes must not be negative", name(role),
           index, toString(tensor.shape, tensor.rank));
    if (expected.kind != Expression::Any)
      if (int64_t wanted = evaluate(expected); wanted != size) {
        std::string because;
        if (expected.kind == Expression::Dimension)
          because = fmt::format(", which follows from dimension {} of argument {}",
                                int(expected.axis), expected.argument);
        fail(SFA_ERROR_INVALID_ARGUMENT,
             "{} {} has shape {}; the program has {} there, and dimension {} has to be {}{}",
             name(role), index, toString(tensor.shape, tensor.rank), toString(type), axis, wanted,
             because);
      }
    binding.shape[axis] = size;
    binding.isEmpty |= size == 0;
  }
}

void Bindings::bindMemory(Role role, size_t index, const BufferType &type, const sfa_tensor &tensor,
                          Binding &binding) const {
  bindShape(role, index, type, tensor, binding);
  const int64_t *shape = binding.shape;
  int64_t strides[SFA_MAX_RANK];
  bool fits = true;
  if (!tensor.strides)
    fits = getContiguousStrides(shape, type.rank, strides);
  else
    std::copy_n(tensor.strides, type.rank, strides);

  // The distance from the first to the last element has to be a number of bytes.
  int64_t distance = 0;
  for (int32_t axis = 0; axis < type.rank && !binding.isEmpty && fits; ++axis) {
    if (shape[axis] == 1)
      continue;
    if (strides[axis] < (role == Result ? 1 : 0))
      fail(SFA_ERROR_INVALID_ARGUMENT, "{} {} has strides {}; they must not be {}", name(role),
           index, toString(strides, type.rank),
           role == Result ? "less than 1, since each element is written" : "negative");
    int64_t step;
    fits = !__builtin_mul_overflow(shape[axis] - 1, strides[axis], &step) &&
           !__builtin_add_overflow(distance, step, &distance);
  }
  if (fits)
    fits = !__builtin_mul_overflow(distance, typeBytes(type.dtype), &distance);
  if (!fits)
    fail(SFA_ERROR_INVALID_ARGUMENT,
         "{} {} has shape {} and {}; its bytes have to be countable in 63 bits", name(role), index,
         toString(shape, type.rank),
         tensor.strides ? "strides " + toString(strides, type.rank) : "is contiguous");
  if (type.rank == 4 && shape[3] > 1 && strides[3] != 1)
    fail(SFA_ERROR_INVALID_ARGUMENT,
         "{} {} has strides {}; the last has to be 1: make the tensor contiguous", name(role),
         index, toString(strides, type.rank));

  binding.address = reinterpret_cast<uintptr_t>(tensor.data);
  if (!tensor.data && !binding.isEmpty)
    fail(SFA_ERROR_INVALID_ARGUMENT,
         "the data of {} {} is NULL; that is allowed only where a size is 0, and its shape is {}",
         name(role), index, toString(shape, type.rank));
  if (binding.address % dataAlignment != 0 && !binding.isEmpty)
    fail(SFA_ERROR_INVALID_ARGUMENT,
         "the data of {} {} is at {:#x}; it has to be at a multiple of {} bytes: copy the tensor",
         name(role), index, binding.address, dataAlignment);
  setKernelView(type.rank, strides, binding);
}

void Bindings::bindNumber(size_t index, const sfa_tensor &tensor, Binding &binding) const {
  bindShape(Argument, index, program.arguments[index], tensor, binding);
  if (!tensor.data)
    fail(SFA_ERROR_INVALID_ARGUMENT,
         "the data of argument {} is NULL; it has to be the address, on the host, of a number of "
         "type {}",
         index, typeName(tensor.dtype));
  std::memcpy(&binding.number, tensor.data, sizeof binding.number);
}

void Bindings::bindShapes(const sfa_tensor *arguments, int32_t count) {
  requireCount(Argument, arguments, count, program.arguments.size());
  for (size_t index = 0; index < program.arguments.size(); ++index)
    bindShape(Argument, index, program.arguments[index], arguments[index], buffers[index]);
}

void Bindings::bindArguments(const sfa_tensor *arguments, int32_t count) {
  requireCount(Argument, arguments, count, program.arguments.size());
  for (size_t index = 0; index < program.arguments.size(); ++index)
    if (const BufferType &type = program.arguments[index]; type.isScalar())
      bindNumber(index, arguments[index], buffers[index]);
    else
      bindMemory(Argument, index, type, arguments[index], buffers[index]);
}

void Bindings::bindResults(const sfa_tensor *results, int32_t count) {
  requireCount(Result, results, count, program.results.size());
  Binding *first = buffers + program.arguments.size();
  for (size_t index = 0; index < program.results.size(); ++index)
    bindMemory(Result, index, program.results[index], results[index], first[index]);
}

int64_t Bindings::layOut(size_t index, int64_t (&shape)[SFA_MAX_RANK]) const {
  const BufferType &type = program.temporaries[index];
  int64_t bytes = typeBytes(type.dtype);
  bool fits = true, isEmpty = false;
  for (int32_t axis = 0; axis < type.rank; ++axis) {
    shape[axis] = evaluate(type.shape[axis]);
    isEmpty |= shape[axis] == 0;
    fits &= !__builtin_mul_overflow(bytes, std::max<int64_t>(shape[axis], 1), &bytes);
  }
  constexpr int64_t mask = SFA_WORKSPACE_ALIGNMENT - 1;
  if (!fits || __builtin_add_overflow(bytes, mask, &bytes))
    fail(SFA_ERROR_INVALID_ARGUMENT,
         "temporary {} of the program has shape {} for these arguments; its bytes have to be "
         "countable in 63 bits",
         index, toString(shape, type.rank));
  return isEmpty ? 0 : bytes & ~mask;
}

size_t Bindings::workspaceBytes() const {
  int64_t total = 0, shape[SFA_MAX_RANK] = {};
  for (size_t index = 0; index < program.temporaries.size(); ++index)
    if (__builtin_add_overflow(total, layOut(index, shape), &total))
      fail(SFA_ERROR_INVALID_ARGUMENT,
           "the temporaries of the program, for these arguments, have more bytes together than can "
           "be counted in 63 bits");
  return static_cast<size_t>(total);
}

void Bindings::bindTemporaries(void *workspace, size_t workspaceBytes) {
  if (program.temporaries.empty())
    return;
  size_t needed = this->workspaceBytes();
  if (needed > 0 && !workspace)
    fail(SFA_ERROR_INVALID_ARGUMENT,
         "the workspace is NULL; a launch with these arguments needs {} bytes "
         "(sfa_program_workspace_bytes)",
         needed);
  if (workspaceBytes < needed)
    fail(SFA_ERROR_INVALID_ARGUMENT,
         "the workspace has {} bytes; a launch with these arguments needs {} "
         "(sfa_program_workspace_bytes)",
         workspaceBytes, needed);
  auto address = reinterpret_cast<uintptr_t>(workspace);
  if (needed > 0 && address % SFA_WORKSPACE_ALIGNMENT != 0)
    fail(SFA_ERROR_INVALID_ARGUMENT,
         "the workspace is at {:#x}; it has to be at a multiple of {} bytes", address,
         SFA_WORKSPACE_ALIGNMENT);

  Binding *first = buffers + program.arguments.size() + program.results.size();
  for (size_t index = 0; index < program.temporaries.size(); ++index) {
    Binding &binding = first[index];
    int64_t strides[SFA_MAX_RANK];
    int32_t rank = program.temporaries[index].rank;
    int64_t bytes = layOut(index, binding.shape);
    getContiguousStrides(binding.shape, rank, strides);
    binding.isEmpty = bytes == 0;
    binding.address = binding.isEmpty ? 0 : address;
    setKernelView(rank, strides, binding);
    address += bytes;
  }
}
