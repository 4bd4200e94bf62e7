//===- sfa-oracle.cpp - Reference results from .npy files -------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Computes sparse feature attention in fp64, and judges a kernel's result against it. Exit status:
// 0 for done or PASS, 1 for FAIL, 2 for input that cannot be used.
//
//===----------------------------------------------------------------------===//

#include "sfa/Support/Npy.h"
#include "test/Oracle/Oracle.h"
#include "tools/Common/Version.h"

#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

using namespace sfa;
using llvm::StringRef;
namespace cl = llvm::cl;

namespace {

enum ExitStatus { Passed = 0, Failed = 1, BadInput = 2 };

cl::OptionCategory category("Options of sfa-oracle");

cl::opt<std::string> queryPath("q", cl::Required, cl::cat(category), cl::value_desc("file.npy"),
                               cl::desc("Queries, [b, hq, nq, d]; [hq, nq, d] is b = 1"));
cl::opt<std::string> keyPath("k", cl::Required, cl::cat(category), cl::value_desc("file.npy"),
                             cl::desc("Keys, [b, hkv, nk, d]; hq is a multiple of hkv"));
cl::opt<std::string> valuePath("v", cl::Required, cl::cat(category), cl::value_desc("file.npy"),
                               cl::desc("Values, [b, hkv, nk, dv]"));
cl::opt<int64_t> topk("topk", cl::cat(category), cl::value_desc("k"),
                      cl::desc("Keep the k features of largest magnitude of each query and key; "
                               "without it attention is dense"));
cl::opt<oracle::Mask>
    mask("mask", cl::cat(category), cl::init(oracle::Mask::None),
         cl::desc("Which keys query i sees:"),
         cl::values(clEnumValN(oracle::Mask::None, "none", "all (the default)"),
                    clEnumValN(oracle::Mask::Causal, "causal", "j <= i + nk - nq"),
                    clEnumValN(oracle::Mask::Window, "window",
                               "i + nk - nq - left <= j <= i + nk - nq + right")));
cl::opt<int64_t> windowLeft("left", cl::cat(category), cl::value_desc("keys"),
                            cl::desc("Keys before the diagonal that --mask=window shows; without "
                                     "it all"));
cl::opt<int64_t> windowRight("right", cl::cat(category), cl::value_desc("keys"),
                             cl::desc("Keys after the diagonal that --mask=window shows; without "
                                      "it all"));
cl::opt<double> scale("scale", cl::cat(category), cl::value_desc("factor"),
                      cl::desc("Factor of the scores; 1/sqrt(d) without it"));
cl::opt<std::string> outPath("out", cl::cat(category), cl::value_desc("file.npy"),
                             cl::desc("Write O here, in f64"));
cl::opt<std::string> lsePath("lse", cl::cat(category), cl::value_desc("file.npy"),
                             cl::desc("Write the natural log-sum-exp of each row here, in f64"));
cl::opt<std::string> comparePath(
    "compare", cl::cat(category), cl::value_desc("file.npy"),
    cl::desc("Judge this O: print its errors, those of dense attention in the inputs' type, and "
             "PASS if neither is more than 1.5 times as large"));
cl::opt<std::string> compareLsePath(
    "compare-lse", cl::cat(category), cl::value_desc("file.npy"),
    cl::desc(
        "Judge this log-sum-exp, [b, hq, nq], too: PASS also if it is right to 8 ulps of f32"));
cl::opt<bool> plain("plain", cl::cat(category),
                    cl::desc("Print what is judged as lines `name: value`, for scripts to read"));

constexpr const char *overview =
    "The fp64 reference of sparse feature attention on .npy files\n\n"
    "  Computes O = softmax(scale * topk(Q) topk(K)^T + mask) V from arrays of f16, bf16, f32 or "
    "f64\n"
    "  (bf16 as ml_dtypes saves it), writes it, or judges a kernel's result against it.\n"
    "  Exit status: 0 for done or PASS, 1 for FAIL, 2 for input that cannot be used.\n\n"
    "  Example: sfa-oracle --q q.npy --k k.npy --v v.npy --topk 8 --mask causal --compare o.npy\n";

template <class... Args>
llvm::Error fail(fmt::format_string<Args...> format, Args &&...args) {
  return llvm::createStringError(fmt::format(format, std::forward<Args>(args)...));
}

bool isGiven(const cl::Option &option) { return option.getNumOccurrences() > 0; }

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

std::string describe(const NpyArray &array) {
  std::string text = name(array.type).str() + " [";
  for (size_t i = 0; i < array.shape.size(); ++i)
    text += fmt::format("{}{}", i == 0 ? "" : ", ", array.shape[i]);
  return text + "]";
}

bool isFloat(ElementType type) {
  return type == ElementType::F16 || type == ElementType::BF16 || type == ElementType::F32 ||
         type == ElementType::F64;
}

/// Reads a float array of `rank` dimensions; one of `rank - 1` is given a batch of one.
llvm::Expected<NpyArray> readInput(const cl::opt<std::string> &option, size_t rank) {
  llvm::Expected<NpyArray> array = readNpy(option);
  if (!array)
    return fail("--{}: {}", option.ArgStr.str(), llvm::toString(array.takeError()));
  if (!isFloat(array->type) || (array->shape.size() != rank && array->shape.size() + 1 != rank))
    return fail("--{}: {}: is {}; allowed are f16, bf16, f32 and f64 with {} dimensions, or {} for "
                "a batch of one",
                option.ArgStr.str(), option.getValue(), describe(*array), rank, rank - 1);
  if (array->shape.size() + 1 == rank)
    array->shape.insert(array->shape.begin(), 1);
  return array;
}

struct Inputs {
  oracle::Problem problem;
  ElementType type; // of q
  bool haveSameType;
  std::vector<double> q, k, v;
};

llvm::Error checkOptions() {
  if (!isGiven(outPath) && !isGiven(lsePath) && !isGiven(comparePath) && !isGiven(compareLsePath))
    return fail("nothing to do; give --out, --lse, --compare or --compare-lse");
  if (isGiven(topk) && topk < 1)
    return fail("--topk {} is not allowed; it is at least 1, or left out for dense attention",
                topk.getValue());
  if (isGiven(scale) && !std::isfinite(scale))
    return fail("--scale {} is not allowed; it is a finite number, or left out for 1/sqrt(d)",
                scale.getValue());
  for (const cl::opt<int64_t> *bound : {&windowLeft, &windowRight}) {
    if (!isGiven(*bound))
      continue;
    if (mask != oracle::Mask::Window)
      return fail("--{} is for --mask=window; give that, or leave it out", bound->ArgStr.str());
    if (bound->getValue() < 0)
      return fail("--{} {} is not allowed; it is at least 0, or left out for no bound",
                  bound->ArgStr.str(), bound->getValue());
  }
  return llvm::Error::success();
}

llvm::Expected<Inputs> readInputs() {
  llvm::Expected<NpyArray> q = readInput(queryPath, 4);
  if (!q)
    return q.takeError();
  llvm::Expected<NpyArray> k = readInput(keyPath, 4);
  if (!k)
    return k.takeError();
  llvm::Expected<NpyArray> v = readInput(valuePath, 4);
  if (!v)
    return v.takeError();

  auto mismatch = [&](StringRef rule) {
    return fail("q is {}, k is {}, v is {}; {}", describe(*q), describe(*k), describe(*v),
                rule.str());
  };
  for (size_t dim : {0, 1, 3})
    if (q->shape[dim] == 0 || k->shape[dim] == 0 || v->shape[dim] == 0)
      return mismatch("only the numbers of tokens may be 0");
  if (q->shape[0] != k->shape[0] || q->shape[0] != v->shape[0])
    return mismatch("the batches (first dimension) must be equal");
  if (k->shape[1] != v->shape[1] || q->shape[1] % k->shape[1] != 0)
    return mismatch("k and v must have equal numbers of heads (second dimension), and q a multiple "
                    "of it");
  if (k->shape[2] != v->shape[2])
    return mismatch("k and v must have equal numbers of tokens (third dimension)");
  if (q->shape[3] != k->shape[3])
    return mismatch("q and k must have equal numbers of features (fourth dimension)");

  Inputs inputs;
  oracle::Problem &problem = inputs.problem;
  problem.b = q->shape[0];
  problem.hq = q->shape[1];
  problem.hkv = k->shape[1];
  problem.nq = q->shape[2];
  problem.nk = k->shape[2];
  problem.d = q->shape[3];
  problem.dv = v->shape[3];
  problem.scale = isGiven(scale) ? scale : oracle::defaultScale(problem.d);
  problem.mask = mask;
  if (isGiven(windowLeft))
    problem.left = windowLeft;
  if (isGiven(windowRight))
    problem.right = windowRight;
  inputs.type = q->type;
  inputs.haveSameType = q->type == k->type && q->type == v->type;
  inputs.q = toDouble(*q);
  inputs.k = toDouble(*k);
  inputs.v = toDouble(*v);
  if (isGiven(topk)) {
    auto sparsify = [&](std::vector<double> &x) {
      int64_t rows = x.size() / problem.d;
      x = oracle::densify(oracle::topk(x, rows, problem.d, topk));
    };
    sparsify(inputs.q);
    sparsify(inputs.k);
  }
  return inputs;
}

llvm::Error write(const cl::opt<std::string> &option, llvm::ArrayRef<int64_t> shape,
                  const std::vector<double> &values) {
  NpyArray array = NpyArray::zeros(ElementType::F64, shape);
  fromDouble(values, array);
  if (llvm::Error error = writeNpy(option, array))
    return fail("--{}: {}", option.ArgStr.str(), llvm::toString(std::move(error)));
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Judgement
//===----------------------------------------------------------------------===//

llvm::Expected<oracle::DataType> baselineType(const Inputs &inputs) {
  if (inputs.haveSameType && inputs.type == ElementType::F16)
    return oracle::DataType::F16;
  if (inputs.haveSameType && inputs.type == ElementType::BF16)
    return oracle::DataType::BF16;
  if (inputs.haveSameType && inputs.type == ElementType::F32)
    return oracle::DataType::F32;
  return fail("a result is judged by dense attention in the type of q, k and v, which must be the "
              "same: f16, bf16 or f32; convert the arrays to the kernel's input type");
}

/// An f32 LSE can be a rounding away from a baseline that happens to be closer.
bool isWithinUlps(const oracle::Errors &errors, const std::vector<double> &expected) {
  double largest = 1; // LSE is max + log(sum): near 0 its error is that of its terms
  for (double value : expected)
    if (std::isfinite(value))
      largest = std::max(largest, std::fabs(value));
  return errors.maxAbs <= 8 * 0x1p-24 * largest && std::isfinite(errors.frobenius);
}

double ratio(double kernel, double baseline) { return kernel == 0 ? 0 : kernel / baseline; }

std::string formatTable(StringRef label, const oracle::Errors &kernel, const oracle::Errors &dense,
                        bool allowUlps, bool passes) {
  return fmt::format("{0:<4}{1:>18}{2:>12}{3:>8}\n"
                     "  {4:<18}{5:>12.4e}{6:>12.4e}{7:>8.3f}\n"
                     "  {8:<18}{9:>12.4e}{10:>12.4e}{11:>8.3f}\n"
                     "  {12}: {13}\n",
                     label.str(), "result", "dense", "ratio", "rel. Frobenius", kernel.frobenius,
                     dense.frobenius, ratio(kernel.frobenius, dense.frobenius), "max abs",
                     kernel.maxAbs, dense.maxAbs, ratio(kernel.maxAbs, dense.maxAbs),
                     passes ? "PASS" : "FAIL",
                     fmt::format("the ratios may be at most {}{}", oracle::errorFactor,
                                 allowUlps ? ", or the error 8 ulps of f32" : ""));
}

std::string formatLines(StringRef label, const oracle::Errors &kernel, const oracle::Errors &dense,
                        bool passes) {
  return fmt::format("{0}_relative_frobenius: {1:.4e}\n"
                     "{0}_relative_frobenius_of_dense: {2:.4e}\n"
                     "{0}_relative_frobenius_ratio: {3:.3f}\n"
                     "{0}_max_abs: {4:.4e}\n"
                     "{0}_max_abs_of_dense: {5:.4e}\n"
                     "{0}_max_abs_ratio: {6:.3f}\n"
                     "{0}_verdict: {7}\n",
                     label.str(), kernel.frobenius, dense.frobenius,
                     ratio(kernel.frobenius, dense.frobenius), kernel.maxAbs, dense.maxAbs,
                     ratio(kernel.maxAbs, dense.maxAbs), passes ? "PASS" : "FAIL");
}

llvm::Expected<bool> judge(const cl::opt<std::string> &option, StringRef label,
                           llvm::ArrayRef<int64_t> shape, const std::vector<double> &expected,
                           const std::vector<double> &baseline, bool allowUlps) {
  llvm::Expected<NpyArray> actual = readInput(option, shape.size());
  if (!actual)
    return actual.takeError();
  if (llvm::ArrayRef<int64_t>(actual->shape) != shape)
    return fail("--{}: {}: is {}; the inputs give {}", option.ArgStr.str(), option.getValue(),
                describe(*actual), describe(NpyArray{actual->type, shape.vec(), {}}));
  oracle::Errors kernel = oracle::compare(toDouble(*actual), expected);
  oracle::Errors dense = oracle::compare(baseline, expected);
  bool passes =
      oracle::isWithinBound(kernel, dense) || (allowUlps && isWithinUlps(kernel, expected));
  llvm::outs() << (plain ? formatLines(label.lower(), kernel, dense, passes)
                         : formatTable(label, kernel, dense, allowUlps, passes));
  return passes;
}

llvm::Expected<ExitStatus> run() {
  if (llvm::Error error = checkOptions())
    return std::move(error);
  llvm::Expected<Inputs> inputs = readInputs();
  if (!inputs)
    return inputs.takeError();
  const oracle::Problem &problem = inputs->problem;
  std::vector<int64_t> outShape = {problem.b, problem.hq, problem.nq, problem.dv};
  std::vector<int64_t> lseShape = {problem.b, problem.hq, problem.nq};
  oracle::Result expected = oracle::attention(problem, inputs->q, inputs->k, inputs->v);

  if (isGiven(outPath))
    if (llvm::Error error = write(outPath, outShape, expected.o))
      return std::move(error);
  if (isGiven(lsePath))
    if (llvm::Error error = write(lsePath, lseShape, expected.lse))
      return std::move(error);
  if (!isGiven(comparePath) && !isGiven(compareLsePath))
    return Passed;

  llvm::Expected<oracle::DataType> type = baselineType(*inputs);
  if (!type)
    return type.takeError();
  oracle::Result baseline = oracle::denseSameType(problem, *type, inputs->q, inputs->k, inputs->v);
  bool allPass = true;
  if (isGiven(comparePath)) {
    llvm::Expected<bool> passes =
        judge(comparePath, "O", outShape, expected.o, baseline.o, /*allowUlps=*/false);
    if (!passes)
      return passes.takeError();
    allPass &= *passes;
  }
  if (isGiven(compareLsePath)) {
    llvm::Expected<bool> passes =
        judge(compareLsePath, "LSE", lseShape, expected.lse, baseline.lse, /*allowUlps=*/true);
    if (!passes)
      return passes.takeError();
    allPass &= *passes;
  }
  return allPass ? Passed : Failed;
}

} // namespace

int main(int argc, char **argv) {
  cl::HideUnrelatedOptions(category);
  sfa::setVersionPrinter();
  if (!cl::ParseCommandLineOptions(argc, argv, overview, &llvm::errs()))
    return BadInput;
  llvm::Expected<ExitStatus> status = run();
  if (status)
    return *status;
  llvm::errs() << "sfa-oracle: error: " << llvm::toString(status.takeError()) << "\n";
  return BadInput;
}
