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
#include "sfa/Support/Knobs.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"

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

llvm::Expected<std::vector<Choice>> Choices::choose(Shapes shapes, const Device &device) const {
  llvm::Expected<const TuningDatabase *> database = getTuningDatabase();
  if (!database)
    return database.takeError();
  std::vector<Choice> choices;
  for (const auto &[calls, ofOperation] : attentions) {
    llvm::Expected<Problem> problem = calls.at(shapes);
    if (!problem)
      return problem.takeError();
    llvm::Expected<Schedule> given = givenSchedule(ofOperation);
    if (!given)
      return given.takeError();
    choices.push_back(sfa::choose(*problem, device, *given, **database));
  }
  return choices;
}

llvm::Expected<std::string> Choices::describe(Shapes shapes, const Device &device) const {
  llvm::Expected<std::vector<Choice>> choices = choose(shapes, device);
  if (!choices)
    return choices.takeError();
  std::string text;
  llvm::raw_string_ostream stream(text);
  llvm::ListSeparator separator("; ");
  for (const Choice &choice : *choices)
    stream << StringRef(separator) << withoutDefaults(choice.schedule, device);
  return text;
}

llvm::Error Choices::record(Shapes shapes) const {
  std::optional<std::string> path = knobs::recordProblems();
  if (!path)
    return llvm::Error::success();
  std::string lines;
  llvm::raw_string_ostream stream(lines);
  for (const auto &[calls, given] : attentions) {
    llvm::Expected<Problem> problem = calls.at(shapes);
    if (!problem)
      return problem.takeError();
    std::optional<ProblemKey> key = ProblemKey::of(*problem);
    if (key && !problem->hasSequences)
      stream << llvm::json::Value(describeCase(*problem, *key)) << '\n';
  }
  // Of several processes each adds whole lines.
  std::error_code code;
  llvm::raw_fd_ostream file(*path, code, llvm::sys::fs::CD_OpenAlways, llvm::sys::fs::FA_Write,
                            llvm::sys::fs::OF_Append);
  if (code)
    return llvm::createStringError(
        fmt::format("the environment variable SFA_RECORD_PROBLEMS: cannot write {}: {}", *path,
                    code.message()));
  file << lines;
  return llvm::Error::success();
}
