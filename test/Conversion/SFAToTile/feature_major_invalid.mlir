// RUN: sfa-opt %s -convert-sfa-to-tile -split-input-file -verify-diagnostics

// expected-error @+1 {{'func.func' op cannot use 'tensor<1x8x?x64xbf16, #sfa.feature_major<tile = 128>>', which only sfa.attention in the same function reads}}
func.func @argument(%k: tensor<1x8x?x64xbf16, #sfa.feature_major<tile = 128>>) {
  return
}

// -----

// expected-error @+1 {{'func.func' op cannot use 'tensor<1x8x?x64xbf16, #sfa.postings<k = 4, tile = 128>>', which only sfa.attention in the same function reads}}
func.func @lists(%k: tensor<1x8x?x64xbf16, #sfa.postings<k = 4, tile = 128>>) {
  return
}
