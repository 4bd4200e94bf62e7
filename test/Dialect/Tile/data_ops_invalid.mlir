// RUN: sfa-opt %s -split-input-file -verify-diagnostics

func.func @f(%m: memref<1x8x?xf32>, %i: index) {
  // expected-error @+1 {{'sfa_tile.load' op needs a memory [batch, heads, tokens, columns], given is rank 3}}
  %0 = sfa_tile.load %m[%i, %i, %i] : memref<1x8x?xf32> -> !sfa_tile.tile<64x128xf32>
  return
}

// -----

func.func @f(%m: memref<8x128xf32>, %i: index) {
  // expected-error @+1 {{operand #0 must be 3D/4D memref of 32-bit float or 16-bit float or bfloat16 type or 8-bit signless integer or 16-bit signless integer values, but got 'memref<8x128xf32>'}}
  %0 = sfa_tile.load %m[%i, %i, %i] : memref<8x128xf32> -> !sfa_tile.tile<64x128xf32>
  return
}

// -----

func.func @f(%m: memref<1x8x?x64xf32>, %i: index) {
  // expected-error @+1 {{the last dimension of the memory is 64 but the number of columns of the tile is 128; they have to be equal}}
  %0 = sfa_tile.load %m[%i, %i, %i] : memref<1x8x?x64xf32> -> !sfa_tile.tile<64x128xf32>
  return
}

// -----

func.func @f(%m: memref<1x8x?x?xf32>, %i: index) {
  // expected-error @+1 {{needs a memory with a static number of columns, given is 'memref<1x8x?x?xf32>'}}
  %0 = sfa_tile.load %m[%i, %i, %i] : memref<1x8x?x?xf32> -> !sfa_tile.tile<64x128xf32>
  return
}

// -----

func.func @f(%m: memref<1x8x?x128xf16>, %i: index) {
  // expected-error @+1 {{needs a memory of 'f32', given is 'f16'}}
  %0 = sfa_tile.load %m[%i, %i, %i] : memref<1x8x?x128xf16> -> !sfa_tile.tile<64x128xf32>
  return
}

// -----

func.func @f(%m: memref<1x8x?x128xf32>, %i: index) {
  // expected-error @+1 {{result #0 must be tile of rows and columns, but got '!sfa_tile.tile<64xf32>'}}
  %0 = sfa_tile.load %m[%i, %i, %i] : memref<1x8x?x128xf32> -> !sfa_tile.tile<64xf32>
  return
}

// -----

func.func @f(%m: memref<1x8x?x128xf32>, %i: index) {
  // expected-error @+1 {{result #0 must be tile of rows and columns, but got 'f32'}}
  %0 = sfa_tile.load %m[%i, %i, %i] : memref<1x8x?x128xf32> -> f32
  return
}

// -----

func.func @f(%v: memref<1x8x?x7xf32>, %n: memref<1x8x?x8xi8>, %i: index) {
  // expected-error @+1 {{the last dimension of the memory is 7 but the number of columns of the tile is 8; they have to be equal}}
  %0 = sfa_tile.load_codes %v, %n[%i, %i, %i] : memref<1x8x?x7xf32>, memref<1x8x?x8xi8> -> !sfa_tile.codes<64x128xf32, k = 8>
  return
}

// -----

func.func @f(%v: memref<1x8x?x8xf32>, %n: memref<1x8x?x8xi16>, %i: index) {
  // expected-error @+1 {{needs a memory of 'i8', given is 'i16'}}
  %0 = sfa_tile.load_codes %v, %n[%i, %i, %i] : memref<1x8x?x8xf32>, memref<1x8x?x8xi16> -> !sfa_tile.codes<64x128xf32, k = 8>
  return
}

// -----

func.func @f(%v: memref<1x8x?x8xf16>, %n: memref<1x8x?x8xi8>, %i: index) {
  // expected-error @+1 {{needs a memory of 'f32', given is 'f16'}}
  %0 = sfa_tile.load_codes %v, %n[%i, %i, %i] : memref<1x8x?x8xf16>, memref<1x8x?x8xi8> -> !sfa_tile.codes<64x128xf32, k = 8>
  return
}

// -----

func.func @f(%t: !sfa_tile.tile<64x128xf32>, %m: memref<1x8x?x64xf32>, %i: index) {
  // expected-error @+1 {{the last dimension of the memory is 64 but the number of columns of the tile is 128; they have to be equal}}
  sfa_tile.store %t, %m[%i, %i, %i] : !sfa_tile.tile<64x128xf32>, memref<1x8x?x64xf32>
  return
}

// -----

func.func @f(%t: !sfa_tile.tile<64x128xf32>, %m: memref<1x8x?x128xi8>, %i: index) {
  // expected-error @+1 {{needs a memory of f32, f16 or bf16, given is 'i8'}}
  sfa_tile.store %t, %m[%i, %i, %i] : !sfa_tile.tile<64x128xf32>, memref<1x8x?x128xi8>
  return
}

// -----

func.func @f(%t: !sfa_tile.tile<64xf32>, %m: memref<1x8x?x1xf32>, %i: index) {
  // expected-error @+1 {{of a row vector needs a memory [batch, heads, tokens], given is rank 4}}
  sfa_tile.store %t, %m[%i, %i, %i] : !sfa_tile.tile<64xf32>, memref<1x8x?x1xf32>
  return
}

// -----

func.func @f(%c: !sfa_tile.codes<64x128xf32, k = 8>, %v: memref<1x8x?x8xf32>, %n: memref<1x8x?xi8>, %i: index) {
  // expected-error @+1 {{needs a memory [batch, heads, tokens, columns], given is rank 3}}
  sfa_tile.store_codes %c, %v, %n[%i, %i, %i] : !sfa_tile.codes<64x128xf32, k = 8>, memref<1x8x?x8xf32>, memref<1x8x?xi8>
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{expected attribute value}}
  %0 = sfa_tile.fill one : !sfa_tile.tile<64xf32>
  return
}

// -----

func.func @f(%t: !sfa_tile.tile<64x128xf32>) {
  // expected-error @+1 {{the number of rows of the codes is 32 but that of the tile is 64; they have to be equal}}
  %0 = sfa_tile.topk %t : !sfa_tile.tile<64x128xf32> -> !sfa_tile.codes<32x128xf32, k = 8>
  return
}

// -----

func.func @f(%t: !sfa_tile.tile<64x128xf32>) {
  // expected-error @+1 {{has codes of 'f16' but a tile of 'f32'}}
  %0 = sfa_tile.topk %t : !sfa_tile.tile<64x128xf32> -> !sfa_tile.codes<64x128xf16, k = 8>
  return
}

// -----

func.func @f(%t: !sfa_tile.tile<64x128xf32>) {
  // expected-error @+1 {{the number of features of the codes is 64 but the number of columns of the tile is 128; they have to be equal}}
  %0 = sfa_tile.topk %t : !sfa_tile.tile<64x128xf32> -> !sfa_tile.codes<64x64xf32, k = 8>
  return
}

// -----

func.func @f(%t: !sfa_tile.tile<64x128xf32>) {
  // expected-error @+1 {{keeps 65 of 128 features; two_four needs a multiple of 4 features and at most half of them}}
  %0 = sfa_tile.topk %t two_four : !sfa_tile.tile<64x128xf32> -> !sfa_tile.codes<64x128xf32, k = 65>
  return
}

// -----

func.func @f(%t: !sfa_tile.tile<64x66xf32>) {
  // expected-error @+1 {{keeps 8 of 66 features; two_four needs a multiple of 4 features and at most half of them}}
  %0 = sfa_tile.topk %t two_four : !sfa_tile.tile<64x66xf32> -> !sfa_tile.codes<64x66xf32, k = 8>
  return
}

// -----

func.func @f(%c: !sfa_tile.codes<64x128xf32, k = 8>) {
  // expected-error @+1 {{the number of features of the codes is 128 but the number of columns of the tile is 64; they have to be equal}}
  %0 = sfa_tile.expand %c : !sfa_tile.codes<64x128xf32, k = 8> -> !sfa_tile.tile<64x64xf32>
  return
}

// -----

func.func @f(%c: !sfa_tile.codes<64x128xf32, k = 8>) {
  // expected-error @+1 {{operation defines 2 results but was provided 1 to bind}}
  %0 = sfa_tile.expand %c : !sfa_tile.codes<64x128xf32, k = 8> -> !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64x128xf32>
  return
}

// -----

func.func @f(%c: !sfa_tile.codes<64x128xf32, k = 8>) {
  // expected-error @+1 {{k is 8 but that of the result is 4; they have to be equal}}
  %0 = sfa_tile.postings %c : !sfa_tile.codes<64x128xf32, k = 8> -> !sfa_tile.postings<64x128xf32, k = 4>
  return
}

// -----

func.func @f(%c: !sfa_tile.codes<64x128xf32, k = 8>) {
  // expected-error @+1 {{changes the element type from 'f32' to 'f16'}}
  %0 = sfa_tile.postings %c : !sfa_tile.codes<64x128xf32, k = 8> -> !sfa_tile.postings<64x128xf16, k = 8>
  return
}

// -----

func.func @f(%c: !sfa_tile.codes<64x126xf32, k = 8>) {
  // expected-error @+1 {{needs a number of features that is a multiple of 4, given are 126}}
  %0, %1 = sfa_tile.split %c : !sfa_tile.codes<64x126xf32, k = 8> -> !sfa_tile.two_four<64x126xf32, k = 8>, !sfa_tile.surplus<64x126xf32, k = 8>
  return
}

// -----

func.func @f(%c: !sfa_tile.codes<64x128xf32, k = 8>) {
  // expected-error @+1 {{the number of rows is 64 but that of the result is 32; they have to be equal}}
  %0, %1 = sfa_tile.split %c : !sfa_tile.codes<64x128xf32, k = 8> -> !sfa_tile.two_four<64x128xf32, k = 8>, !sfa_tile.surplus<32x128xf32, k = 8>
  return
}

// -----

func.func @f(%m: memref<1x8x?x128xf32>, %i: index) {
  // expected-error @+1 {{has rows of 0 heads, allowed is 1 or more}}
  %0 = sfa_tile.load %m[%i, %i, %i] heads 0 : memref<1x8x?x128xf32> -> !sfa_tile.tile<64x128xf32>
  return
}

// -----

func.func @f(%m: memref<1x8x?x128xf32>, %i: index) {
  // expected-error @+1 {{has a tile of 2 rows of 3 heads; the rows have to be a multiple of the heads, or the next power of two at least}}
  %0 = sfa_tile.load %m[%i, %i, %i] heads 3 : memref<1x8x?x128xf32> -> !sfa_tile.tile<2x128xf32>
  return
}

// -----

func.func @f(%v: memref<1x2x?x8xf32>, %n: memref<1x2x?x8xi8>, %i: index) {
  // expected-error @+1 {{has rows of 4 heads, but a memory of 2}}
  %0 = sfa_tile.load_codes %v, %n[%i, %i, %i] heads 4 : memref<1x2x?x8xf32>, memref<1x2x?x8xi8> -> !sfa_tile.codes<64x128xf32, k = 8>
  return
}

// -----

func.func @f(%t: !sfa_tile.tile<7xf32>, %m: memref<1x8x?xf32>, %i: index) {
  // expected-error @+1 {{has a tile of 7 rows of 5 heads; the rows have to be a multiple of the heads, or the next power of two at least}}
  sfa_tile.store %t, %m[%i, %i, %i] heads 5 : !sfa_tile.tile<7xf32>, memref<1x8x?xf32>
  return
}
