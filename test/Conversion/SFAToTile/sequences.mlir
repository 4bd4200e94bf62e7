// RUN: sfa-opt %s -sfa-assign-schedule -convert-sfa-to-tile -canonicalize -cse | FileCheck %s

// A tile for each offset beside those of the tokens: every sequence begins one of its own.
// CHECK-LABEL: func.func @f(
// CHECK-DAG: %[[TOKENS:.*]] = tensor.dim %arg0, %c2
// CHECK-DAG: %[[TILES:.*]] = arith.ceildivui %[[TOKENS]], %c16
// CHECK-DAG: %[[OFFSETS:.*]] = tensor.dim %arg2, %c0
// CHECK-DAG: %[[GRID:.*]] = arith.addi %[[TILES]], %[[OFFSETS]]
// CHECK: sfa_tile.launch @attention_dense_online_varlen grid(%c1, %c2{{.*}}, %[[GRID]])
// CHECK-SAME: ins(%arg0, %arg1, %arg1, %arg2, %arg3 :

// The mask counts within the sequence, memory from its beginning, and what belongs to the next sequence is neither
// multiplied nor overwritten.
// CHECK-LABEL: sfa_tile.kernel @attention_dense_online_varlen(
// CHECK-SAME: %query_offsets: memref<?xi32, strided<[1], offset: ?>>, %key_offsets: memref<?xi32, strided<[1], offset: ?>>
// CHECK: %[[NQ:.*]] = memref.dim %query, %c2
// CHECK: %[[NK:.*]] = memref.dim %key, %c2
// CHECK: %row, %query_begin, %query_end, %key_begin, %key_end = sfa_tile.sequence_tile %query_offsets, %key_offsets[%tile] by 16 of[%[[NQ]], %[[NK]]]
// CHECK-DAG: %[[QUERIES:.*]] = arith.subi %query_end, %query_begin
// CHECK-DAG: %[[KEYS:.*]] = arith.subi %key_end, %key_begin
// CHECK-DAG: %[[FIRST:.*]] = arith.addi %query_begin, %row
// CHECK: sfa_tile.load %query[%batch, %head, %[[FIRST]]] : memref
// CHECK: sfa_tile.key_loop
// CHECK: ^bb0(%first_key: index):
// CHECK: %[[KEY:.*]] = arith.addi %key_begin, %first_key
// CHECK: sfa_tile.load %key[%batch, {{.*}}, %[[KEY]]] : memref
// CHECK: sfa_tile.load %value[%batch, {{.*}}, %[[KEY]]] limit %key_end : memref
// CHECK: sfa_tile.mask %scores[%row, %first_key] of[%[[QUERIES]], %[[KEYS]]] by <causal>
// CHECK: sfa_tile.store %{{.*}}, %lse[%batch, %head, %[[FIRST]]] limit %query_end
// CHECK: sfa_tile.store %{{.*}}, %output[%batch, %head, %[[FIRST]]] limit %query_end
func.func @f(%q: tensor<1x2x?x64xf32>, %k: tensor<1x1x?x64xf32>, %cu_q: tensor<?xi32>, %cu_k: tensor<?xi32>)
    -> (tensor<1x2x?x64xf32>, tensor<1x2x?xf32>) {
  %o, %lse = sfa.attention %q, %k, %k sequences(%cu_q, %cu_k : tensor<?xi32>, tensor<?xi32>) mask <causal>
      schedule <strategy = dense, softmax = online, q_tile = 16, k_tile = 32>
    : tensor<1x2x?x64xf32>, tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32> -> tensor<1x2x?x64xf32>, tensor<1x2x?xf32>
  return %o, %lse : tensor<1x2x?x64xf32>, tensor<1x2x?xf32>
}
