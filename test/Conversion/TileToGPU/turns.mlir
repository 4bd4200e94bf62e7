// RUN: sfa-opt --canonicalize --sfa-assign-schedule=chip=sm_90a --convert-sfa-to-tile --canonicalize --cse \
// RUN:   --one-shot-bufferize="bufferize-function-boundaries" --canonicalize --cse %s \
// RUN:   | sfa-opt --sfa-gpu-specialize=chip=sm_90a --sfa-gpu-pipeline | FileCheck %s

// A consumer awaits its turn before it issues scores, and passes it on when they are there. The last consumer lets the
// first one begin.

// CHECK: sfa_gpu.issue_dot
// CHECK: %[[NUMBER:.*]] = sfa_gpu.consumer
// CHECK: arith.cmpi eq, %[[NUMBER]], %{{.*}} : i32
// CHECK: sfa_gpu.pass_turn when
// CHECK: scf.for
// CHECK: sfa_gpu.await_turn
// CHECK: sfa_gpu.issue_dot
// CHECK: sfa_gpu.issue_accumulate
// CHECK: sfa_gpu.wait pending 1
// CHECK-NEXT: sfa_gpu.pass_turn when
// CHECK-NEXT: sfa_gpu.release

func.func @attention(%q: tensor<1x16x?x64xbf16>, %k: tensor<1x8x?x64xbf16>, %v: tensor<1x8x?x64xbf16>)
    -> tensor<1x16x?x64xbf16> {
  %o = sfa.attention %q, %k, %v schedule <softmax = online, turns = ping_pong>
    : tensor<1x16x?x64xbf16>, tensor<1x8x?x64xbf16>, tensor<1x8x?x64xbf16> -> tensor<1x16x?x64xbf16>
  return %o : tensor<1x16x?x64xbf16>
}
