//===- Module.cpp - A module of the JIT, and the schedules of its calls ---===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Module.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "sfa/Passes.h"
#include "llvm/ADT/StringExtras.h"

#include <fmt/format.h>

using namespace mlir;
using namespace sfa;
using namespace sfa::jit;

llvm::Expected<Module> Module::parse(StringRef text, const char *entry) {
  Module result;
  DialectRegistry registry;
  registerDialects(registry);
  result.context = std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
  // A message says what is wrong; the text of the operation is the caller's.
  result.context->printOpOnDiagnostic(false);
  std::string messages;
  {
    ScopedDiagnosticHandler handler(result.context.get(), [&](Diagnostic &diagnostic) {
      messages += (messages.empty() ? "" : "\n") + diagnostic.str();
      return success();
    });
    result.module = parseSourceString<ModuleOp>(text, result.context.get());
  }
  if (!result.module)
    return llvm::createStringError("the module is not valid: " + messages);
  if (entry) {
    result.entry = entry;
    return std::move(result);
  }
  unsigned count = 0;
  for (auto function : result.module->getOps<func::FuncOp>())
    if (function.isPublic() && !function.isExternal()) {
      result.entry = function.getName().str();
      ++count;
    }
  if (count != 1)
    return llvm::createStringError(
        fmt::format("the module has {} public functions; name one of them", count));
  return std::move(result);
}

llvm::Expected<SmallVector<AttentionOp>> Module::canonicalAttentions() {
  auto function = module->lookupSymbol<func::FuncOp>(entry);
  if (!function || function.isExternal())
    return llvm::createStringError(
        fmt::format("the module has no function @{} with a body", entry));
  PassManager manager(context.get(), func::FuncOp::getOperationName());
  manager.addPass(createCanonicalizerPass());
  if (failed(manager.run(function)))
    return llvm::createStringError(fmt::format("cannot simplify @{}", entry));
  SmallVector<AttentionOp> attentions;
  function.walk([&](AttentionOp op) { attentions.push_back(op); });
  return attentions;
}

llvm::Error Module::assignSchedules(Shapes shapes, const Device &device) {
  auto attentions = canonicalAttentions();
  if (!attentions)
    return attentions.takeError();
  for (AttentionOp op : *attentions) {
    llvm::Expected<Problem> problem = ProblemOfCalls(op).at(shapes);
    if (!problem)
      return problem.takeError();
    llvm::Expected<Choice> choice = assignSchedule(op, *problem, device);
    if (!choice)
      return choice.takeError();
  }
  return llvm::Error::success();
}

llvm::Expected<Choices> Choices::of(Module module) {
  auto attentions = module.canonicalAttentions();
  if (!attentions)
    return attentions.takeError();
  Choices choices;
  for (AttentionOp op : *attentions) {
    ScheduleAttr given = op.getScheduleAttr();
    choices.attentions.push_back(
        {ProblemOfCalls(op), given ? given.getSchedule() : Schedule()});
  }
  return std::move(choices);
}

llvm::Expected<std::string> Choices::describe(Shapes shapes, const Device &device,
                                              bool explain) const {
  llvm::Expected<const TuningDatabase *> database = getTuningDatabase();
  if (!database)
    return database.takeError();
  std::string text;
  llvm::raw_string_ostream stream(text);
  llvm::ListSeparator separator("; ");
  for (const auto &[calls, given] : attentions) {
    llvm::Expected<Problem> problem = calls.at(shapes);
    if (!problem)
      return problem.takeError();
    llvm::Expected<Schedule> fixed = givenSchedule(given);
    if (!fixed)
      return fixed.takeError();
    Choice choice = choose(*problem, device, *fixed, **database);
    stream << StringRef(separator) << withoutDefaults(choice.schedule, device);
    if (explain)
      stream << ": " << choice.reason;
  }
  return text;
}
