// RUN: sfa-opt %s -sfa-gpu-specialize="chip=sm_90a" -verify-diagnostics

// A bulk copy cannot leave rows out, and only those of values are made zero after it.

!memory = memref<1x1x?x64xbf16>
!rows = !sfa_tile.tile<128xf32>
!scores = !sfa_tile.tile<128x64xf32>
!keys = !sfa_tile.tile<64x64xbf16>
sfa_tile.kernel @f(%q: !memory, %k: !memory, %o: !memory) grid(%b, %h, %t) {
  %queries = sfa_tile.load %q[%b, %h, %t] : !memory -> !sfa_tile.tile<128x64xbf16>
  %zeros = sfa_tile.fill 0.0 : !scores
  %zero = sfa_tile.fill 0.0 : !rows
  %acc, %max, %sum = sfa_tile.key_loop %b to %t step 64 init(%zeros, %zero, %zero) : !scores, !rows, !rows load {
  ^bb0(%j: index):
    // expected-error @+1 {{'sfa_tile.load' op has a limit, which the warpgroup path supports for values only}}
    %keys = sfa_tile.load %k[%b, %h, %j] limit %t : !memory -> !keys
    %values = sfa_tile.load %k[%b, %h, %j] limit %t : !memory -> !keys
    sfa_tile.yield %keys, %values : !keys, !keys
  } score {
  ^bb0(%keys: !keys):
    %s = sfa_tile.dot %queries, %keys : !sfa_tile.tile<128x64xbf16>, !keys -> !scores
    sfa_tile.yield %s : !scores
  } mask {
  ^bb0(%j: index, %s: !scores):
    sfa_tile.yield %s : !scores
  } softmax {
  ^bb0(%s: !scores, %m: !rows, %l: !rows, %is_first: i1):
    sfa_tile.yield %s, %m, %l : !scores, !rows, !rows
  } accumulate {
  ^bb0(%old: !scores, %p: !scores, %v: !keys, %m: !rows, %l: !rows):
    %new = sfa_tile.accumulate %old, %p, %v : !scores, !scores, !keys
    sfa_tile.yield %new, %m, %l : !scores, !rows, !rows
  }
  sfa_tile.store %acc, %o[%b, %h, %t] limit %t : !scores, !memory
}
