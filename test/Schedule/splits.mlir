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

// A query tile sees 1127 keys of a window of 1000, and each split keeps 512.
// CHECK-LABEL: @window(
// CHECK: splits = 2>
func.func @window(%q: !q1, %k: !k) -> !q1 {
  %o = sfa.attention %q, %k, %k mask <window, left = 999, right = 0> : !q1, !k, !k -> !q1
  return %o : !q1
}

// Where there are query tiles enough, or sizes are not known, or it says so: none.
// CHECK-LABEL: @prefill(
// CHECK: turns = free, queries = registers, grid = persistent>
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
