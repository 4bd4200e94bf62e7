// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_80" | FileCheck %s --check-prefixes=BOTH,SM80
// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_90a" | FileCheck %s --check-prefixes=BOTH,SM90
// RUN: sfa-compile %s --chip=sm_90a | FileCheck %s --check-prefix=PROGRAM

// Five heads have 16 of 128 rows each, as eight would. A bulk tensor copy has the rows of the three heads behind, too, or 0.
// SM90: sfa.tensor_maps = array<i64: 1, 128, 1, 2, 128, 1, 0, 16, 8>
// BOTH-LABEL: llvm.func @attention_dense_online_packed(
// BOTH: %[[FIVE:.*]] = llvm.mlir.constant(5 : i32)

// Rows left over are not read where each row is on its own.
// SM80: llvm.icmp "slt" %{{.*}}, %[[FIVE]] : i32
// SM80: nvvm.cp.async.shared.global

// The warps that have them store nothing.
// BOTH: nvvm.rcp.approx
// BOTH: %[[HEAD_OF_WARP:.*]] = llvm.udiv
// BOTH: llvm.icmp "slt" %[[HEAD_OF_WARP]], %[[FIVE]] : i32
// BOTH: llvm.store {{.*}} !llvm.ptr<1>
// BOTH: llvm.return

// PROGRAM-DAG: "grid":[{"ceildiv":16,"dim":[0,2]},6,{"dim":[0,0]}],"kernel":"attention_dense_online_packed"
!q = tensor<?x30x?x128xbf16>
!k = tensor<?x6x?x128xbf16>
func.func @f(%q: !q, %k: !k) -> !q {
  %o = sfa.attention %q, %k, %k mask <causal> schedule <softmax = online, q_tile = 128, consumers = 2, packed_heads = 5> : !q, !k, !k -> !q
  return %o : !q
}
