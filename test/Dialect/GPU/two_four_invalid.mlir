// RUN: sfa-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{unknown place 'memory' of a 2:4 operand, allowed are registers, shared}}
func.func private @place(!sfa_gpu.two_four<128x64xbf16, memory>)

// -----

// expected-error @+1 {{a 2:4 operand has rows and columns, given are 1 dimensions}}
func.func private @shape(!sfa_gpu.two_four<128xbf16, shared>)

// -----

// expected-error @+1 {{a 2:4 operand holds f16 or bf16, given is 'f32'}}
func.func private @element(!sfa_gpu.two_four<128x64xf32, shared>)

// -----

// expected-error @+1 {{a 2:4 operand has a multiple of 16 rows and of 8 columns, given are 120 and 64}}
func.func private @rows(!sfa_gpu.two_four<120x64xbf16, shared>)

// -----

func.func @expand(%values: memref<1x8x?x8xf16>, %features: memref<1x8x?x8xi8>, %tile: !sfa_gpu.shared<128x64xbf16, swizzled>, %i: index) {
  // expected-error @+1 {{'sfa_gpu.expand_rows' op expands codes of 'memref<1x8x?x8xf16>' and 'memref<1x8x?x8xi8>' to '!sfa_gpu.shared<128x64xbf16, swizzled>'; both memories have k columns, of 16-bit elements as a swizzled tile has and of i8}}
  sfa_gpu.expand_rows %values, %features[%i, %i, %i] to %tile : memref<1x8x?x8xf16>, memref<1x8x?x8xi8>, !sfa_gpu.shared<128x64xbf16, swizzled>
  return
}

// -----

func.func @columns(%values: memref<1x8x?x8xf16>, %features: memref<1x8x?x8xi8>, %tile: !sfa_gpu.shared<16x512xf16, swizzled>, %i: index) {
  // expected-error @+1 {{'sfa_gpu.expand_rows' op expands codes to '!sfa_gpu.shared<16x512xf16, swizzled>'; allowed are 256 columns at most}}
  sfa_gpu.expand_rows %values, %features[%i, %i, %i] to %tile : memref<1x8x?x8xf16>, memref<1x8x?x8xi8>, !sfa_gpu.shared<16x512xf16, swizzled>
  return
}

// -----

func.func @heads(%values: memref<1x8x?x8xf16>, %features: memref<1x8x?x8xi8>, %tile: !sfa_gpu.shared<16x64xf16, swizzled>, %i: index) {
  // expected-error @+1 {{'sfa_gpu.expand_rows' op expands rows of 32 heads to '!sfa_gpu.shared<16x64xf16, swizzled>', which has fewer rows}}
  sfa_gpu.expand_rows %values, %features[%i, %i, %i] heads 32 to %tile : memref<1x8x?x8xf16>, memref<1x8x?x8xi8>, !sfa_gpu.shared<16x64xf16, swizzled>
  return
}

// -----

func.func @split(%tile: !sfa_gpu.shared<128x64xbf16, swizzled>) {
  // expected-error @+1 {{'sfa_gpu.split_two_four' op splits '!sfa_gpu.shared<128x64xbf16, swizzled>' into '!sfa_gpu.two_four<128x64xbf16, shared>' and '!sfa_gpu.two_four<128x64xbf16, registers>'; a swizzled tile has operands of its shape, the surplus in shared memory}}
  %part, %surplus = sfa_gpu.split_two_four %tile : !sfa_gpu.shared<128x64xbf16, swizzled>
    -> !sfa_gpu.two_four<128x64xbf16, shared>, !sfa_gpu.two_four<128x64xbf16, registers>
  return
}

// -----

func.func @surplus(%q: !sfa_gpu.operand<128x64xbf16>, %k: !sfa_gpu.shared<64x64xbf16, swizzled>, %more: !sfa_gpu.two_four<128x64xbf16, shared>) {
  // expected-error @+1 {{'sfa_gpu.dot' op adds a surplus of '!sfa_gpu.two_four<128x64xbf16, shared>' to '!sfa_gpu.operand<128x64xbf16>'; it belongs to a 2:4 operand of the same shape, and is in shared memory}}
  %s = sfa_gpu.dot %q, %k surplus(%more : !sfa_gpu.two_four<128x64xbf16, shared>)
    : !sfa_gpu.operand<128x64xbf16>, !sfa_gpu.shared<64x64xbf16, swizzled> -> !sfa_tile.tile<128x64xf32>
  return
}
