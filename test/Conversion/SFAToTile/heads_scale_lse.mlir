// RUN: sfa-opt %s -sfa-assign-schedule -convert-sfa-to-tile -canonicalize -cse -split-input-file | FileCheck %s

// GQA: four query heads read one key head.
// CHECK-LABEL: sfa_tile.kernel @attention_dense_online(
// CHECK: %[[C4:.*]] = arith.constant 4 : index
// CHECK: %[[KEY_HEAD:.*]] = arith.divui %head, %[[C4]]
// CHECK: sfa_tile.load %query[%batch, %head, %{{.*}}]
// CHECK: sfa_tile.load %key[%batch, %[[KEY_HEAD]], %first_key]
// CHECK: sfa_tile.load %value[%batch, %[[KEY_HEAD]], %first_key]
// CHECK: sfa_tile.store {{.*}}, %output[%batch, %head, %{{.*}}]
func.func @gqa(%q: tensor<1x8x?x64xf32>, %k: tensor<1x2x?x64xf32>) -> tensor<1x8x?x64xf32> {
  %o = sfa.attention %q, %k, %k schedule <softmax = online>
    : tensor<1x8x?x64xf32>, tensor<1x2x?x64xf32>, tensor<1x2x?x64xf32> -> tensor<1x8x?x64xf32>
  return %o : tensor<1x8x?x64xf32>
}

// -----

// MHA: no division.
// CHECK-LABEL: sfa_tile.kernel @attention_dense_online(
// CHECK-NOT: arith.divui
// CHECK: sfa_tile.load %key[%batch, %head, %first_key]
func.func @mha(%q: tensor<1x8x?x64xf32>) -> tensor<1x8x?x64xf32> {
  %o = sfa.attention %q, %q, %q schedule <softmax = online>
    : tensor<1x8x?x64xf32>, tensor<1x8x?x64xf32>, tensor<1x8x?x64xf32> -> tensor<1x8x?x64xf32>
  return %o : tensor<1x8x?x64xf32>
}

// -----

// The scale is folded into the exponent, with log2(e), and is as it was in the log-sum-exp.
// CHECK-LABEL: sfa_tile.kernel @attention_dense_online(
// CHECK-SAME: %lse: memref
// CHECK-NOT: sfa_tile.scale %
// CHECK: sfa_tile.exp2 %scores, %{{.*}} scale 0.18033
// CHECK: %[[SUM:.*]] = sfa_tile.total %sum
// CHECK: %[[LSE:.*]] = sfa_tile.lse %max, %[[SUM]] scale 1.250000e-01
// CHECK: sfa_tile.store %[[LSE]], %lse[%batch, %head, %{{.*}}] : !sfa_tile.tile<{{[0-9]+}}xf32>
func.func @lse(%q: tensor<1x8x?x64xf32>) -> (tensor<1x8x?x64xf32>, tensor<1x8x?xf32>) {
  %o, %lse = sfa.attention %q, %q, %q schedule <softmax = online>
    : tensor<1x8x?x64xf32>, tensor<1x8x?x64xf32>, tensor<1x8x?x64xf32> -> tensor<1x8x?x64xf32>, tensor<1x8x?xf32>
  return %o, %lse : tensor<1x8x?x64xf32>, tensor<1x8x?xf32>
}

// -----

// A negative scale turns the order of the scores around: it is applied to the scores.
// CHECK-LABEL: sfa_tile.kernel @attention_dense_online(
// CHECK: sfa_tile.scale %{{.*}} by -1.250000e-01
// CHECK: sfa_tile.exp2 %scores, %{{.*}} scale 1.442695
// CHECK: %[[SUM:.*]] = sfa_tile.total %sum
// CHECK: sfa_tile.lse %max, %[[SUM]] scale 1.000000e+00
func.func @negative_scale(%q: tensor<1x8x?x64xf32>) -> (tensor<1x8x?x64xf32>, tensor<1x8x?xf32>) {
  %o, %lse = sfa.attention %q, %q, %q scale -0.125 schedule <softmax = online>
    : tensor<1x8x?x64xf32>, tensor<1x8x?x64xf32>, tensor<1x8x?x64xf32> -> tensor<1x8x?x64xf32>, tensor<1x8x?xf32>
  return %o, %lse : tensor<1x8x?x64xf32>, tensor<1x8x?xf32>
}

// -----

// CHECK-LABEL: sfa_tile.kernel @attention_dense_online(
// CHECK: sfa_tile.scale %{{.*}} by 0.000000e+00
func.func @zero_scale(%q: tensor<1x8x?x64xf32>) -> tensor<1x8x?x64xf32> {
  %o = sfa.attention %q, %q, %q scale 0.0 schedule <softmax = online>
    : tensor<1x8x?x64xf32>, tensor<1x8x?x64xf32>, tensor<1x8x?x64xf32> -> tensor<1x8x?x64xf32>
  return %o : tensor<1x8x?x64xf32>
}
