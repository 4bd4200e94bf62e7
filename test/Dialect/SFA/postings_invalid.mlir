// RUN: sfa-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{posting lists have 1 to 256 features and tiles of a multiple of 16 tokens, at most 1024, whose halves have at most 65535 bytes; given are k = 4 and tiles of 40 tokens}}
func.func private @tile(tensor<1x8x?x64xbf16, #sfa.postings<k = 4, tile = 40>>)

// -----

// expected-error @+1 {{posting lists have 1 to 256 features and tiles of a multiple of 16 tokens, at most 1024, whose halves have at most 65535 bytes; given are k = 0 and tiles of 64 tokens}}
func.func private @k(tensor<1x8x?x64xbf16, #sfa.postings<k = 0, tile = 64>>)

// -----

// expected-error @+1 {{posting lists have 1 to 256 features and tiles of a multiple of 16 tokens, at most 1024, whose halves have at most 65535 bytes; given are 256 features, k = 127 and tiles of 256 tokens}}
func.func private @half(tensor<1x8x?x256xbf16, #sfa.postings<k = 127, tile = 256>>)

// -----

// expected-error @+1 {{posting lists have 1 to 256 features and tiles of a multiple of 16 tokens, at most 1024, whose halves have at most 65535 bytes; given are 264 features, k = 8 and tiles of 64 tokens}}
func.func private @features(tensor<1x8x?x264xbf16, #sfa.postings<k = 8, tile = 64>>)

// -----

// expected-error @+1 {{posting lists hold f16 or bf16, given is 'f32'}}
func.func private @element(tensor<1x8x?x64xf32, #sfa.postings<k = 4, tile = 64>>)

// -----

// expected-error @+1 {{posting lists are of shape [batch, heads, tokens, features], given is rank 3}}
func.func private @rank(tensor<8x?x64xbf16, #sfa.postings<k = 4, tile = 64>>)

// -----

func.func @shape(%x: tensor<1x8x?x64xbf16, #sfa.codes<k = 4>>) {
  // expected-error @+1 {{'sfa.postings' op result has 128 in dimension 3 (features), expected is 64, as the codes}}
  %0 = sfa.postings %x : tensor<1x8x?x64xbf16, #sfa.codes<k = 4>> -> tensor<1x8x?x128xbf16, #sfa.postings<k = 4, tile = 64>>
  return
}

// -----

func.func @kept(%x: tensor<1x8x?x64xbf16, #sfa.codes<k = 4>>) {
  // expected-error @+1 {{'sfa.postings' op changes the form of codes only, given are 'tensor<1x8x?x64xbf16, #sfa.codes<k = 4>>' and 'tensor<1x8x?x64xbf16, #sfa.postings<k = 8, tile = 64>>'; k has to agree}}
  %0 = sfa.postings %x : tensor<1x8x?x64xbf16, #sfa.codes<k = 4>> -> tensor<1x8x?x64xbf16, #sfa.postings<k = 8, tile = 64>>
  return
}

// -----

func.func @integers(%x: tensor<1x8x?x64xbf16, #sfa.codes<k = 4, values = i8, scales = token>>) {
  // expected-error @+1 {{'sfa.postings' op keeps the values as they are, given is 'tensor<1x8x?x64xbf16, #sfa.codes<k = 4, values = i8, scales = token>>'; use sfa.densify for 8-bit values before}}
  %0 = sfa.postings %x : tensor<1x8x?x64xbf16, #sfa.codes<k = 4, values = i8, scales = token>> -> tensor<1x8x?x64xbf16, #sfa.postings<k = 4, tile = 64>>
  return
}

// -----

!codes = tensor<1x8x?x64xbf16, #sfa.codes<k = 4>>
!lists = tensor<1x8x?x64xbf16, #sfa.postings<k = 4, tile = 128>>
!dense = tensor<1x8x?x64xbf16>

func.func @strategy(%q: !codes, %k: !lists, %v: !dense) {
  // expected-error @+1 {{'sfa.attention' op has a key in tiles of posting lists of 128 tokens, which need a schedule with strategy = scatter and k_tile = 128}}
  %0 = sfa.attention %q, %k, %v schedule <strategy = scatter, k_tile = 64> : !codes, !lists, !dense -> !dense
  return
}

// -----

!codes = tensor<1x8x?x64xbf16, #sfa.codes<k = 4>>
!lists = tensor<1x8x?x64xbf16, #sfa.postings<k = 4, tile = 128>>
!dense = tensor<1x8x?x64xbf16>

func.func @sequences(%q: !codes, %k: !lists, %v: !dense, %c: tensor<?xi32>) {
  // expected-error @+1 {{'sfa.attention' op has sequences and a key in tiles of posting lists, where sequences cannot begin anywhere; leave the key as it is}}
  %0 = sfa.attention %q, %k, %v sequences(%c, %c : tensor<?xi32>, tensor<?xi32>) schedule <strategy = scatter, k_tile = 128>
    : !codes, !lists, !dense -> !dense
  return
}
