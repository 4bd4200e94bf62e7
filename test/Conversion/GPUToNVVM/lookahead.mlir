// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_90a" | FileCheck %s

// The loop of a consumer: the product of the tile before is waited for, its operands kept until here; the probabilities
// of this one are packed; then, when it is this consumer's turn, the scores of the next tile and the product of this one
// are issued together. The softmax waits for the scores only, and then it is the next consumer's turn.

// CHECK: llvm.func @attention_dense_online(
// CHECK: wgmma.wait_group.sync.aligned 0;
// CHECK: wgmma.wait_group.sync.aligned 0;
// CHECK: st.shared.v4.b32
// CHECK: // operands
// CHECK: nvvm.barrier id = {{.*}} number_of_threads =
// CHECK: wgmma.mma_async{{.*}}m64n128k16{{.*}}, p, 1, 1, 0, 0
// CHECK: nvvm.wgmma.commit.group
// CHECK-NOT: wgmma.wait_group
// CHECK: wgmma.mma_async{{.*}}m64n128k16{{.*}}, p, 1, 1, 1
// CHECK: nvvm.wgmma.commit.group
// CHECK: wgmma.wait_group.sync.aligned 1;
// CHECK: bar.arrive
func.func @ahead(%q: tensor<1x8x?x128xbf16>, %k: tensor<1x8x?x128xbf16>, %v: tensor<1x8x?x128xbf16>)
    -> tensor<1x8x?x128xbf16> {
  %o = sfa.attention %q, %k, %v schedule <softmax = online, turns = ping_pong, queries = shared>
    : tensor<1x8x?x128xbf16>, tensor<1x8x?x128xbf16>, tensor<1x8x?x128xbf16> -> tensor<1x8x?x128xbf16>
  return %o : tensor<1x8x?x128xbf16>
}

// Without lookahead nothing is under way during a softmax, and nobody takes turns.

// CHECK: llvm.func @attention_dense_online_0(
// CHECK-NOT: bar.arrive
// CHECK-NOT: wgmma.wait_group.sync.aligned 1;
// CHECK: llvm.return
func.func @in_sequence(%q: tensor<1x8x?x128xbf16>, %k: tensor<1x8x?x128xbf16>, %v: tensor<1x8x?x128xbf16>)
    -> tensor<1x8x?x128xbf16> {
  %o = sfa.attention %q, %k, %v schedule <softmax = online, lookahead = 0>
    : tensor<1x8x?x128xbf16>, tensor<1x8x?x128xbf16>, tensor<1x8x?x128xbf16> -> tensor<1x8x?x128xbf16>
  return %o : tensor<1x8x?x128xbf16>
}

// Queries in registers: each warp loads its rows once and gives them back, they are operands of every product, and are
// kept until the products that read them have been waited for.

// CHECK: llvm.func @attention_dense_online_1(
// CHECK-COUNT-8: nvvm.ldmatrix
// CHECK: // operands
// CHECK: mbarrier.arrive.shared::cta
// CHECK: wgmma.mma_async{{.*}}m64n128k16{{.*}}, {$128,$129,$130,$131}, $132, p, 1, 1, 0;
// CHECK: wgmma.wait_group.sync.aligned 0;
// CHECK: wgmma.wait_group.sync.aligned 0;
// CHECK: st.shared.v4.b32 [$1+0], {$2,$3,$4,$5};
// CHECK-SAME: st.shared.v4.b32 [$1+240], {$62,$63,$64,$65};
func.func @queries_in_registers(%q: tensor<1x8x?x128xbf16>, %k: tensor<1x8x?x128xbf16>, %v: tensor<1x8x?x128xbf16>)
    -> tensor<1x8x?x128xbf16> {
  %o = sfa.attention %q, %k, %v schedule <softmax = online, queries = registers>
    : tensor<1x8x?x128xbf16>, tensor<1x8x?x128xbf16>, tensor<1x8x?x128xbf16> -> tensor<1x8x?x128xbf16>
  return %o : tensor<1x8x?x128xbf16>
}
