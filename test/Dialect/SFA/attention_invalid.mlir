// RUN: sfa-opt %s -split-input-file -verify-diagnostics

func.func @heads(%q: tensor<1x3x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{'sfa.attention' op query has 3 heads, which is not a multiple of the 2 heads of the key}}
  %0 = sfa.attention %q, %k, %v
    : tensor<1x3x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x3x8x32xf32>
  return
}

// -----

func.func @fewer_query_heads(%q: tensor<1x1x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{'sfa.attention' op query has 1 heads, which is not a multiple of the 2 heads of the key}}
  %0 = sfa.attention %q, %k, %v
    : tensor<1x1x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x1x8x32xf32>
  return
}

// -----

func.func @zero_heads(%q: tensor<1x4x8x16xf32>, %k: tensor<1x0x8x16xf32>, %v: tensor<1x0x8x32xf32>) {
  // expected-error @+1 {{'sfa.attention' op key has 0 heads and 16 features; at least 1 of each is needed}}
  %0 = sfa.attention %q, %k, %v
    : tensor<1x4x8x16xf32>, tensor<1x0x8x16xf32>, tensor<1x0x8x32xf32> -> tensor<1x4x8x32xf32>
  return
}

// -----

func.func @zero_features(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x0xf32>) {
  // expected-error @+1 {{'sfa.attention' op value has 2 heads and 0 features; at least 1 of each is needed}}
  %0 = sfa.attention %q, %k, %v
    : tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x0xf32> -> tensor<1x4x8x0xf32>
  return
}

// -----

func.func @features(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x20xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{'sfa.attention' op key has 20 in dimension 3 (features), expected is 16, as the query}}
  %0 = sfa.attention %q, %k, %v
    : tensor<1x4x8x16xf32>, tensor<1x2x8x20xf32>, tensor<1x2x8x32xf32> -> tensor<1x4x8x32xf32>
  return
}

// -----

func.func @value_features(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{'sfa.attention' op output has 16 in dimension 3 (features), expected is 32, as the value}}
  %0 = sfa.attention %q, %k, %v
    : tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x4x8x16xf32>
  return
}

// -----

func.func @value_heads(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x4x8x32xf32>) {
  // expected-error @+1 {{'sfa.attention' op value has 4 in dimension 1 (heads), expected is 2, as the key}}
  %0 = sfa.attention %q, %k, %v
    : tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x4x8x32xf32> -> tensor<1x4x8x32xf32>
  return
}

// -----

func.func @value_tokens(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x9x32xf32>) {
  // expected-error @+1 {{'sfa.attention' op value has 9 in dimension 2 (tokens), expected is 8, as the key}}
  %0 = sfa.attention %q, %k, %v
    : tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x9x32xf32> -> tensor<1x4x8x32xf32>
  return
}

// -----

func.func @output_heads(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{'sfa.attention' op output has 2 in dimension 1 (heads), expected is 4, as the query}}
  %0 = sfa.attention %q, %k, %v
    : tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x2x8x32xf32>
  return
}

// -----

func.func @output_tokens(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{'sfa.attention' op output has 9 in dimension 2 (tokens), expected is 8, as the query}}
  %0 = sfa.attention %q, %k, %v
    : tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x4x9x32xf32>
  return
}

// -----

func.func @batch(%q: tensor<1x4x8x16xf32>, %k: tensor<2x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{'sfa.attention' op key has 2 in dimension 0 (batch), expected is 1, as the query}}
  %0 = sfa.attention %q, %k, %v
    : tensor<1x4x8x16xf32>, tensor<2x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x4x8x32xf32>
  return
}

// -----

func.func @batch_of_dynamic_query(%q: tensor<?x4x8x16xf32>, %k: tensor<2x2x8x16xf32>, %v: tensor<3x2x8x32xf32>) {
  // expected-error @+1 {{'sfa.attention' op value has 3 in dimension 0 (batch), expected is 2, as the key}}
  %0 = sfa.attention %q, %k, %v
    : tensor<?x4x8x16xf32>, tensor<2x2x8x16xf32>, tensor<3x2x8x32xf32> -> tensor<1x4x8x32xf32>
  return
}

// -----

func.func @lse_heads(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{'sfa.attention' op lse has 2 in dimension 1 (heads), expected is 4, as the query}}
  %0:2 = sfa.attention %q, %k, %v
    : tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x4x8x32xf32>, tensor<1x2x8xf32>
  return
}

// -----

func.func @lse_tokens(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{'sfa.attention' op lse has 7 in dimension 2 (tokens), expected is 8, as the query}}
  %0:2 = sfa.attention %q, %k, %v
    : tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x4x8x32xf32>, tensor<1x4x7xf32>
  return
}

// -----

func.func @lse_element_type(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{result #1 must be tensor [batch, heads, tokens] of 32-bit float values, but got 'tensor<1x4x8xf16>'}}
  %0:2 = sfa.attention %q, %k, %v
    : tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x4x8x32xf32>, tensor<1x4x8xf16>
  return
}

// -----

func.func @lse_rank(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{result #1 must be tensor [batch, heads, tokens] of 32-bit float values, but got 'tensor<1x4x8x1xf32>'}}
  %0:2 = sfa.attention %q, %k, %v
    : tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x4x8x32xf32>, tensor<1x4x8x1xf32>
  return
}

// -----

func.func @dynamic_heads(%q: tensor<1x?x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{'sfa.attention' op query has a dynamic dimension 1 (heads); only batch and tokens may be dynamic}}
  %0 = sfa.attention %q, %k, %v
    : tensor<1x?x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x4x8x32xf32>
  return
}

// -----

func.func @dynamic_features(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x?xf32>) {
  // expected-error @+1 {{'sfa.attention' op value has a dynamic dimension 3 (features); only batch and tokens may be dynamic}}
  %0 = sfa.attention %q, %k, %v
    : tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x?xf32> -> tensor<1x4x8x32xf32>
  return
}

// -----

func.func @dynamic_output(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{'sfa.attention' op output has a dynamic dimension 3 (features); only batch and tokens may be dynamic}}
  %0 = sfa.attention %q, %k, %v
    : tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x4x8x?xf32>
  return
}

// -----

func.func @element_type(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf16>) {
  // expected-error @+1 {{'sfa.attention' op value has elements of type 'f16', expected is 'f32', as the query; convert one of them}}
  %0 = sfa.attention %q, %k, %v
    : tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf16> -> tensor<1x4x8x32xf32>
  return
}

// -----

func.func @output_element_type(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{'sfa.attention' op output has elements of type 'bf16', expected is 'f32', as the query; convert one of them}}
  %0 = sfa.attention %q, %k, %v
    : tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x4x8x32xbf16>
  return
}

// -----

func.func @double(%q: tensor<1x4x8x16xf64>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{operand #0 must be}}
  %0 = sfa.attention %q, %k, %v
    : tensor<1x4x8x16xf64>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x4x8x32xf32>
  return
}

// -----

func.func @rank(%q: tensor<4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{operand #0 must be}}
  %0 = sfa.attention %q, %k, %v
    : tensor<4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x4x8x32xf32>
  return
}

// -----

func.func @value_is_codes(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32, #sfa.codes<k = 4>>) {
  // expected-error @+1 {{operand #2 must be dense tensor [batch, heads, tokens, features]}}
  %0 = sfa.attention %q, %k, %v
    : tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32, #sfa.codes<k = 4>> -> tensor<1x4x8x32xf32>
  return
}

// -----

func.func @output_is_codes(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{result #0 must be dense tensor [batch, heads, tokens, features]}}
  %0 = sfa.attention %q, %k, %v
    : tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x4x8x32xf32, #sfa.codes<k = 4>>
  return
}

// -----

func.func @gather_of_dense(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{'sfa.attention' op cannot use strategy 'gather': it needs the query as codes; sparsify the query}}
  %0 = sfa.attention %q, %k, %v schedule <strategy = gather>
    : tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x4x8x32xf32>
  return
}

// -----

func.func @scatter_of_dense_key(%q: tensor<1x4x8x16xf32, #sfa.codes<k = 4>>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{'sfa.attention' op cannot use strategy 'scatter': it needs query and key as codes; sparsify both}}
  %0 = sfa.attention %q, %k, %v schedule <strategy = scatter>
    : tensor<1x4x8x16xf32, #sfa.codes<k = 4>>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x4x8x32xf32>
  return
}

// -----

func.func @sparse_mma_of_dense(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{'sfa.attention' op cannot use strategy 'sparse_mma': it needs the query as codes; sparsify the query}}
  %0 = sfa.attention %q, %k, %v schedule <strategy = sparse_mma>
    : tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x4x8x32xf32>
  return
}

// -----

func.func @sparse_mma_features(%q: tensor<1x4x8x18xf32, #sfa.codes<k = 4>>, %k: tensor<1x2x8x18xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{'sfa.attention' op cannot use strategy 'sparse_mma': 2:4 sparsity needs a number of features that is a multiple of 4, given are 18}}
  %0 = sfa.attention %q, %k, %v schedule <strategy = sparse_mma>
    : tensor<1x4x8x18xf32, #sfa.codes<k = 4>>, tensor<1x2x8x18xf32>, tensor<1x2x8x32xf32> -> tensor<1x4x8x32xf32>
  return
}

// -----

func.func @infinite_scale(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{'sfa.attention' op scale has to be a finite number}}
  %0 = sfa.attention %q, %k, %v scale 0x7FF0000000000000
    : tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x4x8x32xf32>
  return
}

// -----

func.func @nan_scale(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{'sfa.attention' op scale has to be a finite number}}
  %0 = sfa.attention %q, %k, %v scale 0x7FF8000000000000
    : tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x4x8x32xf32>
  return
}

// -----

func.func @too_many_features(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x65537xf32>) {
  // expected-error @+1 {{'sfa.attention' op value has 65537 features, allowed are at most 65536}}
  %0 = sfa.attention %q, %k, %v
    : tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x65537xf32> -> tensor<1x4x8x65537xf32>
  return
}

// -----

func.func @too_large(%q: tensor<1x4x9223372036854775807x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{'sfa.attention' op query of type 'tensor<1x4x9223372036854775807x16xf32>' is too large for 64-bit offsets in bytes}}
  %0 = sfa.attention %q, %k, %v
    : tensor<1x4x9223372036854775807x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x4x9223372036854775807x32xf32>
  return
}

// -----

func.func @unknown_strategy(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{unknown strategy 'best', allowed are dense, gather, scatter, sparse_mma}}
  %0 = sfa.attention %q, %k, %v schedule <strategy = best>
    : tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x4x8x32xf32>
  return
}

// -----

func.func @unknown_mask(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{unknown mask 'diagonal', allowed are none, causal, window}}
  %0 = sfa.attention %q, %k, %v mask <diagonal>
    : tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x4x8x32xf32>
  return
}

// -----

func.func @clauses_out_of_order(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x32xf32>) {
  // expected-error @+1 {{expected ':'}}
  %0 = sfa.attention %q, %k, %v scale 0.5 mask <causal>
    : tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x32xf32> -> tensor<1x4x8x32xf32>
  return
}

// -----

func.func @generic_without_operands() {
  // expected-error @+1 {{'sfa.attention' op expected 3 or more operands, but found 0}}
  %0 = "sfa.attention"() : () -> tensor<1x4x8x32xf32>
  return
}

// -----

func.func @generic_without_result(%q: tensor<1x4x8x16xf32>) {
  // expected-error @+1 {{'sfa.attention' op expected 1 or more results}}
  "sfa.attention"(%q, %q, %q) {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0>} : (tensor<1x4x8x16xf32>, tensor<1x4x8x16xf32>, tensor<1x4x8x16xf32>) -> ()
  return
}

// -----

func.func @generic_with_wrong_attribute(%q: tensor<1x4x8x16xf32>) {
  // expected-error @+1 {{attribute 'mask' failed to satisfy constraint}}
  %0 = "sfa.attention"(%q, %q, %q) {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0>, mask = 3 : i32} : (tensor<1x4x8x16xf32>, tensor<1x4x8x16xf32>, tensor<1x4x8x16xf32>) -> tensor<1x4x8x16xf32>
  return
}

// -----

func.func @generic_with_f32_scale(%q: tensor<1x4x8x16xf32>) {
  // expected-error @+1 {{attribute 'scale' failed to satisfy constraint: 64-bit float attribute}}
  %0 = "sfa.attention"(%q, %q, %q) {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0>, scale = 1.0 : f32} : (tensor<1x4x8x16xf32>, tensor<1x4x8x16xf32>, tensor<1x4x8x16xf32>) -> tensor<1x4x8x16xf32>
  return
}

// -----

func.func @one_offset_tensor(%x: tensor<1x1x8x16xf32>, %c0: tensor<?xi32>) {
  // expected-error @+1 {{'sfa.attention' op takes the offsets of sequences of the query and of the key, given is 1 tensor; give one twice where they are the same}}
  %0 = sfa.attention %x, %x, %x sequences(%c0 : tensor<?xi32>) : tensor<1x1x8x16xf32>, tensor<1x1x8x16xf32>, tensor<1x1x8x16xf32> -> tensor<1x1x8x16xf32>
  return
}

// -----

func.func @three_offset_tensors(%x: tensor<1x1x8x16xf32>, %c0: tensor<?xi32>, %c1: tensor<?xi32>, %c2: tensor<?xi32>) {
  // expected-error @+1 {{'sfa.attention' op takes the offsets of sequences of the query and of the key, given are 3 tensors; give one twice where they are the same}}
  %0 = sfa.attention %x, %x, %x sequences(%c0, %c1, %c2 : tensor<?xi32>, tensor<?xi32>, tensor<?xi32>) : tensor<1x1x8x16xf32>, tensor<1x1x8x16xf32>, tensor<1x1x8x16xf32> -> tensor<1x1x8x16xf32>
  return
}

// -----

func.func @batch_of_sequences(%x: tensor<2x1x8x16xf32>, %c0: tensor<?xi32>, %c1: tensor<?xi32>) {
  // expected-error @+1 {{'sfa.attention' op has sequences, whose tokens follow one another in a batch of 1, given is a query of type 'tensor<2x1x8x16xf32>'}}
  %0 = sfa.attention %x, %x, %x sequences(%c0, %c1 : tensor<?xi32>, tensor<?xi32>) : tensor<2x1x8x16xf32>, tensor<2x1x8x16xf32>, tensor<2x1x8x16xf32> -> tensor<2x1x8x16xf32>
  return
}

// -----

func.func @dynamic_batch_of_sequences(%x: tensor<?x1x8x16xf32>, %c0: tensor<?xi32>, %c1: tensor<?xi32>) {
  // expected-error @+1 {{'sfa.attention' op has sequences, whose tokens follow one another in a batch of 1, given is a query of type 'tensor<?x1x8x16xf32>'}}
  %0 = sfa.attention %x, %x, %x sequences(%c0, %c1 : tensor<?xi32>, tensor<?xi32>) : tensor<?x1x8x16xf32>, tensor<?x1x8x16xf32>, tensor<?x1x8x16xf32> -> tensor<?x1x8x16xf32>
  return
}

// -----

func.func @no_sequence(%x: tensor<1x1x8x16xf32>, %c0: tensor<1xi32>, %c1: tensor<1xi32>) {
  // expected-error @+1 {{'sfa.attention' op has 1 offsets of sequences; s sequences have s + 1 offsets, and at least 1 sequence is needed}}
  %0 = sfa.attention %x, %x, %x sequences(%c0, %c1 : tensor<1xi32>, tensor<1xi32>) : tensor<1x1x8x16xf32>, tensor<1x1x8x16xf32>, tensor<1x1x8x16xf32> -> tensor<1x1x8x16xf32>
  return
}

// -----

func.func @numbers_of_sequences(%x: tensor<1x1x8x16xf32>, %c0: tensor<4xi32>, %c1: tensor<5xi32>) {
  // expected-error @+1 {{'sfa.attention' op has 4 offsets of sequences of the query but 5 of the key; they have to be as many}}
  %0 = sfa.attention %x, %x, %x sequences(%c0, %c1 : tensor<4xi32>, tensor<5xi32>) : tensor<1x1x8x16xf32>, tensor<1x1x8x16xf32>, tensor<1x1x8x16xf32> -> tensor<1x1x8x16xf32>
  return
}

// -----

func.func @offsets_of_i64(%x: tensor<1x1x8x16xf32>, %c0: tensor<?xi64>, %c1: tensor<?xi64>) {
  // expected-error @+1 {{operand #3 must be variadic of tensor [sequences + 1] of 32-bit signless integer values, but got 'tensor<?xi64>'}}
  %0 = sfa.attention %x, %x, %x sequences(%c0, %c1 : tensor<?xi64>, tensor<?xi64>) : tensor<1x1x8x16xf32>, tensor<1x1x8x16xf32>, tensor<1x1x8x16xf32> -> tensor<1x1x8x16xf32>
  return
}

// -----

func.func @offsets_of_rank_2(%x: tensor<1x1x8x16xf32>, %c0: tensor<1x4xi32>, %c1: tensor<1x4xi32>) {
  // expected-error @+1 {{operand #3 must be variadic of tensor [sequences + 1] of 32-bit signless integer values, but got 'tensor<1x4xi32>'}}
  %0 = sfa.attention %x, %x, %x sequences(%c0, %c1 : tensor<1x4xi32>, tensor<1x4xi32>) : tensor<1x1x8x16xf32>, tensor<1x1x8x16xf32>, tensor<1x1x8x16xf32> -> tensor<1x1x8x16xf32>
  return
}

// -----

func.func @f(%q: tensor<1x256x?x64xf16>) -> tensor<1x256x?x64xf16> {
  // expected-error @+1 {{has 256 heads in 256 splits; heads times splits may be at most 65535}}
  %o = sfa.attention %q, %q, %q schedule <splits = 256>
    : tensor<1x256x?x64xf16>, tensor<1x256x?x64xf16>, tensor<1x256x?x64xf16> -> tensor<1x256x?x64xf16>
  return %o : tensor<1x256x?x64xf16>
}

// -----

func.func @f(%q: tensor<1x8x?x64xf16>, %k: tensor<1x2x?x64xf16>) -> tensor<1x8x?x64xf16> {
  // expected-error @+1 {{has packed_heads = 3, but 4 query heads to a head of the key; packed_heads has to divide that}}
  %o = sfa.attention %q, %k, %k schedule <packed_heads = 3>
    : tensor<1x8x?x64xf16>, tensor<1x2x?x64xf16>, tensor<1x2x?x64xf16> -> tensor<1x8x?x64xf16>
  return %o : tensor<1x8x?x64xf16>
}

// -----

func.func @f(%q: tensor<1x2x?x64xf16>) -> tensor<1x2x?x64xf16> {
  // expected-error @+1 {{has packed_heads = 2, but 1 query head to a head of the key; packed_heads has to divide that}}
  %o = sfa.attention %q, %q, %q schedule <packed_heads = 2>
    : tensor<1x2x?x64xf16>, tensor<1x2x?x64xf16>, tensor<1x2x?x64xf16> -> tensor<1x2x?x64xf16>
  return %o : tensor<1x2x?x64xf16>
}

// -----

func.func @f(%q: tensor<1x7x?x64xf16>, %k: tensor<1x1x?x64xf16>) -> tensor<1x7x?x64xf16> {
  // expected-error @+1 {{has packed_heads = 7 and q_tile = 6; q_tile has to be a multiple of packed_heads, or the next power of two at least}}
  %o = sfa.attention %q, %k, %k schedule <q_tile = 6, packed_heads = 7>
    : tensor<1x7x?x64xf16>, tensor<1x1x?x64xf16>, tensor<1x1x?x64xf16> -> tensor<1x7x?x64xf16>
  return %o : tensor<1x7x?x64xf16>
}

// -----

func.func @two_scales(%q: tensor<1x4x8x16xf32>, %scale: f64) {
  // expected-error @+1 {{'sfa.attention' op has two scales, a constant and a value; give one}}
  %0 = "sfa.attention"(%q, %q, %q, %scale) {operandSegmentSizes = array<i32: 1, 1, 1, 0, 1>, scale = 1.0 : f64}
    : (tensor<1x4x8x16xf32>, tensor<1x4x8x16xf32>, tensor<1x4x8x16xf32>, f64) -> tensor<1x4x8x16xf32>
  return
}

// -----

// expected-note @+1 {{prior use here}}
func.func @scale_of_f32(%q: tensor<1x4x8x16xf32>, %scale: f32) {
  // expected-error @+1 {{use of value '%scale' expects different type than prior uses: 'f64' vs 'f32'}}
  %0 = sfa.attention %q, %q, %q scale %scale
    : tensor<1x4x8x16xf32>, tensor<1x4x8x16xf32>, tensor<1x4x8x16xf32> -> tensor<1x4x8x16xf32>
  return
}

// -----

func.func @only_keys_of_integers(%q: tensor<1x1x4x8xf32, #sfa.codes<k = 2>>, %k: tensor<1x1x4x8xf32, #sfa.codes<k = 2, values = i8, scales = tile>>, %v: tensor<1x1x4x8xf32>) {
  // expected-error @+1 {{'sfa.attention' op has a query of type 'tensor<1x1x4x8xf32, #sfa.codes<k = 2>>' and a key of type 'tensor<1x1x4x8xf32, #sfa.codes<k = 2, values = i8, scales = tile>>'; both have 8-bit values or neither: use sfa.quantize for the other}}
  %o = sfa.attention %q, %k, %v : tensor<1x1x4x8xf32, #sfa.codes<k = 2>>, tensor<1x1x4x8xf32, #sfa.codes<k = 2, values = i8, scales = tile>>, tensor<1x1x4x8xf32> -> tensor<1x1x4x8xf32>
  return
}

// -----

func.func @value_of_integers(%v: tensor<1x1x4x8xf32, #sfa.dense<values = i8, scales = tile>>) {
  // expected-error @+1 {{operand #2 must be dense tensor}}
  %o = sfa.attention %v, %v, %v : tensor<1x1x4x8xf32, #sfa.dense<values = i8, scales = tile>>, tensor<1x1x4x8xf32, #sfa.dense<values = i8, scales = tile>>, tensor<1x1x4x8xf32, #sfa.dense<values = i8, scales = tile>> -> tensor<1x1x4x8xf32>
  return
}
