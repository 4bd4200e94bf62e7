//===- Oracle.h - What sparse feature attention computes --------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The reference that every kernel is tested against: sparse feature attention (Xie et al., "Scaling
// Attention via Feature Sparsity", arXiv 2603.22300) in fp64. It depends on the standard library
// only and shares no code with the compiler. Arrays are dense and row-major: q is [b, hq, nq, d],
// k [b, hkv, nk, d], v [b, hkv, nk, dv], o [b, hq, nq, dv], lse [b, hq, nq].
//
// Arguments that contradict each other (sizes that do not fit, hq not a multiple of hkv, ...) end
// the process with a message.
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TEST_ORACLE_ORACLE_H
#define SFA_TEST_ORACLE_ORACLE_H

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace sfa::oracle {

/// Per row k pairs (value, feature index), ascending by index. `values` and `indices` are [rows,
/// k].
struct Codes {
  int64_t rows = 0;
  int64_t d = 0;
  int64_t k = 0;
  std::vector<double> values;
  std::vector<int32_t> indices;
};

/// Keeps the k entries of largest magnitude of each row of `x`, [rows, d]. Ties keep the lower
/// index. A NaN ranks above everything, and all NaNs tie. A row with fewer than k non-zeros is
/// filled with its zeros of lowest index. k >= d keeps every entry, and the codes have k = d.
Codes topk(const std::vector<double> &x, int64_t rows, int64_t d, int64_t k);

/// The same of the entries that are among the two of highest rank of their group of four: 0 to 3, 4
/// to 7 and so on. d is a multiple of 4, and k at most d / 2.
Codes topkTwoFour(const std::vector<double> &x, int64_t rows, int64_t d, int64_t k);

/// The rows [rows, d] that the codes stand for.
std::vector<double> densify(const Codes &codes);

enum class Mask {
  None,
  /// Aligned at the bottom right: query i sees key j iff j <= i + nk - nq.
  Causal,
  /// Query i sees key j iff i + nk - nq - left <= j <= i + nk - nq + right.
  Window,
};

struct Problem {
  int64_t b = 1;
  int64_t hq = 1;
  int64_t hkv = 1; // query head h reads key-value head h / (hq / hkv)
  int64_t nq = 0;
  int64_t nk = 0;
  int64_t d = 0;
  int64_t dv = 0;
  double scale = std::numeric_limits<double>::quiet_NaN(); // must be set; see defaultScale
  Mask mask = Mask::None;
  std::optional<int64_t> left;  // of Mask::Window; none is unbounded
  std::optional<int64_t> right; // of Mask::Window; none is unbounded
};

/// 1 / sqrt(d)
double defaultScale(int64_t d);

struct Result {
  std::vector<double> o;
  std::vector<double> lse; // natural logarithm
};

/// O = softmax(scale * Q K^T + mask) V, and the log-sum-exp of each row.
///
/// A row of which every key is masked, or every score is -inf, has O = 0 and LSE = -inf. A masked
/// key has no effect at all, whatever its values are. A row with a NaN score, or with a score of
/// +inf (of which softmax is inf - inf), is NaN in O and LSE.
Result attention(const Problem &problem, const std::vector<double> &q, const std::vector<double> &k,
                 const std::vector<double> &v);

/// How scores count the features of which the query, the key or both have none: it matters only
/// where values are infinite or NaN.
enum class ZeroTimes {
  /// Every feature is multiplied, so that 0 * inf = NaN: what dense attention on the densified
  /// codes
  /// does.
  Dense,
  /// Only the features that are in both codes are multiplied (a kept zero is in the code).
  SharedFeatures,
};

/// The same from codes: `q` has b * hq * nq rows, `k` has b * hkv * nk.
Result attention(const Problem &problem, const Codes &q, const Codes &k,
                 const std::vector<double> &v, ZeroTimes zeroTimes);

enum class DataType { F32, F16, BF16 };

/// `value` rounded once to `type`, to nearest even, with subnormals and overflow to infinity.
double roundTo(DataType type, double value);

/// Dense attention as a plain kernel of `type` does it, from inputs that `type` represents: scores,
/// exponentials and sums in f32, in the order of the indices; the exponentials (relative to the
/// row's maximum) rounded to `type` before they multiply V, but summed unrounded; O rounded to
/// `type`, LSE to f32. Its error is the yardstick for a kernel of that type.
Result denseSameType(const Problem &problem, DataType type, const std::vector<double> &q,
                     const std::vector<double> &k, const std::vector<double> &v);

struct Errors {
  double frobenius = 0; // norm of the difference relative to the norm of what is expected
  double maxAbs = 0;
};

/// How far an array is from what is expected, in parts that add up: the deviations of several
/// arrays give that of all of them, one after the other.
struct Deviation {
  bool agrees = true;        // where values are not finite
  double maxAbs = 0;         // of the difference
  double maxExpected = 0;    // magnitude
  double differenceNorm = 0; // Euclidean
  double expectedNorm = 0;

  Deviation &operator+=(const Deviation &other);
  Errors errors() const;
};
Deviation deviation(const std::vector<double> &actual, const std::vector<double> &expected);

/// Where `expected` is NaN, or infinite, `actual` must be the same, and these positions do not
/// count in the norms; otherwise both errors are infinite. So they are where `actual` is not finite
/// and `expected` is. The relative error to an all-zero `expected` is 0 or infinite.
Errors compare(const std::vector<double> &actual, const std::vector<double> &expected);

/// A kernel is right when neither of its errors exceeds 1.5 times that of denseSameType.
constexpr double errorFactor = 1.5;
bool isWithinBound(const Errors &kernel, const Errors &baseline);

} // namespace sfa::oracle

#endif // SFA_TEST_ORACLE_ORACLE_H
