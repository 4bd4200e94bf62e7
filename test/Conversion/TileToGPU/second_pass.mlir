// RUN: sfa-opt --canonicalize --sfa-assign-schedule=chip=sm_90a --convert-sfa-to-tile --canonicalize --cse \
// RUN:   --one-shot-bufferize="bufferize-function-boundaries" --canonicalize --cse %s > %t.tile
// RUN: sfa-opt --sfa-gpu-specialize=chip=sm_90a %t.tile | FileCheck %s
// RUN: sfa-opt --sfa-gpu-specialize=chip=sm_80 %t.tile | FileCheck %s --check-prefix=WARPS

// Points whose accumulator is not finite are marked, and all roles go over the grid once more. The queries of the second
// pass have barriers of their own; its loop has no lookahead.

// CHECK: %[[QUERIES:.*]] = sfa_gpu.ring {{.*}} : !sfa_gpu.ring<1 of
// CHECK: %[[AGAIN:.*]] = sfa_gpu.ring {{.*}} same_places %[[QUERIES]]
// CHECK: sfa_gpu.ring {{.*}} ones
// CHECK: %[[MARKS:.*]] = sfa_gpu.marks
// CHECK: sfa_gpu.roles producer
// CHECK: sfa_gpu.copy {{.*}} to %[[QUERIES]]
// CHECK: nvvm.barrier
// CHECK: %[[SOME:.*]] = sfa_gpu.is_marked %[[MARKS]] :
// CHECK: scf.if %[[SOME]]
// CHECK: sfa_gpu.copy {{.*}} to %[[AGAIN]]
// CHECK: } consumers
// CHECK: sfa_gpu.tile_loop {{.*}} lookahead 1
// CHECK: %[[BAD:.*]] = sfa_tile.not_finite
// CHECK: %[[ANY:.*]] = sfa_tile.any %[[BAD]]
// CHECK: scf.if %[[ANY]]
// CHECK-NEXT: sfa_gpu.mark %[[MARKS]]
// CHECK: nvvm.barrier
// CHECK: sfa_gpu.is_marked %[[MARKS]] :
// CHECK: sfa_gpu.is_marked %[[MARKS]][
// CHECK: sfa_gpu.tile_loop {{.*}} lookahead 0

// WARPS: sfa_gpu.tile_loop
// WARPS: %[[BAD:.*]] = sfa_tile.not_finite
// WARPS: %[[ANY:.*]] = sfa_gpu.any_of_block %[[BAD]]
// WARPS: scf.if %[[ANY]]
// WARPS: sfa_gpu.tile_loop

func.func @attention(%q: tensor<1x16x?x128xbf16>, %k: tensor<1x8x?x128xbf16>, %v: tensor<1x8x?x128xbf16>)
    -> tensor<1x16x?x128xbf16> {
  %o = sfa.attention %q, %k, %v schedule <softmax = lazy>
    : tensor<1x16x?x128xbf16>, tensor<1x8x?x128xbf16>, tensor<1x8x?x128xbf16> -> tensor<1x16x?x128xbf16>
  return %o : tensor<1x16x?x128xbf16>
}
