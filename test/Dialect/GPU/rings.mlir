// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s

// CHECK-LABEL: sfa_gpu.kernel @rings(
// CHECK-SAME: warps 12 consumers 4 to 12 persistent
sfa_gpu.kernel @rings(%key: memref<1x8x?x64xbf16>, %lse: memref<1x8x?xf32>, %output: memref<1x8x?x64xbf16>)
    warps 12 consumers 4 to 12 persistent {
  // CHECK: sfa_gpu.point_order : !sfa_gpu.point_order
  %order = sfa_gpu.point_order : !sfa_gpu.point_order
  // CHECK: %[[RING:.*]] = sfa_gpu.ring guarded by 1 writers, 8 readers ones at 1024 barriers_at 65536 : !sfa_gpu.ring<2 of 128x64xbf16, swizzled>
  %ring = sfa_gpu.ring guarded by 1 writers, 8 readers ones at 1024 barriers_at 65536
    : !sfa_gpu.ring<2 of 128x64xbf16, swizzled>
  // CHECK: sfa_gpu.ring guarded by 1 writers, 8 readers same_places %[[RING]]
  %again = sfa_gpu.ring guarded by 1 writers, 8 readers same_places %ring : !sfa_gpu.ring<2 of 128x64xbf16, swizzled>
    : !sfa_gpu.ring<2 of 128x64xbf16, swizzled>
  // CHECK: sfa_gpu.ring : !sfa_gpu.ring<3 of 128xf32, linear>
  %vectors = sfa_gpu.ring : !sfa_gpu.ring<3 of 128xf32, linear>
  // CHECK: %[[MARKS:.*]] = sfa_gpu.marks : !sfa_gpu.marks
  %marks = sfa_gpu.marks : !sfa_gpu.marks
  sfa_gpu.prepare
  // CHECK: sfa_gpu.roles producer warps 4 registers 24 {
  sfa_gpu.roles producer warps 4 registers 24 {
    %start = sfa_gpu.start : !sfa_gpu.position
    %leads = sfa_gpu.is_leader 0
    scf.if %leads {
      // CHECK: sfa_gpu.for_points (%[[ROUND:.*]], %[[B:.*]], %[[H:.*]], %[[T:.*]]) in %{{.*}} carry (%[[P:.*]] = %{{.*}}) : (!sfa_gpu.position) {
      %end = sfa_gpu.for_points (%round, %b, %h, %t) in %order carry (%p = %start) : (!sfa_gpu.position) {
        // CHECK: sfa_gpu.acquire %[[RING]][%[[P]]]
        sfa_gpu.acquire %ring[%p] : !sfa_gpu.ring<2 of 128x64xbf16, swizzled>
        // CHECK: sfa_gpu.copy %{{.*}}[%[[B]], %[[H]], %[[T]]] heads 2 to %[[RING]][%[[P]]]
        sfa_gpu.copy %key[%b, %h, %t] heads 2 to %ring[%p] : memref<1x8x?x64xbf16>, !sfa_gpu.ring<2 of 128x64xbf16, swizzled>
        // CHECK: sfa_gpu.advance %[[P]] of 2 : !sfa_gpu.position
        %next = sfa_gpu.advance %p of 2 : !sfa_gpu.position
        sfa_gpu.yield %next : !sfa_gpu.position
      }
    }
    sfa_gpu.yield
  // CHECK: } consumers warps 8 registers 240 {
  } consumers warps 8 registers 240 {
    %lane = sfa_gpu.lane : i32
    sfa_gpu.for_points (%round, %b, %h, %t) {
      // CHECK: sfa_gpu.position_after
      %p = sfa_gpu.position_after %round : !sfa_gpu.position
      // CHECK: sfa_gpu.await
      sfa_gpu.await %ring[%p] : !sfa_gpu.ring<2 of 128x64xbf16, swizzled>
      // CHECK: sfa_gpu.place %[[RING]][%{{.*}} : !sfa_gpu.position]
      %tile = sfa_gpu.place %ring[%p : !sfa_gpu.position] : !sfa_gpu.ring<2 of 128x64xbf16, swizzled>
      // CHECK: sfa_gpu.is_first_place
      %first = sfa_gpu.is_first_place %p : !sfa_gpu.position
      // CHECK: sfa_gpu.clear_rows
      sfa_gpu.clear_rows %tile from %t : !sfa_gpu.shared<128x64xbf16, swizzled>
      // CHECK: sfa_gpu.step_back
      %back = sfa_gpu.step_back %p of 2 : !sfa_gpu.position
      // CHECK: sfa_gpu.release %[[RING]][%{{.*}}] when
      sfa_gpu.release %ring[%back] when %first : !sfa_gpu.ring<2 of 128x64xbf16, swizzled>
      // CHECK: sfa_gpu.point_again %{{.*}} in
      %b2, %h2, %t2 = sfa_gpu.point_again %round in %order
      // CHECK: sfa_gpu.lane again
      %again_lane = sfa_gpu.lane again : i32
      %o = sfa_tile.fill 0.0 : !sfa_tile.tile<128x64xf32>
      %l = sfa_tile.fill 0.0 : !sfa_tile.tile<128xf32>
      // CHECK: sfa_gpu.store %{{.*}}, %{{.*}}[%{{.*}}] limit %{{.*}} heads 2 by
      sfa_gpu.store %o, %output[%b2, %h2, %t2] limit %t heads 2 by %again_lane : !sfa_tile.tile<128x64xf32>, memref<1x8x?x64xbf16>
      // CHECK: sfa_gpu.store
      sfa_gpu.store %l, %lse[%b2, %h2, %t2] by %lane : !sfa_tile.tile<128xf32>, memref<1x8x?xf32>
      // CHECK: sfa_gpu.mark %[[MARKS]][
      sfa_gpu.mark %marks[%round] : !sfa_gpu.marks
      sfa_gpu.yield
    }
    // CHECK: sfa_gpu.is_marked %[[MARKS]] : !sfa_gpu.marks
    %some = sfa_gpu.is_marked %marks : !sfa_gpu.marks
    // CHECK: sfa_gpu.any_of_block
    %any = sfa_gpu.any_of_block %some
    sfa_gpu.yield
  }
}
