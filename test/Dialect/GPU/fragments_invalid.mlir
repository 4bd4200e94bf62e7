// RUN: sfa-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{numbers of columns are f32 for a multiple of 8 columns, given are 60 of 'f32'}}
func.func private @columns(!sfa_gpu.columns<60xf32>)

// -----

// expected-error @+1 {{numbers of columns have one dimension, given are 2}}
func.func private @columns(!sfa_gpu.columns<8x64xf32>)

// -----

// expected-error @+1 {{a swizzled tile has rows of 16-bit elements and a multiple of 8 columns, or of 8-bit elements and a multiple of 16}}
func.func private @codes(!sfa_gpu.shared<128x72xi8, swizzled>)

// -----

func.func @load(%tile: !sfa_gpu.shared<64x128xf32, linear>) {
  // expected-error @+1 {{'sfa_gpu.load_shared' op loads '!sfa_tile.tile<16x64xf32>' of '!sfa_gpu.shared<64x128xf32, linear>'; a matrix gives rows of all its columns, a vector gives a row vector or numbers of columns}}
  %x = sfa_gpu.load_shared %tile : !sfa_gpu.shared<64x128xf32, linear> -> !sfa_tile.tile<16x64xf32>
  return
}

// -----

func.func @load_part(%tile: !sfa_gpu.shared<64xf32, linear>) {
  // expected-error @+1 {{'sfa_gpu.load_shared' op loads 32 of 64 elements or rows; say from which on, or load all of them}}
  %x = sfa_gpu.load_shared %tile : !sfa_gpu.shared<64xf32, linear> -> !sfa_gpu.columns<32xf32>
  return
}

// -----

func.func @load_more(%tile: !sfa_gpu.shared<64x128xf32, linear>) {
  // expected-error @+1 {{'sfa_gpu.load_shared' op loads 128 of 64 elements or rows; there are no more}}
  %x = sfa_gpu.load_shared %tile : !sfa_gpu.shared<64x128xf32, linear> -> !sfa_tile.tile<128x128xf32>
  return
}

// -----

func.func @load_type(%tile: !sfa_gpu.shared<64x128xbf16, swizzled>) {
  // expected-error @+1 {{'sfa_gpu.load_shared' op gives '!sfa_tile.tile<64x128xbf16>'; what is loaded becomes f32}}
  %x = sfa_gpu.load_shared %tile : !sfa_gpu.shared<64x128xbf16, swizzled> -> !sfa_tile.tile<64x128xbf16>
  return
}

// -----

func.func @store_rows(%x: !sfa_tile.tile<16x128xf32>, %tile: !sfa_gpu.shared<64x128xf32, linear>) {
  // expected-error @+1 {{'sfa_gpu.store_shared' op stores rows 12 to 20 of '!sfa_tile.tile<16x128xf32>', which has 16}}
  sfa_gpu.store_shared %x rows 8 from 12 to %tile : !sfa_tile.tile<16x128xf32>, !sfa_gpu.shared<64x128xf32, linear>
  return
}

// -----

func.func @store_vector(%x: !sfa_tile.tile<16xf32>, %tile: !sfa_gpu.shared<64x128xf32, linear>) {
  // expected-error @+1 {{'sfa_gpu.store_shared' op stores '!sfa_tile.tile<16xf32>' to '!sfa_gpu.shared<64x128xf32, linear>'; fragments go to matrices, row vectors to vectors}}
  sfa_gpu.store_shared %x to %tile : !sfa_tile.tile<16xf32>, !sfa_gpu.shared<64x128xf32, linear>
  return
}

// -----

func.func @store_transposed(%x: !sfa_tile.tile<128x64xf32>, %tile: !sfa_gpu.shared<128x64xbf16, swizzled>) {
  // expected-error @+1 {{'sfa_gpu.store_shared' op stores 128 rows of 64 columns to '!sfa_gpu.shared<128x64xbf16, swizzled>' transposed, which takes 64 rows of 128 columns}}
  sfa_gpu.store_shared %x to %tile transposed : !sfa_tile.tile<128x64xf32>, !sfa_gpu.shared<128x64xbf16, swizzled>
  return
}

// -----

func.func @elements(%x: !sfa_tile.tile<128x64xf32>, %l: !sfa_gpu.columns<128xf32>) {
  // expected-error @+1 {{'sfa_gpu.map_elements' op takes '!sfa_gpu.columns<128xf32>' for elements of '!sfa_tile.tile<128x64xf32>'; allowed are fragments of f32 of its size, row vectors of its rows and numbers of its columns}}
  %y = sfa_gpu.map_elements(%x, %l) : (!sfa_tile.tile<128x64xf32>, !sfa_gpu.columns<128xf32>) -> !sfa_tile.tile<128x64xf32> {
  ^bb0(%a: f32, %b: f32):
    sfa_gpu.yield %a : f32
  }
  return
}

// -----

func.func @region(%x: !sfa_tile.tile<128x64xf32>) {
  // expected-error @+1 {{'sfa_gpu.map_elements' op has 1 inputs and 1 results; its region takes an element of each input and yields an f32 for each result}}
  %y = sfa_gpu.map_elements(%x) : (!sfa_tile.tile<128x64xf32>) -> !sfa_tile.tile<128x64xf32> {
  ^bb0(%a: f32):
    sfa_gpu.yield %a, %a : f32, f32
  }
  return
}

// -----

func.func @scalars(%x: !sfa_tile.tile<128x64xf32>) {
  %y = sfa_gpu.map_elements(%x) : (!sfa_tile.tile<128x64xf32>) -> !sfa_tile.tile<128x64xf32> {
  ^bb0(%a: f32):
    // expected-error @+1 {{'math.sin' op is not supported in sfa_gpu.map_elements; allowed are arith, math.exp2, math.log2 and math.fma on f32, i32 and i1}}
    %b = math.sin %a : f32
    sfa_gpu.yield %b : f32
  }
  return
}

// -----

func.func @join(%x: !sfa_tile.tile<16x16xf32>) {
  // expected-error @+1 {{'sfa_gpu.join_columns' op joins parts of 32 columns to '!sfa_tile.tile<16x64xf32>'}}
  %s = sfa_gpu.join_columns %x, %x : !sfa_tile.tile<16x16xf32>, !sfa_tile.tile<16x16xf32> -> !sfa_tile.tile<16x64xf32>
  return
}

// -----

func.func @add(%x: !sfa_tile.tile<128x64xf32>, %memory: memref<1x8x?x64xbf16>, %i: index, %lane: i32) {
  // expected-error @+1 {{'sfa_gpu.reduce_add' op adds '!sfa_tile.tile<128x64xf32>' to 'memref<1x8x?x64xbf16>'; f32 is added to rows of f32 of as many columns}}
  sfa_gpu.reduce_add %x, %memory[%i, %i, %i] by %lane : !sfa_tile.tile<128x64xf32>, memref<1x8x?x64xbf16>
  return
}

// -----

func.func @dot(%a: !sfa_gpu.shared<64x32xf32, linear>) {
  // expected-error @+1 {{'sfa_gpu.dot' op multiplies '!sfa_gpu.shared<64x32xf32, linear>'; matrix units take f16, bf16 or i8}}
  %s = sfa_gpu.dot %a, %a : !sfa_gpu.shared<64x32xf32, linear>, !sfa_gpu.shared<64x32xf32, linear> -> !sfa_tile.tile<64x64xf32>
  return
}

// -----

func.func @accumulate(%acc: !sfa_tile.tile<64x128xf32>, %p: !sfa_tile.tile<64x64xf32>, %v: !sfa_gpu.shared<64x128xi8, swizzled>) {
  // expected-error @+1 {{'sfa_gpu.accumulate' op multiplies with '!sfa_gpu.shared<64x128xi8, swizzled>'; here matrix units take f16 or bf16}}
  %s = sfa_gpu.accumulate %acc, %p, %v : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64x64xf32>, !sfa_gpu.shared<64x128xi8, swizzled>
  return
}

// -----

func.func @expand(%v: !sfa_gpu.shared<64x8xbf16, linear>, %f: !sfa_gpu.shared<64x4xi8, linear>,
                  %x: !sfa_gpu.shared<16x128xbf16, swizzled>, %i: index) {
  // expected-error @+1 {{has values in '!sfa_gpu.shared<64x8xbf16, linear>' and features in '!sfa_gpu.shared<64x4xi8, linear>'; codes have as many of both, in linear rows}}
  sfa_gpu.expand_codes %v, %f[%i] to %x[%i]
    : !sfa_gpu.shared<64x8xbf16, linear>, !sfa_gpu.shared<64x4xi8, linear>, !sfa_gpu.shared<16x128xbf16, swizzled>
  return
}

// -----

func.func @expand_to(%v: !sfa_gpu.shared<16x8xbf16, linear>, %f: !sfa_gpu.shared<16x8xi8, linear>,
                     %x: !sfa_gpu.shared<8x128xbf16, swizzled>, %i: index) {
  // expected-error @+1 {{expands '!sfa_gpu.shared<16x8xbf16, linear>' to '!sfa_gpu.shared<8x128xbf16, swizzled>'; that needs the same elements, and at least 16 rows}}
  sfa_gpu.expand_codes %v, %f[%i] to %x[%i]
    : !sfa_gpu.shared<16x8xbf16, linear>, !sfa_gpu.shared<16x8xi8, linear>, !sfa_gpu.shared<8x128xbf16, swizzled>
  return
}

// -----

func.func @clear(%f: !sfa_gpu.shared<64x8xi16, linear>, %x: !sfa_gpu.shared<16x128xbf16, swizzled>, %i: index) {
  // expected-error @+1 {{has features in '!sfa_gpu.shared<64x8xi16, linear>'; those of 128 features are linear rows of i8}}
  sfa_gpu.clear_codes %f[%i] in %x[%i] : !sfa_gpu.shared<64x8xi16, linear>, !sfa_gpu.shared<16x128xbf16, swizzled>
  return
}

// -----

func.func @lookup(%t: !sfa_gpu.shared<128x16xf32, linear>, %v: !sfa_gpu.shared<64x8xbf16, linear>,
                  %f: !sfa_gpu.shared<64x8xi8, linear>) {
  // expected-error @+1 {{gives '!sfa_tile.tile<64x16xf32>'; the scores of '!sfa_gpu.shared<64x8xbf16, linear>' by '!sfa_gpu.shared<128x16xf32, linear>' are a tile of 16x64xf32}}
  %s = sfa_gpu.lookup_dot %t, %v, %f
    : !sfa_gpu.shared<128x16xf32, linear>, !sfa_gpu.shared<64x8xbf16, linear>, !sfa_gpu.shared<64x8xi8, linear>
    -> !sfa_tile.tile<64x16xf32>
  return
}
