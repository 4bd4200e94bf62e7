// Level 5: the tile program that a schedule makes of an attention.
//
//   build/bin/sfa-opt --sfa-assign-schedule --convert-sfa-to-tile --canonicalize --cse examples/5-tile-program.mlir
//
// prints the function, which now launches a kernel on a grid of (batch, head, tile of 64 queries), and below it the kernel:
//
//   sfa_tile.load_codes      the tile's queries, once
//   sfa_tile.key_loop        over tiles of 128 keys, with the accumulator, the rows' maxima and the rows' sums
//     load                   a tile of keys, here expanded to dense rows, and its values
//     score                  sfa_tile.gather_dot: 8 scaled rows of the key tile for each query
//     mask                   sfa_tile.mask ... by <causal>
//     softmax                the new maxima, probabilities, sums, and what the old accumulator has to be scaled with
//     accumulate             sfa_tile.accumulate: P times V
//   sfa_tile.total           adds up the parts of the rows' sums, as many as a target likes
//   sfa_tile.normalize       divides by the sums, sfa_tile.store writes the result
//
// The loop ends at the last key that the tile's last query sees: the other tiles of a causal mask are never visited. Other
// schedules change single stages: with softmax = lazy the loop carries more state and forms maxima rarely, with
// strategy = scatter the keys stay codes.
// What becomes of it on a CPU, stage after stage:
//
//   build/bin/sfa-opt --sfa-to-cpu --mlir-print-ir-after-all examples/5-tile-program.mlir 2>&1 | less

func.func @attention(%q: tensor<1x2x?x128xf32, #sfa.codes<k = 8>>, %k: tensor<1x2x?x128xf32, #sfa.codes<k = 8>>,
                     %v: tensor<1x2x?x128xf32>) -> tensor<1x2x?x128xf32> {
  %o = sfa.attention %q, %k, %v mask <causal>
      schedule <strategy = gather, softmax = online, q_tile = 64, k_tile = 128>
    : tensor<1x2x?x128xf32, #sfa.codes<k = 8>>, tensor<1x2x?x128xf32, #sfa.codes<k = 8>>, tensor<1x2x?x128xf32>
    -> tensor<1x2x?x128xf32>
  return %o : tensor<1x2x?x128xf32>
}
