// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_80" | FileCheck %s --check-prefixes=BOTH,WARP
// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_90a" | FileCheck %s --check-prefixes=BOTH,GROUP
// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_90a" | FileCheck %s --check-prefix=SECOND

// The sums are 8 columns of ones behind those of the values: in registers, or in shared memory behind the values.

// BOTH: llvm.func @attention_dense_lazy(
// GROUP: llvm.store {{.*}} {alignment = 16 : i64} : vector<4xi32>, !llvm.ptr<3>
// GROUP: nvvm.fence.proxy
// GROUP: wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16

// A warp looks at the maxima where it has to; otherwise a score is an exponential.
// WARP: nvvm.mma.sync
// WARP: llvm.cond_br
// WARP: llvm.intr.maxnum
// WARP: llvm.nvvm.ex2.approx.ftz.f32

// The loop: the guard asks the sums of the last product before this one is issued.
// GROUP: wgmma.wait_group.sync.aligned 0;
// GROUP: nvvm.vote.sync ballot
// GROUP: llvm.cond_br
// GROUP: llvm.nvvm.lg2.approx.ftz.f
// GROUP: wgmma.mma_async.sync.aligned.m64n136k16.f32.bf16.bf16
// GROUP: wgmma.wait_group.sync.aligned 1;

// The second pass, where the block finds something that is not finite: online, without columns of sums. Blocks that
// stay have marked it in shared memory.
// WARP: nvvm.barrier #nvvm.reduction<or>
// WARP: llvm.cond_br
// SECOND: llvm.func @attention_dense_lazy(
// SECOND: llvm.load {{.*}} : !llvm.ptr<3> -> i8
// SECOND: wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16{{.*}}, p, 1, 1, 1;
// SECOND: llvm.func @attention_dense_lazy_0(
// WARP: nvvm.mma.sync
// BOTH: llvm.return
func.func @attention(%q: tensor<1x8x?x128xbf16>, %k: tensor<1x8x?x128xbf16>, %v: tensor<1x8x?x128xbf16>)
    -> tensor<1x8x?x128xbf16> {
  %o = sfa.attention %q, %k, %v schedule <softmax = lazy>
    : tensor<1x8x?x128xbf16>, tensor<1x8x?x128xbf16>, tensor<1x8x?x128xbf16> -> tensor<1x8x?x128xbf16>
  return %o : tensor<1x8x?x128xbf16>
}

// 256 columns and those of the sums are more than a product has: two halves.

// GROUP: llvm.func @attention_dense_lazy_0(
// GROUP: wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16
// GROUP: wgmma.mma_async.sync.aligned.m64n136k16.f32.bf16.bf16
func.func @wide(%q: tensor<1x8x?x64xbf16>, %v: tensor<1x8x?x256xbf16>) -> tensor<1x8x?x256xbf16> {
  %o = sfa.attention %q, %q, %v schedule <softmax = lazy>
    : tensor<1x8x?x64xbf16>, tensor<1x8x?x64xbf16>, tensor<1x8x?x256xbf16> -> tensor<1x8x?x256xbf16>
  return %o : tensor<1x8x?x256xbf16>
}
