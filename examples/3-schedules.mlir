// Level 3: one schedule against another. The four functions compute the same, each with another strategy for the scores
// (docs/reference/dialect-sfa.md, ScheduleAttr, says what they do).
//
//   for entry in dense gather scatter sparse_mma; do
//     build/bin/sfa-run examples/3-schedules.mlir --entry $entry --arg test/data/layer1_q.npy \
//       --arg test/data/layer1_k.npy --arg test/data/layer1_v.npy --time
//   done
//
// prints the time of each. What the compiler fills in for the parameters that a schedule leaves open:
//
//   build/bin/sfa-opt --sfa-assign-schedule examples/3-schedules.mlir

!dense = tensor<1x2x?x128xf16>
!codes = tensor<1x2x?x128xf16, #sfa.codes<k = 8>>

// Codes are expanded to dense tiles, then multiplied: the cost of ordinary attention.
func.func @dense(%q: !dense, %k: !dense, %v: !dense) -> !dense {
  %qs = sfa.sparsify %q : !dense -> !codes
  %ks = sfa.sparsify %k : !dense -> !codes
  %o = sfa.attention %qs, %ks, %v mask <causal> schedule <strategy = dense> : !codes, !codes, !dense -> !dense
  return %o : !dense
}

// For each of the 8 features of a query one scaled row of the key tile is added; here with the lazy softmax.
func.func @gather(%q: !dense, %k: !dense, %v: !dense) -> !dense {
  %qs = sfa.sparsify %q : !dense -> !codes
  %ks = sfa.sparsify %k : !dense -> !codes
  %o = sfa.attention %qs, %ks, %v mask <causal> schedule <strategy = gather, softmax = lazy> : !codes, !codes, !dense -> !dense
  return %o : !dense
}

// The keys of a tile as posting lists by feature; the lists of a query's features are walked. Smaller tiles.
func.func @scatter(%q: !dense, %k: !dense, %v: !dense) -> !dense {
  %qs = sfa.sparsify %q : !dense -> !codes
  %ks = sfa.sparsify %k : !dense -> !codes
  %o = sfa.attention %qs, %ks, %v mask <causal> schedule <strategy = scatter, q_tile = 32, k_tile = 64>
    : !codes, !codes, !dense -> !dense
  return %o : !dense
}

// Queries as a 2:4 part, the form of sparse tensor cores, and an exact surplus part.
func.func @sparse_mma(%q: !dense, %k: !dense, %v: !dense) -> !dense {
  %qs = sfa.sparsify %q : !dense -> !codes
  %ks = sfa.sparsify %k : !dense -> !codes
  %o = sfa.attention %qs, %ks, %v mask <causal> schedule <strategy = sparse_mma> : !codes, !codes, !dense -> !dense
  return %o : !dense
}
