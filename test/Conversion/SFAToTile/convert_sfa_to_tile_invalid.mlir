// RUN: sfa-opt %s -convert-sfa-to-tile -allow-unregistered-dialect -split-input-file -verify-diagnostics

func.func @f(%x: tensor<1x1x4x64xf32, #sfa.codes<k = 8>>, %i: index) -> f32 {
  // expected-error @+1 {{'tensor.extract' op cannot use codes, given is 'tensor<1x1x4x64xf32, #sfa.codes<k = 8>>'; write them out with sfa.densify before}}
  %0 = tensor.extract %x[%i, %i, %i, %i] : tensor<1x1x4x64xf32, #sfa.codes<k = 8>>
  return %0 : f32
}

// -----

func.func @f() -> tensor<1x1x4x64xf32, #sfa.codes<k = 8>> {
  // expected-error @+1 {{'arith.constant' op cannot use codes, given is 'tensor<1x1x4x64xf32, #sfa.codes<k = 8>>'; write them out with sfa.densify before}}
  %0 = arith.constant dense<0.0> : tensor<1x1x4x64xf32, #sfa.codes<k = 8>>
  return %0 : tensor<1x1x4x64xf32, #sfa.codes<k = 8>>
}

// -----

func.func @f() -> tensor<1x1x4x64xf32, #sfa.codes<k = 8>> {
  // expected-error @+1 {{'tensor.empty' op cannot use codes}}
  %0 = tensor.empty() : tensor<1x1x4x64xf32, #sfa.codes<k = 8>>
  return %0 : tensor<1x1x4x64xf32, #sfa.codes<k = 8>>
}

// -----

func.func @f(%x: tensor<1x1x4x64xf32, #sfa.codes<k = 8>>) -> tensor<1x1x4x64xf32, #sfa.codes<k = 8>> {
  // expected-error @+1 {{'arith.addf' op cannot use codes}}
  %0 = arith.addf %x, %x : tensor<1x1x4x64xf32, #sfa.codes<k = 8>>
  return %0 : tensor<1x1x4x64xf32, #sfa.codes<k = 8>>
}

// -----

func.func @f(%x: tensor<1x1x4x64xf32, #sfa.codes<k = 8>>) -> tensor<1x1x4x64xf32> {
  // expected-error @+1 {{'tensor.cast' op turns 'tensor<1x1x4x64xf32, #sfa.codes<k = 8>>' into 'tensor<1x1x4x64xf32>'; use sfa.sparsify and sfa.densify for that}}
  %0 = tensor.cast %x : tensor<1x1x4x64xf32, #sfa.codes<k = 8>> to tensor<1x1x4x64xf32>
  return %0 : tensor<1x1x4x64xf32>
}

// -----

func.func @f(%x: tensor<1x1x4x64xf32, #sfa.codes<k = 8>>) -> tensor<1x1x4x64xf32, #sfa.codes<k = 4>> {
  // expected-error @+1 {{'tensor.cast' op turns 'tensor<1x1x4x64xf32, #sfa.codes<k = 8>>' into 'tensor<1x1x4x64xf32, #sfa.codes<k = 4>>'; use sfa.sparsify and sfa.densify for that}}
  %0 = tensor.cast %x : tensor<1x1x4x64xf32, #sfa.codes<k = 8>> to tensor<1x1x4x64xf32, #sfa.codes<k = 4>>
  return %0 : tensor<1x1x4x64xf32, #sfa.codes<k = 4>>
}

// -----

func.func @f(%x: tensor<1x1x4x64xf32, #sfa.codes<k = 8>>) {
  // expected-error @+1 {{'my.use' op cannot use codes}}
  "my.use"(%x) : (tensor<1x1x4x64xf32, #sfa.codes<k = 8>>) -> ()
  return
}

// -----

func.func @f(%x: tensor<1x1x4x64xf32, #sfa.codes<k = 8>>) -> tensor<1x1x4x64xf32, #sfa.codes<k = 8>> {
  // expected-error @+1 {{'cf.br' op cannot use codes}}
  cf.br ^bb1(%x : tensor<1x1x4x64xf32, #sfa.codes<k = 8>>)
  ^bb1(%y: tensor<1x1x4x64xf32, #sfa.codes<k = 8>>):
  return %y : tensor<1x1x4x64xf32, #sfa.codes<k = 8>>
}

// -----

func.func private @g(tensor<1x1x4x64xf32, #sfa.codes<k = 8>>)
func.func @f() -> ((tensor<1x1x4x64xf32, #sfa.codes<k = 8>>) -> ()) {
  // expected-error @+1 {{'func.constant' op cannot use codes}}
  %0 = func.constant @g : (tensor<1x1x4x64xf32, #sfa.codes<k = 8>>) -> ()
  return %0 : (tensor<1x1x4x64xf32, #sfa.codes<k = 8>>) -> ()
}

// -----

func.func @f(%x: tensor<1x1x4x64xf32>) -> tensor<1x1x4x64xf32> {
  // expected-error @+2 {{'sfa.attention' op has no complete schedule; run sfa-assign-schedule before}}
  // expected-error @+1 {{failed to legalize operation 'sfa.attention'}}
  %0 = sfa.attention %x, %x, %x schedule <strategy = dense>
    : tensor<1x1x4x64xf32>, tensor<1x1x4x64xf32>, tensor<1x1x4x64xf32> -> tensor<1x1x4x64xf32>
  return %0 : tensor<1x1x4x64xf32>
}

// -----

// At the top level of a module the order of operations does not count.
// expected-error @+1 {{'sfa.densify' op is in a region whose order does not count, where a value may depend on itself; put it into a func.func}}
%0 = sfa.densify %1 : tensor<1x1x?x64xf32, #sfa.codes<k = 64>>
%1 = sfa.sparsify %0 : tensor<1x1x?x64xf32> -> tensor<1x1x?x64xf32, #sfa.codes<k = 64>>
