//===- CaseTest.cpp - What is tuned, and what its result has to be --------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Tuning/Case.h"
#include "test/Oracle/Oracle.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <gtest/gtest.h>

using namespace sfa;
using sfa::tuning::Case;

namespace {

/// Small attentions of all forms; sizes are multiples of nothing.
std::vector<Case> makeCases() {
  Case base;
  base.batch = 2;
  base.queryHeads = 4;
  base.keyHeads = 2;
  base.queries = 19;
  base.keys = 141;
  base.features = 32;
  base.valueFeatures = 24;
  std::vector<Case> cases;
  for (const char *form : {"dense", "codes", "codes 2:4", "int8 tile", "int8 token", "int8 head"})
    for (const char *mask : {"none", "causal", "window"}) {
      Case one = base;
      one.form = form;
      one.codes = one.form == "dense" ? 0 : 5;
      one.mask = mask;
      if (one.mask == "window") {
        one.left = 20;
        one.right = 3;
      }
      cases.push_back(one);
    }
  for (ElementType type : {ElementType::F16, ElementType::F32}) {
    Case one = base;
    one.element = type;
    one.form = "codes";
    one.codes = 5;
    one.data = "concentrated";
    one.lse = true;
    cases.push_back(one);
  }
  // The first queries see no key.
  base.mask = "causal";
  std::swap(base.queries, base.keys);
  cases.push_back(base);
  return cases;
}

/// The dense rows of an operand, `tokens` of each head.
std::vector<double> denseRows(const Case &problem, llvm::ArrayRef<NpyArray> parts, bool isKey) {
  std::vector<double> values = toDouble(parts[0]);
  if (parts.size() == 1)
    return values;
  std::vector<double> features = toDouble(parts[1]),
                      scales = parts.size() == 3 ? toDouble(parts[2]) : std::vector<double>();
  int64_t tokens = isKey ? problem.keys : problem.queries, k = problem.codes;
  int64_t rows = static_cast<int64_t>(values.size()) / k;
  std::vector<double> dense(rows * problem.features);
  for (int64_t row = 0; row < rows; ++row) {
    double scale = 1;
    int64_t head = row / tokens, token = row % tokens;
    if (!scales.empty() && (!isKey || problem.form == "int8 token"))
      scale = scales[row];
    else if (!scales.empty() && problem.form == "int8 head")
      scale = scales[head];
    else if (!scales.empty())
      scale = scales[head * static_cast<int64_t>(llvm::divideCeil(tokens, 128)) + token / 128];
    for (int64_t i = 0; i < k; ++i)
      dense[row * problem.features + static_cast<int64_t>(features[row * k + i])] =
          values[row * k + i] * scale;
  }
  return dense;
}

/// What attention of all of it is, rounded to the type.
NpyArray makeTruth(const Case &problem, llvm::ArrayRef<NpyArray> arguments) {
  size_t parts = arguments.size() / 2;
  oracle::Problem all;
  all.b = problem.batch;
  all.hq = problem.queryHeads;
  all.hkv = problem.keyHeads;
  all.nq = problem.queries;
  all.nk = problem.keys;
  all.d = problem.features;
  all.dv = problem.valueFeatures;
  all.scale = oracle::defaultScale(problem.features);
  if (problem.mask == "causal")
    all.mask = oracle::Mask::Causal;
  if (problem.mask == "window") {
    all.mask = oracle::Mask::Window;
    all.left = problem.left;
    all.right = problem.right;
  }
  std::vector<double> output =
      oracle::attention(all, denseRows(problem, arguments.take_front(parts), /*isKey=*/false),
                        denseRows(problem, arguments.slice(parts, parts), /*isKey=*/true),
                        toDouble(arguments.back()))
          .o;
  NpyArray array = NpyArray::zeros(
      problem.element, {problem.batch, problem.queryHeads, problem.queries, problem.valueFeatures});
  fromDouble(output, array);
  return array;
}

/// `output` with one row that is that of another query.
NpyArray withWrongRow(const Case &problem, const NpyArray &output, int64_t row) {
  NpyArray wrong = output;
  std::vector<double> values = toDouble(output);
  int64_t width = problem.valueFeatures;
  for (int64_t i = 0; i < width; ++i)
    values[row * width + i] = -values[row * width + i];
  fromDouble(values, wrong);
  return wrong;
}

std::string errorOf(llvm::Error error) { return error ? llvm::toString(std::move(error)) : ""; }

TEST(Case, TakesWhatTheOracleSays) {
  for (const Case &problem : makeCases()) {
    SCOPED_TRACE(problem.describe());
    std::vector<NpyArray> arguments = problem.makeArguments(/*seed=*/3);
    NpyArray output = makeTruth(problem, arguments);
    for (int64_t rows : {16, 100000})
      EXPECT_EQ(errorOf(problem.check(arguments, output, rows, /*seed=*/1)), "");
  }
}

TEST(Case, RefusesOneWrongRow) {
  constexpr int64_t everyRow = 100000;
  for (const Case &problem : makeCases()) {
    SCOPED_TRACE(problem.describe());
    std::vector<NpyArray> arguments = problem.makeArguments(/*seed=*/3);
    NpyArray output = makeTruth(problem, arguments);
    int64_t rows = problem.batch * problem.queryHeads * problem.queries;
    // The last row sees keys by every mask.
    NpyArray wrong = withWrongRow(problem, output, rows - 1);
    EXPECT_NE(errorOf(problem.check(arguments, wrong, everyRow, /*seed=*/1))
                  .find("its result is wrong: the relative error of "),
              std::string::npos);
    // Not written at all.
    NpyArray poisoned = output;
    std::fill_n(poisoned.data.data(), poisoned.numBytes(), std::byte(0xFF));
    EXPECT_NE(errorOf(problem.check(arguments, poisoned, 16, /*seed=*/1)), "");
  }
}

TEST(Case, LooksAtAsManyRowsAsItSays) {
  Case problem = makeCases().front();
  std::vector<NpyArray> arguments = problem.makeArguments(/*seed=*/3);
  NpyArray output = makeTruth(problem, arguments);
  int64_t rows = problem.batch * problem.queryHeads * problem.queries, refused = 0;
  for (int64_t row = 0; row < rows; ++row)
    refused += !errorOf(problem.check(arguments, withWrongRow(problem, output, row), 16,
                                      /*seed=*/1))
                    .empty();
  // Rows are drawn one by one, so that some are drawn twice.
  EXPECT_LE(refused, 16);
  EXPECT_GE(refused, 12);
}

TEST(Case, ArgumentsAreCodes) {
  for (const Case &problem : makeCases()) {
    if (!problem.isCodes())
      continue;
    SCOPED_TRACE(problem.describe());
    std::vector<NpyArray> arguments = problem.makeArguments(/*seed=*/3);
    EXPECT_EQ(arguments.size(), problem.scales() ? 7u : 5u);
    std::vector<double> features = toDouble(arguments[1]);
    for (size_t row = 0; row < features.size(); row += problem.codes) {
      std::vector<int> ofFour(problem.features / 4);
      for (int64_t i = 0; i < problem.codes; ++i) {
        if (i > 0)
          ASSERT_LT(features[row + i - 1], features[row + i]);
        ASSERT_LT(features[row + i], problem.features);
        ++ofFour[static_cast<size_t>(features[row + i]) / 4];
        if (problem.data == "concentrated")
          ASSERT_EQ(features[row + i], features[i]);
      }
      if (problem.form == "codes 2:4")
        ASSERT_LE(*std::max_element(ofFour.begin(), ofFour.end()), 2);
    }
  }
}

TEST(Case, RaggedIsSmall) {
  for (Case problem : makeCases()) {
    problem.queries = problem.keys = 16384;
    Case small = problem.ragged();
    EXPECT_EQ(small.batch, 1);
    EXPECT_EQ(small.queries, 203);
    EXPECT_EQ(small.keys, 331);
    EXPECT_EQ(small.form, problem.form);
    EXPECT_EQ(small.mask, problem.mask);
    problem.queries = 1;
    EXPECT_EQ(problem.ragged().queries, 1);
  }
}

TEST(Case, SurvivesItsJSON) {
  std::vector<Case> cases = makeCases();
  for (bool isGpu : {false, true})
    for (const Case &one : tuning::getDefaultCases(isGpu))
      cases.push_back(one);
  for (const Case &problem : cases) {
    SCOPED_TRACE(problem.describe());
    llvm::json::Value value = toJSON(problem);
    Case again;
    llvm::json::Path::Root root("case");
    ASSERT_TRUE(fromJSON(value, again, root)) << llvm::toString(root.getError());
    EXPECT_EQ(toJSON(again), value);
    EXPECT_EQ(again.describe(), problem.describe());
    EXPECT_EQ(again.key(), problem.key());
  }
}

/// The error of the cases of a file with this text.
std::string errorOfFile(llvm::StringRef text) {
  llvm::SmallString<128> path;
  int file = -1;
  EXPECT_FALSE(llvm::sys::fs::createTemporaryFile("sfa-cases", "json", file, path));
  llvm::raw_fd_ostream(file, /*shouldClose=*/true) << text;
  llvm::Expected<std::vector<Case>> cases = tuning::readCases(path);
  llvm::sys::fs::remove(path);
  if (cases)
    return "";
  std::string error = llvm::toString(cases.takeError());
  EXPECT_EQ(error.find(path.str().str()), 0u) << error;
  return error.substr(path.size());
}

TEST(Cases, AreReadFromLinesAndArrays) {
  llvm::SmallString<128> path;
  int file = -1;
  ASSERT_FALSE(llvm::sys::fs::createTemporaryFile("sfa-cases", "json", file, path));
  llvm::raw_fd_ostream(file, /*shouldClose=*/true)
      << "{\"queries\": 100, \"d\": 64}\n\n{\"queries\": 7, \"keys\": 9, \"form\": \"codes\", "
         "\"k\": 4}\n{\"d\": 64, \"dv\": 64, \"queries\": 100}\n";
  llvm::Expected<std::vector<Case>> cases = tuning::readCases(path);
  llvm::sys::fs::remove(path);
  ASSERT_TRUE(bool(cases)) << llvm::toString(cases.takeError());
  // The third is the first one.
  ASSERT_EQ(cases->size(), 2u);
  EXPECT_EQ((*cases)[0].describe(), "bf16 dense d=64 none b=1 h=1 n=100");
  EXPECT_EQ((*cases)[1].describe(), "bf16 codes k=4 d=128 none b=1 h=1 n=7x9");
}

TEST(Cases, AreRefusedWithTheirPlace) {
  auto expect = [](llvm::StringRef text, llvm::StringRef part, llvm::StringRef place) {
    std::string error = errorOfFile(text);
    EXPECT_NE(error.find(part.str()), std::string::npos) << text.str() << "\n" << error;
    EXPECT_NE(error.find(place.str()), std::string::npos) << text.str() << "\n" << error;
  };
  expect("", "has no cases", "");
  expect("[]", "has no cases", "");
  expect("{\"queries\": 1}\n{\"queries\":", ":2: ", "Unexpected EOF");
  expect("[{\"queries\": 1}, {}]", "missing value", "[1].queries");
  expect("{\"queries\": 1}\n{\"queries\": 0}", "has to be 1 to 2^24",
         ":2: has to be 1 to 2^24 at case.queries");
  expect("[{\"queries\": 1, \"query_heads\": 6, \"key_heads\": 4}]", "has to divide query_heads",
         "[0].key_heads");
  expect("[{\"queries\": 1, \"dtype\": \"f8\"}]", "has to be 'f16', 'bf16' or 'f32'", "[0].dtype");
  expect("[{\"queries\": 1, \"form\": \"codes\"}]", "has to be 1 to d of codes", "[0].k");
  expect("[{\"queries\": 1, \"k\": 8}]", "and 0 of dense operands", "[0].k");
  expect("[{\"queries\": 1, \"form\": \"codes 2:4\", \"k\": 65}]", "at most d / 2", "[0].k");
  expect("[{\"queries\": 1, \"form\": \"int7 tile\", \"k\": 8}]", "has to be 'dense', 'codes'",
         "[0].form");
  expect("[{\"queries\": 1, \"form\": \"int8 row\", \"k\": 8}]", "'int8 tile', 'int8 token'",
         "[0].form");
  expect("[{\"queries\": 1, \"mask\": \"Causal\"}]", "has to be 'none', 'causal' or 'window'",
         "[0].mask");
  expect("[{\"queries\": 1, \"mask\": \"window\", \"left\": -1}]", "is negative", "[0].left");
  expect("[{\"queries\": 1, \"data\": \"any\"}]", "'uniform' or 'concentrated'", "[0].data");
  expect("[{\"queries\": 1, \"query_head\": 4}]", "is no field of a case", "[0].query_head");
  expect("[{\"queries\": \"1\"}]", "expected integer", "[0].queries");
  llvm::Expected<std::vector<Case>> absent = tuning::readCases("/nowhere/cases.json");
  EXPECT_EQ(llvm::toString(absent.takeError()),
            "cannot read /nowhere/cases.json: No such file or directory");
}

} // namespace
