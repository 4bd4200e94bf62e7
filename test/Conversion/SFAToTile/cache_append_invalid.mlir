// RUN: sfa-opt %s -convert-sfa-to-tile -split-input-file -verify-diagnostics

func.func @not_an_argument(%k: tensor<1x2x?x16xf32>, %s: tensor<?xi64>, %keys: tensor<4x2x16x16xf32>, %values: tensor<?x2x16x16xf32>) {
  %codes = sfa.sparsify %keys : tensor<4x2x16x16xf32> -> tensor<4x2x16x16xf32, #sfa.codes<k = 4>>
  // expected-error @+1 {{'sfa.cache_append' op writes key pages that are no argument of the function; it writes pages in place, so pass them as an argument}}
  sfa.cache_append %k, %k to %codes, %values slots(%s : tensor<?xi64>) : tensor<1x2x?x16xf32>, tensor<1x2x?x16xf32>, tensor<4x2x16x16xf32, #sfa.codes<k = 4>>, tensor<?x2x16x16xf32>
  return
}

// -----

func.func @used_elsewhere(%k: tensor<1x2x?x16xf32>, %s: tensor<?xi64>, %keys: tensor<?x2x16x16xf32>, %values: tensor<?x2x16x16xf32>) -> tensor<?x2x16x16xf32> {
  // expected-error @+1 {{'sfa.cache_append' op writes value pages that the function uses elsewhere, too; use them in another function, before or after this one}}
  sfa.cache_append %k, %k to %keys, %values slots(%s : tensor<?xi64>) : tensor<1x2x?x16xf32>, tensor<1x2x?x16xf32>, tensor<?x2x16x16xf32>, tensor<?x2x16x16xf32>
  return %values : tensor<?x2x16x16xf32>
}
