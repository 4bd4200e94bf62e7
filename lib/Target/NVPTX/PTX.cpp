//===- PTX.cpp - From the LLVM dialect to PTX --------------------------------- ===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Target/NVPTX/PTX.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "sfa/Passes.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

#include <mutex>

namespace sfa {
#define GEN_PASS_DEF_SFAEMITPTXPASS
#include "sfa/Passes.h.inc"
} // namespace sfa

using namespace mlir;
using namespace sfa;

static llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
createMachine(const Chip &chip, llvm::StringRef ptxFeature) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
  });
  llvm::Triple triple("nvptx64-nvidia-cuda");
  std::string message;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, message);
  if (!target)
    return llvm::createStringError("this LLVM has no NVPTX backend: " + message);
  return std::unique_ptr<llvm::TargetMachine>(
      target->createTargetMachine(triple, chip.name, ptxFeature, llvm::TargetOptions(),
                                  std::nullopt, std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

llvm::Expected<Chip> sfa::nvptx::getChip(gpu::GPUModuleOp module) {
  for (Attribute target : module.getTargetsAttr() ? module.getTargetsAttr() : ArrayAttr())
    if (auto nvvm = dyn_cast<NVVM::NVVMTargetAttr>(target))
      return Chip::parse(nvvm.getChip());
  return llvm::createStringError("the gpu.module @" + module.getName() + " has no #nvvm.target");
}

llvm::Expected<std::unique_ptr<llvm::Module>>
sfa::nvptx::translateToLLVM(gpu::GPUModuleOp module, const Chip &chip, llvm::LLVMContext &context) {
  auto machine = createMachine(chip, chip.ptxFeature());
  if (!machine)
    return machine.takeError();
  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerGPUDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
  module.getContext()->appendDialectRegistry(registry);
  std::unique_ptr<llvm::Module> translated = translateModuleToLLVMIR(module, context);
  if (!translated)
    return llvm::createStringError("the gpu.module @" + module.getName() +
                                   " cannot be translated to LLVM IR");
  translated->setTargetTriple((*machine)->getTargetTriple());
  translated->setDataLayout((*machine)->createDataLayout());
  // Inline assembly holds instructions that all threads of a warp execute together; the dialect has
  // no attribute that says so.
  for (llvm::Function &function : *translated)
    for (llvm::Instruction &instruction : llvm::instructions(function))
      if (auto *call = llvm::dyn_cast<llvm::CallInst>(&instruction); call && call->isInlineAsm())
        call->setConvergent();
  return translated;
}

/// The version of the PTX ISA that `module` needs: sparse products whose places are in order came
/// with 8.5, and older ones are slow on newer chips (PTX ISA, "mma.sp").
static llvm::StringRef findPtxFeature(const llvm::Module &module, const Chip &chip) {
  for (const llvm::Function &function : module)
    if (function.getName().starts_with("llvm.nvvm.mma.sp.ordered.metadata"))
      return "+ptx85";
  return chip.ptxFeature();
}

llvm::Expected<std::string> sfa::nvptx::translateToPTX(llvm::Module &module, const Chip &chip) {
  auto machine = createMachine(chip, findPtxFeature(module, chip));
  if (!machine)
    return machine.takeError();
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager manager;
  if ((*machine)->addPassesToEmitFile(manager, stream, nullptr,
                                      llvm::CodeGenFileType::AssemblyFile))
    return llvm::createStringError("LLVM's NVPTX backend cannot write PTX");
  manager.run(module);
  return std::string(text);
}

namespace {
struct SFAEmitPTX : sfa::impl::SFAEmitPTXPassBase<SFAEmitPTX> {
  void runOnOperation() override {
    SmallVector<gpu::GPUModuleOp> modules(getOperation().getOps<gpu::GPUModuleOp>());
    for (gpu::GPUModuleOp module : modules) {
      llvm::LLVMContext context;
      auto ptx = [&]() -> llvm::Expected<std::string> {
        llvm::Expected<Chip> chip = nvptx::getChip(module);
        if (!chip)
          return chip.takeError();
        auto translated = nvptx::translateToLLVM(module, *chip, context);
        if (!translated)
          return translated.takeError();
        return nvptx::translateToPTX(**translated, *chip);
      }();
      if (!ptx) {
        module.emitError() << llvm::toString(ptx.takeError());
        return signalPassFailure();
      }
      OpBuilder builder(module);
      auto object = gpu::ObjectAttr::get(
          &getContext(), module.getTargetsAttr()[0], gpu::CompilationTarget::Assembly,
          builder.getStringAttr(*ptx), /*properties=*/nullptr, /*kernels=*/nullptr);
      gpu::BinaryOp::create(builder, module.getLoc(), module.getName(), nullptr,
                            builder.getArrayAttr(object));
      module.erase();
    }
  }
};
} // namespace
