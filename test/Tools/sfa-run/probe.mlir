// REQUIRES: sfa-run
// What sfa-insert-probe returns of one point of a causal attention is right, and the results stay bit for bit.

// DEFINE: %{value} = scores
// DEFINE: %{data} = %S/../../data/layer1
// DEFINE: %{inputs} = --arg %{data}_q.npy --arg %{data}_k.npy --arg %{data}_v.npy
// DEFINE: %{probe} = sfa-opt --sfa-assign-schedule --convert-sfa-to-tile \
// DEFINE:   --sfa-insert-probe="value=%{value} point=0,1,1" %s -o %t.probed.mlir \
// DEFINE:   && sfa-run --target=cpu %t.probed.mlir %{inputs} --out %t.o.npy --out %t.probe.npy \
// DEFINE:   && cmp %t.o.npy %t.expected.npy \
// DEFINE:   && %python %S/Inputs/check_probe.py %{value} %{data} %t.probe.npy

// RUN: sfa-run --target=cpu %s %{inputs} --out %t.expected.npy
// RUN: %{probe} | FileCheck %s
// REDEFINE: %{value} = masked
// RUN: %{probe} | FileCheck %s
// REDEFINE: %{value} = probabilities
// RUN: %{probe} | FileCheck %s
// REDEFINE: %{value} = state0
// RUN: %{probe} | FileCheck %s
// CHECK: right: {{[1-9][0-9]*}} numbers of head 1

// 64 rows a tile and 48 keys: the second row tile of 256 tokens sees three key tiles, the last of them in part.
func.func @attention(%q: tensor<1x2x?x128xf16>, %k: tensor<1x2x?x128xf16>, %v: tensor<1x2x?x128xf16>)
    -> tensor<1x2x?x128xf16> {
  %o = sfa.attention %q, %k, %v mask <causal> schedule <softmax = online, q_tile = 64, k_tile = 48, splits = 1>
    : tensor<1x2x?x128xf16>, tensor<1x2x?x128xf16>, tensor<1x2x?x128xf16> -> tensor<1x2x?x128xf16>
  return %o : tensor<1x2x?x128xf16>
}
