// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s

sfa_tile.kernel @densify(%values: memref<1x8x?x8xbf16>, %indices: memref<1x8x?x8xi8>, %out: memref<1x8x?x128xbf16>)
    grid(%b, %h, %t) {
}

// CHECK-LABEL: @on_tensors(
// CHECK: %{{.*}} = sfa_tile.launch @densify grid(%{{.*}}, %{{.*}}, %{{.*}}) ins(%{{.*}}, %{{.*}} : tensor<1x8x4x8xbf16>, tensor<1x8x?x8xi8>) outs(%{{.*}} : tensor<1x8x?x128xbf16>) {note = 1 : i64} -> tensor<1x8x?x128xbf16>
func.func @on_tensors(%b: index, %values: tensor<1x8x4x8xbf16>, %indices: tensor<1x8x?x8xi8>, %init: tensor<1x8x?x128xbf16>)
    -> tensor<1x8x?x128xbf16> {
  %0 = sfa_tile.launch @densify grid(%b, %b, %b) ins(%values, %indices : tensor<1x8x4x8xbf16>, tensor<1x8x?x8xi8>)
    outs(%init : tensor<1x8x?x128xbf16>) {note = 1} -> tensor<1x8x?x128xbf16>
  return %0 : tensor<1x8x?x128xbf16>
}

// CHECK-LABEL: @on_memories(
// CHECK: sfa_tile.launch @densify grid(%{{.*}}, %{{.*}}, %{{.*}}) ins(%{{.*}}, %{{.*}} : memref<1x8x?x8xbf16>, memref<1x8x?x8xi8>) outs(%{{.*}} : memref<1x8x?x128xbf16>){{$}}
func.func @on_memories(%b: index, %values: memref<1x8x?x8xbf16>, %indices: memref<1x8x?x8xi8>, %out: memref<1x8x?x128xbf16>) {
  sfa_tile.launch @densify grid(%b, %b, %b) ins(%values, %indices : memref<1x8x?x8xbf16>, memref<1x8x?x8xi8>)
    outs(%out : memref<1x8x?x128xbf16>)
  return
}

sfa_tile.kernel @scaled(%in: memref<1x8x?x128xf32>, %out: memref<1x8x?x128xf32>, %a: f32, %b: f32) grid(%i, %h, %t) {
}

// CHECK-LABEL: @scalars(
// CHECK: sfa_tile.launch @scaled grid({{.*}}) ins({{.*}}) outs({{.*}}) scalars(%{{.*}}, %{{.*}}) {note = 1 : i64} -> tensor<1x8x?x128xf32>
func.func @scalars(%i: index, %x: tensor<1x8x?x128xf32>, %a: f32) -> tensor<1x8x?x128xf32> {
  %0 = sfa_tile.launch @scaled grid(%i, %i, %i) ins(%x : tensor<1x8x?x128xf32>) outs(%x : tensor<1x8x?x128xf32>)
    scalars(%a, %a) {note = 1} -> tensor<1x8x?x128xf32>
  return %0 : tensor<1x8x?x128xf32>
}
