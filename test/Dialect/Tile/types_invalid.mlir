// RUN: sfa-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{a tile holds f32, f16, bf16 or i8, given is 'i16'}}
func.func private @f(!sfa_tile.tile<64x128xi16>)

// -----

// expected-error @+1 {{a tile holds f32, f16, bf16 or i8, given is 'i1'}}
func.func private @f(!sfa_tile.tile<64x128xi1>)

// -----

// expected-error @+1 {{a row vector holds f32, f16, bf16 or flags of i1, given is 'i8'}}
func.func private @f(!sfa_tile.tile<64xi8>)

// -----

// expected-error @+1 {{a tile in parts has one f32 a row, given are 1 dimensions of 'f16'}}
func.func private @f(!sfa_tile.tile<64xf16, partial>)

// -----

// expected-error @+1 {{a tile in parts has one f32 a row, given are 2 dimensions of 'f32'}}
func.func private @f(!sfa_tile.tile<64x128xf32, partial>)

// -----

// expected-error @+1 {{expected 'partial' or 'scaled'}}
func.func private @f(!sfa_tile.tile<64xf32, whole>)

// -----

// expected-error @+1 {{a tile has one or two dimensions, given are 3}}
func.func private @f(!sfa_tile.tile<1x2x3xf32>)

// -----

// expected-error @+1 {{a tile has one or two dimensions, given are 0}}
func.func private @f(!sfa_tile.tile<f32>)

// -----

// expected-error @+1 {{a dimension of a tile is 1 to 65536, given is 0}}
func.func private @f(!sfa_tile.tile<0x8xf32>)

// -----

// expected-error @+1 {{a dimension of a tile is 1 to 65536, given is 65537}}
func.func private @f(!sfa_tile.tile<8x65537xf32>)

// -----

// expected-error @+1 {{expected static shape}}
func.func private @f(!sfa_tile.tile<?x8xf32>)

// -----

// expected-error @+1 {{expected non-function type}}
func.func private @f(!sfa_tile.tile<-1x8xf32>)

// -----

// expected-error @+1 {{invalid dimension}}
func.func private @f(!sfa_tile.tile<99999999999999999999x8xf32>)

// -----

// expected-error @+1 {{expected '<'}}
func.func private @f(!sfa_tile.tile)

// -----

// expected-error @+1 {{a tile holds f32, f16, bf16 or i8, given is 'f64'}}
func.func private @f(!sfa_tile.codes<8x64xf64, k = 3>)

// -----

// expected-error @+1 {{expected rows x features, given are 1 dimensions}}
func.func private @f(!sfa_tile.codes<64xf32, k = 3>)

// -----

// expected-error @+1 {{k is 0, allowed is 1 to 64, the number of features}}
func.func private @f(!sfa_tile.codes<8x64xf32, k = 0>)

// -----

// expected-error @+1 {{k is 65, allowed is 1 to 64, the number of features}}
func.func private @f(!sfa_tile.codes<8x64xf32, k = 65>)

// -----

// expected-error @+1 {{expected ','}}
func.func private @f(!sfa_tile.codes<8x64xf32>)

// -----

// expected-error @+1 {{expected 'k'}}
func.func private @f(!sfa_tile.codes<8x64xf32, n = 3>)

// -----

// expected-error @+1 {{integer value too large}}
func.func private @f(!sfa_tile.codes<8x64xf32, k = 99999999999999999999>)

// -----

// expected-error @+1 {{a dimension of a tile is 1 to 65536, given is 0}}
func.func private @f(!sfa_tile.postings<0x64xf32, k = 3>)

// -----

// expected-error @+1 {{k is -1, allowed is 1 to 64, the number of features}}
func.func private @f(!sfa_tile.two_four<8x64xf32, k = -1>)

// -----

// expected-error @+1 {{a dimension of a tile is 1 to 65536, given is 100000}}
func.func private @f(!sfa_tile.surplus<8x100000xf32, k = 1>)

// -----

// expected-error @+1 {{unknown  type `warp` in dialect `sfa_tile`}}
func.func private @f(!sfa_tile.warp<8x8xf32>)

// -----

// expected-error @+1 {{a tile with factors is a matrix of f32 or i32, given are 2 dimensions of 'bf16'}}
func.func private @f(!sfa_tile.tile<64x128xbf16, scaled>)

// -----

// expected-error @+1 {{a tile with factors is a matrix of f32 or i32, given are 1 dimensions of 'f32'}}
func.func private @f(!sfa_tile.tile<64xf32, scaled>)

// -----

// expected-error @+1 {{a row vector holds f32, f16, bf16 or flags of i1, given is 'i32'}}
func.func private @f(!sfa_tile.tile<64xi32>)

// -----

// expected-error @+1 {{a tile has a factor for as many columns as divide it, given are 48 of 128}}
func.func private @f(!sfa_tile.tile<64x128xi32, scaled 48>)

// -----

// expected-error @+1 {{a tile has a factor for as many columns as divide it, given are -32 of 128}}
func.func private @f(!sfa_tile.tile<64x128xi32, scaled -32>)
