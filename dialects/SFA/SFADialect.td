//===- SFADialect.td - The sfa dialect ---------------------*- tablegen -*-===//
//
// Part of FlashSFA, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_SFA_SFADIALECT_TD
#define DIALECTS_SFA_SFADIALECT_TD

include "mlir/IR/OpBase.td"

def SFA_Dialect : Dialect {
  let name = "sfa";
  let cppNamespace = "::sfa";
  let summary = "Sparse Feature Attention on tensors: what to compute";
  let description = [{
    Sparse Feature Attention (Xie et al., "Scaling Attention via Feature Sparsity", ICLR 2026, arXiv 2603.22300)
    keeps the k features of largest magnitude of every query and every key and leaves the softmax exact:

        q~ = topk_k(q)    k~ = topk_k(k)    O = softmax(scale * q~ k~^T + mask) V

    The dialect says *what* is computed, on ordinary ranked tensors with value semantics. A tensor of codes keeps its
    logical shape and carries the encoding `#sfa.codes<k = 8>`, in the spirit of `sparse_tensor`; physically it is two
    tensors, the values and the feature indices. *How* a kernel computes it is the `#sfa.schedule` on an op, or the
    choice of the pass `sfa-assign-schedule` where there is none. The dialect `sfa_tile` is the next stage down.

    Shapes are `[batch, heads, tokens, features]`. Batch and tokens may be dynamic; heads and features are static.
  }];
  let dependentDialects = ["::mlir::tensor::TensorDialect"];
  let useDefaultAttributePrinterParser = 1;
  let extraClassDeclaration = [{
    void registerAttributes();
  }];
}

#endif // DIALECTS_SFA_SFADIALECT_TD
