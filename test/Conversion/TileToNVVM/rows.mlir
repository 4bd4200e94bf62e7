// RUN: sfa-opt %s -sfa-to-nvvm | FileCheck %s

// The attention is dense: its codes are densified before, once.
// CHECK-LABEL: func.func @attention
// CHECK: gpu.launch_func @sfa_kernels::@sparsify
// CHECK: gpu.launch_func @sfa_kernels::@densify
// CHECK: gpu.launch_func @sfa_kernels::@attention_dense_online

// Rows of 128 features: 16 lanes each, 16 bytes a lane, read once.

// CHECK: llvm.func @sparsify(
// CHECK-SAME: nvvm.reqntid = array<i32: 256, 1, 1>
// CHECK: llvm.load {{.*}} {alignment = 16 : i64} : !llvm.ptr<1> -> vector<4xi32>
// CHECK: llvm.intr.umax
// CHECK: nvvm.shfl.sync bfly
// CHECK: nvvm.shfl.sync up
// CHECK: llvm.store {{.*}} : i16, !llvm.ptr<1>
// CHECK: llvm.store {{.*}} : i8, !llvm.ptr<1>

// CHECK: llvm.func @densify(
// CHECK: llvm.store {{.*}} {alignment = 16 : i64} : vector<4xi32>, !llvm.ptr<1>

func.func @attention(%q: tensor<1x8x?x128xf16>, %k: tensor<1x8x?x128xf16>, %v: tensor<1x8x?x128xf16>)
    -> tensor<1x8x?x128xf16> {
  %c = sfa.sparsify %k : tensor<1x8x?x128xf16> -> tensor<1x8x?x128xf16, #sfa.codes<k = 8>>
  %o = sfa.attention %q, %c, %v
    : tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16, #sfa.codes<k = 8>>, tensor<1x8x?x128xf16> -> tensor<1x8x?x128xf16>
  return %o : tensor<1x8x?x128xf16>
}
