// RUN: sfa-opt %s -split-input-file -verify-diagnostics

func.func @f(%q: !sfa_tile.tile<64x128xf32>, %k: !sfa_tile.tile<32x128xf32>) {
  // expected-error @+1 {{'sfa_tile.dot' op the number of keys is 32 but the number of columns of the scores is 33; they have to be equal}}
  %0 = sfa_tile.dot %q, %k : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<32x128xf32> -> !sfa_tile.tile<64x33xf32>
  return
}

// -----

func.func @f(%q: !sfa_tile.tile<64x128xf32>, %k: !sfa_tile.tile<32x128xf32>) {
  // expected-error @+1 {{the number of queries is 64 but the number of rows of the scores is 63; they have to be equal}}
  %0 = sfa_tile.dot %q, %k : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<32x128xf32> -> !sfa_tile.tile<63x32xf32>
  return
}

// -----

func.func @f(%q: !sfa_tile.tile<64x128xf32>, %k: !sfa_tile.tile<32x64xf32>) {
  // expected-error @+1 {{the number of features of the query is 128 but that of the key is 64; they have to be equal}}
  %0 = sfa_tile.dot %q, %k : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<32x64xf32> -> !sfa_tile.tile<64x32xf32>
  return
}

// -----

func.func @f(%q: !sfa_tile.tile<64x128xf32>, %k: !sfa_tile.tile<32x128xf32>) {
  // expected-error @+1 {{forms 'f32' scores, given is '!sfa_tile.tile<64x32xf16>'}}
  %0 = sfa_tile.dot %q, %k : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<32x128xf32> -> !sfa_tile.tile<64x32xf16>
  return
}

// -----

func.func @f(%q: !sfa_tile.tile<64x128xf32>, %k: !sfa_tile.tile<32x128xf32>) {
  // expected-error @+1 {{operand #0 must be a tile of codes: k pairs (value, feature) a row, but got '!sfa_tile.tile<64x128xf32>'}}
  %0 = sfa_tile.gather_dot %q, %k : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<32x128xf32> -> !sfa_tile.tile<64x32xf32>
  return
}

// -----

func.func @f(%q: !sfa_tile.codes<64x128xf32, k = 8>, %k: !sfa_tile.tile<32x64xf32>) {
  // expected-error @+1 {{'sfa_tile.gather_dot' op the number of features of the query is 128 but that of the key is 64}}
  %0 = sfa_tile.gather_dot %q, %k : !sfa_tile.codes<64x128xf32, k = 8>, !sfa_tile.tile<32x64xf32> -> !sfa_tile.tile<64x32xf32>
  return
}

// -----

func.func @f(%q: !sfa_tile.codes<64x128xf32, k = 8>, %k: !sfa_tile.postings<32x64xf32, k = 8>) {
  // expected-error @+1 {{'sfa_tile.scatter_dot' op the number of features of the query is 128 but that of the key is 64}}
  %0 = sfa_tile.scatter_dot %q, %k : !sfa_tile.codes<64x128xf32, k = 8>, !sfa_tile.postings<32x64xf32, k = 8> -> !sfa_tile.tile<64x32xf32>
  return
}

// -----

func.func @f(%q: !sfa_tile.two_four<64x128xf32, k = 8>, %k: !sfa_tile.tile<32x128xf32>) {
  // expected-error @+1 {{'sfa_tile.two_four_dot' op the number of queries is 64 but the number of rows of the scores is 32}}
  %0 = sfa_tile.two_four_dot %q, %k : !sfa_tile.two_four<64x128xf32, k = 8>, !sfa_tile.tile<32x128xf32> -> !sfa_tile.tile<32x32xf32>
  return
}

// -----

func.func @f(%q: !sfa_tile.two_four<64x128xf32, k = 8>, %s: !sfa_tile.surplus<64x64xf32, k = 8>, %k: !sfa_tile.tile<32x128xf32>) {
  // expected-error @+1 {{'sfa_tile.two_four_dot' op the number of features of the query is 64 but that of the key is 128}}
  %0 = sfa_tile.two_four_dot %q, %k surplus(%s : !sfa_tile.surplus<64x64xf32, k = 8>) : !sfa_tile.two_four<64x128xf32, k = 8>, !sfa_tile.tile<32x128xf32> -> !sfa_tile.tile<64x32xf32>
  return
}

// -----

func.func @f(%q: !sfa_tile.tile<64x128xi8>, %k: !sfa_tile.tile<32x128xbf16>) {
  // expected-error @+1 {{multiplies integers by integers or numbers by numbers, given are '!sfa_tile.tile<64x128xi8>' and '!sfa_tile.tile<32x128xbf16>'}}
  %0 = sfa_tile.dot %q, %k : !sfa_tile.tile<64x128xi8>, !sfa_tile.tile<32x128xbf16> -> !sfa_tile.tile<64x32xf32>
  return
}

// -----

func.func @f(%q: !sfa_tile.tile<64x128xi8>, %k: !sfa_tile.tile<32x128xi8>) {
  // expected-error @+1 {{forms 'i32' scores, given is '!sfa_tile.tile<64x32xf32>'}}
  %0 = sfa_tile.dot %q, %k : !sfa_tile.tile<64x128xi8>, !sfa_tile.tile<32x128xi8> -> !sfa_tile.tile<64x32xf32>
  return
}

// -----

func.func @f(%q: !sfa_tile.tile<64x128xf32>, %k: !sfa_tile.tile<32x128xf32>) {
  // expected-error @+1 {{forms 'f32' scores, given is '!sfa_tile.tile<64x32xf32, scaled>'}}
  %0 = sfa_tile.dot %q, %k : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<32x128xf32> -> !sfa_tile.tile<64x32xf32, scaled>
  return
}

// -----

func.func @f(%p: !sfa_tile.tile<64x32xf32>, %r: !sfa_tile.tile<64xf32>, %c: !sfa_tile.tile<32xf32>) {
  // expected-error @+1 {{takes products of integers, i32, given is '!sfa_tile.tile<64x32xf32>'}}
  %0 = sfa_tile.dequantize %p rows %r columns %c : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<32xf32> -> !sfa_tile.tile<64x32xf32, scaled>
  return
}

// -----

func.func @f(%p: !sfa_tile.tile<64x32xi32>, %r: !sfa_tile.tile<64xf32>, %c: !sfa_tile.tile<32xf32>) {
  // expected-error @+1 {{gives a tile with factors of the shape of the product, given are '!sfa_tile.tile<64x32xf32>' and '!sfa_tile.tile<64x32xi32>'}}
  %0 = sfa_tile.dequantize %p rows %r columns %c : !sfa_tile.tile<64x32xi32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<32xf32> -> !sfa_tile.tile<64x32xf32>
  return
}

// -----

func.func @f(%p: !sfa_tile.tile<64x32xi32>, %r: !sfa_tile.tile<32xf32>, %c: !sfa_tile.tile<32xf32>) {
  // expected-error @+1 {{the number of rows of the product is 64 but that of the scales of rows is 32; they have to be equal}}
  %0 = sfa_tile.dequantize %p rows %r columns %c : !sfa_tile.tile<64x32xi32>, !sfa_tile.tile<32xf32>, !sfa_tile.tile<32xf32> -> !sfa_tile.tile<64x32xf32, scaled>
  return
}

// -----

func.func @f(%p: !sfa_tile.tile<64x32xi32>, %r: !sfa_tile.tile<64xf32>, %c: !sfa_tile.tile<64xf32>) {
  // expected-error @+1 {{the number of columns of the product is 32 but that of the scales of columns is 64; they have to be equal}}
  %0 = sfa_tile.dequantize %p rows %r columns %c : !sfa_tile.tile<64x32xi32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32> -> !sfa_tile.tile<64x32xf32, scaled>
  return
}
