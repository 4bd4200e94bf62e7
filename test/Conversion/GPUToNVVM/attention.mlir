// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_80" | FileCheck %s --check-prefixes=BOTH,SM80
// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_90a" | FileCheck %s --check-prefixes=BOTH,SM90

// A launch says what its kernel needs.

// BOTH-LABEL: func.func @attention
// BOTH: gpu.launch_func @sfa_kernels::@attention_dense_online blocks in
// SM80-SAME: threads in (%c128{{.*}}, %c1{{.*}}, %c1{{.*}}) dynamic_shared_memory_size %c98304_i32
// SM90-SAME: threads in (%c384{{.*}}, %c1{{.*}}, %c1{{.*}}) dynamic_shared_memory_size %c164944_i32
// BOTH-SAME: sfa.aligned = array<i64: 0, 1, 2, 3>
// SM90-SAME: sfa.tensor_maps = array<i64: 1, 128, 1, 2, 128, 1, 0, 128, 1>

// SM80: gpu.module @sfa_kernels [#nvvm.target<{{.*}}chip = "sm_80"
// SM90: gpu.module @sfa_kernels [#nvvm.target<{{.*}}chip = "sm_90a"
// BOTH: llvm.mlir.global external @sfa_shared() {addr_space = 3 : i32, alignment = 1024 : i64}

// Four warps own 32 rows each.
// SM80: llvm.func @attention_dense_online(
// SM80-SAME: nvvm.reqntid = array<i32: 128, 1, 1>
// Queries and the first stage before the loop, the others ahead in it.
// SM80: nvvm.cp.async.shared.global
// SM80: nvvm.cp.async.commit.group
// SM80: nvvm.cp.async.wait.group 0
// SM80: nvvm.barrier
// SM80: nvvm.cp.async.shared.global
// S = Q K^T, the mask where it cuts the tile, the softmax, O += P V.
// SM80: nvvm.ldmatrix
// SM80: nvvm.mma.sync
// SM80: nvvm.shfl.sync
// SM80: llvm.nvvm.ex2.approx.ftz.f32
// SM80: nvvm.ldmatrix {{.*}}layout = #nvvm.mma_layout<col>
// SM80: nvvm.mma.sync
// SM80-NOT: wgmma

// A producer and two consumers; a tensor map each for Q, K and V.
// SM90: llvm.func @attention_dense_online(
// SM90-COUNT-3: llvm.byval = !llvm.array<128 x i8>, nvvm.grid_constant
// SM90-SAME: nvvm.reqntid = array<i32: 384, 1, 1>
// SM90: nvvm.mbarrier.init
// SM90: nvvm.barrier
// SM90: nvvm.setmaxregister decrease 24
// SM90: nvvm.cp.async.bulk.tensor.shared.cluster.global
// SM90: nvvm.setmaxregister increase 240
// SM90: mbarrier.try_wait.parity.shared
// SM90: nvvm.wgmma.fence.aligned
// SM90: wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16
// SM90: nvvm.wgmma.commit.group.sync.aligned
// SM90: wgmma.wait_group.sync.aligned 0
// SM90: mbarrier.arrive.shared::cta
// SM90: llvm.nvvm.ex2.approx.ftz.f32
// SM90: wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16
// SM90-NOT: nvvm.mma.sync

func.func @attention(%q: tensor<?x8x?x128xbf16>, %k: tensor<?x2x?x128xbf16>, %v: tensor<?x2x?x128xbf16>)
    -> (tensor<?x8x?x128xbf16>, tensor<?x8x?xf32>) {
  %o, %lse = sfa.attention %q, %k, %v mask <causal> schedule <softmax = online>
    : tensor<?x8x?x128xbf16>, tensor<?x2x?x128xbf16>, tensor<?x2x?x128xbf16> -> tensor<?x8x?x128xbf16>, tensor<?x8x?xf32>
  return %o, %lse : tensor<?x8x?x128xbf16>, tensor<?x8x?xf32>
}
