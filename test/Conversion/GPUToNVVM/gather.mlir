// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_90a" | FileCheck %s
// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_80" | FileCheck %s --check-prefix=WARPS
// RUN: sfa-opt %s -sfa-to-ptx="chip=sm_90a" | FileCheck %s --check-prefix=PTX

// Keys are written feature by feature once: 128 of them, 64 features, in 16 KiB of shared memory.

// CHECK-LABEL: llvm.func @feature_major(
// CHECK: llvm.store %{{.*}} : i16, !llvm.ptr<3>
// CHECK: nvvm.barrier
// CHECK: llvm.store %{{.*}} : vector<4xi32>, !llvm.ptr<1>

// A tile is one bulk copy without a tensor map. The four lanes of a query load its codes; a pair takes eight loads of 16 bytes for two
// rows: 128 keys are four groups. The first pair needs no sum. 64 of the scores change places in the lanes of every other row.

// CHECK-LABEL: llvm.func @attention_gather_online(
// CHECK: nvvm.cp.async.bulk.shared.cluster.global
// CHECK: nvvm.shfl.sync idx
// CHECK-COUNT-8: llvm.load %{{.*}} {alignment = 16 : i64} : !llvm.ptr<3> -> vector<4xi32>
// CHECK: nvvm.bar.warp.sync
// CHECK: llvm.select %{{.*}} : i1, f32

// On warps codes are in shared memory, 12 words a row with 5 of them.

// WARPS-LABEL: llvm.func @attention_gather_online(
// WARPS: llvm.store %{{.*}} : i32, !llvm.ptr<3>
// WARPS: nvvm.cp.async.shared.global {{.*}}, 16, cache = cg : !llvm.ptr<3>, !llvm.ptr<1>
// WARPS: nvvm.mma.sync

// The address of a feature's keys is an addition to its offset, which is in the high half of a word.

// PTX-LABEL: .entry attention_gather_online(
// PTX-DAG: cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [
// PTX-DAG: ld.shared.v4.b32
// PTX-DAG: fma.rn.f32
// PTX-DAG: wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16
func.func @any(%q: tensor<1x8x?x64xbf16, #sfa.codes<k = 5>>, %k: tensor<1x8x?x64xbf16>,
               %v: tensor<1x8x?x64xbf16>) -> tensor<1x8x?x64xbf16> {
  %o = sfa.attention %q, %k, %v schedule <strategy = gather, softmax = online, q_tile = 128, k_tile = 128, queries = registers>
    : tensor<1x8x?x64xbf16, #sfa.codes<k = 5>>, tensor<1x8x?x64xbf16>, tensor<1x8x?x64xbf16> -> tensor<1x8x?x64xbf16>
  return %o : tensor<1x8x?x64xbf16>
}
