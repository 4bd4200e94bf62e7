// RUN: sfa-opt %s -sfa-to-nvvm="chip=sm_90a" -split-input-file -verify-diagnostics
// RUN: not sfa-opt %S/rows.mlir -sfa-to-nvvm="chip=sm_75" 2>&1 | FileCheck %s --check-prefix=CHIP
// CHIP: chip 'sm_75' is not known; allowed are sm_80, sm_86, sm_87, sm_89, sm_90, sm_90a, sm_100, sm_120

!t = tensor<1x8x?x128xf16>
func.func @f(%q: !t, %k: !t, %v: !t) -> !t {
  // expected-error @+1 {{has q_tile = 96 and consumers = 1; a GPU needs q_tile to be a multiple of 64 consumers}}
  %o = sfa.attention %q, %k, %v schedule <q_tile = 96> : !t, !t, !t -> !t
  return %o : !t
}

// -----

!t = tensor<1x8x?x128xf16>
func.func @f(%q: !t, %k: !t, %v: !t) -> !t {
  // expected-error @+1 {{has q_tile = 256 and consumers = 2; on sm_90a q_tile has to be 64 consumers}}
  %o = sfa.attention %q, %k, %v schedule <q_tile = 256, consumers = 2> : !t, !t, !t -> !t
  return %o : !t
}

// -----

!t = tensor<1x8x?x128xf16>
func.func @f(%q: !t, %k: !t, %v: !t) -> !t {
  // expected-error @+1 {{has tiles that do not fit: they need 557328 bytes of shared memory, sm_90a has 232448; choose a smaller q_tile, k_tile or stages}}
  %o = sfa.attention %q, %k, %v schedule <stages = 8> : !t, !t, !t -> !t
  return %o : !t
}

// -----

!t = tensor<1x8x?x128xf16>
func.func @f(%q: !t, %k: !t, %v: !t) -> !t {
  // expected-error @+1 {{has k_tile = 40; a GPU needs a multiple of 16}}
  %o = sfa.attention %q, %k, %v schedule <k_tile = 40> : !t, !t, !t -> !t
  return %o : !t
}

// -----

!t = tensor<1x8x?x128xf32>
func.func @f(%q: !t, %k: !t, %v: !t) -> !t {
  // expected-error @+1 {{a GPU needs f16 or bf16}}
  %o = sfa.attention %q, %k, %v : !t, !t, !t -> !t
  return %o : !t
}

// -----

!t = tensor<1x8x?x100xf16>
func.func @f(%q: !t, %k: !t, %v: !t) -> !t {
  // expected-error @+1 {{a GPU needs f16 or bf16 and a multiple of 8 features, from 16 to 256}}
  %o = sfa.attention %q, %k, %v : !t, !t, !t -> !t
  return %o : !t
}

// -----

!t = tensor<1x8x?x264xf16>
!c = tensor<1x8x?x264xf16, #sfa.codes<k = 8>>
func.func @f(%x: !t) -> !c {
  // expected-error @+1 {{a GPU needs f16 or bf16 and a multiple of 8 features, from 16 to 256}}
  %c = sfa.sparsify %x : !t -> !c
  return %c : !c
}

// -----

!t = tensor<1x2x?x64xf16>
func.func @turns_without_lookahead(%q: !t, %k: !t, %v: !t) -> !t {
  // expected-error @+1 {{has lookahead = 0 and turns = ping_pong; consumers take turns with lookahead = 1 only}}
  %o = sfa.attention %q, %k, %v schedule <lookahead = 0, turns = ping_pong> : !t, !t, !t -> !t
  return %o : !t
}

// -----

!memory = memref<1x1x?x64xbf16>
!queries = !sfa_tile.tile<128x64xbf16>
!acc = !sfa_tile.tile<128x64xf32>
sfa_tile.kernel @f(%q: !memory, %k: !memory, %o: !memory) grid(%b, %h, %t) {
  %query = sfa_tile.load %q[%b, %h, %t] : !memory -> !queries
  %zero = sfa_tile.fill 0.0 : !acc
  %acc = sfa_tile.key_loop %b to %t step 64 init(%zero) : !acc load {
  ^bb0(%j: index):
    %x = sfa_tile.load %k[%b, %h, %j] : !memory -> !sfa_tile.tile<64x64xbf16>
    %y = sfa_tile.load %k[%b, %h, %j] : !memory -> !sfa_tile.tile<64x64xbf16>
    sfa_tile.yield %x, %y : !sfa_tile.tile<64x64xbf16>, !sfa_tile.tile<64x64xbf16>
  } score {
  ^bb0(%x: !sfa_tile.tile<64x64xbf16>):
    %s = sfa_tile.dot %query, %x : !queries, !sfa_tile.tile<64x64xbf16> -> !sfa_tile.tile<128x64xf32>
    sfa_tile.yield %s : !sfa_tile.tile<128x64xf32>
  } mask {
  ^bb0(%j: index, %s: !sfa_tile.tile<128x64xf32>):
    sfa_tile.yield %s : !sfa_tile.tile<128x64xf32>
  } softmax {
  ^bb0(%s: !sfa_tile.tile<128x64xf32>, %is_first: i1):
    sfa_tile.yield %s : !sfa_tile.tile<128x64xf32>
  } accumulate {
  ^bb0(%a: !acc, %p: !sfa_tile.tile<128x64xf32>, %y: !sfa_tile.tile<64x64xbf16>):
    %next = sfa_tile.accumulate %a, %p, %y : !acc, !sfa_tile.tile<128x64xf32>, !sfa_tile.tile<64x64xbf16>
    sfa_tile.yield %next : !acc
  }
  %fails = sfa_tile.not_finite %acc : !acc
  sfa_tile.store %acc, %o[%b, %h, %t] : !acc, !memory
  sfa_tile.retry when %fails {
    // expected-error @+1 {{'sfa_tile.key_loop' op has other tiles than the key loop before; on a GPU both loops use the same shared memory}}
    %again = sfa_tile.key_loop %b to %t step 32 init(%zero) : !acc load {
    ^bb0(%j: index):
      %x = sfa_tile.load %k[%b, %h, %j] : !memory -> !sfa_tile.tile<32x64xbf16>
      %y = sfa_tile.load %k[%b, %h, %j] : !memory -> !sfa_tile.tile<32x64xbf16>
      sfa_tile.yield %x, %y : !sfa_tile.tile<32x64xbf16>, !sfa_tile.tile<32x64xbf16>
    } score {
    ^bb0(%x: !sfa_tile.tile<32x64xbf16>):
      %s = sfa_tile.dot %query, %x : !queries, !sfa_tile.tile<32x64xbf16> -> !sfa_tile.tile<128x32xf32>
      sfa_tile.yield %s : !sfa_tile.tile<128x32xf32>
    } mask {
    ^bb0(%j: index, %s: !sfa_tile.tile<128x32xf32>):
      sfa_tile.yield %s : !sfa_tile.tile<128x32xf32>
    } softmax {
    ^bb0(%s: !sfa_tile.tile<128x32xf32>, %is_first: i1):
      sfa_tile.yield %s : !sfa_tile.tile<128x32xf32>
    } accumulate {
    ^bb0(%a: !acc, %p: !sfa_tile.tile<128x32xf32>, %y: !sfa_tile.tile<32x64xbf16>):
      %next = sfa_tile.accumulate %a, %p, %y : !acc, !sfa_tile.tile<128x32xf32>, !sfa_tile.tile<32x64xbf16>
      sfa_tile.yield %next : !acc
    }
    sfa_tile.store %again, %o[%b, %h, %t] : !acc, !memory
  }
}

// -----

!memory = memref<1x1x?x64xbf16>
!queries = !sfa_tile.tile<128x64xbf16>
!acc = !sfa_tile.tile<128x64xf32>
sfa_tile.kernel @f(%q: !memory, %k: !memory, %o: !memory) grid(%b, %h, %t) {
  %query = sfa_tile.load %q[%b, %h, %t] : !memory -> !queries
  // expected-error @+1 {{'sfa_tile.load' op is read when points are computed again but not before, which a GPU does not support}}
  %other = sfa_tile.load %k[%b, %h, %t] : !memory -> !queries
  %zero = sfa_tile.fill 0.0 : !acc
  %acc = sfa_tile.key_loop %b to %t step 64 init(%zero) : !acc load {
  ^bb0(%j: index):
    %x = sfa_tile.load %k[%b, %h, %j] : !memory -> !sfa_tile.tile<64x64xbf16>
    %y = sfa_tile.load %k[%b, %h, %j] : !memory -> !sfa_tile.tile<64x64xbf16>
    sfa_tile.yield %x, %y : !sfa_tile.tile<64x64xbf16>, !sfa_tile.tile<64x64xbf16>
  } score {
  ^bb0(%x: !sfa_tile.tile<64x64xbf16>):
    %s = sfa_tile.dot %query, %x : !queries, !sfa_tile.tile<64x64xbf16> -> !sfa_tile.tile<128x64xf32>
    sfa_tile.yield %s : !sfa_tile.tile<128x64xf32>
  } mask {
  ^bb0(%j: index, %s: !sfa_tile.tile<128x64xf32>):
    sfa_tile.yield %s : !sfa_tile.tile<128x64xf32>
  } softmax {
  ^bb0(%s: !sfa_tile.tile<128x64xf32>, %is_first: i1):
    sfa_tile.yield %s : !sfa_tile.tile<128x64xf32>
  } accumulate {
  ^bb0(%a: !acc, %p: !sfa_tile.tile<128x64xf32>, %y: !sfa_tile.tile<64x64xbf16>):
    %next = sfa_tile.accumulate %a, %p, %y : !acc, !sfa_tile.tile<128x64xf32>, !sfa_tile.tile<64x64xbf16>
    sfa_tile.yield %next : !acc
  }
  %fails = sfa_tile.not_finite %acc : !acc
  sfa_tile.store %acc, %o[%b, %h, %t] : !acc, !memory
  sfa_tile.retry when %fails {
    %again = sfa_tile.key_loop %b to %t step 64 init(%zero) : !acc load {
    ^bb0(%j: index):
      %x = sfa_tile.load %k[%b, %h, %j] : !memory -> !sfa_tile.tile<64x64xbf16>
      %y = sfa_tile.load %k[%b, %h, %j] : !memory -> !sfa_tile.tile<64x64xbf16>
      sfa_tile.yield %x, %y : !sfa_tile.tile<64x64xbf16>, !sfa_tile.tile<64x64xbf16>
    } score {
    ^bb0(%x: !sfa_tile.tile<64x64xbf16>):
      %s = sfa_tile.dot %other, %x : !queries, !sfa_tile.tile<64x64xbf16> -> !sfa_tile.tile<128x64xf32>
      sfa_tile.yield %s : !sfa_tile.tile<128x64xf32>
    } mask {
    ^bb0(%j: index, %s: !sfa_tile.tile<128x64xf32>):
      sfa_tile.yield %s : !sfa_tile.tile<128x64xf32>
    } softmax {
    ^bb0(%s: !sfa_tile.tile<128x64xf32>, %is_first: i1):
      sfa_tile.yield %s : !sfa_tile.tile<128x64xf32>
    } accumulate {
    ^bb0(%a: !acc, %p: !sfa_tile.tile<128x64xf32>, %y: !sfa_tile.tile<64x64xbf16>):
      %next = sfa_tile.accumulate %a, %p, %y : !acc, !sfa_tile.tile<128x64xf32>, !sfa_tile.tile<64x64xbf16>
      sfa_tile.yield %next : !acc
    }
    sfa_tile.store %again, %o[%b, %h, %t] : !acc, !memory
  }
}

// -----

// expected-error @+1 {{has no memory as its first parameter, which a GPU needs}}
sfa_gpu.kernel @nothing() warps 4 consumers 0 to 4 {
  sfa_gpu.return
}
