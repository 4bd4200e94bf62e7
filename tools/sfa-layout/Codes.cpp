//===- Codes.cpp - Values and indices of codes ----------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Drawing.h"
#include "Layouts.h"

#include "dialects/SFA/SFA.h"
#include "tools/Common/CommandLine.h"

#include <fmt/format.h>

using namespace llvm;
using namespace mlir;
using namespace sfa;
using namespace sfa::layout;

static cl::SubCommand command("codes", "Rows with k non-zeros: values and indices");

static cl::opt<std::string> featuresText("features", cl::sub(command), cl::cat(category()),
                                         cl::desc("Features of a row (default 16)"),
                                         cl::value_desc("number"), cl::init("16"));
static cl::opt<std::string> kText("k", cl::sub(command), cl::cat(category()),
                                  cl::desc("Non-zeros that a code keeps (default 4)"),
                                  cl::value_desc("number"), cl::init("4"));
static cl::list<std::string> rowTexts("row", cl::sub(command), cl::cat(category()),
                                      cl::desc("The non-zeros of a token; once for each token"),
                                      cl::value_desc("feature:value,..."));

static constexpr char explanation[] =
    R"(draw codes: each row of k non-zeros as values and indices

A tensor [b, h, n, d] of codes is two tensors [b, h, n, k]: the values, and the features that they belong to, in
ascending order. A row with fewer than k non-zeros is filled up with zeros of features that come first, as sfa.sparsify
does. Of the tensors the picture shows one head.

  sfa-layout codes
  sfa-layout codes --features 300 --k 2 --row 7:1.5,290:-2 --row 0:1,1:1
)";

/// The row of a code, filled up to `k` pairs.
static llvm::Error fillUp(std::vector<Pair> &row, int64_t k) {
  auto given = static_cast<int64_t>(row.size());
  if (given > k)
    return createStringError(fmt::format(
        "--row: given are {} pairs, but codes keep {}; raise --k or give fewer", given, k));
  for (int64_t feature = 0; static_cast<int64_t>(row.size()) < k; ++feature)
    if (llvm::none_of(row, [&](const Pair &pair) { return pair.feature == feature; }))
      row.push_back({feature, 0});
  llvm::sort(row, [](const Pair &a, const Pair &b) { return a.feature < b.feature; });
  return llvm::Error::success();
}

static llvm::Error draw(MLIRContext &context, raw_ostream &stream) {
  llvm::Expected<int64_t> features = parseNumber("features", featuresText, 1, 1 << 20);
  if (!features)
    return features.takeError();
  llvm::Expected<int64_t> k = parseNumber("k", kText, 0, 1 << 20);
  if (!k)
    return k.takeError();
  llvm::Expected<CodesAttr> encoding = verified(context, [&](EmitError emitError) {
    return CodesAttr::getChecked(emitError, &context, *k, /*twoFour=*/false,
                                 std::optional<Scales>());
  });
  if (!encoding)
    return encoding.takeError();
  std::vector<std::string> texts = rowTexts;
  if (texts.empty())
    texts = {"1:0.5,4:-2,9:1,14:3", "0:1,5:-1,6:2", "2:4,3:-1,8:0.5,15:1"};
  llvm::Expected<RankedTensorType> tensor =
      getTensor(context, static_cast<int64_t>(texts.size()), *features, *encoding);
  if (!tensor)
    return tensor.takeError();

  SmallVector<RankedTensorType> physical = getPhysicalTensors(*tensor);
  stream << *tensor << '\n';
  int64_t pairs = physical[0].getDimSize(3);
  SmallVector<int64_t> rowBytes;
  for (auto [what, type] : llvm::zip(ArrayRef<StringRef>{"values ", "indices"}, physical)) {
    rowBytes.push_back(pairs * type.getElementTypeBitWidth() / 8);
    stream << fmt::format("  {}  {}, {} bytes a token\n", what.str(), toString(type),
                          rowBytes.back());
  }
  stream << '\n';
  Table table("rlrlrlr",
              {"token", "non-zeros, feature:value", "bytes", "values", "bytes", "indices"});
  for (auto [token, text] : llvm::enumerate(texts)) {
    llvm::Expected<std::vector<Pair>> row = parseRow(text, *features);
    if (!row)
      return row.takeError();
    if (llvm::Error error = fillUp(*row, pairs))
      return error;
    std::string values, indices;
    for (const Pair &pair : *row) {
      values += fmt::format("{:>5g}", pair.value);
      indices += fmt::format("{:>{}}", pair.feature, *features <= 100 ? 3 : 6);
    }
    auto bytes = [number = static_cast<int64_t>(token)](int64_t ofRow) {
      return range(number * ofRow, (number + 1) * ofRow - 1);
    };
    table.add(
        {std::to_string(token), text, bytes(rowBytes[0]), values, bytes(rowBytes[1]), indices});
  }
  table.print(stream);
  return llvm::Error::success();
}

const Layout sfa::layout::codes = {command, explanation, draw};
