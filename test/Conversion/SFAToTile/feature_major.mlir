// RUN: sfa-opt %s -convert-sfa-to-tile -canonicalize -cse | FileCheck %s

!codes = tensor<1x8x?x64xbf16, #sfa.codes<k = 4>>
!dense = tensor<1x8x?x64xbf16>
!tiles = tensor<1x8x?x64xbf16, #sfa.feature_major<tile = 128>>

// A tile of keys is a row: 64 features of 128 tokens. How many keys there are the values say.

// CHECK-LABEL: func.func @keys(
// CHECK: %[[TILES:.*]] = arith.ceildivui %{{.*}}, %c128
// CHECK: tensor.empty(%[[TILES]]) : tensor<1x8x?x8192xbf16>
// CHECK: %[[K:.*]] = sfa_tile.launch @feature_major grid(%{{.*}}, %{{.*}}, %[[TILES]])
// CHECK: sfa_tile.launch @attention_gather_online {{.*}} ins(%{{.*}}, %{{.*}}, %[[K]], %{{.*}} :
func.func @keys(%q: !codes, %k: !codes, %v: !dense) -> !dense {
  %a = sfa.feature_major %k : !codes -> !tiles
  %o = sfa.attention %q, %a, %v schedule <strategy = gather, softmax = online, q_tile = 128, k_tile = 128, stages = 2, consumers = 2>
    : !codes, !tiles, !dense -> !dense
  return %o : !dense
}

// CHECK: sfa_tile.kernel @feature_major(
// CHECK: %[[ROW:.*]] = arith.muli %{{.*}}, %c128
// CHECK: %[[CODES:.*]] = sfa_tile.load_codes %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}, %[[ROW]]]
// CHECK: %[[TILE:.*]] = sfa_tile.expand %[[CODES]]
// CHECK: sfa_tile.store_feature_major %[[TILE]], %{{.*}}[%{{.*}}, %{{.*}}, %[[ROW]]] : !sfa_tile.tile<128x64xbf16>, memref<1x8x?x8192xbf16, {{.*}}>

// CHECK: sfa_tile.kernel @attention_gather_online(%{{.*}}: {{.*}}, %{{.*}}: {{.*}}, %{{.*}}: {{.*}}, %[[VALUE:.*]]: memref<1x8x?x64xbf16, {{.*}}>, %{{.*}}: memref<1x8x?x64xbf16
// CHECK: memref.dim %[[VALUE]]
// CHECK: sfa_tile.load %{{.*}} feature_major : memref<1x8x?x8192xbf16, {{.*}}> -> !sfa_tile.tile<128x64xbf16>
