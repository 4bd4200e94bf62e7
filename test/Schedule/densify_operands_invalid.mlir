// RUN: sfa-opt %s -sfa-densify-operands -split-input-file -verify-diagnostics

!codes = tensor<1x2x?x64xf16, #sfa.codes<k = 8>>
!dense = tensor<1x2x?x64xf16>

func.func @sequences(%q: !codes, %k: !dense, %c: tensor<?xi32>) -> !dense {
  // expected-error @+1 {{has strategy = gather, which on a GPU has no sequences; choose strategy = dense or sparse_mma}}
  %o = sfa.attention %q, %k, %k sequences(%c, %c : tensor<?xi32>, tensor<?xi32>) schedule <strategy = gather, k_tile = 64>
    : !codes, !dense, !dense -> !dense
  return %o : !dense
}

// -----

!codes = tensor<1x2x?x64xf16, #sfa.codes<k = 8, values = i8, scales = token>>
!dense = tensor<1x2x?x64xf16>

func.func @integers(%q: !codes, %v: !dense) -> !dense {
  // expected-error @+1 {{has strategy = gather, which on a GPU has no 8-bit codes; choose strategy = dense}}
  %o = sfa.attention %q, %q, %v schedule <strategy = gather, k_tile = 64> : !codes, !codes, !dense -> !dense
  return %o : !dense
}

// -----

!codes = tensor<1x2x?x64xf16, #sfa.codes<k = 33>>
!dense = tensor<1x2x?x64xf16>

func.func @non_zeros(%q: !codes, %k: !dense) -> !dense {
  // expected-error @+1 {{has strategy = gather, which on a GPU allows at most 32 non-zeros of a query, given are 33; choose strategy = dense or sparse_mma}}
  %o = sfa.attention %q, %k, %k schedule <strategy = gather, k_tile = 64> : !codes, !dense, !dense -> !dense
  return %o : !dense
}

// -----

!codes = tensor<1x2x?x64xf32, #sfa.codes<k = 8>>
!dense = tensor<1x2x?x64xf32>

func.func @element(%q: !codes, %k: !dense) -> !dense {
  // expected-error @+1 {{has strategy = gather, which on a GPU needs f16 or bf16, given is 'f32'}}
  %o = sfa.attention %q, %k, %k schedule <strategy = gather, k_tile = 64> : !codes, !dense, !dense -> !dense
  return %o : !dense
}

// -----

!codes = tensor<1x2x?x64xf16, #sfa.codes<k = 8>>
!dense = tensor<1x2x?x64xf16>

func.func @tile(%q: !codes, %k: !dense) -> !dense {
  // expected-error @+1 {{has strategy = gather, which on a GPU needs k_tile to be a multiple of 64, given is 80}}
  %o = sfa.attention %q, %k, %k schedule <strategy = gather, k_tile = 80> : !codes, !dense, !dense -> !dense
  return %o : !dense
}

// -----

!codes = tensor<1x2x?x256xf16, #sfa.codes<k = 8>>
!dense = tensor<1x2x?x256xf16>

func.func @elements(%q: !codes, %k: !dense) -> !dense {
  // expected-error @+1 {{has strategy = gather, which on a GPU allows tiles of at most 32768 elements, given are k_tile = 192 and 256 features; lower k_tile}}
  %o = sfa.attention %q, %k, %k schedule <strategy = gather, k_tile = 192> : !codes, !dense, !dense -> !dense
  return %o : !dense
}

// -----

!codes = tensor<1x2x?x64xf16, #sfa.codes<k = 8>>
!dense = tensor<1x2x?x64xf16>

func.func @sequences_of_lists(%q: !codes, %v: !dense, %c: tensor<?xi32>) -> !dense {
  // expected-error @+1 {{has strategy = scatter, which on a GPU has no sequences; choose strategy = dense or sparse_mma}}
  %o = sfa.attention %q, %q, %v sequences(%c, %c : tensor<?xi32>, tensor<?xi32>) schedule <strategy = scatter, k_tile = 64>
    : !codes, !codes, !dense -> !dense
  return %o : !dense
}

// -----

!codes = tensor<1x2x?x64xf16, #sfa.codes<k = 8, values = i8, scales = token>>
!dense = tensor<1x2x?x64xf16>

func.func @lists_of_integers(%q: !codes, %v: !dense) -> !dense {
  // expected-error @+1 {{has strategy = scatter, which on a GPU has no 8-bit codes; choose strategy = dense}}
  %o = sfa.attention %q, %q, %v schedule <strategy = scatter, k_tile = 64> : !codes, !codes, !dense -> !dense
  return %o : !dense
}

// -----

!codes = tensor<1x2x?x64xf32, #sfa.codes<k = 8>>
!dense = tensor<1x2x?x64xf32>

func.func @element_of_lists(%q: !codes, %v: !dense) -> !dense {
  // expected-error @+1 {{has strategy = scatter, which on a GPU needs f16 or bf16, given is 'f32'}}
  %o = sfa.attention %q, %q, %v schedule <strategy = scatter, k_tile = 64> : !codes, !codes, !dense -> !dense
  return %o : !dense
}

// -----

!codes = tensor<1x2x?x64xf16, #sfa.codes<k = 8>>
!dense = tensor<1x2x?x64xf16>

func.func @tile_of_lists(%q: !codes, %v: !dense) -> !dense {
  // expected-error @+1 {{has strategy = scatter, which on a GPU needs k_tile to be a multiple of 16, given is none}}
  %o = sfa.attention %q, %q, %v schedule <strategy = scatter> : !codes, !codes, !dense -> !dense
  return %o : !dense
}

// -----

!codes = tensor<1x2x?x256xf16, #sfa.codes<k = 200>>
!dense = tensor<1x2x?x256xf16>

func.func @long_lists(%q: !codes, %v: !dense) -> !dense {
  // expected-error @+1 {{has strategy = scatter, which on a GPU has no such lists: posting lists have 1 to 256 features and tiles of a multiple of 16 tokens, at most 1024, whose halves have at most 65535 bytes, given are k_tile = 256, 256 features and k = 200; lower k_tile}}
  %o = sfa.attention %q, %q, %v schedule <strategy = scatter, k_tile = 256> : !codes, !codes, !dense -> !dense
  return %o : !dense
}
