// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s

// CHECK-LABEL: sfa_gpu.kernel @scales(
sfa_gpu.kernel @scales(%query: memref<1x8x?xf32>, %key: memref<1x2x?xf32>) warps 8 consumers 0 to 8 {
  %queries = sfa_gpu.ring : !sfa_gpu.ring<1 of 128x80xi8, swizzled>
  %keys = sfa_gpu.ring : !sfa_gpu.ring<2 of 96x80xi8, swizzled>
  %zero = arith.constant 0 : i32
  %c0 = arith.constant 0 : index
  %q = sfa_gpu.place %queries[%zero : i32] : !sfa_gpu.ring<1 of 128x80xi8, swizzled>
  %k = sfa_gpu.place %keys[%zero : i32] : !sfa_gpu.ring<2 of 96x80xi8, swizzled>
  %rows = sfa_tile.load_scales %query[%c0, %c0, %c0] shared_by token : memref<1x8x?xf32> -> !sfa_tile.tile<128xf32>

  // Products of integers take 32 columns at once: rows in registers are filled up.
  // CHECK: %[[LEFT:.*]] = sfa_gpu.load_operand %{{.*}} : !sfa_gpu.shared<128x80xi8, swizzled>
  %left = sfa_gpu.load_operand %q : !sfa_gpu.shared<128x80xi8, swizzled>
  // CHECK: %[[INTEGERS:.*]] = sfa_gpu.dot %{{.*}}, %{{.*}} -> !sfa_tile.tile<128x96xi32>
  %integers = sfa_gpu.dot %q, %k
    : !sfa_gpu.shared<128x80xi8, swizzled>, !sfa_gpu.shared<96x80xi8, swizzled> -> !sfa_tile.tile<128x96xi32>

  // All columns have one scale together, or each 32 have; elements stay integers.
  // CHECK: %[[ALL:.*]] = sfa_gpu.load_scales %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] shared_by head : memref<1x2x?xf32> -> !sfa_gpu.columns<96xf32, together 96>
  %all = sfa_gpu.load_scales %key[%c0, %c0, %c0] shared_by head : memref<1x2x?xf32> -> !sfa_gpu.columns<96xf32, together 96>
  // CHECK: sfa_gpu.dequantize %[[INTEGERS]] rows %{{.*}} keys %[[ALL]] : {{.*}} -> !sfa_tile.tile<128x96xi32, scaled>
  %s0 = sfa_gpu.dequantize %integers rows %rows keys %all : !sfa_tile.tile<128x96xi32>, !sfa_tile.tile<128xf32>,
    !sfa_gpu.columns<96xf32, together 96> -> !sfa_tile.tile<128x96xi32, scaled>
  // CHECK: %[[PARTS:.*]] = sfa_gpu.load_scales {{.*}} shared_by tile : memref<1x2x?xf32> -> !sfa_gpu.columns<96xf32, together 32>
  %parts = sfa_gpu.load_scales %key[%c0, %c0, %c0] shared_by tile : memref<1x2x?xf32> -> !sfa_gpu.columns<96xf32, together 32>
  // CHECK: sfa_gpu.dequantize %[[INTEGERS]] rows %{{.*}} keys %[[PARTS]] : {{.*}} -> !sfa_tile.tile<128x96xi32, scaled 32>
  %s1 = sfa_gpu.dequantize %integers rows %rows keys %parts : !sfa_tile.tile<128x96xi32>, !sfa_tile.tile<128xf32>,
    !sfa_gpu.columns<96xf32, together 32> -> !sfa_tile.tile<128x96xi32, scaled 32>

  // Two scales anywhere, or one of each column: elements are multiplied.
  // CHECK: %[[TWO:.*]] = sfa_gpu.load_scales {{.*}} shared_by tile : memref<1x2x?xf32> -> !sfa_gpu.columns<96xf32, two>
  %two = sfa_gpu.load_scales %key[%c0, %c0, %c0] shared_by tile : memref<1x2x?xf32> -> !sfa_gpu.columns<96xf32, two>
  // CHECK: sfa_gpu.dequantize %[[INTEGERS]] rows %{{.*}} keys %[[TWO]] : {{.*}} -> !sfa_tile.tile<128x96xf32, scaled>
  %s2 = sfa_gpu.dequantize %integers rows %rows keys %two : !sfa_tile.tile<128x96xi32>, !sfa_tile.tile<128xf32>,
    !sfa_gpu.columns<96xf32, two> -> !sfa_tile.tile<128x96xf32, scaled>
  // CHECK: sfa_gpu.prefetch_scales %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] columns 96 : memref<1x2x?xf32>
  sfa_gpu.prefetch_scales %key[%c0, %c0, %c0] columns 96 : memref<1x2x?xf32>
  // CHECK: %[[EACH:.*]] = sfa_gpu.load_scales {{.*}} shared_by token : memref<1x2x?xf32> -> !sfa_gpu.columns<96xf32>
  %each = sfa_gpu.load_scales %key[%c0, %c0, %c0] shared_by token : memref<1x2x?xf32> -> !sfa_gpu.columns<96xf32>
  // CHECK: %[[SCORES:.*]] = sfa_gpu.dequantize %[[INTEGERS]] rows %{{.*}} keys %[[EACH]] : {{.*}} -> !sfa_tile.tile<128x96xf32, scaled>
  %s3 = sfa_gpu.dequantize %integers rows %rows keys %each : !sfa_tile.tile<128x96xi32>, !sfa_tile.tile<128xf32>,
    !sfa_gpu.columns<96xf32> -> !sfa_tile.tile<128x96xf32, scaled>

  // Integers take over the registers of probabilities, and those of integers.
  // CHECK: sfa_gpu.issue_dot %[[LEFT]], %{{.*}} reuse(%[[INTEGERS]] : !sfa_tile.tile<128x96xi32>) : !sfa_gpu.operand<128x96xi8>, {{.*}} -> !sfa_gpu.pending<128x96xi32>
  %next = sfa_gpu.issue_dot %left, %k reuse(%integers : !sfa_tile.tile<128x96xi32>)
    : !sfa_gpu.operand<128x96xi8>, !sfa_gpu.shared<96x80xi8, swizzled> -> !sfa_gpu.pending<128x96xi32>
  %weights = sfa_tile.fill 0.0 : !sfa_tile.tile<128x96xf32>
  // CHECK: %[[PENDING:.*]] = sfa_gpu.issue_dot {{.*}} reuse(%{{.*}} : !sfa_tile.tile<128x96xf32>) : {{.*}} -> !sfa_gpu.pending<128x96xi32>
  %pending = sfa_gpu.issue_dot %q, %k reuse(%weights : !sfa_tile.tile<128x96xf32>)
    : !sfa_gpu.shared<128x80xi8, swizzled>, !sfa_gpu.shared<96x80xi8, swizzled> -> !sfa_gpu.pending<128x96xi32>
  // CHECK: sfa_gpu.wait pending 0(%[[PENDING]]) : !sfa_gpu.pending<128x96xi32>
  %done = sfa_gpu.wait pending 0(%pending) : !sfa_gpu.pending<128x96xi32>
}
