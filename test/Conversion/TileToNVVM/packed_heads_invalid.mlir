// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_80" -split-input-file -verify-diagnostics
// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_90a" -split-input-file -verify-diagnostics

!q = tensor<1x8x?x128xf16>
!k = tensor<1x1x?x128xf16>
func.func @f(%q: !q, %k: !k) -> !q {
  // expected-error @+1 {{has 64 rows of 8 heads; on a GPU a warp owns 16 rows of one head, so q_tile has to be a multiple of 16 packed_heads, or of as many times the next power of two: choose a larger q_tile or fewer packed_heads}}
  %o = sfa.attention %q, %k, %k schedule <q_tile = 64, packed_heads = 8> : !q, !k, !k -> !q
  return %o : !q
}

// -----

// Eight rows for each of five heads.
!q = tensor<1x5x?x128xf16>
!k = tensor<1x1x?x128xf16>
func.func @f(%q: !q, %k: !k) -> !q {
  // expected-error @+1 {{has 64 rows of 5 heads; on a GPU a warp owns 16 rows of one head}}
  %o = sfa.attention %q, %k, %k schedule <q_tile = 64, packed_heads = 5> : !q, !k, !k -> !q
  return %o : !q
}

// -----

func.func private @launch(%m: memref<1x8x?x128xf16, strided<[?, ?, ?, 1], offset: ?>>, %i: index) {
  return
}
sfa_tile.kernel @rows(%m: memref<1x8x?x128xf16, strided<[?, ?, ?, 1], offset: ?>>,
                      %o: memref<1x8x?x128xf16, strided<[?, ?, ?, 1], offset: ?>>) grid(%b, %h, %t) {
  // expected-error @+1 {{has rows of 4 heads; on a GPU only the tiles of queries and their results may}}
  %x = sfa_tile.load %m[%b, %h, %t] heads 4 : memref<1x8x?x128xf16, strided<[?, ?, ?, 1], offset: ?>> -> !sfa_tile.tile<64x128xf16>
  sfa_tile.store %x, %o[%b, %h, %t] : !sfa_tile.tile<64x128xf16>, memref<1x8x?x128xf16, strided<[?, ?, ?, 1], offset: ?>>
}
