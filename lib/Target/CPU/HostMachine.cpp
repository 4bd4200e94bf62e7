//===- HostMachine.cpp - LLVM's view of the processor to compile for ------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "HostMachine.h"

#include "sfa/Target/CPU/Executable.h"
#include "llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/X86TargetParser.h"

#include <fmt/format.h>

using namespace llvm;

/// The features of the x86 processor `cpu`. Fails when this machine lacks one, since running its
/// code would end in an illegal instruction.
static Expected<StringMap<bool>> getX86Features(StringRef cpu, const StringMap<bool> &host) {
  SmallVector<StringRef> known;
  X86::fillValidCPUArchList(known, /*Only64Bit=*/true);
  if (!is_contained(known, cpu))
    return createStringError(fmt::format(
        "unknown processor '{}'; allowed are the names of LLVM, such as x86-64-v3", cpu.str()));
  SmallVector<StringRef> names;
  X86::getFeaturesForCPU(cpu, names);
  StringMap<bool> features;
  for (StringRef name : names) {
    auto found = host.find(name);
    // Some names are not of instructions and never found on a host.
    if (found != host.end() && !found->second)
      return createStringError(
          fmt::format("cannot compile for the processor '{}': it has {}, this machine has not",
                      cpu.str(), name.str()));
    features[name] = true;
  }
  return features;
}

static unsigned widestVector(const Triple &triple, const StringMap<bool> &features) {
  if (triple.isX86()) {
    if (features.lookup("avx512f"))
      return 512;
    if (features.lookup("avx2"))
      return 256;
  }
  return 128;
}

Expected<sfa::cpu::HostMachine> sfa::cpu::createHostMachine(StringRef cpu) {
  static bool isInitialized = [] {
    InitializeNativeTarget();
    InitializeNativeTargetAsmPrinter();
    return true;
  }();
  (void)isInitialized;

  Triple triple(sys::getProcessTriple());
  StringMap<bool> features = sys::getHostCPUFeatures();
  orc::JITTargetMachineBuilder builder(triple);
  if (cpu.empty()) {
    builder.setCPU(sys::getHostCPUName().str());
    for (const auto &feature : features)
      builder.getFeatures().AddFeature(feature.first(), feature.second);
  } else {
    if (!triple.isX86())
      return createStringError("a processor can be named on x86-64 only");
    Expected<StringMap<bool>> restricted = getX86Features(cpu, features);
    if (!restricted)
      return restricted.takeError();
    features = std::move(*restricted);
    builder.setCPU(cpu.str());
  }
  builder.setCodeGenOptLevel(CodeGenOptLevel::Less);
  Expected<std::unique_ptr<TargetMachine>> machine = builder.createTargetMachine();
  if (!machine)
    return machine.takeError();
  return HostMachine{std::move(*machine), widestVector(triple, features)};
}

Expected<unsigned> sfa::cpu::getVectorBits(const CompileOptions &options) {
  Expected<HostMachine> host = createHostMachine(options.cpu);
  if (!host)
    return host.takeError();
  return host->vectorBits;
}
