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
  // expected-error @+1 {{needs a tile of numbers and a memory of f32, f16 or bf16, or both of i8, given are '!sfa_tile.tile<64x128xf32>' and a memory of 'i8'}}
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

func.func @f(%m: memref<1x8x?x2576xi8>, %i: index) {
  // expected-error @+1 {{the last dimension of the memory is 2576 but the number of bytes of the posting lists is 2592; they have to be equal}}
  %0 = sfa_tile.load_postings %m[%i, %i, %i] : memref<1x8x?x2576xi8> -> !sfa_tile.postings<64x128xbf16, k = 8>
  return
}

// -----

func.func @f(%m: memref<1x8x?x2592xi16>, %i: index) {
  // expected-error @+1 {{needs a memory of 'i8', given is 'i16'}}
  %0 = sfa_tile.load_postings %m[%i, %i, %i] : memref<1x8x?x2592xi16> -> !sfa_tile.postings<64x128xbf16, k = 8>
  return
}

// -----

func.func @f(%lists: !sfa_tile.postings<64x128xf32, k = 8>, %m: memref<1x8x?x2592xi8>, %i: index) {
  // expected-error @+1 {{is on '!sfa_tile.postings<64x128xf32, k = 8>'; in memory posting lists have 1 to 256 features and tiles of a multiple of 16 tokens, at most 1024, whose halves have at most 65535 bytes, of f16 or bf16}}
  sfa_tile.store_postings %lists, %m[%i, %i, %i] : !sfa_tile.postings<64x128xf32, k = 8>, memref<1x8x?x2592xi8>
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

// -----

func.func @f(%v: memref<1x8x?x8xi8>, %n: memref<1x8x?x8xi8>, %s: memref<1x8x?xf32>, %i: index) {
  // expected-error @+1 {{gives codes of f32 with scales, given is '!sfa_tile.codes<64x128xbf16, k = 8>'}}
  %0 = sfa_tile.load_codes %v, %n[%i, %i, %i] scales %s : memref<1x8x?xf32> shared_by tile : memref<1x8x?x8xi8>, memref<1x8x?x8xi8> -> !sfa_tile.codes<64x128xbf16, k = 8>
  return
}

// -----

func.func @f(%v: memref<1x8x?x8xbf16>, %n: memref<1x8x?x8xi8>, %s: memref<1x8x?xf32>, %i: index) {
  // expected-error @+1 {{needs a memory of 'i8', given is 'bf16'}}
  %0 = sfa_tile.load_codes %v, %n[%i, %i, %i] scales %s : memref<1x8x?xf32> shared_by tile : memref<1x8x?x8xbf16>, memref<1x8x?x8xi8> -> !sfa_tile.codes<64x128xf32, k = 8>
  return
}

// -----

func.func @f(%v: memref<1x8x?x8xi8>, %n: memref<1x8x?x8xi8>, %s: memref<1x8x?xf16>, %i: index) {
  // expected-error @+1 {{must be 3D memref of 32-bit float values, but got 'memref<1x8x?xf16>'}}
  %0 = sfa_tile.load_codes %v, %n[%i, %i, %i] scales %s : memref<1x8x?xf16> shared_by tile : memref<1x8x?x8xi8>, memref<1x8x?x8xi8> -> !sfa_tile.codes<64x128xf32, k = 8>
  return
}

// -----

func.func @f(%v: memref<1x8x?x8xi8>, %s: memref<1x8x?xf32>, %i: index) {
  // expected-error @+1 {{has scales that rows share by 'shared_by', or neither}}
  %0 = "sfa_tile.load_codes"(%v, %v, %i, %i, %i, %s) <{operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 0, 0, 1>}> : (memref<1x8x?x8xi8>, memref<1x8x?x8xi8>, index, index, index, memref<1x8x?xf32>) -> !sfa_tile.codes<64x128xf32, k = 8>
  return
}

// -----

func.func @f(%v: memref<1x8x?x8xi8>, %i: index) {
  // expected-error @+1 {{has scales that rows share by 'shared_by', or neither}}
  %0 = "sfa_tile.load_codes"(%v, %v, %i, %i, %i) <{operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 0, 0, 0>, sharedBy = #sfa<scales tile>}> : (memref<1x8x?x8xi8>, memref<1x8x?x8xi8>, index, index, index) -> !sfa_tile.codes<64x128xi8, k = 8>
  return
}

// -----

func.func @f(%v: memref<1x8x?x8xbf16>, %i: index) {
  // expected-error @+1 {{needs a memory of 'i8', given is 'bf16'}}
  %0 = sfa_tile.load_codes %v, %v[%i, %i, %i] : memref<1x8x?x8xbf16>, memref<1x8x?x8xbf16> -> !sfa_tile.codes<64x128xi8, k = 8>
  return
}

// -----

func.func @f(%s: memref<1x8x?xf32>, %i: index) {
  // expected-error @+1 {{gives scales of f32, given is '!sfa_tile.tile<64xf16>'}}
  %0 = sfa_tile.load_scales %s[%i, %i, %i] shared_by tile : memref<1x8x?xf32> -> !sfa_tile.tile<64xf16>
  return
}

// -----

func.func @f(%s: memref<1x8x?xf32>, %i: index) {
  // expected-error @+1 {{has rows of 16 heads, but a memory of 8}}
  %0 = sfa_tile.load_scales %s[%i, %i, %i] shared_by tile heads 16 : memref<1x8x?xf32> -> !sfa_tile.tile<64xf32>
  return
}

// -----

func.func @f(%t: !sfa_tile.tile<64x32xi32>, %m: memref<1x8x?x32xi8>, %i: index) {
  // expected-error @+1 {{needs a tile of numbers and a memory of f32, f16 or bf16, or both of i8, given are '!sfa_tile.tile<64x32xi32>' and a memory of 'i8'}}
  sfa_tile.store %t, %m[%i, %i, %i] : !sfa_tile.tile<64x32xi32>, memref<1x8x?x32xi8>
  return
}

// -----

func.func @f(%t: !sfa_tile.tile<64x32xi8>, %m: memref<1x8x?x32xf32>, %i: index) {
  // expected-error @+1 {{needs a tile of numbers and a memory of f32, f16 or bf16, or both of i8, given are '!sfa_tile.tile<64x32xi8>' and a memory of 'f32'}}
  sfa_tile.store %t, %m[%i, %i, %i] : !sfa_tile.tile<64x32xi8>, memref<1x8x?x32xf32>
  return
}

// -----

func.func @f(%t: !sfa_tile.tile<64x32xi8>, %m: memref<1x8x?x16xi8>, %i: index) {
  // expected-error @+1 {{the last dimension of the memory is 16 but the number of columns of the tile is 32; they have to be equal}}
  sfa_tile.store %t, %m[%i, %i, %i] : !sfa_tile.tile<64x32xi8>, memref<1x8x?x16xi8>
  return
}

// -----

func.func @f(%v: memref<1x8x?x8xi8>, %to: memref<1x8x?x8xi8>, %s: memref<1x8x?xf32>, %i: index) {
  // expected-error @+1 {{takes values [batch, heads, tokens, k] of f32, f16 or bf16, given is 'memref<1x8x?x8xi8>'}}
  sfa_tile.quantize %v[%i, %i, %i] to %to, %s shared_by tile : memref<1x8x?x8xi8>, memref<1x8x?x8xi8>, memref<1x8x?xf32>
  return
}

// -----

func.func @f(%v: memref<1x8x?xf32>, %to: memref<1x8x?x8xi8>, %s: memref<1x8x?xf32>, %i: index) {
  // expected-error @+1 {{takes values [batch, heads, tokens, k] of f32, f16 or bf16, given is 'memref<1x8x?xf32>'}}
  sfa_tile.quantize %v[%i, %i, %i] to %to, %s shared_by tile : memref<1x8x?xf32>, memref<1x8x?x8xi8>, memref<1x8x?xf32>
  return
}

// -----

func.func @f(%v: memref<1x8x?x?xf32>, %to: memref<1x8x?x8xi8>, %s: memref<1x8x?xf32>, %i: index) {
  // expected-error @+1 {{needs a static k, the last dimension of the values, given is 'memref<1x8x?x?xf32>'}}
  sfa_tile.quantize %v[%i, %i, %i] to %to, %s shared_by tile : memref<1x8x?x?xf32>, memref<1x8x?x8xi8>, memref<1x8x?xf32>
  return
}

// -----

func.func @f(%v: memref<1x8x?x8xbf16>, %to: memref<1x8x?x7xi8>, %s: memref<1x8x?xf32>, %i: index) {
  // expected-error @+1 {{the last dimension of the memory is 7 but the number of columns of the tile is 8; they have to be equal}}
  sfa_tile.quantize %v[%i, %i, %i] to %to, %s shared_by tile : memref<1x8x?x8xbf16>, memref<1x8x?x7xi8>, memref<1x8x?xf32>
  return
}

// -----

func.func @f(%v: memref<1x8x?x8xbf16>, %to: memref<1x8x?x8xbf16>, %s: memref<1x8x?xf32>, %i: index) {
  // expected-error @+1 {{needs a memory of 'i8', given is 'bf16'}}
  sfa_tile.quantize %v[%i, %i, %i] to %to, %s shared_by tile : memref<1x8x?x8xbf16>, memref<1x8x?x8xbf16>, memref<1x8x?xf32>
  return
}

// -----

func.func @f(%c: !sfa_tile.codes<64x128xi8, k = 8>) {
  // expected-error @+1 {{rounds values of f32, f16 or bf16 to i8, given are '!sfa_tile.codes<64x128xi8, k = 8>' and '!sfa_tile.codes<64x128xi8, k = 8>'}}
  %0, %1 = sfa_tile.quantize_codes %c shared_by token : !sfa_tile.codes<64x128xi8, k = 8> -> !sfa_tile.codes<64x128xi8, k = 8>, !sfa_tile.tile<64xf32>
  return
}

// -----

func.func @f(%c: !sfa_tile.codes<64x128xbf16, k = 8>) {
  // expected-error @+1 {{rounds values of f32, f16 or bf16 to i8, given are '!sfa_tile.codes<64x128xbf16, k = 8>' and '!sfa_tile.codes<64x128xf32, k = 8>'}}
  %0, %1 = sfa_tile.quantize_codes %c shared_by token : !sfa_tile.codes<64x128xbf16, k = 8> -> !sfa_tile.codes<64x128xf32, k = 8>, !sfa_tile.tile<64xf32>
  return
}

// -----

func.func @f(%c: !sfa_tile.codes<64x128xbf16, k = 8>) {
  // expected-error @+1 {{the number of rows is 64 but that of the result is 32; they have to be equal}}
  %0, %1 = sfa_tile.quantize_codes %c shared_by token : !sfa_tile.codes<64x128xbf16, k = 8> -> !sfa_tile.codes<32x128xi8, k = 8>, !sfa_tile.tile<64xf32>
  return
}

// -----

func.func @f(%c: !sfa_tile.codes<64x128xbf16, k = 8>) {
  // expected-error @+1 {{the number of rows is 64 but that of the scales is 32; they have to be equal}}
  %0, %1 = sfa_tile.quantize_codes %c shared_by token : !sfa_tile.codes<64x128xbf16, k = 8> -> !sfa_tile.codes<64x128xi8, k = 8>, !sfa_tile.tile<32xf32>
  return
}

// -----

func.func @f(%c: !sfa_tile.codes<64x128xbf16, k = 8>) {
  // expected-error @+1 {{k is 8 but that of the result is 7; they have to be equal}}
  %0, %1 = sfa_tile.quantize_codes %c shared_by token : !sfa_tile.codes<64x128xbf16, k = 8> -> !sfa_tile.codes<64x128xi8, k = 7>, !sfa_tile.tile<64xf32>
  return
}

// -----

func.func @f(%c: !sfa_tile.codes<64x128xbf16, k = 8>) {
  // expected-error @+1 {{has codes of 128 features but integers of 112; they need as many or more}}
  %0, %1 = sfa_tile.quantize_codes %c shared_by token : !sfa_tile.codes<64x128xbf16, k = 8> -> !sfa_tile.codes<64x112xi8, k = 8>, !sfa_tile.tile<64xf32>
  return
}

// -----

func.func @f(%c: !sfa_tile.codes<64x128xbf16, k = 8>) {
  // expected-error @+1 {{has scales of f32, given is '!sfa_tile.tile<64xf16>'}}
  %0, %1 = sfa_tile.quantize_codes %c shared_by token : !sfa_tile.codes<64x128xbf16, k = 8> -> !sfa_tile.codes<64x128xi8, k = 8>, !sfa_tile.tile<64xf16>
  return
}

// -----

func.func @f(%c: !sfa_tile.codes<64x128xbf16, k = 8>) {
  // expected-error @+1 {{is shared_by tile with 64 rows; those that share a scale are 128}}
  %0, %1 = sfa_tile.quantize_codes %c shared_by tile : !sfa_tile.codes<64x128xbf16, k = 8> -> !sfa_tile.codes<64x128xi8, k = 8>, !sfa_tile.tile<64xf32>
  return
}

// -----

func.func @f(%s: !sfa_tile.tile<64xf32>, %m: memref<1x8x?xf32>, %i: index) {
  // expected-error @+1 {{has scales of rows that share them by token or tile, given is head, whose rows are more than a tile; use sfa_tile.quantize}}
  sfa_tile.store_scales %s, %m[%i, %i, %i] shared_by head : !sfa_tile.tile<64xf32>, memref<1x8x?xf32>
  return
}
