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
  // expected-error @+1 {{has tiles that do not fit: they need 557344 bytes of shared memory, sm_90a has 232448; choose a smaller q_tile, k_tile or stages}}
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

!t = tensor<1x8x?x80xf16>
func.func @f(%q: !t, %k: !t, %v: !t) -> !t {
  // expected-error @+1 {{a GPU needs f16 or bf16 and a multiple of 64 columns}}
  %o = sfa.attention %q, %k, %v : !t, !t, !t -> !t
  return %o : !t
}

// -----

!t = tensor<1x8x?x128xf16>
!c = tensor<1x8x?x128xf16, #sfa.codes<k = 8>>
func.func @f(%q: !c, %k: !t, %v: !t) -> !t {
  // expected-error @+1 {{has strategy = gather; on a GPU only dense is there yet}}
  %o = sfa.attention %q, %k, %v schedule <strategy = gather> : !c, !t, !t -> !t
  return %o : !t
}

// -----

!t = tensor<1x8x?x80xf16>
!c = tensor<1x8x?x80xf16, #sfa.codes<k = 8>>
func.func @f(%x: !t) -> !c {
  // expected-error @+1 {{a GPU needs f16 or bf16 and 64, 128 or 256 features}}
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

!memory = memref<1x1x?x64xbf16, strided<[?, ?, ?, 1], offset: ?>>
sfa_tile.kernel @attention_dense_lazy(%query: !memory, %key: !memory, %value: !memory, %output: !memory) grid(%batch, %head, %tile) schedule <strategy = dense, softmax = lazy, q_tile = 192, k_tile = 112, stages = 2, consumers = 3, lookahead = 1, turns = ping_pong> {
  %c2 = arith.constant 2 : index
  %dim = memref.dim %query, %c2 : !memory
  %c2_0 = arith.constant 2 : index
  %dim_1 = memref.dim %key, %c2_0 : !memory
  %c192 = arith.constant 192 : index
  %0 = arith.muli %tile, %c192 : index
  %1 = sfa_tile.load %query[%batch, %head, %0] : !memory -> !sfa_tile.tile<192x64xbf16>
  %c0 = arith.constant 0 : index
  %2 = arith.subi %dim_1, %dim : index
  %3 = sfa_tile.fill 0.000000e+00 : !sfa_tile.tile<192x64xf32>
  %4 = sfa_tile.fill 0xFF800000 : !sfa_tile.tile<192xf32>
  %5 = sfa_tile.fill 0.000000e+00 : !sfa_tile.tile<192xf32>
  %acc, %max, %sum = sfa_tile.key_loop %c0 to %dim_1 step 112 init(%3, %4, %5) : !sfa_tile.tile<192x64xf32>, !sfa_tile.tile<192xf32>, !sfa_tile.tile<192xf32> load {
  ^bb0(%first_key: index):
    %7 = sfa_tile.load %key[%batch, %head, %first_key] : !memory -> !sfa_tile.tile<112x64xbf16>
    %8 = sfa_tile.load %value[%batch, %head, %first_key] : !memory -> !sfa_tile.tile<112x64xbf16>
    sfa_tile.yield %7, %8 : !sfa_tile.tile<112x64xbf16>, !sfa_tile.tile<112x64xbf16>
  } score {
  ^bb0(%key_2: !sfa_tile.tile<112x64xbf16>):
    %7 = sfa_tile.dot %1, %key_2 : !sfa_tile.tile<192x64xbf16>, !sfa_tile.tile<112x64xbf16> -> !sfa_tile.tile<192x112xf32>
    sfa_tile.yield %7 : !sfa_tile.tile<192x112xf32>
  } mask {
  ^bb0(%first_key: index, %scores: !sfa_tile.tile<192x112xf32>):
    %7 = sfa_tile.mask %scores[%0, %first_key] of[%dim, %dim_1] by <none> : !sfa_tile.tile<192x112xf32>
    sfa_tile.yield %7 : !sfa_tile.tile<192x112xf32>
  } softmax {
  ^bb0(%scores: !sfa_tile.tile<192x112xf32>, %max_2: !sfa_tile.tile<192xf32>, %sum_3: !sfa_tile.tile<192xf32>):
    %7 = sfa_tile.exp2 %scores, %max_2 scale 0.180336878 : !sfa_tile.tile<192x112xf32>, !sfa_tile.tile<192xf32>
    %8 = sfa_tile.row_sum %7 : !sfa_tile.tile<192x112xf32> -> !sfa_tile.tile<192xf32>
    // expected-error @+1 {{has to guard row sums of probabilities and to decide an scf.if in the same block}}
    %9 = sfa_tile.trips %8, %max_2 above 0x49800000 : !sfa_tile.tile<192xf32>
    %10 = sfa_tile.add %sum_3, %8 : !sfa_tile.tile<192xf32>
    sfa_tile.yield %7, %max_2, %10, %5, %9 : !sfa_tile.tile<192x112xf32>, !sfa_tile.tile<192xf32>, !sfa_tile.tile<192xf32>, !sfa_tile.tile<192xf32>, i1
  } accumulate {
  ^bb0(%acc_2: !sfa_tile.tile<192x64xf32>, %p: !sfa_tile.tile<192x112xf32>, %v: !sfa_tile.tile<112x64xbf16>, %factors: !sfa_tile.tile<192xf32>, %raised: i1):
    %7 = sfa_tile.scale_rows %acc_2, %factors when %raised : !sfa_tile.tile<192x64xf32>, !sfa_tile.tile<192xf32>
    %8 = sfa_tile.accumulate %7, %p, %v : !sfa_tile.tile<192x64xf32>, !sfa_tile.tile<192x112xf32>, !sfa_tile.tile<112x64xbf16>
    sfa_tile.yield %8 : !sfa_tile.tile<192x64xf32>
  }
  %6 = sfa_tile.normalize %acc, %sum : !sfa_tile.tile<192x64xf32>, !sfa_tile.tile<192xf32>
  sfa_tile.store %6, %output[%batch, %head, %0] : !sfa_tile.tile<192x64xf32>, !memory
}
