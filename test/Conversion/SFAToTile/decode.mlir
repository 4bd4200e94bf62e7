// RUN: sfa-opt %s -convert-sfa-to-tile -canonicalize -cse -split-input-file | FileCheck %s

// The heads of a group are rows of one tile. A point of the grid is a sequence, a tile of rows and a share of the keys; what
// belongs to the share follows from the length. A second kernel adds up the shares.
// CHECK-LABEL: func.func @codes(
// CHECK-SAME: %[[Q:.*]]: tensor<?x8x1x32xf32>, %[[K:.*]]: tensor<?x2x16x4xf32>, %[[I:.*]]: tensor<?x2x16x4xi8>, %[[V:.*]]: tensor<?x2x16x64xf32>, %[[T:.*]]: tensor<?x9xi32>, %[[N:.*]]: tensor<?xi32>)
// CHECK: %[[PARTIAL:.*]]:2 = sfa_tile.launch @decode_codes_split grid(%{{.*}}, %c2, %c16) ins(%[[Q]], %[[K]], %[[I]], %[[V]], %[[T]], %[[N]] : {{.*}}) outs({{.*}} : tensor<?x128x1x64xf32>, tensor<?x128x1xf32>)
// CHECK: sfa_tile.launch @combine grid(%{{.*}}) ins(%[[PARTIAL]]#0, %[[PARTIAL]]#1, %[[N]], %[[T]] : {{.*}}) outs({{.*}} : tensor<?x8x1x64xf32>, tensor<?x8x1xf32>)

// CHECK-LABEL: sfa_tile.kernel @decode_codes_split(
// CHECK: sfa_tile.load %query[%batch, %{{.*}}, %{{.*}}] heads 4 : {{.*}} -> !sfa_tile.tile<16x32xf32>
// CHECK: %length, %first, %count = sfa_tile.split_range %{{.*}}[%batch, %tile] limit %c144 : memref<?xi32
// CHECK: sfa_tile.key_loop %c0 to %count step 128 init({{.*}}) {{.*}} load {
// CHECK: sfa_tile.load_codes %key_values, %key_indices[%batch, %{{.*}}, %[[KEY:.*]]] pages %{{.*}} : memref<?x9xi32, {{.*}}> limit %length
// CHECK: sfa_tile.load %value[%batch, %{{.*}}, %[[KEY]]] pages %{{.*}} : memref<?x9xi32, {{.*}}> limit %length
// CHECK: sfa_tile.mask {{.*}} <causal>

// CHECK-LABEL: sfa_tile.kernel @combine(
// CHECK: sfa_tile.combine {{.*}} of 16 splits heads 4 {{.*}}
func.func @codes(%q: tensor<?x8x1x32xf32>, %k: tensor<?x2x16x32xf32, #sfa.codes<k = 4>>, %v: tensor<?x2x16x64xf32>,
                 %t: tensor<?x9xi32>, %n: tensor<?xi32>) -> (tensor<?x8x1x64xf32>, tensor<?x8x1xf32>) {
  %o, %l = sfa.decode %q, %k, %v pages(%t, %n : tensor<?x9xi32>, tensor<?xi32>)
    schedule <strategy = dense, softmax = online, q_tile = 16, k_tile = 128, stages = 1, consumers = 1, packed_heads = 4, splits = 16>
    : tensor<?x8x1x32xf32>, tensor<?x2x16x32xf32, #sfa.codes<k = 4>>, tensor<?x2x16x64xf32> -> tensor<?x8x1x64xf32>, tensor<?x8x1xf32>
  return %o, %l : tensor<?x8x1x64xf32>, tensor<?x8x1xf32>
}

// -----

// With a window, a share whose last key is before it has no keys.
// CHECK-LABEL: sfa_tile.kernel @decode_dense_split(
// CHECK: %[[COUNT:.*]] = arith.select %{{.*}}, %count, %c0
// CHECK: sfa_tile.key_loop %c0 to %[[COUNT]] step 128
// CHECK: sfa_tile.mask {{.*}} <window, left = 100, right = 0>
func.func @window(%q: tensor<?x2x3x32xf32>, %k: tensor<?x2x64x32xf32>, %t: tensor<?x9xi32>, %n: tensor<?xi32>) -> tensor<?x2x3x32xf32> {
  %o = sfa.decode %q, %k, %k pages(%t, %n : tensor<?x9xi32>, tensor<?xi32>) left 100
    schedule <strategy = dense, softmax = online, q_tile = 16, k_tile = 128, stages = 1, consumers = 1, packed_heads = 1, splits = 16>
    : tensor<?x2x3x32xf32>, tensor<?x2x64x32xf32>, tensor<?x2x64x32xf32> -> tensor<?x2x3x32xf32>
  return %o : tensor<?x2x3x32xf32>
}
