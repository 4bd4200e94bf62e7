// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s

// CHECK-LABEL: @densify(
// CHECK: sfa.densify %{{.*}} : tensor<1x2x?x128xbf16, #sfa.codes<k = 8>>
// CHECK-NEXT: return %{{.*}} : tensor<1x2x?x128xbf16>
func.func @densify(%codes: tensor<1x2x?x128xbf16, #sfa.codes<k = 8>>) -> tensor<1x2x?x128xbf16> {
  %dense = sfa.densify %codes : tensor<1x2x?x128xbf16, #sfa.codes<k = 8>>
  return %dense : tensor<1x2x?x128xbf16>
}

// CHECK-LABEL: @eight_bits(
// CHECK: sfa.densify %{{.*}} : tensor<1x2x?x128xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>
// CHECK: %[[ROWS:.*]] = sfa.densify %{{.*}} quantized : tensor<1x2x?x128xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>
// CHECK: return %{{.*}}, %[[ROWS]] : tensor<1x2x?x128xbf16>, tensor<1x2x?x128xbf16, #sfa.dense<values = i8, scales = tile>>
func.func @eight_bits(%codes: tensor<1x2x?x128xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>)
    -> (tensor<1x2x?x128xbf16>, tensor<1x2x?x128xbf16, #sfa.dense<values = i8, scales = tile>>) {
  %dense = sfa.densify %codes : tensor<1x2x?x128xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>
  %rows = sfa.densify %codes quantized : tensor<1x2x?x128xbf16, #sfa.codes<k = 8, values = i8, scales = tile>>
  return %dense, %rows : tensor<1x2x?x128xbf16>, tensor<1x2x?x128xbf16, #sfa.dense<values = i8, scales = tile>>
}
