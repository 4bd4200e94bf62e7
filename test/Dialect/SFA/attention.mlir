// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --emit-bytecode %s | sfa-opt | FileCheck %s

// CHECK-LABEL: @dense(
// CHECK: sfa.attention %{{.*}}, %{{.*}}, %{{.*}} : tensor<1x2x16x64xf32>, tensor<1x2x16x64xf32>, tensor<1x2x16x32xf32> -> tensor<1x2x16x32xf32>
func.func @dense(%q: tensor<1x2x16x64xf32>, %k: tensor<1x2x16x64xf32>, %v: tensor<1x2x16x32xf32>) -> tensor<1x2x16x32xf32> {
  %o = sfa.attention %q, %k, %v
    : tensor<1x2x16x64xf32>, tensor<1x2x16x64xf32>, tensor<1x2x16x32xf32> -> tensor<1x2x16x32xf32>
  return %o : tensor<1x2x16x32xf32>
}

// Everything at once: GQA, n_q != n_k, different k, mask, scale, schedule, LSE, another attribute.
// CHECK-LABEL: @full(
// CHECK: %{{.*}}, %{{.*}} = sfa.attention %{{.*}}, %{{.*}}, %{{.*}} mask <window, left = 128, right = 0> scale 1.250000e-01 schedule <strategy = gather, k_tile = 64> {note = "x"}
// CHECK-SAME: : tensor<?x8x?x64xbf16, #sfa.codes<k = 8>>, tensor<?x2x?x64xbf16, #sfa.codes<k = 4>>, tensor<?x2x?x128xbf16> -> tensor<?x8x?x128xbf16>, tensor<?x8x?xf32>
func.func @full(%q: tensor<?x8x?x64xbf16, #sfa.codes<k = 8>>, %k: tensor<?x2x?x64xbf16, #sfa.codes<k = 4>>,
                %v: tensor<?x2x?x128xbf16>) -> (tensor<?x8x?x128xbf16>, tensor<?x8x?xf32>) {
  %o, %lse = sfa.attention %q, %k, %v mask <window, left = 128, right = 0> scale 0.125
      schedule <strategy = gather, k_tile = 64> {note = "x"}
    : tensor<?x8x?x64xbf16, #sfa.codes<k = 8>>, tensor<?x2x?x64xbf16, #sfa.codes<k = 4>>, tensor<?x2x?x128xbf16>
    -> tensor<?x8x?x128xbf16>, tensor<?x8x?xf32>
  return %o, %lse : tensor<?x8x?x128xbf16>, tensor<?x8x?xf32>
}

// One operand as codes, the other dense; MQA; empty sequences.
// CHECK-LABEL: @mixed(
// CHECK: sfa.attention %{{.*}}, %{{.*}}, %{{.*}} mask <causal> : tensor<1x4x0x64xf16>, tensor<1x1x0x64xf16, #sfa.codes<k = 8>>, tensor<1x1x0x64xf16> -> tensor<1x4x0x64xf16>
func.func @mixed(%q: tensor<1x4x0x64xf16>, %k: tensor<1x1x0x64xf16, #sfa.codes<k = 8>>,
                 %v: tensor<1x1x0x64xf16>) -> tensor<1x4x0x64xf16> {
  %o = sfa.attention %q, %k, %v mask <causal>
    : tensor<1x4x0x64xf16>, tensor<1x1x0x64xf16, #sfa.codes<k = 8>>, tensor<1x1x0x64xf16> -> tensor<1x4x0x64xf16>
  return %o : tensor<1x4x0x64xf16>
}

// Each strategy on the operands that it needs.
// CHECK-LABEL: @strategies(
func.func @strategies(%q: tensor<1x1x8x64xf32>, %k: tensor<1x1x8x64xf32>, %v: tensor<1x1x8x64xf32>,
                      %qs: tensor<1x1x8x64xf32, #sfa.codes<k = 8>>, %ks: tensor<1x1x8x64xf32, #sfa.codes<k = 8>>) {
  // CHECK: schedule <strategy = dense>
  %0 = sfa.attention %q, %k, %v schedule <strategy = dense>
    : tensor<1x1x8x64xf32>, tensor<1x1x8x64xf32>, tensor<1x1x8x64xf32> -> tensor<1x1x8x64xf32>
  // CHECK: schedule <strategy = gather>
  %1 = sfa.attention %qs, %k, %v schedule <strategy = gather>
    : tensor<1x1x8x64xf32, #sfa.codes<k = 8>>, tensor<1x1x8x64xf32>, tensor<1x1x8x64xf32> -> tensor<1x1x8x64xf32>
  // CHECK: schedule <strategy = scatter>
  %2 = sfa.attention %qs, %ks, %v schedule <strategy = scatter>
    : tensor<1x1x8x64xf32, #sfa.codes<k = 8>>, tensor<1x1x8x64xf32, #sfa.codes<k = 8>>, tensor<1x1x8x64xf32> -> tensor<1x1x8x64xf32>
  // CHECK: schedule <strategy = sparse_mma>
  %3 = sfa.attention %qs, %k, %v schedule <strategy = sparse_mma>
    : tensor<1x1x8x64xf32, #sfa.codes<k = 8>>, tensor<1x1x8x64xf32>, tensor<1x1x8x64xf32> -> tensor<1x1x8x64xf32>
  return
}

// Offsets of sequences, of a size that is known or not.
// CHECK-LABEL: @sequences(
func.func @sequences(%q: tensor<1x2x?x64xf32>, %k: tensor<1x1x?x64xf32>, %cu_q: tensor<?xi32>, %cu_k: tensor<9xi32>) {
  // CHECK: sfa.attention %{{.*}}, %{{.*}}, %{{.*}} sequences(%arg2, %arg3 : tensor<?xi32>, tensor<9xi32>) mask <causal> scale 1.250000e-01 schedule <softmax = lazy> :
  %o, %lse = sfa.attention %q, %k, %k sequences(%cu_q, %cu_k : tensor<?xi32>, tensor<9xi32>) mask <causal> scale 0.125
      schedule <softmax = lazy>
    : tensor<1x2x?x64xf32>, tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32> -> tensor<1x2x?x64xf32>, tensor<1x2x?xf32>
  return
}

// CHECK-LABEL: @scale_value(
// CHECK: sfa.attention %arg0, %arg0, %arg0 mask <causal> scale %arg1 schedule <softmax = lazy> :
func.func @scale_value(%q: tensor<1x4x8x16xf32>, %scale: f64) -> tensor<1x4x8x16xf32> {
  %o = sfa.attention %q, %q, %q mask <causal> scale %scale schedule <softmax = lazy>
    : tensor<1x4x8x16xf32>, tensor<1x4x8x16xf32>, tensor<1x4x8x16xf32> -> tensor<1x4x8x16xf32>
  return %o : tensor<1x4x8x16xf32>
}

// CHECK-LABEL: @eight_bits(
// CHECK: sfa.attention %{{.*}} : tensor<1x2x?x64xf32, #sfa.codes<k = 8, values = i8, scales = token>>, tensor<1x2x?x64xf32, #sfa.codes<k = 8, values = i8, scales = tile>>, tensor<1x2x?x64xf32> -> tensor<1x2x?x64xf32>
// CHECK: sfa.attention %{{.*}} : tensor<1x2x?x64xf32, #sfa.dense<values = i8, scales = token>>, tensor<1x2x?x64xf32, #sfa.dense<values = i8, scales = head>>, tensor<1x2x?x64xf32> -> tensor<1x2x?x64xf32>
func.func @eight_bits(%q: tensor<1x2x?x64xf32, #sfa.codes<k = 8, values = i8, scales = token>>, %k: tensor<1x2x?x64xf32, #sfa.codes<k = 8, values = i8, scales = tile>>,
                      %q_rows: tensor<1x2x?x64xf32, #sfa.dense<values = i8, scales = token>>, %k_rows: tensor<1x2x?x64xf32, #sfa.dense<values = i8, scales = head>>,
                      %v: tensor<1x2x?x64xf32>) {
  %0 = sfa.attention %q, %k, %v : tensor<1x2x?x64xf32, #sfa.codes<k = 8, values = i8, scales = token>>, tensor<1x2x?x64xf32, #sfa.codes<k = 8, values = i8, scales = tile>>, tensor<1x2x?x64xf32> -> tensor<1x2x?x64xf32>
  %1 = sfa.attention %q_rows, %k_rows, %v : tensor<1x2x?x64xf32, #sfa.dense<values = i8, scales = token>>, tensor<1x2x?x64xf32, #sfa.dense<values = i8, scales = head>>, tensor<1x2x?x64xf32> -> tensor<1x2x?x64xf32>
  return
}
