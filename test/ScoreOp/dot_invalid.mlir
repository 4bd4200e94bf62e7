// RUN: %sfa_bin/bin/sfa-toy-opt %s -split-input-file -verify-diagnostics

func.func @columns(%q: !sfa_tile.tile<64x64xf16>, %k: !sfa_tile.tile<32x128xf16>) {
  // expected-error @+1 {{takes two matrices with as many columns, and gives an f32 for each pair of their rows}}
  %s = toy.dot %q, %k : !sfa_tile.tile<64x64xf16>, !sfa_tile.tile<32x128xf16> -> !sfa_tile.tile<64x32xf32>
  return
}

// -----

func.func @scores(%q: !sfa_tile.tile<64x64xf16>, %k: !sfa_tile.tile<32x64xf16>) {
  // expected-error @+1 {{takes two matrices with as many columns, and gives an f32 for each pair of their rows}}
  %s = toy.dot %q, %k : !sfa_tile.tile<64x64xf16>, !sfa_tile.tile<32x64xf16> -> !sfa_tile.tile<32x64xf32>
  return
}
