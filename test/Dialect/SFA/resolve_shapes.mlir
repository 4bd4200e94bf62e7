// RUN: sfa-opt %s -resolve-ranked-shaped-type-result-dims -canonicalize | FileCheck %s

// The sizes of results are those of operands: no op is left.

// CHECK-LABEL: @sparsify(
// CHECK-SAME: %[[X:.*]]: tensor<?x3x?x64xf32>)
// CHECK-NOT: sfa.
// CHECK-DAG: %[[C0:.*]] = arith.constant 0
// CHECK-DAG: %[[C2:.*]] = arith.constant 2
// CHECK-DAG: %[[C64:.*]] = arith.constant 64
// CHECK-DAG: %[[BATCH:.*]] = tensor.dim %[[X]], %[[C0]]
// CHECK-DAG: %[[TOKENS:.*]] = tensor.dim %[[X]], %[[C2]]
// CHECK: return %[[BATCH]], %[[TOKENS]], %[[C64]]
func.func @sparsify(%x: tensor<?x3x?x64xf32>) -> (index, index, index) {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %0 = sfa.sparsify %x : tensor<?x3x?x64xf32> -> tensor<?x3x?x64xf32, #sfa.codes<k = 4>>
  %batch = tensor.dim %0, %c0 : tensor<?x3x?x64xf32, #sfa.codes<k = 4>>
  %tokens = tensor.dim %0, %c2 : tensor<?x3x?x64xf32, #sfa.codes<k = 4>>
  %features = tensor.dim %0, %c3 : tensor<?x3x?x64xf32, #sfa.codes<k = 4>>
  return %batch, %tokens, %features : index, index, index
}

// CHECK-LABEL: @sparsify_with_dense_rows(
// CHECK-SAME: %[[X:.*]]: tensor<1x3x?x64xf32>)
// CHECK-NOT: sfa.
// CHECK: %[[TOKENS:.*]] = tensor.dim %[[X]], %{{.*}}
// CHECK: return %[[TOKENS]], %[[TOKENS]]
func.func @sparsify_with_dense_rows(%x: tensor<1x3x?x64xf32>) -> (index, index) {
  %c2 = arith.constant 2 : index
  %0, %1 = sfa.sparsify %x : tensor<1x3x?x64xf32> -> tensor<1x3x?x64xf32, #sfa.codes<k = 4>>, tensor<1x3x?x64xf32>
  %tokens = tensor.dim %0, %c2 : tensor<1x3x?x64xf32, #sfa.codes<k = 4>>
  %denseTokens = tensor.dim %1, %c2 : tensor<1x3x?x64xf32>
  return %tokens, %denseTokens : index, index
}

// CHECK-LABEL: @densify(
// CHECK-SAME: %[[X:.*]]: tensor<1x3x?x64xf32, #sfa.codes<k = 4>>)
// CHECK-NOT: sfa.densify
// CHECK: %[[C2:.*]] = arith.constant 2
// CHECK: %[[TOKENS:.*]] = tensor.dim %[[X]], %[[C2]]
// CHECK: return %[[TOKENS]]
func.func @densify(%x: tensor<1x3x?x64xf32, #sfa.codes<k = 4>>) -> index {
  %c2 = arith.constant 2 : index
  %0 = sfa.densify %x : tensor<1x3x?x64xf32, #sfa.codes<k = 4>>
  %tokens = tensor.dim %0, %c2 : tensor<1x3x?x64xf32>
  return %tokens : index
}

// CHECK-LABEL: @attention(
// CHECK-SAME: %[[Q:.*]]: tensor<1x4x?x64xf32>, %[[K:.*]]: tensor
// CHECK-NOT: sfa.attention
// CHECK-DAG: %[[C2:.*]] = arith.constant 2
// CHECK-DAG: %[[C32:.*]] = arith.constant 32
// CHECK-DAG: %[[TOKENS:.*]] = tensor.dim %[[Q]], %[[C2]]
// CHECK: return %[[TOKENS]], %[[C32]], %[[TOKENS]]
func.func @attention(%q: tensor<1x4x?x64xf32>, %k: tensor<1x2x?x64xf32>, %v: tensor<1x2x?x32xf32>) -> (index, index, index) {
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %0, %1 = sfa.attention %q, %k, %v
    : tensor<1x4x?x64xf32>, tensor<1x2x?x64xf32>, tensor<1x2x?x32xf32> -> tensor<1x4x?x32xf32>, tensor<1x4x?xf32>
  %tokens = tensor.dim %0, %c2 : tensor<1x4x?x32xf32>
  %features = tensor.dim %0, %c3 : tensor<1x4x?x32xf32>
  %lseTokens = tensor.dim %1, %c2 : tensor<1x4x?xf32>
  return %tokens, %features, %lseTokens : index, index, index
}
