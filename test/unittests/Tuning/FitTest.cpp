//===- FitTest.cpp - How good models and choices are ----------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "sfa/Tuning/Fit.h"

#include <gtest/gtest.h>

using namespace sfa;
using namespace sfa::tuning;

namespace {

const TuningDatabase &shipped() { return *llvm::cantFail(getTuningDatabase()); }

TEST(Fit, ShippedChoicesHoldForProblemsThatAreLeftOut) {
  ChoiceQuality quality = judgeChoices(shipped(), "sm_90a");
  EXPECT_EQ(quality.count, shipped().entries().size());
  // What was chosen has a time of its own for most, and is within 10% of the best for 90% of these.
  EXPECT_GE(quality.known, quality.count * 8 / 10);
  EXPECT_GE(quality.good, (quality.known * 9 + 9) / 10);
  EXPECT_LT(quality.worstGap, 0.25);
}

TEST(Fit, ShippedModelIsAsGoodAsAFreshOne) {
  llvm::Expected<TimeModel> fresh = fit(shipped());
  ASSERT_TRUE(bool(fresh)) << llvm::toString(fresh.takeError());
  Residuals ofBuild = judge(TimeModel::ofBuild(), shipped(), "sm_90a"),
            ofFresh = judge(*fresh, shipped(), "sm_90a");
  EXPECT_GT(ofBuild.count, 1000u);
  EXPECT_LT(ofBuild.error, 1.05 * ofFresh.error);
  EXPECT_LT(ofBuild.usualGap, 0.12);
}

TEST(Fit, RefusesAnEmptyDatabase) {
  llvm::Expected<TimeModel> model = fit(TuningDatabase());
  ASSERT_FALSE(bool(model));
  EXPECT_NE(llvm::toString(model.takeError()).find("no entries"), std::string::npos);
}

} // namespace
