// RUN: sfa-opt %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --mlir-print-op-generic %s | sfa-opt | FileCheck %s
// RUN: sfa-opt --emit-bytecode %s | sfa-opt | FileCheck %s

// CHECK-LABEL: @quantize(
// CHECK: sfa.quantize %{{.*}} : tensor<1x2x?x128xbf16, #sfa.codes<k = 8>> -> tensor<1x2x?x128xbf16, #sfa.codes<k = 8, values = i8, scales = token>>
func.func @quantize(%codes: tensor<1x2x?x128xbf16, #sfa.codes<k = 8>>) -> tensor<1x2x?x128xbf16, #sfa.codes<k = 8, values = i8, scales = token>> {
  %small = sfa.quantize %codes : tensor<1x2x?x128xbf16, #sfa.codes<k = 8>> -> tensor<1x2x?x128xbf16, #sfa.codes<k = 8, values = i8, scales = token>>
  return %small : tensor<1x2x?x128xbf16, #sfa.codes<k = 8, values = i8, scales = token>>
}

// CHECK-LABEL: @two_four(
// CHECK: sfa.quantize {{.*}} -> tensor<1x2x?x128xbf16, #sfa.codes<k = 8, two_four, values = i8, scales = head>>
func.func @two_four(%codes: tensor<1x2x?x128xbf16, #sfa.codes<k = 8, two_four>>) -> tensor<1x2x?x128xbf16, #sfa.codes<k = 8, two_four, values = i8, scales = head>> {
  %small = sfa.quantize %codes : tensor<1x2x?x128xbf16, #sfa.codes<k = 8, two_four>> -> tensor<1x2x?x128xbf16, #sfa.codes<k = 8, two_four, values = i8, scales = head>>
  return %small : tensor<1x2x?x128xbf16, #sfa.codes<k = 8, two_four, values = i8, scales = head>>
}
