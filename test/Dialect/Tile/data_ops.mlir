// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s

// CHECK-LABEL: @data(
func.func @data(%m: memref<1x8x?x128xbf16>, %values: memref<1x8x?x8xbf16>, %indices: memref<1x8x?x8xi8>,
                %bytes: memref<1x8x?x2592xi8>, %lse: memref<1x8x?xf32>, %b: index, %h: index, %row: index) {
  // CHECK: %[[X:.*]] = sfa_tile.load %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] : memref<1x8x?x128xbf16> -> !sfa_tile.tile<64x128xbf16>
  %x = sfa_tile.load %m[%b, %h, %row] : memref<1x8x?x128xbf16> -> !sfa_tile.tile<64x128xbf16>
  // CHECK: %[[CODES:.*]] = sfa_tile.topk %[[X]] : !sfa_tile.tile<64x128xbf16> -> !sfa_tile.codes<64x128xbf16, k = 8>
  %codes = sfa_tile.topk %x : !sfa_tile.tile<64x128xbf16> -> !sfa_tile.codes<64x128xbf16, k = 8>
  // CHECK: sfa_tile.topk %[[X]] two_four : !sfa_tile.tile<64x128xbf16> -> !sfa_tile.codes<64x128xbf16, k = 64>
  %half = sfa_tile.topk %x two_four : !sfa_tile.tile<64x128xbf16> -> !sfa_tile.codes<64x128xbf16, k = 64>
  // CHECK: sfa_tile.store_codes %[[CODES]], %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] : !sfa_tile.codes<64x128xbf16, k = 8>, memref<1x8x?x8xbf16>, memref<1x8x?x8xi8>
  sfa_tile.store_codes %codes, %values, %indices[%b, %h, %row]
    : !sfa_tile.codes<64x128xbf16, k = 8>, memref<1x8x?x8xbf16>, memref<1x8x?x8xi8>
  // CHECK: %[[AGAIN:.*]] = sfa_tile.load_codes %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] : memref<1x8x?x8xbf16>, memref<1x8x?x8xi8> -> !sfa_tile.codes<64x128xbf16, k = 8>
  %again = sfa_tile.load_codes %values, %indices[%b, %h, %row]
    : memref<1x8x?x8xbf16>, memref<1x8x?x8xi8> -> !sfa_tile.codes<64x128xbf16, k = 8>
  // CHECK: %[[DENSE:.*]] = sfa_tile.expand %[[AGAIN]] : !sfa_tile.codes<64x128xbf16, k = 8> -> !sfa_tile.tile<64x128xbf16>
  %dense = sfa_tile.expand %again : !sfa_tile.codes<64x128xbf16, k = 8> -> !sfa_tile.tile<64x128xbf16>
  // CHECK: sfa_tile.store %[[DENSE]], %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] : !sfa_tile.tile<64x128xbf16>, memref<1x8x?x128xbf16>
  sfa_tile.store %dense, %m[%b, %h, %row] : !sfa_tile.tile<64x128xbf16>, memref<1x8x?x128xbf16>
  // CHECK: %[[LISTS:.*]] = sfa_tile.postings %[[AGAIN]] : !sfa_tile.codes<64x128xbf16, k = 8> -> !sfa_tile.postings<64x128xbf16, k = 8>
  %lists = sfa_tile.postings %again : !sfa_tile.codes<64x128xbf16, k = 8> -> !sfa_tile.postings<64x128xbf16, k = 8>
  // CHECK: sfa_tile.store_postings %[[LISTS]], %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] : !sfa_tile.postings<64x128xbf16, k = 8>, memref<1x8x?x2592xi8>
  sfa_tile.store_postings %lists, %bytes[%b, %h, %row] : !sfa_tile.postings<64x128xbf16, k = 8>, memref<1x8x?x2592xi8>
  // CHECK: sfa_tile.load_postings %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] : memref<1x8x?x2592xi8> -> !sfa_tile.postings<64x128xbf16, k = 8>
  %same = sfa_tile.load_postings %bytes[%b, %h, %row] : memref<1x8x?x2592xi8> -> !sfa_tile.postings<64x128xbf16, k = 8>
  // CHECK: sfa_tile.split %[[AGAIN]] : !sfa_tile.codes<64x128xbf16, k = 8> -> !sfa_tile.two_four<64x128xbf16, k = 8>, !sfa_tile.surplus<64x128xbf16, k = 8>
  %part, %surplus = sfa_tile.split %again : !sfa_tile.codes<64x128xbf16, k = 8>
    -> !sfa_tile.two_four<64x128xbf16, k = 8>, !sfa_tile.surplus<64x128xbf16, k = 8>
  // CHECK: %[[FILL:.*]] = sfa_tile.fill 0xFF800000 : !sfa_tile.tile<64xf32>
  %fill = sfa_tile.fill 0xFF800000 : !sfa_tile.tile<64xf32>
  // CHECK: sfa_tile.store %[[FILL]], %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] : !sfa_tile.tile<64xf32>, memref<1x8x?xf32>
  sfa_tile.store %fill, %lse[%b, %h, %row] : !sfa_tile.tile<64xf32>, memref<1x8x?xf32>
  return
}

// Codes of more than 256 features have 16-bit indices.
// CHECK-LABEL: @wide(
func.func @wide(%values: memref<1x1x?x8xf32>, %indices: memref<1x1x?x8xi16>, %i: index) {
  // CHECK: sfa_tile.load_codes {{.*}} memref<1x1x?x8xi16> -> !sfa_tile.codes<64x257xf32, k = 8>
  %codes = sfa_tile.load_codes %values, %indices[%i, %i, %i]
    : memref<1x1x?x8xf32>, memref<1x1x?x8xi16> -> !sfa_tile.codes<64x257xf32, k = 8>
  return
}

// CHECK-LABEL: @limits(
func.func @limits(%m: memref<1x8x?x128xbf16>, %b: index, %h: index, %row: index, %end: index) {
  // CHECK: %[[X:.*]] = sfa_tile.load %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] limit %arg4 : memref<1x8x?x128xbf16> -> !sfa_tile.tile<64x128xbf16>
  %x = sfa_tile.load %m[%b, %h, %row] limit %end : memref<1x8x?x128xbf16> -> !sfa_tile.tile<64x128xbf16>
  // CHECK: sfa_tile.store %[[X]], %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] limit %arg4 : !sfa_tile.tile<64x128xbf16>, memref<1x8x?x128xbf16>
  sfa_tile.store %x, %m[%b, %h, %row] limit %end : !sfa_tile.tile<64x128xbf16>, memref<1x8x?x128xbf16>
  return
}

// CHECK-LABEL: @heads(
func.func @heads(%m: memref<1x8x?x128xbf16>, %values: memref<1x8x?x8xbf16>, %indices: memref<1x8x?x8xi8>,
                 %lse: memref<1x8x?xf32>, %i: index, %end: index) {
  // CHECK: %[[X:.*]] = sfa_tile.load %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] limit %{{.*}} heads 4 : memref<1x8x?x128xbf16> -> !sfa_tile.tile<64x128xbf16>
  %x = sfa_tile.load %m[%i, %i, %i] limit %end heads 4 : memref<1x8x?x128xbf16> -> !sfa_tile.tile<64x128xbf16>
  // CHECK: sfa_tile.load_codes %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] heads 8 : memref
  %codes = sfa_tile.load_codes %values, %indices[%i, %i, %i] heads 8
    : memref<1x8x?x8xbf16>, memref<1x8x?x8xi8> -> !sfa_tile.codes<64x128xbf16, k = 8>
  // CHECK: sfa_tile.store %[[X]], %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] heads 2 : !sfa_tile.tile<64x128xbf16>, memref<1x8x?x128xbf16>
  sfa_tile.store %x, %m[%i, %i, %i] heads 2 : !sfa_tile.tile<64x128xbf16>, memref<1x8x?x128xbf16>
  %fill = sfa_tile.fill 0.0 : !sfa_tile.tile<64xf32>
  // CHECK: sfa_tile.store %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] limit %{{.*}} heads 4 : !sfa_tile.tile<64xf32>, memref<1x8x?xf32>
  sfa_tile.store %fill, %lse[%i, %i, %i] limit %end heads 4 : !sfa_tile.tile<64xf32>, memref<1x8x?xf32>
  // One head is not written out.
  // CHECK: sfa_tile.store %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] : !sfa_tile.tile<64xf32>, memref<1x8x?xf32>
  sfa_tile.store %fill, %lse[%i, %i, %i] heads 1 : !sfa_tile.tile<64xf32>, memref<1x8x?xf32>
  return
}

// CHECK-LABEL: @eight_bits(
func.func @eight_bits(%values: memref<1x8x?x8xbf16>, %integers: memref<1x8x?x8xi8>, %rows: memref<1x8x?x128xi8>,
                      %scales: memref<1x8x?xf32>, %i: index) {
  // CHECK: sfa_tile.load_codes %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] scales %{{.*}} : memref<1x8x?xf32> shared_by token heads 4 : memref<1x8x?x8xi8>, memref<1x8x?x8xi8> -> !sfa_tile.codes<64x128xf32, k = 8>
  %0 = sfa_tile.load_codes %integers, %integers[%i, %i, %i] scales %scales : memref<1x8x?xf32> shared_by token heads 4
    : memref<1x8x?x8xi8>, memref<1x8x?x8xi8> -> !sfa_tile.codes<64x128xf32, k = 8>
  // CHECK: %[[CODES:.*]] = sfa_tile.load_codes %{{.*}} : memref<1x8x?x8xi8>, memref<1x8x?x8xi8> -> !sfa_tile.codes<64x128xi8, k = 8>
  %codes = sfa_tile.load_codes %integers, %integers[%i, %i, %i]
    : memref<1x8x?x8xi8>, memref<1x8x?x8xi8> -> !sfa_tile.codes<64x128xi8, k = 8>
  // CHECK: sfa_tile.expand %[[CODES]] : !sfa_tile.codes<64x128xi8, k = 8> -> !sfa_tile.tile<64x128xi8>
  %tile = sfa_tile.expand %codes : !sfa_tile.codes<64x128xi8, k = 8> -> !sfa_tile.tile<64x128xi8>
  // CHECK: sfa_tile.store %{{.*}} : !sfa_tile.tile<64x128xi8>, memref<1x8x?x128xi8>
  sfa_tile.store %tile, %rows[%i, %i, %i] : !sfa_tile.tile<64x128xi8>, memref<1x8x?x128xi8>
  // CHECK: sfa_tile.load %{{.*}} : memref<1x8x?x128xi8> -> !sfa_tile.tile<64x128xi8>
  %again = sfa_tile.load %rows[%i, %i, %i] : memref<1x8x?x128xi8> -> !sfa_tile.tile<64x128xi8>
  // CHECK: sfa_tile.load_scales %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] shared_by tile : memref<1x8x?xf32> -> !sfa_tile.tile<128xf32>
  %f = sfa_tile.load_scales %scales[%i, %i, %i] shared_by tile : memref<1x8x?xf32> -> !sfa_tile.tile<128xf32>
  // CHECK: sfa_tile.load_scales %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] shared_by head heads 2 : memref<1x8x?xf32> -> !sfa_tile.tile<128xf32>
  %g = sfa_tile.load_scales %scales[%i, %i, %i] shared_by head heads 2 : memref<1x8x?xf32> -> !sfa_tile.tile<128xf32>
  // CHECK: sfa_tile.quantize %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] to %{{.*}}, %{{.*}} shared_by token : memref<1x8x?x8xbf16>, memref<1x8x?x8xi8>, memref<1x8x?xf32>
  sfa_tile.quantize %values[%i, %i, %i] to %integers, %scales shared_by token
    : memref<1x8x?x8xbf16>, memref<1x8x?x8xi8>, memref<1x8x?xf32>
  %given = sfa_tile.load_codes %values, %integers[%i, %i, %i]
    : memref<1x8x?x8xbf16>, memref<1x8x?x8xi8> -> !sfa_tile.codes<128x40xbf16, k = 8>
  // CHECK: %[[INTEGERS:.*]], %[[SCALES:.*]] = sfa_tile.quantize_codes %{{.*}} shared_by tile : !sfa_tile.codes<128x40xbf16, k = 8> -> !sfa_tile.codes<128x48xi8, k = 8>, !sfa_tile.tile<128xf32>
  %rounded, %factors = sfa_tile.quantize_codes %given shared_by tile
    : !sfa_tile.codes<128x40xbf16, k = 8> -> !sfa_tile.codes<128x48xi8, k = 8>, !sfa_tile.tile<128xf32>
  // CHECK: sfa_tile.expand %[[INTEGERS]] : !sfa_tile.codes<128x48xi8, k = 8> -> !sfa_tile.tile<128x48xi8>
  %wide = sfa_tile.expand %rounded : !sfa_tile.codes<128x48xi8, k = 8> -> !sfa_tile.tile<128x48xi8>
  // CHECK: sfa_tile.store_scales %[[SCALES]], %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] shared_by tile : !sfa_tile.tile<128xf32>, memref<1x8x?xf32>
  sfa_tile.store_scales %factors, %scales[%i, %i, %i] shared_by tile : !sfa_tile.tile<128xf32>, memref<1x8x?xf32>
  return
}
