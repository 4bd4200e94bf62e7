// RUN: sfa-opt %s | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s

// CHECK-LABEL: sfa_tile.kernel @names(
// CHECK-SAME: %query_offsets: memref<?xi32>, %key_offsets: memref<?xi32, strided<[1], offset: ?>>)
// CHECK: %row, %query_begin, %query_end, %key_begin, %key_end = sfa_tile.sequence_tile %query_offsets, %key_offsets[%tile] by 128 of[%batch, %head] : memref<?xi32>, memref<?xi32, strided<[1], offset: ?>>
sfa_tile.kernel @names(%a: memref<?xi32>, %b: memref<?xi32, strided<[1], offset: ?>>) grid(%x, %y, %z) {
  %r:5 = sfa_tile.sequence_tile %a, %b[%z] by 128 of [%x, %y] : memref<?xi32>, memref<?xi32, strided<[1], offset: ?>>
}
