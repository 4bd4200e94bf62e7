//===- Workload.cpp - One attention to measure, its code and its data -----===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Workload.h"

#include "mlir/Parser/Parser.h"
#include "sfa/Target/CPU/Executable.h"

#include <fmt/format.h>
#include <random>

using namespace mlir;
using namespace sfa;
using namespace sfa::bench;

std::string Workload::describe() const {
  return fmt::format("b={} h={} n={} d={} dv={} k={} {} {}", batch, heads, tokens, features,
                     valueFeatures, k, isCausal ? "causal" : "no mask", name(type).str());
}

static std::string tensorType(const Workload &problem, int64_t features, bool isCodes) {
  return fmt::format("tensor<{}x{}x{}x{}x{}{}>", problem.batch, problem.heads, problem.tokens,
                     features, name(problem.type).str(),
                     isCodes ? fmt::format(", #sfa.codes<k = {}>", problem.k) : "");
}

OwningOpRef<ModuleOp> Workload::buildModule(MLIRContext *context) const {
  std::string codes = tensorType(*this, features, true);
  std::string values = tensorType(*this, valueFeatures, false);
  return parseSourceString<ModuleOp>(
      fmt::format("func.func @attention(%q: {0}, %k: {0}, %v: {1}) -> {1} {{\n"
                  "  %o = sfa.attention %q, %k, %v {2} : {0}, {0}, {1} -> {1}\n"
                  "  return %o : {1}\n}}\n",
                  codes, values, isCausal ? "mask <causal>" : ""),
      context);
}

static NpyArray makeNormal(ElementType type, ArrayRef<int64_t> shape, std::mt19937_64 &random) {
  NpyArray array = NpyArray::zeros(type, shape);
  std::normal_distribution<double> normal;
  std::vector<double> values(array.numElements());
  for (double &value : values)
    value = normal(random);
  fromDouble(values, array);
  return array;
}

llvm::Expected<std::vector<NpyArray>> Workload::makeArguments(MLIRContext *context,
                                                             uint64_t seed) const {
  std::string dense = tensorType(*this, features, false);
  std::string codes = tensorType(*this, features, true);
  auto module = parseSourceString<ModuleOp>(fmt::format("func.func @sparsify(%x: {0}) -> {1} {{\n"
                                                        "  %c = sfa.sparsify %x : {0} -> {1}\n"
                                                        "  return %c : {1}\n}}\n",
                                                        dense, codes),
                                            context);
  if (!module)
    return llvm::createStringError("cannot parse the module that makes codes");
  auto sparsify = cpu::Executable::compile(*module, "sparsify");
  if (!sparsify)
    return sparsify.takeError();

  std::mt19937_64 random(seed);
  std::vector<NpyArray> arguments;
  for (int operand = 0; operand < 2; ++operand) {
    NpyArray tokensOfOperand = makeNormal(type, {batch, heads, tokens, features}, random);
    auto results = (*sparsify)->invoke(BufferRef::of(tokensOfOperand));
    if (!results)
      return results.takeError();
    llvm::append_range(arguments, std::move(*results));
  }
  arguments.push_back(makeNormal(type, {batch, heads, tokens, valueFeatures}, random));
  return arguments;
}
