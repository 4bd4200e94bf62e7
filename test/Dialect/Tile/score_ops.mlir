// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s

// CHECK-LABEL: @scores(
func.func @scores(%q: !sfa_tile.tile<64x128xbf16>, %k: !sfa_tile.tile<32x128xbf16>,
                  %codes: !sfa_tile.codes<64x128xbf16, k = 8>, %lists: !sfa_tile.postings<32x128xbf16, k = 4>,
                  %part: !sfa_tile.two_four<64x128xbf16, k = 8>, %surplus: !sfa_tile.surplus<64x128xbf16, k = 8>) {
  // CHECK: sfa_tile.dot %{{.*}}, %{{.*}} : !sfa_tile.tile<64x128xbf16>, !sfa_tile.tile<32x128xbf16> -> !sfa_tile.tile<64x32xf32>
  %0 = sfa_tile.dot %q, %k : !sfa_tile.tile<64x128xbf16>, !sfa_tile.tile<32x128xbf16> -> !sfa_tile.tile<64x32xf32>
  // CHECK: sfa_tile.gather_dot %{{.*}}, %{{.*}} : !sfa_tile.codes<64x128xbf16, k = 8>, !sfa_tile.tile<32x128xbf16> -> !sfa_tile.tile<64x32xf32>
  %1 = sfa_tile.gather_dot %codes, %k
    : !sfa_tile.codes<64x128xbf16, k = 8>, !sfa_tile.tile<32x128xbf16> -> !sfa_tile.tile<64x32xf32>
  // CHECK: sfa_tile.scatter_dot %{{.*}}, %{{.*}} : !sfa_tile.codes<64x128xbf16, k = 8>, !sfa_tile.postings<32x128xbf16, k = 4> -> !sfa_tile.tile<64x32xf32>
  %2 = sfa_tile.scatter_dot %codes, %lists
    : !sfa_tile.codes<64x128xbf16, k = 8>, !sfa_tile.postings<32x128xbf16, k = 4> -> !sfa_tile.tile<64x32xf32>
  // CHECK: sfa_tile.two_four_dot %{{.*}}, %{{.*}} : !sfa_tile.two_four<64x128xbf16, k = 8>, !sfa_tile.tile<32x128xbf16> -> !sfa_tile.tile<64x32xf32>
  %3 = sfa_tile.two_four_dot %part, %k
    : !sfa_tile.two_four<64x128xbf16, k = 8>, !sfa_tile.tile<32x128xbf16> -> !sfa_tile.tile<64x32xf32>
  // CHECK: sfa_tile.two_four_dot %{{.*}}, %{{.*}} surplus(%{{.*}} : !sfa_tile.surplus<64x128xbf16, k = 8>) : !sfa_tile.two_four<64x128xbf16, k = 8>, !sfa_tile.tile<32x128xbf16> -> !sfa_tile.tile<64x32xf32>
  %4 = sfa_tile.two_four_dot %part, %k surplus(%surplus : !sfa_tile.surplus<64x128xbf16, k = 8>)
    : !sfa_tile.two_four<64x128xbf16, k = 8>, !sfa_tile.tile<32x128xbf16> -> !sfa_tile.tile<64x32xf32>
  return
}

// CHECK-LABEL: @integers(
func.func @integers(%q: !sfa_tile.tile<64x128xi8>, %k: !sfa_tile.tile<32x128xi8>, %f: !sfa_tile.tile<64xf32>,
                    %g: !sfa_tile.tile<32xf32>) {
  // CHECK: %[[PRODUCT:.*]] = sfa_tile.dot %{{.*}}, %{{.*}} : !sfa_tile.tile<64x128xi8>, !sfa_tile.tile<32x128xi8> -> !sfa_tile.tile<64x32xi32>
  %0 = sfa_tile.dot %q, %k : !sfa_tile.tile<64x128xi8>, !sfa_tile.tile<32x128xi8> -> !sfa_tile.tile<64x32xi32>
  // CHECK: sfa_tile.dequantize %[[PRODUCT]] rows %{{.*}} columns %{{.*}} : !sfa_tile.tile<64x32xi32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<32xf32> -> !sfa_tile.tile<64x32xf32, scaled>
  %1 = sfa_tile.dequantize %0 rows %f columns %g : !sfa_tile.tile<64x32xi32>, !sfa_tile.tile<64xf32>, !sfa_tile.tile<32xf32>
    -> !sfa_tile.tile<64x32xf32, scaled>
  return
}
