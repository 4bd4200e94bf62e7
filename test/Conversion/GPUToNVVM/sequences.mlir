// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_80" | FileCheck %s --check-prefixes=BOTH,SM80
// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_90a" | FileCheck %s --check-prefixes=BOTH,SM90

// BOTH-LABEL: llvm.func @attention_dense_online_varlen(
// The search for the sequence reads offsets.
// BOTH: llvm.load %{{.*}} : !llvm.ptr<1> -> i32
// BOTH: llvm.intr.smax
// BOTH: llvm.intr.smin

// Copies leave rows of the next sequence out.
// SM80: nvvm.cp.async.shared.global
// SM80-NOT: nvvm.fence.proxy

// Bulk copies bring them, and each consumer makes them zero before its product with the values: stores to shared
// memory, a fence, a barrier of its own.
// SM90: wgmma.mma_async.sync
// SM90: llvm.store %{{.*}}, %{{.*}} {alignment = 16 : i64} : vector<4xi32>, !llvm.ptr<3>
// SM90: nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}
// SM90: nvvm.barrier id = %{{.*}} number_of_threads = %{{.*}}
// SM90: wgmma.mma_async.sync

// Products of the values follow.
// BOTH: llvm.return
func.func @f(%q: tensor<1x4x?x128xbf16>, %k: tensor<1x2x?x128xbf16>, %offsets: tensor<?xi32>) -> tensor<1x4x?x128xbf16> {
  %o = sfa.attention %q, %k, %k sequences(%offsets, %offsets : tensor<?xi32>, tensor<?xi32>) mask <causal> schedule <softmax = online>
    : tensor<1x4x?x128xbf16>, tensor<1x2x?x128xbf16>, tensor<1x2x?x128xbf16> -> tensor<1x4x?x128xbf16>
  return %o : tensor<1x4x?x128xbf16>
}
