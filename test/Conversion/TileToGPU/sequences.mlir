// RUN: sfa-opt --canonicalize --sfa-assign-schedule=chip=sm_90a --convert-sfa-to-tile --canonicalize --cse \
// RUN:   --one-shot-bufferize="bufferize-function-boundaries" --canonicalize --cse %s \
// RUN:   | sfa-opt --sfa-gpu-specialize=chip=sm_90a > %t.gpu
// RUN: FileCheck %s < %t.gpu
// RUN: sfa-opt --sfa-gpu-pipeline %t.gpu | FileCheck %s --check-prefix=PIPE

// Rows of values that are those of another sequence are cleared, in the last tile only. The search for a sequence is not
// done again behind the loop.

// CHECK: consumers
// CHECK: sfa_tile.sequence_tile
// CHECK: trim {
// CHECK: %[[ROWS:.*]] = arith.subi
// CHECK: sfa_gpu.clear_rows %{{.*}} from %[[ROWS]]
// CHECK-NOT: sfa_gpu.point_again
// CHECK: sfa_gpu.store

// PIPE: scf.for
// PIPE-NOT: sfa_gpu.clear_rows
// PIPE: scf.yield
// PIPE: sfa_gpu.await
// PIPE: sfa_gpu.clear_rows
// PIPE-NEXT: sfa_gpu.issue_accumulate

func.func @attention(%q: tensor<1x16x?x64xbf16>, %k: tensor<1x8x?x64xbf16>, %v: tensor<1x8x?x64xbf16>,
                     %qo: tensor<?xi32>, %ko: tensor<?xi32>) -> tensor<1x16x?x64xbf16> {
  %o = sfa.attention %q, %k, %v sequences(%qo, %ko : tensor<?xi32>, tensor<?xi32>) mask <causal> schedule <softmax = online>
    : tensor<1x16x?x64xbf16>, tensor<1x8x?x64xbf16>, tensor<1x8x?x64xbf16> -> tensor<1x16x?x64xbf16>
  return %o : tensor<1x16x?x64xbf16>
}
