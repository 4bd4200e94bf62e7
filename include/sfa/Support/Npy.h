//===- Npy.h - Arrays in numpy's .npy files ---------------------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reads and writes dense row-major little-endian arrays, and converts their elements. The format is
// that of numpy.lib.format. numpy has no bf16: as in ml_dtypes, it is stored as raw two-byte items.
//
//===----------------------------------------------------------------------===//

#ifndef SFA_SUPPORT_NPY_H
#define SFA_SUPPORT_NPY_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <vector>

namespace sfa {

enum class ElementType { F16, BF16, F32, F64, I8, U8, U16, I32, I64 };

unsigned sizeInBytes(ElementType type);

/// The name in MLIR's spelling with the signedness numpy gives it: "f16", "bf16", "u8", "i32", ...
llvm::StringRef name(ElementType type);

/// An owned buffer aligned to 64 bytes (a cache line, and the widest CPU vector).
class AlignedBytes {
public:
  static constexpr size_t alignment = 64;

  AlignedBytes() = default;
  /// Bytes that are zero. Ends the process where there is no memory for them.
  explicit AlignedBytes(size_t sizeInBytes);
  /// Bytes that hold anything; nothing where there is no memory for them.
  static std::optional<AlignedBytes> allocate(size_t sizeInBytes);
  AlignedBytes(const AlignedBytes &other);
  AlignedBytes(AlignedBytes &&other) noexcept;
  AlignedBytes &operator=(AlignedBytes other) noexcept;

  std::byte *data() { return bytes.get(); }
  const std::byte *data() const { return bytes.get(); }
  size_t size() const { return numBytes; }

private:
  struct Free {
    void operator()(std::byte *pointer) const { std::free(pointer); }
  };
  std::unique_ptr<std::byte, Free> bytes;
  size_t numBytes = 0;
};

/// A dense row-major array. An empty shape is a scalar: one element.
struct NpyArray {
  ElementType type = ElementType::F32;
  std::vector<int64_t> shape;
  AlignedBytes data;

  /// An array of zeros. The dimensions are not negative and their product fits in memory.
  static NpyArray zeros(ElementType type, llvm::ArrayRef<int64_t> shape);

  int64_t numElements() const;
  size_t numBytes() const { return static_cast<size_t>(numElements()) * sizeInBytes(type); }

  /// The elements as the storage type `T`: f16 and bf16 are `uint16_t`.
  template <class T>
  T *as() {
    assert(sizeof(T) == sizeInBytes(type) && "T has another size than the elements");
    return reinterpret_cast<T *>(data.data());
  }
  template <class T>
  const T *as() const {
    assert(sizeof(T) == sizeInBytes(type) && "T has another size than the elements");
    return reinterpret_cast<const T *>(data.data());
  }
};

/// Reads format versions 1.0, 2.0 and 3.0. Fails, with a message that starts with the path, unless
/// the file is regular, the header is well formed, the type is an `ElementType`, the order is
/// row-major and the file holds exactly the bytes of its shape; allocates no more than those.
llvm::Expected<NpyArray> readNpy(llvm::StringRef path);

/// Writes format version 1.0 into a temporary file beside `path`, then renames it, so that `path`
/// never holds a part of an array. Fails when `path` names something else than a regular file.
llvm::Error writeNpy(llvm::StringRef path, const NpyArray &array);

/// The elements in fp64: exact, but for i64 beyond 2^53 (rounded to nearest even).
std::vector<double> toDouble(const NpyArray &array);

/// Fills `array`, whose type and shape are set and have `values.size()` elements. Rounds once, to
/// nearest even. Integers saturate, and a NaN becomes 0.
void fromDouble(llvm::ArrayRef<double> values, NpyArray &array);

/// The bits of IEEE binary16 and of bfloat16. Rounding is to nearest even, overflow is infinity,
/// subnormals are kept, and a NaN stays a (quiet) NaN with its sign.
float halfToFloat(uint16_t half);
uint16_t floatToHalf(float value);
uint16_t doubleToHalf(double value);
float bfloat16ToFloat(uint16_t bits);
uint16_t floatToBfloat16(float value);
uint16_t doubleToBfloat16(double value);

} // namespace sfa

#endif // SFA_SUPPORT_NPY_H
