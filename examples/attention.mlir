// Level 2: sparse feature attention, causal, with 8 of 128 features of every query and key.
//
// On the real queries, keys and values of test/data, with the schedule that the compiler chose and its time:
//
//   build/bin/sfa-run examples/attention.mlir --arg test/data/layer1_q.npy --arg test/data/layer1_k.npy \
//     --arg test/data/layer1_v.npy --out /tmp/o.npy --out /tmp/lse.npy --print-schedule --time
//
// The result against the fp64 oracle; the last line says PASS:
//
//   build/bin/sfa-oracle --q test/data/layer1_q.npy --k test/data/layer1_k.npy --v test/data/layer1_v.npy \
//     --topk 8 --mask causal --compare /tmp/o.npy --compare-lse /tmp/lse.npy

func.func @attention(%q: tensor<1x2x?x128xf16>, %k: tensor<1x2x?x128xf16>,
                     %v: tensor<1x2x?x128xf16>) -> (tensor<1x2x?x128xf16>, tensor<1x2x?xf32>) {
  // The 8 features of largest magnitude of every row, as pairs of a value and an index: codes.
  %qs = sfa.sparsify %q : tensor<1x2x?x128xf16> -> tensor<1x2x?x128xf16, #sfa.codes<k = 8>>
  %ks = sfa.sparsify %k : tensor<1x2x?x128xf16> -> tensor<1x2x?x128xf16, #sfa.codes<k = 8>>

  // Exact softmax attention on them, and the logarithm of the softmax's denominator.
  %o, %lse = sfa.attention %qs, %ks, %v mask <causal>
    : tensor<1x2x?x128xf16, #sfa.codes<k = 8>>, tensor<1x2x?x128xf16, #sfa.codes<k = 8>>, tensor<1x2x?x128xf16>
    -> tensor<1x2x?x128xf16>, tensor<1x2x?xf32>
  return %o, %lse : tensor<1x2x?x128xf16>, tensor<1x2x?xf32>
}
