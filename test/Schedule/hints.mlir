// RUN: sfa-opt %s -split-input-file -sfa-assign-schedule="chip=sm_90a shapes=1x32x1x128,1x4x65536x128,1x4x65536x128" | FileCheck %s --check-prefixes=CHECK,FEW
// RUN: sfa-opt %s -split-input-file -sfa-assign-schedule="chip=sm_90a shapes=1x32x4096x128,1x4x65536x128,1x4x65536x128" | FileCheck %s --check-prefixes=CHECK,MANY
// RUN: sfa-opt %s -split-input-file -sfa-assign-schedule="shapes=1x32x1x128,1x4x65536x128,1x4x65536x128" | FileCheck %s --check-prefix=CPU

!q = tensor<?x32x?x128xbf16>
!k = tensor<?x4x?x128xbf16>

// Sizes that types leave open are those of the arguments. 33 splits would fill the multiprocessors; a program serves other
// sizes, too, so it is a power of two.
// FEW-LABEL: @dynamic(
// FEW: q_tile = 64, {{.*}}consumers = 1, {{.*}}grid = tiles, splits = 32, packed_heads = 8>
// MANY-LABEL: @dynamic(
// MANY: q_tile = 128, {{.*}}grid = persistent>
// CPU-LABEL: @dynamic(
// CPU: q_tile = 8,
func.func @dynamic(%q: !q, %k: !k, %v: !k) -> !q {
  %o = sfa.attention %q, %k, %v : !q, !k, !k -> !q
  return %o : !q
}

// -----

!q = tensor<?x32x?x128xbf16>
!k = tensor<?x4x?x128xbf16>
!q_codes = tensor<?x32x?x128xbf16, #sfa.codes<k = 8>>

// Through operations that keep the tokens.
// FEW-LABEL: @sparsified(
// FEW: splits = 32, packed_heads = 8>
func.func @sparsified(%q: !q, %k: !k, %v: !k) -> !q {
  %c = sfa.sparsify %q : !q -> !q_codes
  %o = sfa.attention %c, %k, %v : !q_codes, !k, !k -> !q
  return %o : !q
}

// -----

!q = tensor<?x32x?x128xbf16>
!k = tensor<?x4x?x128xbf16>

// What is given stays.
// FEW-LABEL: @given(
// FEW: q_tile = 64, {{.*}}splits = 3, packed_heads = 2>
func.func @given(%q: !q, %k: !k, %v: !k) -> !q {
  %o = sfa.attention %q, %k, %v schedule <splits = 3, packed_heads = 2> : !q, !k, !k -> !q
  return %o : !q
}

// -----

// Types that give all sizes leave no room for hints.
!one_q = tensor<1x32x1x128xbf16>
!one_k = tensor<1x4x65536x128xbf16>
// CHECK-LABEL: @static(
// CHECK: splits = 33, packed_heads = 8>
func.func @static(%q: !one_q, %k: !one_k, %v: !one_k) -> !one_q {
  %o = sfa.attention %q, %k, %v : !one_q, !one_k, !one_k -> !one_q
  return %o : !one_q
}
