// REQUIRES: sfa-run
// Feature indices from a file are never trusted: codes of 128 features do not fit a function of 64.

// DEFINE: %{data} = %S/../../data/layer1
// RUN: sfa-run %s --entry=sparsify --arg %{data}_q.npy --out %t.v.npy --out %t.i.npy
// RUN: not sfa-run %s --entry=densify --arg %t.v.npy --arg %t.i.npy 2>&1 | FileCheck %s --check-prefix=RANGE
// RANGE: sfa-run: error: argument 1 (feature indices of codes): given is 1x2x256x8xu8, wanted is ?x2x?x8xu8: it holds the feature index {{[0-9]+}}; the largest allowed is 63

// RUN: not sfa-run %s --entry=densify --arg %t.i.npy --arg %t.v.npy 2>&1 | FileCheck %s --check-prefix=ORDER
// ORDER: sfa-run: error: argument 0 (values of codes): given is 1x2x256x8xu8, wanted is ?x2x?x8xf16: the element types differ

func.func @sparsify(%x: tensor<1x2x256x128xf16>) -> tensor<1x2x256x128xf16, #sfa.codes<k = 8>> {
  %codes = sfa.sparsify %x : tensor<1x2x256x128xf16> -> tensor<1x2x256x128xf16, #sfa.codes<k = 8>>
  return %codes : tensor<1x2x256x128xf16, #sfa.codes<k = 8>>
}

func.func @densify(%x: tensor<?x2x?x64xf16, #sfa.codes<k = 8>>) -> tensor<?x2x?x64xf16> {
  %dense = sfa.densify %x : tensor<?x2x?x64xf16, #sfa.codes<k = 8>>
  return %dense : tensor<?x2x?x64xf16>
}
