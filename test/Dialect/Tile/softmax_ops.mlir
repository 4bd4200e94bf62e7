// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s

// CHECK-LABEL: @softmax(
func.func @softmax(%s: !sfa_tile.tile<64x32xf32>, %m: !sfa_tile.tile<64xf32>, %l: !sfa_tile.tile<64xf32>,
                   %acc: !sfa_tile.tile<64x128xf32>, %v: !sfa_tile.tile<32x128xf16>, %row: index, %nq: index, %nk: index) {
  // CHECK: sfa_tile.scale %{{.*}} by -1.000000e+00 : !sfa_tile.tile<64x32xf32>
  %scaled = sfa_tile.scale %s by -1.0 : !sfa_tile.tile<64x32xf32>
  // CHECK: sfa_tile.mask %{{.*}}[%{{.*}}, %{{.*}}] of[%{{.*}}, %{{.*}}] by <window, left = 3> : !sfa_tile.tile<64x32xf32>
  %masked = sfa_tile.mask %scaled[%row, %row] of [%nq, %nk] by <window, left = 3> : !sfa_tile.tile<64x32xf32>
  // CHECK: sfa_tile.mask %{{.*}}[%{{.*}}, %{{.*}}] of[%{{.*}}, %{{.*}}] by <causal> heads 4 : !sfa_tile.tile<64x32xf32>
  %packed = sfa_tile.mask %scaled[%row, %row] of [%nq, %nk] by <causal> heads 4 : !sfa_tile.tile<64x32xf32>
  // CHECK: sfa_tile.row_max %{{.*}}, %{{.*}} : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>
  %m1 = sfa_tile.row_max %masked, %m : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>
  // CHECK: sfa_tile.exp2 %{{.*}}, %{{.*}} scale %{{.*}} : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>
  %scale0 = arith.constant 0.125 : f32
  %p = sfa_tile.exp2 %masked, %m1 scale %scale0 : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>
  // CHECK: sfa_tile.exp2 %{{.*}}, %{{.*}} scale %{{.*}} : !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  %scale1 = arith.constant 0.125 : f32
  %factors = sfa_tile.exp2 %m, %m1 scale %scale1 : !sfa_tile.tile<64xf32>, !sfa_tile.tile<64xf32>
  // CHECK: sfa_tile.exp2 %{{.*}}, %{{.*}} scale %{{.*}} raise 8.000000e+00 : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>
  %scale2 = arith.constant 0.125 : f32
  %raised = sfa_tile.exp2 %masked, %m1 scale %scale2 raise 8.0 : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>
  // CHECK: sfa_tile.exp2 %{{.*}}, %{{.*}} scale %{{.*}} difference_first : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>
  %scale3 = arith.constant 0.125 : f32
  %exact = sfa_tile.exp2 %masked, %m1 scale %scale3 raise 0.0 difference_first : !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<64xf32>
  // CHECK: sfa_tile.row_sum %{{.*}} : !sfa_tile.tile<64x32xf32> -> !sfa_tile.tile<64xf32, partial>
  %sum = sfa_tile.row_sum %p : !sfa_tile.tile<64x32xf32> -> !sfa_tile.tile<64xf32, partial>
  // CHECK: sfa_tile.total %{{.*}} : !sfa_tile.tile<64xf32, partial> -> !sfa_tile.tile<64xf32>
  %l2 = sfa_tile.total %sum : !sfa_tile.tile<64xf32, partial> -> !sfa_tile.tile<64xf32>
  // CHECK: sfa_tile.scale_rows %{{.*}}, %{{.*}} : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>
  %acc0 = sfa_tile.scale_rows %acc, %factors : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>
  // CHECK: sfa_tile.scale_rows %{{.*}}, %{{.*}} mostly_ones : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>
  %acc1 = sfa_tile.scale_rows %acc0, %factors mostly_ones : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>
  // CHECK: sfa_tile.accumulate %{{.*}}, %{{.*}}, %{{.*}} : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<32x128xf16>
  %acc2 = sfa_tile.accumulate %acc1, %p, %v
    : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<32x128xf16>
  // CHECK: sfa_tile.normalize %{{.*}}, %{{.*}} : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>
  %o = sfa_tile.normalize %acc2, %l2 : !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>
  // CHECK: sfa_tile.lse %{{.*}}, %{{.*}} scale %{{.*}} : !sfa_tile.tile<64xf32>
  %scale4 = arith.constant 0.125 : f32
  %lse = sfa_tile.lse %m1, %l2 scale %scale4 : !sfa_tile.tile<64xf32>
  // A raise of 0 is not the same as none.
  // CHECK: sfa_tile.lse %{{.*}}, %{{.*}} scale %{{.*}} raise 0.000000e+00 : !sfa_tile.tile<64xf32>
  %scale5 = arith.constant 0.125 : f32
  %lse2 = sfa_tile.lse %m1, %l2 scale %scale5 raise 0.0 : !sfa_tile.tile<64xf32>
  return
}

// CHECK-LABEL: @sums(
func.func @sums(%acc: !sfa_tile.tile<64x136xf32>, %p: !sfa_tile.tile<64x32xf32>, %v: !sfa_tile.tile<32x128xf16>) {
  // CHECK: sfa_tile.accumulate %{{.*}}, %{{.*}}, %{{.*}} : !sfa_tile.tile<64x136xf32>, !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<32x128xf16>
  %wide = sfa_tile.accumulate %acc, %p, %v
    : !sfa_tile.tile<64x136xf32>, !sfa_tile.tile<64x32xf32>, !sfa_tile.tile<32x128xf16>
  // CHECK: sfa_tile.row_sums_of %{{.*}} : !sfa_tile.tile<64x136xf32> -> !sfa_tile.tile<64xf32>
  %sums = sfa_tile.row_sums_of %wide : !sfa_tile.tile<64x136xf32> -> !sfa_tile.tile<64xf32>
  // CHECK: sfa_tile.split_sums %{{.*}} : !sfa_tile.tile<64x136xf32> -> !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>
  %o, %l = sfa_tile.split_sums %wide : !sfa_tile.tile<64x136xf32> -> !sfa_tile.tile<64x128xf32>, !sfa_tile.tile<64xf32>
  // CHECK: sfa_tile.not_finite %{{.*}} : !sfa_tile.tile<64x136xf32>
  %overflows = sfa_tile.not_finite %wide : !sfa_tile.tile<64x136xf32>
  return
}

// CHECK-LABEL: sfa_tile.kernel @combine(%partial_outputs: {{.*}}, %partial_sums: {{.*}}, %output: {{.*}}, %lse:
sfa_tile.kernel @combine(%outputs: memref<?x32x?x40xf32>, %sums: memref<?x32x?xf32>, %o: memref<?x4x?x40xf16>, %l: memref<?x4x?xf32>)
    grid(%b, %h, %t) {
  // CHECK: sfa_tile.combine %partial_outputs, %partial_sums[%batch, %head, %tile] of 8 splits : memref<?x32x?x40xf32>, memref<?x32x?xf32> -> !sfa_tile.tile<4x40xf32>, !sfa_tile.tile<4xf32>
  %output, %lse = sfa_tile.combine %outputs, %sums[%b, %h, %t] of 8 splits
    : memref<?x32x?x40xf32>, memref<?x32x?xf32> -> !sfa_tile.tile<4x40xf32>, !sfa_tile.tile<4xf32>
  // CHECK: sfa_tile.combine %partial_outputs, %partial_sums[%batch, %head, %tile] of 8 splits heads 4 : memref
  %output4, %lse4 = sfa_tile.combine %outputs, %sums[%b, %h, %t] of 8 splits heads 4
    : memref<?x32x?x40xf32>, memref<?x32x?xf32> -> !sfa_tile.tile<4x40xf32>, !sfa_tile.tile<4xf32>
  sfa_tile.store %output, %o[%b, %h, %t] : !sfa_tile.tile<4x40xf32>, memref<?x4x?x40xf16>
  sfa_tile.store %lse, %l[%b, %h, %t] : !sfa_tile.tile<4xf32>, memref<?x4x?xf32>
}

// Rows may have factors until they are probabilities.
// CHECK-LABEL: @factors(
func.func @factors(%s: !sfa_tile.tile<64x32xf32, scaled>, %m: !sfa_tile.tile<64xf32>, %i: index, %scale: f32) {
  // CHECK: sfa_tile.scale %{{.*}} by -1.000000e+00 : !sfa_tile.tile<64x32xf32, scaled>
  %scaled = sfa_tile.scale %s by -1.0 : !sfa_tile.tile<64x32xf32, scaled>
  // CHECK: sfa_tile.mask %{{.*}} by <causal> : !sfa_tile.tile<64x32xf32, scaled>
  %masked = sfa_tile.mask %scaled[%i, %i] of [%i, %i] by <causal> : !sfa_tile.tile<64x32xf32, scaled>
  // CHECK: sfa_tile.row_max %{{.*}}, %{{.*}} : !sfa_tile.tile<64x32xf32, scaled>, !sfa_tile.tile<64xf32>
  %m1 = sfa_tile.row_max %masked, %m : !sfa_tile.tile<64x32xf32, scaled>, !sfa_tile.tile<64xf32>
  // CHECK: %[[P:.*]] = sfa_tile.exp2 %{{.*}}, %{{.*}} scale %{{.*}} : !sfa_tile.tile<64x32xf32, scaled>, !sfa_tile.tile<64xf32>
  %p = sfa_tile.exp2 %masked, %m1 scale %scale : !sfa_tile.tile<64x32xf32, scaled>, !sfa_tile.tile<64xf32>
  // CHECK: sfa_tile.row_sum %[[P]] : !sfa_tile.tile<64x32xf32> -> !sfa_tile.tile<64xf32, partial>
  %sum = sfa_tile.row_sum %p : !sfa_tile.tile<64x32xf32> -> !sfa_tile.tile<64xf32, partial>
  return
}

// Integers stay integers as long as nobody needs numbers; each 16 columns have a factor of their own.
// CHECK-LABEL: @factors_of_integers(
func.func @factors_of_integers(%s: !sfa_tile.tile<64x32xi32, scaled 16>, %m: !sfa_tile.tile<64xf32>, %i: index, %scale: f32) {
  // CHECK: %[[MASKED:.*]] = sfa_tile.mask %{{.*}} by <causal> : !sfa_tile.tile<64x32xi32, scaled 16>
  %masked = sfa_tile.mask %s[%i, %i] of [%i, %i] by <causal> : !sfa_tile.tile<64x32xi32, scaled 16>
  // CHECK: sfa_tile.row_max %[[MASKED]], %{{.*}} : !sfa_tile.tile<64x32xi32, scaled 16>, !sfa_tile.tile<64xf32>
  %m1 = sfa_tile.row_max %masked, %m : !sfa_tile.tile<64x32xi32, scaled 16>, !sfa_tile.tile<64xf32>
  // CHECK: %[[P:.*]] = sfa_tile.exp2 %[[MASKED]], %{{.*}} scale %{{.*}} : !sfa_tile.tile<64x32xi32, scaled 16>, !sfa_tile.tile<64xf32>
  %p = sfa_tile.exp2 %masked, %m1 scale %scale : !sfa_tile.tile<64x32xi32, scaled 16>, !sfa_tile.tile<64xf32>
  // CHECK: sfa_tile.row_sum %[[P]] : !sfa_tile.tile<64x32xf32> -> !sfa_tile.tile<64xf32, partial>
  %sum = sfa_tile.row_sum %p : !sfa_tile.tile<64x32xf32> -> !sfa_tile.tile<64xf32, partial>
  // CHECK: %[[HALF:.*]] = sfa_tile.scale %[[MASKED]] by 5.000000e-01 : !sfa_tile.tile<64x32xi32, scaled 16>
  %half = sfa_tile.scale %masked by 0.5 : !sfa_tile.tile<64x32xi32, scaled 16>
  // CHECK: sfa_tile.exp2 %[[HALF]], %{{.*}} : !sfa_tile.tile<64x32xf32, scaled 16>, !sfa_tile.tile<64xf32>
  %p2 = sfa_tile.exp2 %half, %m1 scale %scale : !sfa_tile.tile<64x32xf32, scaled 16>, !sfa_tile.tile<64xf32>
  return
}
