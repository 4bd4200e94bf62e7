//===- Softmax.cpp - The softmaxes that there are -------------------------===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Softmax.h"

using namespace sfa;
using namespace sfa::tile;

SoftmaxForm::~SoftmaxForm() = default;

std::unique_ptr<SoftmaxForm> sfa::tile::createSoftmax(Softmax softmax,
                                                      const SoftmaxContext &context) {
  switch (softmax) {
  case Softmax::Online:
    return createOnlineSoftmax(context);
  case Softmax::Lazy:
    return createLazySoftmax(context);
  }
  llvm_unreachable("a softmax without a case");
}
