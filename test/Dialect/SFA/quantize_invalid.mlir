// RUN: sfa-opt %s -split-input-file -verify-diagnostics

func.func @dense(%x: tensor<1x1x4x8xf32>) {
  // expected-error @+1 {{'sfa.quantize' op operand #0 must be tensor [batch, heads, tokens, features] with encoding #sfa.codes of 32-bit float or 16-bit float or bfloat16 type values, but got 'tensor<1x1x4x8xf32>'}}
  %0 = sfa.quantize %x : tensor<1x1x4x8xf32> -> tensor<1x1x4x8xf32, #sfa.codes<k = 2, values = i8, scales = tile>>
  return
}

// -----

func.func @already_integers(%x: tensor<1x1x4x8xf32, #sfa.codes<k = 2, values = i8, scales = tile>>) {
  // expected-error @+1 {{'sfa.quantize' op makes codes with 8-bit values of others, given are 'tensor<1x1x4x8xf32, #sfa.codes<k = 2, values = i8, scales = tile>>' and 'tensor<1x1x4x8xf32, #sfa.codes<k = 2, values = i8, scales = tile>>'}}
  %0 = sfa.quantize %x : tensor<1x1x4x8xf32, #sfa.codes<k = 2, values = i8, scales = tile>> -> tensor<1x1x4x8xf32, #sfa.codes<k = 2, values = i8, scales = tile>>
  return
}

// -----

func.func @not_integers(%x: tensor<1x1x4x8xf32, #sfa.codes<k = 2>>) {
  // expected-error @+1 {{'sfa.quantize' op makes codes with 8-bit values of others, given are 'tensor<1x1x4x8xf32, #sfa.codes<k = 2>>' and 'tensor<1x1x4x8xf32, #sfa.codes<k = 2>>'}}
  %0 = sfa.quantize %x : tensor<1x1x4x8xf32, #sfa.codes<k = 2>> -> tensor<1x1x4x8xf32, #sfa.codes<k = 2>>
  return
}

// -----

func.func @other_k(%x: tensor<1x1x4x8xf32, #sfa.codes<k = 2>>) {
  // expected-error @+1 {{'sfa.quantize' op changes the values of codes only, given are 'tensor<1x1x4x8xf32, #sfa.codes<k = 2>>' and 'tensor<1x1x4x8xf32, #sfa.codes<k = 3, values = i8, scales = tile>>'; k and two_four have to agree}}
  %0 = sfa.quantize %x : tensor<1x1x4x8xf32, #sfa.codes<k = 2>> -> tensor<1x1x4x8xf32, #sfa.codes<k = 3, values = i8, scales = tile>>
  return
}

// -----

func.func @other_form(%x: tensor<1x1x4x8xf32, #sfa.codes<k = 2>>) {
  // expected-error @+1 {{'sfa.quantize' op changes the values of codes only}}
  %0 = sfa.quantize %x : tensor<1x1x4x8xf32, #sfa.codes<k = 2>> -> tensor<1x1x4x8xf32, #sfa.codes<k = 2, two_four, values = i8, scales = tile>>
  return
}

// -----

func.func @element_type(%x: tensor<1x1x4x8xf32, #sfa.codes<k = 2>>) {
  // expected-error @+1 {{'sfa.quantize' op result has elements of type 'f16', expected is 'f32', as the codes; convert one of them}}
  %0 = sfa.quantize %x : tensor<1x1x4x8xf32, #sfa.codes<k = 2>> -> tensor<1x1x4x8xf16, #sfa.codes<k = 2, values = i8, scales = tile>>
  return
}

// -----

func.func @tokens(%x: tensor<1x1x4x8xf32, #sfa.codes<k = 2>>) {
  // expected-error @+1 {{'sfa.quantize' op result has 5 in dimension 2 (tokens), expected is 4, as the codes}}
  %0 = sfa.quantize %x : tensor<1x1x4x8xf32, #sfa.codes<k = 2>> -> tensor<1x1x5x8xf32, #sfa.codes<k = 2, values = i8, scales = tile>>
  return
}

// -----

func.func @dynamic_heads(%x: tensor<1x?x4x8xf32, #sfa.codes<k = 2>>) {
  // expected-error @+1 {{'sfa.quantize' op codes has a dynamic dimension 1 (heads); only batch and tokens may be dynamic}}
  %0 = sfa.quantize %x : tensor<1x?x4x8xf32, #sfa.codes<k = 2>> -> tensor<1x?x4x8xf32, #sfa.codes<k = 2, values = i8, scales = tile>>
  return
}
