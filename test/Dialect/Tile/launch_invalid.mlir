// RUN: sfa-opt %s -split-input-file -verify-diagnostics

sfa_tile.kernel @k(%a: memref<1x8x?x128xf32>, %o: memref<1x8x?x128xf32>) grid(%b, %h, %t) {}

func.func @f(%i: index, %x: tensor<1x8x?x128xf32>) {
  // expected-error @+1 {{'sfa_tile.launch' op names no sfa_tile.kernel: @unknown}}
  %0 = sfa_tile.launch @unknown grid(%i, %i, %i) ins(%x : tensor<1x8x?x128xf32>) outs(%x : tensor<1x8x?x128xf32>) -> tensor<1x8x?x128xf32>
  return
}

// -----

sfa_tile.kernel @k(%a: memref<1x8x?x128xf32>, %o: memref<1x8x?x128xf32>) grid(%b, %h, %t) {}

func.func @f(%i: index, %x: tensor<1x8x?x128xf32>) {
  // expected-error @+1 {{'sfa_tile.launch' op names no sfa_tile.kernel: @f}}
  %0 = sfa_tile.launch @f grid(%i, %i, %i) ins(%x : tensor<1x8x?x128xf32>) outs(%x : tensor<1x8x?x128xf32>) -> tensor<1x8x?x128xf32>
  return
}

// -----

sfa_tile.kernel @k(%a: memref<1x8x?x128xf32>, %o: memref<1x8x?x128xf32>) grid(%b, %h, %t) {}

func.func @f(%i: index, %x: tensor<1x8x?x128xf32>) {
  // expected-error @+1 {{has 1 operands, but the kernel takes 2 memories}}
  %0 = sfa_tile.launch @k grid(%i, %i, %i) ins() outs(%x : tensor<1x8x?x128xf32>) -> tensor<1x8x?x128xf32>
  return
}

// -----

sfa_tile.kernel @k(%a: memref<1x8x?x128xf32>, %o: memref<1x8x?x128xf32>) grid(%b, %h, %t) {}

func.func @f(%i: index, %x: tensor<1x8x?x128xf32>, %y: tensor<1x4x?x128xf32>) {
  // expected-error @+1 {{passes 'tensor<1x4x?x128xf32>' where the kernel takes 'memref<1x8x?x128xf32>'}}
  %0 = sfa_tile.launch @k grid(%i, %i, %i) ins(%y : tensor<1x4x?x128xf32>) outs(%x : tensor<1x8x?x128xf32>) -> tensor<1x8x?x128xf32>
  return
}

// -----

sfa_tile.kernel @k(%a: memref<1x8x?x128xf32>, %o: memref<1x8x?x128xf32>) grid(%b, %h, %t) {}

func.func @f(%i: index, %x: tensor<1x8x?x128xf32>, %y: tensor<1x8x?x128xf16>) {
  // expected-error @+1 {{passes 'tensor<1x8x?x128xf16>' where the kernel takes 'memref<1x8x?x128xf32>'}}
  %0 = sfa_tile.launch @k grid(%i, %i, %i) ins(%y : tensor<1x8x?x128xf16>) outs(%x : tensor<1x8x?x128xf32>) -> tensor<1x8x?x128xf32>
  return
}

// -----

sfa_tile.kernel @k(%a: memref<1x8x?x128xf32>, %o: memref<1x8x?x128xf32>) grid(%b, %h, %t) {}

func.func @f(%i: index, %x: tensor<1x8x?x128xf32>, %y: memref<1x8x?x128xf32>) {
  // expected-error @+1 {{takes either tensors or memories alone, given is also 'memref<1x8x?x128xf32>'}}
  %0 = sfa_tile.launch @k grid(%i, %i, %i) ins(%y : memref<1x8x?x128xf32>) outs(%x : tensor<1x8x?x128xf32>) -> tensor<1x8x?x128xf32>
  return
}

// -----

sfa_tile.kernel @k(%a: memref<1x8x?x128xf32>, %o: memref<1x8x?x128xf32>) grid(%b, %h, %t) {}

func.func @f(%i: index, %x: tensor<1x8x?x128xf32>, %y: f32) {
  // expected-error @+1 {{takes either tensors or memories alone, given is also 'f32'}}
  %0 = sfa_tile.launch @k grid(%i, %i, %i) ins(%y : f32) outs(%x : tensor<1x8x?x128xf32>) -> tensor<1x8x?x128xf32>
  return
}

// -----

sfa_tile.kernel @k(%a: memref<1x8x?x128xf32>, %o: memref<1x8x?x128xf32>) grid(%b, %h, %t) {}

func.func @f(%i: index, %x: tensor<1x8x?x128xf32>, %y: tensor<*xf32>) {
  // expected-error @+1 {{takes either tensors or memories alone, given is also 'tensor<*xf32>'}}
  %0 = sfa_tile.launch @k grid(%i, %i, %i) ins(%y : tensor<*xf32>) outs(%x : tensor<1x8x?x128xf32>) -> tensor<1x8x?x128xf32>
  return
}

// -----

sfa_tile.kernel @k(%a: memref<1x8x?x128xf32>, %o: memref<1x8x?x128xf32>) grid(%b, %h, %t) {}

func.func @f(%i: index, %x: tensor<1x8x?x128xf32>, %y: tensor<1x8x?x128xf32, #sfa.codes<k = 3>>) {
  // expected-error @+1 {{takes tensors without an encoding, given is 'tensor<1x8x?x128xf32, #sfa.codes<k = 3>>'; codes are passed as their values and their indices}}
  %0 = sfa_tile.launch @k grid(%i, %i, %i) ins(%y : tensor<1x8x?x128xf32, #sfa.codes<k = 3>>) outs(%x : tensor<1x8x?x128xf32>) -> tensor<1x8x?x128xf32>
  return
}

// -----

sfa_tile.kernel @k(%a: memref<1x8x?x128xf32>, %o: memref<1x8x?x128xf32>) grid(%b, %h, %t) {}

func.func @f(%i: index, %x: tensor<1x8x?x128xf32>) {
  // expected-error @+1 {{returns one tensor for each output, of the same type}}
  sfa_tile.launch @k grid(%i, %i, %i) ins(%x : tensor<1x8x?x128xf32>) outs(%x : tensor<1x8x?x128xf32>)
  return
}

// -----

sfa_tile.kernel @k(%a: memref<1x8x?x128xf32>, %o: memref<1x8x?x128xf32>) grid(%b, %h, %t) {}

func.func @f(%i: index, %x: tensor<1x8x?x128xf32>) {
  // expected-error @+1 {{returns one tensor for each output, of the same type}}
  %0 = sfa_tile.launch @k grid(%i, %i, %i) ins(%x : tensor<1x8x?x128xf32>) outs(%x : tensor<1x8x?x128xf32>) -> tensor<1x8x4x128xf32>
  return
}

// -----

sfa_tile.kernel @k(%a: memref<1x8x?x128xf32>, %o: memref<1x8x?x128xf32>) grid(%b, %h, %t) {}

func.func @f(%i: index, %x: memref<1x8x?x128xf32>) {
  // expected-error @+1 {{on memories has no results}}
  %0 = sfa_tile.launch @k grid(%i, %i, %i) ins(%x : memref<1x8x?x128xf32>) outs(%x : memref<1x8x?x128xf32>) -> tensor<1x8x?x128xf32>
  return
}

// -----

sfa_tile.kernel @k(%a: memref<1x8x?x128xf32>, %o: memref<1x8x?x128xf32>) grid(%b, %h, %t) {}

func.func @f(%i: index, %x: tensor<1x8x?x128xf32>) {
  // expected-error @+1 {{expected ','}}
  %0 = sfa_tile.launch @k grid(%i, %i) ins(%x : tensor<1x8x?x128xf32>) outs(%x : tensor<1x8x?x128xf32>) -> tensor<1x8x?x128xf32>
  return
}

// -----

sfa_tile.kernel @k(%a: memref<1x8x?x128xf32>) grid(%b, %h, %t) {
  // expected-error @+1 {{'sfa_tile.launch' op is inside a kernel; a kernel cannot launch kernels}}
  sfa_tile.launch @k grid(%b, %h, %t) ins() outs(%a : memref<1x8x?x128xf32>)
}

// -----

sfa_tile.kernel @k(%a: memref<1x8x?x128xf32>, %scale: f32) grid(%b, %h, %t) {}

func.func @f(%i: index, %x: tensor<1x8x?x128xf32>) {
  // expected-error @+1 {{has 0 scalars, but the kernel takes 1}}
  %0 = sfa_tile.launch @k grid(%i, %i, %i) ins() outs(%x : tensor<1x8x?x128xf32>) -> tensor<1x8x?x128xf32>
  return
}
