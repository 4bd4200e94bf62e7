// RUN: sfa-opt %s -convert-sfa-to-tile -canonicalize -cse -split-input-file | FileCheck %s
// RUN: sfa-opt %s -convert-sfa-to-tile -canonicalize -cse -split-input-file \
// RUN:   "-one-shot-bufferize=bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map" \
// RUN:   -canonicalize -cse | FileCheck %s --check-prefix=BUFFER

// Top-k of dense keys first. Then one launch that has no outputs: it writes its last three inputs, values and features of
// the codes and the values, in place.
// CHECK-LABEL: func.func @slots(
// CHECK-SAME: %[[K:.*]]: tensor<1x8x?x128xbf16>, %[[V:.*]]: tensor<1x8x?x64xbf16>, %[[SLOTS:.*]]: tensor<?xi64>, %[[KEYS:[a-z0-9]+]]: tensor<?x8x64x8xbf16>, %[[FEATURES:[a-z0-9]+]]: tensor<?x8x64x8xi8>, %[[VALUES:[a-z0-9]+]]: tensor<?x8x64x64xbf16>)
// CHECK: %[[CODES:.*]]:2 = sfa_tile.launch @sparsify
// CHECK: %[[TILES:.*]] = arith.ceildivui %{{.*}}, %c16
// CHECK: sfa_tile.launch @append grid(%c1, %c8, %[[TILES]]) ins(%[[CODES]]#0, %[[CODES]]#1, %[[V]], %[[SLOTS]], %[[KEYS]], %[[FEATURES]], %[[VALUES]] : {{.*}}) outs() updates 3
// CHECK: return

// CHECK: sfa_tile.kernel @append(%source: {{.*}}, %source_0: {{.*}}, %source_1: {{.*}}, %slots: memref<?xi64, {{.*}}>, %pages: {{.*}}, %pages_2: {{.*}}, %pages_3: {{.*}})
// CHECK: %[[ROW:.*]] = arith.muli %tile, %c16
// CHECK: sfa_tile.append %source, %source_0, %source_1 to %pages, %pages_2, %pages_3[%batch, %head, %[[ROW]]] rows 16 slots %slots

// Nothing copies the pages.
// BUFFER-LABEL: func.func @slots(
// BUFFER-SAME: %[[KEYS:[a-z0-9]+]]: memref<?x8x64x8xbf16>, %[[FEATURES:[a-z0-9]+]]: memref<?x8x64x8xi8>, %[[VALUES:[a-z0-9]+]]: memref<?x8x64x64xbf16>)
// BUFFER-NOT: memref.copy
// BUFFER-DAG: %[[KEYS_CAST:.*]] = memref.cast %[[KEYS]]
// BUFFER-DAG: %[[FEATURES_CAST:.*]] = memref.cast %[[FEATURES]]
// BUFFER-DAG: %[[VALUES_CAST:.*]] = memref.cast %[[VALUES]]
// BUFFER: sfa_tile.launch @append {{.*}} ins({{.*}}, %[[KEYS_CAST]], %[[FEATURES_CAST]], %[[VALUES_CAST]] : {{.*}}) outs() updates 3
// BUFFER-NOT: memref.copy
// BUFFER: return
func.func @slots(%k: tensor<1x8x?x128xbf16>, %v: tensor<1x8x?x64xbf16>, %slots: tensor<?xi64>,
                 %keys: tensor<?x8x64x128xbf16, #sfa.codes<k = 8>>, %values: tensor<?x8x64x64xbf16>) {
  sfa.cache_append %k, %v to %keys, %values slots(%slots : tensor<?xi64>)
    : tensor<1x8x?x128xbf16>, tensor<1x8x?x64xbf16>, tensor<?x8x64x128xbf16, #sfa.codes<k = 8>>, tensor<?x8x64x64xbf16>
  return
}

// -----

// Dense pages take dense keys as they are.
// CHECK-LABEL: func.func @pages(
// CHECK-NOT: sparsify
// CHECK: sfa_tile.launch @append grid({{.*}}) ins(%arg0, %arg1, %arg2, %arg3, %arg4, %arg5 : {{.*}}) outs() updates 2
// CHECK: sfa_tile.append %source, %source_0 to %pages, %pages_1[%batch, %head, %{{.*}}] rows 16 pages %table, %lengths
func.func @pages(%k: tensor<?x8x1x128xbf16>, %v: tensor<?x8x1x64xbf16>, %t: tensor<?x9xi32>, %n: tensor<?xi32>,
                 %keys: tensor<?x8x16x128xbf16>, %values: tensor<?x8x16x64xbf16>) {
  sfa.cache_append %k, %v to %keys, %values pages(%t, %n : tensor<?x9xi32>, tensor<?xi32>)
    : tensor<?x8x1x128xbf16>, tensor<?x8x1x64xbf16>, tensor<?x8x16x128xbf16>, tensor<?x8x16x64xbf16>
  return
}
