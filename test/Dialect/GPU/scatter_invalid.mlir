// RUN: sfa-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{posting lists have 1 to 256 features and tiles of a multiple of 16 tokens, at most 1024, whose halves have at most 65535 bytes; their shape is tokens, features and k, of f16 or bf16}}
func.func private @shape(!sfa_gpu.shared<128x64xbf16, postings>)

// -----

// expected-error @+1 {{posting lists have 1 to 256 features and tiles of a multiple of 16 tokens, at most 1024, whose halves have at most 65535 bytes; their shape is tokens, features and k, of f16 or bf16}}
func.func private @element(!sfa_gpu.shared<128x64x8xf32, postings>)

// -----

func.func @copy(%keys: memref<1x8x?x4384xbf16>, %k: !sfa_gpu.shared<128x64x8xbf16, postings>, %i: index) {
  // expected-error @+1 {{'sfa_gpu.copy_by_threads' op copies posting lists of 'memref<1x8x?x4384xbf16>' to '!sfa_gpu.shared<128x64x8xbf16, postings>'; a row of the memory (#sfa.postings) needs as many bytes, i8, as the tile: 4384}}
  sfa_gpu.copy_by_threads %keys[%i, %i, %i] to %k : memref<1x8x?x4384xbf16>, !sfa_gpu.shared<128x64x8xbf16, postings>
  return
}

// -----

!lists = !sfa_gpu.shared<128x64x8xbf16, postings>
!room = !sfa_gpu.shared<512x32xf32, linear>

func.func @step(%q: !sfa_gpu.codes<128x64xbf16, k = 8, step = 256, shared>, %k: !lists, %room: !room) {
  // expected-error @+1 {{'sfa_gpu.scatter_dot' op forms '!sfa_tile.tile<128x128xf32>' of '!sfa_gpu.codes<128x64xbf16, k = 8, step = 256, shared>' and '!sfa_gpu.shared<128x64x8xbf16, postings>'; codes in shared memory, with step = 2, go with posting lists of as many features, and give f32 for each of their rows and of these keys}}
  %s = sfa_gpu.scatter_dot %q, %k, %room : !sfa_gpu.codes<128x64xbf16, k = 8, step = 256, shared>, !lists, !room -> !sfa_tile.tile<128x128xf32>
  return
}

// -----

!lists = !sfa_gpu.shared<128x64x8xbf16, postings>
!room = !sfa_gpu.shared<96x32xf32, linear>

func.func @room(%q: !sfa_gpu.codes<128x64xbf16, k = 8, step = 2, shared>, %k: !lists, %room: !room) {
  // expected-error @+1 {{'sfa_gpu.scatter_dot' op has the room '!sfa_gpu.shared<96x32xf32, linear>'; for each warp it needs '!sfa_gpu.shared<64x32xf32, linear>'}}
  %s = sfa_gpu.scatter_dot %q, %k, %room : !sfa_gpu.codes<128x64xbf16, k = 8, step = 2, shared>, !lists, !room -> !sfa_tile.tile<128x128xf32>
  return
}
