// RUN: sfa-opt --canonicalize --sfa-assign-schedule=chip=sm_90a --convert-sfa-to-tile --canonicalize --cse \
// RUN:   --one-shot-bufferize="bufferize-function-boundaries" --canonicalize --cse %s > %t.tile
// RUN: sfa-opt --sfa-gpu-specialize=chip=sm_90a %t.tile | FileCheck %s
// RUN: sfa-opt --sfa-gpu-specialize=chip=sm_90a --sfa-gpu-pipeline --canonicalize --sfa-gpu-allocate %t.tile \
// RUN:   | FileCheck %s --check-prefix=PIPE
// RUN: sfa-opt --sfa-gpu-specialize=chip=sm_80 %t.tile | FileCheck %s --check-prefix=WARPS
// RUN: sfa-opt --sfa-gpu-specialize=chip=sm_80 --sfa-gpu-pipeline %t.tile | FileCheck %s --check-prefix=STAGES

// Warpgroups have roles: a thread of a warp each for keys, values and queries, and consumers.

// CHECK-LABEL: sfa_gpu.kernel @attention_dense_online
// CHECK-SAME: warps 12 consumers 4 to 12 persistent
// CHECK: %[[ORDER:.*]] = sfa_gpu.point_order
// CHECK: %[[QUERIES:.*]] = sfa_gpu.ring guarded by 1 writers, 8 readers : !sfa_gpu.ring<1 of 128x128xbf16, swizzled>
// CHECK: %[[KEYS:.*]] = sfa_gpu.ring guarded by 1 writers, 8 readers : !sfa_gpu.ring<2 of 128x128xbf16, swizzled>
// CHECK: %[[VALUES:.*]] = sfa_gpu.ring guarded by 1 writers, 8 readers : !sfa_gpu.ring<2 of 128x128xbf16, swizzled>
// CHECK: sfa_gpu.prepare
// CHECK: sfa_gpu.roles producer warps 4 registers 24 {
// CHECK: sfa_gpu.is_leader 0
// CHECK: sfa_gpu.for_points {{.*}} in %[[ORDER]] carry
// CHECK: scf.for
// CHECK: sfa_gpu.acquire %[[KEYS]]
// CHECK-NEXT: sfa_gpu.copy {{.*}} to %[[KEYS]]
// CHECK: sfa_gpu.is_leader 1
// CHECK: sfa_gpu.acquire %[[VALUES]]
// CHECK-NEXT: sfa_gpu.copy {{.*}} to %[[VALUES]]
// CHECK: sfa_gpu.is_leader 2
// CHECK: sfa_gpu.acquire %[[QUERIES]]
// CHECK-NEXT: sfa_gpu.copy {{.*}} to %[[QUERIES]]
// CHECK: } consumers warps 8 registers 240 {
// CHECK: sfa_gpu.await %[[QUERIES]]
// CHECK: %[[Q:.*]] = sfa_gpu.load_operand
// CHECK: sfa_gpu.release %[[QUERIES]]
// CHECK: sfa_gpu.tile_loop {{.*}} scores(%[[KEYS]]) values(%[[VALUES]]) from {{.*}} kept(%[[Q]]) {{.*}} stages 2 lookahead 1
// CHECK: score {
// CHECK: %[[S:.*]] = sfa_gpu.issue_dot %[[Q]],
// CHECK: sfa_gpu.wait pending 0(%[[S]])
// CHECK: softmax {
// CHECK: sfa_tile.row_max
// CHECK: accumulate {
// CHECK: sfa_tile.scale_rows {{.*}} mostly_ones
// CHECK: %[[P:.*]] = sfa_gpu.pack
// CHECK: %[[SUM:.*]] = sfa_gpu.issue_accumulate {{.*}}, %[[P]],
// CHECK: sfa_gpu.wait pending 0(%[[SUM]])
// CHECK: sfa_gpu.lane again
// CHECK: sfa_gpu.point_again %{{.*}} in %[[ORDER]]
// CHECK: sfa_gpu.store

// The pipeline: scores of a tile are issued before the product of the one before is, and the softmax stands between
// two waits.

// PIPE: sfa_gpu.ring guarded by 1 writers, 8 readers at {{[0-9]+}} barriers_at {{[0-9]+}} : !sfa_gpu.ring<1 of
// PIPE: %[[KEYS:.*]] = sfa_gpu.ring {{.*}} : !sfa_gpu.ring<2 of
// PIPE: %[[VALUES:.*]] = sfa_gpu.ring {{.*}} : !sfa_gpu.ring<2 of
// PIPE: consumers warps 8
// PIPE: sfa_gpu.issue_dot
// PIPE: sfa_gpu.settled
// PIPE: scf.for
// PIPE: %[[DONE:.*]]:2 = sfa_gpu.wait pending 0
// PIPE: sfa_gpu.keep
// PIPE: sfa_gpu.release %[[VALUES]]{{.*}} when
// PIPE: %[[P:.*]] = sfa_gpu.pack %[[DONE]]#1
// PIPE: sfa_gpu.await %[[KEYS]]
// PIPE: %[[NEXT:.*]] = sfa_gpu.issue_dot {{.*}} reuse(%[[DONE]]#1
// PIPE: sfa_gpu.await %[[VALUES]]
// PIPE: %[[SUM:.*]] = sfa_gpu.issue_accumulate {{.*}}, %[[P]],
// PIPE: %[[SCORES:.*]] = sfa_gpu.wait pending 1(%[[NEXT]])
// PIPE: sfa_gpu.release %[[KEYS]]
// PIPE: sfa_tile.mask %[[SCORES]]
// PIPE: scf.yield %[[SUM]],

// Warps that copy themselves have no roles and no guards.

// WARPS-LABEL: sfa_gpu.kernel @attention_dense_online
// WARPS-SAME: warps 8 consumers 0 to 8
// WARPS-NOT: sfa_gpu.roles
// WARPS: %[[KEYS:.*]] = sfa_gpu.ring : !sfa_gpu.ring<2 of
// WARPS: sfa_gpu.for_points
// WARPS: sfa_gpu.copy_by_threads
// WARPS: sfa_gpu.tile_loop
// WARPS: load {
// WARPS: sfa_gpu.copy_by_threads
// WARPS: score {
// WARPS: sfa_gpu.dot
// WARPS: accumulate {
// WARPS: sfa_gpu.accumulate

// STAGES: sfa_gpu.copy_by_threads
// STAGES: nvvm.cp.async.commit.group
// STAGES: scf.for
// STAGES: nvvm.cp.async.wait.group 0
// STAGES-NEXT: nvvm.barrier
// STAGES: sfa_gpu.copy_by_threads
// STAGES: nvvm.cp.async.commit.group
// STAGES: sfa_gpu.dot
// STAGES: sfa_gpu.accumulate

func.func @attention(%q: tensor<1x16x?x128xbf16>, %k: tensor<1x8x?x128xbf16>, %v: tensor<1x8x?x128xbf16>)
    -> tensor<1x16x?x128xbf16> {
  %o = sfa.attention %q, %k, %v mask <causal> schedule <softmax = online>
    : tensor<1x16x?x128xbf16>, tensor<1x8x?x128xbf16>, tensor<1x8x?x128xbf16> -> tensor<1x16x?x128xbf16>
  return %o : tensor<1x16x?x128xbf16>
}
