//===- Case.cpp - One attention to tune: its code, its data, its truth ----===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Tuning/Case.h"

#include "test/Oracle/Oracle.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/LineIterator.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <random>

using namespace sfa;
using namespace sfa::tuning;
using llvm::StringRef;
namespace json = llvm::json;

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

Case Case::of(const Problem &problem, const ProblemKey &key) {
  Case result;
  result.batch = *problem.batch;
  result.queryHeads = problem.queryHeads;
  result.keyHeads = problem.keyHeads;
  result.queries = *problem.queryTokens;
  result.keys = *problem.keyTokens;
  result.features = problem.features;
  result.valueFeatures = problem.valueFeatures;
  result.element = problem.element;
  result.form = key.form;
  result.mask = key.mask;
  if (key.data != "any")
    result.data = key.data;
  result.codes = key.codes;
  if (key.mask == "window") {
    result.left = *problem.leftBound;
    result.right = *problem.rightBound;
  }
  result.lse = problem.hasLse;
  return result;
}

Problem Case::problem() const {
  Problem problem;
  problem.queryHeads = queryHeads;
  problem.keyHeads = keyHeads;
  problem.features = features;
  problem.valueFeatures = valueFeatures;
  setForm(problem, form, codes);
  problem.element = element;
  problem.hasLse = lse;
  if (mask == "causal")
    problem.rightBound = 0;
  if (mask == "window") {
    problem.leftBound = left;
    problem.rightBound = right;
  }
  problem.batch = batch;
  problem.queryTokens = queries;
  problem.keyTokens = keys;
  problem.sizesAreHints = true;
  return problem;
}

ProblemKey Case::key() const {
  ProblemKey key = *ProblemKey::of(problem());
  if (data != "uniform")
    key.data = data;
  return key;
}

std::string Case::describe() const {
  std::string text = fmt::format("{} {}", name(element).str(), form);
  if (isCodes())
    text += fmt::format(" k={}", codes);
  text += fmt::format(" d={}", features);
  if (valueFeatures != features)
    text += fmt::format(" dv={}", valueFeatures);
  text += " " + mask;
  if (mask == "window")
    text += fmt::format(" {}+{}", left, right);
  if (lse)
    text += " lse";
  if (data != "uniform")
    text += " " + data;
  text += fmt::format(" b={} h={}", batch, queryHeads);
  if (keyHeads != queryHeads)
    text += fmt::format("/{}", keyHeads);
  return text +
         (queries == keys ? fmt::format(" n={}", keys) : fmt::format(" n={}x{}", queries, keys));
}

Case Case::ragged() const {
  Case small = *this;
  small.batch = 1;
  small.queries = std::min<int64_t>(queries, 203);
  small.keys = std::min<int64_t>(keys, 331);
  return small;
}

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

static std::string tensorType(const Case &problem, int64_t heads, int64_t features, bool isKey,
                              bool isValue) {
  std::string encoding;
  if (!isValue && problem.isCodes()) {
    encoding = fmt::format(", #sfa.codes<k = {}", problem.codes);
    if (problem.form == "codes 2:4")
      encoding += ", two_four";
    if (std::optional<Scales> scales = problem.scales())
      encoding += fmt::format(", values = i8, scales = {}",
                              stringifyEnum(isKey ? *scales : Scales::Token).str());
    encoding += ">";
  }
  return fmt::format("tensor<?x{}x?x{}x{}{}>", heads, features, name(problem.element).str(),
                     encoding);
}

std::string Case::module(const Schedule &schedule) const {
  std::string query = tensorType(*this, queryHeads, features, /*isKey=*/false, /*isValue=*/false),
              key = tensorType(*this, keyHeads, features, /*isKey=*/true, /*isValue=*/false),
              value = tensorType(*this, keyHeads, valueFeatures, /*isKey=*/false, /*isValue=*/true),
              output =
                  tensorType(*this, queryHeads, valueFeatures, /*isKey=*/false, /*isValue=*/true);
  std::string attributes, parameters;
  if (mask == "causal")
    attributes += " mask <causal>";
  if (mask == "window")
    attributes += fmt::format(" mask <window, left = {}, right = {}>", left, right);
  llvm::raw_string_ostream(parameters) << schedule;
  if (!parameters.empty())
    attributes += fmt::format(" schedule <{}>", parameters);
  std::string results = "%o", types = output;
  if (lse) {
    results += ", %lse";
    types += fmt::format(", tensor<?x{}x?xf32>", queryHeads);
  }
  return fmt::format("func.func @attention(%q: {0}, %k: {1}, %v: {2}) -> ({4}) {{\n"
                     "  {5} = sfa.attention %q, %k, %v{3} : {0}, {1}, {2} -> {4}\n"
                     "  return {5} : {4}\n}}\n",
                     query, key, value, attributes, types, results);
}

//===----------------------------------------------------------------------===//
// Data
//===----------------------------------------------------------------------===//

namespace {
/// Numbers from about N(0, 1), and small integers, fast: arrays have 10^8 of them.
class Random {
public:
  explicit Random(uint64_t seed) : engine(seed) {}

  /// The sum of four uniform numbers, scaled.
  float normal() {
    uint64_t bits = engine();
    float sum = 0;
    for (int i = 0; i < 4; ++i)
      sum += static_cast<float>((bits >> (16 * i)) & 0xFFFF);
    constexpr float mean = 4 * 32767.5f, deviation = 65536.0f * 0.57735f; // sqrt(4 / 12)
    return (sum - mean) / deviation;
  }
  int64_t below(int64_t bound) {
    return static_cast<int64_t>(
        (static_cast<uint64_t>(static_cast<uint32_t>(engine())) * static_cast<uint64_t>(bound)) >>
        32);
  }

private:
  std::mt19937_64 engine;
};
} // namespace

static void store(NpyArray &array, int64_t place, float value) {
  switch (array.type) {
  case ElementType::F16:
    array.as<uint16_t>()[place] = floatToHalf(value);
    return;
  case ElementType::BF16:
    array.as<uint16_t>()[place] = floatToBfloat16(value);
    return;
  default:
    array.as<float>()[place] = value;
  }
}

static NpyArray makeRows(ElementType type, llvm::ArrayRef<int64_t> shape, Random &random) {
  NpyArray array = NpyArray::zeros(type, shape);
  for (int64_t i = 0, end = array.numElements(); i < end; ++i)
    store(array, i, random.normal());
  return array;
}

/// The features of each row, ascending: `k` of `features`, of 2:4 at most two of each four.
static NpyArray makeSupports(const Case &problem, llvm::ArrayRef<int64_t> shape, Random &random) {
  NpyArray array =
      NpyArray::zeros(problem.features <= 256 ? ElementType::U8 : ElementType::U16, shape);
  int64_t k = problem.codes, rows = array.numElements() / k;
  std::vector<int64_t> support;
  std::vector<int> ofFour(static_cast<size_t>(llvm::divideCeil(problem.features, 4)));
  for (int64_t row = 0; row < rows; ++row) {
    if (row == 0 || problem.data != "concentrated") {
      support.clear();
      std::fill(ofFour.begin(), ofFour.end(), 0);
      while (static_cast<int64_t>(support.size()) < k) {
        int64_t feature = random.below(problem.features);
        bool isFull = problem.form == "codes 2:4" && ofFour[feature / 4] == 2;
        if (isFull || llvm::is_contained(support, feature))
          continue;
        ++ofFour[feature / 4];
        support.push_back(feature);
      }
      llvm::sort(support);
    }
    for (int64_t i = 0; i < k; ++i) {
      if (array.type == ElementType::U8)
        array.as<uint8_t>()[row * k + i] = static_cast<uint8_t>(support[i]);
      else
        array.as<uint16_t>()[row * k + i] = static_cast<uint16_t>(support[i]);
    }
  }
  return array;
}

/// How many scales the `tokens` of a head have.
static int64_t numScales(Scales scales, int64_t tokens) {
  switch (scales) {
  case Scales::Token:
    return tokens;
  case Scales::Tile:
    return static_cast<int64_t>(llvm::divideCeil(tokens, tokensOfScale));
  case Scales::Head:
    return 1;
  }
  llvm_unreachable("scales without a case");
}

/// The arrays of the query or of the key.
static std::vector<NpyArray> makeOperand(const Case &problem, bool isKey, Random random) {
  int64_t heads = isKey ? problem.keyHeads : problem.queryHeads,
          tokens = isKey ? problem.keys : problem.queries;
  std::vector<NpyArray> arrays;
  if (!problem.isCodes()) {
    arrays.push_back(
        makeRows(problem.element, {problem.batch, heads, tokens, problem.features}, random));
    return arrays;
  }
  int64_t shape[] = {problem.batch, heads, tokens, problem.codes};
  std::optional<Scales> scales = problem.scales();
  if (!scales) {
    arrays.push_back(makeRows(problem.element, shape, random));
    arrays.push_back(makeSupports(problem, shape, random));
    return arrays;
  }
  NpyArray integers = NpyArray::zeros(ElementType::I8, shape);
  for (int64_t i = 0, end = integers.numElements(); i < end; ++i)
    integers.as<int8_t>()[i] = static_cast<int8_t>(random.below(255) - 127);
  arrays.push_back(std::move(integers));
  arrays.push_back(makeSupports(problem, shape, random));
  NpyArray factors = NpyArray::zeros(
      ElementType::F32, {problem.batch, heads, numScales(isKey ? *scales : Scales::Token, tokens)});
  for (int64_t i = 0, end = factors.numElements(); i < end; ++i)
    factors.as<float>()[i] = 0.01f + 0.01f * static_cast<float>(random.below(100)) / 100;
  arrays.push_back(std::move(factors));
  return arrays;
}

std::vector<NpyArray> Case::makeArguments(uint64_t seed) const {
  std::vector<NpyArray> query, key, value;
  llvm::DefaultThreadPool pool(llvm::hardware_concurrency(3));
  pool.async([&] { query = makeOperand(*this, /*isKey=*/false, Random(3 * seed)); });
  pool.async([&] { key = makeOperand(*this, /*isKey=*/true, Random(3 * seed + 1)); });
  pool.async([&] {
    Random random(3 * seed + 2);
    value.push_back(makeRows(element, {batch, keyHeads, keys, valueFeatures}, random));
  });
  pool.wait();
  for (std::vector<NpyArray> *more : {&key, &value})
    std::move(more->begin(), more->end(), std::back_inserter(query));
  return query;
}

//===----------------------------------------------------------------------===//
// Truth
//===----------------------------------------------------------------------===//

static double load(const NpyArray &array, int64_t place) {
  switch (array.type) {
  case ElementType::F16:
    return halfToFloat(array.as<uint16_t>()[place]);
  case ElementType::BF16:
    return bfloat16ToFloat(array.as<uint16_t>()[place]);
  case ElementType::I8:
    return array.as<int8_t>()[place];
  case ElementType::U8:
    return array.as<uint8_t>()[place];
  case ElementType::U16:
    return array.as<uint16_t>()[place];
  default:
    return array.as<float>()[place];
  }
}

/// `count` rows of a head, from `first` on, of an operand of which `parts` are the arrays.
static std::vector<double> loadRows(const Case &problem, llvm::ArrayRef<NpyArray> parts,
                                    int64_t features, int64_t head, int64_t tokens, int64_t first,
                                    int64_t count, Scales scales) {
  std::vector<double> rows(static_cast<size_t>(count * features));
  for (int64_t i = 0; i < count; ++i) {
    int64_t token = first + i, row = head * tokens + token;
    if (parts.size() == 1) {
      for (int64_t f = 0; f < features; ++f)
        rows[i * features + f] = load(parts[0], row * features + f);
      continue;
    }
    double scale = 1;
    if (parts.size() == 3) {
      int64_t number = scales == Scales::Token  ? token
                       : scales == Scales::Tile ? token / tokensOfScale
                                                : 0;
      scale = load(parts[2], head * numScales(scales, tokens) + number);
    }
    for (int64_t i2 = 0; i2 < problem.codes; ++i2) {
      int64_t place = row * problem.codes + i2;
      rows[i * features + static_cast<int64_t>(load(parts[1], place))] =
          load(parts[0], place) * scale;
    }
  }
  return rows;
}

/// Which keys query `row` sees, the last one excluded (docs/reference: sfa.attention).
static std::pair<int64_t, int64_t> visibleKeys(const Case &problem, int64_t row) {
  int64_t diagonal = row + problem.keys - problem.queries, first = 0, end = problem.keys;
  if (problem.mask == "window")
    first = diagonal - problem.left;
  if (problem.mask != "none")
    end = diagonal + (problem.mask == "window" ? problem.right : 0) + 1;
  first = std::clamp<int64_t>(first, 0, problem.keys);
  return {first, std::clamp<int64_t>(end, first, problem.keys)};
}

llvm::Error Case::check(llvm::ArrayRef<NpyArray> arguments, const NpyArray &output, int64_t numRows,
                        uint64_t seed) const {
  Random random(seed);
  size_t parts = isCodes() ? (scales() ? 3 : 2) : 1;
  llvm::ArrayRef<NpyArray> query = arguments.take_front(parts), key = arguments.slice(parts, parts),
                           value = arguments.take_back(1);
  auto type = element == ElementType::BF16  ? oracle::DataType::BF16
              : element == ElementType::F16 ? oracle::DataType::F16
                                            : oracle::DataType::F32;
  int64_t all = batch * queryHeads * queries;
  oracle::Deviation ofKernel, ofType;
  for (int64_t i = 0, end = std::min(numRows, all); i < end; ++i) {
    int64_t number = numRows < all ? random.below(all) : i;
    int64_t head = number / queries, row = number % queries;
    int64_t keyHead = head / queryHeads * keyHeads + head % queryHeads / (queryHeads / keyHeads);
    auto [first, last] = visibleKeys(*this, row);
    oracle::Problem one;
    one.nq = 1;
    one.nk = last - first;
    one.d = features;
    one.dv = valueFeatures;
    one.scale = oracle::defaultScale(features);
    std::vector<double> q = loadRows(*this, query, features, head, queries, row, 1, Scales::Token),
                        k = loadRows(*this, key, features, keyHead, keys, first, one.nk,
                                     scales().value_or(Scales::Token)),
                        v = loadRows(*this, value, valueFeatures, keyHead, keys, first, one.nk,
                                     Scales::Token);
    std::vector<double> expected = oracle::attention(one, q, k, v).o,
                        usual = oracle::denseSameType(one, type, q, k, v).o, actual;
    for (int64_t f = 0; f < valueFeatures; ++f)
      actual.push_back(load(output, number * valueFeatures + f));
    ofKernel += oracle::deviation(actual, expected);
    ofType += oracle::deviation(usual, expected);
  }
  double error = ofKernel.errors().frobenius,
         allowed = oracle::errorFactor * ofType.errors().frobenius;
  // Of f32 the order of sums is all that differs.
  if (element == ElementType::F32)
    allowed = std::max(allowed, 1e-5);
  if (ofKernel.agrees && error <= allowed)
    return llvm::Error::success();
  return llvm::createStringError(
      fmt::format("its result is wrong: the relative error of {} rows is {:.2e}, allowed is {:.2e}",
                  std::min(numRows, all), error, allowed));
}

//===----------------------------------------------------------------------===//
// JSON
//===----------------------------------------------------------------------===//

json::Value tuning::toJSON(const Case &value) {
  json::Object object = describeCase(value.problem(), value.key());
  object["data"] = value.data;
  return object;
}

/// Whether all fields of `value` are those of a case: a misspelt one would leave the default.
static bool areFieldsKnown(const json::Value &value, json::Path path) {
  Case all;
  all.mask = "window"; // It has the most fields.
  const json::Value fields = tuning::toJSON(all);
  for (const auto &[name, field] : *value.getAsObject())
    if (!require(fields.getAsObject()->get(name), path.field(name), "is no field of a case"))
      return false;
  return true;
}

bool tuning::fromJSON(const json::Value &value, Case &result, json::Path path) {
  json::ObjectMapper map(value, path);
  result = Case();
  std::string dtype = "bf16";
  if (!map || !areFieldsKnown(value, path) || !map.mapOptional("batch", result.batch) ||
      !map.mapOptional("query_heads", result.queryHeads) || !map.map("queries", result.queries) ||
      !map.mapOptional("d", result.features) || !map.mapOptional("dtype", dtype) ||
      !map.mapOptional("form", result.form) || !map.mapOptional("k", result.codes) ||
      !map.mapOptional("mask", result.mask) || !map.mapOptional("lse", result.lse) ||
      !map.mapOptional("data", result.data) || !map.mapOptional("left", result.left) ||
      !map.mapOptional("right", result.right))
    return false;
  result.keyHeads = result.queryHeads;
  result.keys = result.queries;
  result.valueFeatures = result.features;
  if (!map.mapOptional("key_heads", result.keyHeads) || !map.mapOptional("keys", result.keys) ||
      !map.mapOptional("dv", result.valueFeatures))
    return false;
  bool isKnown = false;
  for (ElementType type : {ElementType::F16, ElementType::BF16, ElementType::F32})
    if (name(type) == dtype) {
      result.element = type;
      isKnown = true;
    }
  constexpr int64_t most = int64_t(1) << 24;
  auto isSize = [&](int64_t size) { return size > 0 && size <= most; };
  bool areCodes = result.form != "dense";
  if (!require(isKnown, path.field("dtype"), "has to be 'f16', 'bf16' or 'f32'") ||
      !require(isSize(result.batch), path.field("batch"), "has to be 1 to 2^24") ||
      !require(isSize(result.queryHeads), path.field("query_heads"), "has to be 1 to 2^24") ||
      !require(isSize(result.keyHeads) && result.queryHeads % result.keyHeads == 0,
               path.field("key_heads"), "has to divide query_heads") ||
      !require(isSize(result.queries), path.field("queries"), "has to be 1 to 2^24") ||
      !require(isSize(result.keys), path.field("keys"), "has to be 1 to 2^24") ||
      !require(result.features > 0 && result.features <= 65536, path.field("d"),
               "has to be 1 to 65536") ||
      !require(result.valueFeatures > 0 && result.valueFeatures <= 65536, path.field("dv"),
               "has to be 1 to 65536") ||
      !require(areCodes ? result.codes > 0 && result.codes <= result.features : result.codes == 0,
               path.field("k"), "has to be 1 to d of codes, and 0 of dense operands") ||
      !require(result.form != "codes 2:4" ||
                   (result.codes <= result.features / 2 && result.features % 4 == 0),
               path.field("k"), "has to be at most d / 2 of 2:4 codes, with a d of whole fours") ||
      !require(result.left >= 0 && result.right >= 0, path.field("left"), "is negative") ||
      !require(result.data == "uniform" || result.data == "concentrated", path.field("data"),
               "has to be 'uniform' or 'concentrated'"))
    return false;
  // The names of forms and masks are those of keys.
  ProblemKey key = result.key();
  key.form = result.form;
  key.mask = result.mask;
  return sfa::fromJSON(sfa::toJSON(key), key, path);
}

llvm::Expected<std::vector<Case>> tuning::readCases(StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFileOrSTDIN(path);
  if (!buffer)
    return llvm::createStringError(
        fmt::format("cannot read {}: {}", path.str(), buffer.getError().message()));
  StringRef text = (*buffer)->getBuffer();
  std::vector<Case> cases;
  if (text.trim().starts_with("[")) {
    llvm::Expected<std::vector<Case>> all = json::parse<std::vector<Case>>(text, "cases");
    if (!all)
      return llvm::createStringError(
          fmt::format("{}: {}", path.str(), llvm::toString(all.takeError())));
    cases = std::move(*all);
  } else {
    for (llvm::line_iterator line(**buffer); !line.is_at_end(); ++line) {
      llvm::Expected<Case> one = json::parse<Case>(*line, "case");
      if (!one)
        return llvm::createStringError(fmt::format("{}:{}: {}", path.str(), line.line_number(),
                                                   llvm::toString(one.takeError())));
      cases.push_back(std::move(*one));
    }
  }
  std::vector<Case> different;
  std::vector<std::string> seen;
  for (Case &each : cases) {
    std::string line = llvm::formatv("{0}", toJSON(each)).str();
    if (llvm::is_contained(seen, line))
      continue;
    seen.push_back(line);
    different.push_back(std::move(each));
  }
  if (different.empty())
    return llvm::createStringError(fmt::format("{} has no cases", path.str()));
  return different;
}

//===----------------------------------------------------------------------===//
// The default set
//===----------------------------------------------------------------------===//

std::vector<Case> tuning::getDefaultCases(bool isGpu) {
  std::vector<Case> cases;
  auto add = [&](Case base) { cases.push_back(std::move(base)); };
  Case base;
  base.mask = "causal";
  if (!isGpu) {
    base.element = ElementType::F32;
    base.queryHeads = base.keyHeads = 8;
    for (int64_t features : {64, 128})
      for (int64_t tokens : {1024, 4096})
        for (const char *form : {"dense", "codes"}) {
          Case one = base;
          one.features = one.valueFeatures = features;
          one.queries = one.keys = tokens;
          one.form = form;
          one.codes = one.form == "dense" ? 0 : 8;
          add(one);
        }
    return cases;
  }
  for (int64_t features : {64, 128, 256}) {
    base.features = base.valueFeatures = features;
    base.queryHeads = base.keyHeads = 2048 / features;
    // Prefill.
    for (const char *form : {"dense", "codes", "int8 tile"})
      for (int64_t tokens : {2048, 16384}) {
        Case one = base;
        one.form = form;
        one.codes = one.form == "dense" ? 0 : 8;
        one.queries = one.keys = tokens;
        add(one);
      }
    Case full = base;
    full.mask = "none";
    full.queries = full.keys = 8192;
    add(full);
    // One query, and a few, of each of several sequences, in groups of heads.
    Case few = base;
    few.mask = "none";
    few.batch = 8;
    few.keyHeads = few.queryHeads / 4;
    few.queries = 1;
    few.keys = 16384;
    add(few);
    few.batch = 1;
    few.queries = 16;
    few.keys = 32768;
    add(few);
  }
  base.features = base.valueFeatures = 128;
  base.queryHeads = base.keyHeads = 16;
  base.queries = base.keys = 16384;
  Case training = base;
  training.lse = true;
  add(training);
  Case window = base;
  window.mask = "window";
  window.left = 4095;
  add(window);
  Case half = base;
  half.element = ElementType::F16;
  add(half);
  return cases;
}
