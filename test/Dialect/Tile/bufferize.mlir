// RUN: sfa-opt %s -one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map" | FileCheck %s

sfa_tile.kernel @k(%a: memref<1x8x?x128xf32, strided<[?, ?, ?, 1], offset: ?>>, %o: memref<1x8x?x128xf32, strided<[?, ?, ?, 1], offset: ?>>)
    grid(%b, %h, %t) {
}

// The output's memory is the destination's: nothing is copied.
// CHECK-LABEL: @in_place(
// CHECK-SAME: %[[X:[^:]*]]: memref<1x8x?x128xf32>
// CHECK: %[[NEW:.*]] = memref.alloc
// CHECK-DAG: %[[A:.*]] = memref.cast %[[X]] : memref<1x8x?x128xf32> to memref<1x8x?x128xf32, strided<[?, ?, ?, 1], offset: ?>>
// CHECK-DAG: %[[O:.*]] = memref.cast %[[NEW]]
// CHECK-NOT: memref.copy
// CHECK: sfa_tile.launch @k grid({{.*}}) ins(%[[A]] : {{.*}}) outs(%[[O]] : {{.*}}){{$}}
// CHECK: return %[[NEW]]
func.func @in_place(%x: tensor<1x8x?x128xf32>, %n: index) -> tensor<1x8x?x128xf32> {
  %init = tensor.empty(%n) : tensor<1x8x?x128xf32>
  %0 = sfa_tile.launch @k grid(%n, %n, %n) ins(%x : tensor<1x8x?x128xf32>) outs(%init : tensor<1x8x?x128xf32>) -> tensor<1x8x?x128xf32>
  return %0 : tensor<1x8x?x128xf32>
}

// A destination that is read later keeps its content: the launch writes to other memory, without a copy, as it reads
// nothing of it.
// CHECK-LABEL: @read_later(
// CHECK-SAME: %[[X:[^:]*]]: memref<1x8x?x128xf32>, %[[INIT:[^:]*]]: memref<1x8x?x128xf32>
// CHECK: %[[NEW:.*]] = memref.alloc
// CHECK-NOT: memref.copy
// CHECK: %[[O:.*]] = memref.cast %[[NEW]]
// CHECK: sfa_tile.launch @k grid({{.*}}) ins({{.*}}) outs(%[[O]] :
// CHECK: %[[A:.*]] = memref.cast %[[INIT]]
// CHECK: sfa_tile.launch @k grid({{.*}}) ins(%[[A]] : {{.*}})
func.func @read_later(%x: tensor<1x8x?x128xf32>, %init: tensor<1x8x?x128xf32>, %n: index) -> (tensor<1x8x?x128xf32>, tensor<1x8x?x128xf32>) {
  %0 = sfa_tile.launch @k grid(%n, %n, %n) ins(%x : tensor<1x8x?x128xf32>) outs(%init : tensor<1x8x?x128xf32>) -> tensor<1x8x?x128xf32>
  %1 = sfa_tile.launch @k grid(%n, %n, %n) ins(%init : tensor<1x8x?x128xf32>) outs(%x : tensor<1x8x?x128xf32>) -> tensor<1x8x?x128xf32>
  return %0, %1 : tensor<1x8x?x128xf32>, tensor<1x8x?x128xf32>
}
