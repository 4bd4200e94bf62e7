// Sparse feature attention: causal, with 8 of 128 features of every query and key.
func.func @attention(%q: tensor<1x2x?x128xf16>, %k: tensor<1x2x?x128xf16>,
                     %v: tensor<1x2x?x128xf16>) -> (tensor<1x2x?x128xf16>, tensor<1x2x?xf32>) {
  %qs = sfa.sparsify %q : tensor<1x2x?x128xf16> -> tensor<1x2x?x128xf16, #sfa.codes<k = 8>>
  %ks = sfa.sparsify %k : tensor<1x2x?x128xf16> -> tensor<1x2x?x128xf16, #sfa.codes<k = 8>>
  %o, %lse = sfa.attention %qs, %ks, %v mask <causal>
    : tensor<1x2x?x128xf16, #sfa.codes<k = 8>>, tensor<1x2x?x128xf16, #sfa.codes<k = 8>>, tensor<1x2x?x128xf16>
    -> tensor<1x2x?x128xf16>, tensor<1x2x?xf32>
  return %o, %lse : tensor<1x2x?x128xf16>, tensor<1x2x?xf32>
}
