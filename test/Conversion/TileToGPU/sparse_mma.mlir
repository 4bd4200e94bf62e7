// RUN: sfa-opt --canonicalize --sfa-assign-schedule=chip=sm_90a --sfa-densify-operands --convert-sfa-to-tile --canonicalize --cse \
// RUN:   --one-shot-bufferize="bufferize-function-boundaries" --canonicalize --cse %s > %t.tile
// RUN: sfa-opt --sfa-gpu-specialize=chip=sm_90a %t.tile | FileCheck %s
// RUN: sfa-opt --sfa-gpu-specialize=chip=sm_80 %t.tile | FileCheck %s --check-prefix=WARPS

// Nobody copies queries: consumers take their codes apart, in a place without barriers. Keys are densified before.

// CHECK-LABEL: sfa_gpu.kernel @attention_sparse_mma_online
// CHECK: %[[ROOM:.*]] = sfa_gpu.ring : !sfa_gpu.ring<1 of 128x128xbf16, swizzled>
// CHECK: %[[KEYS:.*]] = sfa_gpu.ring guarded by 1 writers, 8 readers
// CHECK: sfa_gpu.roles producer
// CHECK-NOT: sfa_gpu.is_leader 2
// CHECK: } consumers
// CHECK: %[[TILE:.*]] = sfa_gpu.place %[[ROOM]]
// CHECK: sfa_gpu.expand_rows %{{.*}}, %{{.*}} to %[[TILE]]
// CHECK: %[[PART:.*]], %[[SURPLUS:.*]] = sfa_gpu.split_two_four %[[TILE]] {{.*}} -> !sfa_gpu.two_four<128x128xbf16, registers>, !sfa_gpu.two_four<128x128xbf16, shared>
// CHECK: sfa_gpu.tile_loop {{.*}} kept(%[[PART]], %[[SURPLUS]])
// CHECK: sfa_gpu.issue_dot %[[PART]], %{{.*}} surplus(%[[SURPLUS]]

// WARPS-LABEL: sfa_gpu.kernel @attention_sparse_mma_online
// WARPS: sfa_gpu.expand_rows
// WARPS: %[[PART:.*]], %[[SURPLUS:.*]] = sfa_gpu.split_two_four
// WARPS: sfa_gpu.dot %[[PART]], %{{.*}} surplus(%[[SURPLUS]]
func.func @f(%q: tensor<1x8x?x128xbf16, #sfa.codes<k = 8>>, %k: tensor<1x8x?x128xbf16, #sfa.codes<k = 8>>,
             %v: tensor<1x8x?x128xbf16>) -> tensor<1x8x?x128xbf16> {
  %o = sfa.attention %q, %k, %v schedule <strategy = sparse_mma, softmax = online>
    : tensor<1x8x?x128xbf16, #sfa.codes<k = 8>>, tensor<1x8x?x128xbf16, #sfa.codes<k = 8>>, tensor<1x8x?x128xbf16> -> tensor<1x8x?x128xbf16>
  return %o : tensor<1x8x?x128xbf16>
}
