// RUN: sfa-opt %s -split-input-file -verify-diagnostics

func.func @result_not_codes(%x: tensor<1x1x4x8xf32>) {
  // expected-error @+1 {{'sfa.sparsify' op result #0 must be tensor [batch, heads, tokens, features] with encoding #sfa.codes of 32-bit float or 16-bit float or bfloat16 type values, but got 'tensor<1x1x4x8xf32>'}}
  %0 = sfa.sparsify %x : tensor<1x1x4x8xf32> -> tensor<1x1x4x8xf32>
  return
}

// -----

func.func @source_is_codes(%x: tensor<1x1x4x8xf32, #sfa.codes<k = 2>>) {
  // expected-error @+1 {{'sfa.sparsify' op operand #0 must be dense tensor [batch, heads, tokens, features] of 32-bit float or 16-bit float or bfloat16 type values, but got 'tensor<1x1x4x8xf32, #sfa.codes<k = 2>>'}}
  %0 = sfa.sparsify %x : tensor<1x1x4x8xf32, #sfa.codes<k = 2>> -> tensor<1x1x4x8xf32, #sfa.codes<k = 2>>
  return
}

// -----

func.func @source_of_rank_3(%x: tensor<1x4x8xf32>) {
  // expected-error @+1 {{operand #0 must be dense tensor [batch, heads, tokens, features]}}
  %0 = sfa.sparsify %x : tensor<1x4x8xf32> -> tensor<1x1x4x8xf32, #sfa.codes<k = 2>>
  return
}

// -----

func.func @source_unranked(%x: tensor<*xf32>) {
  // expected-error @+1 {{invalid kind of type specified: expected builtin.tensor, but found 'tensor<*xf32>'}}
  %0 = sfa.sparsify %x : tensor<*xf32> -> tensor<1x1x4x8xf32, #sfa.codes<k = 2>>
  return
}

// -----

func.func @source_of_integers(%x: tensor<1x1x4x8xi32>) {
  // expected-error @+1 {{operand #0 must be dense tensor [batch, heads, tokens, features] of 32-bit float or 16-bit float or bfloat16 type values, but got 'tensor<1x1x4x8xi32>'}}
  %0 = sfa.sparsify %x : tensor<1x1x4x8xi32> -> tensor<1x1x4x8xf32, #sfa.codes<k = 2>>
  return
}

// -----

func.func @memref(%x: memref<1x1x4x8xf32>) {
  // expected-error @+1 {{invalid kind of type specified: expected builtin.tensor, but found 'memref<1x1x4x8xf32>'}}
  %0 = sfa.sparsify %x : memref<1x1x4x8xf32> -> tensor<1x1x4x8xf32, #sfa.codes<k = 2>>
  return
}

// -----

func.func @foreign_encoding(%x: tensor<1x1x4x8xf32, "mine">) {
  // expected-error @+1 {{operand #0 must be dense tensor [batch, heads, tokens, features] of 32-bit float or 16-bit float or bfloat16 type values, but got 'tensor<1x1x4x8xf32, "mine">'}}
  %0 = sfa.sparsify %x : tensor<1x1x4x8xf32, "mine"> -> tensor<1x1x4x8xf32, #sfa.codes<k = 2>>
  return
}

// -----

func.func @dynamic_heads(%x: tensor<1x?x4x8xf32>) {
  // expected-error @+1 {{'sfa.sparsify' op source has a dynamic dimension 1 (heads); only batch and tokens may be dynamic}}
  %0 = sfa.sparsify %x : tensor<1x?x4x8xf32> -> tensor<1x?x4x8xf32, #sfa.codes<k = 2>>
  return
}

// -----

func.func @dynamic_heads_of_result(%x: tensor<1x1x4x8xf32>) {
  // expected-error @+1 {{'sfa.sparsify' op result has a dynamic dimension 1 (heads); only batch and tokens may be dynamic}}
  %0 = sfa.sparsify %x : tensor<1x1x4x8xf32> -> tensor<1x?x4x8xf32, #sfa.codes<k = 2>>
  return
}

// -----

func.func @dynamic_features(%x: tensor<1x1x4x?xf32>) {
  // expected-error @+1 {{'sfa.sparsify' op source has a dynamic dimension 3 (features); only batch and tokens may be dynamic}}
  %0 = sfa.sparsify %x : tensor<1x1x4x?xf32> -> tensor<1x1x4x8xf32, #sfa.codes<k = 2>>
  return
}

// -----

func.func @element_type(%x: tensor<1x1x4x8xf32>) {
  // expected-error @+1 {{'sfa.sparsify' op result has elements of type 'f16', expected is 'f32', as the source; convert one of them}}
  %0 = sfa.sparsify %x : tensor<1x1x4x8xf32> -> tensor<1x1x4x8xf16, #sfa.codes<k = 2>>
  return
}

// -----

func.func @tokens(%x: tensor<1x1x4x8xf32>) {
  // expected-error @+1 {{'sfa.sparsify' op result has 5 in dimension 2 (tokens), expected is 4, as the source}}
  %0 = sfa.sparsify %x : tensor<1x1x4x8xf32> -> tensor<1x1x5x8xf32, #sfa.codes<k = 2>>
  return
}

// -----

func.func @features(%x: tensor<1x1x4x8xf32>) {
  // expected-error @+1 {{'sfa.sparsify' op result has 16 in dimension 3 (features), expected is 8, as the source}}
  %0 = sfa.sparsify %x : tensor<1x1x4x8xf32> -> tensor<1x1x4x16xf32, #sfa.codes<k = 2>>
  return
}

// -----

func.func @no_heads(%x: tensor<1x0x4x8xf32>) {
  // expected-error @+1 {{'sfa.sparsify' op source has 0 heads and 8 features; at least 1 of each is needed}}
  %0 = sfa.sparsify %x : tensor<1x0x4x8xf32> -> tensor<1x0x4x8xf32, #sfa.codes<k = 2>>
  return
}

// -----

func.func @generic_without_operand() {
  // expected-error @+1 {{'sfa.sparsify' op requires a single operand}}
  %0 = "sfa.sparsify"() : () -> tensor<1x1x4x8xf32, #sfa.codes<k = 2>>
  return
}

// -----

func.func @generic_with_region(%x: tensor<1x1x4x8xf32>) {
  // expected-error @+1 {{'sfa.sparsify' op requires zero regions}}
  %0 = "sfa.sparsify"(%x) ({}) : (tensor<1x1x4x8xf32>) -> tensor<1x1x4x8xf32, #sfa.codes<k = 2>>
  return
}

// -----

func.func @dense_result_is_codes(%x: tensor<1x1x4x8xf32>) {
  // expected-error @+1 {{'sfa.sparsify' op result #1 must be dense tensor [batch, heads, tokens, features]}}
  %0, %1 = sfa.sparsify %x : tensor<1x1x4x8xf32> -> tensor<1x1x4x8xf32, #sfa.codes<k = 2>>, tensor<1x1x4x8xf32, #sfa.codes<k = 2>>
  return
}

// -----

func.func @dense_result_of_other_shape(%x: tensor<1x1x4x8xf32>) {
  // expected-error @+1 {{'sfa.sparsify' op dense result has type 'tensor<1x1x?x8xf32>', expected is 'tensor<1x1x4x8xf32>', as the codes written out}}
  %0, %1 = sfa.sparsify %x : tensor<1x1x4x8xf32> -> tensor<1x1x4x8xf32, #sfa.codes<k = 2>>, tensor<1x1x?x8xf32>
  return
}

// -----

func.func @dense_result_of_other_element_type(%x: tensor<1x1x4x8xf32>) {
  // expected-error @+1 {{'sfa.sparsify' op dense result has type 'tensor<1x1x4x8xf16>', expected is 'tensor<1x1x4x8xf32>', as the codes written out}}
  %0, %1 = sfa.sparsify %x : tensor<1x1x4x8xf32> -> tensor<1x1x4x8xf32, #sfa.codes<k = 2>>, tensor<1x1x4x8xf16>
  return
}

// -----

func.func @scales_of_heads(%x: tensor<1x1x4x8xf32>) {
  // expected-error @+1 {{'sfa.sparsify' op rounds values with scales = tile or token, given is 'tensor<1x1x4x8xf32, #sfa.codes<k = 2, values = i8, scales = head>>'; use sfa.quantize for scales = head, which needs all rows before}}
  %0 = sfa.sparsify %x : tensor<1x1x4x8xf32> -> tensor<1x1x4x8xf32, #sfa.codes<k = 2, values = i8, scales = head>>
  return
}

// -----

func.func @rows_of_numbers(%x: tensor<1x1x4x8xf32>) {
  // expected-error @+1 {{'sfa.sparsify' op dense result has type 'tensor<1x1x4x8xf32>', expected is 'tensor<1x1x4x8xf32, #sfa.dense<values = i8, scales = tile>>', as the codes written out}}
  %0, %1 = sfa.sparsify %x : tensor<1x1x4x8xf32> -> tensor<1x1x4x8xf32, #sfa.codes<k = 2, values = i8, scales = tile>>, tensor<1x1x4x8xf32>
  return
}

// -----

func.func @rows_with_other_scales(%x: tensor<1x1x4x8xf32>) {
  // expected-error @+1 {{'sfa.sparsify' op dense result has type 'tensor<1x1x4x8xf32, #sfa.dense<values = i8, scales = token>>', expected is 'tensor<1x1x4x8xf32, #sfa.dense<values = i8, scales = tile>>', as the codes written out}}
  %0, %1 = sfa.sparsify %x : tensor<1x1x4x8xf32>
    -> tensor<1x1x4x8xf32, #sfa.codes<k = 2, values = i8, scales = tile>>, tensor<1x1x4x8xf32, #sfa.dense<values = i8, scales = token>>
  return
}

// -----

func.func @integers_of_numbers(%x: tensor<1x1x4x8xf32>) {
  // expected-error @+1 {{'sfa.sparsify' op dense result has type 'tensor<1x1x4x8xf32, #sfa.dense<values = i8, scales = tile>>', expected is 'tensor<1x1x4x8xf32>', as the codes written out}}
  %0, %1 = sfa.sparsify %x : tensor<1x1x4x8xf32> -> tensor<1x1x4x8xf32, #sfa.codes<k = 2>>, tensor<1x1x4x8xf32, #sfa.dense<values = i8, scales = tile>>
  return
}
