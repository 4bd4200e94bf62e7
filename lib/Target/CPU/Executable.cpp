//===- Executable.cpp - A function compiled for and run on this CPU -------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Target/CPU/Executable.h"

#include "../Diagnostics.h"
#include "CallFrame.h"
#include "HostMachine.h"
#include "RuntimeSymbols.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/ExecutionEngine/ExecutionEngine.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Transforms/Passes.h"
#include "sfa/Passes.h"
#include "sfa/Target/CPU/ParallelFor.h"
#include "llvm/IR/Module.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Transforms/IPO/Internalize.h"

#include <fmt/format.h>

using namespace mlir;
using namespace sfa;
using namespace sfa::cpu;

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

// A memref descriptor is: the allocation, the first element, an offset, the sizes, the strides. All
// fields have eight bytes.
static_assert(sizeof(void *) == sizeof(int64_t), "descriptors need a 64-bit machine");
static void appendDescriptor(std::vector<int64_t> &words, const BufferRef &buffer) {
  auto address = reinterpret_cast<int64_t>(buffer.data);
  words.insert(words.end(), {address, address, 0});
  words.insert(words.end(), buffer.shape.begin(), buffer.shape.end());
  size_t strides = words.size();
  words.resize(strides + buffer.shape.size());
  int64_t stride = 1;
  for (size_t dim = buffer.shape.size(); dim-- > 0;) {
    words[strides + dim] = stride;
    stride *= buffer.shape[dim];
  }
}

void Call::run() const {
  SmallVector<const int64_t *, 8> pointers;
  for (size_t start : starts)
    pointers.push_back(descriptors.data() + start);
  SmallVector<void *, 8> packed;
  for (auto [parameter, pointer] : llvm::zip_equal(signature->arguments(), pointers))
    packed.push_back(parameter.isNumber ? const_cast<int64_t *>(pointer)
                                        : static_cast<void *>(&pointer));
  function(packed.data());
}

llvm::Expected<std::vector<NpyArray>> Call::operator()() const {
  std::vector<NpyArray> results;
  CallFrame frame(signature->results(), results);
  if (llvm::Error error = frame.run([&] { run(); }))
    return std::move(error);
  return std::move(results);
}

llvm::Error Call::into(ArrayRef<BufferRef> results) const {
  if (llvm::Error error = signature->checkResults(results, arguments))
    return error;
  CallFrame frame(results);
  return frame.run([&] { run(); });
}

//===----------------------------------------------------------------------===//
// Compilation
//===----------------------------------------------------------------------===//

static llvm::Expected<func::FuncOp> findEntry(ModuleOp module, StringRef entry) {
  auto function = module.lookupSymbol<func::FuncOp>(entry);
  if (!function)
    return llvm::createStringError(fmt::format("the module has no function @{}", entry.str()));
  if (function.isExternal())
    return llvm::createStringError(fmt::format("the function @{} has no body", entry.str()));
  return function;
}

/// The name that the lowering gives the entry with memref descriptors in memory.
static std::string wrapperName(StringRef entry) { return ("_mlir_ciface_" + entry).str(); }

/// Fails when the module uses a function or a variable that it does not define, and that is not one
/// of the runtime.
static llvm::Error checkSymbols(ModuleOp module) {
  for (auto function : module.getOps<LLVM::LLVMFuncOp>())
    if (function.isExternal() && !SymbolTable::symbolKnownUseEmpty(function, module) &&
        !isRuntimeSymbol(function.getName()))
      return llvm::createStringError(fmt::format(
          "the module calls the function @{}, which has no body", function.getName().str()));
  for (auto variable : module.getOps<LLVM::GlobalOp>())
    if (!variable.getValueAttr() && !variable.getInitializerBlock())
      return llvm::createStringError(fmt::format("the module declares the variable @{}, which has "
                                                 "no value",
                                                 variable.getSymName().str()));
  return llvm::Error::success();
}

/// Drops what the entry does not call. It is what is called from outside, and by nothing else.
static void keepOnly(func::FuncOp entry, OpPassManager &manager) {
  for (auto function : entry->getParentOfType<ModuleOp>().getOps<func::FuncOp>())
    function.setVisibility(function == entry ? SymbolTable::Visibility::Public
                                             : SymbolTable::Visibility::Private);
  manager.addPass(createSymbolDCEPass());
}

/// Only the entry is called from outside, so that LLVM may inline and drop all others, and
/// full-width vectors are wanted even on processors for which LLVM prefers narrower ones.
static void prepareForOptimizer(llvm::Module &module, StringRef entry, unsigned vectorBits) {
  std::string packed = "_mlir_" + wrapperName(entry);
  llvm::internalizeModule(
      module, [&](const llvm::GlobalValue &value) { return value.getName() == packed; });
  for (llvm::Function &function : module)
    if (!function.isDeclaration())
      function.addFnAttr("prefer-vector-width", std::to_string(vectorBits));
}

/// The kernels come vectorised, tiled, unrolled and free of common subexpressions: the whole
/// pipeline of -O1 takes seven times as long as these passes, that of -O3 ten times, and neither
/// makes a kernel faster (docs/performance.md).
static void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  llvm::ModulePassManager manager;
  llvm::cantFail(builder.parsePassPipeline(
      manager, "globaldce,function(sroa,early-cse<memssa>,simplifycfg,"
               "instcombine<max-iterations=1;no-verify-fixpoint>,loop-mssa(licm))"));
  manager.run(module, modules);
}

Executable::Executable() = default;
Executable::~Executable() = default;

llvm::Expected<std::unique_ptr<Executable>> Executable::compile(ModuleOp module, StringRef entry,
                                                                const CompileOptions &options) {
  if (llvm::Expected<unsigned> numThreads = getNumThreads(); !numThreads)
    return numThreads.takeError();
  llvm::Expected<HostMachine> host = createHostMachine(options.cpu);
  if (!host)
    return host.takeError();

  MLIRContext *context = module.getContext();
  DialectRegistry registry;
  registerDialects(registry);
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  context->appendDialectRegistry(registry);

  DiagnosticCollector diagnostics(context);
  if (failed(verify(module)))
    return diagnostics.toError("the module is not valid");

  std::unique_ptr<Executable> executable(new Executable());
  OwningOpRef<ModuleOp> lowered = module.clone();
  llvm::Expected<func::FuncOp> function = findEntry(*lowered, entry);
  if (!function)
    return function.takeError();
  llvm::Expected<Signature> signature = Signature::of(*function);
  if (!signature)
    return signature.takeError();
  executable->sign = std::move(*signature);

  (*function)->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(), UnitAttr::get(context));
  for (unsigned number = 0; number < function->getNumArguments(); ++number)
    function->setArgAttr(number, bufferization::BufferizationDialect::kWritableAttrName,
                         BoolAttr::get(context, false));

  PassManager manager(context);
  keepOnly(*function, manager);
  CPUPipelineOptions pipeline;
  pipeline.vectorBits = host->vectorBits;
  buildSFAToCPUPipeline(manager, pipeline);
  // Once at the end, not after each of some dozen passes: a tenth of the time of a compilation.
  manager.enableVerifier(false);
  if (failed(manager.run(*lowered)) || failed(verify(*lowered)))
    return diagnostics.toError("the compiler failed");

  if (llvm::Error error = checkSymbols(*lowered))
    return error;

  llvm::TargetMachine *machine = host->machine.get();
  auto transform = [&](llvm::Module *llvmModule) {
    prepareForOptimizer(*llvmModule, entry, host->vectorBits);
    optimize(*llvmModule, *machine);
    return llvm::Error::success();
  };
  ExecutionEngineOptions engineOptions;
  engineOptions.transformer = transform;
  engineOptions.jitCodeGenOptLevel = llvm::CodeGenOptLevel::Less;
  engineOptions.enableGDBNotificationListener = false;
  engineOptions.enablePerfNotificationListener = false;
  auto engine = ExecutionEngine::create(*lowered, engineOptions, std::move(host->machine));
  if (!engine)
    return diagnostics.toError(llvm::toString(engine.takeError()));
  (*engine)->registerSymbols(getRuntimeSymbols);
  auto found = (*engine)->lookupPacked(wrapperName(entry));
  if (!found)
    return diagnostics.toError(llvm::toString(found.takeError()));
  executable->engine = std::move(*engine);
  executable->function = *found;
  return executable;
}

llvm::Expected<Call> Executable::prepare(ArrayRef<BufferRef> arguments) const {
  if (llvm::Error error = sign.check(arguments))
    return error;
  Call call;
  call.function = function;
  call.signature = &sign;
  call.arguments = arguments;
  for (auto [parameter, argument] : llvm::zip_equal(sign.arguments(), arguments)) {
    call.starts.push_back(call.descriptors.size());
    if (parameter.isNumber)
      call.descriptors.push_back(*static_cast<const int64_t *>(argument.data));
    else
      appendDescriptor(call.descriptors, argument);
  }
  return call;
}

llvm::Expected<std::vector<NpyArray>> Executable::invoke(ArrayRef<BufferRef> arguments) const {
  llvm::Expected<Call> call = prepare(arguments);
  if (!call)
    return call.takeError();
  return (*call)();
}
