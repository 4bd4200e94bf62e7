//===- Fit.cpp - The factors of the time model, from measured times -------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Tuning/Fit.h"

#include "llvm/ADT/STLExtras.h"

#include <Eigen/Dense>
#include <cmath>
#include <fmt/format.h>
#include <map>

using namespace sfa;
using namespace sfa::tuning;

Problem tuning::problemOf(const TuningEntry &entry) {
  const ProblemKey &key = entry.key;
  Problem problem;
  problem.queryHeads = entry.queryHeads;
  problem.keyHeads = entry.queryHeads / key.group;
  problem.features = key.features;
  problem.valueFeatures = key.valueFeatures;
  if (key.codes)
    problem.queryCodes = problem.keyCodes = key.codes;
  llvm::StringRef form = key.form;
  if (form.consume_front("int8 "))
    problem.keyScales = symbolizeScales(form);
  problem.isTwoFour = key.form == "codes 2:4";
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
  problem.batch = entry.batch;
  problem.queryTokens = entry.queries;
  problem.keyTokens = entry.keys;
  problem.sizesAreHints = true;
  return problem;
}

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
  auto one = [&](const MeasuredSchedule &measured) {
    visit(ResolvedSchedule(measured.schedule, ResolvedSchedule()), measured.median());
  };
  one(entry.winner);
  for (const MeasuredSchedule &other : entry.others)
    one(other);
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
    Problem problem = problemOf(entry);
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

llvm::Expected<TimeModel> tuning::fit(const TuningDatabase &database) {
  // What is measured of each kind of chip: the traits of a schedule, and the logarithm of its time
  // over its bound.
  struct Row {
    std::vector<std::string> traits;
    double logarithm;
  };
  std::map<std::string, std::vector<Row>> chips;
  for (const TuningEntry &entry : database.entries()) {
    llvm::Expected<Device> device = deviceOf(entry);
    if (!device)
      return device.takeError();
    Problem problem = problemOf(entry);
    forEachTime(entry, [&](const ResolvedSchedule &schedule, double time) {
      chips[entry.device.chip].push_back(
          {getTraits(problem, *device, schedule),
           std::log(time / boundMilliseconds(problem, *device, schedule))});
    });
  }
  if (chips.empty())
    return llvm::createStringError("the database has no entries to fit a model to");
  TimeModel model;
  for (const auto &[chip, rows] : chips) {
    std::map<std::string, Eigen::Index> columns;
    for (const Row &row : rows)
      for (const std::string &trait : row.traits)
        columns.try_emplace(trait, static_cast<Eigen::Index>(columns.size()));
    auto numRows = static_cast<Eigen::Index>(rows.size()),
         numColumns = static_cast<Eigen::Index>(columns.size());
    Eigen::MatrixXd matrix = Eigen::MatrixXd::Zero(numRows, numColumns);
    Eigen::VectorXd logarithms(numRows);
    for (Eigen::Index i = 0; i < numRows; ++i) {
      logarithms[i] = rows[i].logarithm;
      for (const std::string &trait : rows[i].traits)
        matrix(i, columns[trait]) = 1;
    }
    constexpr double ridge = 0.3;
    Eigen::MatrixXd normal = matrix.transpose() * matrix;
    normal.diagonal().array() += ridge;
    Eigen::VectorXd weights = normal.ldlt().solve(matrix.transpose() * logarithms);
    for (const auto &[trait, column] : columns)
      model.set(chip, trait, weights[column]);
  }
  return model;
}
