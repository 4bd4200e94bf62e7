//===- Module.h - A module of the JIT, and the schedules of its calls -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_JIT_MODULE_H
#define SFA_JIT_MODULE_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "sfa/Schedule/Choose.h"

#include <memory>
#include <string>
#include <vector>

namespace sfa::jit {

/// The shapes of the arguments of a call; none where nobody knows them.
using Shapes = llvm::ArrayRef<llvm::ArrayRef<int64_t>>;

/// A module and the name of the function to compile.
struct Module {
  std::unique_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::string entry;

  /// Parses a module; without `entry` it is the only public function. Fails with all diagnostics.
  static llvm::Expected<Module> parse(llvm::StringRef text, const char *entry);

  /// Gives each sfa.attention of the entry the schedule that `Choices` describes for the same
  /// shapes.
  llvm::Error assignSchedules(Shapes shapes, const Device &device);

private:
  friend class Choices;
  /// The entry in its canonical form, which decides what there is to choose.
  llvm::Expected<llvm::SmallVector<AttentionOp>> canonicalAttentions();
};

/// What has to be kept of a module to choose the schedules of one call after the other.
class Choices {
public:
  static llvm::Expected<Choices> of(Module module);

  /// The schedules of a call, in the order of the operations, with "; " between them. Calls with
  /// the same text are served by one program.
  llvm::Expected<std::string> describe(Shapes shapes, const Device &device) const;

  /// The choices of a call, in the same order.
  llvm::Expected<std::vector<Choice>> choose(Shapes shapes, const Device &device) const;

  /// Adds a line for each attention of a call to the file of the knob SFA_RECORD_PROBLEMS. Problems
  /// that sfa-tune cannot take, such as those with sequences, are left out.
  llvm::Error record(Shapes shapes) const;

private:
  struct Attention {
    ProblemOfCalls calls;
    Schedule given;
  };
  std::vector<Attention> attentions;
};

} // namespace sfa::jit

#endif // SFA_JIT_MODULE_H
