// RUN: sfa-opt %s | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --emit-bytecode %s | sfa-opt | FileCheck %s

// CHECK-LABEL: sfa_tile.kernel @empty() grid(%batch, %head, %tile) {
// CHECK-NEXT: }
sfa_tile.kernel @empty() grid(%b, %h, %t) {
}

// CHECK-LABEL: sfa_tile.kernel @scheduled() grid(%batch, %head, %tile) schedule <strategy = gather> attributes {note = 1 : i64} {
sfa_tile.kernel @scheduled() grid(%b, %h, %t) schedule <strategy = gather> attributes {note = 1} {
  sfa_tile.return
}

// Arguments are named after what the kernel does with them.
// CHECK-LABEL: sfa_tile.kernel @names(
// CHECK-SAME: %source: memref<1x8x?x128xbf16>, %output: memref<1x8x?x128xbf16, strided<[?, ?, ?, 1], offset: ?>>, %arg0: memref<1x1x1xf32>)
// CHECK-SAME: grid(%batch, %head, %tile)
// CHECK: sfa_tile.load %source[%batch, %head, %tile]
// CHECK: sfa_tile.store %{{.*}}, %output[%batch, %head, %tile]
sfa_tile.kernel @names(%a: memref<1x8x?x128xbf16>, %c: memref<1x8x?x128xbf16, strided<[?, ?, ?, 1], offset: ?>>,
                       %unused: memref<1x1x1xf32>) grid(%b, %h, %t) {
  %x = sfa_tile.load %a[%b, %h, %t] : memref<1x8x?x128xbf16> -> !sfa_tile.tile<64x128xbf16>
  sfa_tile.store %x, %c[%b, %h, %t] : !sfa_tile.tile<64x128xbf16>, memref<1x8x?x128xbf16, strided<[?, ?, ?, 1], offset: ?>>
}
