// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s
// RUN: sfa-opt %s -resolve-ranked-shaped-type-result-dims -canonicalize | FileCheck %s --check-prefix=SHAPES

!codes = tensor<1x8x?x64xbf16, #sfa.codes<k = 4>>
!dense = tensor<1x8x?x64xbf16>
!lists = tensor<1x8x?x64xbf16, #sfa.postings<k = 4, tile = 128>>

// CHECK-LABEL: @keys(
func.func @keys(%q: !codes, %k: !codes, %x: !dense) -> !dense {
  // CHECK: %[[K:.*]] = sfa.postings %{{.*}} : tensor<1x8x?x64xbf16, #sfa.codes<k = 4>> -> tensor<1x8x?x64xbf16, #sfa.postings<k = 4, tile = 128>>
  %a = sfa.postings %k : !codes -> !lists
  // CHECK: sfa.attention %{{.*}}, %[[K]], %{{.*}} schedule <strategy = scatter, k_tile = 128>
  %o = sfa.attention %q, %a, %x schedule <strategy = scatter, k_tile = 128> : !codes, !lists, !dense -> !dense
  return %o : !dense
}

// SHAPES-LABEL: @tokens(
// SHAPES-SAME: %[[X:.*]]: tensor<1x8x?x64xbf16, #sfa.codes<k = 4>>)
// SHAPES: %[[TOKENS:.*]] = tensor.dim %[[X]]
// SHAPES: return %[[TOKENS]]
func.func @tokens(%x: !codes) -> index {
  %c2 = arith.constant 2 : index
  %a = sfa.postings %x : !codes -> !lists
  %tokens = tensor.dim %a, %c2 : !lists
  return %tokens : index
}
