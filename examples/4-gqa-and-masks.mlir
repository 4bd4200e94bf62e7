// Level 4: grouped heads, masks, dense operands and sequences of several lengths.
//
//   build/bin/sfa-opt --canonicalize --sfa-assign-schedule examples/4-gqa-and-masks.mlir
//
// shows each function with the schedule that the compiler chose; @simplified loses what changes nothing.
//
//   python3 -c "import numpy as np; r = lambda *s: np.random.randn(*s).astype('f4'); np.save('/tmp/q', r(1, 8, 100, 64)); \
//     np.save('/tmp/k', r(1, 2, 300, 64)); np.save('/tmp/v', r(1, 2, 300, 64))"
//   build/bin/sfa-run examples/4-gqa-and-masks.mlir --entry gqa --arg /tmp/q.npy --arg /tmp/k.npy --arg /tmp/v.npy \
//     --out /tmp/o.npy --print-schedule
//
// runs the first: 100 queries of 8 heads against 300 keys of 2.

// Eight query heads share two key heads: query head h reads key head h / 4. With fewer queries than keys the causal mask
// is aligned at the bottom right: the last query sees all keys.
func.func @gqa(%q: tensor<1x8x?x64xf32>, %k: tensor<1x2x?x64xf32>, %v: tensor<1x2x?x64xf32>) -> tensor<1x8x?x64xf32> {
  %qs = sfa.sparsify %q : tensor<1x8x?x64xf32> -> tensor<1x8x?x64xf32, #sfa.codes<k = 4>>
  %ks = sfa.sparsify %k : tensor<1x2x?x64xf32> -> tensor<1x2x?x64xf32, #sfa.codes<k = 4>>
  %o = sfa.attention %qs, %ks, %v mask <causal>
    : tensor<1x8x?x64xf32, #sfa.codes<k = 4>>, tensor<1x2x?x64xf32, #sfa.codes<k = 4>>, tensor<1x2x?x64xf32>
    -> tensor<1x8x?x64xf32>
  return %o : tensor<1x8x?x64xf32>
}

// A sliding window: a query sees itself and the 127 tokens before it. One key head for all (MQA), and values of another
// width than queries and keys.
func.func @window(%q: tensor<?x8x?x64xf32, #sfa.codes<k = 4>>, %k: tensor<?x1x?x64xf32, #sfa.codes<k = 4>>,
                  %v: tensor<?x1x?x32xf32>) -> tensor<?x8x?x32xf32> {
  %o = sfa.attention %q, %k, %v mask <window, left = 127, right = 0>
    : tensor<?x8x?x64xf32, #sfa.codes<k = 4>>, tensor<?x1x?x64xf32, #sfa.codes<k = 4>>, tensor<?x1x?x32xf32>
    -> tensor<?x8x?x32xf32>
  return %o : tensor<?x8x?x32xf32>
}

// Dense operands mean ordinary attention; a scale of its own.
func.func @plain(%q: tensor<1x8x?x64xf32>, %k: tensor<1x8x?x64xf32>, %v: tensor<1x8x?x64xf32>) -> tensor<1x8x?x64xf32> {
  %o = sfa.attention %q, %k, %v scale 0.0625
    : tensor<1x8x?x64xf32>, tensor<1x8x?x64xf32>, tensor<1x8x?x64xf32> -> tensor<1x8x?x64xf32>
  return %o : tensor<1x8x?x64xf32>
}

// Codes of all 64 features are the dense tensor, a window that ends at the diagonal is causal.
func.func @simplified(%q: tensor<1x8x?x64xf32>, %k: tensor<1x8x?x64xf32>, %v: tensor<1x8x?x64xf32>) -> tensor<1x8x?x64xf32> {
  %qs = sfa.sparsify %q : tensor<1x8x?x64xf32> -> tensor<1x8x?x64xf32, #sfa.codes<k = 64>>
  %o = sfa.attention %qs, %k, %v mask <window, right = 0>
    : tensor<1x8x?x64xf32, #sfa.codes<k = 64>>, tensor<1x8x?x64xf32>, tensor<1x8x?x64xf32> -> tensor<1x8x?x64xf32>
  return %o : tensor<1x8x?x64xf32>
}

// Sequences of several lengths, one after the other in a batch of 1: tokens [offsets[i], offsets[i + 1]) are sequence i,
// and queries see keys of their own sequence only. With offsets of their own queries and keys may be of different lengths.
func.func @sequences(%q: tensor<1x8x?x64xf32>, %k: tensor<1x2x?x64xf32>, %v: tensor<1x2x?x64xf32>, %offsets: tensor<?xi32>)
    -> tensor<1x8x?x64xf32> {
  %qs = sfa.sparsify %q : tensor<1x8x?x64xf32> -> tensor<1x8x?x64xf32, #sfa.codes<k = 4>>
  %o = sfa.attention %qs, %k, %v sequences(%offsets, %offsets : tensor<?xi32>, tensor<?xi32>) mask <causal>
    : tensor<1x8x?x64xf32, #sfa.codes<k = 4>>, tensor<1x2x?x64xf32>, tensor<1x2x?x64xf32> -> tensor<1x8x?x64xf32>
  return %o : tensor<1x8x?x64xf32>
}
