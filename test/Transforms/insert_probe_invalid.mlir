// RUN: sfa-opt --sfa-assign-schedule --convert-sfa-to-tile %s -o %t.mlir
// RUN: not sfa-opt --sfa-insert-probe="point=0,1" %t.mlir 2>&1 | FileCheck %s --check-prefix=POINT
// RUN: not sfa-opt --sfa-insert-probe="point=0,1,2" %t.mlir 2>&1 | FileCheck %s --check-prefix=SEVERAL
// RUN: not sfa-opt --sfa-insert-probe="point=0,1,2 kernel=third" %t.mlir 2>&1 | FileCheck %s --check-prefix=NAME
// RUN: not sfa-opt --sfa-insert-probe="point=0,1,2" %s 2>&1 | FileCheck %s --check-prefix=STAGE
// RUN: not sfa-opt --sfa-insert-probe="point=0,1,2 kernel=attention_dense_online value=sums" %t.mlir 2>&1 | FileCheck %s --check-prefix=VALUE
// RUN: not sfa-opt --sfa-insert-probe="point=0,1,2 kernel=attention_dense_online value=state1" %t.mlir 2>&1 | FileCheck %s --check-prefix=PARTS

// POINT: error: sfa-insert-probe needs a point of three numbers, batch, head and row tile, given are 2
// SEVERAL: error: has several kernels with a key loop; say which one sfa-insert-probe is for: kernel=attention_dense_online or kernel=attention_dense_online_0
// NAME: error: has no sfa_tile.kernel @third with a key loop for sfa-insert-probe
// STAGE: error: has no sfa_tile.kernel with a key loop for sfa-insert-probe; run convert-sfa-to-tile before
// VALUE: error: 'sfa_tile.key_loop' op has no value 'sums' for sfa-insert-probe; there are scores, masked, probabilities and state0 to state1
// PARTS: error: 'sfa_tile.key_loop' op has 'state1' of type '!sfa_tile.tile<{{.*}}partial>'; sfa-insert-probe stores tiles of numbers that are not in parts
func.func @two(%q: tensor<1x2x?x64xf16>, %k: tensor<1x2x?x64xf16>, %v: tensor<1x2x?x64xf16>)
    -> (tensor<1x2x?x64xf16>, tensor<1x2x?x64xf16>) {
  %o = sfa.attention %q, %k, %v
    : tensor<1x2x?x64xf16>, tensor<1x2x?x64xf16>, tensor<1x2x?x64xf16> -> tensor<1x2x?x64xf16>
  %o1 = sfa.attention %o, %k, %v mask <causal>
    : tensor<1x2x?x64xf16>, tensor<1x2x?x64xf16>, tensor<1x2x?x64xf16> -> tensor<1x2x?x64xf16>
  return %o, %o1 : tensor<1x2x?x64xf16>, tensor<1x2x?x64xf16>
}
