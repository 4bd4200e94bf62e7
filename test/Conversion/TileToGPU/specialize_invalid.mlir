// RUN: sfa-opt --sfa-gpu-specialize=chip=sm_90a %s -split-input-file -verify-diagnostics

sfa_tile.kernel @no_score(%key: memref<1x1x?x64xbf16>, %value: memref<1x1x?x64xbf16>) grid(%b, %h, %t) {
  %c0 = arith.constant 0 : index
  %acc0 = sfa_tile.fill 0.0 : !sfa_tile.tile<128x64xf32>
  %m0 = sfa_tile.fill 0.0 : !sfa_tile.tile<128xf32>
  // expected-error @+1 {{has no operation that forms scores on a GPU in stage 'score'; sfa_tile.dot is one}}
  %acc, %m = sfa_tile.key_loop %c0 to %t step 128 init(%acc0, %m0) : !sfa_tile.tile<128x64xf32>, !sfa_tile.tile<128xf32>
  load {
  ^bb0(%j: index):
    %k = sfa_tile.load %key[%b, %h, %j] : memref<1x1x?x64xbf16> -> !sfa_tile.tile<128x64xbf16>
    %v = sfa_tile.load %value[%b, %h, %j] : memref<1x1x?x64xbf16> -> !sfa_tile.tile<128x64xbf16>
    sfa_tile.yield %k, %v : !sfa_tile.tile<128x64xbf16>, !sfa_tile.tile<128x64xbf16>
  } score {
  ^bb0(%k: !sfa_tile.tile<128x64xbf16>):
    %s = sfa_tile.fill 0.0 : !sfa_tile.tile<128x128xf32>
    sfa_tile.yield %s : !sfa_tile.tile<128x128xf32>
  } mask {
  ^bb0(%j: index, %s: !sfa_tile.tile<128x128xf32>):
    sfa_tile.yield %s : !sfa_tile.tile<128x128xf32>
  } softmax {
  ^bb0(%s: !sfa_tile.tile<128x128xf32>, %m1: !sfa_tile.tile<128xf32>, %first: i1):
    sfa_tile.yield %s, %m1 : !sfa_tile.tile<128x128xf32>, !sfa_tile.tile<128xf32>
  } accumulate {
  ^bb0(%a: !sfa_tile.tile<128x64xf32>, %p: !sfa_tile.tile<128x128xf32>, %v: !sfa_tile.tile<128x64xbf16>, %m1: !sfa_tile.tile<128xf32>):
    %a1 = sfa_tile.accumulate %a, %p, %v : !sfa_tile.tile<128x64xf32>, !sfa_tile.tile<128x128xf32>, !sfa_tile.tile<128x64xbf16>
    sfa_tile.yield %a1, %m1 : !sfa_tile.tile<128x64xf32>, !sfa_tile.tile<128xf32>
  }
}

// -----

sfa_tile.kernel @two_scores(%query: memref<1x1x?x64xbf16>, %key: memref<1x1x?x64xbf16>, %value: memref<1x1x?x64xbf16>)
    grid(%b, %h, %t) {
  %c0 = arith.constant 0 : index
  %q = sfa_tile.load %query[%b, %h, %t] : memref<1x1x?x64xbf16> -> !sfa_tile.tile<128x64xbf16>
  %acc0 = sfa_tile.fill 0.0 : !sfa_tile.tile<128x64xf32>
  %m0 = sfa_tile.fill 0.0 : !sfa_tile.tile<128xf32>
  %acc, %m = sfa_tile.key_loop %c0 to %t step 128 init(%acc0, %m0) : !sfa_tile.tile<128x64xf32>, !sfa_tile.tile<128xf32>
  load {
  ^bb0(%j: index):
    %k = sfa_tile.load %key[%b, %h, %j] : memref<1x1x?x64xbf16> -> !sfa_tile.tile<128x64xbf16>
    %v = sfa_tile.load %value[%b, %h, %j] : memref<1x1x?x64xbf16> -> !sfa_tile.tile<128x64xbf16>
    sfa_tile.yield %k, %v : !sfa_tile.tile<128x64xbf16>, !sfa_tile.tile<128x64xbf16>
  } score {
  ^bb0(%k: !sfa_tile.tile<128x64xbf16>):
    %s = sfa_tile.dot %q, %k : !sfa_tile.tile<128x64xbf16>, !sfa_tile.tile<128x64xbf16> -> !sfa_tile.tile<128x128xf32>
    // expected-error @+1 {{is the second operation that forms scores in stage 'score'; a GPU supports one}}
    %s2 = sfa_tile.dot %q, %k : !sfa_tile.tile<128x64xbf16>, !sfa_tile.tile<128x64xbf16> -> !sfa_tile.tile<128x128xf32>
    sfa_tile.yield %s2 : !sfa_tile.tile<128x128xf32>
  } mask {
  ^bb0(%j: index, %s: !sfa_tile.tile<128x128xf32>):
    sfa_tile.yield %s : !sfa_tile.tile<128x128xf32>
  } softmax {
  ^bb0(%s: !sfa_tile.tile<128x128xf32>, %m1: !sfa_tile.tile<128xf32>, %first: i1):
    sfa_tile.yield %s, %m1 : !sfa_tile.tile<128x128xf32>, !sfa_tile.tile<128xf32>
  } accumulate {
  ^bb0(%a: !sfa_tile.tile<128x64xf32>, %p: !sfa_tile.tile<128x128xf32>, %v: !sfa_tile.tile<128x64xbf16>, %m1: !sfa_tile.tile<128xf32>):
    %a1 = sfa_tile.accumulate %a, %p, %v : !sfa_tile.tile<128x64xf32>, !sfa_tile.tile<128x128xf32>, !sfa_tile.tile<128x64xbf16>
    sfa_tile.yield %a1, %m1 : !sfa_tile.tile<128x64xf32>, !sfa_tile.tile<128xf32>
  }
}
