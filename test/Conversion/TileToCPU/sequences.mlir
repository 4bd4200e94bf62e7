// RUN: sfa-opt %s -convert-tile-to-cpu | FileCheck %s

// The search for the sequence: offsets are brought into the memory, and read only where there are some.
// CHECK-LABEL: func.func private @f(
// CHECK-DAG: %[[COUNT:.*]] = memref.dim %[[OFFSETS:.*]], %c0
// CHECK: arith.minsi
// CHECK: scf.if
// CHECK: scf.while
// CHECK: scf.condition
// CHECK: %[[OFFSET:.*]] = memref.load %[[OFFSETS]]
// CHECK: %[[INDEX:.*]] = arith.index_cast %[[OFFSET]] : i32 to index
// CHECK: %[[POSITIVE:.*]] = arith.maxsi %[[INDEX]]
// CHECK: arith.minsi %[[POSITIVE]]
// CHECK: arith.divui
sfa_tile.kernel @f(%cu_q: memref<?xi32>, %cu_k: memref<?xi32>, %x: memref<1x1x?x64xf32>, %y: memref<1x1x?x64xf32>)
    grid(%b, %h, %t) {
  %c2 = arith.constant 2 : index
  %n = memref.dim %x, %c2 : memref<1x1x?x64xf32>
  %row, %begin, %end, %first, %last = sfa_tile.sequence_tile %cu_q, %cu_k[%t] by 16 of [%n, %n] : memref<?xi32>, memref<?xi32>
  %at = arith.addi %begin, %row : index
  %tile = sfa_tile.load %x[%b, %h, %at] limit %end : memref<1x1x?x64xf32> -> !sfa_tile.tile<16x64xf32>
  sfa_tile.store %tile, %y[%b, %h, %at] limit %end : !sfa_tile.tile<16x64xf32>, memref<1x1x?x64xf32>
}
