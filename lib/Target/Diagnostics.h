//===- Diagnostics.h - What the compiler says, as the message of an error -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_LIB_TARGET_DIAGNOSTICS_H
#define SFA_LIB_TARGET_DIAGNOSTICS_H

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/Error.h"

#include <string>

namespace sfa {

/// "FILE:LINE:COLUMN: ", or nothing where the file is not known.
std::string describePlace(mlir::Location location);

/// Collects the errors of the compiler instead of printing them, each with its file, line and
/// column, and its notes.
class DiagnosticCollector {
public:
  explicit DiagnosticCollector(mlir::MLIRContext *context);

  /// `summary`, and behind it all that was collected.
  llvm::Error toError(const std::string &summary) const;

private:
  void add(mlir::Diagnostic &diagnostic, const char *severity);

  std::string text;
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace sfa

#endif // SFA_LIB_TARGET_DIAGNOSTICS_H
