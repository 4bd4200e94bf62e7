// RUN: sfa-opt %s -canonicalize -split-input-file | FileCheck %s

// CHECK-LABEL: @sparsify_of_densify(
// CHECK-SAME: %[[X:.*]]: tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
// CHECK-NEXT: return %[[X]]
func.func @sparsify_of_densify(%x: tensor<1x1x?x64xf32, #sfa.codes<k = 8>>) -> tensor<1x1x?x64xf32, #sfa.codes<k = 8>> {
  %0 = sfa.densify %x : tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
  %1 = sfa.sparsify %0 : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
  return %1 : tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
}

// CHECK-LABEL: @sparsify_of_densify_two_four(
// CHECK-SAME: %[[X:[^:]*]]: tensor<1x1x?x64xf32, #sfa.codes<k = 8, two_four>>
// CHECK: %[[CODES:.*]] = sfa.sparsify
// CHECK: return %[[X]], %[[CODES]]
func.func @sparsify_of_densify_two_four(%x: tensor<1x1x?x64xf32, #sfa.codes<k = 8, two_four>>, %y: tensor<1x1x?x64xf32, #sfa.codes<k = 8>>)
    -> (tensor<1x1x?x64xf32, #sfa.codes<k = 8, two_four>>, tensor<1x1x?x64xf32, #sfa.codes<k = 8, two_four>>) {
  %0 = sfa.densify %x : tensor<1x1x?x64xf32, #sfa.codes<k = 8, two_four>>
  %1 = sfa.sparsify %0 : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 8, two_four>>
  %2 = sfa.densify %y : tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
  %3 = sfa.sparsify %2 : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 8, two_four>>
  return %1, %3 : tensor<1x1x?x64xf32, #sfa.codes<k = 8, two_four>>, tensor<1x1x?x64xf32, #sfa.codes<k = 8, two_four>>
}

// Codes with 8-bit values are others.
// CHECK-LABEL: @sparsify_of_densify_eight_bits(
// CHECK: sfa.densify
// CHECK: %[[CODES:.*]] = sfa.sparsify
// CHECK: return %[[CODES]]
func.func @sparsify_of_densify_eight_bits(%x: tensor<1x1x?x64xf32, #sfa.codes<k = 8, values = i8, scales = tile>>) -> tensor<1x1x?x64xf32, #sfa.codes<k = 8>> {
  %0 = sfa.densify %x : tensor<1x1x?x64xf32, #sfa.codes<k = 8, values = i8, scales = tile>>
  %1 = sfa.sparsify %0 : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
  return %1 : tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
}

// Another k is another code.
// CHECK-LABEL: @sparsify_of_densify_other_k(
// CHECK: sfa.densify
// CHECK: sfa.sparsify
func.func @sparsify_of_densify_other_k(%x: tensor<1x1x?x64xf32, #sfa.codes<k = 8>>) -> tensor<1x1x?x64xf32, #sfa.codes<k = 4>> {
  %0 = sfa.densify %x : tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
  %1 = sfa.sparsify %0 : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 4>>
  return %1 : tensor<1x1x?x64xf32, #sfa.codes<k = 4>>
}

// -----

// CHECK-LABEL: @densify_of_all(
// CHECK-SAME: %[[X:.*]]: tensor<1x1x?x64xf32>)
// CHECK-NEXT: return %[[X]]
func.func @densify_of_all(%x: tensor<1x1x?x64xf32>) -> tensor<1x1x?x64xf32> {
  %0 = sfa.sparsify %x : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 64>>
  %1 = sfa.densify %0 : tensor<1x1x?x64xf32, #sfa.codes<k = 64>>
  return %1 : tensor<1x1x?x64xf32>
}

// CHECK-LABEL: @densify_of_some(
// CHECK: sfa.sparsify
// CHECK: sfa.densify
func.func @densify_of_some(%x: tensor<1x1x?x64xf32>) -> tensor<1x1x?x64xf32> {
  %0 = sfa.sparsify %x : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 63>>
  %1 = sfa.densify %0 : tensor<1x1x?x64xf32, #sfa.codes<k = 63>>
  return %1 : tensor<1x1x?x64xf32>
}

// The types have to be the same, static sizes included.
// CHECK-LABEL: @densify_of_all_other_shape(
// CHECK: sfa.sparsify
// CHECK: sfa.densify
func.func @densify_of_all_other_shape(%x: tensor<1x1x5x64xf32>) -> tensor<1x1x?x64xf32> {
  %0 = sfa.sparsify %x : tensor<1x1x5x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 100>>
  %1 = sfa.densify %0 : tensor<1x1x?x64xf32, #sfa.codes<k = 100>>
  return %1 : tensor<1x1x?x64xf32>
}

// -----

// CHECK-LABEL: @repeated_sparsify(
// CHECK-SAME: %[[X:.*]]: tensor<1x1x?x64xf32>)
// CHECK-NEXT: %[[CODES:.*]] = sfa.sparsify %[[X]] : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 4>>
// CHECK-NEXT: return %[[CODES]]
func.func @repeated_sparsify(%x: tensor<1x1x?x64xf32>) -> tensor<1x1x?x64xf32, #sfa.codes<k = 4>> {
  %0 = sfa.sparsify %x : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
  %1 = sfa.densify %0 : tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
  %2 = sfa.sparsify %1 : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 4>>
  return %2 : tensor<1x1x?x64xf32, #sfa.codes<k = 4>>
}

// 4 features, then 8 of them and zeros: not the 8 largest of the source.
// CHECK-LABEL: @repeated_sparsify_growing(
// CHECK: sfa.sparsify
// CHECK: sfa.densify
// CHECK: sfa.sparsify
func.func @repeated_sparsify_growing(%x: tensor<1x1x?x64xf32>) -> tensor<1x1x?x64xf32, #sfa.codes<k = 8>> {
  %0 = sfa.sparsify %x : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 4>>
  %1 = sfa.densify %0 : tensor<1x1x?x64xf32, #sfa.codes<k = 4>>
  %2 = sfa.sparsify %1 : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
  return %2 : tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
}

// CHECK-LABEL: @repeated_sparsify_two_four(
// CHECK-SAME: %[[X:.*]]: tensor<1x1x?x64xf32>)
// CHECK-NEXT: %[[CODES:.*]] = sfa.sparsify %[[X]]
// CHECK-NEXT: return %[[CODES]]
func.func @repeated_sparsify_two_four(%x: tensor<1x1x?x64xf32>) -> tensor<1x1x?x64xf32, #sfa.codes<k = 4, two_four>> {
  %0 = sfa.sparsify %x : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 8, two_four>>
  %1 = sfa.densify %0 : tensor<1x1x?x64xf32, #sfa.codes<k = 8, two_four>>
  %2 = sfa.sparsify %1 : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 4, two_four>>
  return %2 : tensor<1x1x?x64xf32, #sfa.codes<k = 4, two_four>>
}

// The 8 largest may leave less than the 4 largest that satisfy 2:4, and those are not the 4 largest.
// CHECK-LABEL: @repeated_sparsify_one_two_four(
// CHECK-COUNT-2: sfa.densify
func.func @repeated_sparsify_one_two_four(%x: tensor<1x1x?x64xf32>)
    -> (tensor<1x1x?x64xf32, #sfa.codes<k = 4, two_four>>, tensor<1x1x?x64xf32, #sfa.codes<k = 4>>) {
  %0 = sfa.sparsify %x : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
  %1 = sfa.densify %0 : tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
  %2 = sfa.sparsify %1 : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 4, two_four>>
  %3 = sfa.sparsify %x : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 8, two_four>>
  %4 = sfa.densify %3 : tensor<1x1x?x64xf32, #sfa.codes<k = 8, two_four>>
  %5 = sfa.sparsify %4 : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 4>>
  return %2, %5 : tensor<1x1x?x64xf32, #sfa.codes<k = 4, two_four>>, tensor<1x1x?x64xf32, #sfa.codes<k = 4>>
}

// CHECK-LABEL: @repeated_sparsify_other_shape(
// CHECK: sfa.densify
func.func @repeated_sparsify_other_shape(%x: tensor<1x1x?x64xf32>) -> tensor<1x1x5x64xf32, #sfa.codes<k = 4>> {
  %0 = sfa.sparsify %x : tensor<1x1x?x64xf32> -> tensor<1x1x5x64xf32, #sfa.codes<k = 8>>
  %1 = sfa.densify %0 : tensor<1x1x5x64xf32, #sfa.codes<k = 8>>
  %2 = sfa.sparsify %1 : tensor<1x1x5x64xf32> -> tensor<1x1x5x64xf32, #sfa.codes<k = 4>>
  return %2 : tensor<1x1x5x64xf32, #sfa.codes<k = 4>>
}

// -----

// CHECK-LABEL: @both_of_densify(
// CHECK-SAME: %[[X:.*]]: tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
// CHECK-NEXT: %[[DENSE:.*]] = sfa.densify %[[X]]
// CHECK-NEXT: return %[[X]], %[[DENSE]]
func.func @both_of_densify(%x: tensor<1x1x?x64xf32, #sfa.codes<k = 8>>) -> (tensor<1x1x?x64xf32, #sfa.codes<k = 8>>, tensor<1x1x?x64xf32>) {
  %0 = sfa.densify %x : tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
  %1, %2 = sfa.sparsify %0 : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 8>>, tensor<1x1x?x64xf32>
  return %1, %2 : tensor<1x1x?x64xf32, #sfa.codes<k = 8>>, tensor<1x1x?x64xf32>
}

// CHECK-LABEL: @densify_of_both(
// CHECK-NEXT: %{{.*}}, %[[DENSE:.*]] = sfa.sparsify
// CHECK-NEXT: return %[[DENSE]], %[[DENSE]]
func.func @densify_of_both(%x: tensor<1x1x?x64xf32>) -> (tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32>) {
  %0, %1 = sfa.sparsify %x : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 8>>, tensor<1x1x?x64xf32>
  %2 = sfa.densify %0 : tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
  return %1, %2 : tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32>
}

// CHECK-LABEL: @repeated_sparsify_of_dense_rows(
// CHECK-SAME: %[[X:.*]]: tensor<1x1x?x64xf32>)
// CHECK-NEXT: %[[CODES:.*]] = sfa.sparsify %[[X]] : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 4>>
// CHECK-NEXT: return %[[CODES]]
func.func @repeated_sparsify_of_dense_rows(%x: tensor<1x1x?x64xf32>) -> tensor<1x1x?x64xf32, #sfa.codes<k = 4>> {
  %0, %1 = sfa.sparsify %x : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 8>>, tensor<1x1x?x64xf32>
  %2 = sfa.sparsify %1 : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 4>>
  return %2 : tensor<1x1x?x64xf32, #sfa.codes<k = 4>>
}

// CHECK-LABEL: @unused_dense_rows(
// CHECK-NEXT: %[[CODES:.*]] = sfa.sparsify %{{.*}} {note = 1 : i64} : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 8>>{{$}}
// CHECK-NEXT: return %[[CODES]]
func.func @unused_dense_rows(%x: tensor<1x1x?x64xf32>) -> tensor<1x1x?x64xf32, #sfa.codes<k = 8>> {
  %0, %1 = sfa.sparsify %x {note = 1 : i64} : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 8>>, tensor<1x1x?x64xf32>
  return %0 : tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
}

// -----

// An op without users goes away.
// CHECK-LABEL: @dead(
// CHECK-NEXT: return
func.func @dead(%x: tensor<1x1x?x64xf32>) {
  %0 = sfa.sparsify %x : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 4>>
  %1 = sfa.densify %0 : tensor<1x1x?x64xf32, #sfa.codes<k = 4>>
  %2 = sfa.attention %0, %x, %x
    : tensor<1x1x?x64xf32, #sfa.codes<k = 4>>, tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32>
  return
}

// -----

// CHECK-LABEL: @attention_of_densify(
// CHECK-SAME: %[[Q:.*]]: tensor<1x1x?x64xf32, #sfa.codes<k = 8>>, %[[K:.*]]: tensor<1x1x?x64xf32, #sfa.codes<k = 4>>, %[[V:.*]]: tensor<1x1x?x64xf32>)
// CHECK-NOT: sfa.densify
// CHECK: sfa.attention %[[Q]], %[[K]], %[[V]]
func.func @attention_of_densify(%q: tensor<1x1x?x64xf32, #sfa.codes<k = 8>>, %k: tensor<1x1x?x64xf32, #sfa.codes<k = 4>>,
                                %v: tensor<1x1x?x64xf32>) -> tensor<1x1x?x64xf32> {
  %0 = sfa.densify %q : tensor<1x1x?x64xf32, #sfa.codes<k = 8>>
  %1 = sfa.densify %k : tensor<1x1x?x64xf32, #sfa.codes<k = 4>>
  %2 = sfa.attention %0, %1, %v : tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32>
  return %2 : tensor<1x1x?x64xf32>
}

// CHECK-LABEL: @attention_of_dense_rows(
// CHECK: %[[CODES:.*]] = sfa.sparsify %{{.*}} -> tensor<1x1x?x64xf32, #sfa.codes<k = 8>>{{$}}
// CHECK: sfa.attention %[[CODES]], %[[CODES]]
func.func @attention_of_dense_rows(%x: tensor<1x1x?x64xf32>) -> tensor<1x1x?x64xf32> {
  %0, %1 = sfa.sparsify %x : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 8>>, tensor<1x1x?x64xf32>
  %2 = sfa.attention %1, %1, %x : tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32>
  return %2 : tensor<1x1x?x64xf32>
}

// The value is dense by definition.
// CHECK-LABEL: @attention_of_densified_value(
// CHECK: %[[V:.*]] = sfa.densify
// CHECK: sfa.attention %{{.*}}, %{{.*}}, %[[V]]
func.func @attention_of_densified_value(%q: tensor<1x1x?x64xf32>, %v: tensor<1x1x?x64xf32, #sfa.codes<k = 4>>) -> tensor<1x1x?x64xf32> {
  %0 = sfa.densify %v : tensor<1x1x?x64xf32, #sfa.codes<k = 4>>
  %1 = sfa.attention %q, %q, %0 : tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32>
  return %1 : tensor<1x1x?x64xf32>
}

// -----

// CHECK-LABEL: @attention_of_all_features(
// CHECK-SAME: %[[X:.*]]: tensor<1x1x?x64xf32>)
// CHECK-NOT: sfa.sparsify
// CHECK: sfa.attention %[[X]], %[[X]], %[[X]] schedule <strategy = dense>
func.func @attention_of_all_features(%x: tensor<1x1x?x64xf32>) -> tensor<1x1x?x64xf32> {
  %0 = sfa.sparsify %x : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 64>>
  %1 = sfa.attention %0, %0, %x schedule <strategy = dense>
    : tensor<1x1x?x64xf32, #sfa.codes<k = 64>>, tensor<1x1x?x64xf32, #sfa.codes<k = 64>>, tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32>
  return %1 : tensor<1x1x?x64xf32>
}

// A strategy that needs codes keeps them.
// CHECK-LABEL: @attention_of_all_features_gather(
// CHECK: %[[CODES:.*]] = sfa.sparsify
// CHECK: sfa.attention %[[CODES]], %[[CODES]]
func.func @attention_of_all_features_gather(%x: tensor<1x1x?x64xf32>) -> tensor<1x1x?x64xf32> {
  %0 = sfa.sparsify %x : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 64>>
  %1 = sfa.attention %0, %0, %x schedule <strategy = gather>
    : tensor<1x1x?x64xf32, #sfa.codes<k = 64>>, tensor<1x1x?x64xf32, #sfa.codes<k = 64>>, tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32>
  return %1 : tensor<1x1x?x64xf32>
}

// CHECK-LABEL: @attention_of_all_features_other_shape(
// CHECK: %[[CODES:.*]] = sfa.sparsify
// CHECK: sfa.attention %[[CODES]]
func.func @attention_of_all_features_other_shape(%x: tensor<1x1x5x64xf32>, %k: tensor<1x1x?x64xf32>) -> tensor<1x1x7x64xf32> {
  %0 = sfa.sparsify %x : tensor<1x1x5x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 64>>
  %1 = sfa.attention %0, %k, %k
    : tensor<1x1x?x64xf32, #sfa.codes<k = 64>>, tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32> -> tensor<1x1x7x64xf32>
  return %1 : tensor<1x1x7x64xf32>
}

// -----

// CHECK-LABEL: @masks(
func.func @masks(%x: tensor<1x1x?x64xf32>) -> (tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32>) {
  // CHECK: sfa.attention %{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}} : tensor
  %0 = sfa.attention %x, %x, %x mask <none>
    : tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32>
  // CHECK: sfa.attention %{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}} : tensor
  %1 = sfa.attention %x, %x, %x mask <window>
    : tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32>
  // CHECK: sfa.attention %{{.*}} mask <causal>
  %2 = sfa.attention %x, %x, %x mask <window, right = 0>
    : tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32>
  // CHECK: sfa.attention %{{.*}} mask <window, left = 3, right = 0>
  %3 = sfa.attention %x, %x, %x mask <window, left = 3, right = 0>
    : tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32>
  return %0, %1, %2, %3 : tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32>
}

// -----

// CHECK-LABEL: @static_results(
// CHECK: %[[O:.*]], %[[LSE:.*]] = sfa.attention {{.*}} -> tensor<2x1x5x64xf32>, tensor<2x1x5xf32>
// CHECK-DAG: %[[OCAST:.*]] = tensor.cast %[[O]] : tensor<2x1x5x64xf32> to tensor<?x1x?x64xf32>
// CHECK-DAG: %[[LCAST:.*]] = tensor.cast %[[LSE]] : tensor<2x1x5xf32> to tensor<?x1x5xf32>
// CHECK: return %[[OCAST]], %[[LCAST]]
func.func @static_results(%x: tensor<2x1x5x64xf32>) -> (tensor<?x1x?x64xf32>, tensor<?x1x5xf32>) {
  %0, %1 = sfa.attention %x, %x, %x
    : tensor<2x1x5x64xf32>, tensor<2x1x5x64xf32>, tensor<2x1x5x64xf32> -> tensor<?x1x?x64xf32>, tensor<?x1x5xf32>
  return %0, %1 : tensor<?x1x?x64xf32>, tensor<?x1x5xf32>
}

// Operands and masks are simplified under sequences, too, which stay.
// CHECK-LABEL: @sequences(
// CHECK: sfa.attention %arg0, %arg0, %{{.*}} sequences(%arg2, %arg2 : tensor<?xi32>, tensor<?xi32>) mask <causal> : tensor<1x1x5x64xf32, #sfa.codes<k = 8>>
// CHECK-SAME: -> tensor<1x1x5x64xf32>
func.func @sequences(%codes: tensor<1x1x5x64xf32, #sfa.codes<k = 8>>, %v: tensor<1x1x5x64xf32>, %offsets: tensor<?xi32>)
    -> tensor<1x1x?x64xf32> {
  %dense = sfa.densify %codes : tensor<1x1x5x64xf32, #sfa.codes<k = 8>>
  %o = sfa.attention %dense, %dense, %v sequences(%offsets, %offsets : tensor<?xi32>, tensor<?xi32>) mask <window, right = 0>
    : tensor<1x1x5x64xf32>, tensor<1x1x5x64xf32>, tensor<1x1x5x64xf32> -> tensor<1x1x?x64xf32>
  return %o : tensor<1x1x?x64xf32>
}

// A scale that is a constant becomes one of the op, unless it is none that the op may have.
// CHECK-LABEL: @constant_scale(
// CHECK: sfa.attention %arg0, %arg0, %arg0 scale -2.500000e-01 :
// CHECK: sfa.attention %arg0, %arg0, %arg0 scale %cst :
func.func @constant_scale(%q: tensor<1x4x8x16xf32>) -> (tensor<1x4x8x16xf32>, tensor<1x4x8x16xf32>) {
  %scale = arith.constant -0.25 : f64
  %infinity = arith.constant 0x7FF0000000000000 : f64
  %0 = sfa.attention %q, %q, %q scale %scale
    : tensor<1x4x8x16xf32>, tensor<1x4x8x16xf32>, tensor<1x4x8x16xf32> -> tensor<1x4x8x16xf32>
  %1 = sfa.attention %q, %q, %q scale %infinity
    : tensor<1x4x8x16xf32>, tensor<1x4x8x16xf32>, tensor<1x4x8x16xf32> -> tensor<1x4x8x16xf32>
  return %0, %1 : tensor<1x4x8x16xf32>, tensor<1x4x8x16xf32>
}

// Rounded values are not those of the source, whatever is kept.
// CHECK-LABEL: @densify_of_rounded(
// CHECK: %[[CODES:.*]] = sfa.sparsify
// CHECK: %[[DENSE:.*]] = sfa.densify %[[CODES]] :
// CHECK: %[[MORE:.*]], %[[ROWS:.*]] = sfa.sparsify
// CHECK: %[[OTHER:.*]] = sfa.densify %[[MORE]] :
// CHECK: return %[[DENSE]], %[[OTHER]], %[[ROWS]], %[[ROWS]]
!rounded = tensor<1x1x?x64xf32, #sfa.dense<values = i8, scales = tile>>
func.func @densify_of_rounded(%x: tensor<1x1x?x64xf32>) -> (tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32>, !rounded, !rounded) {
  %0 = sfa.sparsify %x : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 64, values = i8, scales = tile>>
  %1 = sfa.densify %0 : tensor<1x1x?x64xf32, #sfa.codes<k = 64, values = i8, scales = tile>>
  %2, %3 = sfa.sparsify %x : tensor<1x1x?x64xf32>
    -> tensor<1x1x?x64xf32, #sfa.codes<k = 8, values = i8, scales = tile>>, tensor<1x1x?x64xf32, #sfa.dense<values = i8, scales = tile>>
  %4 = sfa.densify %2 : tensor<1x1x?x64xf32, #sfa.codes<k = 8, values = i8, scales = tile>>
  %5 = sfa.densify %2 quantized : tensor<1x1x?x64xf32, #sfa.codes<k = 8, values = i8, scales = tile>>
  return %1, %4, %3, %5 : tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32>, !rounded, !rounded
}

// CHECK-LABEL: @attention_of_rounded(
// CHECK: %[[CODES:.*]], %[[ROWS:.*]] = sfa.sparsify
// CHECK: %[[ALL:.*]] = sfa.sparsify
// CHECK: sfa.attention %[[ROWS]], %[[ALL]]
func.func @attention_of_rounded(%x: tensor<1x1x?x64xf32>) -> (tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32, #sfa.codes<k = 8, values = i8, scales = tile>>) {
  %0, %1 = sfa.sparsify %x : tensor<1x1x?x64xf32>
    -> tensor<1x1x?x64xf32, #sfa.codes<k = 8, values = i8, scales = tile>>, tensor<1x1x?x64xf32, #sfa.dense<values = i8, scales = tile>>
  %2 = sfa.sparsify %x : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 64, values = i8, scales = tile>>
  %3 = sfa.attention %1, %2, %x : tensor<1x1x?x64xf32, #sfa.dense<values = i8, scales = tile>>,
    tensor<1x1x?x64xf32, #sfa.codes<k = 64, values = i8, scales = tile>>, tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32>
  return %3, %0 : tensor<1x1x?x64xf32>, tensor<1x1x?x64xf32, #sfa.codes<k = 8, values = i8, scales = tile>>
}

// CHECK-LABEL: @repeated_sparsify_of_rounded(
// CHECK-SAME: %[[X:.*]]: tensor<1x1x?x64xf32>)
// CHECK-NEXT: %[[CODES:.*]] = sfa.sparsify %[[X]] : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 4, values = i8, scales = token>>
// CHECK-NEXT: return %[[CODES]]
func.func @repeated_sparsify_of_rounded(%x: tensor<1x1x?x64xf32>) -> tensor<1x1x?x64xf32, #sfa.codes<k = 4, values = i8, scales = token>> {
  %0, %1 = sfa.sparsify %x : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 8>>, tensor<1x1x?x64xf32>
  %2, %3 = sfa.sparsify %1 : tensor<1x1x?x64xf32>
    -> tensor<1x1x?x64xf32, #sfa.codes<k = 4, values = i8, scales = token>>, tensor<1x1x?x64xf32, #sfa.dense<values = i8, scales = token>>
  return %2 : tensor<1x1x?x64xf32, #sfa.codes<k = 4, values = i8, scales = token>>
}
