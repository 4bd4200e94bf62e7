//===- Layouts.h - The layouts that sfa-layout draws ---------- -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TOOLS_SFA_LAYOUT_LAYOUTS_H
#define SFA_TOOLS_SFA_LAYOUT_LAYOUTS_H

#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

namespace sfa::layout {

/// One layout: a subcommand, with its flags in a file of its own.
struct Layout {
  llvm::cl::SubCommand &command;
  /// What --help of the subcommand says above the flags.
  const char *explanation;
  /// Draws it, or says why its sizes are not allowed.
  llvm::Error (*draw)(mlir::MLIRContext &context, llvm::raw_ostream &stream);
};

extern const Layout codes, featureMajor, postings, twoFour, swizzle, fragment, scales;

/// That of all flags of the tool.
llvm::cl::OptionCategory &category();

} // namespace sfa::layout

#endif // SFA_TOOLS_SFA_LAYOUT_LAYOUTS_H
