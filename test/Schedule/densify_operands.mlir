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

// One pass selects, rounds and writes out. What nobody else uses is left out of it.
// CHECK-LABEL: @quantized(
// CHECK-NEXT: %[[Q:.*]], %[[QUERY:.*]] = sfa.sparsify %{{.*}} {note = 1 : i64} : tensor<1x2x?x128xf16> -> tensor<1x2x?x128xf16, #sfa.codes<k = 8, values = i8, scales = token>>, tensor<1x2x?x128xf16, #sfa.dense<values = i8, scales = token>>
// CHECK-NEXT: %[[K:.*]], %[[KEY:.*]] = sfa.sparsify {{.*}} scales = tile>>, tensor<1x2x?x128xf16, #sfa.dense<values = i8, scales = tile>>
// CHECK-NEXT: sfa.attention %[[QUERY]], %[[KEY]]
// CHECK-NEXT: return %{{.*}}, %[[K]]
func.func @quantized(%x: !dense) -> (!dense, !shared) {
  %c = sfa.sparsify %x {note = 1 : i64} : !dense -> !codes
  %q = sfa.quantize %c : !codes -> !integers
  %k = sfa.quantize %c : !codes -> !shared
  %o = sfa.attention %q, %k, %x schedule <strategy = dense> : !integers, !shared, !dense -> !dense
  return %o, %k : !dense, !shared
}

// Values are rounded with those that share their scale: of a head these are not known in a pass. Neither are more than 32 of a row
// in registers, and codes that somebody else reads exist already.

!many = tensor<1x2x?x128xf16, #sfa.codes<k = 33>>
!many_integers = tensor<1x2x?x128xf16, #sfa.codes<k = 33, values = i8, scales = token>>
!of_head = tensor<1x2x?x128xf16, #sfa.codes<k = 8, values = i8, scales = head>>

// CHECK-LABEL: @rounded_alone(
// CHECK-NEXT: %[[CODES:.*]] = sfa.sparsify %{{.*}} -> tensor<1x2x?x128xf16, #sfa.codes<k = 33>>{{$}}
// CHECK-NEXT: %[[MANY:.*]] = sfa.quantize %[[CODES]]
// CHECK-NEXT: %[[FEW:.*]] = sfa.sparsify
// CHECK-NEXT: %[[HEAD:.*]] = sfa.quantize %[[FEW]]
// CHECK-NEXT: %[[USED:.*]] = sfa.sparsify
// CHECK-NEXT: %[[ROUNDED:.*]] = sfa.quantize %[[USED]]
// CHECK-NEXT: %[[ROWS:.*]] = sfa.densify %[[MANY]] quantized
func.func @rounded_alone(%x: !dense) -> (!dense, !of_head, !codes, !shared) {
  %m = sfa.sparsify %x : !dense -> !many
  %r = sfa.quantize %m : !many -> !many_integers
  %c = sfa.sparsify %x : !dense -> !codes
  %h = sfa.quantize %c : !codes -> !of_head
  %d = sfa.sparsify %x : !dense -> !codes
  %k = sfa.quantize %d : !codes -> !shared
  %o = sfa.attention %r, %r, %x schedule <strategy = dense> : !many_integers, !many_integers, !dense -> !dense
  return %o, %h, %d, %k : !dense, !of_head, !codes, !shared
}

// Codes that no attention reads are rounded where they are selected, too; k is that of the features there are.
!all = tensor<1x2x?x24xf16, #sfa.codes<k = 100>>
!all_integers = tensor<1x2x?x24xf16, #sfa.codes<k = 100, values = i8, scales = tile>>
// CHECK-LABEL: @rounded_codes(
// CHECK-NEXT: %[[CODES:.*]] = sfa.sparsify %{{.*}} -> tensor<1x2x?x24xf16, #sfa.codes<k = 100, values = i8, scales = tile>>{{$}}
// CHECK-NEXT: return %[[CODES]]
func.func @rounded_codes(%x: tensor<1x2x?x24xf16>) -> !all_integers {
  %c = sfa.sparsify %x : tensor<1x2x?x24xf16> -> !all
  %k = sfa.quantize %c : !all -> !all_integers
  return %k : !all_integers
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
