// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s
// RUN: sfa-opt %s -resolve-ranked-shaped-type-result-dims -canonicalize | FileCheck %s --check-prefix=SHAPES

!codes = tensor<1x8x?x64xbf16, #sfa.codes<k = 4>>
!dense = tensor<1x8x?x64xbf16>
!tiles = tensor<1x8x?x64xbf16, #sfa.feature_major<tile = 128>>

// CHECK-LABEL: @keys(
func.func @keys(%q: !codes, %k: !codes, %x: !dense) -> (!dense, !dense) {
  // CHECK: %[[K:.*]] = sfa.feature_major %{{.*}} : tensor<1x8x?x64xbf16, #sfa.codes<k = 4>> -> tensor<1x8x?x64xbf16, #sfa.feature_major<tile = 128>>
  %a = sfa.feature_major %k : !codes -> !tiles
  // CHECK: %[[X:.*]] = sfa.feature_major %{{.*}} : tensor<1x8x?x64xbf16> -> tensor<1x8x?x64xbf16, #sfa.feature_major<tile = 128>>
  %b = sfa.feature_major %x : !dense -> !tiles
  // CHECK: sfa.attention %{{.*}}, %[[K]], %{{.*}} schedule <strategy = gather, k_tile = 128>
  %o = sfa.attention %q, %a, %x schedule <strategy = gather, k_tile = 128> : !codes, !tiles, !dense -> !dense
  // CHECK: sfa.attention %{{.*}}, %[[X]], %{{.*}} schedule <strategy = gather, k_tile = 128>
  %p = sfa.attention %q, %b, %x schedule <strategy = gather, k_tile = 128> : !codes, !tiles, !dense -> !dense
  return %o, %p : !dense, !dense
}

// SHAPES-LABEL: @tokens(
// SHAPES-SAME: %[[X:.*]]: tensor<1x8x?x64xbf16>)
// SHAPES: %[[TOKENS:.*]] = tensor.dim %[[X]]
// SHAPES: return %[[TOKENS]]
func.func @tokens(%x: !dense) -> index {
  %c2 = arith.constant 2 : index
  %a = sfa.feature_major %x : !dense -> !tiles
  %tokens = tensor.dim %a, %c2 : !tiles
  return %tokens : index
}
