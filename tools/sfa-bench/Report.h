//===- Report.h - The measured table, for readers and for programs -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TOOLS_SFA_BENCH_REPORT_H
#define SFA_TOOLS_SFA_BENCH_REPORT_H

#include "Workload.h"
#include "llvm/Support/raw_ostream.h"

#include <optional>

namespace sfa::bench {

/// What all rows have in common.
struct Setup {
  unsigned numThreads;
  unsigned vectorBits;
  uint64_t seed;
  int64_t numRepeats;
};

struct Row {
  Workload problem;
  /// Whether the compiler chose the schedule itself.
  bool isChosen;
  /// The complete schedule.
  std::string strategy, softmax, schedule;
  double compileMilliseconds, medianMilliseconds, minMilliseconds;
  /// Dense-equivalent, at the median.
  double gflops;
  /// The multiply-adds that the machine reached in registers meanwhile, at the median.
  double peakGflops;
  /// How many times as fast as the fastest dense row of the problem.
  std::optional<double> ratioToDense;
};

void printHeader(llvm::raw_ostream &stream, const Setup &setup);
void printRows(llvm::raw_ostream &stream, llvm::ArrayRef<Row> rows);

/// Writes a JSON object with the set-up and the rows. Fails when the file cannot be written.
llvm::Error writeJson(llvm::StringRef path, const Setup &setup, llvm::ArrayRef<Row> rows);

} // namespace sfa::bench

#endif // SFA_TOOLS_SFA_BENCH_REPORT_H
