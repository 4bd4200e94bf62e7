//===- ProblemKey.cpp - What a tuned schedule is for ----------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Schedule/ProblemKey.h"

#include "llvm/Support/MathExtras.h"

#include <cmath>
#include <fmt/format.h>

using namespace sfa;
namespace json = llvm::json;

//===----------------------------------------------------------------------===//
// Keys
//===----------------------------------------------------------------------===//

static int64_t bucketOf(int64_t size) { return static_cast<int64_t>(llvm::PowerOf2Ceil(size)); }

static std::string formOf(const Problem &problem) {
  if (problem.keyScales)
    return "int8 " + stringifyEnum(*problem.keyScales).str();
  if (!problem.queryCodes || !problem.keyCodes)
    return "dense";
  return problem.isTwoFour ? "codes 2:4" : "codes";
}

void sfa::setForm(Problem &problem, llvm::StringRef form, int64_t codes) {
  if (codes)
    problem.queryCodes = problem.keyCodes = codes;
  problem.isTwoFour = form == "codes 2:4";
  if (form.consume_front("int8 "))
    problem.keyScales = symbolizeScales(form);
}

std::optional<ProblemKey> ProblemKey::of(const Problem &problem) {
  std::optional<int64_t> queries = problem.numQueries(), keys = problem.numKeys();
  if (!queries || !keys || !problem.batch || *queries == 0 || *keys == 0 || *problem.batch == 0)
    return std::nullopt;
  ProblemKey key;
  key.dtype = name(problem.element).str();
  key.form = formOf(problem);
  key.features = problem.features;
  key.valueFeatures = problem.valueFeatures;
  if (problem.queryCodes && problem.keyCodes)
    key.codes = *problem.queryCodes;
  if (problem.leftBound && problem.rightBound) {
    key.mask = "window";
    key.window = bucketOf(*problem.leftBound + *problem.rightBound + 1);
  } else if (!problem.leftBound && problem.rightBound == 0) {
    key.mask = "causal";
  } else if (problem.leftBound || problem.rightBound) {
    return std::nullopt;
  }
  key.group = problem.headsOfGroup();
  key.queries = bucketOf(*queries);
  key.keys = bucketOf(*keys);
  key.batchHeads = bucketOf(*problem.batch * *problem.numSequences * problem.queryHeads);
  key.lse = problem.hasLse;
  key.sequences = problem.hasSequences;
  return key;
}

std::optional<int64_t> ProblemKey::distance(const ProblemKey &other) const {
  // What the best schedule depends on little by little.
  static constexpr int64_t ProblemKey::*sizes[] = {&ProblemKey::queries,    &ProblemKey::keys,
                                                   &ProblemKey::batchHeads, &ProblemKey::window,
                                                   &ProblemKey::codes,      &ProblemKey::group};
  ProblemKey same = other;
  double sum = 0;
  for (int64_t ProblemKey::*size : sizes) {
    // Without a window or codes there is no number.
    if ((this->*size == 0) != (other.*size == 0))
      return std::nullopt;
    if (this->*size != 0)
      sum +=
          std::abs(std::log2(static_cast<double>(this->*size) / static_cast<double>(other.*size)));
    same.*size = this->*size;
  }
  // Sums of rows are a few registers more and no other loop.
  sum += same.lse != lse;
  same.lse = lse;
  if (!(same == *this))
    return std::nullopt;
  return static_cast<int64_t>(std::ceil(sum));
}

std::string ProblemKey::describe() const {
  std::string text = fmt::format("{} {}", dtype, form);
  if (codes)
    text += fmt::format(" k={}", codes);
  text += fmt::format(" d={} dv={} {}", features, valueFeatures, mask);
  if (window)
    text += fmt::format("<={}", window);
  if (lse)
    text += " lse";
  if (sequences)
    text += " sequences";
  if (group > 1)
    text += fmt::format(" group={}", group);
  if (data != "any")
    text += fmt::format(" data={}", data);
  return text + fmt::format(" queries<={} keys<={} batch*heads<={}", queries, keys, batchHeads);
}

DeviceKey DeviceKey::of(const Device &device) {
  return {device.chip, device.name, device.multiprocessors, /*watts=*/0};
}

std::optional<int64_t> DeviceKey::distance(const DeviceKey &other) const {
  if (chip != other.chip || multiprocessors != other.multiprocessors)
    return std::nullopt;
  return name == other.name ? 0 : 1;
}

//===----------------------------------------------------------------------===//
// JSON
//===----------------------------------------------------------------------===//

static bool isPowerOfTwo(int64_t number) { return number > 0 && llvm::isPowerOf2_64(number); }

json::Object sfa::describeCase(const Problem &problem, const ProblemKey &key) {
  json::Object object{{"batch", *problem.batch},
                      {"query_heads", problem.queryHeads},
                      {"key_heads", problem.keyHeads},
                      {"queries", *problem.numQueries()},
                      {"keys", *problem.numKeys()},
                      {"d", key.features},
                      {"dv", key.valueFeatures},
                      {"dtype", key.dtype},
                      {"form", key.form},
                      {"k", key.codes},
                      {"mask", key.mask},
                      {"lse", key.lse}};
  if (key.mask == "window") {
    object["left"] = *problem.leftBound;
    object["right"] = *problem.rightBound;
  }
  return object;
}

json::Value sfa::toJSON(const ProblemKey &key) {
  return json::Object{{"operation", key.operation},
                      {"dtype", key.dtype},
                      {"form", key.form},
                      {"mask", key.mask},
                      {"data", key.data},
                      {"d", key.features},
                      {"dv", key.valueFeatures},
                      {"k", key.codes},
                      {"window", key.window},
                      {"group", key.group},
                      {"queries", key.queries},
                      {"keys", key.keys},
                      {"batch_heads", key.batchHeads},
                      {"lse", key.lse},
                      {"sequences", key.sequences}};
}

static constexpr llvm::StringLiteral dtypes[] = {"f16", "bf16", "f32"},
                                     masks[] = {"none", "causal", "window"},
                                     classes[] = {"any", "uniform", "concentrated"},
                                     forms[] = {"dense",     "codes",      "codes 2:4",
                                                "int8 tile", "int8 token", "int8 head"};

bool sfa::fromJSON(const json::Value &value, ProblemKey &key, json::Path path) {
  json::ObjectMapper map(value, path);
  if (!map || !map.map("operation", key.operation) || !map.map("dtype", key.dtype) ||
      !map.map("form", key.form) || !map.map("mask", key.mask) || !map.map("data", key.data) ||
      !map.map("d", key.features) || !map.map("dv", key.valueFeatures) ||
      !map.map("k", key.codes) || !map.map("window", key.window) || !map.map("group", key.group) ||
      !map.map("queries", key.queries) || !map.map("keys", key.keys) ||
      !map.map("batch_heads", key.batchHeads) || !map.map("lse", key.lse) ||
      !map.map("sequences", key.sequences))
    return false;
  return require(key.operation == "attention", path.field("operation"), "has to be 'attention'") &&
         require(llvm::is_contained(dtypes, key.dtype), path.field("dtype"),
                 "has to be 'f16', 'bf16' or 'f32'") &&
         require(llvm::is_contained(forms, key.form), path.field("form"),
                 "has to be 'dense', 'codes', 'codes 2:4', 'int8 tile', 'int8 token' or "
                 "'int8 head'") &&
         require(llvm::is_contained(masks, key.mask), path.field("mask"),
                 "has to be 'none', 'causal' or 'window'") &&
         require(llvm::is_contained(classes, key.data), path.field("data"),
                 "has to be 'any', 'uniform' or 'concentrated'") &&
         require(key.features > 0, path.field("d"), "has to be positive") &&
         require(key.valueFeatures > 0, path.field("dv"), "has to be positive") &&
         require(key.codes >= 0 && key.codes <= key.features, path.field("k"),
                 "has to be 0 to d") &&
         require(key.mask == "window" ? isPowerOfTwo(key.window) : key.window == 0,
                 path.field("window"), "has to be a power of two with a window, else 0") &&
         require(key.group > 0, path.field("group"), "has to be positive") &&
         require(isPowerOfTwo(key.queries), path.field("queries"), "has to be a power of two") &&
         require(isPowerOfTwo(key.keys), path.field("keys"), "has to be a power of two") &&
         require(isPowerOfTwo(key.batchHeads), path.field("batch_heads"),
                 "has to be a power of two");
}

json::Value sfa::toJSON(const DeviceKey &key) {
  return json::Object{{"chip", key.chip},
                      {"name", key.name},
                      {"multiprocessors", key.multiprocessors},
                      {"watts", key.watts}};
}

bool sfa::fromJSON(const json::Value &value, DeviceKey &key, json::Path path) {
  json::ObjectMapper map(value, path);
  if (!map || !map.map("chip", key.chip) || !map.map("name", key.name) ||
      !map.map("multiprocessors", key.multiprocessors) || !map.map("watts", key.watts))
    return false;
  return require(!key.chip.empty(), path.field("chip"), "is empty") &&
         require(!key.name.empty(), path.field("name"), "is empty") &&
         require(key.multiprocessors > 0, path.field("multiprocessors"), "has to be positive") &&
         require(key.watts >= 0, path.field("watts"), "is negative");
}

json::Value sfa::toJSON(const Schedule &schedule) {
  json::Object object;
  forEachScheduleParameter([&](auto parameter) {
    const auto &value = schedule.*parameter.given;
    if (!value)
      return;
    if constexpr (std::is_same_v<decltype(parameter), ScheduleNumber>)
      object[parameter.keyword] = *value;
    else
      object[parameter.keyword] = stringifyEnum(*value);
  });
  return object;
}

namespace {
/// Sets the parameter with the keyword `name` of a schedule.
struct SetParameter {
  Schedule &schedule;
  llvm::StringRef name;
  const json::Value &value;
  json::Path path;
  bool isKnown = false, isRight = false;

  template <class Enum>
  void operator()(ScheduleChoice<Enum> parameter) {
    if (parameter.keyword != name)
      return;
    isKnown = true;
    std::optional<llvm::StringRef> text = value.getAsString();
    std::optional<Enum> found = text ? symbolizeEnum<Enum>(*text) : std::nullopt;
    isRight = require(found.has_value(), path, "is no value of this parameter");
    schedule.*parameter.given = found;
  }
  void operator()(ScheduleNumber parameter) {
    if (parameter.keyword != name)
      return;
    isKnown = true;
    std::optional<int64_t> number = value.getAsInteger();
    isRight = require(number && *number >= parameter.least && *number <= parameter.most, path,
                      "is no number that this parameter allows");
    schedule.*parameter.given = number;
  }
};
} // namespace

bool sfa::fromJSON(const json::Value &value, Schedule &schedule, json::Path path) {
  const json::Object *object = value.getAsObject();
  if (!object)
    return require(false, path, "expected object");
  schedule = Schedule();
  for (const auto &[name, parameter] : *object) {
    SetParameter set{schedule, name, parameter, path.field(name)};
    forEachScheduleParameter([&](auto each) { set(each); });
    if (!set.isKnown)
      return require(false, path.field(name), "is no parameter of a schedule");
    if (!set.isRight)
      return false;
  }
  return true;
}
