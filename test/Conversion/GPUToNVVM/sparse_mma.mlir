// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_90a" | FileCheck %s
// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_80" | FileCheck %s --check-prefix=WARPS
// RUN: sfa-opt %s -sfa-to-ptx="chip=sm_80" | FileCheck %s --check-prefix=PTX

// Queries stay codes: a warp expands its rows to shared memory, and takes them apart there. Four slices of 32 features,
// and then those in which some row has a surplus, each behind a branch with a fence of its own.

// CHECK: llvm.func @attention_sparse_mma_online(
// CHECK: nvvm.bar.warp.sync
// CHECK: llvm.nvvm.barrier.cta.red.or.aligned.count
// CHECK: wgmma.mma_async.sp{{.*}}m64n128k32.f32.bf16.bf16{{.*}}, 0, p, 1, 1, 0; }
// CHECK: wgmma.mma_async.sp{{.*}}, 1, p, 1, 1, 0; }
// CHECK: wgmma.mma_async.sp{{.*}}, 0, p, 1, 1, 0; }
// CHECK: wgmma.mma_async.sp{{.*}}, 1, p, 1, 1, 0; }
// CHECK-COUNT-4: bra.uni behind; wgmma.fence.sync.aligned; wgmma.mma_async.sp{{.*}}, 0, 0; behind: }
// CHECK: nvvm.wgmma.fence.aligned
// CHECK: nvvm.wgmma.commit.group
// CHECK: wgmma.wait_group.sync.aligned 0;

// WARPS: llvm.func @attention_sparse_mma_online(
// WARPS: nvvm.ldmatrix
// WARPS: nvvm.mma.sp.sync {{.*}}orderedMetadata
// PTX: .version 8.5
// PTX: mma.sp::ordered_metadata.sync.aligned.m16n8k32.row.col.f32.bf16.bf16.f32
func.func @any(%q: tensor<1x8x?x128xbf16, #sfa.codes<k = 8>>, %k: tensor<1x8x?x128xbf16, #sfa.codes<k = 8>>,
               %v: tensor<1x8x?x128xbf16>) -> tensor<1x8x?x128xbf16> {
  %o = sfa.attention %q, %k, %v schedule <strategy = sparse_mma, softmax = online, queries = registers>
    : tensor<1x8x?x128xbf16, #sfa.codes<k = 8>>, tensor<1x8x?x128xbf16, #sfa.codes<k = 8>>, tensor<1x8x?x128xbf16> -> tensor<1x8x?x128xbf16>
  return %o : tensor<1x8x?x128xbf16>
}

// Codes that say that they are 2:4 have no surplus; elements in shared memory.

// CHECK: llvm.func @attention_sparse_mma_online_0(
// CHECK-NOT: bra.uni behind
// CHECK: wgmma.mma_async.sp{{.*}}, 0, p, 1, 1, 0, 0; }
// CHECK-NOT: bra.uni behind
func.func @two_four(%q: tensor<1x8x?x128xbf16, #sfa.codes<k = 8, two_four>>, %k: tensor<1x8x?x128xbf16>,
                    %v: tensor<1x8x?x128xbf16>) -> tensor<1x8x?x128xbf16> {
  %o = sfa.attention %q, %k, %v schedule <strategy = sparse_mma, softmax = online, queries = shared>
    : tensor<1x8x?x128xbf16, #sfa.codes<k = 8, two_four>>, tensor<1x8x?x128xbf16>, tensor<1x8x?x128xbf16> -> tensor<1x8x?x128xbf16>
  return %o : tensor<1x8x?x128xbf16>
}
