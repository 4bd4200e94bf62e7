// RUN: sfa-opt %s -sfa-assign-schedule="chip=sm_90a shapes=1x16x4x8,1x16x4x8,1x16x65536x128,1x16x65536x128,5,5" | FileCheck %s
// RUN: sfa-opt %s -sfa-assign-schedule="chip=sm_90a shapes=1x16x516x8,1x16x516x8,1x16x65536x128,1x16x65536x128,5,5" | FileCheck %s --check-prefix=MORE

// A tensor of codes is two arguments; s sequences have s + 1 offsets, and their means count: one query and 16384 keys.
!q = tensor<1x16x?x128xbf16, #sfa.codes<k = 8>>
!k = tensor<1x16x?x128xbf16>
// CHECK: q_tile = 64, {{.*}}grid = tiles, splits = 32>
// MORE: q_tile = 128, {{.*}}grid = tiles>
func.func @sequences(%q: !q, %k: !k, %v: !k, %a: tensor<?xi32>, %b: tensor<?xi32>) -> !k {
  %o = sfa.attention %q, %k, %v sequences(%a, %b : tensor<?xi32>, tensor<?xi32>) : !q, !k, !k -> !k
  return %o : !k
}
