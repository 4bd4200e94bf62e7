// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_80" | FileCheck %s --check-prefixes=BOTH,SM80
// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_90a" | FileCheck %s --check-prefixes=BOTH,SM90

// Row r of 64 is query r % 4 of head r / 4: a warp has rows of four heads, and finds the head and the query for each.
// SM90: sfa.tensor_maps = array<i64: 1, 128, 1, 2, 128, 1, 0, 4, 16>
// BOTH-LABEL: llvm.func @attention_dense_online_packed(
// SM80-DAG: %[[FOUR:.*]] = llvm.mlir.constant(4 : i32)
// SM80-DAG: %[[SIXTEEN:.*]] = llvm.mlir.constant(16 : i32)

// The mask: the query of each of the lane's two rows.
// SM80: nvvm.mma.sync
// SM80: llvm.urem %{{.*}}, %[[FOUR]] : i32
// SM80: llvm.urem %{{.*}}, %[[FOUR]] : i32

// The stores: the head of each row.
// BOTH: nvvm.rcp.approx
// SM80: %[[OF_WARP:.*]] = llvm.udiv %{{.*}}, %[[FOUR]] : i32
// SM80: %[[OF_LANE:.*]] = llvm.udiv %{{.*}}, %[[FOUR]] : i32
// SM80: %[[HEAD:.*]] = llvm.add %[[OF_WARP]], %[[OF_LANE]] : i32
// SM80: llvm.icmp "slt" %[[HEAD]], %[[SIXTEEN]] : i32
// BOTH: llvm.store {{.*}} !llvm.ptr<1>
!q = tensor<?x16x?x128xbf16>
!k = tensor<?x1x?x128xbf16>
func.func @f(%q: !q, %k: !k) -> !q {
  %o = sfa.attention %q, %k, %k mask <causal> schedule <softmax = online, q_tile = 64, packed_heads = 16> : !q, !k, !k -> !q
  return %o : !q
}
