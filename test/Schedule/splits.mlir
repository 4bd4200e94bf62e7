// RUN: sfa-opt %s -sfa-assign-schedule=chip=sm_90a | FileCheck %s
// RUN: sfa-opt %s -sfa-assign-schedule | FileCheck %s --check-prefix=CPU

// CPU-NOT: splits = {{[^3]}}

!q1 = tensor<1x16x1x128xbf16>
!q = tensor<1x16x4096x128xbf16>
!k = tensor<1x16x65536x128xbf16>
!dynamic = tensor<1x16x?x128xbf16>

// 16 query tiles for 132 multiprocessors.
// CHECK-LABEL: @decode(
// CHECK: splits = 8>
func.func @decode(%q: !q1, %k: !k) -> !q1 {
  %o = sfa.attention %q, %k, %k : !q1, !k, !k -> !q1
  return %o : !q1
}

// A query tile sees 1127 keys of a window of 1000, and each split keeps 256.
// CHECK-LABEL: @window(
// CHECK: splits = 4>
func.func @window(%q: !q1, %k: !k) -> !q1 {
  %o = sfa.attention %q, %k, %k mask <window, left = 999, right = 0> : !q1, !k, !k -> !q1
  return %o : !q1
}

// Where there are query tiles enough, or sizes are not known, or it says so: none.
// CHECK-LABEL: @prefill(
// CHECK: grid = persistent>
func.func @prefill(%q: !q) -> !q {
  %o = sfa.attention %q, %q, %q : !q, !q, !q -> !q
  return %o : !q
}
// CHECK-LABEL: @dynamic(
// CHECK: turns = free, queries = registers, grid = persistent>
func.func @dynamic(%q: !q1, %k: !dynamic) -> !q1 {
  %o = sfa.attention %q, %k, %k : !q1, !dynamic, !dynamic -> !q1
  return %o : !q1
}
// CHECK-LABEL: @given(
// CHECK: splits = 3>
func.func @given(%q: !q1, %k: !k) -> !q1 {
  %o = sfa.attention %q, %k, %k schedule <splits = 3> : !q1, !k, !k -> !q1
  return %o : !q1
}

// Bounds of shares cost registers: key tiles are smaller with splits than the 80 keys without.
// CHECK-LABEL: @registers(
// CHECK: k_tile = 64, {{.*}}, splits = 8>
!wide = tensor<1x16x1x256xbf16>
!wide_k = tensor<1x16x65536x256xbf16>
func.func @registers(%q: !wide, %k: !wide_k) -> !wide {
  %o = sfa.attention %q, %k, %k schedule <softmax = online> : !wide, !wide_k, !wide_k -> !wide
  return %o : !wide
}

// Of sequences the means count. 4 x 16 tiles; keys of any number are cut smaller than multiprocessors ask for.
!q4 = tensor<1x16x4x128xbf16>
// CHECK-LABEL: @uneven(
// CHECK: q_tile = 64, {{.*}}splits = 32>
func.func @uneven(%q: !q4, %k: !k, %s: tensor<5xi32>) -> !q4 {
  %o = sfa.attention %q, %k, %k sequences(%s, %s : tensor<5xi32>, tensor<5xi32>) : !q4, !k, !k -> !q4
  return %o : !q4
}
// As many keys as the rows are worth: 16 for each of 100.
!q400 = tensor<1x16x400x128xbf16>
// CHECK-LABEL: @more_queries(
// CHECK: splits = 10>
func.func @more_queries(%q: !q400, %k: !k, %s: tensor<5xi32>) -> !q400 {
  %o = sfa.attention %q, %k, %k sequences(%s, %s : tensor<5xi32>, tensor<5xi32>) : !q400, !k, !k -> !q400
  return %o : !q400
}
// Queries of several tiles each are not few: 128 tiles for 132 multiprocessors.
!q516 = tensor<1x16x516x128xbf16>
// CHECK-LABEL: @several_tiles(
// CHECK-NOT: splits
// CHECK: return
func.func @several_tiles(%q: !q516, %k: !k, %s: tensor<5xi32>) -> !q516 {
  %o = sfa.attention %q, %k, %k sequences(%s, %s : tensor<5xi32>, tensor<5xi32>) : !q516, !k, !k -> !q516
  return %o : !q516
}
// One sequence is as none.
// CHECK-LABEL: @one_sequence(
// CHECK: splits = 8>
func.func @one_sequence(%q: !q1, %k: !k, %s: tensor<2xi32>) -> !q1 {
  %o = sfa.attention %q, %k, %k sequences(%s, %s : tensor<2xi32>, tensor<2xi32>) : !q1, !k, !k -> !q1
  return %o : !q1
}
// Many queries each: tiles enough.
// CHECK-LABEL: @long_sequences(
// CHECK-NOT: splits
// CHECK: return
func.func @long_sequences(%q: !q, %s: tensor<5xi32>) -> !q {
  %o = sfa.attention %q, %q, %q sequences(%s, %s : tensor<5xi32>, tensor<5xi32>) : !q, !q, !q -> !q
  return %o : !q
}
// CHECK-LABEL: @any_number_of_sequences(
// CHECK: q_tile = 128
// CHECK-NOT: splits
// CHECK: return
func.func @any_number_of_sequences(%q: !q4, %k: !k, %s: tensor<?xi32>) -> !q4 {
  %o = sfa.attention %q, %k, %k sequences(%s, %s : tensor<?xi32>, tensor<?xi32>) : !q4, !k, !k -> !q4
  return %o : !q4
}
