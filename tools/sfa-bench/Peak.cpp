//===- Peak.cpp - The multiply-add rate that this machine reaches ---------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Peak.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "sfa/Target/CPU/ParallelFor.h"
#include "tools/Common/Timing.h"

#include <fmt/format.h>

using namespace mlir;
using namespace sfa;
using namespace sfa::bench;

/// Some ten million cycles.
static constexpr int64_t numIterations = 1000000;

/// Chains enough to hide the latency of a multiply-add, few enough for the registers of the
/// machine: 32 with AVX-512, 16 with AVX2.
static int64_t chainsFor(unsigned vectorBits) { return vectorBits >= 512 ? 24 : 12; }

/// A function of chains + 2 numbers: the starts of the chains, a factor and a summand.
static std::string writeModule(int64_t chains, int64_t lanes) {
  std::string vector = fmt::format("vector<{}xf32>", lanes);
  std::string input = fmt::format("tensor<{}xf32>", chains + 2);
  std::string text = fmt::format("func.func @peak(%x: {}) -> tensor<f32> {{\n", input);
  for (int64_t number = 0; number < chains + 2; ++number)
    text += fmt::format("  %i{0} = arith.constant {0} : index\n"
                        "  %s{0} = tensor.extract %x[%i{0}] : {1}\n"
                        "  %v{0} = vector.broadcast %s{0} : f32 to {2}\n",
                        number, input, vector);

  std::string starts, types, next;
  for (int64_t chain = 0; chain < chains; ++chain) {
    const char *separator = chain ? ", " : "";
    starts += fmt::format("{}%a{} = %v{}", separator, chain, chain);
    types += separator + vector;
    next += fmt::format("{}%n{}", separator, chain);
  }
  text += fmt::format("  %end = arith.constant {} : index\n"
                      "  %r:{} = scf.for %i = %i0 to %end step %i1 iter_args({}) -> ({}) {{\n",
                      numIterations, chains, starts, types);
  for (int64_t chain = 0; chain < chains; ++chain)
    text += fmt::format("    %n{0} = vector.fma %a{0}, %v{1}, %v{2} : {3}\n", chain, chains,
                        chains + 1, vector);
  text += fmt::format("    scf.yield {} : {}\n  }}\n", next, types);

  // All results are used, so that none is optimised away.
  text += fmt::format("  %t0 = arith.addf %r#0, %r#1 : {}\n", vector);
  for (int64_t chain = 2; chain < chains; ++chain)
    text +=
        fmt::format("  %t{} = arith.addf %t{}, %r#{} : {}\n", chain - 1, chain - 2, chain, vector);
  return text + fmt::format("  %sum = vector.reduction <add>, %t{} : {} into f32\n"
                            "  %o = tensor.from_elements %sum : tensor<f32>\n"
                            "  return %o : tensor<f32>\n}}\n",
                            chains - 2, vector);
}

llvm::Expected<PeakMeter> PeakMeter::create(MLIRContext *context) {
  llvm::Expected<unsigned> vectorBits = cpu::getVectorBits();
  if (!vectorBits)
    return vectorBits.takeError();
  llvm::Expected<unsigned> numThreads = cpu::getNumThreads();
  if (!numThreads)
    return numThreads.takeError();
  int64_t lanes = *vectorBits / 32, chains = chainsFor(*vectorBits);

  auto module = parseSourceString<ModuleOp>(writeModule(chains, lanes), context);
  if (!module)
    return llvm::createStringError("cannot parse the module that measures the peak");
  auto executable = cpu::Executable::compile(*module, "peak");
  if (!executable)
    return executable.takeError();

  PeakMeter meter;
  meter.executable = std::move(*executable);
  meter.numThreads = *numThreads;
  meter.flops = 2.0 * *numThreads * numIterations * chains * lanes;
  meter.input = NpyArray::zeros(ElementType::F32, {chains + 2});
  auto *numbers = meter.input.as<float>();
  for (int64_t chain = 0; chain < chains; ++chain)
    numbers[chain] = static_cast<float>(chain);
  // The chains tend to 1, far from numbers that some processors handle slowly.
  numbers[chains] = 0.5f;
  numbers[chains + 1] = 0.5f;
  auto call = meter.executable->prepare(BufferRef::of(meter.input));
  if (!call)
    return call.takeError();
  meter.call = std::move(*call);
  return std::move(meter);
}

double PeakMeter::measure() {
  auto body = [](void *call, int64_t, void *) {
    llvm::cantFail((*static_cast<cpu::Call *>(call))());
  };
  double milliseconds =
      measureMilliseconds([&] { sfa_cpu_parallel_for(numThreads, 0, body, &*call); });
  return flops / milliseconds / 1e6;
}
