// Level 1: what sparsify keeps, and how codes look in memory.
//
//   build/bin/sfa-run examples/1-sparsify.mlir --arg test/data/layer1_q.npy \
//     --out /tmp/values.npy --out /tmp/features.npy --out /tmp/kept.npy
//   python3 -c "import numpy as np; print(*(np.load(f'/tmp/{x}.npy')[0, 0, 0] for x in ('values', 'features')), sep='\n')"
//
// prints the first token of the first head: 8 values and the 8 features (of 128) that have them. The tensor of codes is
// two arrays, [1, 2, 256, 8] f16 and [1, 2, 256, 8] u8: 24 bytes a token and head instead of 256.

func.func @sparsify(%q: tensor<1x2x?x128xf16>)
    -> (tensor<1x2x?x128xf16, #sfa.codes<k = 8>>, tensor<1x2x?x128xf16>) {
  %codes = sfa.sparsify %q : tensor<1x2x?x128xf16> -> tensor<1x2x?x128xf16, #sfa.codes<k = 8>>
  // The same rows written out again: 120 of the 128 features are 0.
  %kept = sfa.densify %codes : tensor<1x2x?x128xf16, #sfa.codes<k = 8>>
  return %codes, %kept : tensor<1x2x?x128xf16, #sfa.codes<k = 8>>, tensor<1x2x?x128xf16>
}
