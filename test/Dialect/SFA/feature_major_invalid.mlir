// RUN: sfa-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{feature-major tiles have a multiple of 64 tokens, given are 96}}
func.func private @tile(tensor<1x8x?x64xbf16, #sfa.feature_major<tile = 96>>)

// -----

// expected-error @+1 {{feature-major tiles hold f16 or bf16, given is 'f32'}}
func.func private @element(tensor<1x8x?x64xf32, #sfa.feature_major<tile = 64>>)

// -----

// expected-error @+1 {{feature-major tiles are of shape [batch, heads, tokens, features], given is rank 3}}
func.func private @rank(tensor<8x?x64xbf16, #sfa.feature_major<tile = 64>>)

// -----

func.func @shape(%x: tensor<1x8x?x64xbf16>) {
  // expected-error @+1 {{'sfa.feature_major' op result has 128 in dimension 3 (features), expected is 64, as the source}}
  %0 = sfa.feature_major %x : tensor<1x8x?x64xbf16> -> tensor<1x8x?x128xbf16, #sfa.feature_major<tile = 64>>
  return
}

// -----

func.func @integers(%x: tensor<1x8x?x64xbf16, #sfa.codes<k = 4, values = i8, scales = token>>) {
  // expected-error @+1 {{'sfa.feature_major' op keeps the values as they are, given is 'tensor<1x8x?x64xbf16, #sfa.codes<k = 4, values = i8, scales = token>>'; use sfa.densify for 8-bit values before}}
  %0 = sfa.feature_major %x : tensor<1x8x?x64xbf16, #sfa.codes<k = 4, values = i8, scales = token>> -> tensor<1x8x?x64xbf16, #sfa.feature_major<tile = 64>>
  return
}

// -----

!codes = tensor<1x8x?x64xbf16, #sfa.codes<k = 4>>
!tiles = tensor<1x8x?x64xbf16, #sfa.feature_major<tile = 128>>
!dense = tensor<1x8x?x64xbf16>

func.func @strategy(%q: !codes, %k: !tiles, %v: !dense) {
  // expected-error @+1 {{'sfa.attention' op has a key in feature-major tiles of 128 tokens, which need a schedule with strategy = gather and k_tile = 128}}
  %0 = sfa.attention %q, %k, %v schedule <strategy = gather, k_tile = 64> : !codes, !tiles, !dense -> !dense
  return
}

// -----

!codes = tensor<1x8x?x64xbf16, #sfa.codes<k = 4>>
!tiles = tensor<1x8x?x64xbf16, #sfa.feature_major<tile = 128>>
!dense = tensor<1x8x?x64xbf16>

func.func @sequences(%q: !codes, %k: !tiles, %v: !dense, %c: tensor<?xi32>) {
  // expected-error @+1 {{'sfa.attention' op has sequences and a key in feature-major tiles, where sequences cannot begin anywhere; leave the key as it is}}
  %0 = sfa.attention %q, %k, %v sequences(%c, %c : tensor<?xi32>, tensor<?xi32>) schedule <strategy = gather, k_tile = 128>
    : !codes, !tiles, !dense -> !dense
  return
}
