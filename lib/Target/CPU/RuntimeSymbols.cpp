//===- RuntimeSymbols.cpp - What compiled code calls in this process ------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RuntimeSymbols.h"

#include "CallFrame.h"
#include "sfa/Support/Npy.h"
#include "sfa/Target/CPU/ParallelFor.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/bit.h"

#include <cstring>

using namespace llvm;
using sfa::cpu::CallFrame;

// LLVM calls these where the processor has no instruction. They belong to the compiler's own
// library, of which a program only holds what it uses itself. Halves travel in vector registers,
// hence the types.
static float extendHalf(_Float16 value) {
  return sfa::halfToFloat(llvm::bit_cast<uint16_t>(value));
}
static _Float16 truncateToHalf(float value) {
  return llvm::bit_cast<_Float16>(sfa::floatToHalf(value));
}
static _Float16 truncateDoubleToHalf(double value) {
  return llvm::bit_cast<_Float16>(sfa::doubleToHalf(value));
}
static __bf16 truncateToBfloat(float value) {
  return llvm::bit_cast<__bf16>(sfa::floatToBfloat16(value));
}
static __bf16 truncateDoubleToBfloat(double value) {
  return llvm::bit_cast<__bf16>(sfa::doubleToBfloat16(value));
}

namespace {
/// MLIR's descriptor of a memref whose rank is not in its type. `words` are the fields of the
/// descriptor of that rank: allocation, first element, offset, sizes, strides.
struct UnrankedMemRef {
  int64_t rank;
  int64_t *words;

  std::byte *first(int64_t elementBytes) const {
    return reinterpret_cast<std::byte *>(words[1]) + words[2] * elementBytes;
  }
  ArrayRef<int64_t> sizes() const { return {words + 3, static_cast<size_t>(rank)}; }
  ArrayRef<int64_t> strides() const { return {words + 3 + rank, static_cast<size_t>(rank)}; }
};
} // namespace

/// What MLIR lowers a memref.copy to where a layout has gaps.
static void copyStrided(int64_t elementBytes, const UnrankedMemRef *source,
                        const UnrankedMemRef *target) {
  ArrayRef<int64_t> sizes = source->sizes();
  if (is_contained(sizes, 0))
    return;
  std::byte *from = source->first(elementBytes), *to = target->first(elementBytes);
  SmallVector<int64_t> position(sizes.size(), 0);
  while (true) {
    std::memcpy(to, from, elementBytes);
    // Step to the next position in row-major order.
    int64_t dim = static_cast<int64_t>(sizes.size()) - 1;
    for (; dim >= 0; --dim) {
      int64_t sourceStep = source->strides()[dim] * elementBytes;
      int64_t targetStep = target->strides()[dim] * elementBytes;
      from += sourceStep;
      to += targetStep;
      if (++position[dim] < sizes[dim])
        break;
      from -= sourceStep * sizes[dim];
      to -= targetStep * sizes[dim];
      position[dim] = 0;
    }
    if (dim < 0)
      return;
  }
}

static void *allocate(size_t bytes) { return CallFrame::current()->allocate(bytes); }
static void deallocate(void *memory) { CallFrame::current()->deallocate(memory); }

namespace {
/// MLIR's descriptor of a memref of rank 1.
template <class Element>
struct MemRef1D {
  Element *allocated, *first;
  int64_t offset, size, stride;
};
} // namespace

/// What sfa-request-results makes a function call, by the C interface of MLIR.
static void getResult(MemRef1D<std::byte> *bytes, int64_t number, const MemRef1D<int64_t> *sizes) {
  ArrayRef<int64_t> shape(sizes->first + sizes->offset, static_cast<size_t>(sizes->size));
  auto *memory =
      static_cast<std::byte *>(CallFrame::current()->getResult(static_cast<size_t>(number), shape));
  // Nothing looks at the size.
  *bytes = {memory, memory, 0, INT64_MAX, 1};
}

static ArrayRef<std::pair<StringRef, void *>> getRuntimeFunctions() {
  auto entry = [](StringRef name, auto *function) {
    return std::pair<StringRef, void *>(name, reinterpret_cast<void *>(function));
  };
  static const std::pair<StringRef, void *> functions[] = {
      entry("sfa_cpu_parallel_for", &sfa_cpu_parallel_for),
      entry("_mlir_ciface_sfa_cpu_result", &getResult),
      entry("malloc", &allocate),
      entry("free", &deallocate),
      entry("memrefCopy", &copyStrided),
      entry("__extendhfsf2", &extendHalf),
      entry("__truncsfhf2", &truncateToHalf),
      entry("__truncdfhf2", &truncateDoubleToHalf),
      entry("__truncsfbf2", &truncateToBfloat),
      entry("__truncdfbf2", &truncateDoubleToBfloat),
  };
  return functions;
}

orc::SymbolMap sfa::cpu::getRuntimeSymbols(orc::MangleAndInterner mangle) {
  orc::SymbolMap symbols;
  for (auto [name, address] : getRuntimeFunctions())
    symbols[mangle(name)] = {orc::ExecutorAddr::fromPtr(address), JITSymbolFlags::Exported};
  return symbols;
}

bool sfa::cpu::isRuntimeSymbol(StringRef name) {
  return llvm::is_contained(llvm::make_first_range(getRuntimeFunctions()), name);
}
