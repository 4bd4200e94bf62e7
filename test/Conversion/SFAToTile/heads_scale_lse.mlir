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
// CHECK-DAG: %[[SCALE_LOG2E:.*]] = arith.constant 0.18033{{.*}} : f32
// CHECK-DAG: %[[SCALE:.*]] = arith.constant 1.250000e-01 : f32
// CHECK-NOT: sfa_tile.scale %
// CHECK: sfa_tile.exp2 %scores, %{{.*}} scale %[[SCALE_LOG2E]]
// CHECK: %[[SUM:.*]] = sfa_tile.total %sum
// CHECK: %[[LSE:.*]] = sfa_tile.lse %max, %[[SUM]] scale %[[SCALE]]
// CHECK: sfa_tile.store %[[LSE]], %lse[%batch, %head, %{{.*}}] : !sfa_tile.tile<{{[0-9]+}}xf32>
func.func @lse(%q: tensor<1x8x?x64xf32>) -> (tensor<1x8x?x64xf32>, tensor<1x8x?xf32>) {
  %o, %lse = sfa.attention %q, %q, %q schedule <softmax = online>
    : tensor<1x8x?x64xf32>, tensor<1x8x?x64xf32>, tensor<1x8x?x64xf32> -> tensor<1x8x?x64xf32>, tensor<1x8x?xf32>
  return %o, %lse : tensor<1x8x?x64xf32>, tensor<1x8x?xf32>
}

// -----

// A scale that is a value is folded by those who launch the kernel, which takes what is left as numbers: the same as of
// the constant, each rounded once.
// CHECK-LABEL: func.func @scale_value(
// CHECK-SAME: , %[[SCALE:[^ ,:]+]]: f64)
// CHECK: %[[LOG2E:.*]] = arith.constant 1.4426950408889634 : f64
// CHECK: %[[PRODUCT:.*]] = arith.mulf %[[SCALE]], %[[LOG2E]] : f64
// CHECK: %[[FOLDED:.*]] = arith.truncf %[[PRODUCT]] : f64 to f32
// CHECK: %[[ROUNDED:.*]] = arith.truncf %[[SCALE]] : f64 to f32
// CHECK: sfa_tile.launch @attention_dense_online grid({{.*}}) ins({{.*}}) outs({{.*}}) scalars(%[[FOLDED]], %[[ROUNDED]])
// CHECK-LABEL: sfa_tile.kernel @attention_dense_online(
// CHECK-SAME: %lse: memref<{{[^%]*}}, %scale_log2e: f32, %scale: f32) grid
// CHECK-NOT: sfa_tile.scale %
// CHECK: sfa_tile.exp2 %scores, %{{.*}} scale %scale_log2e
// CHECK: sfa_tile.lse %max, %{{.*}} scale %scale :
func.func @scale_value(%q: tensor<1x8x?x64xf32>, %scale: f64) -> (tensor<1x8x?x64xf32>, tensor<1x8x?xf32>) {
  %o, %lse = sfa.attention %q, %q, %q scale %scale schedule <softmax = online>
    : tensor<1x8x?x64xf32>, tensor<1x8x?x64xf32>, tensor<1x8x?x64xf32> -> tensor<1x8x?x64xf32>, tensor<1x8x?xf32>
  return %o, %lse : tensor<1x8x?x64xf32>, tensor<1x8x?xf32>
}

// -----

// The lazy softmax takes the inverse of the exponent, too. Without a log-sum-exp there is no number for it.
// CHECK-LABEL: func.func @scale_value_alone(
// CHECK: arith.divf %{{.*}}, %{{.*}} : f32
// CHECK: sfa_tile.launch @attention_dense_lazy grid({{.*}}) scalars(%[[FOLDED:[^,]*]], %[[INVERSE:[^,]*]]) ->
// CHECK-LABEL: sfa_tile.kernel @attention_dense_lazy(
// CHECK-SAME: %output: memref<{{[^%]*}}, %scale_log2e: f32, %{{[^,]*}}: f32) grid
func.func @scale_value_alone(%q: tensor<1x8x?x64xf16>, %scale: f64) -> tensor<1x8x?x64xf16> {
  %o = sfa.attention %q, %q, %q scale %scale schedule <softmax = lazy>
    : tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16> -> tensor<1x8x?x64xf16>
  return %o : tensor<1x8x?x64xf16>
}

// -----

// A negative scale turns the order of the scores around: it is applied to the scores.
// CHECK-LABEL: sfa_tile.kernel @attention_dense_online(
// CHECK-DAG: %[[LOG2E:.*]] = arith.constant 1.442695{{.*}} : f32
// CHECK-DAG: %[[ONE:.*]] = arith.constant 1.000000e+00 : f32
// CHECK: sfa_tile.scale %{{.*}} by -1.250000e-01
// CHECK: sfa_tile.exp2 %scores, %{{.*}} scale %[[LOG2E]]
// CHECK: %[[SUM:.*]] = sfa_tile.total %sum
// CHECK: sfa_tile.lse %max, %[[SUM]] scale %[[ONE]]
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
