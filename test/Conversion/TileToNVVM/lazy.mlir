// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_90a" | FileCheck %s

// The guard: a vote of the warp. Only where it trips row maxima are looked for.

// CHECK: llvm.func @attention_dense_lazy(
// CHECK: wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16
// CHECK-NOT: llvm.intr.maxnum
// CHECK: nvvm.vote.sync any
// CHECK: llvm.cond_br
// CHECK: llvm.intr.maxnum
func.func @attention(%q: tensor<1x8x?x128xf16>, %k: tensor<1x8x?x128xf16>, %v: tensor<1x8x?x128xf16>)
    -> tensor<1x8x?x128xf16> {
  %o = sfa.attention %q, %k, %v schedule <softmax = lazy>
    : tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16> -> tensor<1x8x?x128xf16>
  return %o : tensor<1x8x?x128xf16>
}
