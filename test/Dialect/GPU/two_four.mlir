// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s

// CHECK-LABEL: sfa_gpu.kernel @two_four(
sfa_gpu.kernel @two_four(%values: memref<1x8x?x8xbf16>, %features: memref<1x8x?x8xi8>) warps 8 consumers 0 to 8 {
  %room = sfa_gpu.ring : !sfa_gpu.ring<1 of 128x64xbf16, swizzled>
  %keys = sfa_gpu.ring : !sfa_gpu.ring<2 of 64x64xbf16, swizzled>
  %zero = arith.constant 0 : i32
  %c0 = arith.constant 0 : index
  %tile = sfa_gpu.place %room[%zero : i32] : !sfa_gpu.ring<1 of 128x64xbf16, swizzled>
  %k = sfa_gpu.place %keys[%zero : i32] : !sfa_gpu.ring<2 of 64x64xbf16, swizzled>
  // CHECK: sfa_gpu.expand_rows %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] to %[[TILE:.*]] : memref<1x8x?x8xbf16>, memref<1x8x?x8xi8>, !sfa_gpu.shared<128x64xbf16, swizzled>
  sfa_gpu.expand_rows %values, %features[%c0, %c0, %c0] to %tile
    : memref<1x8x?x8xbf16>, memref<1x8x?x8xi8>, !sfa_gpu.shared<128x64xbf16, swizzled>
  // CHECK: sfa_gpu.expand_rows {{.*}} heads 4 to
  sfa_gpu.expand_rows %values, %features[%c0, %c0, %c0] heads 4 to %tile
    : memref<1x8x?x8xbf16>, memref<1x8x?x8xi8>, !sfa_gpu.shared<128x64xbf16, swizzled>
  // CHECK: %[[PART:.*]], %[[SURPLUS:.*]] = sfa_gpu.split_two_four %[[TILE]] : !sfa_gpu.shared<128x64xbf16, swizzled> -> !sfa_gpu.two_four<128x64xbf16, registers>, !sfa_gpu.two_four<128x64xbf16, shared>
  %part, %surplus = sfa_gpu.split_two_four %tile : !sfa_gpu.shared<128x64xbf16, swizzled>
    -> !sfa_gpu.two_four<128x64xbf16, registers>, !sfa_gpu.two_four<128x64xbf16, shared>
  // CHECK: %[[S:.*]] = sfa_gpu.dot %[[PART]], %{{.*}} surplus(%[[SURPLUS]] : !sfa_gpu.two_four<128x64xbf16, shared>) : !sfa_gpu.two_four<128x64xbf16, registers>, !sfa_gpu.shared<64x64xbf16, swizzled> -> !sfa_tile.tile<128x64xf32>
  %s = sfa_gpu.dot %part, %k surplus(%surplus : !sfa_gpu.two_four<128x64xbf16, shared>)
    : !sfa_gpu.two_four<128x64xbf16, registers>, !sfa_gpu.shared<64x64xbf16, swizzled> -> !sfa_tile.tile<128x64xf32>
  // CHECK: sfa_gpu.issue_dot %[[PART]], %{{.*}} surplus(%[[SURPLUS]] : {{.*}}) reuse(%[[S]] : {{.*}})
  %next = sfa_gpu.issue_dot %part, %k surplus(%surplus : !sfa_gpu.two_four<128x64xbf16, shared>) reuse(%s : !sfa_tile.tile<128x64xf32>)
    : !sfa_gpu.two_four<128x64xbf16, registers>, !sfa_gpu.shared<64x64xbf16, swizzled> -> !sfa_gpu.pending<128x64xf32>
  // CHECK: sfa_gpu.keep %[[PART]], %[[SURPLUS]]
  sfa_gpu.keep %part, %surplus : !sfa_gpu.two_four<128x64xbf16, registers>, !sfa_gpu.two_four<128x64xbf16, shared>
  sfa_gpu.return
}
