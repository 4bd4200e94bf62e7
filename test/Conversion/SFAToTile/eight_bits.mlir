// RUN: sfa-opt %s -convert-sfa-to-tile -canonicalize -cse | FileCheck %s

// Codes with 8-bit values are three tensors, of which quantize makes the values and the scales.

// CHECK-LABEL: func.func @quantize_tile_(
// CHECK-SAME: %[[VALUES:.*]]: tensor<1x2x?x8xbf16>, %[[INDICES:.*]]: tensor<1x2x?x8xi8>) -> (tensor<1x2x?x8xi8>, tensor<1x2x?x8xi8>, tensor<1x2x?xf32>)
// CHECK: %[[N:.*]] = tensor.dim
// CHECK: %[[COUNT:.*]] = arith.ceildivui %[[N]], %c128
// CHECK: tensor.empty(%[[COUNT]]) : tensor<1x2x?xf32>
// CHECK: %[[R:.*]]:2 = sfa_tile.launch @quantize_tile grid(%{{.*}}, %{{.*}}, %[[COUNT]]) ins(%[[VALUES]] : tensor<1x2x?x8xbf16>) outs(%{{.*}} : tensor<1x2x?x8xi8>, tensor<1x2x?xf32>)
// CHECK: return %[[R]]#0, %[[INDICES]], %[[R]]#1
func.func @quantize_tile_(%codes: tensor<1x2x?x40xbf16, #sfa.codes<k = 8>>) -> tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = tile>> {
  %0 = sfa.quantize %codes : tensor<1x2x?x40xbf16, #sfa.codes<k = 8>> -> tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>
  return %0 : tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>
}

// CHECK-LABEL: func.func @quantize_token_(
// CHECK-SAME: %[[VALUES:.*]]: tensor<1x2x?x8xbf16>, %[[INDICES:.*]]: tensor<1x2x?x8xi8>) -> (tensor<1x2x?x8xi8>, tensor<1x2x?x8xi8>, tensor<1x2x?xf32>)
// CHECK: %[[N:.*]] = tensor.dim
// CHECK: %[[TILES:.*]] = arith.ceildivui %[[N]], %c128
// CHECK: tensor.empty(%[[N]]) : tensor<1x2x?xf32>
// CHECK: %[[R:.*]]:2 = sfa_tile.launch @quantize_token grid(%{{.*}}, %{{.*}}, %[[TILES]]) ins(%[[VALUES]] : tensor<1x2x?x8xbf16>) outs(%{{.*}} : tensor<1x2x?x8xi8>, tensor<1x2x?xf32>)
// CHECK: return %[[R]]#0, %[[INDICES]], %[[R]]#1
func.func @quantize_token_(%codes: tensor<1x2x?x40xbf16, #sfa.codes<k = 8>>) -> tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = token>> {
  %0 = sfa.quantize %codes : tensor<1x2x?x40xbf16, #sfa.codes<k = 8>> -> tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = token>>
  return %0 : tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = token>>
}

// CHECK-LABEL: func.func @quantize_head_(
// CHECK-SAME: %[[VALUES:.*]]: tensor<1x2x?x8xbf16>, %[[INDICES:.*]]: tensor<1x2x?x8xi8>) -> (tensor<1x2x?x8xi8>, tensor<1x2x?x8xi8>, tensor<1x2x1xf32>)
// CHECK: %[[R:.*]]:2 = sfa_tile.launch @quantize_head grid(%{{.*}}, %{{.*}}, %{{.*}}) ins(%[[VALUES]] : tensor<1x2x?x8xbf16>) outs(%{{.*}} : tensor<1x2x?x8xi8>, tensor<1x2x1xf32>)
// CHECK: return %[[R]]#0, %[[INDICES]], %[[R]]#1
func.func @quantize_head_(%codes: tensor<1x2x?x40xbf16, #sfa.codes<k = 8>>) -> tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = head>> {
  %0 = sfa.quantize %codes : tensor<1x2x?x40xbf16, #sfa.codes<k = 8>> -> tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = head>>
  return %0 : tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = head>>
}

// Scales are numbers: all strategies work on codes of f32.
// CHECK-LABEL: func.func @attention(
// CHECK-SAME: tensor<1x2x?x8xi8>, %{{.*}}: tensor<1x2x?x8xi8>, %{{.*}}: tensor<1x2x?xf32>, %{{.*}}: tensor<1x2x?x8xi8>, %{{.*}}: tensor<1x2x?x8xi8>, %{{.*}}: tensor<1x2x1xf32>, %{{.*}}: tensor<1x2x?x32xbf16>)
func.func @attention(%q: tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = token>>, %k: tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = head>>, %v: tensor<1x2x?x32xbf16>) -> tensor<1x2x?x32xbf16> {
  %o = sfa.attention %q, %k, %v schedule <strategy = gather, softmax = online, q_tile = 64, k_tile = 32, stages = 2, consumers = 2>
    : tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = token>>, tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = head>>, tensor<1x2x?x32xbf16> -> tensor<1x2x?x32xbf16>
  return %o : tensor<1x2x?x32xbf16>
}

// Codes written out are multiplied by their scales, or stay integers, of which d is a multiple of 16.
// CHECK-LABEL: func.func @densify_both(
// CHECK-SAME: %[[VALUES:.*]]: tensor<1x2x?x8xi8>, %[[INDICES:.*]]: tensor<1x2x?x8xi8>, %[[SCALES:.*]]: tensor<1x2x?xf32>) -> (tensor<1x2x?x40xbf16>, tensor<1x2x?x48xi8>, tensor<1x2x?xf32>)
// CHECK: %[[DENSE:.*]] = sfa_tile.launch @densify {{.*}} ins(%[[VALUES]], %[[INDICES]], %[[SCALES]] :
// CHECK: %[[ROWS:.*]] = sfa_tile.launch @densify_integers {{.*}} ins(%[[VALUES]], %[[INDICES]] :
// CHECK: return %[[DENSE]], %[[ROWS]], %[[SCALES]]
func.func @densify_both(%codes: tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>) -> (tensor<1x2x?x40xbf16>, tensor<1x2x?x40xbf16, #sfa.dense<values = i8, scales = tile>>) {
  %dense = sfa.densify %codes : tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>
  %rows = sfa.densify %codes quantized : tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>
  return %dense, %rows : tensor<1x2x?x40xbf16>, tensor<1x2x?x40xbf16, #sfa.dense<values = i8, scales = tile>>
}

// CHECK-LABEL: func.func @integers(
func.func @integers(%q: tensor<1x2x?x40xbf16, #sfa.dense<values = i8, scales = token>>, %k: tensor<1x2x?x40xbf16, #sfa.dense<values = i8, scales = tile>>, %v: tensor<1x2x?x32xbf16>) -> tensor<1x2x?x32xbf16> {
  %o = sfa.attention %q, %k, %v schedule <strategy = dense, softmax = online, q_tile = 64, k_tile = 32, stages = 2, consumers = 2>
    : tensor<1x2x?x40xbf16, #sfa.dense<values = i8, scales = token>>, tensor<1x2x?x40xbf16, #sfa.dense<values = i8, scales = tile>>, tensor<1x2x?x32xbf16> -> tensor<1x2x?x32xbf16>
  return %o : tensor<1x2x?x32xbf16>
}

// Casts, calls and choices take all three.
// CHECK-LABEL: func.func @choose(
// CHECK-COUNT-3: arith.select
// CHECK: return %{{.*}}, %{{.*}}, %{{.*}} : tensor<1x2x?x8xi8>, tensor<1x2x?x8xi8>, tensor<1x2x?xf32>
func.func @choose(%flag: i1, %a: tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>, %b: tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>) -> tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = tile>> {
  %0 = arith.select %flag, %a, %b : tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>
  return %0 : tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>
}

// CHECK-LABEL: func.func @sparsify_(
// CHECK-SAME: %[[X:.*]]: tensor<1x2x?x40xbf16>)
// CHECK: %[[COUNT:.*]] = arith.ceildivui
// CHECK: %[[R:.*]]:2 = sfa_tile.launch @sparsify_integers grid({{.*}} ins(%[[X]] : {{.*}} outs(%{{.*}}, %{{.*}} : tensor<1x2x?x48xi8>, tensor<1x2x?xf32>)
// CHECK: tensor.empty(%[[COUNT]]) : tensor<1x2x?xf32>
// CHECK: %[[S:.*]]:4 = sfa_tile.launch @sparsify_integers_0 grid({{.*}} outs({{.*}} : tensor<1x2x?x48xi8>, tensor<1x2x?x8xi8>, tensor<1x2x?x8xi8>, tensor<1x2x?xf32>)
// CHECK: %[[T:.*]]:3 = sfa_tile.launch @sparsify_integers_1
// CHECK: return %[[R]]#0, %[[R]]#1, %[[S]]#1, %[[S]]#2, %[[S]]#3, %[[S]]#0, %[[S]]#3, %[[T]]#0, %[[T]]#1, %[[T]]#2
!token_rows = tensor<1x2x?x40xbf16, #sfa.dense<values = i8, scales = token>>
!token_codes = tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = token>>
!tile_rows = tensor<1x2x?x40xbf16, #sfa.dense<values = i8, scales = tile>>
!tile_codes = tensor<1x2x?x40xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>
func.func @sparsify_(%x: tensor<1x2x?x40xbf16>) -> (!token_rows, !tile_codes, !tile_rows, !token_codes) {
  %0, %rows = sfa.sparsify %x : tensor<1x2x?x40xbf16> -> !token_codes, !token_rows
  %codes, %both = sfa.sparsify %x : tensor<1x2x?x40xbf16> -> !tile_codes, !tile_rows
  %alone = sfa.sparsify %x : tensor<1x2x?x40xbf16> -> !token_codes
  return %rows, %codes, %both, %alone : !token_rows, !tile_codes, !tile_rows, !token_codes
}

// CHECK-LABEL: sfa_tile.kernel @quantize_tile(
// CHECK: sfa_tile.quantize %source_values[%batch, %head, %tile] to %output_values, %output_scales shared_by tile : {{.*}}
// CHECK-LABEL: sfa_tile.kernel @quantize_token(
// CHECK: sfa_tile.quantize {{.*}} shared_by token
// CHECK-LABEL: sfa_tile.kernel @quantize_head(
// CHECK: sfa_tile.quantize {{.*}} shared_by head

// CHECK-LABEL: sfa_tile.kernel @attention
// CHECK: sfa_tile.load_codes %query_values, %query_indices[{{.*}}] scales %query_scales {{.*}} shared_by token : {{.*}} -> !sfa_tile.codes<64x40xf32, k = 8>
// CHECK: sfa_tile.load_codes %key_values, %key_indices[{{.*}}] scales %key_scales {{.*}} shared_by head : {{.*}} -> !sfa_tile.codes<32x40xf32, k = 8>
// CHECK: sfa_tile.gather_dot

// CHECK-LABEL: sfa_tile.kernel @densify(
// CHECK: sfa_tile.load_codes {{.*}} shared_by tile
// CHECK-LABEL: sfa_tile.kernel @densify_integers(
// CHECK: %[[CODES:.*]] = sfa_tile.load_codes {{.*}} -> !sfa_tile.codes<{{[0-9]+}}x48xi8, k = 8>
// CHECK: sfa_tile.expand %[[CODES]]

// CHECK-LABEL: sfa_tile.kernel @attention
// CHECK: sfa_tile.load %{{.*}} -> !sfa_tile.tile<64x48xi8>
// CHECK: %[[QUERY_SCALES:.*]] = sfa_tile.load_scales %query_scales[{{.*}}] shared_by token : {{.*}} -> !sfa_tile.tile<64xf32>
// CHECK: load {
// CHECK: %[[KEYS:.*]] = sfa_tile.load %{{.*}} -> !sfa_tile.tile<32x48xi8>
// CHECK: %[[KEY_SCALES:.*]] = sfa_tile.load_scales %key_scales[{{.*}}] shared_by tile together 32 : {{.*}} -> !sfa_tile.tile<32xf32>
// CHECK: sfa_tile.yield %[[KEYS]], %[[KEY_SCALES]], %{{.*}}
// CHECK: %[[PRODUCT:.*]] = sfa_tile.dot {{.*}} -> !sfa_tile.tile<64x32xi32>
// CHECK: sfa_tile.dequantize %[[PRODUCT]] rows %[[QUERY_SCALES]] columns %{{.*}} -> !sfa_tile.tile<64x32xi32, scaled>
// CHECK: sfa_tile.exp2 {{.*}} : !sfa_tile.tile<64x32xi32, scaled>
// CHECK: sfa_tile.accumulate {{.*}} : !sfa_tile.tile<64x32xf32>,

// Selected and rounded in one kernel. Codes that nobody uses are not written; codes and rows share the scales.
// CHECK-LABEL: sfa_tile.kernel @sparsify_integers(
// CHECK-SAME: %source: memref<1x2x?x40xbf16, {{[^%]*}} %output: memref<1x2x?x48xi8, {{[^%]*}} %output_scales: memref<1x2x?xf32,
// CHECK: %[[SELECTED:.*]] = sfa_tile.topk
// CHECK: %[[INTEGERS:.*]], %[[SCALES:.*]] = sfa_tile.quantize_codes %[[SELECTED]] shared_by token : !sfa_tile.codes<128x40xbf16, k = 8> -> !sfa_tile.codes<128x48xi8, k = 8>, !sfa_tile.tile<128xf32>
// CHECK: %[[ROWS:.*]] = sfa_tile.expand %[[INTEGERS]]
// CHECK: sfa_tile.store %[[ROWS]], %output[
// CHECK-NOT: sfa_tile.store_codes
// CHECK: sfa_tile.store_scales %[[SCALES]], %output_scales[{{.*}}] shared_by token
// CHECK-LABEL: sfa_tile.kernel @sparsify_integers_0(
// CHECK: sfa_tile.quantize_codes {{.*}} shared_by tile
// CHECK: sfa_tile.expand
// CHECK: sfa_tile.store_codes %{{.*}}, %output_values, %output_indices[
// CHECK: sfa_tile.store_scales
// CHECK-LABEL: sfa_tile.kernel @sparsify_integers_1(
// CHECK-NOT: sfa_tile.expand
// CHECK: sfa_tile.store_codes
