//===- Configuration.cpp - One compiled attention of the execution tests --===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Configuration.h"

#include <fmt/format.h>

using namespace sfa;
using namespace sfa::test;

std::string sfa::test::describeMask(const Configuration &configuration) {
  switch (configuration.mask) {
  case oracle::Mask::None:
    return "none";
  case oracle::Mask::Causal:
    return "causal";
  case oracle::Mask::Window:
    break;
  }
  std::string text = "window";
  if (configuration.left)
    text += fmt::format(", left = {}", *configuration.left);
  if (configuration.right)
    text += fmt::format(", right = {}", *configuration.right);
  return text;
}

std::string Configuration::module() const {
  auto size = [&](int64_t Shape::*dim) {
    if (hasSequences && dim == &Shape::batch)
      return std::string("1");
    return staticShape ? std::to_string((*staticShape).*dim) : std::string("?");
  };
  std::string element = sfa::name(type).str();
  auto tensor = [&](int64_t heads, int64_t Shape::*tokens, int64_t features,
                    std::optional<int64_t> k = std::nullopt) {
    return fmt::format("tensor<{}x{}x{}x{}x{}{}>", size(&Shape::batch), heads, size(tokens),
                       features, element, k ? fmt::format(", #sfa.codes<k = {}>", *k) : "");
  };

  std::string arguments, body;
  // The name and the type of the operand that the attention takes.
  auto addOperand = [&](const char *name, Form form, int64_t heads, int64_t Shape::*tokens,
                        int64_t k) -> std::pair<std::string, std::string> {
    std::string dense = tensor(heads, tokens, d), codes = tensor(heads, tokens, d, k);
    arguments += fmt::format("%{}: {}, ", name, form == Form::Codes ? codes : dense);
    if (form != Form::Sparsified)
      return {fmt::format("%{}", name), form == Form::Codes ? codes : dense};
    body += fmt::format("  %{0}_codes = sfa.sparsify %{0} : {1} -> {2}\n", name, dense, codes);
    return {fmt::format("%{}_codes", name), codes};
  };
  auto [query, queryType] = addOperand("q", queryForm, queryHeads, &Shape::numQueries, queryK);
  auto [key, keyType] = addOperand("k", keyForm, keyHeads, &Shape::numKeys, keyK);
  std::string valueType = tensor(keyHeads, &Shape::numKeys, dv);
  std::string outputType = tensor(queryHeads, &Shape::numQueries, dv);
  std::string lseType = fmt::format("tensor<{}x{}x{}xf32>", size(&Shape::batch), queryHeads,
                                    size(&Shape::numQueries));

  std::string schedule = fmt::format("strategy = {}, softmax = {}", stringifyEnum(strategy).str(),
                                     stringifyEnum(softmax).str());
  if (qTile)
    schedule += fmt::format(", q_tile = {}", *qTile);
  if (kTile)
    schedule += fmt::format(", k_tile = {}", *kTile);
  if (splits)
    schedule += fmt::format(", splits = {}", *splits);
  if (packedHeads)
    schedule += fmt::format(", packed_heads = {}", *packedHeads);
  std::string offsets = hasSequences ? ", %cu_q: tensor<?xi32>, %cu_k: tensor<?xi32>" : "";
  std::string sequences =
      hasSequences ? " sequences(%cu_q, %cu_k : tensor<?xi32>, tensor<?xi32>)" : "";
  std::string results = hasLse ? outputType + ", " + lseType : outputType;
  return fmt::format(
      "func.func @attention({}%v: {}{}) -> ({}) {{\n{}"
      "  %o{} = sfa.attention {}, {}, %v{}{}{} schedule <{}>\n"
      "    : {}, {}, {} -> {}\n"
      "  return %o{} : {}\n}}\n",
      arguments, valueType, offsets, results, body, hasLse ? ", %lse" : "", query, key, sequences,
      mask == oracle::Mask::None ? "" : fmt::format(" mask <{}>", describeMask(*this)),
      scale ? fmt::format(" scale {:e}", *scale) : "", schedule, queryType, keyType, valueType,
      results, hasLse ? ", %lse" : "", results);
}

oracle::Problem Configuration::problem(const Shape &shape) const {
  oracle::Problem problem;
  problem.b = shape.batch;
  problem.hq = queryHeads;
  problem.hkv = keyHeads;
  problem.nq = shape.numQueries;
  problem.nk = shape.numKeys;
  problem.d = d;
  problem.dv = dv;
  problem.scale = scale.value_or(oracle::defaultScale(d));
  problem.mask = mask;
  problem.left = left;
  problem.right = right;
  return problem;
}

oracle::DataType Configuration::dataType() const {
  switch (type) {
  case ElementType::F16:
    return oracle::DataType::F16;
  case ElementType::BF16:
    return oracle::DataType::BF16;
  default:
    return oracle::DataType::F32;
  }
}
