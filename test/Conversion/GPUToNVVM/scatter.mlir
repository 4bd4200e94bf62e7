// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_90a" | FileCheck %s
// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_80" | FileCheck %s --check-prefix=WARPS
// RUN: sfa-opt %s -sfa-to-ptx="chip=sm_90a" | FileCheck %s --check-prefix=PTX

// A block writes a tile of lists, half after half: codes, starts, entries; no atomics.

// CHECK-LABEL: llvm.func @postings(
// CHECK: nvvm.barrier
// CHECK: llvm.store %{{.*}} : i16, !llvm.ptr<3>
// CHECK-NOT: atomic
// CHECK: llvm.store %{{.*}} : i32, !llvm.ptr<3>
// CHECK: nvvm.barrier
// CHECK: llvm.store %{{.*}} : vector<4xi32>, !llvm.ptr<1>

// A tile is one bulk copy without a tensor map. A warp clears the scores of 16 queries and 64 keys in each half, 16 stores of 16 bytes;
// two loops, over codes and over entries, add to them; and each lane reads its elements.

// CHECK-LABEL: llvm.func @attention_scatter_online(
// CHECK: nvvm.cp.async.bulk.shared.cluster.global
// CHECK-COUNT-16: llvm.store %{{.*}} {alignment = 16 : i64} : vector<4xi32>, !llvm.ptr<3>
// CHECK: nvvm.bar.warp.sync
// CHECK-COUNT-2: llvm.load %{{.*}} : !llvm.ptr<3> -> i16
// CHECK: llvm.load %{{.*}} : !llvm.ptr<3> -> f32
// CHECK-NEXT: llvm.shl
// CHECK-NEXT: llvm.bitcast
// CHECK-NEXT: llvm.intr.fma
// CHECK-NEXT: llvm.store %{{.*}} : f32, !llvm.ptr<3>
// CHECK: nvvm.bar.warp.sync
// CHECK-COUNT-64: llvm.load %{{.*}} : !llvm.ptr<3> -> f32
// CHECK: nvvm.bar.warp.sync

// WARPS-LABEL: llvm.func @attention_scatter_online(
// WARPS: nvvm.cp.async.shared.global {{.*}}, 16, cache = cg : !llvm.ptr<3>, !llvm.ptr<1>
// WARPS: llvm.intr.fma
// WARPS: nvvm.mma.sync

// PTX-LABEL: .entry attention_scatter_online(
// PTX-DAG: cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [
// PTX-DAG: ld.shared.b16
// PTX-DAG: fma.rn.f32
// PTX-DAG: wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16
func.func @any(%q: tensor<1x8x?x64xbf16, #sfa.codes<k = 5>>, %k: tensor<1x8x?x64xbf16, #sfa.codes<k = 5>>,
               %v: tensor<1x8x?x64xbf16>) -> tensor<1x8x?x64xbf16> {
  %o = sfa.attention %q, %k, %v schedule <strategy = scatter, softmax = online, q_tile = 128, k_tile = 128>
    : tensor<1x8x?x64xbf16, #sfa.codes<k = 5>>, tensor<1x8x?x64xbf16, #sfa.codes<k = 5>>, tensor<1x8x?x64xbf16> -> tensor<1x8x?x64xbf16>
  return %o : tensor<1x8x?x64xbf16>
}
