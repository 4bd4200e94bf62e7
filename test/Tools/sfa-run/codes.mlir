// REQUIRES: sfa-run, sfa-oracle
// Codes travel between runs as two files: values, then feature indices.

// DEFINE: %{data} = %S/../../data/layer1
// RUN: sfa-run %s --entry=sparsify --arg %{data}_q.npy --out %t.qv.npy --out %t.qi.npy
// RUN: sfa-run %s --entry=sparsify --arg %{data}_k.npy --out %t.kv.npy --out %t.ki.npy
// RUN: sfa-run %s --entry attention --arg %t.qv.npy --arg %t.qi.npy --arg %t.kv.npy --arg %t.ki.npy \
// RUN:   --arg %{data}_v.npy --out %t.o.npy
// RUN: sfa-oracle -q %{data}_q.npy -k %{data}_k.npy -v %{data}_v.npy --topk 8 --compare %t.o.npy | FileCheck %s
// CHECK: PASS

func.func @sparsify(%x: tensor<1x2x256x128xf16>) -> tensor<1x2x256x128xf16, #sfa.codes<k = 8>> {
  %codes = sfa.sparsify %x : tensor<1x2x256x128xf16> -> tensor<1x2x256x128xf16, #sfa.codes<k = 8>>
  return %codes : tensor<1x2x256x128xf16, #sfa.codes<k = 8>>
}

func.func @attention(%q: tensor<1x2x256x128xf16, #sfa.codes<k = 8>>, %k: tensor<1x2x256x128xf16, #sfa.codes<k = 8>>,
                     %v: tensor<1x2x256x128xf16>) -> tensor<1x2x256x128xf16> {
  %o = sfa.attention %q, %k, %v
    : tensor<1x2x256x128xf16, #sfa.codes<k = 8>>, tensor<1x2x256x128xf16, #sfa.codes<k = 8>>, tensor<1x2x256x128xf16>
    -> tensor<1x2x256x128xf16>
  return %o : tensor<1x2x256x128xf16>
}
