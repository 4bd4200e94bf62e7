// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_80" -split-input-file -verify-diagnostics
// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_90a" -split-input-file -verify-diagnostics

!q = tensor<1x5x?x64xf16>
!k = tensor<1x1x?x64xf16>
func.func @f(%q: !q, %k: !k) -> !q {
  // expected-error @+1 {{has 192 rows of 5 heads, 24 of each; on a GPU a warp owns 16 rows, those of one head or of several whole heads: choose another q_tile or another packed_heads}}
  %o = sfa.attention %q, %k, %k schedule <q_tile = 192, consumers = 3, packed_heads = 5> : !q, !k, !k -> !q
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
