// REQUIRES: sfa-run, sfa-oracle
// Every strategy and softmax on real queries, keys and values, against the fp64 oracle.

// DEFINE: %{data} = %S/../../data/layer4
// DEFINE: %{run} = sfa-run %s --target=cpu --arg %{data}_q.npy --arg %{data}_k.npy --arg %{data}_v.npy \
// DEFINE:   --out %t.o.npy --out %t.lse.npy
// DEFINE: %{judge} = sfa-oracle -q %{data}_q.npy -k %{data}_k.npy -v %{data}_v.npy --topk 8 --mask causal \
// DEFINE:   --compare %t.o.npy --compare-lse %t.lse.npy

// RUN: %{run}                                        && %{judge} | FileCheck %s
// RUN: %{run} --strategy=dense                       && %{judge} | FileCheck %s
// RUN: %{run} --strategy=gather                      && %{judge} | FileCheck %s
// RUN: %{run} --strategy=scatter                     && %{judge} | FileCheck %s
// RUN: %{run} --strategy=sparse_mma                  && %{judge} | FileCheck %s
// RUN: %{run} --strategy=dense      --softmax=lazy   && %{judge} | FileCheck %s
// RUN: %{run} --strategy=gather     --softmax=lazy   && %{judge} | FileCheck %s
// RUN: %{run} --strategy=scatter    --softmax=lazy   && %{judge} | FileCheck %s
// RUN: %{run} --strategy=sparse_mma --softmax=lazy   && %{judge} | FileCheck %s
// RUN: %{run} --strategy=gather --q-tile=24 --k-tile=48 && %{judge} | FileCheck %s
// RUN: %{run} --splits=3 --k-tile=16                 && %{judge} | FileCheck %s
// RUN: %{run} --splits=100 --softmax=lazy            && %{judge} | FileCheck %s
// RUN: env SFA_NUM_THREADS=3 %{run}                  && %{judge} | FileCheck %s
// CHECK: PASS

func.func @attention(%q: tensor<1x2x?x128xf16>, %k: tensor<1x2x?x128xf16>, %v: tensor<1x2x?x128xf16>)
    -> (tensor<1x2x?x128xf16>, tensor<1x2x?xf32>) {
  %qc = sfa.sparsify %q : tensor<1x2x?x128xf16> -> tensor<1x2x?x128xf16, #sfa.codes<k = 8>>
  %kc = sfa.sparsify %k : tensor<1x2x?x128xf16> -> tensor<1x2x?x128xf16, #sfa.codes<k = 8>>
  %o, %lse = sfa.attention %qc, %kc, %v mask <causal>
    : tensor<1x2x?x128xf16, #sfa.codes<k = 8>>, tensor<1x2x?x128xf16, #sfa.codes<k = 8>>, tensor<1x2x?x128xf16>
    -> tensor<1x2x?x128xf16>, tensor<1x2x?xf32>
  return %o, %lse : tensor<1x2x?x128xf16>, tensor<1x2x?xf32>
}
