// RUN: sfa-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{unknown place 'memory' of codes, allowed are registers, shared}}
func.func private @place(!sfa_gpu.codes<128x64xbf16, k = 8, step = 256, memory>)

// -----

// expected-error @+1 {{codes have rows and features, given are 1 dimensions}}
func.func private @shape(!sfa_gpu.codes<128xbf16, k = 8, step = 256, shared>)

// -----

// expected-error @+1 {{codes of fragments hold f16 or bf16, given is 'f32'}}
func.func private @element(!sfa_gpu.codes<128x64xf32, k = 8, step = 256, shared>)

// -----

// expected-error @+1 {{codes of fragments have a multiple of 16 rows and 1 to 256 features, given are 120 and 64}}
func.func private @rows(!sfa_gpu.codes<120x64xbf16, k = 8, step = 256, shared>)

// -----

// expected-error @+1 {{codes of fragments have 1 to 32 pairs a row in registers, given are k = 33}}
func.func private @k(!sfa_gpu.codes<128x64xbf16, k = 33, step = 256, registers>)

// -----

// expected-error @+1 {{codes of fragments have 1 to 64 pairs a row in shared memory, given are k = 65}}
func.func private @k_in_shared(!sfa_gpu.codes<128x64xbf16, k = 65, step = 256, shared>)

// -----

// expected-error @+1 {{codes of fragments are for tiles whose features take at most 65536 bytes, given are 256 features and step = 512}}
func.func private @step(!sfa_gpu.codes<128x256xbf16, k = 8, step = 512, shared>)

// -----

// expected-error @+1 {{a feature-major tile has a multiple of 64 rows, the keys, of f16 or bf16}}
func.func private @tile(!sfa_gpu.shared<96x64xbf16, feature_major>)

// -----

func.func @load(%values: memref<1x8x?x4xbf16>, %features: memref<1x8x?x4xi8>, %i: index) {
  // expected-error @+1 {{'sfa_gpu.load_codes' op loads codes of 'memref<1x8x?x4xbf16>' and 'memref<1x8x?x4xi8>' as '!sfa_gpu.codes<128x64xbf16, k = 8, step = 256, registers>'; both memories have k columns, of the elements of the codes and of i8}}
  %q = sfa_gpu.load_codes %values, %features[%i, %i, %i]
    : memref<1x8x?x4xbf16>, memref<1x8x?x4xi8> -> !sfa_gpu.codes<128x64xbf16, k = 8, step = 256, registers>
  return
}

// -----

func.func @no_room(%values: memref<1x8x?x8xbf16>, %features: memref<1x8x?x8xi8>, %i: index) {
  // expected-error @+1 {{'sfa_gpu.load_codes' op loads '!sfa_gpu.codes<128x64xbf16, k = 8, step = 256, shared>' without a room; codes in shared memory have one}}
  %q = sfa_gpu.load_codes %values, %features[%i, %i, %i]
    : memref<1x8x?x8xbf16>, memref<1x8x?x8xi8> -> !sfa_gpu.codes<128x64xbf16, k = 8, step = 256, shared>
  return
}

// -----

func.func @small_room(%values: memref<1x8x?x8xbf16>, %features: memref<1x8x?x8xi8>, %room: !sfa_gpu.shared<128x8xi32, linear>, %i: index) {
  // expected-error @+1 {{'sfa_gpu.load_codes' op loads '!sfa_gpu.codes<128x64xbf16, k = 8, step = 256, shared>' to '!sfa_gpu.shared<128x8xi32, linear>'; their room is '!sfa_gpu.shared<128x12xi32, linear>'}}
  %q = sfa_gpu.load_codes %values, %features[%i, %i, %i] to %room : !sfa_gpu.shared<128x8xi32, linear>
    : memref<1x8x?x8xbf16>, memref<1x8x?x8xi8> -> !sfa_gpu.codes<128x64xbf16, k = 8, step = 256, shared>
  return
}

// -----

func.func @dot(%q: !sfa_gpu.codes<128x64xbf16, k = 8, step = 256, registers>, %k: !sfa_gpu.shared<128x64xbf16, swizzled>) {
  // expected-error @+1 {{'sfa_gpu.gather_dot' op forms '!sfa_tile.tile<128x128xf32>' of '!sfa_gpu.codes<128x64xbf16, k = 8, step = 256, registers>' and '!sfa_gpu.shared<128x64xbf16, swizzled>'; codes go with a feature-major tile of as many features and of step / 2 keys, and give f32 for each of their rows and of these keys}}
  %s = sfa_gpu.gather_dot %q, %k : !sfa_gpu.codes<128x64xbf16, k = 8, step = 256, registers>, !sfa_gpu.shared<128x64xbf16, swizzled>
    -> !sfa_tile.tile<128x128xf32>
  return
}

// -----

func.func @copy(%keys: memref<1x8x?x64xbf16>, %k: !sfa_gpu.shared<128x64xbf16, feature_major>, %i: index) {
  // expected-error @+1 {{'sfa_gpu.copy_by_threads' op copies a tile of 'memref<1x8x?x64xbf16>' to '!sfa_gpu.shared<128x64xbf16, feature_major>'; they need the same elements, and as many in a row of the memory (#sfa.feature_major) as in the tile}}
  sfa_gpu.copy_by_threads %keys[%i, %i, %i] to %k : memref<1x8x?x64xbf16>, !sfa_gpu.shared<128x64xbf16, feature_major>
  return
}
