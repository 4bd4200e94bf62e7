//===- Compile.h - Short ways to modules, errors and buffers for tests -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TEST_UNITTESTS_TARGET_COMPILE_H
#define SFA_TEST_UNITTESTS_TARGET_COMPILE_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "sfa/Passes.h"
#include "sfa/Target/Signature.h"

#include <gtest/gtest.h>
#include <initializer_list>

namespace sfa::test {

/// A context that knows all dialects.
class Context : public testing::Test {
protected:
  Context() : context(makeRegistry()) { context.printOpOnDiagnostic(false); }

  mlir::OwningOpRef<mlir::ModuleOp> parse(llvm::StringRef text) {
    return mlir::parseSourceString<mlir::ModuleOp>(text, &context, "test");
  }

  mlir::MLIRContext context;

private:
  static mlir::DialectRegistry makeRegistry() {
    mlir::DialectRegistry registry;
    registerDialects(registry);
    return registry;
  }
};

/// An f32 array of these numbers.
inline NpyArray makeArray(llvm::ArrayRef<int64_t> shape, std::initializer_list<float> numbers) {
  NpyArray array = NpyArray::zeros(ElementType::F32, shape);
  std::copy(numbers.begin(), numbers.end(), array.as<float>());
  return array;
}

/// The message of an error, empty for success.
inline std::string messageOf(llvm::Error error) { return llvm::toString(std::move(error)); }

template <class T>
std::string messageOf(llvm::Expected<T> expected) {
  return expected ? std::string() : llvm::toString(expected.takeError());
}

} // namespace sfa::test

#endif // SFA_TEST_UNITTESTS_TARGET_COMPILE_H
