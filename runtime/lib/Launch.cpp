//===- Launch.cpp - Put the kernels of a program into a stream ------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The hot path. Nothing here takes memory of the heap, unless for the message of an error.
//
//===----------------------------------------------------------------------===//

#include "Launch.h"

#include <algorithm>
#include <cmath>

using namespace sfa::runtime::impl;

namespace {

/// The view of a rank-4 memory that the driver encodes, innermost dimension first.
struct TensorMapView {
  cu::TensorMapDataType type;
  uint64_t address;
  uint64_t sizes[4];
  /// In bytes, of rows, heads and batches.
  uint64_t strides[3];
};

using Grid = std::array<uint32_t, 3>;

} // namespace

static cu::TensorMapDataType getTensorMapType(int32_t dtype) {
  switch (dtype) {
  case SFA_DTYPE_F16:
    return cu::float16;
  case SFA_DTYPE_BF16:
    return cu::bfloat16;
  case SFA_DTYPE_F32:
    return cu::float32;
  case SFA_DTYPE_I8: // which has no type of its own
  case SFA_DTYPE_U8:
    return cu::uint8;
  case SFA_DTYPE_U16:
    return cu::uint16;
  case SFA_DTYPE_I32:
    return cu::int32;
  default:
    return cu::int64;
  }
}

/// The view of buffer `index`, which is not empty, as the conditions of cuTensorMapEncodeTiled
/// demand it.
static TensorMapView getView(const ParsedProgram &program, const Bindings &bindings,
                             int32_t index) {
  constexpr int64_t maxSize = int64_t(1) << 32;
  constexpr int64_t maxStride = int64_t(1) << 40;
  constexpr int64_t unit = 16;
  const BufferType &type = program.buffer(index);
  const Binding &binding = bindings[index];
  int64_t bytes = typeBytes(type.dtype);
  auto refuse = [&](const std::string &reason) {
    fail(SFA_ERROR_INVALID_ARGUMENT,
         "buffer {} of the program ({}; arguments come first, then results, then temporaries) has "
         "shape {} and strides [{}, {}, {}, 1]; {}",
         index, toString(type), toString(binding.shape, 4), binding.strides[0], binding.strides[1],
         binding.strides[2], reason);
  };

  TensorMapView view = {getTensorMapType(type.dtype), binding.address, {}, {}};
  // What a dimension of size 1 gets as its stride: the extent of those within it.
  int64_t extent = (binding.shape[3] * bytes + unit - 1) / unit * unit;
  for (int32_t dimension = 0; dimension < 4; ++dimension) {
    int64_t size = binding.shape[3 - dimension];
    if (size > maxSize)
      refuse(fmt::format("the tensor memory accelerator takes sizes up to {}", maxSize));
    view.sizes[dimension] = size;
    if (dimension == 0)
      continue;
    int64_t stride = binding.strides[3 - dimension];
    if (size == 1)
      stride = std::min(extent, maxStride - unit);
    else if (stride >= maxStride / bytes || stride * bytes % unit != 0)
      refuse(fmt::format("the tensor memory accelerator takes strides that are multiples of {} "
                         "elements, {} bytes, below {}: copy the tensor",
                         std::max<int64_t>(unit / bytes, 1), unit, maxStride / bytes));
    else
      stride *= bytes;
    view.strides[dimension - 1] = stride;
    // At most 2^40 * 2^32; beyond 2^40 it is not used.
    extent = std::min(maxStride,
                      size > maxStride / std::max<int64_t>(stride, 1) ? maxStride : stride * size);
    extent = std::max(extent, unit);
  }
  return view;
}

/// A map that a kernel may read through although its memory is empty, so that a prologue which
/// loads ahead stays legal: one element of another memory, zeros around it. Its value means
/// nothing.
static bool getStandIn(const Launch &launch, const Bindings &bindings, TensorMapView &view) {
  for (int32_t memory : launch.memories)
    if (!bindings[memory].isEmpty) {
      view = {cu::uint8, bindings[memory].address, {1, 1, 1, 1}, {16, 16, 16}};
      return true;
    }
  return false;
}

static bool isEmpty(const Grid &grid) { return !grid[0] || !grid[1] || !grid[2]; }

/// The work items of a persistent launch; fails where they are too many.
static uint32_t countItems(const Launch &launch, const Grid &grid) {
  if (isEmpty(grid))
    return 0;
  int64_t items = int64_t(grid[0]) * grid[1]; // no overflow: each is below 2^31
  if (items <= maxItems)
    items *= grid[2];
  if (items > maxItems)
    fail(SFA_ERROR_INVALID_ARGUMENT,
         "the kernel {} has {} x {} x {} work items for these arguments; a launch takes up to {}: "
         "split the call",
         launch.kernel, grid[0], grid[1], grid[2], maxItems);
  return static_cast<uint32_t>(items);
}

/// The blocks of a launch, or its work items where it is persistent.
static Grid getGrid(const Launch &launch, const Bindings &bindings) {
  Grid grid;
  for (int axis = 0; axis < 3; ++axis) {
    int64_t max = launch.isPersistent ? maxItems : maxGrid[axis];
    int64_t size = 0;
    for (const Expression &term : launch.grid[axis])
      if (__builtin_add_overflow(size, bindings.evaluate(term), &size))
        size = INT64_MAX;
    if (size > max)
      fail(SFA_ERROR_INVALID_ARGUMENT,
           "the grid of the kernel {} has {} {} in {} for these arguments; a {} takes up to {}: "
           "split the call",
           launch.kernel, size, launch.isPersistent ? "work items" : "blocks", "xyz"[axis],
           launch.isPersistent ? "launch" : "device", max);
    grid[axis] = static_cast<uint32_t>(size);
  }
  if (grid[0] % launch.cluster != 0)
    fail(
        SFA_ERROR_INVALID_ARGUMENT,
        "the grid of the kernel {} has {} blocks in x for these arguments; it has to be a multiple "
        "of its cluster, {}",
        launch.kernel, grid[0], launch.cluster);
  return grid;
}

/// The blocks that share the work items of `grid`: one to a multiprocessor, as far as there are.
static Grid getPersistentGrid(const Launch &launch, const Grid &grid, uint32_t multiprocessors) {
  return {std::min(countItems(launch, grid), multiprocessors), 1, 1};
}

/// Fails unless the kernel can take the rows of buffer `index` in pieces of 16 bytes.
static void requireAlignedRows(const ParsedProgram &program, const Launch &launch,
                               const Bindings &bindings, int32_t index) {
  constexpr int64_t unit = 16;
  const Binding &binding = bindings[index];
  const BufferType &type = program.buffer(index);
  int64_t elements = std::max<int64_t>(unit / typeBytes(type.dtype), 1);
  for (int axis = 0; axis < 3; ++axis)
    if (binding.shape[axis] > 1 && binding.strides[axis] % elements != 0 && !binding.isEmpty)
      fail(SFA_ERROR_INVALID_ARGUMENT,
           "buffer {} of the program ({}; arguments come first, then results, then temporaries) "
           "has shape {} and strides [{}, {}, {}, 1]; the kernel {} takes rows in pieces of {} "
           "bytes, so strides have to be multiples of {} elements: copy the tensor",
           index, toString(type), toString(binding.shape, 4), binding.strides[0],
           binding.strides[1], binding.strides[2], launch.kernel, unit, elements);
}

/// Fails unless the kernel can take many rows of buffer `index` in one piece.
static void requirePackedRows(const ParsedProgram &program, const Launch &launch,
                              const Bindings &bindings, int32_t index) {
  constexpr int64_t unit = 16;
  const Binding &binding = bindings[index];
  if (binding.isEmpty)
    return;
  const BufferType &type = program.buffer(index);
  int64_t bytes = typeBytes(type.dtype);
  bool fits = binding.shape[2] == 1 || binding.strides[2] == binding.shape[3];
  for (int axis : {0, 1})
    fits &= binding.shape[axis] == 1 || binding.strides[axis] % (unit / bytes) == 0;
  if (!fits)
    fail(SFA_ERROR_INVALID_ARGUMENT,
         "buffer {} of the program ({}; arguments come first, then results, then temporaries) has "
         "shape {} and strides [{}, {}, {}, 1]; the kernel {} takes many rows in one piece, so they "
         "have to follow one another, and other strides to be multiples of {} elements: copy the "
         "tensor",
         index, toString(type), toString(binding.shape, 4), binding.strides[0], binding.strides[1],
         binding.strides[2], launch.kernel, unit / bytes);
}

/// Fails unless the kernel can take the numbers: what it multiplies with them has to keep its order
/// and its precision.
static void requireScalars(const Launch &launch, const Bindings &bindings) {
  for (const Scalar &scalar : launch.scalars)
    if (float value = bindings.product(scalar); !(value > 0 && std::isnormal(value)))
      fail(SFA_ERROR_INVALID_ARGUMENT,
           "argument {} is {}; the kernel {} takes {} times this number as f32, which has to be "
           "positive, finite and normal: compile the number into the program as a constant",
           scalar.argument, bindings[scalar.argument].number, launch.kernel, scalar.factor);
}

/// Fails where a launch cannot be put into a stream with these tensors.
static void checkLaunch(const ParsedProgram &program, const Launch &launch,
                        const Bindings &bindings) {
  requireScalars(launch, bindings);
  Grid grid = getGrid(launch, bindings);
  if (isEmpty(grid))
    return;
  if (launch.isPersistent)
    countItems(launch, grid);
  for (int32_t position : launch.aligned)
    requireAlignedRows(program, launch, bindings, launch.memories[position]);
  for (int32_t position : launch.packed)
    requirePackedRows(program, launch, bindings, launch.memories[position]);
  for (const TensorMapSource &source : launch.tensorMaps)
    if (int32_t index = launch.memories[source.memory]; !bindings[index].isEmpty)
      getView(program, bindings, index);
}

static void encode(const Driver &driver, const ParsedProgram &program, const Launch &launch,
                   const TensorMapSource &source, const Bindings &bindings, cu::TensorMap &map) {
  int32_t index = launch.memories[source.memory];
  TensorMapView view;
  uint32_t sizes[4] = {source.columns, source.rows, source.heads, 1};
  if (!bindings[index].isEmpty) {
    view = getView(program, bindings, index);
  } else if (getStandIn(launch, bindings, view)) {
    // The kernel waits for the bytes of a whole box, whatever its type.
    view.type = getTensorMapType(program.buffer(index).dtype);
  } else {
    map = {};
    return;
  }
  constexpr uint32_t ones[4] = {1, 1, 1, 1};
  cu::Result result = driver.tensorMapEncodeTiled(
      &map, view.type, 4, reinterpret_cast<void *>(view.address), view.sizes, view.strides, sizes,
      ones, cu::interleaveNone, cu::swizzle128B, cu::l2Promotion128B, cu::outOfBoundsZeros);
  if (result != cu::success)
    driver.failCall(
        result, "cuTensorMapEncodeTiled",
        fmt::format("cannot describe memory {} of the kernel {} to the tensor memory accelerator: "
                    "address {:#x}, sizes [{}], strides in bytes [{}], box [{}]",
                    source.memory, launch.kernel, view.address, fmt::join(view.sizes, ", "),
                    fmt::join(view.strides, ", "), fmt::join(sizes, ", ")),
        "");
}

static void launchKernel(const Driver &driver, const ParsedProgram &program,
                         const LoadedProgram &loaded, size_t index, const Bindings &bindings,
                         cu::Stream stream) {
  const Launch &launch = program.launches[index];
  Grid grid = getGrid(launch, bindings);
  if (isEmpty(grid))
    return;
  Grid blocks =
      launch.isPersistent ? getPersistentGrid(launch, grid, loaded.multiprocessors()) : grid;

  cu::TensorMap maps[maxTensorMaps];
  float scalars[maxScalars];
  void *parameters[6 * maxMemories + maxScalars + 3 + maxTensorMaps];
  void **next = parameters;
  auto pass = [&](const void *value) { *next++ = const_cast<void *>(value); };
  for (int32_t memory : launch.memories) {
    const Binding &binding = bindings[memory];
    pass(&binding.address);
    pass(&binding.rows);
    for (const int64_t &stride : binding.strides)
      pass(&stride);
  }
  for (size_t index = 0; index < launch.scalars.size(); ++index) {
    scalars[index] = bindings.evaluate(launch.scalars[index]);
    pass(&scalars[index]);
  }
  if (launch.isPersistent)
    for (const uint32_t &items : grid)
      pass(&items);
  for (int32_t position : launch.batches)
    pass(&bindings[launch.memories[position]].shape[0]);
  for (size_t map = 0; map < launch.tensorMaps.size(); ++map) {
    encode(driver, program, launch, launch.tensorMaps[map], bindings, maps[map]);
    pass(&maps[map]);
  }

  cu::LaunchAttribute attributes[2] = {};
  uint32_t numAttributes = 0;
  if (launch.cluster > 1) {
    cu::LaunchAttribute &cluster = attributes[numAttributes++];
    cluster.id = cu::clusterDimension;
    cluster.value.clusterDim[0] = launch.cluster;
    cluster.value.clusterDim[1] = cluster.value.clusterDim[2] = 1;
  }
  if (launch.isProgrammatic) {
    cu::LaunchAttribute &programmatic = attributes[numAttributes++];
    programmatic.id = cu::programmaticStreamSerialization;
    programmatic.value.programmaticStreamSerializationAllowed = 1;
  }
  cu::LaunchConfig config = {{blocks[0], blocks[1], blocks[2]},
                             {launch.block, 1, 1},
                             launch.sharedBytes,
                             stream,
                             numAttributes ? attributes : nullptr,
                             numAttributes};
  cu::Result result = driver.launchKernelEx(&config, loaded.function(index), parameters, nullptr);
  if (result != cu::success)
    driver.failCall(
        result, "cuLaunchKernelEx",
        fmt::format("cannot launch the kernel {} (grid {} x {} x {}, {} threads a block, "
                    "{} bytes of dynamic shared memory, clusters of {})",
                    launch.kernel, blocks[0], blocks[1], blocks[2], launch.block,
                    launch.sharedBytes, launch.cluster),
        "");
}

Call::Call(const ParsedProgram &program, const sfa_tensor *arguments, int32_t numArguments,
           const sfa_tensor *results, int32_t numResults, void *workspace, size_t workspaceBytes)
    : program(program), bindings(program) {
  bindings.bindArguments(arguments, numArguments);
  bindings.bindResults(results, numResults);
  bindings.bindTemporaries(workspace, workspaceBytes);
  for (const Launch &launch : program.launches)
    checkLaunch(program, launch, bindings);
}

void Call::launch(const Driver &driver, const LoadedProgram &loaded, cu::Stream stream) const {
  for (size_t index = 0; index < program.launches.size(); ++index)
    launchKernel(driver, program, loaded, index, bindings, stream);
}

sfa_status sfa_program_launch(sfa_program *handle, int32_t device, void *stream,
                              const sfa_tensor *arguments, int32_t numArguments,
                              const sfa_tensor *results, int32_t numResults, void *workspace,
                              size_t workspaceBytes) {
  return guarded([=] {
    requireNotNull(handle, "sfa_program_launch", "program");
    const ParsedProgram &program = handle->program;
    Call call(program, arguments, numArguments, results, numResults, workspace, workspaceBytes);
    const Driver &driver = Driver::get();
    const LoadedProgram &loaded = handle->loaded.get(driver, program, device);
    ScopedContext scope(driver, loaded.context());
    call.launch(driver, loaded, stream);
  });
}
