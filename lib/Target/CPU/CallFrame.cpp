//===- CallFrame.cpp - What a call of compiled code owns ------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CallFrame.h"

#include "llvm/ADT/STLExtras.h"

#include <cstdlib>
#include <fmt/format.h>
#include <fmt/ranges.h>

using namespace sfa;
using namespace sfa::cpu;

static thread_local CallFrame *currentFrame = nullptr;

CallFrame *CallFrame::current() { return currentFrame; }

CallFrame::CallFrame(llvm::ArrayRef<Parameter> results, std::vector<NpyArray> &made) : made(&made) {
  for (const Parameter &result : results)
    made.emplace_back().type = result.type;
}

CallFrame::~CallFrame() {
  for (void *memory : allocations)
    std::free(memory);
}

llvm::Error CallFrame::run(llvm::function_ref<void()> body) {
  outer = std::exchange(currentFrame, this);
  // Nothing that changes behind setjmp is a local variable.
  if (setjmp(start) == 0)
    body();
  currentFrame = outer;
  if (kind == std::errc())
    return llvm::Error::success();
  return llvm::createStringError(std::make_error_code(kind), message);
}

void CallFrame::fail(std::errc why, std::string text) {
  kind = why;
  message = std::move(text);
}

void CallFrame::abandon() { std::longjmp(start, 1); }

void *CallFrame::allocate(size_t bytes) {
  void *memory = std::malloc(bytes);
  if (!memory && bytes > 0) {
    fail(std::errc::not_enough_memory,
         fmt::format("the host has no {} bytes of memory left, which the function needs besides "
                     "its results",
                     bytes));
    abandon();
  }
  allocations.push_back(memory);
  return memory;
}

void CallFrame::deallocate(void *memory) {
  // What was allocated last is freed first, most of the time.
  auto found = llvm::find(llvm::reverse(allocations), memory);
  if (found == allocations.rend())
    return;
  std::free(memory);
  allocations.erase(std::next(found).base());
}

void *CallFrame::getResult(size_t number, llvm::ArrayRef<int64_t> shape) {
  if (!made) {
    const BufferRef &buffer = given[number];
    if (llvm::ArrayRef<int64_t>(buffer.shape) == shape)
      return buffer.data;
    fail(std::errc::invalid_argument,
         fmt::format("result {}: the sizes given are {}, the function gives {}", number,
                     fmt::join(buffer.shape, "x"), fmt::join(shape, "x")));
    abandon();
  }
  NpyArray &array = (*made)[number];
  array.shape = shape;
  if (std::optional<AlignedBytes> memory = AlignedBytes::allocate(array.numBytes())) {
    array.data = std::move(*memory);
    return array.data.data();
  }
  fail(std::errc::not_enough_memory,
       fmt::format("the host has no {} bytes of memory left for result {}, whose sizes are {}",
                   array.numBytes(), number, fmt::join(shape, "x")));
  abandon();
}
