// RUN: sfa-opt %s -convert-sfa-to-tile -split-input-file -verify-diagnostics

// expected-error @+1 {{'func.func' op cannot use 'tensor<1x8x?x64xbf16, #sfa.feature_major<tile = 128>>', which only sfa.attention in the same function reads}}
func.func @argument(%k: tensor<1x8x?x64xbf16, #sfa.feature_major<tile = 128>>) {
  return
}
