// Ordinary causal attention, dense queries and keys: what examples/attention.mlir is compared with.
//
//   build/bin/sfa-run examples/dense-attention.mlir --arg test/data/layer1_q.npy --arg test/data/layer1_k.npy \
//     --arg test/data/layer1_v.npy --out /tmp/o.npy --out /tmp/lse.npy --time

func.func @attention(%q: tensor<1x2x?x128xf16>, %k: tensor<1x2x?x128xf16>,
                     %v: tensor<1x2x?x128xf16>) -> (tensor<1x2x?x128xf16>, tensor<1x2x?xf32>) {
  %o, %lse = sfa.attention %q, %k, %v mask <causal>
    : tensor<1x2x?x128xf16>, tensor<1x2x?x128xf16>, tensor<1x2x?x128xf16> -> tensor<1x2x?x128xf16>, tensor<1x2x?xf32>
  return %o, %lse : tensor<1x2x?x128xf16>, tensor<1x2x?xf32>
}
