// RUN: sfa-opt %s -sfa-assign-schedule -convert-sfa-to-tile -canonicalize -cse -split-input-file | FileCheck %s

// Two of the four heads of a group share a tile of 64 rows: the grid has half of the heads, and tiles of 32 queries.
// CHECK-LABEL: func.func @pairs(
// CHECK-DAG: %[[TOKENS:.*]] = tensor.dim %arg0, %c2
// CHECK-DAG: %[[TILES:.*]] = arith.ceildivui %[[TOKENS]], %c32
// CHECK: sfa_tile.launch @attention_dense_online_packed grid(%{{.*}}, %c4, %[[TILES]])

// CHECK-LABEL: sfa_tile.kernel @attention_dense_online_packed(
// CHECK-SAME: packed_heads = 2>
// CHECK: %[[HEAD:.*]] = arith.muli %head, %c2
// CHECK: %[[KEY_HEAD:.*]] = arith.divui %[[HEAD]], %c4
// CHECK: %[[ROW:.*]] = arith.muli %tile, %c32
// CHECK: sfa_tile.load %query[%batch, %[[HEAD]], %[[ROW]]] heads 2 : {{.*}} -> !sfa_tile.tile<64x64xf16>
// The last query of the tile bounds the keys.
// CHECK: %[[END:.*]] = arith.addi %[[ROW]], %c32
// CHECK: arith.minsi %[[END]], %{{.*}}
// CHECK: sfa_tile.key_loop
// CHECK: sfa_tile.load %key[%batch, %[[KEY_HEAD]], %first_key] :
// CHECK: sfa_tile.load %value[%batch, %[[KEY_HEAD]], %first_key] :
// CHECK: sfa_tile.mask %scores[%[[ROW]], %first_key] of[%{{.*}}, %{{.*}}] by <causal> heads 2
// CHECK: sfa_tile.store {{.*}}, %lse[%batch, %[[HEAD]], %[[ROW]]] heads 2
// CHECK: sfa_tile.store {{.*}}, %output[%batch, %[[HEAD]], %[[ROW]]] heads 2
func.func @pairs(%q: tensor<?x8x?x64xf16>, %k: tensor<?x2x?x64xf16>) -> (tensor<?x8x?x64xf16>, tensor<?x8x?xf32>) {
  %o, %lse = sfa.attention %q, %k, %k mask <causal> schedule <softmax = online, q_tile = 64, packed_heads = 2>
    : tensor<?x8x?x64xf16>, tensor<?x2x?x64xf16>, tensor<?x2x?x64xf16> -> tensor<?x8x?x64xf16>, tensor<?x8x?xf32>
  return %o, %lse : tensor<?x8x?x64xf16>, tensor<?x8x?xf32>
}

// -----

// With splits: what a split gives is that of the heads that share a tile, side by side.
// CHECK-LABEL: func.func @splits_of_codes(
// CHECK: sfa_tile.launch @attention_gather_online_packed_split grid(%{{.*}}, %c6, %{{.*}}) {{.*}} outs({{.*}} : tensor<?x24x?x64xf32>, tensor<?x24x?xf32>)
// CHECK: sfa_tile.launch @combine grid(%{{.*}}, %c8, %{{.*}})

// CHECK-LABEL: sfa_tile.kernel @attention_gather_online_packed_split(
// CHECK: %[[PACK:.*]] = arith.divui %head, %c3
// CHECK: %[[HEAD:.*]] = arith.muli %[[PACK]], %c4
// CHECK: %[[RESULT_HEAD:.*]] = arith.muli %head, %c4
// CHECK: sfa_tile.load_codes %query_values, %query_indices[%batch, %[[HEAD]], %{{.*}}] heads 4 : {{.*}} -> !sfa_tile.codes<32x64xf16, k = 8>
// CHECK: arith.remui %head, %c3
// CHECK: sfa_tile.store {{.*}}, %lse[%batch, %[[RESULT_HEAD]], %{{.*}}] heads 4
// CHECK: sfa_tile.store {{.*}}, %output[%batch, %[[RESULT_HEAD]], %{{.*}}] heads 4

// CHECK-LABEL: sfa_tile.kernel @combine(
// CHECK: sfa_tile.combine %partial_outputs, %partial_sums[%batch, %head, %{{.*}}] of 3 splits heads 4
!q = tensor<?x8x?x64xf16, #sfa.codes<k = 8>>
func.func @splits_of_codes(%q: !q, %k: tensor<?x2x?x64xf16>) -> tensor<?x8x?x64xf16> {
  %o = sfa.attention %q, %k, %k schedule <strategy = gather, softmax = online, q_tile = 32, splits = 3, packed_heads = 4>
    : !q, tensor<?x2x?x64xf16>, tensor<?x2x?x64xf16> -> tensor<?x8x?x64xf16>
  return %o : tensor<?x8x?x64xf16>
}

// -----

// Tiles of a sequence have 16 queries.
// CHECK-LABEL: func.func @sequences(
// CHECK: arith.ceildivui %{{.*}}, %c16
// CHECK: sfa_tile.launch @attention_dense_online_varlen_packed
// CHECK: sfa_tile.sequence_tile %query_offsets, %key_offsets[%tile] by 16 of
// CHECK: sfa_tile.mask {{.*}} by <none> heads 4
// CHECK: sfa_tile.store {{.*}} limit %query_end heads 4
func.func @sequences(%q: tensor<1x4x?x64xf16>, %k: tensor<1x1x?x64xf16>, %c: tensor<?xi32>) -> tensor<1x4x?x64xf16> {
  %o = sfa.attention %q, %k, %k sequences(%c, %c : tensor<?xi32>, tensor<?xi32>)
    schedule <softmax = online, q_tile = 64, packed_heads = 4>
    : tensor<1x4x?x64xf16>, tensor<1x1x?x64xf16>, tensor<1x1x?x64xf16> -> tensor<1x4x?x64xf16>
  return %o : tensor<1x4x?x64xf16>
}
