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

// Attention that selects and rounds has a kernel for each operand, and one of its own.
// CHECK-LABEL: func.func @attention(
// CHECK: gpu.launch_func @sfa_kernels::@sparsify_integers
// CHECK: gpu.launch_func @sfa_kernels::@sparsify_integers
// CHECK-NOT: gpu.launch_func
// CHECK: gpu.launch_func @sfa_kernels::@attention
// CHECK-NOT: gpu.launch_func
// CHECK: return

// A thread tries 32 scales for its token, with 8 values in registers: 127 steps to the largest one, then one less each. Divisions
// are exact: their results are those of a CPU. A sum with 1.5 * 2^23 has the integer in its low bits.
// CHECK: llvm.func @quantize_token(
// CHECK-SAME: nvvm.reqntid = array<i32: 128, 1, 1>
// CHECK-DAG: %[[C32:.*]] = llvm.mlir.constant(32 : i32) : i32
// CHECK-DAG: %[[LEAST:.*]] = llvm.mlir.constant(8388608 : i32) : i32
// CHECK-DAG: %[[BIAS:.*]] = llvm.mlir.constant(0x4B400000 : f32) : f32
// CHECK-DAG: %[[MINUS_ONE:.*]] = llvm.mlir.constant(-1.000000e+00 : f32) : f32
// CHECK-NOT: nvvm.barrier
// CHECK: llvm.icmp "slt" %{{.*}}, %[[C32]] : i32
// CHECK-NOT: llvm.load
// CHECK-NOT: llvm.fdiv
// CHECK: llvm.fcmp "olt"
// CHECK: llvm.fadd %{{.*}}, %[[MINUS_ONE]]
// CHECK: %[[QUOTIENT:.*]] = llvm.fdiv
// CHECK: %[[BITS:.*]] = llvm.bitcast %[[QUOTIENT]] : f32 to i32
// CHECK: llvm.intr.smax(%[[BITS]], %[[LEAST]])
// CHECK: llvm.store %[[SCALE:.*]], %{{.*}} : f32, !llvm.ptr<1>
// CHECK: %[[IS_NAN:.*]] = llvm.fcmp "uno" %[[SCALE]], %[[SCALE]]
// CHECK: %[[QUOTIENT:.*]] = llvm.fdiv %{{.*}}, %[[SCALE]] : f32
// CHECK: %[[SUM:.*]] = llvm.fadd %[[QUOTIENT]], %[[BIAS]]
// CHECK: %[[BITS:.*]] = llvm.bitcast %[[SUM]] : f32 to i32
// CHECK: %[[INTEGER:.*]] = llvm.trunc %[[BITS]] : i32 to i8
// CHECK: %[[STORED:.*]] = llvm.select %[[IS_NAN]], %{{.*}}, %[[INTEGER]]
// CHECK: llvm.store %[[STORED]], %{{.*}} : i8, !llvm.ptr<1>
func.func @by_token(%codes: !codes) -> !token {
  %0 = sfa.quantize %codes : !codes -> !token
  return %0 : !token
}

// Threads share the largest magnitude of all rows; one of them writes the scale.
// CHECK: llvm.func @quantize_head(
// CHECK: %[[THREAD:.*]] = nvvm.read.ptx.sreg.tid.x
// CHECK-NOT: llvm.trunc {{.*}} to i8
// CHECK-COUNT-5: nvvm.shfl.sync bfly
// CHECK: llvm.store {{.*}} : i32, !llvm.ptr<3>
// CHECK: nvvm.barrier
// CHECK-COUNT-4: llvm.load {{.*}} : !llvm.ptr<3> -> i32
// CHECK: %[[IS_FIRST:.*]] = llvm.icmp "eq" %[[THREAD]], %{{.*}} : i32
// CHECK-NEXT: llvm.cond_br %[[IS_FIRST]]
// CHECK: llvm.store {{.*}} : f32, !llvm.ptr<1>
// CHECK: llvm.trunc {{.*}} to i8
// CHECK: llvm.store %{{.*}}, %{{.*}} : i8, !llvm.ptr<1>
func.func @by_head(%codes: !codes) -> !head {
  %0 = sfa.quantize %codes : !codes -> !head
  return %0 : !head
}

// CHECK: llvm.func @quantize_tile(
// CHECK: nvvm.barrier
// CHECK: llvm.trunc {{.*}} to i8
func.func @by_tile(%codes: !codes) -> !tile {
  %0 = sfa.quantize %codes : !codes -> !tile
  return %0 : !tile
}

// A thread rounds the values that it has selected, clears its row in shared memory and puts the integers there; lanes then store
// 16 bytes each. Rows of 40 features have 48 columns.
// CHECK: llvm.func @sparsify_integers(
// CHECK: nvvm.cp.async.shared.global
// CHECK: nvvm.bar.warp.sync
// CHECK: nvvm.dot.accumulate.4way
// CHECK: llvm.fcmp "olt"
// CHECK-NOT: nvvm.barrier
// CHECK-COUNT-8: llvm.fdiv
// CHECK-COUNT-3: llvm.store %{{.*}}, %{{.*}} {alignment = 16 : i64} : vector<4xi32>, !llvm.ptr<3>
// CHECK-COUNT-8: llvm.store %{{.*}}, %{{.*}} {alignment = 1 : i64} : i8, !llvm.ptr<3>
// CHECK: nvvm.bar.warp.sync
// CHECK: llvm.store {{.*}} {alignment = 16 : i64} : vector<4xi32>, !llvm.ptr<1>
// CHECK: llvm.store %{{.*}}, %{{.*}} : f32, !llvm.ptr<1>
// CHECK: llvm.return
func.func @rows(%x: tensor<1x2x?x40xbf16>) -> tensor<1x2x?x40xbf16, #sfa.dense<values = i8, scales = token>> {
  %0, %1 = sfa.sparsify %x : tensor<1x2x?x40xbf16> -> !token, tensor<1x2x?x40xbf16, #sfa.dense<values = i8, scales = token>>
  return %1 : tensor<1x2x?x40xbf16, #sfa.dense<values = i8, scales = token>>
}

// sfa.quantize of what is selected for it alone becomes part of that. The rows of a tile share a scale.
// CHECK: llvm.func @sparsify_integers_0(
// CHECK: nvvm.barrier
// CHECK-COUNT-4: llvm.load {{.*}} : !llvm.ptr<3> -> i32
// CHECK: llvm.store {{.*}} {alignment = 8 : i64} : vector<8xi8>, !llvm.ptr<1>
// CHECK: llvm.store {{.*}} {alignment = 8 : i64} : vector<8xi8>, !llvm.ptr<1>
// CHECK: llvm.return
func.func @codes(%x: tensor<1x2x?x40xbf16>) -> !tile {
  %0 = sfa.sparsify %x : tensor<1x2x?x40xbf16> -> !codes
  %1 = sfa.quantize %0 : !codes -> !tile
  return %1 : !tile
}

func.func @attention(%q: tensor<1x2x?x64xbf16>, %k: tensor<1x2x?x64xbf16>) -> tensor<1x2x?x64xbf16> {
  %qs = sfa.sparsify %q : tensor<1x2x?x64xbf16> -> tensor<1x2x?x64xbf16, #sfa.codes<k = 8>>
  %qi = sfa.quantize %qs : tensor<1x2x?x64xbf16, #sfa.codes<k = 8>> -> tensor<1x2x?x64xbf16, #sfa.codes<k = 8, values = i8, scales = token>>
  %ks = sfa.sparsify %k : tensor<1x2x?x64xbf16> -> tensor<1x2x?x64xbf16, #sfa.codes<k = 8>>
  %ki = sfa.quantize %ks : tensor<1x2x?x64xbf16, #sfa.codes<k = 8>> -> tensor<1x2x?x64xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>
  %o = sfa.attention %qi, %ki, %k : tensor<1x2x?x64xbf16, #sfa.codes<k = 8, values = i8, scales = token>>,
    tensor<1x2x?x64xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>, tensor<1x2x?x64xbf16> -> tensor<1x2x?x64xbf16>
  return %o : tensor<1x2x?x64xbf16>
}
