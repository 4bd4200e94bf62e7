//===- Fit.cpp - The factors of the time model, from measured times -------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Tuning/Fit.h"

#include "sfa/Schedule/Choose.h"
#include "llvm/ADT/STLExtras.h"

#include <Eigen/Dense>
#include <cmath>
#include <fmt/format.h>
#include <map>

using namespace sfa;
using namespace sfa::tuning;

llvm::Expected<Device> tuning::deviceOf(const TuningEntry &entry) {
  Device device = Device::cpu();
  if (entry.device.chip != "cpu") {
    llvm::Expected<Chip> chip = Chip::parse(entry.device.chip);
    if (!chip)
      return chip.takeError();
    device = Device::of(*chip);
  }
  device.name = entry.device.name;
  device.multiprocessors = entry.device.multiprocessors;
  return device;
}

/// Calls `visit` with each schedule that the entry has measured, and its time.
static void forEachTime(const TuningEntry &entry,
                        llvm::function_ref<void(const ResolvedSchedule &, double)> visit) {
  entry.forEachMeasured([&](const MeasuredSchedule &measured) {
    visit(ResolvedSchedule(measured.schedule, ResolvedSchedule()), measured.median());
  });
}

Residuals tuning::judge(const TimeModel &model, const TuningDatabase &database,
                        llvm::StringRef chip) {
  Residuals residuals;
  std::vector<double> gaps;
  double squares = 0;
  for (const TuningEntry &entry : database.entries()) {
    llvm::Expected<Device> device = deviceOf(entry);
    if (!device || entry.device.chip != chip) {
      llvm::consumeError(device.takeError());
      continue;
    }
    Problem problem = entry.problem();
    double best = entry.winner.median(), expected = 0, chosen = 0;
    forEachTime(entry, [&](const ResolvedSchedule &schedule, double time) {
      double says = model.milliseconds(problem, *device, schedule);
      squares += std::pow(std::log(time / says), 2);
      ++residuals.count;
      best = std::min(best, time);
      if (chosen == 0 || says < expected) {
        expected = says;
        chosen = time;
      }
    });
    gaps.push_back(chosen / best - 1);
  }
  if (gaps.empty())
    return residuals;
  llvm::sort(gaps);
  residuals.error = std::sqrt(squares / static_cast<double>(residuals.count));
  residuals.worstGap = gaps.back();
  residuals.usualGap = gaps[(gaps.size() - 1) * 9 / 10];
  return residuals;
}

ChoiceQuality tuning::judgeChoices(const TuningDatabase &database, llvm::StringRef chip) {
  ChoiceQuality quality;
  for (const TuningEntry &entry : database.entries()) {
    llvm::Expected<Device> device = deviceOf(entry);
    if (!device || entry.device.chip != chip) {
      llvm::consumeError(device.takeError());
      continue;
    }
    TuningDatabase others;
    for (const TuningEntry &other : database.entries())
      if (&other != &entry)
        others.add(other);
    Schedule chosen =
        withoutDefaults(choose(entry.problem(), *device, {}, others).schedule, *device);
    double best = entry.winner.median(), time = 0;
    entry.forEachMeasured([&](const MeasuredSchedule &measured) {
      best = std::min(best, measured.median());
      if (measured.schedule == chosen)
        time = measured.median();
    });
    ++quality.count;
    if (time == 0)
      continue;
    ++quality.known;
    quality.good += time <= 1.1 * best;
    quality.worstGap = std::max(quality.worstGap, time / best - 1);
  }
  return quality;
}

namespace {
/// A logarithm, of a time over its bound, and what it depends on.
struct Row {
  std::vector<std::string> traits;
  double logarithm;
  size_t entry;
};
using Weights = std::map<std::string, double>;

/// Least squares with a penalty on weights (ridge regression), so that traits that few rows have
/// keep a factor near 1.
Weights solve(llvm::ArrayRef<Row> rows, bool isCentered) {
  std::map<std::string, Eigen::Index> columns;
  size_t numEntries = 0;
  for (const Row &row : rows) {
    for (const std::string &trait : row.traits)
      columns.try_emplace(trait, static_cast<Eigen::Index>(columns.size()));
    numEntries = std::max(numEntries, row.entry + 1);
  }
  auto numRows = static_cast<Eigen::Index>(rows.size()),
       numColumns = static_cast<Eigen::Index>(columns.size());
  // The last column is what is explained.
  Eigen::MatrixXd matrix = Eigen::MatrixXd::Zero(numRows, numColumns + 1);
  for (Eigen::Index i = 0; i < numRows; ++i) {
    matrix(i, numColumns) = rows[i].logarithm;
    for (const std::string &trait : rows[i].traits)
      matrix(i, columns[trait]) = 1;
  }
  if (isCentered)
    for (size_t entry = 0; entry < numEntries; ++entry) {
      std::vector<Eigen::Index> own;
      for (Eigen::Index i = 0; i < numRows; ++i)
        if (rows[i].entry == entry)
          own.push_back(i);
      if (own.empty())
        continue;
      Eigen::RowVectorXd mean = matrix(own, Eigen::all).colwise().mean();
      for (Eigen::Index i : own)
        matrix.row(i) -= mean;
    }
  constexpr double ridge = 0.3;
  Eigen::MatrixXd left = matrix.leftCols(numColumns);
  Eigen::MatrixXd normal = left.transpose() * left;
  normal.diagonal().array() += ridge;
  Eigen::VectorXd weights = normal.ldlt().solve(left.transpose() * matrix.col(numColumns));
  Weights result;
  for (const auto &[trait, column] : columns)
    result[trait] = weights[column];
  return result;
}
} // namespace

llvm::Expected<TimeModel> tuning::fit(const TuningDatabase &database) {
  // Of schedules, and of the problems that they are of.
  struct Rows {
    std::vector<Row> ofSchedules, ofProblems;
  };
  std::map<std::string, Rows> chips;
  for (const auto &[number, entry] : llvm::enumerate(database.entries())) {
    llvm::Expected<Device> device = deviceOf(entry);
    if (!device)
      return device.takeError();
    Problem problem = entry.problem();
    Rows &rows = chips[entry.device.chip];
    forEachTime(entry, [&, number = number](const ResolvedSchedule &schedule, double time) {
      double logarithm = std::log(time / boundMilliseconds(problem, *device, schedule));
      rows.ofSchedules.push_back({getTraits(problem, *device, schedule), logarithm, number});
      rows.ofProblems.push_back({getTraits(problem), logarithm, number});
    });
  }
  if (chips.empty())
    return llvm::createStringError("the database has no entries to fit a model to");
  TimeModel model;
  for (auto &[chip, rows] : chips) {
    // First what differs among the schedules of a problem, which is what a choice depends on; then
    // what is left of the problems.
    Weights ofSchedules = solve(rows.ofSchedules, /*isCentered=*/true);
    for (auto [ofProblem, ofSchedule] : llvm::zip_equal(rows.ofProblems, rows.ofSchedules))
      for (const std::string &trait : ofSchedule.traits)
        ofProblem.logarithm -= ofSchedules[trait];
    for (const Weights &weights : {ofSchedules, solve(rows.ofProblems, /*isCentered=*/false)})
      for (const auto &[trait, weight] : weights)
        model.set(chip, trait, weight);
  }
  return model;
}
