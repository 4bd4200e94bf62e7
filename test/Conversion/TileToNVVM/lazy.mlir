// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_80" | FileCheck %s --check-prefix=WARP
// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_90a" | FileCheck %s --check-prefix=GROUP

// The guard: a vote of the warp. Only where it trips row maxima are looked for.

// WARP: llvm.func @attention_dense_lazy(
// WARP: nvvm.mma.sync
// WARP-NOT: llvm.intr.maxnum
// WARP: nvvm.vote.sync ballot
// WARP: llvm.cond_br
// WARP: llvm.intr.maxnum

// A warpgroup looks for the maxima of the first tile right away. In the loop it votes as a whole; where the guard
// trips, probabilities have taken the place of scores, which are formed again.

// GROUP: llvm.func @attention_dense_lazy(
// GROUP: wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16
// GROUP-NOT: bar.red
// GROUP: llvm.intr.maxnum
// GROUP: wgmma.wait_group.sync.aligned 1;
// GROUP-NOT: llvm.intr.maxnum
// GROUP: bar.red.or.pred
// GROUP: llvm.cond_br
// GROUP: wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16
// GROUP: wgmma.wait_group.sync.aligned 0;
// GROUP: llvm.intr.maxnum
func.func @attention(%q: tensor<1x8x?x128xf16>, %k: tensor<1x8x?x128xf16>, %v: tensor<1x8x?x128xf16>)
    -> tensor<1x8x?x128xf16> {
  %o = sfa.attention %q, %k, %v schedule <softmax = lazy>
    : tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16> -> tensor<1x8x?x128xf16>
  return %o : tensor<1x8x?x128xf16>
}
