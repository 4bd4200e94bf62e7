//===- sfa-reduce.cpp - Make a small case of a module that fails ----------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// MLIR's mlir-reduce with the dialects of this project, and with a pass that takes operations out
// of functions: --reduction-tree of LLVM 22 crashes where it gets that far.
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Reducer/Tester.h"
#include "mlir/Tools/mlir-reduce/MlirReduceMain.h"
#include "mlir/Transforms/Passes.h"
#include "sfa/Passes.h"
#include "tools/Common/Version.h"

using namespace mlir;

namespace {

/// Takes one operation after the other out of the module, functions included, as long as a test
/// finds what is left interesting.
class EraseOperations : public PassWrapper<EraseOperations, OperationPass<ModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(EraseOperations)

  EraseOperations() = default;
  EraseOperations(const EraseOperations &other) : PassWrapper(other) {}

  StringRef getArgument() const override { return "erase-operations"; }
  StringRef getDescription() const override {
    return "Erase operations that the test does not need; uses of results get an operand of the "
           "same type, or a new argument of the function";
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    Tester tester(testerName, testerArgs);
    if (tester.isInteresting(module).first != Tester::Interestingness::True) {
      module.emitError() << "the test '" << testerName
                         << "' does not find the module interesting; its exit status has to be "
                            "another one than 0 for what is to be kept";
      return signalPassFailure();
    }
    // Users go before what they use, so that most results have no uses left when it is their turn.
    while (eraseSome(module, tester))
      ;
  }

private:
  Option<std::string> testerName{*this, "test",
                                 llvm::cl::desc("The program that is given a file and fails for "
                                                "what is interesting")};
  ListOption<std::string> testerArgs{
      *this, "test-arg", llvm::cl::desc("Arguments of the test, before the name of the file")};

  static SmallVector<Operation *> listOperations(ModuleOp module) {
    SmallVector<Operation *> operations;
    module.walk<WalkOrder::PreOrder>([&](Operation *op) { operations.push_back(op); });
    return operations;
  }

  static void erase(Operation *op) {
    for (Value result : op->getResults()) {
      if (result.use_empty())
        continue;
      auto operand = llvm::find_if(
          op->getOperands(), [&](Value operand) { return operand.getType() == result.getType(); });
      if (operand != op->operand_end()) {
        result.replaceAllUsesWith(*operand);
        continue;
      }
      auto function = op->getParentOfType<FunctionOpInterface>();
      if (!function || failed(function.insertArgument(function.getNumArguments(), result.getType(),
                                                      {}, op->getLoc())))
        return;
      result.replaceAllUsesWith(function.getArguments().back());
    }
    op->erase();
  }

  /// One pass over all operations, from the last to the first; whether any of them is gone.
  static bool eraseSome(ModuleOp module, const Tester &tester) {
    bool isSmaller = false;
    for (size_t index = listOperations(module).size(); --index > 0;) {
      OwningOpRef<ModuleOp> candidate = module.clone();
      SmallVector<Operation *> operations = listOperations(*candidate);
      // Operations within one that is gone are gone as well.
      if (index >= operations.size() || operations[index]->hasTrait<OpTrait::IsTerminator>())
        continue;
      erase(operations[index]);
      ScopedDiagnosticHandler silent(module.getContext(), [](Diagnostic &) { return success(); });
      if (listOperations(*candidate).size() == operations.size() || failed(verify(*candidate)) ||
          tester.isInteresting(*candidate).first != Tester::Interestingness::True)
        continue;
      module.getBodyRegion().takeBody(candidate->getBodyRegion());
      isSmaller = true;
    }
    return isSmaller;
  }
};

} // namespace

int main(int argc, char **argv) {
  DialectRegistry registry;
  sfa::registerDialects(registry);
  // What --opt-reduction-pass may run.
  sfa::registerSFAPasses();
  registerTransformsPasses();
  PassRegistration<EraseOperations>();
  sfa::setVersionPrinter();
  MLIRContext context(registry);
  return failed(mlirReduceMain(argc, argv, context));
}
