//===- Drawing.h - Tables, rows of codes, and what verifiers say  -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TOOLS_SFA_LAYOUT_DRAWING_H
#define SFA_TOOLS_SFA_LAYOUT_DRAWING_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

#include <string>
#include <vector>

namespace sfa::layout {

/// Cells in columns that are as wide as they have to be.
class Table {
public:
  using Row = std::vector<std::string>;

  /// Each character of `alignment` is that of a column: l or r.
  explicit Table(llvm::StringRef alignment, Row head)
      : alignment(alignment), rows{std::move(head)} {}

  void add(Row row) { rows.push_back(std::move(row)); }
  void print(llvm::raw_ostream &stream) const;

private:
  std::string alignment;
  std::vector<Row> rows;
};

/// "4 to 7", or "4" where that is all.
std::string range(int64_t first, int64_t last);
/// A value of a row; a dot for 0.
std::string number(double value);

/// A value and the feature that it belongs to.
struct Pair {
  int64_t feature;
  double value;
};

/// "3:1.5,7:2" as pairs of features below `features`, in ascending order; `text` is that of --row.
llvm::Expected<std::vector<Pair>> parseRow(llvm::StringRef text, int64_t features);

using EmitError = llvm::function_ref<mlir::InFlightDiagnostic()>;

/// What the verifiers say against the type or attribute that `make` gives; null where they agree.
llvm::Error whatVerifiersSay(mlir::MLIRContext &context, llvm::function_ref<bool(EmitError)> make);

/// What `make` gives with the function that it gets for errors, such as a `getChecked`; an error
/// with what the verifiers say where that is null.
template <class Make>
auto verified(mlir::MLIRContext &context, Make make)
    -> llvm::Expected<decltype(make(std::declval<EmitError>()))> {
  decltype(make(std::declval<EmitError>())) result;
  if (llvm::Error error = whatVerifiersSay(context, [&](EmitError emitError) {
        result = make(emitError);
        return static_cast<bool>(result);
      }))
    return error;
  return result;
}

/// bf16, or an integer where `bits` are not 16.
mlir::Type getElement(mlir::MLIRContext &context, int64_t bits = 16);
/// tensor<1x1x`tokens`x`features`xbf16, `encoding`>
llvm::Expected<mlir::RankedTensorType> getTensor(mlir::MLIRContext &context, int64_t tokens,
                                                 int64_t features, mlir::Attribute encoding);
/// Fails where a GPU does not have this number of features.
llvm::Error checkGpuFeatures(int64_t features);

template <class T>
std::string toString(T value) {
  std::string text;
  llvm::raw_string_ostream(text) << value;
  return text;
}

} // namespace sfa::layout

#endif // SFA_TOOLS_SFA_LAYOUT_DRAWING_H
