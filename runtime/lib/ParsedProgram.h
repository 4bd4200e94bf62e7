//===- ParsedProgram.h - A compiled program in memory -----------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What docs/program-format.md describes, as plain structs: everything has been checked when a
// program exists, so a launch looks nothing up and parses nothing.
//
//===----------------------------------------------------------------------===//

#ifndef SFA_RUNTIME_LIB_PARSEDPROGRAM_H
#define SFA_RUNTIME_LIB_PARSEDPROGRAM_H

#include "sfa/Swizzle.h"
#include "sfa/runtime.h"

#include <string>
#include <string_view>
#include <vector>

namespace sfa::runtime::impl {

/// Bounds of the format, so that a launch needs only memory of the stack.
constexpr int maxBuffers = 64;
constexpr int maxMemories = 32;
constexpr int maxScalars = 8;
constexpr int maxTensorMaps = 16;
constexpr int maxLaunches = 64;
constexpr int maxTerms = 4;
/// Work items of a persistent launch, so that a kernel can count them in 32 bits.
constexpr int64_t maxItems = 2147483647;
/// Of CUDA, for any chip that is supported.
constexpr int64_t maxBlock = 1024;
constexpr int64_t maxSharedBytes = 227 * 1024;
constexpr int64_t maxCluster = 8;
constexpr int64_t maxGrid[3] = {2147483647, 65535, 65535};
constexpr int64_t maxBox = 256;
/// Of all heads of a box, so that it stays small in shared memory.
constexpr int64_t maxBoxRows = 256;
/// What a row of a box must not exceed.
constexpr int64_t maxBoxRowBytes = swizzle::rowBytes;

const char *typeName(int32_t dtype);
int64_t typeBytes(int32_t dtype);

/// A size: fixed, any, or that of a dimension of an argument, divided and rounded up.
struct Expression {
  enum Kind : int8_t { Fixed, Any, Dimension };
  Kind kind = Fixed;
  int8_t axis = 0;
  int16_t argument = 0;
  /// Of Fixed.
  int64_t value = 0;
  /// Of Dimension.
  int64_t divisor = 1;

  /// `shapes(argument)` gives the sizes of an argument. Not for Any.
  template <typename Shapes>
  int64_t evaluate(const Shapes &shapes) const {
    if (kind == Fixed)
      return value;
    int64_t size = shapes(argument)[axis];
    return divisor == 1 ? size : size / divisor + (size % divisor != 0);
  }
};

/// Blocks or work items of a grid in one direction: the sum of these.
using Extent = std::vector<Expression>;

struct BufferType {
  int32_t dtype = 0;
  int32_t rank = 0;
  Expression shape[SFA_MAX_RANK];

  /// Whether it is a number, passed by value.
  bool isScalar() const { return rank == 0; }
};

/// "bf16, shape [1, 16, ?, 128]".
std::string toString(const BufferType &type);
/// "[1, 16, 4096, 128]".
std::string toString(const int64_t *shape, int32_t rank);

/// What a tensor map of a launch is made of: a memory, and the box that each copy takes of it.
struct TensorMapSource {
  /// The position in `memories` of the launch.
  int32_t memory;
  /// Of the box.
  uint32_t rows, columns, heads;
};

/// A number that kernels take: the f64 of an argument of rank 0 times `factor`, rounded to f32, or
/// 1 divided by that.
struct Scalar {
  int32_t argument;
  double factor;
  bool isInverse;
};

struct Launch {
  std::string kernel;
  Extent grid[3];
  /// Whether the grid is one of work items, which at most as many blocks as the device has
  /// multiprocessors share.
  bool isPersistent;
  /// Whether the kernel may begin before the one before it has ended.
  bool isProgrammatic;
  uint32_t block, sharedBytes, cluster;
  /// Numbers of buffers: arguments, then results, then temporaries.
  std::vector<int32_t> memories;
  /// Behind the memories.
  std::vector<Scalar> scalars;
  /// Positions in `memories`: buffers of rank 4 whose strides are multiples of 16 bytes.
  std::vector<int32_t> aligned;
  /// Positions in `memories`: buffers of rank 4 whose rows follow one another, and whose other strides
  /// are multiples of 16 bytes.
  std::vector<int32_t> packed;
  /// Positions in `memories`: those of which the kernel takes the first size.
  std::vector<int32_t> batches;
  std::vector<TensorMapSource> tensorMaps;
};

/// What a program is compiled for. "sm_90a" runs on capability 9.0 only; "sm_80" as PTX on 8.0 and
/// later, as machine code on 8.0 to 8.9.
struct Architecture {
  int32_t major = 0, minor = 0;
  bool isExact = false;

  std::string name() const;
};

struct Image {
  bool isPTX;
  std::string bytes;
};

/// A program as its document describes it, read and checked. On a device it is a LoadedProgram.
struct ParsedProgram {
  std::string compiler;
  Architecture architecture;
  /// architecture.name(), for those who ask: the `chip` of the document.
  std::string chipName;
  Image image;
  std::vector<BufferType> arguments, results, temporaries;
  std::vector<Launch> launches;

  size_t numBuffers() const { return arguments.size() + results.size() + temporaries.size(); }
  const BufferType &buffer(size_t index) const;
};

/// Reads and checks a document; fails with SFA_ERROR_INVALID_PROGRAM.
ParsedProgram readProgram(std::string_view document);

/// The document of a program.
std::string writeProgram(const ParsedProgram &program);

/// Replaces the image by another form of the same code, for `architecture`.
void replaceImage(ParsedProgram &program, Architecture architecture, Image image);

} // namespace sfa::runtime::impl

#endif // SFA_RUNTIME_LIB_PARSEDPROGRAM_H
