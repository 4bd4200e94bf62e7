//===- Drawing.cpp - Tables, rows of codes, and what verifiers say --------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Drawing.h"

#include "mlir/IR/Builders.h"
#include "sfa/Support/Chip.h"

#include <cmath>
#include <fmt/format.h>

using namespace mlir;
using namespace sfa;
using namespace sfa::layout;

void Table::print(llvm::raw_ostream &stream) const {
  std::vector<size_t> widths(alignment.size());
  for (const Row &row : rows)
    for (size_t column = 0; column < row.size(); ++column)
      widths[column] = std::max(widths[column], row[column].size());
  for (const Row &row : rows) {
    std::string line;
    for (size_t column = 0; column < row.size(); ++column)
      line += alignment[column] == 'l' ? fmt::format("  {:<{}}", row[column], widths[column])
                                       : fmt::format("  {:>{}}", row[column], widths[column]);
    stream << StringRef(line).rtrim() << '\n';
  }
}

std::string sfa::layout::range(int64_t first, int64_t last) {
  return first == last ? fmt::format("{}", first) : fmt::format("{} to {}", first, last);
}

std::string sfa::layout::number(double value) {
  return value == 0 ? "." : fmt::format("{:g}", value);
}

llvm::Expected<std::vector<Pair>> sfa::layout::parseRow(StringRef text, int64_t features) {
  auto fail = [&](const std::string &what) {
    return llvm::createStringError(fmt::format("--row: given is '{}'; {}", text.str(), what));
  };
  std::vector<Pair> row;
  SmallVector<StringRef> parts;
  text.split(parts, ',');
  for (StringRef part : parts) {
    auto [feature, value] = part.split(':');
    Pair pair;
    if (feature.trim().getAsInteger(10, pair.feature) || value.trim().getAsDouble(pair.value) ||
        !std::isfinite(pair.value))
      return fail("it has to be pairs of a feature and a value, such as 3:1.5,7:2");
    if (pair.feature < 0 || pair.feature >= features)
      return fail(fmt::format("its features have to be from 0 to {}", features - 1));
    if (!row.empty() && pair.feature <= row.back().feature)
      return fail("its features have to be in ascending order, each once");
    row.push_back(pair);
  }
  return row;
}

llvm::Error sfa::layout::whatVerifiersSay(MLIRContext &context,
                                          function_ref<bool(EmitError)> make) {
  std::string message;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    message += diagnostic.str();
    return success();
  });
  if (make([&] { return emitError(UnknownLoc::get(&context)); }))
    return llvm::Error::success();
  return llvm::createStringError(message);
}

Type sfa::layout::getElement(MLIRContext &context, int64_t bits) {
  if (bits == 16)
    return BFloat16Type::get(&context);
  return IntegerType::get(&context, static_cast<unsigned>(bits));
}

llvm::Expected<RankedTensorType> sfa::layout::getTensor(MLIRContext &context, int64_t tokens,
                                                        int64_t features, Attribute encoding) {
  return verified(context, [&](EmitError emitError) {
    return RankedTensorType::getChecked(emitError, {1, 1, tokens, features}, getElement(context),
                                        encoding);
  });
}

llvm::Error sfa::layout::checkGpuFeatures(int64_t features) {
  if (GpuFeatures::allow(features))
    return llvm::Error::success();
  return llvm::createStringError(
      fmt::format("--features: given are {}; {}", features, GpuFeatures::description.str()));
}
