// RUN: sfa-opt %s -sfa-assign-schedule -convert-sfa-to-tile -canonicalize -cse -split-input-file | FileCheck %s

// Without a mask a tile of queries sees all keys.
// CHECK-LABEL: sfa_tile.kernel @attention_dense_online(
// CHECK-DAG: %[[C0:.*]] = arith.constant 0 : index
// CHECK-DAG: %[[KEYS:.*]] = memref.dim %key,
// CHECK: sfa_tile.key_loop %[[C0]] to %[[KEYS]] step
// CHECK: by <none>
func.func @none(%q: tensor<1x1x?x64xf32>, %k: tensor<1x1x?x64xf32>) -> tensor<1x1x?x64xf32> {
  %o = sfa.attention %q, %k, %k schedule <strategy = dense, softmax = online, q_tile = 16, k_tile = 32>
    : tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32>
  return %o : tensor<1x1x?x64xf32>
}

// -----

// Causal: up to the key that the tile's last query is aligned with, bottom right: min(row + 16, n_q) + n_k - n_q.
// CHECK-LABEL: sfa_tile.kernel @attention_dense_online(
// CHECK-DAG: %[[C0:.*]] = arith.constant 0 : index
// CHECK-DAG: %[[C16:.*]] = arith.constant 16 : index
// CHECK-DAG: %[[ROW:.*]] = arith.muli %tile, %[[C16]]
// CHECK-DAG: %[[QUERIES:.*]] = memref.dim %query,
// CHECK-DAG: %[[KEYS:.*]] = memref.dim %key,
// CHECK-DAG: %[[SHIFT:.*]] = arith.subi %[[KEYS]], %[[QUERIES]]
// CHECK-DAG: %[[NEXT:.*]] = arith.addi %[[ROW]], %[[C16]]
// CHECK-DAG: %[[END:.*]] = arith.minsi %[[NEXT]], %[[QUERIES]]
// CHECK-DAG: %[[LAST:.*]] = arith.addi %[[END]], %[[SHIFT]]
// CHECK-DAG: %[[BOUND:.*]] = arith.minsi %[[KEYS]], %[[LAST]]
// CHECK-DAG: %[[UPPER:.*]] = arith.maxsi %[[BOUND]], %[[C0]]
// CHECK: sfa_tile.key_loop %[[C0]] to %[[UPPER]] step 32
// CHECK: sfa_tile.mask %scores[%[[ROW]], %first_key] of[%[[QUERIES]], %[[KEYS]]] by <causal>
func.func @causal(%q: tensor<1x1x?x64xf32>, %k: tensor<1x1x?x64xf32>) -> tensor<1x1x?x64xf32> {
  %o = sfa.attention %q, %k, %k mask <causal> schedule <strategy = dense, softmax = online, q_tile = 16, k_tile = 32>
    : tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32>
  return %o : tensor<1x1x?x64xf32>
}

// -----

// A window starts at the tile of the first visible key of the tile's first query: aligned down to a multiple of 32.
// CHECK-LABEL: sfa_tile.kernel @attention_dense_online(
// CHECK-DAG: %[[C0:.*]] = arith.constant 0 : index
// CHECK-DAG: %[[C32:.*]] = arith.constant 32 : index
// CHECK-DAG: %[[ROW:.*]] = arith.muli %tile,
// CHECK-DAG: %[[KEYS:.*]] = memref.dim %key,
// CHECK-DAG: %[[SHIFT:.*]] = arith.subi %[[KEYS]],
// CHECK-DAG: %[[ALIGNED:.*]] = arith.addi %[[ROW]], %[[SHIFT]]
// CHECK-DAG: %[[FIRST:.*]] = arith.maxsi %{{.*}}, %[[C0]]
// CHECK-DAG: %[[REST:.*]] = arith.remui %[[FIRST]], %[[C32]]
// CHECK-DAG: %[[LOWER:.*]] = arith.subi %[[FIRST]], %[[REST]]
// CHECK: sfa_tile.key_loop %[[LOWER]] to %[[KEYS]] step 32
// CHECK: by <window, left = 100>
func.func @window_left(%q: tensor<1x1x?x64xf32>, %k: tensor<1x1x?x64xf32>) -> tensor<1x1x?x64xf32> {
  %o = sfa.attention %q, %k, %k mask <window, left = 100> schedule <strategy = dense, softmax = online, q_tile = 16, k_tile = 32>
    : tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32>
  return %o : tensor<1x1x?x64xf32>
}

// -----

// Both sides.
// CHECK-LABEL: sfa_tile.kernel @attention_dense_online(
// CHECK: %[[LAST:.*]] = arith.addi %{{.*}}, %c7
// CHECK: %[[BOUND:.*]] = arith.minsi %{{.*}}, %[[LAST]]
// CHECK: %[[UPPER:.*]] = arith.maxsi %[[BOUND]]
// CHECK: %[[LOWER:.*]] = arith.subi
// CHECK: sfa_tile.key_loop %{{.*}} to %[[UPPER]] step 32
// CHECK: by <window, left = 100, right = 7>
func.func @window_both(%q: tensor<1x1x?x64xf32>, %k: tensor<1x1x?x64xf32>) -> tensor<1x1x?x64xf32> {
  %o = sfa.attention %q, %k, %k mask <window, left = 100, right = 7> schedule <strategy = dense, softmax = online, q_tile = 16, k_tile = 32>
    : tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32>
  return %o : tensor<1x1x?x64xf32>
}
