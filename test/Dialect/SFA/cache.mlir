// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt %s -canonicalize -cse | FileCheck %s

// CHECK-LABEL: func.func @decode(
// CHECK: sfa.decode %{{.*}}, %{{.*}}, %{{.*}} pages(%{{.*}}, %{{.*}} : tensor<?x?xi32>, tensor<?xi32>) left 100 scale 1.250000e-01 :
func.func @decode(%q: tensor<?x32x1x128xbf16>, %k: tensor<?x8x64x128xbf16, #sfa.codes<k = 8>>, %v: tensor<?x8x64x128xbf16>,
                  %t: tensor<?x?xi32>, %n: tensor<?xi32>) -> (tensor<?x32x1x128xbf16>, tensor<?x32x1xf32>) {
  %o, %l = sfa.decode %q, %k, %v pages(%t, %n : tensor<?x?xi32>, tensor<?xi32>) left 100 scale 0.125
    : tensor<?x32x1x128xbf16>, tensor<?x8x64x128xbf16, #sfa.codes<k = 8>>, tensor<?x8x64x128xbf16> -> tensor<?x32x1x128xbf16>, tensor<?x32x1xf32>
  return %o, %l : tensor<?x32x1x128xbf16>, tensor<?x32x1xf32>
}

// The op has no results, and still nothing drops it.
// CHECK-LABEL: func.func @slots(
// CHECK: sfa.cache_append %{{.*}}, %{{.*}} to %{{.*}}, %{{.*}} slots(%{{.*}} : tensor<?xi64>) :
func.func @slots(%k: tensor<1x8x?x128xbf16>, %v: tensor<1x8x?x64xbf16>, %slots: tensor<?xi64>,
                 %keys: tensor<?x8x64x128xbf16, #sfa.codes<k = 8>>, %values: tensor<?x8x64x64xbf16>) {
  sfa.cache_append %k, %v to %keys, %values slots(%slots : tensor<?xi64>)
    : tensor<1x8x?x128xbf16>, tensor<1x8x?x64xbf16>, tensor<?x8x64x128xbf16, #sfa.codes<k = 8>>, tensor<?x8x64x64xbf16>
  return
}

// CHECK-LABEL: func.func @pages(
// CHECK: sfa.cache_append %{{.*}}, %{{.*}} to %{{.*}}, %{{.*}} pages(%{{.*}}, %{{.*}} : tensor<?x9xi32>, tensor<?xi32>) :
func.func @pages(%k: tensor<?x8x1x128xbf16>, %v: tensor<?x8x1x64xbf16>, %t: tensor<?x9xi32>, %n: tensor<?xi32>,
                 %keys: tensor<?x8x16x128xbf16>, %values: tensor<?x8x16x64xbf16>) {
  sfa.cache_append %k, %v to %keys, %values pages(%t, %n : tensor<?x9xi32>, tensor<?xi32>)
    : tensor<?x8x1x128xbf16>, tensor<?x8x1x64xbf16>, tensor<?x8x16x128xbf16>, tensor<?x8x16x64xbf16>
  return
}
