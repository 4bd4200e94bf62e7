//===- sfa-lsp-server.cpp - Language server for .mlir files ---------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"
#include "sfa/Passes.h"
#include "tools/Common/Version.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  sfa::registerDialects(registry);
  sfa::setVersionPrinter();
  return mlir::failed(mlir::MlirLspServerMain(argc, argv, registry));
}
