// RUN: sfa-opt --canonicalize --sfa-assign-schedule=chip=sm_90a --sfa-densify-operands --convert-sfa-to-tile --canonicalize --cse \
// RUN:   --one-shot-bufferize="bufferize-function-boundaries" --canonicalize --cse %s > %t.tile
// RUN: sfa-opt --sfa-gpu-specialize=chip=sm_90a %t.tile | FileCheck %s
// RUN: sfa-opt --sfa-gpu-specialize=chip=sm_90a --sfa-gpu-pipeline %t.tile | FileCheck %s --check-prefix=PIPELINE
// RUN: sfa-opt --sfa-gpu-specialize=chip=sm_80 %t.tile | FileCheck %s --check-prefix=WARPS

// Keys are staged feature by feature; codes of queries are in registers, and nobody copies them.

// CHECK-LABEL: sfa_gpu.kernel @attention_gather_online
// CHECK: %[[KEYS:.*]] = sfa_gpu.ring guarded by 1 writers, 8 readers : !sfa_gpu.ring<2 of 128x128xbf16, feature_major>
// CHECK: %[[VALUES:.*]] = sfa_gpu.ring guarded by 1 writers, 8 readers : !sfa_gpu.ring<2 of 128x128xbf16, swizzled>
// CHECK: sfa_gpu.roles producer
// CHECK: sfa_gpu.copy %{{.*}} to %[[KEYS]]{{.*}} : memref<1x8x?x16384xbf16, {{.*}}>, !sfa_gpu.ring<2 of 128x128xbf16, feature_major>
// CHECK-NOT: sfa_gpu.is_leader 2
// CHECK: } consumers
// CHECK: %[[CODES:.*]] = sfa_gpu.load_codes %{{.*}}, %{{.*}} -> !sfa_gpu.codes<128x128xbf16, k = 4, step = 256, registers>
// CHECK: sfa_gpu.tile_loop
// CHECK: sfa_gpu.gather_dot %[[CODES]], %{{.*}} : !sfa_gpu.codes<128x128xbf16, k = 4, step = 256, registers>, !sfa_gpu.shared<128x128xbf16, feature_major> -> !sfa_tile.tile<128x128xf32>

// The scores of the next tile are formed beside the product of this one with its values.

// PIPELINE-LABEL: sfa_gpu.kernel @attention_gather_online
// PIPELINE: sfa_gpu.gather_dot
// PIPELINE: scf.for
// PIPELINE: sfa_gpu.await %[[KEYS:.*]][%
// PIPELINE: sfa_gpu.issue_accumulate
// PIPELINE-NOT: sfa_gpu.wait
// PIPELINE: sfa_gpu.gather_dot
// PIPELINE: sfa_gpu.release %[[KEYS]][%
// PIPELINE: sfa_tile.exp2
// PIPELINE: scf.yield

// WARPS-LABEL: sfa_gpu.kernel @attention_gather_online
// WARPS: %[[ROOM:.*]] = sfa_gpu.ring : !sfa_gpu.ring<1 of 128x8xi32, linear>
// WARPS: %[[PLACE:.*]] = sfa_gpu.place %[[ROOM]]
// WARPS: %[[CODES:.*]] = sfa_gpu.load_codes {{.*}} to %[[PLACE]] : !sfa_gpu.shared<128x8xi32, linear> {{.*}} -> !sfa_gpu.codes<128x128xbf16, k = 4, step = 256, shared>
// WARPS: sfa_gpu.copy_by_threads {{.*}} !sfa_gpu.shared<128x128xbf16, feature_major>
// WARPS: sfa_gpu.gather_dot %[[CODES]]
func.func @f(%q: tensor<1x8x?x128xbf16, #sfa.codes<k = 4>>, %k: tensor<1x8x?x128xbf16, #sfa.codes<k = 4>>,
             %v: tensor<1x8x?x128xbf16>) -> tensor<1x8x?x128xbf16> {
  %o = sfa.attention %q, %k, %v schedule <strategy = gather, softmax = online>
    : tensor<1x8x?x128xbf16, #sfa.codes<k = 4>>, tensor<1x8x?x128xbf16, #sfa.codes<k = 4>>, tensor<1x8x?x128xbf16> -> tensor<1x8x?x128xbf16>
  return %o : tensor<1x8x?x128xbf16>
}
