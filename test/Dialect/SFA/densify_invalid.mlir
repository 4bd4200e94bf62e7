// RUN: sfa-opt %s -split-input-file -verify-diagnostics

func.func @dense(%x: tensor<1x1x4x8xf32>) {
  // expected-error @+1 {{'sfa.densify' op operand #0 must be tensor [batch, heads, tokens, features] with encoding #sfa.codes of 32-bit float or 16-bit float or bfloat16 type values, but got 'tensor<1x1x4x8xf32>'}}
  %0 = sfa.densify %x : tensor<1x1x4x8xf32>
  return
}

// -----

func.func @unranked(%x: tensor<*xf32>) {
  // expected-error @+1 {{invalid kind of type specified: expected builtin.tensor, but found 'tensor<*xf32>'}}
  %0 = sfa.densify %x : tensor<*xf32>
  return
}

// -----

func.func @dynamic_heads(%x: tensor<1x?x4x8xf32, #sfa.codes<k = 2>>) {
  // expected-error @+1 {{'sfa.densify' op codes has a dynamic dimension 1 (heads); only batch and tokens may be dynamic}}
  %0 = sfa.densify %x : tensor<1x?x4x8xf32, #sfa.codes<k = 2>>
  return
}

// -----

func.func @result_type(%x: tensor<1x1x4x8xf32, #sfa.codes<k = 2>>) {
  // expected-error @+2 {{'sfa.densify' op failed to infer returned types}}
  // expected-error @+1 {{'sfa.densify' op inferred type(s) 'tensor<1x1x4x8xf32>' are incompatible with return type(s) of operation 'tensor<1x1x4x9xf32>'}}
  %0 = "sfa.densify"(%x) : (tensor<1x1x4x8xf32, #sfa.codes<k = 2>>) -> tensor<1x1x4x9xf32>
  return
}

// -----

func.func @generic_of_a_number(%x: f32) {
  // expected-error @+1 {{'sfa.densify' op operand #0 must be tensor [batch, heads, tokens, features] with encoding #sfa.codes of 32-bit float or 16-bit float or bfloat16 type values, but got 'f32'}}
  %0 = "sfa.densify"(%x) : (f32) -> tensor<1x1x4x9xf32>
  return
}

// -----

func.func @generic_without_operand() {
  // expected-error @+1 {{'sfa.densify' op requires a single operand}}
  %0 = "sfa.densify"() : () -> tensor<1x1x4x9xf32>
  return
}

// -----

func.func @quantized_of_numbers(%x: tensor<1x1x4x8xf32, #sfa.codes<k = 2>>) {
  // expected-error @+1 {{'sfa.densify' op makes 8-bit rows of codes with 8-bit values, given is 'tensor<1x1x4x8xf32, #sfa.codes<k = 2>>'; leave 'quantized' out or use sfa.quantize before}}
  %0 = sfa.densify %x quantized : tensor<1x1x4x8xf32, #sfa.codes<k = 2>>
  return
}
