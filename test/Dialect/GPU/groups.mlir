// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s

// CHECK-LABEL: sfa_gpu.kernel @groups(
// CHECK-SAME: memref<?xi32>, %{{.*}}: memref<?x?xi32>) warps 8 consumers 0 to 8 persistent
sfa_gpu.kernel @groups(%lengths: memref<?xi32>, %pages: memref<?x?xi32>) warps 8 consumers 0 to 8 persistent {
  // CHECK: sfa_gpu.split_order %{{.*}}, %{{.*}} pages of 64 at 2048 : memref<?xi32>, memref<?x?xi32> -> !sfa_gpu.point_order
  %order = sfa_gpu.split_order %lengths, %pages pages of 64 at 2048 : memref<?xi32>, memref<?x?xi32> -> !sfa_gpu.point_order
  // CHECK: %[[RINGS:.*]] = sfa_gpu.ring guarded by 2 writers, 1 readers at 4096 barriers_at 65536 : !sfa_gpu.ring<2 x 3 of 64x64xbf16, swizzled>
  %rings = sfa_gpu.ring guarded by 2 writers, 1 readers at 4096 barriers_at 65536
    : !sfa_gpu.ring<2 x 3 of 64x64xbf16, swizzled>
  // CHECK: sfa_gpu.ring beside %[[RINGS]] : !sfa_gpu.ring<2 x 3 of 64x64xbf16, swizzled> at 53248 : !sfa_gpu.ring<2 x 3 of 64xf32, linear>
  %numbers = sfa_gpu.ring beside %rings : !sfa_gpu.ring<2 x 3 of 64x64xbf16, swizzled> at 53248
    : !sfa_gpu.ring<2 x 3 of 64xf32, linear>
  // CHECK: sfa_gpu.each_group (%[[GROUP:.*]]) of 4 warps {
  sfa_gpu.each_group (%group) of 4 warps {
    // CHECK: sfa_gpu.ring_of %{{.*}}[%[[GROUP]]] : !sfa_gpu.ring<2 x 3 of 64xf32, linear>
    %mine = sfa_gpu.ring_of %numbers[%group] : !sfa_gpu.ring<2 x 3 of 64xf32, linear>
    // CHECK: sfa_gpu.barrier{{$}}
    sfa_gpu.barrier
    // CHECK: sfa_gpu.barrier of_role{{$}}
    sfa_gpu.barrier of_role
  // CHECK: }
  }
  // CHECK: sfa_gpu.each_group (%{{.*}}) of 1 warps attributes {note} {
  sfa_gpu.each_group (%warp) of 1 warps attributes {note} {
  }
}
