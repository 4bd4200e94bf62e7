// RUN: sfa-opt %s -convert-tile-to-cpu=vector-bits=256 | FileCheck %s

// Of each row the log-sum-exps of all splits become weights, and then the outputs are added up.
// CHECK-LABEL: func.func private @combine(
// CHECK: scf.for
// CHECK: memref.load %{{.*}} : memref<?x24x?xf32>
// CHECK: arith.cmpf ogt
// CHECK: math.log
// CHECK: vector.load %{{.*}} : memref<?x24x?x20xf32>, vector<8xf32>
// CHECK: vector.fma
// CHECK: arith.divf %{{.*}} : vector<8xf32>
// The last four columns.
// CHECK: memref.load %{{.*}} : memref<?x24x?x20xf32>
// CHECK: arith.divf %{{.*}} : f32
sfa_tile.kernel @combine(%outputs: memref<?x24x?x20xf32>, %sums: memref<?x24x?xf32>, %o: memref<?x4x?x20xf16>, %l: memref<?x4x?xf32>)
    grid(%b, %h, %t) {
  %output, %lse = sfa_tile.combine %outputs, %sums[%b, %h, %t] of 6 splits
    : memref<?x24x?x20xf32>, memref<?x24x?xf32> -> !sfa_tile.tile<4x20xf32>, !sfa_tile.tile<4xf32>
  sfa_tile.store %output, %o[%b, %h, %t] : !sfa_tile.tile<4x20xf32>, memref<?x4x?x20xf16>
  sfa_tile.store %lse, %l[%b, %h, %t] : !sfa_tile.tile<4xf32>, memref<?x4x?xf32>
}
