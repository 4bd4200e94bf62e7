// RUN: sfa-opt %s -split-input-file -verify-diagnostics

func.func @f(%s: !sfa_tile.tile<64x32xf32>, %i: index) {
  // expected-error @+1 {{unknown mask 'round', allowed are none, causal, window}}
  %0 = sfa_tile.mask %s[%i, %i] of [%i, %i] by <round> : !sfa_tile.tile<64x32xf32>
  return
}

// -----

func.func @f(%s: !sfa_tile.tile<64xf32>, %i: index) {
  // expected-error @+1 {{operand #0 must be tile of rows and columns, but got '!sfa_tile.tile<64xf32>'}}
  %0 = sfa_tile.mask %s[%i, %i] of [%i, %i] by <causal> : !sfa_tile.tile<64xf32>
  return
}

// -----

func.func @f(%s: !sfa_tile.tile<64x32xf32>, %m: !sfa_tile.tile<32xf32>) {
  // expected-error @+1 {{'sfa_tile.row_max' op the number of rows of the tile is 64 but that of the row vector is 32; they have to be equal}}
  %0 = sfa_tile.row_max %s, %m : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<32xf32>
  return
}

// -----

func.func @f(%s: !sfa_tile.tile<64x32xf32>, %m: !sfa_tile.tile<64x32xf32>) {
  // expected-error @+1 {{operand #1 must be tile of one number a row, but got '!sfa_tile.tile<64x32xf32>'}}
  %0 = sfa_tile.row_max %s, %m : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64x32xf32>
  return
}

// -----

func.func @f(%s: !sfa_tile.tile<64x32xf32>, %m: !sfa_tile.tile<32xf32>) {
  %scale0 = arith.constant 1.0 : f32
  // expected-error @+1 {{'sfa_tile.exp2' op the number of rows of the tile is 64 but that of the row vector is 32}}
  %0 = sfa_tile.exp2 %s, %m scale %scale0 : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<32xf32>
  return
}

// -----

func.func @f(%s: !sfa_tile.tile<64x32xf32>) {
  // expected-error @+1 {{'sfa_tile.row_sum' op the number of rows of the tile is 64 but that of the row vector is 32}}
  %0 = sfa_tile.row_sum %s : !sfa_tile.tile<64x32xf32> -> !sfa_tile.tile<32xf32, partial>
  return
}

// -----

func.func @f(%s: !sfa_tile.tile<64x32xf32>) {
  // expected-error @+1 {{result #0 must be tile of one number a row, in parts, but got '!sfa_tile.tile<64xf32>'}}
  %0 = sfa_tile.row_sum %s : !sfa_tile.tile<64x32xf32> -> !sfa_tile.tile<64xf32>
  return
}

// -----

func.func @f(%s: !sfa_tile.tile<64x32xf32>, %f: !sfa_tile.tile<64xf32, partial>) {
  // expected-error @+1 {{operand #1 must be tile of one number a row, but got '!sfa_tile.tile<64xf32, partial>'}}
  %0 = sfa_tile.normalize %s, %f : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32, partial>
  return
}

// -----

func.func @f(%s: !sfa_tile.tile<64x32xf32>, %f: !sfa_tile.tile<64xi1>) {
  %scale1 = arith.constant 1.0 : f32
  // expected-error @+1 {{operand #1 must be tile of one number a row, but got '!sfa_tile.tile<64xi1>'}}
  %0 = sfa_tile.exp2 %s, %f scale %scale1 : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xi1>
  return
}

// -----

func.func @f(%s: !sfa_tile.tile<64xi1>) {
  // expected-error @+1 {{custom op 'sfa_tile.scale' 'tile' must be tile of numbers, not in parts, but got '!sfa_tile.tile<64xi1>'}}
  %0 = sfa_tile.scale %s by 2.0 : !sfa_tile.tile<64xi1>
  return
}

// -----

func.func @f(%s: !sfa_tile.tile<64x32xf32>, %m: !sfa_tile.tile<64xf32>) {
  %scale2 = arith.constant 1.0 : f32
  // expected-error @+1 {{'sfa_tile.exp2' op has difference_first and raise = 8}}
  %0 = sfa_tile.exp2 %s, %m scale %scale2 raise 8.0 difference_first : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>
  return
}

// -----

func.func @f(%w: !sfa_tile.tile<64x8xf32>) {
  // expected-error @+1 {{takes an accumulator with 8 columns of row sums behind others, given are 8 columns}}
  %0 = sfa_tile.row_sums_of %w : !sfa_tile.tile<64x8xf32> -> !sfa_tile.tile<64xf32>
  return
}

// -----

func.func @f(%w: !sfa_tile.tile<64x136xf32>) {
  // expected-error @+1 {{the number of rows of the tile is 64 but that of the row vector is 32; they have to be equal}}
  %0 = sfa_tile.row_sums_of %w : !sfa_tile.tile<64x136xf32> -> !sfa_tile.tile<32xf32>
  return
}

// -----

func.func @f(%w: !sfa_tile.tile<64x136xf32>) {
  // expected-error @+1 {{the number of columns without those of the sums is 128 but that of the accumulator is 136; they have to be equal}}
  %0, %1 = sfa_tile.split_sums %w : !sfa_tile.tile<64x136xf32> -> !sfa_tile.tile<64x136xf32>, !sfa_tile.tile<64xf32>
  return
}

// -----

func.func @f(%w: !sfa_tile.tile<64x136xf32>) {
  // expected-error @+1 {{the number of rows of the tile is 64 but that of the accumulator is 32; they have to be equal}}
  %0, %1 = sfa_tile.split_sums %w : !sfa_tile.tile<64x136xf32> -> !sfa_tile.tile<32x128xf32>, !sfa_tile.tile<64xf32>
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{is in no stage 'accumulate' of sfa_tile.key_loop; only there tiles are due}}
  %0 = sfa_tile.is_due
  return
}

// -----

func.func @f(%s: !sfa_tile.tile<64x32xf32>, %f: !sfa_tile.tile<32xf32>) {
  // expected-error @+1 {{'sfa_tile.scale_rows' op the number of rows of the tile is 64 but that of the row vector is 32}}
  %0 = sfa_tile.scale_rows %s, %f : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<32xf32>
  return
}

// -----

func.func @f(%a: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %v: !sfa_tile.tile<31x128xf32>) {
  // expected-error @+1 {{'sfa_tile.accumulate' op the number of columns of the probabilities is 32 but the number of rows of the value is 31}}
  %0 = sfa_tile.accumulate %a, %p, %v : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<31x128xf32>
  return
}

// -----

func.func @f(%a: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<32x32xf32>, %v: !sfa_tile.tile<32x128xf32>) {
  // expected-error @+1 {{the number of rows of the accumulator is 64 but that of the probabilities is 32}}
  %0 = sfa_tile.accumulate %a, %p, %v : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<32x32xf32>, !sfa_tile.tile<32x128xf32>
  return
}

// -----

func.func @f(%a: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x32xf32>, %v: !sfa_tile.tile<32x64xf32>) {
  // expected-error @+1 {{the number of columns of the accumulator is 128 but that of the value is 64; they have to be equal, or the accumulator has 8 more for row sums}}
  %0 = sfa_tile.accumulate %a, %p, %v : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<32x64xf32>
  return
}

// -----

func.func @f(%a: !sfa_tile.tile<64x128xf32>, %l: !sfa_tile.tile<32xf32>) {
  // expected-error @+1 {{'sfa_tile.normalize' op the number of rows of the tile is 64 but that of the row vector is 32}}
  %0 = sfa_tile.normalize %a, %l : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<32xf32>
  return
}

// -----

func.func @f(%s: !sfa_tile.tile<64x32xf32>) {
  // expected-error @+1 {{expected attribute value}}
  %0 = sfa_tile.scale %s by fast : !sfa_tile.tile<64x32xf32>
  return
}

// -----

func.func @f(%a: !sfa_tile.tile<64xf32>) {
  // expected-error @+1 {{'sfa_tile.lse' op expected 3 operands, but found 2}}
  %0 = "sfa_tile.lse"(%a, %a) : (!sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>) -> !sfa_tile.tile<64xf32>
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{'sfa_tile.yield' op expects parent op to be one of 'sfa_tile.key_loop, sfa_tile.map_rows, sfa_tile.retry'}}
  sfa_tile.yield
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{'sfa_tile.return' op expects parent op 'sfa_tile.kernel'}}
  sfa_tile.return
  return
}

// -----

func.func @f(%o: memref<1x8x?x64xf32>, %s: memref<1x8x?xf32>, %i: index) {
  // expected-error @+1 {{combines 0 splits, allowed is 1 to 256}}
  %0, %1 = sfa_tile.combine %o, %s[%i, %i, %i] of 0 splits : memref<1x8x?x64xf32>, memref<1x8x?xf32> -> !sfa_tile.tile<4x64xf32>, !sfa_tile.tile<4xf32>
  return
}

// -----

func.func @f(%o: memref<1x8x?x64xf32>, %s: memref<1x8x?xf32>, %i: index) {
  // expected-error @+1 {{has memories of 8 heads, which is not a multiple of the 3 splits}}
  %0, %1 = sfa_tile.combine %o, %s[%i, %i, %i] of 3 splits : memref<1x8x?x64xf32>, memref<1x8x?xf32> -> !sfa_tile.tile<4x64xf32>, !sfa_tile.tile<4xf32>
  return
}

// -----

func.func @f(%o: memref<1x8x?x64xf16>, %s: memref<1x8x?xf32>, %i: index) {
  // expected-error @+1 {{needs a memory of 'f32', given is 'f16'}}
  %0, %1 = sfa_tile.combine %o, %s[%i, %i, %i] of 8 splits : memref<1x8x?x64xf16>, memref<1x8x?xf32> -> !sfa_tile.tile<4x64xf32>, !sfa_tile.tile<4xf32>
  return
}

// -----

func.func @f(%o: memref<1x8x?x32xf32>, %s: memref<1x8x?xf32>, %i: index) {
  // expected-error @+1 {{the last dimension of the memory is 32 but the number of columns of the tile is 64; they have to be equal}}
  %0, %1 = sfa_tile.combine %o, %s[%i, %i, %i] of 8 splits : memref<1x8x?x32xf32>, memref<1x8x?xf32> -> !sfa_tile.tile<4x64xf32>, !sfa_tile.tile<4xf32>
  return
}

// -----

func.func @f(%o: memref<1x8x?x64xf32>, %s: memref<1x8x?x64xf32>, %i: index) {
  // expected-error @+1 {{needs sums [batch, heads, tokens] of f32, given is 'memref<1x8x?x64xf32>'}}
  %0, %1 = sfa_tile.combine %o, %s[%i, %i, %i] of 8 splits : memref<1x8x?x64xf32>, memref<1x8x?x64xf32> -> !sfa_tile.tile<4x64xf32>, !sfa_tile.tile<4xf32>
  return
}

// -----

func.func @f(%o: memref<1x8x?x64xf32>, %s: memref<1x8x?xf32>, %i: index) {
  // expected-error @+1 {{the number of rows of the tile is 4 but that of the row vector is 8; they have to be equal}}
  %0, %1 = sfa_tile.combine %o, %s[%i, %i, %i] of 8 splits : memref<1x8x?x64xf32>, memref<1x8x?xf32> -> !sfa_tile.tile<4x64xf32>, !sfa_tile.tile<8xf32>
  return
}

// -----

func.func @f(%o: memref<1x8x?x64xf32>, %s: memref<1x8x?xf32>, %i: index) {
  // expected-error @+1 {{gives tiles of f32, given are '!sfa_tile.tile<4x64xf32>' and '!sfa_tile.tile<4xf16>'}}
  %0, %1 = sfa_tile.combine %o, %s[%i, %i, %i] of 8 splits : memref<1x8x?x64xf32>, memref<1x8x?xf32> -> !sfa_tile.tile<4x64xf32>, !sfa_tile.tile<4xf16>
  return
}

// -----

func.func @f(%o: memref<1x8x?x64xf32>, %s: memref<1x8x?xf32>, %i: index) {
  // expected-error @+1 {{has memories of 8 heads, which is not a multiple of the 4 splits of 4 heads}}
  %0, %1 = sfa_tile.combine %o, %s[%i, %i, %i] of 4 splits heads 4 : memref<1x8x?x64xf32>, memref<1x8x?xf32> -> !sfa_tile.tile<4x64xf32>, !sfa_tile.tile<4xf32>
  return
}

// -----

func.func @f(%o: memref<1x8x?x64xf32>, %s: memref<1x8x?xf32>, %i: index) {
  // expected-error @+1 {{has splits of 0 heads, allowed is 1 or more}}
  %0, %1 = sfa_tile.combine %o, %s[%i, %i, %i] of 4 splits heads 0 : memref<1x8x?x64xf32>, memref<1x8x?xf32> -> !sfa_tile.tile<4x64xf32>, !sfa_tile.tile<4xf32>
  return
}

// -----

func.func @f(%s: !sfa_tile.tile<4x32xf32>, %i: index) {
  // expected-error @+1 {{has a tile of 4 rows of 6 heads; the rows have to be a multiple of the heads, or the next power of two at least}}
  %0 = sfa_tile.mask %s[%i, %i] of [%i, %i] by <causal> heads 6 : !sfa_tile.tile<4x32xf32>
  return
}
