//===- TuningDatabase.cpp - Schedules that were measured ------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Schedule/TuningDatabase.h"

#include "sfa/Support/Knobs.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

using namespace sfa;
namespace json = llvm::json;

void TuningEntry::forEachMeasured(llvm::function_ref<void(const MeasuredSchedule &)> visit) const {
  visit(winner);
  for (const MeasuredSchedule &other : others)
    visit(other);
}

Problem TuningEntry::problem() const {
  Problem problem;
  problem.queryHeads = queryHeads;
  problem.keyHeads = queryHeads / key.group;
  problem.features = key.features;
  problem.valueFeatures = key.valueFeatures;
  setForm(problem, key.form, key.codes);
  for (ElementType type : {ElementType::F16, ElementType::BF16, ElementType::F32})
    if (name(type) == key.dtype)
      problem.element = type;
  problem.hasLse = key.lse;
  problem.hasSequences = key.sequences;
  if (key.mask == "causal")
    problem.rightBound = 0;
  if (key.mask == "window") {
    problem.leftBound = key.window - 1;
    problem.rightBound = 0;
  }
  problem.batch = batch;
  problem.queryTokens = queries;
  problem.keyTokens = keys;
  problem.sizesAreHints = true;
  return problem;
}

//===----------------------------------------------------------------------===//
// JSON
//===----------------------------------------------------------------------===//

json::Value sfa::toJSON(const MeasuredSchedule &measured) {
  json::Array times;
  // Tenths of a microsecond: what the clocks of devices resolve.
  for (double time : measured.milliseconds)
    times.push_back(std::round(time * 1e4) / 1e4);
  return json::Object{{"schedule", toJSON(measured.schedule)}, {"ms", std::move(times)}};
}

bool sfa::fromJSON(const json::Value &value, MeasuredSchedule &measured, json::Path path) {
  json::ObjectMapper map(value, path);
  if (!map || !map.map("schedule", measured.schedule) || !map.map("ms", measured.milliseconds))
    return false;
  auto isTime = [](double time) { return std::isfinite(time) && time > 0; };
  return require(!measured.milliseconds.empty(), path.field("ms"), "is empty") &&
         require(llvm::all_of(measured.milliseconds, isTime), path.field("ms"),
                 "has to hold positive numbers");
}

json::Value sfa::toJSON(const TuningEntry &entry) {
  json::Array others;
  for (const MeasuredSchedule &other : entry.others)
    others.push_back(toJSON(other));
  return json::Object{{"key", toJSON(entry.key)},
                      {"device", toJSON(entry.device)},
                      {"measured", json::Object{{"batch", entry.batch},
                                                {"query_heads", entry.queryHeads},
                                                {"queries", entry.queries},
                                                {"keys", entry.keys}}},
                      {"winner", toJSON(entry.winner)},
                      {"model", toJSON(entry.model)},
                      {"others", std::move(others)},
                      {"ties", entry.ties},
                      {"compiler", entry.compiler},
                      {"driver", entry.driver},
                      {"date", entry.date},
                      {"clock_mhz", entry.clock},
                      {"throttle", entry.throttle}};
}

bool sfa::fromJSON(const json::Value &value, TuningEntry &entry, json::Path path) {
  json::ObjectMapper map(value, path);
  if (!map || !map.map("key", entry.key) || !map.map("device", entry.device) ||
      !map.map("winner", entry.winner) || !map.map("model", entry.model) ||
      !map.map("others", entry.others) || !map.map("ties", entry.ties) ||
      !map.map("compiler", entry.compiler) || !map.map("driver", entry.driver) ||
      !map.map("date", entry.date) || !map.map("clock_mhz", entry.clock) ||
      !map.map("throttle", entry.throttle))
    return false;
  json::Path sizes = path.field("measured");
  const json::Value *measured = value.getAsObject()->get("measured");
  if (!require(measured != nullptr, sizes, "is missing"))
    return false;
  json::ObjectMapper sizeMap(*measured, sizes);
  if (!sizeMap || !sizeMap.map("batch", entry.batch) ||
      !sizeMap.map("query_heads", entry.queryHeads) || !sizeMap.map("queries", entry.queries) ||
      !sizeMap.map("keys", entry.keys))
    return false;
  return require(entry.batch > 0 && entry.queryHeads > 0 && entry.queries > 0 && entry.keys > 0,
                 sizes, "has to hold positive numbers") &&
         require(entry.queryHeads % entry.key.group == 0, sizes.field("query_heads"),
                 "has to be a multiple of the key's group") &&
         require(entry.ties >= 0 && entry.ties <= static_cast<int64_t>(entry.others.size()),
                 path.field("ties"), "has to be a number of others") &&
         require(entry.date.size() == 10, path.field("date"), "has to be such as 2026-11-27");
}

//===----------------------------------------------------------------------===//
// Documents
//===----------------------------------------------------------------------===//

static constexpr llvm::StringLiteral format = "sfa-tuning-database";

/// The entries of a document whose head is right.
static bool readDocument(const json::Value &value, std::vector<TuningEntry> &entries,
                         json::Path path) {
  json::ObjectMapper map(value, path);
  std::string given;
  int64_t version = 0;
  if (!map || !map.map("format", given) ||
      !require(given == format, path.field("format"), "has to be 'sfa-tuning-database'") ||
      !map.map("version", version) ||
      !require(version == TuningDatabase::version, path.field("version"),
               "is another than 1, the one that this build knows; use the build that wrote it, or "
               "tune again into another file"))
    return false;
  return map.map("entries", entries);
}

static bool isBefore(const TuningEntry &a, const TuningEntry &b) {
  return std::tie(a.device, a.key) < std::tie(b.device, b.key);
}

static bool isSame(const TuningEntry &a, const TuningEntry &b) {
  return a.device == b.device && a.key == b.key;
}

llvm::Expected<TuningDatabase> TuningDatabase::parse(llvm::StringRef text, llvm::StringRef name) {
  auto refuse = [&](llvm::Error error) {
    return llvm::createStringError(
        fmt::format("{} is no tuning database: {}", name.str(), llvm::toString(std::move(error))));
  };
  llvm::Expected<json::Value> document = json::parse(text);
  if (!document)
    return refuse(document.takeError());
  TuningDatabase database;
  json::Path::Root root("database");
  if (!readDocument(*document, database.sorted, root))
    return refuse(root.getError());
  llvm::sort(database.sorted, isBefore);
  auto twice = std::adjacent_find(database.sorted.begin(), database.sorted.end(), isSame);
  if (twice != database.sorted.end())
    return refuse(
        llvm::createStringError(fmt::format("it has two entries for {}", twice->key.describe())));
  return database;
}

llvm::Expected<TuningDatabase> TuningDatabase::read(llvm::StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer)
    return llvm::createStringError(
        fmt::format("cannot read {}: {}", path.str(), buffer.getError().message()));
  return parse((*buffer)->getBuffer(), path);
}

std::string TuningDatabase::toText() const {
  // A line for each schedule that was measured, so that files can be compared line by line.
  std::string text;
  llvm::raw_string_ostream stream(text);
  json::OStream json(stream, /*IndentSize=*/1);
  auto writeLine = [&](const json::Value &value) {
    json.rawValue([&](llvm::raw_ostream &raw) {
      const json::Object *object = value.getAsObject();
      const json::Array *times = object ? object->getArray("ms") : nullptr;
      if (!times) {
        raw << value;
        return;
      }
      // The shortest numbers that are these, where the library gives 17 digits.
      raw << "{\"ms\":[";
      llvm::interleave(
          *times, [&](const json::Value &time) { raw << fmt::format("{}", *time.getAsNumber()); },
          [&] { raw << ','; });
      raw << "],\"schedule\":" << *object->get("schedule") << '}';
    });
  };
  json.object([&] {
    json.attribute("format", format);
    json.attribute("version", version);
    json.attributeArray("entries", [&] {
      for (const TuningEntry &entry : sorted) {
        json::Value value = toJSON(entry);
        json.object([&] {
          for (const auto *field : json::sortedElements(*value.getAsObject())) {
            json.attributeBegin(field->first);
            if (const json::Array *others = field->second.getAsArray())
              json.array([&] { llvm::for_each(*others, writeLine); });
            else
              writeLine(field->second);
            json.attributeEnd();
          }
        });
      }
    });
  });
  stream << '\n';
  return text;
}

void TuningDatabase::add(TuningEntry entry) {
  auto place = llvm::lower_bound(sorted, entry, isBefore);
  if (place != sorted.end() && isSame(*place, entry))
    *place = std::move(entry);
  else
    sorted.insert(place, std::move(entry));
}

void TuningDatabase::addInFront(TuningEntry entry) {
  llvm::erase_if(sorted, [&](const TuningEntry &other) {
    return other.device.isLike(entry.device) && other.key == entry.key;
  });
  add(std::move(entry));
}

void TuningDatabase::merge(const TuningDatabase &other) {
  for (const TuningEntry &entry : other.sorted) {
    auto place = llvm::lower_bound(sorted, entry, isBefore);
    if (place == sorted.end() || !isSame(*place, entry) || place->date <= entry.date)
      add(entry);
  }
}

const TuningEntry *TuningDatabase::findNearest(const ProblemKey &key,
                                               const DeviceKey &device) const {
  const TuningEntry *nearest = nullptr;
  std::pair<int64_t, int64_t> least;
  for (const TuningEntry &entry : sorted) {
    std::optional<int64_t> sizes = key.distance(entry.key), product = device.distance(entry.device);
    if (!sizes || !product || *sizes > mostDistance)
      continue;
    std::pair<int64_t, int64_t> found(*sizes, *product);
    if (nearest && least <= found)
      continue;
    nearest = &entry;
    least = found;
  }
  return nearest;
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

llvm::Error sfa::addToFile(llvm::StringRef path, const TuningDatabase &added) {
  auto fail = [&](const std::string &what, std::error_code code) {
    return llvm::createStringError(
        fmt::format("cannot {} {}: {}", what, path.str(), code.message()));
  };
  // Who writes holds a lock, which the system takes back from a process that ends.
  std::string lockPath = (path + ".lock").str();
  int lock = -1;
  if (std::error_code code = llvm::sys::fs::openFileForReadWrite(
          lockPath, lock, llvm::sys::fs::CD_OpenAlways, llvm::sys::fs::OF_None))
    return fail("write beside", code);
  llvm::scope_exit close([&] { llvm::sys::Process::SafelyCloseFileDescriptor(lock); });
  if (std::error_code code = llvm::sys::fs::lockFile(lock))
    return fail("lock", code);
  TuningDatabase database;
  if (llvm::sys::fs::exists(path)) {
    llvm::Expected<TuningDatabase> existing = TuningDatabase::read(path);
    if (!existing)
      return existing.takeError();
    database = std::move(*existing);
  }
  database.merge(added);
  return llvm::writeToOutput(path, [&](llvm::raw_ostream &stream) {
    stream << database.toText();
    return llvm::Error::success();
  });
}

//===----------------------------------------------------------------------===//
// The database of the process
//===----------------------------------------------------------------------===//

/// The text of lib/Schedule/Tuned/database.json.
namespace sfa::impl {
extern const char shippedDatabase[];
}

static llvm::Expected<TuningDatabase> readAll() {
  llvm::Expected<TuningDatabase> all =
      TuningDatabase::parse(impl::shippedDatabase, "the database of this build");
  if (!all)
    return all;
  // Named, since llvm::reverse refers to its argument and keeps no temporary alive.
  std::vector<std::string> paths = knobs::tuningDatabases();
  for (const std::string &path : llvm::reverse(paths)) {
    llvm::Expected<TuningDatabase> own = TuningDatabase::read(path);
    if (!own)
      return llvm::createStringError("the environment variable SFA_TUNING_DATABASE: " +
                                     llvm::toString(own.takeError()));
    for (const TuningEntry &entry : own->entries())
      all->addInFront(entry);
  }
  return all;
}

llvm::Expected<const TuningDatabase *> sfa::getTuningDatabase() {
  struct Read {
    TuningDatabase database;
    std::string error;
  };
  // Never destroyed: threads may ask while others exit.
  static const Read *read = [] {
    llvm::Expected<TuningDatabase> all = readAll();
    return all ? new Read{std::move(*all), ""}
               : new Read{TuningDatabase(), llvm::toString(all.takeError())};
  }();
  if (!read->error.empty())
    return llvm::createStringError(read->error);
  return &read->database;
}
