// RUN: not sfa-opt %s -sfa-to-cpu 2>&1 | FileCheck %s

// CHECK: error: {{.*}}is on posting lists in memory, which only GPUs have; leave out sfa.postings: the CPU forms the lists of a tile when it loads its codes

!codes = tensor<1x8x?x64xbf16, #sfa.codes<k = 4>>
!dense = tensor<1x8x?x64xbf16>
!lists = tensor<1x8x?x64xbf16, #sfa.postings<k = 4, tile = 128>>

func.func @keys(%q: !codes, %k: !codes, %v: !dense) -> !dense {
  %a = sfa.postings %k : !codes -> !lists
  %o = sfa.attention %q, %a, %v schedule <strategy = scatter, k_tile = 128> : !codes, !lists, !dense -> !dense
  return %o : !dense
}
