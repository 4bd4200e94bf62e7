// RUN: sfa-opt %s -sfa-to-nvvm | FileCheck %s

!codes = tensor<1x2x?x40xbf16, #sfa.codes<k = 8>>
!token = tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = token>>
!tile = tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>
!head = tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = head>>

// A block for 128 tokens, or for a head; indices are not copied.
// CHECK-LABEL: func.func @by_token(
// CHECK: %[[TILES:.*]] = arith.ceildivui %{{.*}}, %c128
// CHECK: gpu.launch_func @sfa_kernels::@quantize_token blocks in (%[[TILES]], %c2, %c1) threads in (%c128
// CHECK-NOT: gpu.launch_func
// CHECK: return %{{.*}}, %arg1, %{{.*}} : memref<1x2x?x8xi8>, memref<1x2x?x8xi8>, memref<1x2x?xf32>
// CHECK-LABEL: func.func @by_head(
// CHECK: gpu.launch_func @sfa_kernels::@quantize_head blocks in (%c1{{.*}}, %c2, %c1{{.*}}) threads in (%c128

// A thread tries 32 scales for its token, with 8 values in registers. Divisions are exact: their results are those of a CPU.
// CHECK: llvm.func @quantize_token(
// CHECK-SAME: nvvm.reqntid = array<i32: 128, 1, 1>
// CHECK-DAG: %[[C127:.*]] = llvm.mlir.constant(127 : i32) : i32
// CHECK-DAG: %[[C32:.*]] = llvm.mlir.constant(32 : i32) : i32
// CHECK-DAG: %[[LEAST:.*]] = llvm.mlir.constant(8388608 : i32) : i32
// CHECK-NOT: nvvm.barrier
// CHECK: llvm.icmp "slt" %[[CANDIDATE:.*]], %[[C32]] : i32
// CHECK: llvm.sub %[[C127]], %[[CANDIDATE]] : i32
// CHECK-NOT: llvm.load
// CHECK: llvm.fcmp "olt"
// CHECK: %[[QUOTIENT:.*]] = llvm.fdiv
// CHECK: %[[BITS:.*]] = llvm.bitcast %[[QUOTIENT]] : f32 to i32
// CHECK: llvm.intr.smax(%[[BITS]], %[[LEAST]])
// CHECK: llvm.store %[[SCALE:.*]], %{{.*}} : f32, !llvm.ptr<1>
// CHECK: %[[IS_NAN:.*]] = llvm.fcmp "uno" %[[SCALE]], %[[SCALE]]
// CHECK: %[[QUOTIENT:.*]] = llvm.fdiv %{{.*}}, %[[SCALE]] : f32
// CHECK: %[[ROUNDED:.*]] = llvm.intr.roundeven(%[[QUOTIENT]])
// CHECK: %[[INTEGER:.*]] = llvm.fptosi %[[ROUNDED]] : f32 to i32
// CHECK: llvm.select %[[IS_NAN]], %{{.*}}, %[[INTEGER]]
// CHECK: llvm.store %{{.*}}, %{{.*}} : i8, !llvm.ptr<1>
func.func @by_token(%codes: !codes) -> !token {
  %0 = sfa.quantize %codes : !codes -> !token
  return %0 : !token
}

// Threads share the largest magnitude of all rows; one of them writes the scale.
// CHECK: llvm.func @quantize_head(
// CHECK: %[[THREAD:.*]] = nvvm.read.ptx.sreg.tid.x
// CHECK-NOT: llvm.intr.roundeven
// CHECK-COUNT-5: nvvm.shfl.sync bfly
// CHECK: llvm.store {{.*}} : i32, !llvm.ptr<3>
// CHECK: nvvm.barrier
// CHECK-COUNT-4: llvm.load {{.*}} : !llvm.ptr<3> -> i32
// CHECK: %[[IS_FIRST:.*]] = llvm.icmp "eq" %[[THREAD]], %{{.*}} : i32
// CHECK-NEXT: llvm.cond_br %[[IS_FIRST]]
// CHECK: llvm.store {{.*}} : f32, !llvm.ptr<1>
// CHECK: llvm.intr.roundeven
// CHECK: llvm.store %{{.*}}, %{{.*}} : i8, !llvm.ptr<1>
func.func @by_head(%codes: !codes) -> !head {
  %0 = sfa.quantize %codes : !codes -> !head
  return %0 : !head
}

// CHECK: llvm.func @quantize_tile(
// CHECK: nvvm.barrier
// CHECK: llvm.intr.roundeven
func.func @by_tile(%codes: !codes) -> !tile {
  %0 = sfa.quantize %codes : !codes -> !tile
  return %0 : !tile
}
