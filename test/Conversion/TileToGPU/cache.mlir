// RUN: sfa-opt %s -sfa-assign-schedule="chip=sm_90a" -convert-sfa-to-tile -sfa-gpu-specialize="chip=sm_90a" | FileCheck %s
// RUN: sfa-opt %s -sfa-assign-schedule="chip=sm_80" -convert-sfa-to-tile -sfa-gpu-specialize="chip=sm_80" | FileCheck %s --check-prefix=THREADS

// Each warp copies its own keys, and waits for nobody before the merge.
// THREADS-LABEL: sfa_gpu.kernel @decode_codes_split
// THREADS-SAME: warps 4 consumers 0 to 4 {
// THREADS: sfa_gpu.ring : !sfa_gpu.ring<{{.*}} of 128x8xbf16, linear>
// THREADS: sfa_gpu.each_group (%{{.*}}) of 1 warps {
// THREADS: sfa_gpu.copy_by_threads {{.*}} heads 4 to
// THREADS: scf.if
// THREADS: sfa_gpu.copy_by_threads {{.*}} rows 32 at {{.*}} !sfa_gpu.shared<128x8xbf16, linear>
// THREADS: sfa_gpu.copy_by_threads {{.*}} rows 32 at {{.*}} !sfa_gpu.shared<128x8xi8, linear>
// THREADS: sfa_gpu.copy_by_threads {{.*}} rows 32 at {{.*}} !sfa_gpu.shared<128x64xbf16, swizzled>
// THREADS: nvvm.cp.async.commit.group
// THREADS: scf.for
// THREADS: nvvm.cp.async.wait.group
// THREADS: sfa_gpu.expand_codes
// THREADS: sfa_gpu.merge_rows

// Four query heads share a tile of 16 rows; eight warps have 32 keys each of a tile of 256, which is four pages.
func.func @decode(%q: tensor<?x8x1x64xbf16>, %k: tensor<?x2x64x64xbf16, #sfa.codes<k = 8>>, %v: tensor<?x2x64x64xbf16>,
                  %table: tensor<?x64xi32>, %lengths: tensor<?xi32>) -> tensor<?x8x1x64xbf16> {
  %o = sfa.decode %q, %k, %v pages(%table, %lengths : tensor<?x64xi32>, tensor<?xi32>)
    : tensor<?x8x1x64xbf16>, tensor<?x2x64x64xbf16, #sfa.codes<k = 8>>, tensor<?x2x64x64xbf16> -> tensor<?x8x1x64xbf16>
  return %o : tensor<?x8x1x64xbf16>
}

// CHECK-LABEL: sfa_gpu.kernel @decode_codes_split
// CHECK-SAME: warps 12 consumers 4 to 12 persistent
// CHECK: %[[QUERIES:.*]] = sfa_gpu.ring guarded by 1 writers, 8 readers : !sfa_gpu.ring<1 of 16x64xbf16, swizzled>
// CHECK: %[[ROOM:.*]] = sfa_gpu.ring : !sfa_gpu.ring<1 of 128x64xbf16, swizzled>
// CHECK: %[[CODES:.*]] = sfa_gpu.ring guarded by 4 writers, 8 readers : !sfa_gpu.ring<4 of 256x8xbf16, linear>
// CHECK: %[[FEATURES:.*]] = sfa_gpu.ring guarded by 4 writers, 8 readers : !sfa_gpu.ring<4 of 256x8xi8, linear>
// CHECK: %[[VALUES:.*]] = sfa_gpu.ring guarded by 4 writers, 8 readers : !sfa_gpu.ring<4 of 256x64xbf16, swizzled>
// CHECK: nvvm.griddepcontrol wait
// CHECK: nvvm.griddepcontrol launch_dependents
// CHECK: %[[ORDER:.*]] = sfa_gpu.split_order %{{.*}}, %{{.*}} pages of 64
// CHECK: sfa_gpu.roles producer warps 4 registers 104 {

// A page that does not exist is not copied, but its writer arrives.
// CHECK: sfa_gpu.for_points ({{.*}}) in %[[ORDER]]
// CHECK: sfa_tile.split_range
// CHECK: %[[PAGE:.*]] = memref.load %{{.*}} : memref<?x64xi32
// CHECK: sfa_gpu.acquire %[[CODES]]
// CHECK: scf.if
// CHECK: sfa_gpu.copy {{.*}} to %[[CODES]][%{{.*}}] rows 64 at
// CHECK: } else {
// CHECK: sfa_gpu.arrive %[[CODES]]
// CHECK: sfa_gpu.copy {{.*}} to %[[FEATURES]][%{{.*}}] rows 64 at
// CHECK: sfa_gpu.copy {{.*}} to %[[VALUES]][%{{.*}}] rows 64 at
// CHECK: sfa_gpu.copy {{.*}} heads 4 to %[[QUERIES]]

// CHECK: } consumers warps 8 registers 200 {
// CHECK: sfa_gpu.each_group (%[[WARP:.*]]) of 1 warps {
// CHECK: sfa_gpu.for_points ({{.*}}) in %[[ORDER]]
// CHECK: %[[Q:.*]] = sfa_gpu.load_operand
// CHECK: scf.for
// CHECK: sfa_gpu.expand_codes
// CHECK: sfa_gpu.dot %[[Q]], %{{.*}} from %{{.*}} : {{.*}} -> !sfa_tile.tile<16x16xf32>
// CHECK: sfa_gpu.clear_codes
// CHECK: sfa_gpu.join_columns
// CHECK: sfa_tile.mask {{.*}} : !sfa_tile.tile<16x32xf32>
// CHECK: sfa_gpu.clear_rows %{{.*}} from %{{.*}} rows 32 at
// CHECK: sfa_gpu.accumulate %{{.*}} from %{{.*}} : !sfa_tile.tile<16x64xf32>, !sfa_tile.tile<16x32xf32>
// CHECK: sfa_gpu.merge_rows
// CHECK: scf.if
// CHECK: sfa_gpu.store
