//===- Case.h - One attention to tune: its code, its data, its truth -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TUNING_CASE_H
#define SFA_TUNING_CASE_H

#include "sfa/Schedule/ProblemKey.h"
#include "sfa/Support/Npy.h"
#include "llvm/Support/JSON.h"

#include <string>
#include <vector>

namespace sfa::tuning {

/// The sizes of one call of attention. As JSON:
///   {"batch": 1, "query_heads": 16, "key_heads": 16, "queries": 16384, "keys": 16384, "d": 128,
///    "dv": 128, "dtype": "bf16", "form": "codes", "k": 8, "mask": "causal", "lse": false}
/// Fields that are left out are as here, key_heads those of queries, keys as many as queries and dv
/// as d. `form`, `dtype` and `mask` are those of a ProblemKey; a window has "left" and "right".
struct Case {
  int64_t batch = 1, queryHeads = 1, keyHeads = 1, queries = 1, keys = 1;
  int64_t features = 128, valueFeatures = 128;
  ElementType element = ElementType::BF16;
  std::string form = "dense", mask = "none";
  /// "uniform", or "concentrated": every token has the same features.
  std::string data = "uniform";
  int64_t codes = 0, left = 0, right = 0;
  bool lse = false;

  /// That of a problem without sequences, whose sizes are known, and its key.
  static Case of(const Problem &problem, const ProblemKey &key);

  bool isCodes() const { return codes > 0; }
  /// Which keys share a scale; absent without 8-bit values.
  std::optional<Scales> scales() const { return problem().keyScales; }

  /// As the compiler sees a call: sizes are hints.
  Problem problem() const;
  ProblemKey key() const;
  std::string describe() const;

  /// The same kind with few tokens, of which no number is a multiple of a tile.
  Case ragged() const;

  /// A module with the function @attention, whose batch and tokens are dynamic as in the programs
  /// that users have.
  std::string module(const Schedule &schedule) const;

  /// Random arguments of @attention, from N(0, 1); supports of codes are as `data` says.
  std::vector<NpyArray> makeArguments(uint64_t seed) const;

  /// Compares `numRows` query rows of `output`, or all where there are fewer, with attention in
  /// fp64. Fails where their error is above the bound, that of attention in the element's own type.
  llvm::Error check(llvm::ArrayRef<NpyArray> arguments, const NpyArray &output, int64_t numRows,
                    uint64_t seed) const;
};

llvm::json::Value toJSON(const Case &value);
bool fromJSON(const llvm::json::Value &value, Case &result, llvm::json::Path path);

/// Prefill, few queries on long keys, groups of heads, a window and 8-bit codes.
std::vector<Case> getDefaultCases(bool isGpu);

/// Cases of a file: a JSON array of cases, or one such object in each line, as the knob
/// SFA_RECORD_PROBLEMS writes them. The same case counts once.
llvm::Expected<std::vector<Case>> readCases(llvm::StringRef path);

} // namespace sfa::tuning

#endif // SFA_TUNING_CASE_H
