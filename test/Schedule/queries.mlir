// RUN: sfa-opt %s -sfa-assign-schedule="chip=sm_90a" | FileCheck %s

!d64 = tensor<1x8x?x64xbf16>
!d128 = tensor<1x8x?x128xbf16>
!d256 = tensor<1x8x?x256xbf16>

// Queries are in registers where a thread has room for them beside accumulator, scores and probabilities.

// CHECK-LABEL: @room(
// CHECK: queries = registers
func.func @room(%q: !d128) -> !d128 {
  %o = sfa.attention %q, %q, %q : !d128, !d128, !d128 -> !d128
  return %o : !d128
}
// Three consumers leave each thread 160 registers.
// CHECK-LABEL: @three_consumers(
// CHECK: queries = shared
func.func @three_consumers(%q: !d64) -> !d64 {
  %o = sfa.attention %q, %q, %q : !d64, !d64, !d64 -> !d64
  return %o : !d64
}
// CHECK-LABEL: @wide(
// CHECK: queries = shared
func.func @wide(%q: !d256) -> !d256 {
  %o = sfa.attention %q, %q, %q : !d256, !d256, !d256 -> !d256
  return %o : !d256
}
// CHECK-LABEL: @long_key_tile(
// CHECK: queries = shared
func.func @long_key_tile(%q: !d128) -> !d128 {
  %o = sfa.attention %q, %q, %q schedule <k_tile = 144> : !d128, !d128, !d128 -> !d128
  return %o : !d128
}
// What is given stays.
// CHECK-LABEL: @given(
// CHECK: queries = shared
func.func @given(%q: !d128) -> !d128 {
  %o = sfa.attention %q, %q, %q schedule <queries = shared> : !d128, !d128, !d128 -> !d128
  return %o : !d128
}
