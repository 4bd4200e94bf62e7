// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s

// CHECK-LABEL: @densify(
// CHECK: sfa.densify %{{.*}} : tensor<1x2x?x128xbf16, #sfa.codes<k = 8>>
// CHECK-NEXT: return %{{.*}} : tensor<1x2x?x128xbf16>
func.func @densify(%codes: tensor<1x2x?x128xbf16, #sfa.codes<k = 8>>) -> tensor<1x2x?x128xbf16> {
  %dense = sfa.densify %codes : tensor<1x2x?x128xbf16, #sfa.codes<k = 8>>
  return %dense : tensor<1x2x?x128xbf16>
}
