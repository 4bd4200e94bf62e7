// RUN: sfa-opt %s -sfa-assign-schedule=chip=sm_90a | FileCheck %s --check-prefixes=CHECK,SM90
// RUN: sfa-opt %s -sfa-assign-schedule=chip=sm_80 | FileCheck %s --check-prefixes=CHECK,SM80
// RUN: sfa-opt %s -sfa-assign-schedule | FileCheck %s --check-prefix=CPU

!k = tensor<1x4x65536x128xbf16>
!q1 = tensor<1x32x1x128xbf16>
!q16 = tensor<1x32x16x128xbf16>
!q17 = tensor<1x32x17x128xbf16>
!q100 = tensor<1x32x100x128xbf16>
!dynamic = tensor<1x32x?x128xbf16>
!one_k = tensor<1x1x65536x128xbf16>

// A tile of 64 rows has room for 8 queries of each of the 8 heads of a group, of which a warp has two. Splits are of the 4
// tiles that are left.
// CPU-LABEL: @decode(
// CPU-NOT: packed_heads
// CHECK-LABEL: @decode(
// SM90: q_tile = 64, k_tile = 128, {{.*}}consumers = 1, {{.*}}splits = 33, packed_heads = 8>
// SM80: q_tile = 64, k_tile = 64, {{.*}}consumers = 1, {{.*}}packed_heads = 8>
func.func @decode(%q: !q1, %k: !k) -> !q1 {
  %o = sfa.attention %q, %k, %k : !q1, !k, !k -> !q1
  return %o : !q1
}
// CPU-LABEL: @sixteen(
// CHECK-LABEL: @sixteen(
// CHECK: q_tile = 128, {{.*}}packed_heads = 8>
func.func @sixteen(%q: !q16, %k: !k) -> !q16 {
  %o = sfa.attention %q, %k, %k mask <causal> : !q16, !k, !k -> !q16
  return %o : !q16
}
// CHECK-LABEL: @seventeen(
// SM90: packed_heads = 4>
func.func @seventeen(%q: !q17, %k: !k) -> !q17 {
  %o = sfa.attention %q, %k, %k schedule <softmax = online> : !q17, !k, !k -> !q17
  return %o : !q17
}
// Queries enough of one head, or nobody knows how many.
// CHECK-LABEL: @many(
// CHECK-NOT: packed_heads
// CHECK: return
func.func @many(%q: !q100, %k: !k) -> !q100 {
  %o = sfa.attention %q, %k, %k : !q100, !k, !k -> !q100
  return %o : !q100
}
// CHECK-LABEL: @dynamic(
// CHECK-NOT: packed_heads
// CHECK: return
func.func @dynamic(%q: !dynamic, %k: !k) -> !dynamic {
  %o = sfa.attention %q, %k, %k : !dynamic, !k, !k -> !dynamic
  return %o : !dynamic
}
// What is given is kept, and leaves the rest to follow: on a CPU the rows of a tile.
// CHECK-LABEL: @given(
// CHECK: q_tile = {{128|64}}, {{.*}}packed_heads = 4>
// CPU-LABEL: @given(
// CPU: q_tile = 128, {{.*}}packed_heads = 4>
func.func @given(%q: !dynamic, %k: !k) -> !dynamic {
  %o = sfa.attention %q, %k, %k schedule <packed_heads = 4> : !dynamic, !k, !k -> !dynamic
  return %o : !dynamic
}
// CHECK-LABEL: @none(
// CHECK: packed_heads = 1>
// CPU-LABEL: @none(
// CPU: q_tile = 8, {{.*}}packed_heads = 1>
func.func @none(%q: !q1, %k: !k) -> !q1 {
  %o = sfa.attention %q, %k, %k schedule <packed_heads = 1> : !q1, !k, !k -> !q1
  return %o : !q1
}
// A query tile that is given has room for as many heads as it has.
// CHECK-LABEL: @small_tile(
// CHECK: q_tile = 64, {{.*}}packed_heads = 4>
func.func @small_tile(%q: !q16, %k: !k) -> !q16 {
  %o = sfa.attention %q, %k, %k schedule <q_tile = 64> : !q16, !k, !k -> !q16
  return %o : !q16
}
// Few queries have few rows, whatever shares them.
// CHECK-LABEL: @few(
// CHECK: q_tile = 64, {{.*}}consumers = 1
func.func @few(%q: tensor<1x4x64x128xbf16>, %k: !k) -> tensor<1x4x64x128xbf16> {
  %o = sfa.attention %q, %k, %k : tensor<1x4x64x128xbf16>, !k, !k -> tensor<1x4x64x128xbf16>
  return %o : tensor<1x4x64x128xbf16>
}
// All heads of a group of 64.
// CHECK-LABEL: @one_key_head(
// CHECK: q_tile = 64, {{.*}}packed_heads = 64>
func.func @one_key_head(%q: tensor<1x64x1x128xbf16>, %k: !one_k) -> tensor<1x64x1x128xbf16> {
  %o = sfa.attention %q, %k, %k : tensor<1x64x1x128xbf16>, !one_k, !one_k -> tensor<1x64x1x128xbf16>
  return %o : tensor<1x64x1x128xbf16>
}
// Key tiles that are given leave the query tile as it is.
// CHECK-LABEL: @key_tile(
// SM90: q_tile = 128, k_tile = 128, {{.*}}packed_heads = 8>
// SM80: q_tile = 128, k_tile = 128, {{.*}}packed_heads = 8>
func.func @key_tile(%q: !q1, %k: !k) -> !q1 {
  %o = sfa.attention %q, %k, %k schedule <softmax = online, k_tile = 128> : !q1, !k, !k -> !q1
  return %o : !q1
}
// The five heads of a group of ten that have room for 16 queries each, as eight would; a group of seven.
!five_q = tensor<1x10x16x128xbf16>
!seven_q = tensor<1x7x16x128xbf16>
// CHECK-LABEL: @five(
// CHECK: q_tile = 128, {{.*}}packed_heads = 5>
func.func @five(%q: !five_q, %k: !one_k) -> !five_q {
  %o = sfa.attention %q, %k, %k : !five_q, !one_k, !one_k -> !five_q
  return %o : !five_q
}
// CHECK-LABEL: @seven(
// CHECK: q_tile = 128, {{.*}}packed_heads = 7>
func.func @seven(%q: !seven_q, %k: !one_k) -> !seven_q {
  %o = sfa.attention %q, %k, %k : !seven_q, !one_k, !one_k -> !seven_q
  return %o : !seven_q
}
// Three heads of a group of three have 64 rows each of the three consumers' 192, where there are many keys.
!thin_q = tensor<1x6x60x64xbf16>
!thin_k = tensor<1x2x100000x64xbf16>
// CHECK-LABEL: @three(
// SM90: q_tile = 192, {{.*}}packed_heads = 3>
func.func @three(%q: !thin_q, %k: !thin_k) -> !thin_q {
  %o = sfa.attention %q, %k, %k schedule <softmax = online> : !thin_q, !thin_k, !thin_k -> !thin_q
  return %o : !thin_q
}
// With fewer a tile of the fewest rows for each head ends sooner.
!short_k = tensor<1x2x1000x64xbf16>
// CHECK-LABEL: @apart(
// SM90: q_tile = 64, {{.*}}splits = 3>
func.func @apart(%q: !thin_q, %k: !short_k) -> !thin_q {
  %o = sfa.attention %q, %k, %k schedule <softmax = online> : !thin_q, !short_k, !short_k -> !thin_q
  return %o : !thin_q
}
// Of sequences the mean counts: one query each of 16, or 17 of one.
// CHECK-LABEL: @sequences(
// CHECK: q_tile = 64, {{.*}}packed_heads = 8>
// CPU-LABEL: @sequences(
// CPU: q_tile = 8
func.func @sequences(%q: !q16, %k: !k, %s: tensor<17xi32>) -> !q16 {
  %o = sfa.attention %q, %k, %k sequences(%s, %s : tensor<17xi32>, tensor<17xi32>) : !q16, !k, !k -> !q16
  return %o : !q16
}
// SM90-LABEL: @one_sequence(
// SM90: packed_heads = 4>
func.func @one_sequence(%q: !q17, %k: !k, %s: tensor<2xi32>) -> !q17 {
  %o = sfa.attention %q, %k, %k sequences(%s, %s : tensor<2xi32>, tensor<2xi32>) schedule <softmax = online> : !q17, !k, !k -> !q17
  return %o : !q17
}
