// REQUIRES: sfa-run, sfa-oracle
// Offsets are files of int32. Of two sequences the first is empty here, so the oracle of one is right.

// DEFINE: %{write} = %python %S/Inputs/offsets.py
// DEFINE: %{data} = %S/../../data/layer4
// DEFINE: %{run} = sfa-run %s --target=cpu --arg %{data}_q.npy --arg %{data}_k.npy --arg %{data}_v.npy

// RUN: %{write} %t.npy 0 0 256
// RUN: %{run} --arg %t.npy --out %t.o.npy
// RUN: sfa-oracle -q %{data}_q.npy -k %{data}_k.npy -v %{data}_v.npy --mask causal --compare %t.o.npy | FileCheck %s
// CHECK: PASS

// RUN: %{write} %t.npy 0
// RUN: not %{run} --arg %t.npy 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: argument 3: given is 1xi32: s sequences have s + 1 offsets, and at least 1 sequence is needed

func.func @attention(%q: tensor<1x2x?x128xf16>, %k: tensor<1x2x?x128xf16>, %v: tensor<1x2x?x128xf16>,
                     %offsets: tensor<?xi32>) -> tensor<1x2x?x128xf16> {
  %o = sfa.attention %q, %k, %v sequences(%offsets, %offsets : tensor<?xi32>, tensor<?xi32>) mask <causal>
    : tensor<1x2x?x128xf16>, tensor<1x2x?x128xf16>, tensor<1x2x?x128xf16> -> tensor<1x2x?x128xf16>
  return %o : tensor<1x2x?x128xf16>
}
