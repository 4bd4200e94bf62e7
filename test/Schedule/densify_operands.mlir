// RUN: sfa-opt %s -sfa-densify-operands | FileCheck %s

!dense = tensor<1x2x?x128xf16>
!codes = tensor<1x2x?x128xf16, #sfa.codes<k = 8>>

// CHECK-LABEL: @arguments(
// CHECK-SAME: %[[Q:.*]]: tensor<1x2x?x128xf16, #sfa.codes<k = 8>>, %[[K:.*]]: tensor<1x2x?x128xf16>)
// CHECK: %[[ROWS:.*]] = sfa.densify %[[Q]]
// CHECK: sfa.attention %[[ROWS]], %[[K]]
func.func @arguments(%q: !codes, %k: !dense) -> !dense {
  %o = sfa.attention %q, %k, %k schedule <strategy = dense> : !codes, !dense, !dense -> !dense
  return %o : !dense
}

// One pass over the source gives the rows, which attentions share; other uses keep the codes.
// CHECK-LABEL: @sparsified(
// CHECK: %[[CODES:.*]], %[[ROWS:.*]] = sfa.sparsify %{{.*}} {note = 1 : i64}
// CHECK-NOT: sfa.densify
// CHECK: sfa.attention %[[ROWS]], %[[ROWS]]
// CHECK: sfa.attention %{{[^,]*}}, %[[ROWS]]
// CHECK: return %{{.*}}, %{{.*}}, %[[CODES]]
func.func @sparsified(%x: !dense) -> (!dense, !dense, !codes) {
  %c = sfa.sparsify %x {note = 1 : i64} : !dense -> !codes
  %o = sfa.attention %c, %c, %x schedule <strategy = dense> : !codes, !codes, !dense -> !dense
  %p = sfa.attention %x, %c, %x schedule <strategy = dense> : !dense, !codes, !dense -> !dense
  return %o, %p, %c : !dense, !dense, !codes
}

// Queries stay codes where the strategy reads them as codes.

// CHECK-LABEL: @codes_of_queries(
// CHECK: %[[CODES:.*]], %[[DENSE:.*]] = sfa.sparsify
// CHECK: sfa.attention %[[CODES]], %[[DENSE]]
func.func @codes_of_queries(%x: !dense) -> !dense {
  %c = sfa.sparsify %x : !dense -> !codes
  %o = sfa.attention %c, %c, %x schedule <strategy = sparse_mma> : !codes, !codes, !dense -> !dense
  return %o : !dense
}

// Keys whose lists are walked become lists. What is lists already stays.

// CHECK-LABEL: @all_codes(
// CHECK: %[[CODES:.*]] = sfa.sparsify %{{.*}} -> tensor<1x2x?x128xf16, #sfa.codes<k = 8>>{{$}}
// CHECK: %[[A:.*]] = sfa.postings %[[CODES]] : tensor<1x2x?x128xf16, #sfa.codes<k = 8>> -> tensor<1x2x?x128xf16, #sfa.postings<k = 8, tile = 48>>
// CHECK: sfa.attention %[[CODES]], %[[A]]
// CHECK: %[[B:.*]] = sfa.postings
// CHECK-NEXT: sfa.attention %[[CODES]], %[[B]]
func.func @all_codes(%x: !dense) -> (!dense, !dense) {
  %c = sfa.sparsify %x : !dense -> !codes
  %o = sfa.attention %c, %c, %x schedule <strategy = scatter, k_tile = 48> : !codes, !codes, !dense -> !dense
  %k = sfa.postings %c : !codes -> tensor<1x2x?x128xf16, #sfa.postings<k = 8, tile = 64>>
  %p = sfa.attention %c, %k, %x schedule <strategy = scatter, k_tile = 64>
    : !codes, tensor<1x2x?x128xf16, #sfa.postings<k = 8, tile = 64>>, !dense -> !dense
  return %o, %p : !dense, !dense
}

!integers = tensor<1x2x?x128xf16, #sfa.codes<k = 8, values = i8, scales = token>>
!shared = tensor<1x2x?x128xf16, #sfa.codes<k = 8, values = i8, scales = tile>>

// 8-bit values stay 8-bit integers, with the scales that they had.

// CHECK-LABEL: @integers(
// CHECK-SAME: %[[Q:[^:]*]]: tensor<{{[^>]*}} scales = token>>, %[[K:[^:]*]]: tensor<{{[^>]*}} scales = tile>>,
// CHECK-DAG: %[[QUERY:.*]] = sfa.densify %[[Q]] quantized
// CHECK-DAG: %[[KEY:.*]] = sfa.densify %[[K]] quantized
// CHECK: sfa.attention %[[QUERY]], %[[KEY]], %{{.*}} : tensor<1x2x?x128xf16, #sfa.dense<values = i8, scales = token>>, tensor<1x2x?x128xf16, #sfa.dense<values = i8, scales = tile>>
func.func @integers(%q: !integers, %k: !shared, %v: !dense) -> !dense {
  %o = sfa.attention %q, %k, %v schedule <strategy = dense> : !integers, !shared, !dense -> !dense
  return %o : !dense
}

// Rows of the sparsify before are not those of its rounded values.
// CHECK-LABEL: @quantized(
// CHECK: %[[CODES:.*]] = sfa.sparsify %{{.*}} -> tensor<1x2x?x128xf16, #sfa.codes<k = 8>>{{$}}
// CHECK: %[[ROUNDED:.*]] = sfa.quantize %[[CODES]]
// CHECK: sfa.densify %[[ROUNDED]] quantized
func.func @quantized(%x: !dense) -> !dense {
  %c = sfa.sparsify %x : !dense -> !codes
  %r = sfa.quantize %c : !codes -> !integers
  %o = sfa.attention %r, %r, %x schedule <strategy = dense> : !integers, !integers, !dense -> !dense
  return %o : !dense
}

// Where queries stay codes, keys do, too: rows of integers would meet queries that are none.
// CHECK-LABEL: @codes_of_integers(
// CHECK-NOT: sfa.densify
// CHECK: return
func.func @codes_of_integers(%q: !integers, %k: !shared, %v: !dense) -> !dense {
  %c = sfa.attention %q, %k, %v schedule <strategy = sparse_mma> : !integers, !shared, !dense -> !dense
  return %c : !dense
}

// Keys to gather are feature-major, made of codes as of rows. What is feature-major already stays.

// CHECK-LABEL: @gathered(
// CHECK: %[[CODES:.*]] = sfa.sparsify
// CHECK: %[[A:.*]] = sfa.feature_major %[[CODES]] : tensor<1x2x?x128xf16, #sfa.codes<k = 8>> -> tensor<1x2x?x128xf16, #sfa.feature_major<tile = 64>>
// CHECK: sfa.attention %[[CODES]], %[[A]]
// CHECK: %[[B:.*]] = sfa.feature_major %{{.*}} : tensor<1x2x?x128xf16> -> tensor<1x2x?x128xf16, #sfa.feature_major<tile = 128>>
// CHECK: sfa.attention %[[CODES]], %[[B]]
// CHECK: %[[C:.*]] = sfa.feature_major
// CHECK-NEXT: sfa.attention %[[CODES]], %[[C]]
func.func @gathered(%x: !dense) -> (!dense, !dense, !dense) {
  %c = sfa.sparsify %x : !dense -> !codes
  %o = sfa.attention %c, %c, %x schedule <strategy = gather, k_tile = 64> : !codes, !codes, !dense -> !dense
  %p = sfa.attention %c, %x, %x schedule <strategy = gather, k_tile = 128> : !codes, !dense, !dense -> !dense
  %k = sfa.feature_major %x : !dense -> tensor<1x2x?x128xf16, #sfa.feature_major<tile = 128>>
  %r = sfa.attention %c, %k, %x schedule <strategy = gather, k_tile = 128>
    : !codes, tensor<1x2x?x128xf16, #sfa.feature_major<tile = 128>>, !dense -> !dense
  return %o, %p, %r : !dense, !dense, !dense
}
