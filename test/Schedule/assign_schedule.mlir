// RUN: sfa-opt %s -sfa-assign-schedule | FileCheck %s

// Dense operands allow nothing else.
// CHECK-LABEL: @dense(
// CHECK: schedule <strategy = dense, softmax = {{online|lazy}}, q_tile = {{[0-9]+}}, k_tile = {{[0-9]+}}, stages = {{[0-9]+}}, consumers = {{[0-9]+}}>
func.func @dense(%q: tensor<1x2x?x128xf16>, %v: tensor<1x2x?x128xf16>) -> tensor<1x2x?x128xf16> {
  %o = sfa.attention %q, %q, %v : tensor<1x2x?x128xf16>, tensor<1x2x?x128xf16>, tensor<1x2x?x128xf16> -> tensor<1x2x?x128xf16>
  return %o : tensor<1x2x?x128xf16>
}

// A few features of many: the work is k scaled rows a query.
// CHECK-LABEL: @few_features(
// CHECK: schedule <strategy = gather,
func.func @few_features(%q: tensor<1x2x?x128xf16, #sfa.codes<k = 8>>, %v: tensor<1x2x?x128xf16>) -> tensor<1x2x?x128xf16> {
  %o = sfa.attention %q, %q, %v
    : tensor<1x2x?x128xf16, #sfa.codes<k = 8>>, tensor<1x2x?x128xf16, #sfa.codes<k = 8>>, tensor<1x2x?x128xf16> -> tensor<1x2x?x128xf16>
  return %o : tensor<1x2x?x128xf16>
}

// Most features: the matrix product wins.
// CHECK-LABEL: @most_features(
// CHECK: schedule <strategy = dense,
func.func @most_features(%q: tensor<1x2x?x66xf32, #sfa.codes<k = 60>>, %v: tensor<1x2x?x66xf32>) -> tensor<1x2x?x66xf32> {
  %o = sfa.attention %q, %q, %v
    : tensor<1x2x?x66xf32, #sfa.codes<k = 60>>, tensor<1x2x?x66xf32, #sfa.codes<k = 60>>, tensor<1x2x?x66xf32> -> tensor<1x2x?x66xf32>
  return %o : tensor<1x2x?x66xf32>
}

// Codes of the key alone are of no use to a strategy but dense.
// CHECK-LABEL: @codes_of_key(
// CHECK: schedule <strategy = dense,
func.func @codes_of_key(%q: tensor<1x2x?x128xf16>, %k: tensor<1x2x?x128xf16, #sfa.codes<k = 8>>, %v: tensor<1x2x?x128xf16>) -> tensor<1x2x?x128xf16> {
  %o = sfa.attention %q, %k, %v
    : tensor<1x2x?x128xf16>, tensor<1x2x?x128xf16, #sfa.codes<k = 8>>, tensor<1x2x?x128xf16> -> tensor<1x2x?x128xf16>
  return %o : tensor<1x2x?x128xf16>
}

// What is given stays; the rest is filled in.
// CHECK-LABEL: @partly_given(
// CHECK: schedule <strategy = scatter, softmax = lazy, q_tile = {{[0-9]+}}, k_tile = 33, stages = {{[0-9]+}}, consumers = {{[0-9]+}}>
func.func @partly_given(%q: tensor<1x2x?x128xf16, #sfa.codes<k = 8>>, %v: tensor<1x2x?x128xf16>) -> tensor<1x2x?x128xf16> {
  %o = sfa.attention %q, %q, %v schedule <k_tile = 33, softmax = lazy, strategy = scatter>
    : tensor<1x2x?x128xf16, #sfa.codes<k = 8>>, tensor<1x2x?x128xf16, #sfa.codes<k = 8>>, tensor<1x2x?x128xf16> -> tensor<1x2x?x128xf16>
  return %o : tensor<1x2x?x128xf16>
}

// CHECK-LABEL: @all_given(
// CHECK: schedule <strategy = sparse_mma, softmax = lazy, q_tile = 1, k_tile = 4096, stages = 16, consumers = 8>
func.func @all_given(%q: tensor<1x2x?x128xf16, #sfa.codes<k = 8>>, %v: tensor<1x2x?x128xf16>) -> tensor<1x2x?x128xf16> {
  %o = sfa.attention %q, %v, %v schedule <strategy = sparse_mma, softmax = lazy, q_tile = 1, k_tile = 4096, stages = 16, consumers = 8>
    : tensor<1x2x?x128xf16, #sfa.codes<k = 8>>, tensor<1x2x?x128xf16>, tensor<1x2x?x128xf16> -> tensor<1x2x?x128xf16>
  return %o : tensor<1x2x?x128xf16>
}

// One query does not pay for a tile of many.
// CHECK-LABEL: @one_query(
// CHECK: q_tile = {{[1-8]}},
func.func @one_query(%q: tensor<1x2x1x128xf16>, %v: tensor<1x2x?x128xf16>) -> tensor<1x2x1x128xf16> {
  %o = sfa.attention %q, %v, %v : tensor<1x2x1x128xf16>, tensor<1x2x?x128xf16>, tensor<1x2x?x128xf16> -> tensor<1x2x1x128xf16>
  return %o : tensor<1x2x1x128xf16>
}

// No query at all still gets a schedule.
// CHECK-LABEL: @no_query(
// CHECK: schedule <strategy = dense, softmax = {{online|lazy}}, q_tile = {{[0-9]+}},
func.func @no_query(%q: tensor<1x2x0x128xf16>, %v: tensor<1x2x?x128xf16>) -> tensor<1x2x0x128xf16> {
  %o = sfa.attention %q, %v, %v : tensor<1x2x0x128xf16>, tensor<1x2x?x128xf16>, tensor<1x2x?x128xf16> -> tensor<1x2x0x128xf16>
  return %o : tensor<1x2x0x128xf16>
}
