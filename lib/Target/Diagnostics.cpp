//===- Diagnostics.cpp - What the compiler says, as the message of an error -===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Diagnostics.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"

#include <fmt/format.h>

using namespace mlir;
using namespace sfa;

std::string sfa::describePlace(Location location) {
  auto place = location->findInstanceOf<FileLineColLoc>();
  if (!place)
    return "";
  return fmt::format("{}:{}:{}: ", place.getFilename().str(), place.getLine(), place.getColumn());
}

DiagnosticCollector::DiagnosticCollector(MLIRContext *context)
    : handler(context, [this](Diagnostic &diagnostic) {
        if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
          return failure();
        add(diagnostic, "error");
        for (Diagnostic &note : diagnostic.getNotes())
          add(note, "note");
        return success();
      }) {}

llvm::Error DiagnosticCollector::toError(const std::string &summary) const {
  return llvm::createStringError(text.empty() ? summary : summary + ":\n" + text);
}

void DiagnosticCollector::add(Diagnostic &diagnostic, const char *severity) {
  llvm::raw_string_ostream stream(text);
  if (!text.empty())
    stream << '\n';
  stream << describePlace(diagnostic.getLocation()) << severity << ": " << diagnostic;
}
