// RUN: sfa-opt %s -convert-sfa-to-tile -canonicalize -cse -split-input-file | FileCheck %s

// CHECK-LABEL: func.func @sparsify(
// CHECK-SAME: %[[X:.*]]: tensor<1x2x?x128xbf16>) -> (tensor<1x2x?x8xbf16>, tensor<1x2x?x8xi8>)
// CHECK-DAG: %[[TOKENS:.*]] = tensor.dim %[[X]]
// CHECK-DAG: %[[VALUES:.*]] = tensor.empty(%[[TOKENS]]) : tensor<1x2x?x8xbf16>
// CHECK-DAG: %[[INDICES:.*]] = tensor.empty(%[[TOKENS]]) : tensor<1x2x?x8xi8>
// CHECK-DAG: %[[TILES:.*]] = arith.ceildivui %[[TOKENS]]
// CHECK: %[[CODES:.*]]:2 = sfa_tile.launch @sparsify_0 grid(%{{.*}}, %{{.*}}, %[[TILES]]) ins(%[[X]] : {{.*}}) outs(%[[VALUES]], %[[INDICES]] :
// CHECK: return %[[CODES]]#0, %[[CODES]]#1
func.func @sparsify(%x: tensor<1x2x?x128xbf16>) -> tensor<1x2x?x128xbf16, #sfa.codes<k = 8>> {
  %0 = sfa.sparsify %x : tensor<1x2x?x128xbf16> -> tensor<1x2x?x128xbf16, #sfa.codes<k = 8>>
  return %0 : tensor<1x2x?x128xbf16, #sfa.codes<k = 8>>
}
// CHECK-LABEL: sfa_tile.kernel @sparsify_0(
// CHECK: %[[ROWS:.*]] = sfa_tile.load %source[%batch, %head, %{{.*}}]
// CHECK: %[[TOPK:.*]] = sfa_tile.topk %[[ROWS]] : !sfa_tile.tile<{{[0-9]+}}x128xbf16> -> !sfa_tile.codes<{{[0-9]+}}x128xbf16, k = 8>
// CHECK: sfa_tile.store_codes %[[TOPK]], %output_values, %output_indices

// -----

// CHECK-LABEL: sfa_tile.kernel @sparsify(
// CHECK: sfa_tile.topk %{{.*}} two_four : !sfa_tile.tile<{{[0-9]+}}x128xbf16> -> !sfa_tile.codes<{{[0-9]+}}x128xbf16, k = 8>
func.func @two_four(%x: tensor<1x2x?x128xbf16>) -> tensor<1x2x?x128xbf16, #sfa.codes<k = 8, two_four>> {
  %0 = sfa.sparsify %x : tensor<1x2x?x128xbf16> -> tensor<1x2x?x128xbf16, #sfa.codes<k = 8, two_four>>
  return %0 : tensor<1x2x?x128xbf16, #sfa.codes<k = 8, two_four>>
}

// -----

// CHECK-LABEL: func.func @with_dense_rows(
// CHECK-DAG: %[[ROWS:.*]] = tensor.empty(%{{.*}}) : tensor<1x2x?x128xbf16>
// CHECK: %[[RESULTS:.*]]:3 = sfa_tile.launch @sparsify {{.*}} outs(%{{.*}}, %{{.*}}, %[[ROWS]] :
// CHECK: return %[[RESULTS]]#0, %[[RESULTS]]#1, %[[RESULTS]]#2
func.func @with_dense_rows(%x: tensor<1x2x?x128xbf16>) -> (tensor<1x2x?x128xbf16, #sfa.codes<k = 8>>, tensor<1x2x?x128xbf16>) {
  %0, %1 = sfa.sparsify %x : tensor<1x2x?x128xbf16> -> tensor<1x2x?x128xbf16, #sfa.codes<k = 8>>, tensor<1x2x?x128xbf16>
  return %0, %1 : tensor<1x2x?x128xbf16, #sfa.codes<k = 8>>, tensor<1x2x?x128xbf16>
}

// Codes that nobody uses are not written.
// CHECK-LABEL: func.func @dense_rows_only(
// CHECK: %[[ROWS:.*]] = sfa_tile.launch @sparsify_0 {{.*}} outs(%{{[^,]*}} : tensor<1x2x?x128xbf16>)
// CHECK: return %[[ROWS]]
func.func @dense_rows_only(%x: tensor<1x2x?x128xbf16>) -> tensor<1x2x?x128xbf16> {
  %0, %1 = sfa.sparsify %x : tensor<1x2x?x128xbf16> -> tensor<1x2x?x128xbf16, #sfa.codes<k = 8>>, tensor<1x2x?x128xbf16>
  return %1 : tensor<1x2x?x128xbf16>
}

// CHECK-LABEL: sfa_tile.kernel @sparsify(
// CHECK: %[[CODES:.*]] = sfa_tile.topk
// CHECK: %[[ROWS:.*]] = sfa_tile.expand %[[CODES]]
// CHECK: sfa_tile.store %[[ROWS]], %output[
// CHECK: sfa_tile.store_codes %[[CODES]], %output_values, %output_indices

// CHECK-LABEL: sfa_tile.kernel @sparsify_0(
// CHECK-NOT: store_codes
// CHECK: %[[ROWS:.*]] = sfa_tile.expand
// CHECK: sfa_tile.store %[[ROWS]], %output[

// -----

// More features than an 8-bit index names, and k beyond the number of features.
// CHECK-LABEL: func.func @wide(
// CHECK-SAME: -> (tensor<1x2x4x257xf32>, tensor<1x2x4x257xi16>)
// CHECK: sfa_tile.topk {{.*}} -> !sfa_tile.codes<{{[0-9]+}}x257xf32, k = 257>
func.func @wide(%x: tensor<1x2x4x257xf32>) -> tensor<1x2x4x257xf32, #sfa.codes<k = 300>> {
  %0 = sfa.sparsify %x : tensor<1x2x4x257xf32> -> tensor<1x2x4x257xf32, #sfa.codes<k = 300>>
  return %0 : tensor<1x2x4x257xf32, #sfa.codes<k = 300>>
}

// -----

// CHECK-LABEL: func.func @densify(
// CHECK-SAME: %[[VALUES:.*]]: tensor<?x2x?x8xf16>, %[[INDICES:.*]]: tensor<?x2x?x8xi8>) -> tensor<?x2x?x128xf16>
// CHECK: sfa_tile.launch @densify_0 {{.*}} ins(%[[VALUES]], %[[INDICES]] :
func.func @densify(%x: tensor<?x2x?x128xf16, #sfa.codes<k = 8>>) -> tensor<?x2x?x128xf16> {
  %0 = sfa.densify %x : tensor<?x2x?x128xf16, #sfa.codes<k = 8>>
  return %0 : tensor<?x2x?x128xf16>
}
// CHECK-LABEL: sfa_tile.kernel @densify_0(
// CHECK: %[[CODES:.*]] = sfa_tile.load_codes %source_values, %source_indices
// CHECK: %[[ROWS:.*]] = sfa_tile.expand %[[CODES]]
// CHECK: sfa_tile.store %[[ROWS]], %output

// -----

// A kernel lives beside the function that launches it.
// CHECK: module {
// CHECK: module @inner {
// CHECK: sfa_tile.launch @sparsify
// CHECK: sfa_tile.kernel @sparsify(
module {
  module @inner {
    func.func @f(%x: tensor<1x2x?x128xbf16>) -> tensor<1x2x?x128xbf16, #sfa.codes<k = 8>> {
      %0 = sfa.sparsify %x : tensor<1x2x?x128xbf16> -> tensor<1x2x?x128xbf16, #sfa.codes<k = 8>>
      return %0 : tensor<1x2x?x128xbf16, #sfa.codes<k = 8>>
    }
  }
}
