// RUN: not sfa-opt %s -sfa-to-cpu 2>&1 | FileCheck %s

// CHECK: error: {{.*}}is on feature-major tiles in memory, which only GPUs have; leave out sfa.feature_major: the CPU transposes tiles of rows

!codes = tensor<1x8x?x64xbf16, #sfa.codes<k = 4>>
!dense = tensor<1x8x?x64xbf16>
!tiles = tensor<1x8x?x64xbf16, #sfa.feature_major<tile = 128>>

func.func @keys(%q: !codes, %k: !dense, %v: !dense) -> !dense {
  %a = sfa.feature_major %k : !dense -> !tiles
  %o = sfa.attention %q, %a, %v schedule <strategy = gather, k_tile = 128> : !codes, !tiles, !dense -> !dense
  return %o : !dense
}
