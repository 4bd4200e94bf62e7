// RUN: sfa-opt --split-input-file --verify-diagnostics %s

sfa_tile.kernel @columns(%probe: memref<1x?x64x16xf32>) grid(%b, %h, %t) {
  %yes = arith.constant true
  %tile = sfa_tile.fill 1.0 : !sfa_tile.tile<64x32xf32>
  // expected-error @+1 {{the last dimension of the memory is 16 but the number of columns of the tile is 32; they have to be equal}}
  sfa_tile.probe %tile, %probe[%b, %h, %t] when %yes : !sfa_tile.tile<64x32xf32>, memref<1x?x64x16xf32>
}

// -----

sfa_tile.kernel @rank(%probe: memref<1x?x64x16xf32>) grid(%b, %h, %t) {
  %yes = arith.constant true
  %tile = sfa_tile.fill 1.0 : !sfa_tile.tile<64xf32>
  // expected-error @+1 {{of a row vector needs a memory [batch, heads, tokens], given is rank 4}}
  sfa_tile.probe %tile, %probe[%b, %h, %t] when %yes : !sfa_tile.tile<64xf32>, memref<1x?x64x16xf32>
}

// -----

sfa_tile.kernel @integers(%probe: memref<1x?x64x32xi8>) grid(%b, %h, %t) {
  %yes = arith.constant true
  %tile = sfa_tile.fill 1.0 : !sfa_tile.tile<64x32xf32>
  // expected-error @+1 {{needs a tile of numbers and a memory of f32, f16 or bf16, or both of i8, given are '!sfa_tile.tile<64x32xf32>' and a memory of 'i8'}}
  sfa_tile.probe %tile, %probe[%b, %h, %t] when %yes : !sfa_tile.tile<64x32xf32>, memref<1x?x64x32xi8>
}

// -----

sfa_tile.kernel @no_loop() grid(%b, %h, %t) {
  // expected-error @+1 {{is in no stage 'mask' or 'softmax' of sfa_tile.key_loop; only there it is known which tile is at hand}}
  %key = sfa_tile.first_key
}
