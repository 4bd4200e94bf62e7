// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_80" | FileCheck %s --check-prefixes=BOTH,SM80
// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_90a" | FileCheck %s --check-prefixes=BOTH,SM90
// RUN: sfa-compile %s --chip=sm_90a | FileCheck %s --check-prefix=PROGRAM

// SM90: sfa.tensor_maps = array<i64: 1, 128, 1, 2, 128, 1, 0, 32, 4>
// BOTH-LABEL: llvm.func @attention_dense_online_packed(

// Row 32 h + i of the tile is query i of head h.
// SM80: llvm.mlir.constant(32 : i32)
// SM80: llvm.urem
// SM80: llvm.udiv
// SM80: nvvm.cp.async.shared.global

// Two panels of 64 columns for a tile of keys, of values and of queries: of these a box of 32 rows of each of four heads.
// SM90: nvvm.setmaxregister decrease
// SM90-COUNT-6: nvvm.cp.async.bulk.tensor.shared.cluster.global

// The head of a warp, and its first query: of the mask, and of each result.
// BOTH: llvm.urem
// BOTH: llvm.store {{.*}} !llvm.ptr<1>
// BOTH: llvm.return

// PROGRAM-DAG: "grid":[{"ceildiv":32,"dim":[0,2]},4,{"dim":[0,0]}],"kernel":"attention_dense_online_packed"
!q = tensor<?x16x?x128xbf16>
!k = tensor<?x4x?x128xbf16>
!lse = tensor<?x16x?xf32>
func.func @f(%q: !q, %k: !k) -> (!q, !lse) {
  %o, %lse = sfa.attention %q, %k, %k mask <causal> schedule <softmax = online, q_tile = 128, packed_heads = 4>
    : !q, !k, !k -> !q, !lse
  return %o, %lse : !q, !lse
}
