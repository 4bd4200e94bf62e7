//===- ProblemKey.h - What a tuned schedule is for --------------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_SCHEDULE_PROBLEMKEY_H
#define SFA_SCHEDULE_PROBLEMKEY_H

#include "sfa/Schedule/Problem.h"
#include "sfa/Schedule/ScheduleSpace.h"
#include "sfa/Support/Json.h"

#include <string>
#include <tuple>

namespace sfa {

/// What problems have in common that one tuned schedule is for. Sizes are buckets: a power of two
/// stands for itself and all numbers down to half of it. Candidates are no part of it.
struct ProblemKey {
  std::string operation = "attention";
  /// "f16", "bf16" or "f32".
  std::string dtype;
  /// "dense", "codes", "codes 2:4", "int8 tile", "int8 token" or "int8 head"; the last three also
  /// of rows, which have 0 codes.
  std::string form;
  /// "none", "causal" or "window".
  std::string mask = "none";
  /// What is known of the supports of codes: "uniform", "concentrated" or, where they do not
  /// matter, "any".
  std::string data = "any";
  int64_t features = 0, valueFeatures = 0;
  /// Non-zeros of a row; 0 of dense operands.
  int64_t codes = 0;
  /// Bucket of the keys that a query sees; 0 without a window.
  int64_t window = 0;
  /// Query heads of a key head.
  int64_t group = 1;
  /// Buckets, of sequences those of the mean: queries and keys of a head, and all query heads.
  int64_t queries = 0, keys = 0, batchHeads = 0;
  bool lse = false, sequences = false;

  /// Absent where sizes are not known or 0, or where only one side of a window is bounded.
  static std::optional<ProblemKey> of(const Problem &problem);

  /// All of it, to compare.
  auto tie() const {
    return std::tie(operation, dtype, form, features, valueFeatures, codes, mask, window, lse,
                    sequences, group, data, queries, keys, batchHeads);
  }

  bool operator==(const ProblemKey &other) const { return tie() == other.tie(); }
  bool operator<(const ProblemKey &other) const { return tie() < other.tie(); }

  /// How far apart the numbers of queries, keys and heads, of keys in a window, of codes and of
  /// heads in a group are, in factors of two, and one more where only one gives sums of rows;
  /// absent where anything else differs.
  std::optional<int64_t> distance(const ProblemKey &other) const;

  /// Such as "bf16 codes k=8 d=128 dv=128 causal queries<=16384 keys<=16384 batch*heads<=16".
  std::string describe() const;
};

/// Gives `problem` operands of the form `form` of a key, with `codes` non-zeros.
void setForm(Problem &problem, llvm::StringRef form, int64_t codes);

/// The device that a schedule was tuned on.
struct DeviceKey {
  /// The code path: "sm_90a", "sm_80" or "cpu".
  std::string chip;
  /// As the driver calls it; of a CPU as LLVM does.
  std::string name;
  /// Cores, of a CPU.
  int64_t multiprocessors = 0;
  /// The limit of its power in watts; 0 where nobody knows.
  int64_t watts = 0;

  static DeviceKey of(const Device &device);

  /// All of it, to compare.
  auto tie() const { return std::tie(chip, name, multiprocessors, watts); }

  bool operator==(const DeviceKey &other) const { return tie() == other.tie(); }
  bool operator<(const DeviceKey &other) const { return tie() < other.tie(); }
  /// Whether all but the power is the same.
  bool isLike(const DeviceKey &other) const { return distance(other) == 0; }
  /// 0 for devices that are alike, 1 for products of another name with as many multiprocessors of
  /// the same kind; absent for others, on which other schedules are best.
  std::optional<int64_t> distance(const DeviceKey &other) const;
};

/// The sizes of `problem`, which are known, as sfa-tune takes them: {"batch": 1, "query_heads": 16,
/// ...}. The form, the mask and the type are those of its key.
llvm::json::Object describeCase(const Problem &problem, const ProblemKey &key);

llvm::json::Value toJSON(const ProblemKey &key);
bool fromJSON(const llvm::json::Value &value, ProblemKey &key, llvm::json::Path path);
llvm::json::Value toJSON(const DeviceKey &key);
bool fromJSON(const llvm::json::Value &value, DeviceKey &key, llvm::json::Path path);

/// The given parameters by their keywords: {"k_tile": 128, "softmax": "lazy"}.
llvm::json::Value toJSON(const Schedule &schedule);
bool fromJSON(const llvm::json::Value &value, Schedule &schedule, llvm::json::Path path);

} // namespace sfa

#endif // SFA_SCHEDULE_PROBLEMKEY_H
