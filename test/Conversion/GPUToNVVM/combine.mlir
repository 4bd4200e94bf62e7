// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_90a" | FileCheck %s --check-prefixes=CHECK,SM90
// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_80" | FileCheck %s
// RUN: sfa-compile %s --chip=sm_90a | FileCheck %s --check-prefix=PROGRAM

// Partial results are f32, two columns at a time: 32 bytes of the four lanes of a row.
// CHECK: llvm.func @attention_dense_online_split(
// SM90: nvvm.setmaxregister
// CHECK: llvm.store {{.*}} : vector<2xf32>, !llvm.ptr<1>

// A warp has a row. Lane i has the weights of splits i and i + 32.
// CHECK: llvm.func @combine(
// CHECK-SAME: nvvm.reqntid = array<i32: 128, 1, 1>
// CHECK-COUNT-2: llvm.load {{.*}} : !llvm.ptr<1> -> f32
// CHECK-COUNT-5: nvvm.shfl.sync bfly
// CHECK-COUNT-2: llvm.nvvm.ex2.approx.ftz.f32
// CHECK-COUNT-5: nvvm.shfl.sync bfly
// Eight outputs are on their way at once; of splits 32 to 39 there is no loop.
// CHECK: llvm.cond_br
// CHECK-COUNT-8: llvm.load {{.*}} {alignment = 16 : i64} : !llvm.ptr<1> -> vector<4xf32>
// CHECK-COUNT-8: nvvm.shfl.sync idx
// CHECK: llvm.store {{.*}} : f32, !llvm.ptr<1>
// CHECK: llvm.store {{.*}} {alignment = 8 : i64} : vector<2xi32>, !llvm.ptr<1>

// What passes between the kernels is in the workspace.
// PROGRAM-DAG: "temporaries":[{"shape":[{"dim":[0,0]},640,{"dim":[0,2]},128],"type":"f32"},{"shape":[{"dim":[0,0]},640,{"dim":[0,2]}],"type":"f32"}]
// PROGRAM-DAG: "grid":[{"ceildiv":128,"dim":[0,2]},640,{"dim":[0,0]}],"kernel":"attention_dense_online_split","memories":[0,1,2,5,6]
// PROGRAM-DAG: "grid":[{"ceildiv":4,"dim":[0,2]},16,{"dim":[0,0]}],"kernel":"combine","memories":[5,6,3,4]
!q = tensor<?x16x?x128xbf16>
!k = tensor<?x4x?x128xbf16>
!lse = tensor<?x16x?xf32>
func.func @decode(%q: !q, %k: !k, %v: !k) -> (!q, !lse) {
  %o, %lse = sfa.attention %q, %k, %v schedule <softmax = online, splits = 40> : !q, !k, !k -> !q, !lse
  return %o, %lse : !q, !lse
}
