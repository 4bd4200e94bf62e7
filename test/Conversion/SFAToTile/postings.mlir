// RUN: sfa-opt %s -convert-sfa-to-tile -canonicalize -cse | FileCheck %s

!codes = tensor<1x8x?x64xbf16, #sfa.codes<k = 4>>
!dense = tensor<1x8x?x64xbf16>
!lists = tensor<1x8x?x64xbf16, #sfa.postings<k = 4, tile = 128>>

// A tile of keys is a row of bytes: twice 144 for the starts of 64 lists and 1024 for entries. How many keys there are the values say.

// CHECK-LABEL: func.func @keys(
// CHECK: %[[TILES:.*]] = arith.ceildivui %{{.*}}, %c128
// CHECK: tensor.empty(%[[TILES]]) : tensor<1x8x?x2336xi8>
// CHECK: %[[K:.*]] = sfa_tile.launch @postings grid(%{{.*}}, %{{.*}}, %[[TILES]])
// CHECK: sfa_tile.launch @attention_scatter_online {{.*}} ins(%{{.*}}, %{{.*}}, %[[K]], %{{.*}} :
func.func @keys(%q: !codes, %k: !codes, %v: !dense) -> !dense {
  %a = sfa.postings %k : !codes -> !lists
  %o = sfa.attention %q, %a, %v schedule <strategy = scatter, softmax = online, q_tile = 128, k_tile = 128, stages = 2, consumers = 2>
    : !codes, !lists, !dense -> !dense
  return %o : !dense
}

// CHECK: sfa_tile.kernel @postings(
// CHECK: %[[ROW:.*]] = arith.muli %{{.*}}, %c128
// CHECK: %[[CODES:.*]] = sfa_tile.load_codes %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}, %[[ROW]]]
// CHECK: %[[LISTS:.*]] = sfa_tile.postings %[[CODES]]
// CHECK: sfa_tile.store_postings %[[LISTS]], %{{.*}}[%{{.*}}, %{{.*}}, %[[ROW]]] : !sfa_tile.postings<128x64xbf16, k = 4>, memref<1x8x?x2336xi8, {{.*}}>

// CHECK: sfa_tile.kernel @attention_scatter_online(%{{.*}}: {{.*}}, %{{.*}}: {{.*}}, %{{.*}}: {{.*}}, %[[VALUE:.*]]: memref<1x8x?x64xbf16, {{.*}}>, %{{.*}}: memref<1x8x?x64xbf16
// CHECK: memref.dim %[[VALUE]]
// CHECK: sfa_tile.load_postings %{{.*}} : memref<1x8x?x2336xi8, {{.*}}> -> !sfa_tile.postings<128x64xbf16, k = 4>
