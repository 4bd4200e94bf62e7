// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s

// CHECK-LABEL: sfa_gpu.kernel @products()
sfa_gpu.kernel @products() warps 8 consumers 0 to 8 {
  %queries = sfa_gpu.ring : !sfa_gpu.ring<1 of 128x64xbf16, swizzled>
  %keys = sfa_gpu.ring : !sfa_gpu.ring<2 of 64x64xbf16, swizzled>
  %zero = arith.constant 0 : i32
  %true = arith.constant true
  %q = sfa_gpu.place %queries[%zero : i32] : !sfa_gpu.ring<1 of 128x64xbf16, swizzled>
  %k = sfa_gpu.place %keys[%zero : i32] : !sfa_gpu.ring<2 of 64x64xbf16, swizzled>
  // CHECK: %[[LEFT:.*]] = sfa_gpu.load_operand %{{.*}} : !sfa_gpu.shared<128x64xbf16, swizzled>
  %left = sfa_gpu.load_operand %q : !sfa_gpu.shared<128x64xbf16, swizzled>
  // CHECK: %[[S:.*]] = sfa_gpu.dot %{{.*}}, %{{.*}} : !sfa_gpu.shared<128x64xbf16, swizzled>, !sfa_gpu.shared<64x64xbf16, swizzled> -> !sfa_tile.tile<128x64xf32>
  %s = sfa_gpu.dot %q, %k
    : !sfa_gpu.shared<128x64xbf16, swizzled>, !sfa_gpu.shared<64x64xbf16, swizzled> -> !sfa_tile.tile<128x64xf32>
  // CHECK: %[[NEXT:.*]] = sfa_gpu.issue_dot %[[LEFT]], %{{.*}} reuse(%[[S]] : !sfa_tile.tile<128x64xf32>)
  %next = sfa_gpu.issue_dot %left, %k reuse(%s : !sfa_tile.tile<128x64xf32>)
    : !sfa_gpu.operand<128x64xbf16>, !sfa_gpu.shared<64x64xbf16, swizzled> -> !sfa_gpu.pending<128x64xf32>
  %wide = sfa_tile.fill 0.0 : !sfa_tile.tile<128x72xf32>
  // CHECK: %[[P:.*]] = sfa_gpu.pack %[[S]] : !sfa_tile.tile<128x64xf32> -> !sfa_gpu.operand<128x64xbf16>
  %p = sfa_gpu.pack %s : !sfa_tile.tile<128x64xf32> -> !sfa_gpu.operand<128x64xbf16>
  // CHECK: sfa_gpu.issue_accumulate %{{.*}}, %[[P]], %{{.*}} : !sfa_tile.tile<128x72xf32>
  %sum = sfa_gpu.issue_accumulate %wide, %p, %k
    : !sfa_tile.tile<128x72xf32>, !sfa_gpu.operand<128x64xbf16>, !sfa_gpu.shared<64x64xbf16, swizzled>
  // CHECK: sfa_gpu.wait pending 1(%[[NEXT]])
  %s1 = sfa_gpu.wait pending 1(%next) : !sfa_gpu.pending<128x64xf32>
  // CHECK: sfa_gpu.wait pending 0(%{{.*}}, %{{.*}}) : !sfa_gpu.pending<128x72xf32>, !sfa_tile.tile<128x64xf32>
  %acc, %same = sfa_gpu.wait pending 0(%sum, %s1) : !sfa_gpu.pending<128x72xf32>, !sfa_tile.tile<128x64xf32>
  // CHECK: sfa_gpu.settled
  %settled = sfa_gpu.settled %acc : !sfa_tile.tile<128x72xf32>
  // CHECK: sfa_gpu.no_operand
  %none = sfa_gpu.no_operand : !sfa_gpu.operand<128x64xbf16>
  // CHECK: sfa_gpu.keep %[[P]], %[[LEFT]]
  sfa_gpu.keep %p, %left : !sfa_gpu.operand<128x64xbf16>, !sfa_gpu.operand<128x64xbf16>
  // CHECK: sfa_gpu.accumulate %{{.*}}, %{{.*}}, %{{.*}} : !sfa_tile.tile<128x72xf32>, !sfa_tile.tile<128x64xf32>
  %acc1 = sfa_gpu.accumulate %acc, %same, %k
    : !sfa_tile.tile<128x72xf32>, !sfa_tile.tile<128x64xf32>, !sfa_gpu.shared<64x64xbf16, swizzled>
  // CHECK: sfa_gpu.await_turn
  sfa_gpu.await_turn
  // CHECK: sfa_gpu.pass_turn when
  sfa_gpu.pass_turn when %true
  // CHECK: sfa_gpu.consumer : i32
  %number = sfa_gpu.consumer : i32
}
