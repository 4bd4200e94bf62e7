// RUN: sfa-opt %s -sfa-assign-schedule -convert-sfa-to-tile -canonicalize -cse -split-input-file | FileCheck %s

// Two launches: the first with a head of the grid for each split of each head, the second as any other. What passes
// between them is f32.
// CHECK-LABEL: func.func @causal_gqa(
// CHECK-SAME: %[[Q:.*]]: tensor<?x8x?x64xf16>, %[[K:.*]]: tensor<?x2x?x64xf16>)
// CHECK-DAG: %[[C40:.*]] = arith.constant 40 : index
// CHECK-DAG: %[[C8:.*]] = arith.constant 8 : index
// CHECK-DAG: %[[OUTPUTS:.*]] = tensor.empty(%[[BATCH:.*]], %[[TOKENS:.*]]) : tensor<?x40x?x64xf32>
// CHECK-DAG: %[[SUMS:.*]] = tensor.empty(%[[BATCH]], %[[TOKENS]]) : tensor<?x40x?xf32>
// CHECK: %[[PARTIAL:.*]]:2 = sfa_tile.launch @attention_dense_online_split grid(%[[BATCH]], %[[C40]], %{{.*}}) ins(%[[Q]], %[[K]], %[[K]] : {{.*}}) outs(%[[OUTPUTS]], %[[SUMS]] :
// CHECK: %[[ROWS:.*]] = arith.ceildivui %[[TOKENS]], %c4
// CHECK: %[[RESULTS:.*]]:2 = sfa_tile.launch @combine grid(%[[BATCH]], %[[C8]], %[[ROWS]]) ins(%[[PARTIAL]]#0, %[[PARTIAL]]#1 : {{.*}}) outs({{.*}} : tensor<?x8x?x64xf16>, tensor<?x8x?xf32>)
// CHECK: return %[[RESULTS]]#0, %[[RESULTS]]#1

// CHECK-LABEL: sfa_tile.kernel @attention_dense_online_split(
// CHECK-SAME: splits = 5>
// CHECK-DAG: %[[SPLITS:.*]] = arith.constant 5 : index
// CHECK-DAG: %[[TILE:.*]] = arith.constant 16 : index
// CHECK: %[[HEAD:.*]] = arith.divui %head, %[[SPLITS]]
// CHECK: %[[KEY_HEAD:.*]] = arith.divui %[[HEAD]], %{{.*}}
// CHECK: sfa_tile.load %query[%batch, %[[HEAD]], %[[ROW:[0-9]+]]]
// The keys that the query tile sees, and of their tiles those of the split.
// CHECK: %[[UPPER:.*]] = arith.maxsi
// CHECK: %[[SPLIT:.*]] = arith.remui %head, %[[SPLITS]]
// CHECK: %[[TILES:.*]] = arith.ceildivui %{{.*}}, %[[TILE]]
// CHECK: %[[NEXT:.*]] = arith.addi %[[SPLIT]], %c1
// CHECK: %[[END:.*]] = arith.muli %[[TILES]], %[[NEXT]]
// CHECK: %[[END_TILE:.*]] = arith.divui %[[END]], %[[SPLITS]]
// CHECK: %[[END_KEY:.*]] = arith.muli %[[END_TILE]], %[[TILE]]
// CHECK: %[[BEGIN:.*]] = arith.muli %[[TILES]], %[[SPLIT]]
// CHECK: %[[BEGIN_TILE:.*]] = arith.divui %[[BEGIN]], %[[SPLITS]]
// CHECK: %[[FIRST:.*]] = arith.muli %[[BEGIN_TILE]], %[[TILE]]
// CHECK: %[[LAST:.*]] = arith.minsi %[[END_KEY]], %[[UPPER]]
// CHECK: sfa_tile.key_loop %[[FIRST]] to %[[LAST]] step 16
// CHECK: sfa_tile.load %key[%batch, %[[KEY_HEAD]], %first_key]
// CHECK: sfa_tile.store {{.*}}, %lse[%batch, %head, %[[ROW]]]
// CHECK: sfa_tile.store {{.*}}, %output[%batch, %head, %[[ROW]]]

// CHECK-LABEL: sfa_tile.kernel @combine(
// CHECK: %[[OUTPUT:.*]], %[[LSE:.*]] = sfa_tile.combine %partial_outputs, %partial_sums[%batch, %head, %[[ROW:.*]]] of 5 splits
// CHECK: sfa_tile.store %[[LSE]], %lse[%batch, %head, %[[ROW]]]
// CHECK: sfa_tile.store %[[OUTPUT]], %output[%batch, %head, %[[ROW]]]
func.func @causal_gqa(%q: tensor<?x8x?x64xf16>, %k: tensor<?x2x?x64xf16>) -> (tensor<?x8x?x64xf16>, tensor<?x8x?xf32>) {
  %o, %lse = sfa.attention %q, %k, %k mask <causal> schedule <softmax = online, k_tile = 16, splits = 5>
    : tensor<?x8x?x64xf16>, tensor<?x2x?x64xf16>, tensor<?x2x?x64xf16> -> tensor<?x8x?x64xf16>, tensor<?x8x?xf32>
  return %o, %lse : tensor<?x8x?x64xf16>, tensor<?x8x?xf32>
}

// -----

// The partial log-sum-exps are there whether or not one is asked for. With a window, shares begin where it does; of
// several sequences, keys are those of the sequence.
// CHECK-LABEL: func.func @window_of_sequences(
// CHECK: sfa_tile.launch @attention_dense_online_varlen_split {{.*}} outs({{.*}} : tensor<1x6x?x64xf32>, tensor<1x6x?xf32>)
// CHECK: sfa_tile.launch @combine {{.*}} outs({{.*}} : tensor<1x2x?x64xf16>)
// CHECK: %row, %query_begin, %query_end, %key_begin, %key_end = sfa_tile.sequence_tile
// CHECK: %[[PAST:.*]] = arith.remui %[[SEEN:.*]], %c128
// CHECK: %[[LOWER:.*]] = arith.subi %[[SEEN]], %[[PAST]]
// CHECK: %[[NEXT:.*]] = arith.addi %[[LOWER]], %{{.*}}
// CHECK: %[[FIRST:.*]] = arith.addi %[[LOWER]], %{{.*}}
// CHECK: %[[LAST:.*]] = arith.minsi %[[NEXT]], %{{.*}}
// CHECK: sfa_tile.key_loop %[[FIRST]] to %[[LAST]]
// CHECK: sfa_tile.store {{.*}}, %lse[%batch, %head, %{{.*}}] limit %query_end
func.func @window_of_sequences(%q: tensor<1x2x?x64xf16>, %c: tensor<?xi32>) -> tensor<1x2x?x64xf16> {
  %o = sfa.attention %q, %q, %q sequences(%c, %c : tensor<?xi32>, tensor<?xi32>) mask <window, left = 100, right = 3>
    schedule <softmax = online, splits = 3> : tensor<1x2x?x64xf16>, tensor<1x2x?x64xf16>, tensor<1x2x?x64xf16> -> tensor<1x2x?x64xf16>
  return %o : tensor<1x2x?x64xf16>
}

// -----

// One split is none.
// CHECK-LABEL: func.func @one(
// CHECK: sfa_tile.launch @attention_dense_online grid
// CHECK-NOT: sfa_tile.combine
func.func @one(%q: tensor<1x2x?x64xf16>) -> tensor<1x2x?x64xf16> {
  %o = sfa.attention %q, %q, %q schedule <softmax = online, splits = 1>
    : tensor<1x2x?x64xf16>, tensor<1x2x?x64xf16>, tensor<1x2x?x64xf16> -> tensor<1x2x?x64xf16>
  return %o : tensor<1x2x?x64xf16>
}
