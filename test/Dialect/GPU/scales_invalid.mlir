// RUN: sfa-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{columns have one number each, or one for a multiple of 8 that divides them, given is one for 12 of 96}}
func.func private @multiple(!sfa_gpu.columns<96xf32, together 12>)

// -----

// expected-error @+1 {{columns have one number each, or one for a multiple of 8 that divides them, given is one for 64 of 96}}
func.func private @divisor(!sfa_gpu.columns<96xf32, together 64>)

// -----

// expected-error @+1 {{columns have one number each, or one for a multiple of 8 that divides them, given is one for -8 of 96}}
func.func private @negative(!sfa_gpu.columns<96xf32, together -8>)

// -----

// expected-error @+1 {{expected 'together'}}
func.func private @keyword(!sfa_gpu.columns<96xf32, three>)

// -----

// expected-error @+1 {{an operand in registers has multiples of 16 rows and of 32 columns, given are 128 and 80}}
func.func private @operand(!sfa_gpu.operand<128x80xi8>)

// -----

func.func @per_token(%m: memref<1x8x?x1xf32>, %i: index) {
  // expected-error @+1 {{operand #0 must be}}
  %c = sfa_gpu.load_scales %m[%i, %i, %i] shared_by token : memref<1x8x?x1xf32> -> !sfa_gpu.columns<64xf32>
  return
}

// -----

func.func @element(%m: memref<1x8x?xbf16>, %i: index) {
  // expected-error @+1 {{operand #0 must be}}
  sfa_gpu.prefetch_scales %m[%i, %i, %i] columns 64 : memref<1x8x?xbf16>
  return
}

// -----

func.func @granularity(%m: memref<1x8x?xf32>, %i: index) {
  // expected-error @+2 {{expected}}
  // expected-error @+1 {{failed to parse}}
  %c = sfa_gpu.load_scales %m[%i, %i, %i] shared_by feature : memref<1x8x?xf32> -> !sfa_gpu.columns<64xf32>
  return
}

// -----

func.func @shared_by_token(%m: memref<1x8x?xf32>, %i: index) {
  // expected-error @+1 {{'sfa_gpu.load_scales' op gives '!sfa_gpu.columns<64xf32, together 64>' of scales shared by token; only those of a head, and those of tiles of at most 128 keys, may have fewer numbers than columns}}
  %c = sfa_gpu.load_scales %m[%i, %i, %i] shared_by token : memref<1x8x?xf32> -> !sfa_gpu.columns<64xf32, together 64>
  return
}

// -----

// Such a tile may have keys of three scales.
func.func @three(%m: memref<1x8x?xf32>, %i: index) {
  // expected-error @+1 {{gives '!sfa_gpu.columns<192xf32, two>' of scales shared by tile; only those of a head}}
  %c = sfa_gpu.load_scales %m[%i, %i, %i] shared_by tile : memref<1x8x?xf32> -> !sfa_gpu.columns<192xf32, two>
  return
}

// -----

func.func @across(%m: memref<1x8x?xf32>, %i: index) {
  // expected-error @+1 {{gives '!sfa_gpu.columns<96xf32, together 48>' of scales shared by tile}}
  %c = sfa_gpu.load_scales %m[%i, %i, %i] shared_by tile : memref<1x8x?xf32> -> !sfa_gpu.columns<96xf32, together 48>
  return
}

// -----

// Columns of one scale leave integers, one factor for each of them.
func.func @together(%p: !sfa_tile.tile<128x64xi32>, %r: !sfa_tile.tile<128xf32>, %k: !sfa_gpu.columns<64xf32, together 64>) {
  // expected-error @+1 {{'sfa_gpu.dequantize' op makes '!sfa_tile.tile<128x64xi32, scaled>' of a product of i32, given are '!sfa_tile.tile<128x64xi32>' and '!sfa_tile.tile<128x64xf32, scaled>'}}
  %s = sfa_gpu.dequantize %p rows %r keys %k : !sfa_tile.tile<128x64xi32>, !sfa_tile.tile<128xf32>,
    !sfa_gpu.columns<64xf32, together 64> -> !sfa_tile.tile<128x64xf32, scaled>
  return
}

// -----

func.func @parts(%p: !sfa_tile.tile<128x64xi32>, %r: !sfa_tile.tile<128xf32>, %k: !sfa_gpu.columns<64xf32, together 32>) {
  // expected-error @+1 {{makes '!sfa_tile.tile<128x64xi32, scaled 32>' of a product of i32, given are '!sfa_tile.tile<128x64xi32>' and '!sfa_tile.tile<128x64xi32, scaled>'}}
  %s = sfa_gpu.dequantize %p rows %r keys %k : !sfa_tile.tile<128x64xi32>, !sfa_tile.tile<128xf32>,
    !sfa_gpu.columns<64xf32, together 32> -> !sfa_tile.tile<128x64xi32, scaled>
  return
}

// -----

func.func @two(%p: !sfa_tile.tile<128x64xi32>, %r: !sfa_tile.tile<128xf32>, %k: !sfa_gpu.columns<64xf32, two>) {
  // expected-error @+1 {{makes '!sfa_tile.tile<128x64xf32, scaled>' of a product of i32, given are '!sfa_tile.tile<128x64xi32>' and '!sfa_tile.tile<128x64xi32, scaled>'}}
  %s = sfa_gpu.dequantize %p rows %r keys %k : !sfa_tile.tile<128x64xi32>, !sfa_tile.tile<128xf32>,
    !sfa_gpu.columns<64xf32, two> -> !sfa_tile.tile<128x64xi32, scaled>
  return
}

// -----

func.func @product(%p: !sfa_tile.tile<128x64xf32>, %r: !sfa_tile.tile<128xf32>, %k: !sfa_gpu.columns<64xf32>) {
  // expected-error @+1 {{makes '!sfa_tile.tile<128x64xf32, scaled>' of a product of i32, given are '!sfa_tile.tile<128x64xf32>' and '!sfa_tile.tile<128x64xf32, scaled>'}}
  %s = sfa_gpu.dequantize %p rows %r keys %k : !sfa_tile.tile<128x64xf32>, !sfa_tile.tile<128xf32>,
    !sfa_gpu.columns<64xf32> -> !sfa_tile.tile<128x64xf32, scaled>
  return
}

// -----

func.func @rows(%p: !sfa_tile.tile<128x64xi32>, %r: !sfa_tile.tile<64xf32>, %k: !sfa_gpu.columns<64xf32>) {
  // expected-error @+1 {{takes scales of the 128 rows and 64 columns of the product, given are '!sfa_tile.tile<64xf32>' and '!sfa_gpu.columns<64xf32>'}}
  %s = sfa_gpu.dequantize %p rows %r keys %k : !sfa_tile.tile<128x64xi32>, !sfa_tile.tile<64xf32>,
    !sfa_gpu.columns<64xf32> -> !sfa_tile.tile<128x64xf32, scaled>
  return
}

// -----

func.func @columns(%p: !sfa_tile.tile<128x64xi32>, %r: !sfa_tile.tile<128xf32>, %k: !sfa_gpu.columns<128xf32>) {
  // expected-error @+1 {{takes scales of the 128 rows and 64 columns of the product, given are '!sfa_tile.tile<128xf32>' and '!sfa_gpu.columns<128xf32>'}}
  %s = sfa_gpu.dequantize %p rows %r keys %k : !sfa_tile.tile<128x64xi32>, !sfa_tile.tile<128xf32>,
    !sfa_gpu.columns<128xf32> -> !sfa_tile.tile<128x64xf32, scaled>
  return
}

// -----

func.func @sums(%q: !sfa_gpu.operand<128x64xi8>, %k: !sfa_gpu.shared<64x64xi8, swizzled>) {
  // expected-error @+1 {{'sfa_gpu.issue_dot' op gives '!sfa_tile.tile<128x64xf32>'; the product of '!sfa_gpu.operand<128x64xi8>' with the transpose of '!sfa_gpu.shared<64x64xi8, swizzled>' is '!sfa_tile.tile<128x64xi32>'}}
  %s = sfa_gpu.issue_dot %q, %k : !sfa_gpu.operand<128x64xi8>, !sfa_gpu.shared<64x64xi8, swizzled> -> !sfa_gpu.pending<128x64xf32>
  return
}

// -----

func.func @mixed(%q: !sfa_gpu.operand<128x64xi8>, %k: !sfa_gpu.shared<64x64xbf16, swizzled>) {
  // expected-error @+1 {{'sfa_gpu.dot' op multiplies '!sfa_gpu.operand<128x64xi8>' with the transpose of '!sfa_gpu.shared<64x64xbf16, swizzled>'; they need the same elements and number of columns}}
  %s = sfa_gpu.dot %q, %k : !sfa_gpu.operand<128x64xi8>, !sfa_gpu.shared<64x64xbf16, swizzled> -> !sfa_tile.tile<128x64xi32>
  return
}

// -----

// Factors are registers, too.
func.func @reuse_scaled(%q: !sfa_gpu.operand<128x64xi8>, %k: !sfa_gpu.shared<64x64xi8, swizzled>, %s: !sfa_tile.tile<128x64xi32, scaled>) {
  // expected-error @+1 {{reuses the registers of '!sfa_tile.tile<128x64xi32, scaled>' for '!sfa_tile.tile<128x64xi32>'; the two have to have as many elements of 32 bits}}
  %next = sfa_gpu.issue_dot %q, %k reuse(%s : !sfa_tile.tile<128x64xi32, scaled>)
    : !sfa_gpu.operand<128x64xi8>, !sfa_gpu.shared<64x64xi8, swizzled> -> !sfa_gpu.pending<128x64xi32>
  return
}

// -----

func.func @reuse_shape(%q: !sfa_gpu.operand<128x64xi8>, %k: !sfa_gpu.shared<64x64xi8, swizzled>, %s: !sfa_tile.tile<128x32xi32>) {
  // expected-error @+1 {{reuses the registers of '!sfa_tile.tile<128x32xi32>' for '!sfa_tile.tile<128x64xi32>'; the two have to have as many elements of 32 bits}}
  %next = sfa_gpu.issue_dot %q, %k reuse(%s : !sfa_tile.tile<128x32xi32>)
    : !sfa_gpu.operand<128x64xi8>, !sfa_gpu.shared<64x64xi8, swizzled> -> !sfa_gpu.pending<128x64xi32>
  return
}
