//===- Softmax.h - How a softmax runs over the key tiles --------*- C++ -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef SFA_CONVERSION_SFATOTILE_SOFTMAXES_SOFTMAX_H
#define SFA_CONVERSION_SFATOTILE_SOFTMAXES_SOFTMAX_H

#include "dialects/Tile/Tile.h"
#include "llvm/ADT/STLExtras.h"
#include <memory>

namespace sfa::tile {

/// What a softmax is emitted for, and where.
struct SoftmaxContext {
  mlir::OpBuilder &builder;
  mlir::Location loc;
  /// Of the scores of a key tile, and of the output; f32.
  TileType scoreType, outputType;
  /// Of the elements of the values; targets with matrix units round probabilities to it.
  mlir::Type valueType;
  /// The probability of a score s is proportional to 2^(exponent s) and to e^(lseScale s); inverse
  /// is 1 / exponent; f32. The inverse is there for a lazy softmax, lseScale where a log-sum-exp is
  /// wanted; null otherwise.
  mlir::Value exponent, inverse, lseScale;
  /// Whether the log-sum-exp is wanted.
  bool hasLse() const { return lseScale != nullptr; }

  TileType rowType() const {
    return TileType::get(builder.getContext(), {scoreType.getRows()}, builder.getF32Type());
  }
  TileType partialType() const {
    return TileType::get(builder.getContext(), {scoreType.getRows()}, builder.getF32Type(),
                         /*partial=*/true);
  }
  TileType flagsType() const {
    return TileType::get(builder.getContext(), {scoreType.getRows()}, builder.getI1Type());
  }
  template <class Op, class... Args>
  auto create(Args &&...args) const {
    return Op::create(builder, loc, std::forward<Args>(args)...);
  }
  mlir::FloatAttr attribute(float value) const { return builder.getF32FloatAttr(value); }
  mlir::Value fill(float value, TileType type) const {
    return create<FillOp>(type, attribute(value));
  }
};

/// The part of an attention kernel that depends on the softmax. A new softmax is a file beside this
/// one, a case of the enum `sfa::Softmax` and one of `createSoftmax`.
class SoftmaxForm {
public:
  explicit SoftmaxForm(const SoftmaxContext &context) : context(context) {}
  virtual ~SoftmaxForm();

  using Values = llvm::SmallVector<mlir::Value>;

  /// Before the loop over key tiles: the accumulator that it begins with, then the state.
  virtual Values initialize() const = 0;

  /// In the stage `softmax`: what it yields, which is the probabilities of the scores, the next
  /// state, then what `accumulate` wants besides.
  virtual Values probabilities(mlir::Value scores, mlir::ValueRange state,
                               mlir::Value isFirst) const = 0;

  /// In the stage `accumulate`: the next accumulator and the next state.
  virtual Values accumulate(mlir::Value acc, mlir::Value probabilities, mlir::Value values,
                            mlir::ValueRange state, mlir::ValueRange extras) const = 0;

  /// Behind the loop, for its results, in this order: whether the point has to be computed again
  /// with `fallback` (null where it never has), the log-sum-exp where it is wanted, the output.
  virtual mlir::Value fails(mlir::ValueRange results) const { return {}; }
  virtual mlir::Value lse(mlir::ValueRange results) const = 0;
  virtual mlir::Value output(mlir::ValueRange results) const = 0;

  /// Which computes the point again where this one fails; it never does.
  virtual std::unique_ptr<SoftmaxForm> fallback() const { return nullptr; }

  /// Fills the stages `softmax` and `accumulate` of a loop. Tiles of scores come as `scored`.
  void emitStages(KeyLoopOp loop, mlir::Type scored, mlir::Type valueTile) const;

protected:
  SoftmaxContext context;
};

std::unique_ptr<SoftmaxForm> createOnlineSoftmax(const SoftmaxContext &context);
std::unique_ptr<SoftmaxForm> createLazySoftmax(const SoftmaxContext &context);
std::unique_ptr<SoftmaxForm> createSoftmax(Softmax softmax, const SoftmaxContext &context);

} // namespace sfa::tile

#endif // SFA_CONVERSION_SFATOTILE_SOFTMAXES_SOFTMAX_H
