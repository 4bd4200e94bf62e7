//===- Report.cpp - The measured table, for readers and for programs ------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Report.h"

#include "sfa/Version.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/TargetParser/Host.h"

#include <fmt/format.h>

using namespace sfa;
using namespace sfa::bench;

void bench::printHeader(llvm::raw_ostream &stream, const Setup &setup) {
  stream << fmt::format("processor {}, {} threads, {}-bit vectors; N(0, 1) data, seed {}; median "
                        "of {} interleaved runs\n\n",
                        llvm::sys::getHostCPUName().str(), setup.numThreads, setup.vectorBits,
                        setup.seed, setup.numRepeats);
  stream << fmt::format("{:<20} {:<7} {:>7} {:>5} {:>5} {:>4} {:>10} {:>9} {:>8} {:>7}\n",
                        "strategy", "softmax", "n", "d", "dv", "k", "ms", "GFLOP/s", "x dense",
                        "% peak");
}

void bench::printRows(llvm::raw_ostream &stream, llvm::ArrayRef<Row> rows) {
  for (const Row &row : rows) {
    std::string strategy = row.isChosen ? fmt::format("chosen ({})", row.strategy) : row.strategy;
    std::string ratio = row.ratioToDense ? fmt::format("{:.2f}", *row.ratioToDense) : "-";
    stream << fmt::format(
        "{:<20} {:<7} {:>7} {:>5} {:>5} {:>4} {:>10.3f} {:>9.1f} {:>8} {:>7.1f}\n", strategy,
        row.softmax, row.problem.tokens, row.problem.features, row.problem.valueFeatures,
        row.problem.k, row.medianMilliseconds, row.gflops, ratio,
        100 * row.gflops / row.peakGflops);
  }
  if (!rows.empty())
    stream << fmt::format("{:<20} {:<7} {:>7} {:>5} {:>5} {:>4} {:>10} {:>9.1f} {:>8} {:>7.1f}\n",
                          "peak (registers)", "", "", "", "", "", "", rows.front().peakGflops, "",
                          100.0);
  stream.flush();
}

llvm::Error bench::writeJson(llvm::StringRef path, const Setup &setup, llvm::ArrayRef<Row> rows) {
  std::error_code error;
  llvm::raw_fd_ostream stream(path, error);
  if (error)
    return llvm::createStringError(error, "--json: " + path + ": " + error.message());
  llvm::json::OStream json(stream, /*IndentSize=*/2);
  json.object([&] {
    json.attribute("version", SFA_VERSION);
    json.attribute("processor", llvm::sys::getHostCPUName());
    json.attribute("threads", setup.numThreads);
    json.attribute("vector_bits", setup.vectorBits);
    json.attribute("seed", setup.seed);
    json.attribute("repeats", setup.numRepeats);
    json.attributeArray("rows", [&] {
      for (const Row &row : rows)
        json.object([&] {
          json.attribute("b", row.problem.batch);
          json.attribute("h", row.problem.heads);
          json.attribute("n", row.problem.tokens);
          json.attribute("d", row.problem.features);
          json.attribute("dv", row.problem.valueFeatures);
          json.attribute("k", row.problem.k);
          json.attribute("dtype", name(row.problem.type));
          json.attribute("mask", row.problem.isCausal ? "causal" : "none");
          json.attribute("chosen", row.isChosen);
          json.attribute("strategy", row.strategy);
          json.attribute("softmax", row.softmax);
          json.attribute("schedule", row.schedule);
          json.attribute("compile_ms", row.compileMilliseconds);
          json.attribute("median_ms", row.medianMilliseconds);
          json.attribute("min_ms", row.minMilliseconds);
          json.attribute("gflops", row.gflops);
          json.attribute("peak_gflops", row.peakGflops);
          json.attribute("ratio_to_dense",
                         row.ratioToDense ? llvm::json::Value(*row.ratioToDense) : nullptr);
        });
    });
  });
  stream << '\n';
  stream.close();
  if (stream.has_error()) {
    error = stream.error();
    stream.clear_error();
    return llvm::createStringError(error, "--json: " + path + ": " + error.message());
  }
  return llvm::Error::success();
}
