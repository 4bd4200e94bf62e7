// RUN: sfa-opt --sfa-assign-schedule=chip=sm_90a %s | FileCheck %s
// RUN: sfa-opt --sfa-assign-schedule=chip=sm_80 %s | FileCheck %s --check-prefix=WARPS

// 8-bit codes: GPUs multiply rows of integers, whatever the number of features. Keys that share a scale leave more registers
// than those that have one each, and are as many as share one, or a part that divides them.

!q64 = tensor<1x8x?x64xbf16, #sfa.codes<k = 8, values = i8, scales = token>>
!tile64 = tensor<1x8x?x64xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>
!x64 = tensor<1x8x?x64xbf16>
!q128 = tensor<1x8x?x128xbf16, #sfa.codes<k = 8, values = i8, scales = token>>
!tile128 = tensor<1x8x?x128xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>
!head128 = tensor<1x8x?x128xbf16, #sfa.codes<k = 8, values = i8, scales = head>>
!x128 = tensor<1x8x?x128xbf16>
!f16_q = tensor<1x8x?x128xf16, #sfa.codes<k = 8, values = i8, scales = token>>
!f16_k = tensor<1x8x?x128xf16, #sfa.codes<k = 8, values = i8, scales = tile>>
!f16 = tensor<1x8x?x128xf16>
!q256 = tensor<1x8x?x256xbf16, #sfa.codes<k = 8, values = i8, scales = token>>
!tile256 = tensor<1x8x?x256xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>
!x256 = tensor<1x8x?x256xbf16>
!offsets = tensor<?xi32>

// CHECK-LABEL: @tile_64(
// CHECK: schedule <strategy = dense, softmax = lazy, q_tile = 192, k_tile = 128, stages = 2, consumers = 3, lookahead = 1, turns = ping_pong, queries = shared, grid = persistent>
// WARPS-LABEL: @tile_64(
// WARPS: schedule <strategy = dense, softmax = lazy, q_tile = 128, k_tile = 64, stages = 2, consumers = 1>
func.func @tile_64(%q: !q64, %k: !tile64, %v: !x64) -> !x64 {
  %o = sfa.attention %q, %k, %v : !q64, !tile64, !x64 -> !x64
  return %o : !x64
}

// CHECK-LABEL: @token_64(
// CHECK: schedule <strategy = dense, softmax = lazy, q_tile = 192, k_tile = 96, stages = 2, consumers = 3, lookahead = 1, turns = ping_pong, queries = shared, grid = persistent>
// WARPS-LABEL: @token_64(
// WARPS: schedule <strategy = dense, softmax = lazy, q_tile = 128, k_tile = 64, stages = 2, consumers = 1>
func.func @token_64(%q: !q64, %k: !q64, %v: !x64) -> !x64 {
  %o = sfa.attention %q, %k, %v : !q64, !q64, !x64 -> !x64
  return %o : !x64
}

// A window has two bounds to compare with.
// CHECK-LABEL: @token_window_64(
// CHECK: schedule <strategy = dense, softmax = lazy, q_tile = 192, k_tile = 64, stages = 2, consumers = 3, lookahead = 1, turns = ping_pong, queries = shared, grid = persistent>
// WARPS-LABEL: @token_window_64(
// WARPS: schedule <strategy = dense, softmax = lazy, q_tile = 128, k_tile = 64, stages = 2, consumers = 1>
func.func @token_window_64(%q: !q64, %k: !q64, %v: !x64) -> !x64 {
  %o = sfa.attention %q, %k, %v mask <window, left = 100, right = 30> : !q64, !q64, !x64 -> !x64
  return %o : !x64
}

// CHECK-LABEL: @tile_window_64(
// CHECK: schedule <strategy = dense, softmax = lazy, q_tile = 192, k_tile = 128, stages = 2, consumers = 3, lookahead = 1, turns = ping_pong, queries = shared, grid = persistent>
// WARPS-LABEL: @tile_window_64(
// WARPS: schedule <strategy = dense, softmax = lazy, q_tile = 128, k_tile = 64, stages = 2, consumers = 1>
func.func @tile_window_64(%q: !q64, %k: !tile64, %v: !x64) -> !x64 {
  %o = sfa.attention %q, %k, %v mask <window, left = 100, right = 30> : !q64, !tile64, !x64 -> !x64
  return %o : !x64
}

// CHECK-LABEL: @tile_window_lse_64(
// CHECK: schedule <strategy = dense, softmax = lazy, q_tile = 192, k_tile = 96, stages = 2, consumers = 3, lookahead = 1, turns = ping_pong, queries = shared, grid = persistent>
// WARPS-LABEL: @tile_window_lse_64(
// WARPS: schedule <strategy = dense, softmax = lazy, q_tile = 128, k_tile = 64, stages = 2, consumers = 1>
func.func @tile_window_lse_64(%q: !q64, %k: !tile64, %v: !x64) -> (!x64, tensor<1x8x?xf32>) {
  %o, %l = sfa.attention %q, %k, %v mask <window, left = 100, right = 30> : !q64, !tile64, !x64 -> !x64, tensor<1x8x?xf32>
  return %o, %l : !x64, tensor<1x8x?xf32>
}

// Sequences begin anywhere, so tiles of theirs have the keys of two scales.
// CHECK-LABEL: @sequences_64(
// CHECK: schedule <strategy = dense, softmax = lazy, q_tile = 192, k_tile = 96, stages = 2, consumers = 3, lookahead = 1, turns = ping_pong, queries = shared, grid = tiles>
// WARPS-LABEL: @sequences_64(
// WARPS: schedule <strategy = dense, softmax = lazy, q_tile = 128, k_tile = 64, stages = 2, consumers = 1>
func.func @sequences_64(%q: !q64, %k: !tile64, %v: !x64, %c: !offsets) -> !x64 {
  %o = sfa.attention %q, %k, %v sequences(%c, %c : !offsets, !offsets) : !q64, !tile64, !x64 -> !x64
  return %o : !x64
}

// CHECK-LABEL: @tile_128(
// CHECK: schedule <strategy = dense, softmax = lazy, q_tile = 128, k_tile = 128, stages = 2, consumers = 2, lookahead = 1, turns = free, queries = registers, grid = persistent>
// WARPS-LABEL: @tile_128(
// WARPS: schedule <strategy = dense, softmax = lazy, q_tile = 128, k_tile = 48, stages = 2, consumers = 1>
func.func @tile_128(%q: !q128, %k: !tile128, %v: !x128) -> !x128 {
  %o = sfa.attention %q, %k, %v : !q128, !tile128, !x128 -> !x128
  return %o : !x128
}

// CHECK-LABEL: @head_128(
// CHECK: schedule <strategy = dense, softmax = lazy, q_tile = 128, k_tile = 128, stages = 2, consumers = 2, lookahead = 1, turns = free, queries = registers, grid = persistent>
// WARPS-LABEL: @head_128(
// WARPS: schedule <strategy = dense, softmax = lazy, q_tile = 128, k_tile = 48, stages = 2, consumers = 1>
func.func @head_128(%q: !q128, %k: !head128, %v: !x128) -> !x128 {
  %o = sfa.attention %q, %k, %v : !q128, !head128, !x128 -> !x128
  return %o : !x128
}

// CHECK-LABEL: @token_128(
// CHECK: schedule <strategy = dense, softmax = lazy, q_tile = 128, k_tile = 96, stages = 2, consumers = 2, lookahead = 1, turns = free, queries = registers, grid = persistent>
// WARPS-LABEL: @token_128(
// WARPS: schedule <strategy = dense, softmax = lazy, q_tile = 128, k_tile = 48, stages = 2, consumers = 1>
func.func @token_128(%q: !q128, %k: !q128, %v: !x128) -> !x128 {
  %o = sfa.attention %q, %k, %v : !q128, !q128, !x128 -> !x128
  return %o : !x128
}

// CHECK-LABEL: @sequences_128(
// CHECK: schedule <strategy = dense, softmax = lazy, q_tile = 128, k_tile = 128, stages = 2, consumers = 2, lookahead = 1, turns = free, queries = registers, grid = tiles>
// WARPS-LABEL: @sequences_128(
// WARPS: schedule <strategy = dense, softmax = lazy, q_tile = 128, k_tile = 32, stages = 2, consumers = 1>
func.func @sequences_128(%q: !q128, %k: !tile128, %v: !x128, %c: !offsets) -> !x128 {
  %o = sfa.attention %q, %k, %v sequences(%c, %c : !offsets, !offsets) : !q128, !tile128, !x128 -> !x128
  return %o : !x128
}

// References of f16 have no room.
// CHECK-LABEL: @f16_128(
// CHECK: schedule <strategy = dense, softmax = online, q_tile = 128, k_tile = 128, stages = 2, consumers = 2, lookahead = 1, turns = free, queries = registers, grid = persistent>
// WARPS-LABEL: @f16_128(
// WARPS: schedule <strategy = dense, softmax = online, q_tile = 128, k_tile = 64, stages = 2, consumers = 1>
func.func @f16_128(%q: !f16_q, %k: !f16_k, %v: !f16) -> !f16 {
  %o = sfa.attention %q, %k, %v : !f16_q, !f16_k, !f16 -> !f16
  return %o : !f16
}

// Codes of so many features are sparse products otherwise, see strategies_of_gpus.mlir. Integer products are short, so the softmax is lazy.
// CHECK-LABEL: @tile_256(
// CHECK: schedule <strategy = dense, softmax = lazy, q_tile = 128, k_tile = 64, stages = 2, consumers = 2, lookahead = 1, turns = free, queries = shared, grid = persistent>
// WARPS-LABEL: @tile_256(
// WARPS: schedule <strategy = dense, softmax = lazy, q_tile = 64, k_tile = 32, stages = 2, consumers = 1>
func.func @tile_256(%q: !q256, %k: !tile256, %v: !x256) -> !x256 {
  %o = sfa.attention %q, %k, %v : !q256, !tile256, !x256 -> !x256
  return %o : !x256
}

// CHECK-LABEL: @token_256(
// CHECK: schedule <strategy = dense, softmax = lazy, q_tile = 128, k_tile = 64, stages = 2, consumers = 2, lookahead = 1, turns = free, queries = shared, grid = persistent>
// WARPS-LABEL: @token_256(
// WARPS: schedule <strategy = dense, softmax = lazy, q_tile = 64, k_tile = 32, stages = 2, consumers = 1>
func.func @token_256(%q: !q256, %k: !q256, %v: !x256) -> !x256 {
  %o = sfa.attention %q, %k, %v : !q256, !q256, !x256 -> !x256
  return %o : !x256
}
