// RUN: sfa-opt %s -sfa-to-nvvm | FileCheck %s

// The attention is dense: its codes are densified before, once; those that are made here are written as rows alone.
// CHECK-LABEL: func.func @attention
// CHECK: gpu.launch_func @sfa_kernels::@sparsify
// CHECK: gpu.launch_func @sfa_kernels::@densify
// CHECK-NOT: gpu.launch_func @sfa_kernels::@densify
// CHECK: gpu.launch_func @sfa_kernels::@attention_dense_online

// A lane clears 16 bytes of a row by the row's mask, of which it reads a byte.
// CHECK: llvm.func @sparsify(
// CHECK-NOT: vector<8xi16>
// CHECK: nvvm.bar.warp.sync
// CHECK: nvvm.bar.warp.sync
// CHECK: llvm.store {{.*}} {alignment = 16 : i64} : vector<4xi32>, !llvm.ptr<3>
// CHECK: nvvm.bar.warp.sync
// CHECK: llvm.load {{.*}} : !llvm.ptr<3> -> i8
// CHECK: llvm.load {{.*}} {alignment = 16 : i64} : !llvm.ptr<3> -> vector<4xi32>
// CHECK: llvm.store {{.*}} {alignment = 16 : i64} : vector<4xi32>, !llvm.ptr<1>

// CHECK: llvm.func @densify(
// CHECK: llvm.store {{.*}} {alignment = 16 : i64} : vector<4xi32>, !llvm.ptr<1>
func.func @attention(%q: tensor<1x8x?x128xf16, #sfa.codes<k = 8>>, %k: tensor<1x8x?x128xf16>, %v: tensor<1x8x?x128xf16>)
    -> tensor<1x8x?x128xf16> {
  %c = sfa.sparsify %k : tensor<1x8x?x128xf16> -> tensor<1x8x?x128xf16, #sfa.codes<k = 8>>
  %o = sfa.attention %q, %c, %v : tensor<1x8x?x128xf16, #sfa.codes<k = 8>>, tensor<1x8x?x128xf16, #sfa.codes<k = 8>>,
    tensor<1x8x?x128xf16> -> tensor<1x8x?x128xf16>
  return %o : tensor<1x8x?x128xf16>
}

// Each of the 128 threads has a row: 16 copies of 16 bytes a thread bring 32 rows of 128 features.
// CHECK: llvm.func @sparsify_0(
// CHECK-SAME: nvvm.reqntid = array<i32: 128, 1, 1>
// CHECK-COUNT-16: nvvm.cp.async.shared.global {{.*}}, 16, cache = cg
// CHECK: nvvm.bar.warp.sync
// Pairs are sorted; nothing crosses lanes.
// CHECK: llvm.intr.umax({{.*}}) : (vector<2xi16>, vector<2xi16>) -> vector<2xi16>
// CHECK-NOT: nvvm.shfl
// CHECK: nvvm.dot.accumulate.4way
// Eight values and their features at once.
// CHECK: llvm.store {{.*}} {alignment = 16 : i64} : vector<8xi16>, !llvm.ptr<1>
// CHECK: llvm.store {{.*}} {alignment = 8 : i64} : vector<8xi8>, !llvm.ptr<1>
func.func @codes(%x: tensor<1x8x?x128xf16>) -> tensor<1x8x?x128xf16, #sfa.codes<k = 8>> {
  %c = sfa.sparsify %x : tensor<1x8x?x128xf16> -> tensor<1x8x?x128xf16, #sfa.codes<k = 8>>
  return %c : tensor<1x8x?x128xf16, #sfa.codes<k = 8>>
}

// The threshold of a large k is searched for, not sorted; 33 values are stored one by one.
// CHECK: llvm.func @sparsify_1(
// CHECK-NOT: llvm.intr.umax
// CHECK: llvm.store {{.*}} {alignment = 2 : i64} : vector<1xi16>, !llvm.ptr<1>
func.func @large_k(%x: tensor<1x8x?x64xbf16>) -> tensor<1x8x?x64xbf16, #sfa.codes<k = 33>> {
  %c = sfa.sparsify %x : tensor<1x8x?x64xbf16> -> tensor<1x8x?x64xbf16, #sfa.codes<k = 33>>
  return %c : tensor<1x8x?x64xbf16, #sfa.codes<k = 33>>
}

// 2:4 is in the masks, too: which of features 0 and 1, 2 and 3 ranks before the other.
// CHECK: llvm.func @sparsify_2(
// CHECK-DAG: %[[LOW:.*]] = llvm.mlir.constant(21520 : i32)
// CHECK-DAG: %[[HIGH:.*]] = llvm.mlir.constant(30258 : i32)
// CHECK: nvvm.bar.warp.sync
// CHECK: nvvm.bar.warp.sync
// CHECK: nvvm.prmt <default> %[[LOW]],
// CHECK: nvvm.prmt <default> %[[HIGH]],
// Rows of 16 codes are put together in shared memory, and are stored 16 bytes a lane.
// CHECK-COUNT-2: llvm.store {{.*}} {alignment = 16 : i64} : vector<8xi16>, !llvm.ptr<3>
// CHECK-COUNT-2: llvm.store {{.*}} {alignment = 8 : i64} : vector<8xi8>, !llvm.ptr<3>
// CHECK: nvvm.bar.warp.sync
// CHECK: llvm.store {{.*}} {alignment = 16 : i64} : vector<4xi32>, !llvm.ptr<1>
func.func @two_four(%x: tensor<1x8x?x64xbf16>) -> tensor<1x8x?x64xbf16, #sfa.codes<k = 16, two_four>> {
  %c = sfa.sparsify %x : tensor<1x8x?x64xbf16> -> tensor<1x8x?x64xbf16, #sfa.codes<k = 16, two_four>>
  return %c : tensor<1x8x?x64xbf16, #sfa.codes<k = 16, two_four>>
}
