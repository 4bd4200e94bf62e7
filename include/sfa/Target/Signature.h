//===- Signature.h - What a caller has to pass to a compiled function -*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The physical arguments and results of a function of the sfa dialect, and the check of buffers
// against them. Holds no MLIR objects, so it outlives the module.
//
//===----------------------------------------------------------------------===//

#ifndef SFA_TARGET_SIGNATURE_H
#define SFA_TARGET_SIGNATURE_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "sfa/Support/Npy.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <optional>
#include <string>
#include <vector>

namespace sfa {

/// A dense row-major array of the caller.
struct BufferRef {
  ElementType type;
  void *data;
  std::vector<int64_t> shape;

  size_t numBytes() const;

  static BufferRef of(NpyArray &array) { return {array.type, array.data.data(), array.shape}; }
};

/// One physical argument or result. A tensor of codes is several (`getPhysicalTensors`).
struct Parameter {
  /// For messages: "argument 1 (feature indices of codes %0)".
  std::string name;
  ElementType type;
  /// Dynamic dimensions are `mlir::ShapedType::kDynamic`.
  std::vector<int64_t> shape;
  /// For feature indices: they are below this.
  std::optional<int64_t> numFeatures;
  /// Whether it is no tensor but a number, f64, which is passed by value; buffers of rank 0 hold
  /// it.
  bool isNumber = false;

  /// In MLIR's spelling: "?x8x128xf32".
  std::string describeType() const;
};

/// What a function takes and gives, and how the sizes of its arguments depend on one another.
class Signature {
public:
  /// Of a function that has a body. Fails when an argument or a result is not a ranked tensor of an
  /// element type that buffers can have; an argument may also be an f64.
  static llvm::Expected<Signature> of(mlir::func::FuncOp function);

  llvm::ArrayRef<Parameter> arguments() const { return args; }
  llvm::ArrayRef<Parameter> results() const { return resultList; }

  /// Fails unless the buffers fit: their number, types, shapes, the equality of dynamic dimensions
  /// that the function body needs (such as the batch of query and key), alignment, the number of
  /// offsets of sequences, and the range of feature indices and of scales. The message says which
  /// argument, what was given and what is allowed.
  llvm::Error check(llvm::ArrayRef<BufferRef> buffers) const;

  /// Fails unless the buffers are memory for the results of a call: their number, types, ranks and
  /// the sizes that types give, alignment, and that none shares memory with another or with one of
  /// `arguments`.
  llvm::Error checkResults(llvm::ArrayRef<BufferRef> buffers,
                           llvm::ArrayRef<BufferRef> arguments) const;

  /// The multiplications and additions that dense attention on the same shapes takes for Q K^T and
  /// P V, over all sfa.attention of the body. A causal mask with n_q = n_k counts as one half, as
  /// is the custom of the field; other masks by their visible pairs. Nothing where there is no
  /// sfa.attention, a size does not follow from those of the arguments, or tokens are those of
  /// several sequences. `check` has accepted the buffers.
  std::optional<double> denseFlops(llvm::ArrayRef<BufferRef> buffers) const;

private:
  struct Builder;

  /// A dimension of an argument; one for each `per` of what others have.
  struct ArgumentDim {
    size_t argument, dim;
    int64_t per = 1;
  };
  /// Dimensions that have to be equal, in the order of the arguments, and their size if it is
  /// known.
  struct SizeClass {
    std::optional<int64_t> size;
    std::vector<ArgumentDim> dims;
    /// Of offsets of sequences: s of them have s + 1.
    int64_t least = 0;
  };
  /// One sfa.attention. Sizes that vary are numbers of size classes.
  struct Attention {
    size_t batch, numQueries, numKeys;
    int64_t heads, width;
    bool isCausal, hasSequences;
    std::optional<int64_t> leftBound, rightBound;
  };

  std::optional<int64_t> resolve(size_t sizeClass, llvm::ArrayRef<BufferRef> buffers) const;
  /// Type, shape and alignment.
  static llvm::Error checkForm(const Parameter &wanted, const BufferRef &given);
  /// Feature indices, too.
  static llvm::Error checkOne(const Parameter &wanted, const BufferRef &given);

  std::vector<Parameter> args, resultList;
  std::vector<SizeClass> sizeClasses;
  std::vector<Attention> attentions;
  /// The arguments that are scales.
  std::vector<size_t> scales;
};

} // namespace sfa

#endif // SFA_TARGET_SIGNATURE_H
