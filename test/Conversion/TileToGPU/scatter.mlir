// RUN: sfa-opt --canonicalize --sfa-assign-schedule=chip=sm_90a --sfa-densify-operands --convert-sfa-to-tile --canonicalize --cse \
// RUN:   --one-shot-bufferize="bufferize-function-boundaries" --canonicalize --cse %s > %t.tile
// RUN: sfa-opt --sfa-gpu-specialize=chip=sm_90a %t.tile | FileCheck %s
// RUN: sfa-opt --sfa-gpu-specialize=chip=sm_90a --sfa-gpu-pipeline %t.tile | FileCheck %s --check-prefix=PIPELINE
// RUN: sfa-opt --sfa-gpu-specialize=chip=sm_90a --sfa-gpu-pipeline --sfa-gpu-allocate %t.tile | FileCheck %s --check-prefix=ALLOCATE
// RUN: sfa-opt --sfa-gpu-specialize=chip=sm_80 %t.tile | FileCheck %s --check-prefix=WARPS
// RUN: sed 's/queries = shared/queries = registers/' %t.tile | not sfa-opt --sfa-gpu-specialize=chip=sm_90a 2>&1 | FileCheck %s --check-prefix=REGISTERS

// RUN: sfa-opt --canonicalize --sfa-assign-schedule=chip=sm_90a --convert-sfa-to-tile --one-shot-bufferize="bufferize-function-boundaries" %s \
// RUN:   | not sfa-opt --sfa-gpu-specialize=chip=sm_90a 2>&1 | FileCheck %s --check-prefix=UNPREPARED

// UNPREPARED: error: a key or value tile has to be loaded as it is on a GPU; sfa-densify-operands writes codes out before

// Posting lists are staged. Codes of queries and scores are in shared memory: of each of 8 warps 64 rows of 32 lanes.

// CHECK-LABEL: sfa_gpu.kernel @attention_scatter_online
// CHECK: %[[ROOM:.*]] = sfa_gpu.ring : !sfa_gpu.ring<1 of 128x8xi32, linear>
// CHECK: %[[SCORES:.*]] = sfa_gpu.ring : !sfa_gpu.ring<1 of 512x32xf32, linear>
// CHECK: %[[KEYS:.*]] = sfa_gpu.ring guarded by 1 writers, 8 readers : !sfa_gpu.ring<2 of 128x128x4xbf16, postings>
// CHECK: %[[VALUES:.*]] = sfa_gpu.ring guarded by 1 writers, 8 readers : !sfa_gpu.ring<2 of 128x128xbf16, swizzled>
// CHECK: sfa_gpu.roles producer
// CHECK: sfa_gpu.copy %{{.*}} to %[[KEYS]]{{.*}} : memref<1x8x?x2592xi8, {{.*}}>, !sfa_gpu.ring<2 of 128x128x4xbf16, postings>
// CHECK-NOT: sfa_gpu.is_leader 2
// CHECK: } consumers
// CHECK: %[[CODES:.*]] = sfa_gpu.load_codes %{{.*}}, %{{.*}} -> !sfa_gpu.codes<128x128xbf16, k = 4, step = 2, shared>
// CHECK: sfa_gpu.tile_loop
// CHECK: %[[PLACE:.*]] = sfa_gpu.place %[[SCORES]]
// CHECK: sfa_gpu.scatter_dot %[[CODES]], %{{.*}}, %[[PLACE]] : !sfa_gpu.codes<128x128xbf16, k = 4, step = 2, shared>, !sfa_gpu.shared<128x128x4xbf16, postings>, !sfa_gpu.shared<512x32xf32, linear> -> !sfa_tile.tile<128x128xf32>

// The scores of the next tile are formed beside the product of this one with its values.

// PIPELINE-LABEL: sfa_gpu.kernel @attention_scatter_online
// PIPELINE: sfa_gpu.scatter_dot
// PIPELINE: scf.for
// PIPELINE: sfa_gpu.await %[[KEYS:.*]][%
// PIPELINE: sfa_gpu.issue_accumulate
// PIPELINE-NOT: sfa_gpu.wait
// PIPELINE: sfa_gpu.scatter_dot
// PIPELINE: sfa_gpu.release %[[KEYS]][%
// PIPELINE: sfa_tile.exp2
// PIPELINE: scf.yield

// Copies of lists need no tensor map, those of values do.

// ALLOCATE: sfa_gpu.kernel @attention_scatter_online
// ALLOCATE-SAME: tensor_maps = array<i64: 3, 128, 1>

// WARPS-LABEL: sfa_gpu.kernel @attention_scatter_online
// WARPS: %[[SCORES:.*]] = sfa_gpu.ring : !sfa_gpu.ring<1 of 512x32xf32, linear>
// WARPS: %[[CODES:.*]] = sfa_gpu.load_codes {{.*}} -> !sfa_gpu.codes<128x128xbf16, k = 4, step = 2, shared>
// WARPS: sfa_gpu.copy_by_threads {{.*}} !sfa_gpu.shared<128x128x4xbf16, postings>
// WARPS: sfa_gpu.scatter_dot %[[CODES]]

// REGISTERS: error: {{.*}}has queries = registers and strategy = scatter, which has its codes in shared memory: choose queries = shared

func.func @f(%q: tensor<1x8x?x128xbf16, #sfa.codes<k = 4>>, %k: tensor<1x8x?x128xbf16, #sfa.codes<k = 4>>,
             %v: tensor<1x8x?x128xbf16>) -> tensor<1x8x?x128xbf16> {
  %o = sfa.attention %q, %k, %v schedule <strategy = scatter, softmax = online>
    : tensor<1x8x?x128xbf16, #sfa.codes<k = 4>>, tensor<1x8x?x128xbf16, #sfa.codes<k = 4>>, tensor<1x8x?x128xbf16> -> tensor<1x8x?x128xbf16>
  return %o : tensor<1x8x?x128xbf16>
}
