// RUN: sfa-opt --canonicalize --sfa-assign-schedule=chip=sm_90a --sfa-densify-operands --convert-sfa-to-tile --canonicalize --cse \
// RUN:   --one-shot-bufferize="bufferize-function-boundaries" --canonicalize --cse %s > %t.tile
// RUN: sfa-opt --sfa-gpu-specialize=chip=sm_90a %t.tile | FileCheck %s
// RUN: sfa-opt --sfa-gpu-specialize=chip=sm_80 %t.tile | FileCheck %s --check-prefix=WARPS
// RUN: sfa-opt --sfa-gpu-specialize=chip=sm_90a --sfa-gpu-pipeline %t.tile | FileCheck %s --check-prefix=PIPELINE

!query = tensor<1x8x?x80xbf16, #sfa.codes<k = 8, values = i8, scales = token>>
!key = tensor<1x8x?x80xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>
!key_of_head = tensor<1x8x?x80xbf16, #sfa.codes<k = 8, values = i8, scales = head>>
!value = tensor<1x8x?x128xbf16>
!offsets = tensor<?xi32>

// Rings of integers, copied like others; who reads keys loads the scales of the keys, which the products wait for beside. In
// both passes of a lazy softmax the 128 keys of a tile have one scale.

// CHECK-LABEL: sfa_gpu.kernel @attention_dense_lazy
// CHECK: sfa_gpu.ring guarded by 1 writers, 8 readers : !sfa_gpu.ring<1 of 128x80xi8, swizzled>
// CHECK: sfa_gpu.ring guarded by 1 writers, 8 readers : !sfa_gpu.ring<2 of 128x80xi8, swizzled>
// CHECK: sfa_gpu.copy {{.*}} memref<1x8x?x80xi8, {{.*}}, !sfa_gpu.ring<2 of 128x80xi8, swizzled>
// CHECK: } consumers
// CHECK: %[[ROWS:.*]] = sfa_tile.load_scales {{.*}} shared_by token : {{.*}} -> !sfa_tile.tile<128xf32>
// CHECK: %[[LEFT:.*]] = sfa_gpu.load_operand %{{.*}} : !sfa_gpu.shared<128x80xi8, swizzled>
// CHECK: sfa_gpu.tile_loop {{.*}} kept(%[[LEFT]]) {{.*}} !sfa_gpu.operand<128x96xi8>
// CHECK: } score {
// CHECK: %[[KEY:.*]] = sfa_tile.first_key
// CHECK: %[[SCALES:.*]] = sfa_gpu.load_scales %{{.*}}[%{{.*}}, %{{.*}}, %[[KEY]]] shared_by tile : {{.*}} -> !sfa_gpu.columns<128xf32, together 128>
// CHECK: %[[PENDING:.*]] = sfa_gpu.issue_dot %[[LEFT]], %{{.*}} -> !sfa_gpu.pending<128x128xi32>
// CHECK: %[[PRODUCT:.*]] = sfa_gpu.wait pending 0(%[[PENDING]])
// CHECK: %[[S:.*]] = sfa_gpu.dequantize %[[PRODUCT]] rows %[[ROWS]] keys %[[SCALES]] : {{.*}} -> !sfa_tile.tile<128x128xi32, scaled>
// CHECK-NEXT: sfa_gpu.yield %[[S]]
// CHECK: sfa_gpu.tile_loop
// CHECK: sfa_gpu.load_scales {{.*}} -> !sfa_gpu.columns<128xf32, together 128>
// CHECK: sfa_gpu.dequantize {{.*}} -> !sfa_tile.tile<128x128xi32, scaled>

// WARPS-LABEL: sfa_gpu.kernel @attention_dense_lazy
// WARPS: sfa_gpu.ring : !sfa_gpu.ring<2 of 128x80xi8, swizzled>
// WARPS: } score {
// WARPS: %[[SCALES:.*]] = sfa_gpu.load_scales {{.*}} shared_by tile : {{.*}} -> !sfa_gpu.columns<128xf32, together 128>
// WARPS: %[[PRODUCT:.*]] = sfa_gpu.dot %{{.*}}, %{{.*}} -> !sfa_tile.tile<128x128xi32>
// WARPS: sfa_gpu.dequantize %[[PRODUCT]] rows %{{.*}} keys %[[SCALES]] : {{.*}} -> !sfa_tile.tile<128x128xi32, scaled>
// WARPS: } mask {

// Loads of scales are under way while products are waited for. Integers take the registers of the probabilities before them.

// PIPELINE-LABEL: sfa_gpu.kernel @attention_dense_lazy
// PIPELINE: scf.for
// PIPELINE: } consumers
// PIPELINE: scf.for
// PIPELINE: %[[SCALES:.*]] = sfa_gpu.load_scales
// PIPELINE: sfa_gpu.wait pending 0(
// PIPELINE: %[[PENDING:.*]] = sfa_gpu.issue_dot {{.*}} reuse(%{{.*}} : !sfa_tile.tile<128x128xf32>) : !sfa_gpu.operand<128x96xi8>
// PIPELINE: %[[PRODUCT:.*]] = sfa_gpu.wait pending 1(%[[PENDING]])
// PIPELINE: sfa_gpu.dequantize %[[PRODUCT]] rows %{{.*}} keys %[[SCALES]]
func.func @tile(%q: !query, %k: !key, %v: !value) -> !value {
  %o = sfa.attention %q, %k, %v mask <causal> schedule <strategy = dense, softmax = lazy, q_tile = 128, k_tile = 128, queries = registers>
    : !query, !key, !value -> !value
  return %o : !value
}

// A head has one scale for all of its keys.

// CHECK-LABEL: sfa_gpu.kernel @attention_dense_online(
// CHECK: sfa_gpu.load_scales {{.*}} shared_by head : {{.*}} -> !sfa_gpu.columns<112xf32, together 112>
// CHECK: sfa_gpu.issue_dot %{{.*}}, %{{.*}} : !sfa_gpu.shared<128x80xi8, swizzled>, !sfa_gpu.shared<112x80xi8, swizzled> -> !sfa_gpu.pending<128x112xi32>
// CHECK: sfa_gpu.dequantize {{.*}} -> !sfa_tile.tile<128x112xi32, scaled>
func.func @head(%q: !query, %k: !key_of_head, %v: !value) -> !value {
  %o = sfa.attention %q, %k, %v schedule <strategy = dense, softmax = online, q_tile = 128, k_tile = 112, queries = shared>
    : !query, !key_of_head, !value -> !value
  return %o : !value
}

// Tiles of 96 keys begin at multiples of 32 keys of a scale.

// CHECK-LABEL: sfa_gpu.kernel @attention_dense_online_{{[0-9]+}}(
// CHECK: %[[SCALES:.*]] = sfa_gpu.load_scales {{.*}} shared_by tile : {{.*}} -> !sfa_gpu.columns<96xf32, together 32>
// CHECK: sfa_gpu.dequantize %{{.*}} rows %{{.*}} keys %[[SCALES]] : {{.*}} -> !sfa_tile.tile<128x96xi32, scaled 32>
// CHECK: sfa_tile.mask {{.*}} : !sfa_tile.tile<128x96xi32, scaled 32>
// CHECK: sfa_tile.exp2 {{.*}} : !sfa_tile.tile<128x96xi32, scaled 32>, !sfa_tile.tile<128xf32>
// WARPS-LABEL: sfa_gpu.kernel @attention_dense_online_{{[0-9]+}}(
// WARPS: sfa_gpu.load_scales {{.*}} -> !sfa_gpu.columns<96xf32, together 32>
// WARPS: sfa_gpu.dequantize {{.*}} -> !sfa_tile.tile<128x96xi32, scaled 32>
// PIPELINE-LABEL: sfa_gpu.kernel @attention_dense_online_{{[0-9]+}}(
func.func @parts(%q: !query, %k: !key, %v: !value) -> !value {
  %o = sfa.attention %q, %k, %v schedule <strategy = dense, softmax = online, q_tile = 128, k_tile = 96>
    : !query, !key, !value -> !value
  return %o : !value
}

// Sequences begin anywhere: the keys of a tile have two scales at most. The row of a scale is that of the key in the memory.

// CHECK-LABEL: sfa_gpu.kernel @attention_dense_online_varlen(
// CHECK: } consumers
// CHECK: %{{.*}}, %{{.*}}, %{{.*}}, %[[BEGIN:.*]], %{{.*}} = sfa_tile.sequence_tile
// CHECK: } score {
// CHECK: %[[KEY:.*]] = sfa_tile.first_key
// CHECK: %[[ROW:.*]] = arith.addi %[[BEGIN]], %[[KEY]]
// CHECK: %[[SCALES:.*]] = sfa_gpu.load_scales %{{.*}}[%{{.*}}, %{{.*}}, %[[ROW]]] shared_by tile : {{.*}} -> !sfa_gpu.columns<128xf32, two>
// CHECK: sfa_gpu.dequantize %{{.*}} rows %{{.*}} keys %[[SCALES]] : {{.*}} -> !sfa_tile.tile<128x128xf32, scaled>
// WARPS-LABEL: sfa_gpu.kernel @attention_dense_online_varlen(
// WARPS: sfa_gpu.load_scales {{.*}} -> !sfa_gpu.columns<128xf32, two>
// WARPS: sfa_gpu.dequantize {{.*}} -> !sfa_tile.tile<128x128xf32, scaled>
func.func @sequences(%q: !query, %k: !key, %v: !value, %c: !offsets) -> !value {
  %o = sfa.attention %q, %k, %v sequences(%c, %c : !offsets, !offsets) schedule <strategy = dense, softmax = online, q_tile = 128, k_tile = 128>
    : !query, !key, !value -> !value
  return %o : !value
}

// Tiles of more keys than share a scale have one number for each column, and so have keys with scales of their own: there are no
// registers for them until they are used, so that they are brought near before the product.

// CHECK-LABEL: sfa_gpu.kernel @attention_dense_online_{{[0-9]+}}(
// CHECK: } score {
// CHECK-NOT: sfa_gpu.load_scales
// CHECK: sfa_gpu.prefetch_scales %[[MEMORY:[a-z0-9_]+]][%[[B:.*]], %[[H:.*]], %[[ROW:.*]]] columns 96
// CHECK-NOT: sfa_gpu.load_scales
// CHECK: %[[PRODUCT:.*]] = sfa_gpu.wait pending 0(
// CHECK: %[[SCALES:.*]] = sfa_gpu.load_scales %[[MEMORY]][%[[B]], %[[H]], %[[ROW]]] shared_by token : {{.*}} -> !sfa_gpu.columns<96xf32>
// CHECK-NEXT: sfa_gpu.dequantize %[[PRODUCT]] rows %{{.*}} keys %[[SCALES]] : {{.*}} -> !sfa_tile.tile<128x96xf32, scaled>
// WARPS-LABEL: sfa_gpu.kernel @attention_dense_online_{{[0-9]+}}(
// WARPS: sfa_gpu.prefetch_scales {{.*}} columns 96
// WARPS: %[[PRODUCT:.*]] = sfa_gpu.dot
// WARPS: %[[SCALES:.*]] = sfa_gpu.load_scales {{.*}} -> !sfa_gpu.columns<96xf32>
// WARPS: sfa_gpu.dequantize %[[PRODUCT]] rows %{{.*}} keys %[[SCALES]]
// PIPELINE-LABEL: sfa_gpu.kernel @attention_dense_online_{{[0-9]+}}(
// PIPELINE: } consumers
// PIPELINE: scf.for
// PIPELINE: sfa_gpu.prefetch_scales
// PIPELINE: %[[PENDING:.*]] = sfa_gpu.issue_dot
// PIPELINE: %[[PRODUCT:.*]] = sfa_gpu.wait pending 1(%[[PENDING]])
// PIPELINE: sfa_gpu.load_scales
// PIPELINE: sfa_gpu.dequantize %[[PRODUCT]]
func.func @token(%q: !query, %v: !value) -> !value {
  %o = sfa.attention %q, %q, %v schedule <strategy = dense, softmax = online, q_tile = 128, k_tile = 96>
    : !query, !query, !value -> !value
  return %o : !value
}

// CHECK-LABEL: sfa_gpu.kernel @attention_dense_online_{{[0-9]+}}(
// CHECK: sfa_gpu.load_scales {{.*}} shared_by tile : {{.*}} -> !sfa_gpu.columns<192xf32>
func.func @long_tile(%q: !query, %k: !key, %v: !value) -> !value {
  %o = sfa.attention %q, %k, %v schedule <strategy = dense, softmax = online, q_tile = 64, consumers = 1, k_tile = 192>
    : !query, !key, !value -> !value
  return %o : !value
}
