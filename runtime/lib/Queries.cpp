//===- Queries.cpp - Load, save and ask about programs --------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Bindings.h"
#include "Bytes.h"
#include "LoadedProgram.h"

using namespace sfa::runtime::impl;

static const BufferType &select(const std::vector<BufferType> &types, int32_t index,
                                const char *kind) {
  if (index < 0 || static_cast<size_t>(index) >= types.size())
    fail(SFA_ERROR_INVALID_ARGUMENT, "there is no {} {}; the program has {}, counted from 0", kind,
         index, types.size());
  return types[static_cast<size_t>(index)];
}

template <typename Evaluate>
static sfa_tensor_type getType(const BufferType &type, const Evaluate &evaluate) {
  sfa_tensor_type result = {type.dtype, type.rank, {}};
  for (int32_t axis = 0; axis < type.rank; ++axis)
    result.shape[axis] = evaluate(type.shape[axis]);
  return result;
}

/// What is known without arguments.
static sfa_tensor_type getStaticType(const BufferType &type) {
  return getType(type, [](const Expression &size) -> int64_t {
    return size.kind == Expression::Fixed ? size.value : -1;
  });
}

sfa_status sfa_program_load(const void *bytes, size_t size, sfa_program **program) {
  return guarded([=] {
    requireNotNull(bytes, "sfa_program_load", "bytes");
    requireNotNull(program, "sfa_program_load", "program");
    *program = new sfa_program(readProgram({static_cast<const char *>(bytes), size}));
  });
}

void sfa_program_destroy(sfa_program *program) { delete program; }

sfa_status sfa_program_save(const sfa_program *program, void **bytes, size_t *size) {
  return guarded([=] {
    requireNotNull(program, "sfa_program_save", "program");
    requireNotNull(bytes, "sfa_program_save", "bytes");
    requireNotNull(size, "sfa_program_save", "size");
    handOver(writeProgram(program->program), bytes, size);
  });
}

sfa_status sfa_program_info(const sfa_program *handle, sfa_program_properties *properties) {
  return guarded([=] {
    requireNotNull(handle, "sfa_program_info", "program");
    requireNotNull(properties, "sfa_program_info", "properties");
    const ParsedProgram &program = handle->program;
    *properties = {program.compiler.c_str(),
                   program.chipName.c_str(),
                   static_cast<int32_t>(program.arguments.size()),
                   static_cast<int32_t>(program.results.size()),
                   static_cast<int32_t>(program.temporaries.size()),
                   static_cast<int32_t>(program.launches.size()),
                   program.image.isPTX};
  });
}

sfa_status sfa_program_argument_type(const sfa_program *program, int32_t index,
                                     sfa_tensor_type *type) {
  return guarded([=] {
    requireNotNull(program, "sfa_program_argument_type", "program");
    requireNotNull(type, "sfa_program_argument_type", "type");
    *type = getStaticType(select(program->program.arguments, index, "argument"));
  });
}

sfa_status sfa_program_result_type(const sfa_program *program, int32_t index,
                                   sfa_tensor_type *type) {
  return guarded([=] {
    requireNotNull(program, "sfa_program_result_type", "program");
    requireNotNull(type, "sfa_program_result_type", "type");
    *type = getStaticType(select(program->program.results, index, "result"));
  });
}

sfa_status sfa_program_result_for(const sfa_program *program, const sfa_tensor *arguments,
                                  int32_t numArguments, int32_t index, sfa_tensor_type *type) {
  return guarded([=] {
    requireNotNull(program, "sfa_program_result_for", "program");
    requireNotNull(type, "sfa_program_result_for", "type");
    const BufferType &result = select(program->program.results, index, "result");
    Bindings bindings(program->program);
    bindings.bindShapes(arguments, numArguments);
    *type = getType(result, [&](const Expression &size) { return bindings.evaluate(size); });
  });
}

sfa_status sfa_program_workspace_bytes(const sfa_program *program, const sfa_tensor *arguments,
                                       int32_t numArguments, size_t *bytes) {
  return guarded([=] {
    requireNotNull(program, "sfa_program_workspace_bytes", "program");
    requireNotNull(bytes, "sfa_program_workspace_bytes", "bytes");
    Bindings bindings(program->program);
    bindings.bindShapes(arguments, numArguments);
    *bytes = bindings.workspaceBytes();
  });
}
