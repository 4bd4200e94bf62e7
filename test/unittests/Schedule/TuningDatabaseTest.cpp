//===- TuningDatabaseTest.cpp - Schedules that were measured --------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Schedule/Choose.h"
#include "sfa/Schedule/TimeModel.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include <cmath>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace sfa;

namespace {

Problem makeProblem(int64_t tokens) {
  Problem problem;
  problem.queryHeads = problem.keyHeads = 16;
  problem.features = problem.valueFeatures = 128;
  problem.queryCodes = problem.keyCodes = 8;
  problem.element = ElementType::BF16;
  problem.rightBound = 0;
  problem.batch = 1;
  problem.queryTokens = problem.keyTokens = tokens;
  problem.sizesAreHints = true;
  return problem;
}

Device makeH100() { return Device::of(llvm::cantFail(Chip::parse("sm_90a"))); }

/// An entry in which a schedule with `kTile` is a tenth faster than the cost model's.
TuningEntry makeEntry(int64_t tokens, int64_t kTile) {
  Problem problem = makeProblem(tokens);
  TuningEntry entry;
  entry.key = *ProblemKey::of(problem);
  entry.device = DeviceKey::of(makeH100());
  entry.queryHeads = 16;
  entry.queries = entry.keys = tokens;
  entry.model = {withoutDefaults(estimate(problem, makeH100()), makeH100()), {1.0, 1.01, 0.99}};
  entry.winner = {entry.model.schedule, {0.9, 0.91, 0.89}};
  entry.winner.schedule.kTile = kTile;
  entry.others = {entry.model};
  entry.compiler = "test";
  entry.driver = "13.0";
  entry.date = "2026-11-27";
  return entry;
}

TuningDatabase makeDatabase(llvm::ArrayRef<TuningEntry> entries) {
  TuningDatabase database;
  for (const TuningEntry &entry : entries)
    database.add(entry);
  return database;
}

std::string errorOf(llvm::StringRef text) {
  llvm::Expected<TuningDatabase> database = TuningDatabase::parse(text, "x.json");
  return database ? "" : llvm::toString(database.takeError());
}

/// The text of a database with one entry, with `from` replaced by `to`.
std::string changed(llvm::StringRef from, llvm::StringRef to) {
  std::string text = makeDatabase(makeEntry(16384, 112)).toText();
  size_t place = text.find(from.str());
  EXPECT_NE(place, std::string::npos) << from.str();
  return text.replace(place, from.size(), to.str());
}

TEST(ProblemKey, PutsSizesIntoBuckets) {
  ProblemKey key = *ProblemKey::of(makeProblem(16384));
  EXPECT_EQ(key, *ProblemKey::of(makeProblem(9000)));
  EXPECT_EQ(key.distance(*ProblemKey::of(makeProblem(8192))), 2);
  EXPECT_EQ(key.describe(),
            "bf16 codes k=8 d=128 dv=128 causal queries<=16384 keys<=16384 batch*heads<=16");
  Problem other = makeProblem(16384);
  other.hasLse = true;
  EXPECT_EQ(key.distance(*ProblemKey::of(other)), 1);
  other.rightBound = std::nullopt;
  EXPECT_EQ(key.distance(*ProblemKey::of(other)), std::nullopt);
  other.keyTokens = std::nullopt;
  EXPECT_EQ(ProblemKey::of(other), std::nullopt);
  EXPECT_EQ(ProblemKey::of(makeProblem(0)), std::nullopt);
}

TEST(TuningDatabase, SurvivesItsText) {
  TuningDatabase database = makeDatabase({makeEntry(16384, 112), makeEntry(2048, 96)});
  std::string text = database.toText();
  llvm::Expected<TuningDatabase> again = TuningDatabase::parse(text, "x.json");
  ASSERT_TRUE(bool(again)) << llvm::toString(again.takeError());
  EXPECT_EQ(again->toText(), text);
  ASSERT_EQ(again->entries().size(), 2u);
  EXPECT_EQ(again->entries()[0].key.queries, 2048);
  EXPECT_EQ(again->entries()[1].winner.schedule.kTile, 112);
  EXPECT_EQ(again->entries()[1].winner.median(), 0.9);
}

TEST(TuningDatabase, RefusesWhatIsNotRight) {
  EXPECT_EQ(errorOf(changed("sfa-tuning-database", "other")),
            "x.json is no tuning database: has to be 'sfa-tuning-database' at database.format");
  EXPECT_NE(errorOf(changed("\"version\": 1", "\"version\": 2")).find("is another than 1"),
            std::string::npos);
  EXPECT_NE(errorOf("{\"entries\": ["), "");
  EXPECT_NE(errorOf(""), "");
  EXPECT_NE(errorOf("[]"), "");
  EXPECT_EQ(errorOf(changed("\"k_tile\":112", "\"k_tile\":0")),
            "x.json is no tuning database: is no number that this parameter allows at "
            "database.entries[0].winner.schedule.k_tile");
  EXPECT_NE(errorOf(changed("\"k_tile\":112", "\"tile\":112")).find("is no parameter"),
            std::string::npos);
  EXPECT_NE(errorOf(changed("\"softmax\":\"lazy\"", "\"softmax\":\"soft\"")).find("is no value"),
            std::string::npos);
  EXPECT_NE(errorOf(changed("0.89", "-1")).find("positive numbers"), std::string::npos);
  EXPECT_NE(errorOf(changed("\"keys\":16384", "\"keys\":16383")).find("power of two"),
            std::string::npos);
  EXPECT_NE(errorOf(changed("\"group\":1,", "\"group\":3,")).find("a multiple of the key's group"),
            std::string::npos);
  EXPECT_NE(errorOf(changed("\"ties\": 0", "\"ties\": 5")).find("number of others"),
            std::string::npos);
  std::string text = makeDatabase(makeEntry(16384, 112)).toText();
  for (size_t length = 0; length + 2 < text.size(); length += 37)
    EXPECT_NE(errorOf(llvm::StringRef(text).take_front(length)), "") << length;
}

TEST(TuningDatabase, MergesByTheLaterDay) {
  TuningEntry early = makeEntry(16384, 96), late = makeEntry(16384, 112);
  early.date = "2026-11-26";
  for (bool isLateFirst : {false, true}) {
    TuningDatabase database = makeDatabase(isLateFirst ? late : early);
    database.merge(makeDatabase(isLateFirst ? early : late));
    ASSERT_EQ(database.entries().size(), 1u);
    EXPECT_EQ(database.entries()[0].winner.schedule.kTile, 112);
  }
  TuningDatabase database = makeDatabase(early);
  TuningEntry elsewhere = late;
  elsewhere.device.watts = 350;
  database.merge(makeDatabase(elsewhere));
  EXPECT_EQ(database.entries().size(), 2u);
  database.addInFront(late);
  EXPECT_EQ(database.entries().size(), 1u);
}

TEST(TuningDatabase, SixteenWritersLoseNothing) {
  llvm::SmallString<128> path;
  ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("sfa-tuning", path));
  std::string folder(path);
  llvm::sys::path::append(path, "database.json");
  constexpr int64_t writers = 16;
  for (int64_t writer = 0; writer < writers; ++writer)
    if (fork() == 0) {
      for (int64_t k = 1; k <= 4; ++k) {
        TuningEntry entry = makeEntry(1024, 96);
        entry.key.valueFeatures = writer + 1;
        entry.key.codes = k;
        if (llvm::Error error = addToFile(path, makeDatabase(entry)))
          _exit(1);
      }
      _exit(0);
    }
  for (int64_t writer = 0; writer < writers; ++writer) {
    int status = 0;
    wait(&status);
    EXPECT_EQ(status, 0);
  }
  llvm::Expected<TuningDatabase> database = TuningDatabase::read(path);
  ASSERT_TRUE(bool(database)) << llvm::toString(database.takeError());
  EXPECT_EQ(database->entries().size(), static_cast<size_t>(4 * writers));

  // A file that is something else stays what it is.
  llvm::cantFail(llvm::writeToOutput(path, [](llvm::raw_ostream &stream) {
    stream << "precious";
    return llvm::Error::success();
  }));
  llvm::Error error = addToFile(path, makeDatabase(makeEntry(1024, 96)));
  EXPECT_NE(llvm::toString(std::move(error)).find("is no tuning database"), std::string::npos);
  EXPECT_EQ((*llvm::MemoryBuffer::getFile(path))->getBuffer(), "precious");
  llvm::sys::fs::remove_directories(folder);
}

TEST(Choice, TakesWhatWasMeasured) {
  TuningDatabase database = makeDatabase(makeEntry(16384, 112));
  Choice choice = choose(makeProblem(16000), makeH100(), {}, database);
  EXPECT_EQ(choice.ground, Ground::Measured);
  EXPECT_EQ(choice.schedule.kTile, 112);
  EXPECT_EQ(choice.reason, "0.9000 ms on NVIDIA H100 80GB HBM3 with 16384 queries, 16384 keys, 16 "
                           "heads and batch 1 (2026-11-27); 0.900 of the time of the cost model's "
                           "choice");
}

TEST(Choice, TakesTheNearest) {
  TuningDatabase database = makeDatabase({makeEntry(16384, 112), makeEntry(4096, 96)});
  Choice choice = choose(makeProblem(8192), makeH100(), {}, database);
  EXPECT_EQ(choice.ground, Ground::Nearby);
  // Both are two factors away; the order of keys decides.
  EXPECT_EQ(choice.schedule.kTile, 96);
  EXPECT_EQ(choose(makeProblem(100000), makeH100(), {}, database).ground, Ground::Estimated);
}

TEST(Choice, EstimatesWhatIsNotMeasured) {
  TuningDatabase database = makeDatabase(makeEntry(16384, 112));
  Problem problem = makeProblem(16384);
  ResolvedSchedule estimated = estimate(problem, makeH100());
  Device other = Device::of(llvm::cantFail(Chip::parse("sm_80")));
  Choice choice = choose(problem, other, {}, database);
  EXPECT_EQ(choice.ground, Ground::Estimated);
  EXPECT_EQ(choice.reason.find("not measured on NVIDIA A100-SXM4-80GB (sm_80)"), 0u);
  problem.batch = std::nullopt;
  EXPECT_EQ(choose(problem, makeH100(), {}, database).ground, Ground::Estimated);
  EXPECT_EQ(choose(makeProblem(16384), makeH100(), {}, TuningDatabase()).schedule.toSchedule(),
            estimated.toSchedule());
}

TEST(Choice, KeepsWhatIsGiven) {
  TuningDatabase database = makeDatabase(makeEntry(16384, 112));
  Schedule given;
  given.kTile = 64;
  Choice choice = choose(makeProblem(16384), makeH100(), given, database);
  EXPECT_EQ(choice.ground, Ground::Estimated);
  EXPECT_EQ(choice.schedule.kTile, 64);
  // What agrees with it was measured.
  given.kTile = 112;
  EXPECT_EQ(choose(makeProblem(16384), makeH100(), given, database).ground, Ground::Measured);
}

TEST(Choice, ShippedDatabaseIsRight) {
  llvm::Expected<const TuningDatabase *> database = getTuningDatabase();
  ASSERT_TRUE(bool(database)) << llvm::toString(database.takeError());
  for (const TuningEntry &entry : (*database)->entries()) {
    EXPECT_TRUE(bool(Chip::parse(entry.device.chip)) || entry.device.chip == "cpu");
    EXPECT_LE(entry.winner.median(), 1.0101 * entry.model.median()) << entry.key.describe();
  }
}

TEST(TimeModel, IsOfTheOrderOfWhatWasMeasured) {
  // 1.4 ms on an H100, causal, 16384 tokens, 16 heads.
  Problem problem = makeProblem(16384);
  double time =
      TimeModel::ofBuild().milliseconds(problem, makeH100(), estimate(problem, makeH100()));
  EXPECT_GT(time, 0.7);
  EXPECT_LT(time, 2.8);
  // Four times the pairs.
  problem = makeProblem(32768);
  double longer =
      TimeModel::ofBuild().milliseconds(problem, makeH100(), estimate(problem, makeH100()));
  EXPECT_NEAR(longer / time, 4, 0.5);
}

TEST(TimeModel, HasANumberForEverySchedule) {
  for (const char *chip : {"sm_80", "sm_90a", "sm_120", ""}) {
    Device device = *chip ? Device::of(llvm::cantFail(Chip::parse(chip))) : Device::cpu();
    for (int64_t queries : {1, 100, 5000}) {
      Problem problem = makeProblem(20000);
      problem.queryTokens = queries;
      ScheduleSpace(problem, device).forEach([&](const ResolvedSchedule &schedule) {
        double time = TimeModel::ofBuild().milliseconds(problem, device, schedule);
        ASSERT_TRUE(std::isfinite(time) && time > 0);
      });
    }
  }
}

TEST(TimeModel, RefusesWhatIsNotRight) {
  for (const char *text : {"", "[]", "{\"cpu\": 1}", "{\"cpu\": {\"all\": \"x\"}}"}) {
    llvm::Expected<TimeModel> model = TimeModel::parse(text);
    EXPECT_FALSE(bool(model)) << text;
    llvm::consumeError(model.takeError());
  }
}

} // namespace
