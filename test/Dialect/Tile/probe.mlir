// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s

// CHECK-LABEL: sfa_tile.kernel @probed(
// CHECK-SAME: %[[PROBE:.*]]: memref<1x?x64x32xf32>, %[[ROWS:.*]]: memref<1x?x64xf32>) grid(
sfa_tile.kernel @probed(%probe: memref<1x?x64x32xf32>, %rows: memref<1x?x64xf32>) grid(%b, %h, %t) {
  %c0 = arith.constant 0 : index
  %here = arith.cmpi eq, %t, %c0 : index
  %tile = sfa_tile.fill 1.0 : !sfa_tile.tile<64x32xf32>
  %vector = sfa_tile.fill 1.0 : !sfa_tile.tile<64xf32>
  // CHECK: sfa_tile.probe %{{.*}}, %[[PROBE]][%{{.*}}, %{{.*}}, %{{.*}}] when %{{.*}} : !sfa_tile.tile<64x32xf32>, memref<1x?x64x32xf32>
  sfa_tile.probe %tile, %probe[%c0, %t, %c0] when %here : !sfa_tile.tile<64x32xf32>, memref<1x?x64x32xf32>
  // CHECK: sfa_tile.probe %{{.*}}, %[[ROWS]][%{{.*}}, %{{.*}}, %{{.*}}] when %{{.*}} {note = 1 : i64} : !sfa_tile.tile<64xf32>, memref<1x?x64xf32>
  sfa_tile.probe %vector, %rows[%c0, %t, %c0] when %here {note = 1} : !sfa_tile.tile<64xf32>, memref<1x?x64xf32>
}
