// RUN: sfa-opt --sfa-merge-kernels %s | FileCheck %s

// Kernels that differ in a constant, in the type of a memory, in a schedule or in their module stay apart.

// CHECK: sfa_tile.kernel @a(
// CHECK-NOT: @b(
// CHECK: sfa_tile.kernel @constant(
// CHECK: sfa_tile.kernel @type(
// CHECK: sfa_tile.kernel @schedule(
// CHECK-LABEL: func.func @f
// CHECK: sfa_tile.launch @a
// CHECK: sfa_tile.launch @a
// CHECK: sfa_tile.launch @constant
// CHECK: module @inside
// CHECK: sfa_tile.kernel @b(
// CHECK: sfa_tile.launch @b

sfa_tile.kernel @a(%x: memref<1x1x?x64xf16>, %y: memref<1x1x?x64xf16>) grid(%b, %h, %t) {
  %c64 = arith.constant 64 : index
  %row = arith.muli %t, %c64 : index
  %tile = sfa_tile.load %x[%b, %h, %row] : memref<1x1x?x64xf16> -> !sfa_tile.tile<64x64xf16>
  sfa_tile.store %tile, %y[%b, %h, %row] : !sfa_tile.tile<64x64xf16>, memref<1x1x?x64xf16>
}
sfa_tile.kernel @b(%x: memref<1x1x?x64xf16>, %y: memref<1x1x?x64xf16>) grid(%b, %h, %t) {
  %c64 = arith.constant 64 : index
  %row = arith.muli %t, %c64 : index
  %tile = sfa_tile.load %x[%b, %h, %row] : memref<1x1x?x64xf16> -> !sfa_tile.tile<64x64xf16>
  sfa_tile.store %tile, %y[%b, %h, %row] : !sfa_tile.tile<64x64xf16>, memref<1x1x?x64xf16>
}
sfa_tile.kernel @constant(%x: memref<1x1x?x64xf16>, %y: memref<1x1x?x64xf16>) grid(%b, %h, %t) {
  %c64 = arith.constant 65 : index
  %row = arith.muli %t, %c64 : index
  %tile = sfa_tile.load %x[%b, %h, %row] : memref<1x1x?x64xf16> -> !sfa_tile.tile<64x64xf16>
  sfa_tile.store %tile, %y[%b, %h, %row] : !sfa_tile.tile<64x64xf16>, memref<1x1x?x64xf16>
}
sfa_tile.kernel @type(%x: memref<1x1x?x64xf16>, %y: memref<1x2x?x64xf16>) grid(%b, %h, %t) {
  %c64 = arith.constant 64 : index
  %row = arith.muli %t, %c64 : index
  %tile = sfa_tile.load %x[%b, %h, %row] : memref<1x1x?x64xf16> -> !sfa_tile.tile<64x64xf16>
  sfa_tile.store %tile, %y[%b, %h, %row] : !sfa_tile.tile<64x64xf16>, memref<1x2x?x64xf16>
}
sfa_tile.kernel @schedule(%x: memref<1x1x?x64xf16>, %y: memref<1x1x?x64xf16>) grid(%b, %h, %t)
    attributes {schedule = #sfa.schedule<q_tile = 64>} {
  %c64 = arith.constant 64 : index
  %row = arith.muli %t, %c64 : index
  %tile = sfa_tile.load %x[%b, %h, %row] : memref<1x1x?x64xf16> -> !sfa_tile.tile<64x64xf16>
  sfa_tile.store %tile, %y[%b, %h, %row] : !sfa_tile.tile<64x64xf16>, memref<1x1x?x64xf16>
}

func.func @f(%x: memref<1x1x?x64xf16>, %y: memref<1x1x?x64xf16>, %n: index) {
  sfa_tile.launch @a grid(%n, %n, %n) ins(%x : memref<1x1x?x64xf16>) outs(%y : memref<1x1x?x64xf16>)
  sfa_tile.launch @b grid(%n, %n, %n) ins(%x : memref<1x1x?x64xf16>) outs(%y : memref<1x1x?x64xf16>)
  sfa_tile.launch @constant grid(%n, %n, %n) ins(%x : memref<1x1x?x64xf16>) outs(%y : memref<1x1x?x64xf16>)
  return
}

module @inside {
  sfa_tile.kernel @b(%x: memref<1x1x?x64xf16>, %y: memref<1x1x?x64xf16>) grid(%b, %h, %t) {
    %c64 = arith.constant 64 : index
    %row = arith.muli %t, %c64 : index
    %tile = sfa_tile.load %x[%b, %h, %row] : memref<1x1x?x64xf16> -> !sfa_tile.tile<64x64xf16>
    sfa_tile.store %tile, %y[%b, %h, %row] : !sfa_tile.tile<64x64xf16>, memref<1x1x?x64xf16>
  }
  func.func @f(%x: memref<1x1x?x64xf16>, %y: memref<1x1x?x64xf16>, %n: index) {
    sfa_tile.launch @b grid(%n, %n, %n) ins(%x : memref<1x1x?x64xf16>) outs(%y : memref<1x1x?x64xf16>)
    return
  }
}
