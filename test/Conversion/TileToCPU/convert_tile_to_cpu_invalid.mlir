// RUN: sfa-opt %s -convert-tile-to-cpu -allow-unregistered-dialect -split-input-file -verify-diagnostics

sfa_tile.kernel @k(%a: memref<1x1x?x8xf32>, %o: memref<1x1x?x8xf32>) grid(%b, %h, %t) {
  %x = sfa_tile.load %a[%b, %h, %t] : memref<1x1x?x8xf32> -> !sfa_tile.tile<8x8xf32>
  %c = arith.cmpi eq, %b, %h : index
  // expected-error @+1 {{'arith.select' op takes or returns '!sfa_tile.tile<8x8xf32>', which the CPU supports for sfa_tile operations only}}
  %z = arith.select %c, %x, %x : !sfa_tile.tile<8x8xf32>
  sfa_tile.store %z, %o[%b, %h, %t] : !sfa_tile.tile<8x8xf32>, memref<1x1x?x8xf32>
}

// -----

sfa_tile.kernel @k(%a: memref<1x1x?x8xf32>, %o: memref<1x1x?x8xf32>) grid(%b, %h, %t) {
  %x = sfa_tile.load %a[%b, %h, %t] : memref<1x1x?x8xf32> -> !sfa_tile.tile<8x8xf32>
  %c = arith.cmpi eq, %b, %h : index
  // expected-error @+1 {{'my.op' op takes or returns '!sfa_tile.tile<8x8xf32>', which the CPU supports for sfa_tile operations only}}
  %z = "my.op"(%x) : (!sfa_tile.tile<8x8xf32>) -> !sfa_tile.tile<8x8xf32>
  sfa_tile.store %z, %o[%b, %h, %t] : !sfa_tile.tile<8x8xf32>, memref<1x1x?x8xf32>
}

// -----

sfa_tile.kernel @k(%a: memref<1x1x?x8xf32>, %o: memref<1x1x?x8xf32>) grid(%b, %h, %t) {
  %x = sfa_tile.load %a[%b, %h, %t] : memref<1x1x?x8xf32> -> !sfa_tile.tile<8x8xf32>
  %c = arith.cmpi eq, %b, %h : index
  // expected-error @+1 {{'ub.poison' op takes or returns '!sfa_tile.tile<8x8xf32>', which the CPU supports for sfa_tile operations only}}
  %z = ub.poison : !sfa_tile.tile<8x8xf32>
  sfa_tile.store %z, %o[%b, %h, %t] : !sfa_tile.tile<8x8xf32>, memref<1x1x?x8xf32>
}

// -----

sfa_tile.kernel @k(%a: memref<1x1x?x8xf32>, %o: memref<1x1x?x8xf32>) grid(%b, %h, %t) {
  %x = sfa_tile.load %a[%b, %h, %t] : memref<1x1x?x8xf32> -> !sfa_tile.tile<8x8xf32>
  %c = arith.cmpi eq, %b, %h : index
  // expected-error @+1 {{'scf.execute_region' op is not supported in a kernel on the CPU}}
  %z = scf.execute_region -> !sfa_tile.tile<8x8xf32> { scf.yield %x : !sfa_tile.tile<8x8xf32> }
  sfa_tile.store %z, %o[%b, %h, %t] : !sfa_tile.tile<8x8xf32>, memref<1x1x?x8xf32>
}

// -----

// expected-error @+1 {{'sfa_tile.kernel' op has q_tile = 3; the CPU needs a multiple of}}
sfa_tile.kernel @k() grid(%b, %h, %t) schedule <q_tile = 3> {
}

// -----

// expected-error @+1 {{'sfa_tile.kernel' op has k_tile = 5; the CPU needs a multiple of}}
sfa_tile.kernel @k() grid(%b, %h, %t) schedule <k_tile = 5> {
}

// -----

sfa_tile.kernel @k(%o: memref<1x1x?x8xf32>) grid(%b, %h, %t) {
}
func.func @f(%x: tensor<1x1x?x8xf32>, %n: index) -> tensor<1x1x?x8xf32> {
  // expected-error @+1 {{'sfa_tile.launch' op is on tensors; bufferize before}}
  %0 = sfa_tile.launch @k grid(%n, %n, %n) ins() outs(%x : tensor<1x1x?x8xf32>) -> tensor<1x1x?x8xf32>
  return %0 : tensor<1x1x?x8xf32>
}

// -----

// expected-error @+1 {{'sfa_tile.kernel' op has tiles that do not fit: they need}}
sfa_tile.kernel @k(%a: memref<1x1x?x65536xf32>, %o: memref<1x1x?x65536xf32>) grid(%b, %h, %t) {
  %x = sfa_tile.load %a[%b, %h, %t] : memref<1x1x?x65536xf32> -> !sfa_tile.tile<65536x65536xf32>
  sfa_tile.store %x, %o[%b, %h, %t] : !sfa_tile.tile<65536x65536xf32>, memref<1x1x?x65536xf32>
}

// -----

sfa_tile.kernel @k(%a: memref<1x1x?x8xf32>) grid(%b, %h, %t) {
  %x = sfa_tile.load %a[%b, %h, %t] : memref<1x1x?x8xf32> -> !sfa_tile.tile<8x8xf32>
  %y = sfa_tile.load %a[%b, %h, %t] : memref<1x1x?x8xf32> -> !sfa_tile.tile<24x8xf32>
  // expected-error @+1 {{'sfa_tile.dot' op has scores of type '!sfa_tile.tile<8x24xf32>'; the CPU needs a multiple of 8 queries and of 16 keys}}
  %s = sfa_tile.dot %x, %y : !sfa_tile.tile<8x8xf32>, !sfa_tile.tile<24x8xf32> -> !sfa_tile.tile<8x24xf32>
}

// -----

sfa_tile.kernel @k(%a: memref<1x1x?x8xf32>) grid(%b, %h, %t) {
  %x = sfa_tile.load %a[%b, %h, %t] : memref<1x1x?x8xf32> -> !sfa_tile.tile<8x8xf32>
  // expected-error @+1 {{'sfa_tile.row_sum' op has scores of type '!sfa_tile.tile<8x8xf32>'; the CPU needs a multiple}}
  %s = sfa_tile.row_sum %x : !sfa_tile.tile<8x8xf32> -> !sfa_tile.tile<8xf32, partial>
}

// -----

// expected-error @+1 {{'func.func' op works on tiles, but is in no sfa_tile.kernel of the outermost module}}
func.func @f(%x: !sfa_tile.tile<8x16xf32>) {
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{'sfa_tile.fill' op works on tiles, but is in no sfa_tile.kernel of the outermost module}}
  %x = sfa_tile.fill 0.0 : !sfa_tile.tile<8xf32>
  return
}
